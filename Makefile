# Every target does its own set-up. Variables: PYTHON (which Python makes .venv), ARGS (for the command that runs), UV;
# for chaos also ROUNDS, for oracle, challenges and kubeconfigs CASES, for safety CLUSTERS, and SEED to repeat a run; for test also
# JOBS (how many files of tests run at once, 0 for all in one process), LARGE_NAMESPACES and REDIS_AWAY_SECONDS (tests/e2e).
.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := .venv/bin
ARGS ?=
UV ?= uv
ROUNDS ?= 50
CASES ?= 50000
CLUSTERS ?= 200
SEED ?=
NODE ?=
JOBS ?= 2

# What the tests and the demo start; anything else of controlplane/ is built when it is first asked for.
BINARIES := etcd kube-apiserver kube-controller-manager kube-scheduler kwok registry keyring ctrpull kubectl

.PHONY: help demo up test bench chaos oracle challenges kubeconfigs safety lint format check setup control-plane openapi requirements clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile

demo: setup control-plane ## Show the whole story on throwaway clusters; ARGS go to `remediator demo`
	@echo "demo: remediator demo --once $(ARGS)"
	@$(BIN)/remediator demo --once $(ARGS)

up: setup ## Start Redis, worker and API on this machine; ARGS go to `remediator up`
	@$(BIN)/remediator up $(ARGS)

test: setup control-plane ## Run the tests; ARGS go to pytest
	@echo "test: pytest $(ARGS)"
	@$(BIN)/python -m pytest --numprocesses=$(JOBS) --dist=loadfile --no-loadscope-reorder $(ARGS)

bench: setup control-plane ## Run the benchmarks in tests/bench; ARGS go to pytest
	@echo "bench: pytest tests/bench $(ARGS)"
	@$(BIN)/python -m pytest tests/bench --capture=no --timeout=3600 $(ARGS)

chaos: setup control-plane ## Kill and disturb everything, ROUNDS times at random; SEED repeats a run, ARGS go to pytest
	@echo "chaos: pytest tests/chaos $(ARGS), $(ROUNDS) rounds"
	@CHAOS_SEED="$(SEED)" CHAOS_ROUNDS="$(ROUNDS)" $(BIN)/python -m pytest tests/chaos --capture=no --timeout=0 $(ARGS)

oracle: setup ## Compare our matching of Secrets with the kubelet's in CASES generated cases; SEED repeats a run
	@$(BIN)/python -m controlplane build keyring
	@echo "oracle: pytest tests/remediation/readiness/test_oracle.py, $(CASES) cases"
	@ORACLE_SEED="$(SEED)" ORACLE_CASES="$(CASES)" $(BIN)/python -m pytest tests/remediation/readiness/test_oracle.py --capture=no $(ARGS)

challenges: setup ## Judge CASES random registries and have containerd's own code pull from them; SEED repeats a run
	@$(BIN)/python -m controlplane build ctrpull
	@echo "challenges: pytest tests/worker/test_registry_agreement.py, $(CASES) cases"
	@CHALLENGES_SEED="$(SEED)" CHALLENGES_CASES="$(CASES)" $(BIN)/python -m pytest tests/worker/test_registry_agreement.py --capture=no --timeout=3600 $(ARGS)

kubeconfigs: setup ## Hold CASES random kubeconfigs against kubectl: served by both, refused by both or by a page; SEED repeats a run
	@$(BIN)/python -m controlplane build kubectl
	@echo "kubeconfigs: pytest tests/worker/test_kubeconfigs_as_kubectl.py, $(CASES) cases"
	@KUBECONFIG_SEED="$(SEED)" KUBECONFIG_CASES="$(CASES)" $(BIN)/python -m pytest tests/worker/test_kubeconfigs_as_kubectl.py --capture=no $(ARGS)

safety: setup control-plane ## Judge CLUSTERS random clusters, flip the registry, try every pull of a day; SEED repeats a run, NODE=real has a real kubelet pull
	@echo "safety: pytest tests/e2e/test_false_safety.py, $(CLUSTERS) clusters"
	@SAFETY_SEED="$(SEED)" SAFETY_NODE="$(NODE)" SAFETY_CLUSTERS="$(CLUSTERS)" $(BIN)/python -m pytest tests/e2e/test_false_safety.py --capture=no $(ARGS)

lint: setup ## Check format, style, types and the arrows between the packages
	@echo "lint: ruff format" && $(BIN)/ruff format --check --quiet
	@echo "lint: ruff check" && $(BIN)/ruff check --quiet
	@echo "lint: mypy" && $(BIN)/mypy
	@echo "lint: import-linter" && $(BIN)/lint-imports --no-logo

format: setup ## Format the code and mend what ruff can mend
	@$(BIN)/ruff check --fix --quiet || true
	@$(BIN)/ruff format

check: lint test ## lint and test

setup: ## Make .venv with the pinned packages, if it is not up to date
	@PYTHON="$(PYTHON)" tools/setup

control-plane: setup ## Build the Kubernetes control plane, the registry and, where one can run, a real node, once
	@$(BIN)/python -m controlplane build $(BINARIES)
	@$(BIN)/python -m controlplane node

openapi: setup ## Write openapi.yaml from the code
	@$(BIN)/python -m api.openapi > openapi.yaml.new || { rm -f openapi.yaml.new; exit 1; }
	@mv openapi.yaml.new openapi.yaml

# Hashes of locally built wheels must not get in, hence no folders of wheels. dev first: the others take its versions.
COMPILE = env -u PIP_FIND_LINKS -u UV_FIND_LINKS $(UV) pip compile pyproject.toml --quiet --universal \
	--python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-config \
	--custom-compile-command 'make requirements'

requirements: ## Pin the packages again after a change in pyproject.toml (needs uv); ARGS=--upgrade takes newer ones
	@command -v $(UV) >/dev/null || { echo "requirements: uv is needed, or name it: make requirements UV=/path/to/uv" >&2; exit 1; }
	$(COMPILE) --extra embedded --group dev $(ARGS) --output-file requirements/dev.txt
	$(COMPILE) --constraint requirements/dev.txt --no-annotate --upgrade --output-file requirements/runtime.txt
	$(COMPILE) --extra embedded --constraint requirements/dev.txt --no-annotate --upgrade --output-file requirements/embedded.txt

clean: ## Remove .venv, caches and build output (the built control plane stays in the user's cache)
	rm -rf .venv .setup.lock .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist openapi.yaml.new
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
