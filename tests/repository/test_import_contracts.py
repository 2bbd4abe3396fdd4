"""The arrows between the packages: each contract lets the allowed pass and stops the rest."""

import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
SETTINGS = tomllib.loads(PYPROJECT.read_text())["tool"]["importlinter"]

ALLOWED = {
    "remediation.plan": ["dataclasses", "datetime", "json"],
    "store.queue": ["redis", "rq", "remediation.plan"],
    "api.app": ["flask", "flask_smorest", "marshmallow", "gunicorn", "store.queue"],
    "api.sealing": ["nacl.public"],
    "worker.sealing": ["nacl.public"],
    "cli.sealing_keys": ["nacl.public"],
    "worker.kube": ["kubernetes.aio", "aiohttp", "network.trust"],
    "worker.run": ["worker.kube", "store.queue", "remediation.plan"],
    "worker.process": ["rq", "rq.worker"],
    "worker.__main__": ["rq", "worker.process"],
    "cli.main": ["click", "httpx", "cli.demo", "remediation.plan"],
    "cli.demo": ["controlplane", "controlplane.cluster"],
    "controlplane.cluster": ["httpx", "subprocess"],
}

# By contract: the module that breaks it, and what that module imports.
FORBIDDEN = {
    "layers": {
        "api.routes": ["worker.run", "cli.main"],
        "worker.report": ["api.app", "cli.main"],
        "cli.status": ["api.app", "worker.run"],
        "store.results": ["api.app", "worker.run", "cli.main"],
        "network.trust": ["api.app", "worker.run", "cli.main"],
        "remediation.state": ["store.queue", "network.trust", "api.app", "worker.run", "cli.main"],
    },
    "cli-is-a-client": {"cli.status": ["store.queue"]},
    "pure-domain": {"remediation.state": ["redis", "httpx", "os", "socket", "time"]},
    "kubernetes": {
        "worker.run": ["kubernetes"],
        "worker.process": ["kubernetes.aio"],
        "api.app": ["kubernetes"],
        "controlplane.cluster": ["kubernetes"],
    },
    "web": {"worker.run": ["flask"], "store.queue": ["marshmallow"], "cli.main": ["werkzeug"]},
    "sealing": {"api.app": ["nacl"], "worker.run": ["nacl.public"], "store.queue": ["nacl"]},
    "redis": {"api.app": ["redis"], "worker.process": ["redis"], "cli.main": ["redis.asyncio"]},
    "queue": {"api.app": ["rq"], "worker.run": ["rq"], "cli.main": ["rq.job"]},
    "demo": {"cli.main": ["controlplane"], "worker.run": ["controlplane.cluster"]},
    "controlplane-apart": {"controlplane.cluster": ["remediation.plan", "store", "api", "cli"]},
}


def _lint(folder: Path, modules: Mapping[str, list[str]], contract: str | None = None) -> str:
    """Return what import-linter says about packages made of the given modules and their imports."""
    for package in SETTINGS["root_packages"]:
        (folder / package).mkdir()
        (folder / package / "__init__.py").touch()
    for module, imports in modules.items():
        file = folder.joinpath(*module.split(".")).with_suffix(".py")
        file.write_text("".join(f"import {name}\n" for name in imports))
    (folder / "pyproject.toml").write_bytes(PYPROJECT.read_bytes())
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    command += ["--no-cache", "--no-logo", *(["--contract", contract] if contract else [])]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return ended.stdout + ended.stderr


def test_the_allowed_arrows_pass(tmp_path: Path) -> None:
    said = _lint(tmp_path, ALLOWED)

    assert f"{len(SETTINGS['contracts'])} kept, 0 broken" in said


def test_every_contract_is_tried() -> None:
    assert {contract["id"] for contract in SETTINGS["contracts"]} == set(FORBIDDEN)


def test_each_contract_stops_what_it_forbids(tmp_path: Path) -> None:
    for contract, broken in FORBIDDEN.items():
        folder = tmp_path / contract
        folder.mkdir()
        broken_modules = {module: ALLOWED.get(module, []) + more for module, more in broken.items()}

        said = _lint(folder, ALLOWED | broken_modules, contract)

        assert "0 kept, 1 broken" in said
        for module, imports in broken.items():
            for name in imports:
                assert f"{module} -> {_as_reported(name)}" in said, f"{module} may import {name}"


def _as_reported(name: str) -> str:
    """Return a module as import-linter names it: what is not ours by its top level only."""
    top = name.split(".")[0]
    return name if top in SETTINGS["root_packages"] else top
