"""Whatever readiness calls covered can be pulled after the flip: random clusters, judged, flipped, recreated, pulled.

`make safety CLUSTERS=200` takes more of them, and names the false alarms.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.cluster import Cluster, ContextSpec, write_kubeconfig
from controlplane.pull import Login
from controlplane.registry import Registry
from tests.e2e.day_after import Judge, Scene, play
from tests.e2e.fleet import grant_least_privilege
from tests.e2e.judges import Heard, RealJudge, an_image, judging
from tests.e2e.random_acts import Act, Verb, definitions, perform
from tests.e2e.random_cluster import (
    Plan,
    begin,
    enact,
    finish,
    make,
    plan,
    recreate,
    repeal,
    until_in_force,
)
from tests.e2e.random_parts import Ground, Manifest
from tests.e2e.restarts import Memory, remember, restarted
from tests.e2e.safety import Subject, Tally
from tests.e2e.service import Service, until

CLUSTERS = int(os.environ.get("SAFETY_CLUSTERS") or 12)
# The tests of every change judge the same clusters; `make safety` draws others unless told.
USUAL_SEED = 1
DRAWN = "SAFETY_CLUSTERS" in os.environ
SEED = int(
    os.environ.get("SAFETY_SEED")
    or (random.SystemRandom().randrange(2**32) if DRAWN else USUAL_SEED)
)
RIGHT = (Login("robot", "made-up"), Login("second", "made-up-too"))
WRONG = Login("robot", "guessed")
CREDENTIAL = "right"
TRIES = 3
EXAMPLES = int(os.environ.get("SAFETY_EXAMPLES") or 5)
MOST_FALSE_ALARMS = 2.0  # percent of the pods
# The same cluster thrice: with the documented rights, with those to read other teams' Secrets as well, and with those
# to ask the API server what it would make of pods.
_DEEP = ("remediator-readiness-secrets",)
MODES = {"plain": (), "deep": _DEEP, "admission": (*_DEEP, "remediator-readiness-admission")}
# Where the service itself remediated, and so knows what it wrote over.
REMEMBERING = ("deep",)
# So many random clusters share an API server: each check reads all of it.
BATCH = 30
AT_ONCE = 3
PULLERS = 2
PASSWORDS = {login.username: login.password for login in RIGHT}

# Verdict and findings by mode.
Answers = dict[str, tuple[str, list[Manifest]]]


@dataclass(frozen=True)
class Stage:
    """A registry that is public yet, a cluster and the service: for one batch of random clusters, then gone."""

    registry: Registry
    cluster: Cluster
    service: Service

    @classmethod
    @contextmanager
    def set(cls, directory: Path) -> Iterator[Stage]:
        """Start all of it."""
        with ExitStack() as stack:
            registry = stack.enter_context(Registry.start(directory / "registry"))
            cluster = stack.enter_context(Cluster.start("random", directory / "cluster"))
            define_kinds(cluster)
            service = stack.enter_context(_service(directory / "service", cluster, registry))
            yield cls(registry, cluster, service)


@contextmanager
def _service(directory: Path, cluster: Cluster, registry: Registry) -> Iterator[Service]:
    """The service with a proof of the future: a shadow of the registry that is private already."""
    directory.mkdir(parents=True)
    with registry.shadow(directory / "shadow", htpasswd=PASSWORDS) as shadow:
        entry = directory / "credentials" / CREDENTIAL
        entry.mkdir(parents=True)
        parts = {"registry": registry.host, "shadow": f"http://{shadow.host}"}
        parts |= {"username": RIGHT[0].username, "password": RIGHT[0].password}
        for name, text in parts.items():
            (entry / name).write_text(text)
        rules = directory / "registries.yaml"
        rules.write_text(yaml.safe_dump({"registries": {registry.host: {"plain_http": True}}}))
        kubeconfig = directory / "kubeconfig"
        contexts = {
            mode: ContextSpec(
                cluster.server, cluster.ca_file, grant_least_privilege(cluster, *roles)
            )
            for mode, roles in MODES.items()
        }
        write_kubeconfig(kubeconfig, contexts)
        environment = {"REMEDIATOR_REGISTRIES_FILE": str(rules)}
        running = Service(directory, [kubeconfig], entry.parent, environment)
        try:
            yield running
        finally:
            running.stop()


def define_kinds(cluster: Cluster) -> None:
    """Make the custom kinds of random clusters, and let every account list them."""
    kinds = definitions()
    perform(cluster, [Act(Verb.CREATE, body) for body in kinds])
    groups = sorted({body["spec"]["group"] for body in kinds})
    role = {"rules": [{"apiGroups": groups, "resources": ["*"], "verbs": ["list"]}]}
    binding = {
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "customs",
        },
        "subjects": [{"kind": "Group", "name": "system:serviceaccounts:default"}],
    }
    metadata = {"metadata": {"name": "customs"}}
    cluster.apply({"kind": "ClusterRole"} | metadata | role)
    cluster.apply({"kind": "ClusterRoleBinding"} | metadata | binding)
    for body in kinds:
        spec = body["spec"]
        place = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
        until(lambda place=place: cluster.http.get(place).is_success, place)  # type: ignore[misc]


@pytest.mark.timeout(3600)
def test_nothing_that_is_called_covered_fails(tmp_path: Path) -> None:
    tallies = {mode: Tally(remembers=mode in REMEMBERING) for mode in MODES}
    heard = Heard()
    print(f"\n{CLUSTERS} clusters, seed {SEED}")  # noqa: T201 -- also of a run that breaks off
    for first in range(0, CLUSTERS, BATCH):
        numbers = range(first, min(first + BATCH, CLUSTERS))
        with Stage.set(tmp_path / str(first)) as stage:
            for mode, verdict, rows, subjects in lived_through(stage, numbers, tmp_path, heard):
                tallies[mode].compare(verdict, rows, subjects)
            for mode, verdict in verdicts_on_a_slip(stage).items():
                tallies[mode].slip(verdict)

    print(f"\n{CLUSTERS} clusters, seed {SEED}; {heard}")  # noqa: T201
    for mode, tally in tallies.items():
        print(f"  {mode}: {tally}")  # noqa: T201
        print(f"    states: {counts(tally.states)}")  # noqa: T201
        print(f"    false safety by state: {counts(tally.lies)}")  # noqa: T201
        for example in tally.examples[:EXAMPLES]:
            print(f"    false alarm: {example}")  # noqa: T201
    lies = [f"{mode}: {lie}" for mode, tally in tallies.items() for lie in tally.false_safety]
    assert not lies, f"SEED={SEED}\n" + "\n".join(lies)
    assert not heard.differences, f"SEED={SEED}\n" + "\n".join(heard.differences)
    # Or nothing was shown.
    assert tallies["deep"].failed > 2 * CLUSTERS
    assert tallies["deep"].covered > CLUSTERS
    assert tallies["deep"].covered > tallies["plain"].covered > CLUSTERS / 4
    assert max(tally.share for tally in tallies.values()) < MOST_FALSE_ALARMS


def lived_through(
    stage: Stage, numbers: Sequence[int], directory: Path, heard: Heard
) -> Iterator[tuple[str, str, list[Manifest], list[Subject]]]:
    """Make random clusters, have them judged, flip the registry and let the day go by.

    Returns the mode, its verdict and findings, and every pod, for each cluster and way of judging.
    """
    cluster, registry = stage.cluster, stage.registry
    ground = Ground.push(registry.host, RIGHT, WRONG, an_image)
    plans = [
        plan(SEED + number, f"r{number}-", ground, remediated=bool(number % 2))
        for number in numbers
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        pairs = zip(numbers, plans, strict=True)
        ran = pool.map(lambda pair: bring_about(stage, *pair), pairs)
        memories = dict(zip((one.prefix for one in plans), ran, strict=True))
    judged = judge_all(stage, plans)
    registry.restart(htpasswd=PASSWORDS)
    for one in plans:
        enact(cluster, one)

    def days(share: Sequence[Plan]) -> list[tuple[Plan, list[Subject]]]:
        with judging(Path(tempfile.mkdtemp(dir=directory)), heard) as judge:
            return [(one, lived(judge, Scene(judge, cluster, ground, one))) for one in share]

    def lived(judge: Judge, scene: Scene) -> list[Subject]:
        if not isinstance(judge, RealJudge):
            return play(scene)
        return restarted(judge, scene, memories[scene.planned.prefix], public.host) + play(scene)

    # As it was before: containers that are to start again have to run first.
    public = registry.shadow(Path(tempfile.mkdtemp(dir=directory)))
    with public, ThreadPoolExecutor(PULLERS) as pool:
        shares = pool.map(days, (plans[place::PULLERS] for place in range(PULLERS)))
        for one, day in (pair for share in shares for pair in share):
            for mode, (verdict, rows) in judged[one.prefix].items():
                yield mode, verdict, rows, day


def bring_about(stage: Stage, number: int, planned: Plan) -> Memory:
    """Make a random cluster; every other one is remediated, else hardly any would be safe. Return what ran on it."""
    make(stage.cluster, planned)
    begin(stage.cluster, planned)
    if number % 2:
        remediate(stage.service, planned)
        recreate(stage.cluster, planned)
    memory = remember(stage.cluster, planned)
    finish(stage.cluster, planned)
    return memory


def remediate(service: Service, planned: Plan) -> None:
    """Have the service do what it can: some of what is random cannot be mended."""
    service.remediate(
        clusters=["deep"],
        namespaces=[f"{planned.prefix}*"],
        ignore=[planned.ignored],
        credential=CREDENTIAL,
        on_conflict="replace",
        registry_check="require",
        readiness=False,
    )


def judge_all(stage: Stage, plans: Sequence[Plan]) -> dict[str, Answers]:
    """Return verdict and findings of random clusters by prefix and mode; several are judged at a time.

    Those with admission policies come one after another, since their policies are there meanwhile; what the API server
    would make of pods is asked for these only.
    """
    service, host = stage.service, stage.registry.host
    strict = [one for one in plans if any(state.policies for state in one.states)]
    others = [one for one in plans if one not in strict]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = pool.map(lambda one: checked(service, host, one, ["plain", "deep"], "L2"), others)
        judged = dict(zip((one.prefix for one in others), answers, strict=True))
    for one in strict:
        enact(stage.cluster, one)
        found = checked(service, host, one, ["plain", "deep"], "L2")
        until_in_force(stage.cluster, one)
        judged[one.prefix] = found | checked(service, host, one, ["admission"], "L3")
        repeal(stage.cluster, one)
    return judged


def verdicts_on_a_slip(stage: Stage) -> dict[str, str]:
    """Ask about a namespace that is not there, and return the verdict by mode."""
    nothing = Plan(0, "no-such-", ("no-such-namespace",), {}, (), (), (), (), ())
    answers = checked(stage.service, stage.registry.host, nothing, ["plain", "deep"], "L2")
    return {mode: verdict for mode, (verdict, _) in answers.items()}


def checked(
    service: Service,
    host: str,
    planned: Plan,
    modes: list[str],
    evidence: str,
) -> Answers:
    """Have it judged in some modes. Raises AssertionError if it cannot be judged."""
    body = {
        "clusters": modes,
        "namespaces": [f"{planned.prefix}*"],
        "ignore": [planned.ignored],
        "registry": host,
        "credential": CREDENTIAL,
        "evidence": evidence,
    }
    check: dict[str, Any] = {"status": ""}
    for _ in range(TRIES):  # a busy machine may not answer in time; that is no judgement
        answer = service.http.post("/readiness-checks", params={"wait": "60"}, json=body)
        assert answer.status_code == 202, answer.text
        check = answer.json()
        while not check["terminal"]:
            path = f"/readiness-checks/{check['id']}"
            check = service.http.get(path, params={"wait": "60"}).json()
        if check["status"] == "succeeded":
            break
    assert check["status"] == "succeeded", [one["error"] for one in check["clusters"]]
    rows = findings(service, check["id"], planned)
    return {
        one["name"]: (one["verdict"], [row for row in rows if row["cluster"] == one["name"]])
        for one in check["clusters"]
    }


def findings(service: Service, check: str, planned: Plan) -> list[Manifest]:
    """Return the findings of a check, but not those about other random clusters, which were left out."""
    found: list[Manifest] = []
    cursor: str | None = ""
    while cursor is not None:
        wanted = {"limit": "1000"} | ({"cursor": cursor} if cursor else {})
        path = f"/readiness-checks/{check}/findings"
        page = service.http.get(path, params=wanted).raise_for_status().json()
        found += page["items"]
        cursor = page.get("next_cursor")
    return [
        row for row in found if not row["namespace"] or row["namespace"].startswith(planned.prefix)
    ]


def counts(counter: Counter[str]) -> str:
    """Return a line about how often each was seen."""
    return "; ".join(f"{name} {number}" for name, number in sorted(counter.items())) or "none"
