"""The random clusters themselves: repeatable, accepted by a real API server, and neither all good nor all bad."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.cluster import Cluster
from controlplane.node_pull import Node, PodPull
from controlplane.pull import Login, PullOutcome
from controlplane.registry import Registry
from tests.e2e.random_cluster import KINDS, Plan, Pods, make, plan, pod_of, recreate, source
from tests.e2e.random_parts import DANGLING, SECRETS, Ground, Manifest, auth

RIGHT = (Login("robot", "made-up"), Login("second", "made-up-too"))
WRONG = Login("robot", "guessed")
SEEDS = range(20)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry.start(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module")
def ground(registry: Registry) -> Ground:
    return Ground.push(registry.host, RIGHT, WRONG)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with Node.start(tmp_path, plain_http=True) as running:
        yield running


def test_the_same_seed_is_the_same_cluster(ground: Ground) -> None:
    assert plan(7, "a-", ground) == plan(7, "a-", ground)
    assert plan(7, "a-", ground) != plan(8, "a-", ground)


def test_two_hundred_of_them_hold_everything(ground: Ground) -> None:
    plans = [plan(seed, "a-", ground) for seed in range(200)]
    pods = [pod for one in plans for pod in one.pods]
    specs = [pod.body["spec"] for pod in pods]

    assert {kind for one in plans for kind in one.secret_kinds.values()} == set(SECRETS)
    assert {body["kind"] for one in plans for body in one.templates} == set(KINDS)
    assert {pod.phase for pod in pods} == {"Running", "Pending", "Waiting", "Succeeded", "Failed"}
    assert any(pod.debugger for pod in pods)
    assert any("volumes" in spec for spec in specs)
    assert any("restartPolicy" in one for spec in specs for one in spec.get("initContainers", []))
    accounts = [body for one in plans for body in one.accounts]
    entries = [body.get("imagePullSecrets") for body in accounts]
    assert None in entries
    assert [] in entries
    assert any(len(names) > len(set(names)) for names in map(_names, entries))
    assert any(DANGLING in names for names in map(_names, entries))
    assert any("" in names for names in map(_names, entries))


def test_they_hold_every_state_and_most_hold_several(ground: Ground) -> None:
    plans = [plan(seed, "a-", ground, remediated=bool(seed % 2)) for seed in range(400)]
    tags = {state.tag for one in plans for state in one.states}

    for start in ("H1 ap", "H1 w", "H2 S", "H3", "H4", "H5", "M1", "M4", "M5", "M7", "L1", "L2"):
        assert any(tag.startswith(start) for tag in tags), start
    for start in ("L3", "L4", "D ", "D1", "D2", "D7", "D8", "full quota", "one image on one node"):
        assert any(tag.startswith(start) for tag in tags), start
    assert sum(len(one.states) > 1 for one in plans) > len(plans) / 2


def test_states_show_no_password(ground: Ground) -> None:
    shown = "".join(repr(plan(seed, "a-", ground)) for seed in range(40))

    assert ground.right[0].password not in shown
    assert auth(ground.right[0]) not in shown


def _names(entries: list[Manifest] | None) -> list[str]:
    return [entry.get("name", "") for entry in entries or []]


def test_no_seed_shows_a_password(ground: Ground) -> None:
    assert WRONG.password not in repr(plan(7, "a-", ground))


def test_are_judged_by_pulls_as_they_should(
    clusters: tuple[Cluster, ...], registry: Registry, ground: Ground, node: Node
) -> None:
    """Open: whatever can be read is pulled. Private: some pods pull, some do not, and the right ones."""
    cluster = clusters[0]
    plans = [plan(seed, f"random-{seed}-", ground) for seed in SEEDS]
    made = [make(cluster, one) for one in plans]
    was_open = pulls(node, cluster, made, registry.host)
    registry.restart(htpasswd={login.username: login.password for login in RIGHT})
    recreated = [recreate(cluster, one) for one in plans]
    private = pulls(node, cluster, recreated, registry.host)

    assert outcomes(was_open) <= {PullOutcome.OK, PullOutcome.FAILED}
    assert outcomes(private) == {PullOutcome.OK, PullOutcome.FAILED, PullOutcome.UNAUTHORIZED}
    # With the right login alone nothing can go wrong, with none nothing right, with poison nothing at all.
    found: dict[str, set[PullOutcome]] = {"right": set(), "none": set(), "poisoned": set()}
    for one, pod_pulls in zip(plans, private, strict=True):
        for kinds, outcome in by_kinds(one, pod_pulls):
            if any(kind.startswith("poisoned") for kind in kinds):
                found["poisoned"].add(outcome)
            elif set(kinds) <= {"right"}:
                found["right" if kinds else "none"].add(outcome)
    assert found == {
        "right": {PullOutcome.OK},
        "none": {PullOutcome.UNAUTHORIZED},
        "poisoned": {PullOutcome.FAILED},
    }


def test_recreated_pods_have_what_their_account_has_now(
    clusters: tuple[Cluster, ...], ground: Ground
) -> None:
    cluster = clusters[1]
    planned = plan(3, "again-", ground)
    before = make(cluster, planned)

    after = recreate(cluster, planned)

    listed = [pod for name in planned.namespaces for pod in live(cluster, name)]
    assert {pod["metadata"]["uid"] for _, pod in after.taken} == {
        pod["metadata"]["uid"] for pod in listed
    }
    assert not uids(before) & uids(after)
    assert {label.partition("/")[0] for label, _ in after.taken} - {"Pod"} <= set(KINDS)
    assert len(after.taken) + len(after.refused) == len(planned.templates) + sum(
        pod.owner is None for pod in planned.pods
    )
    accounts: dict[tuple[str, str], list[Manifest]] = {}
    for body in (*planned.accounts, *planned.later):
        if "imagePullSecrets" in body or body in planned.accounts:
            account = (body["metadata"]["namespace"], body["metadata"]["name"])
            accounts[account] = body.get("imagePullSecrets", [])
    for label, pod in after.taken:
        account = (pod["metadata"]["namespace"], pod["spec"]["serviceAccountName"])
        wanted = spec_of(planned, label).get("imagePullSecrets") or accounts[account]
        assert _names(pod["spec"].get("imagePullSecrets")) == _names(wanted)


def pulls(
    node: Node, cluster: Cluster, pods: list[Pods], host: str
) -> list[list[tuple[Manifest, PodPull]]]:
    secrets = cluster.http.get("/api/v1/secrets").json()["items"]
    bodies = [[pod for _, pod in one.taken] for one in pods]
    return [
        [(pod, pull) for pod in some for pull in node.pull([pod], secrets, registry=host)]
        for some in bodies
    ]


def outcomes(found: list[list[tuple[Manifest, PodPull]]]) -> set[PullOutcome]:
    return {pull.pull.outcome for some in found for _, pull in some}


def by_kinds(
    planned: Plan, found: list[tuple[Manifest, PodPull]]
) -> Iterator[tuple[list[str], PullOutcome]]:
    for pod, pull in found:
        names = [entry.get("name") for entry in pod["spec"].get("imagePullSecrets", [])]
        space = pod["metadata"]["namespace"]
        there = [
            planned.secret_kinds[space, name]
            for name in names
            if (space, name) in planned.secret_kinds
        ]
        yield there, pull.pull.outcome


def uids(pods: Pods) -> set[str]:
    return {pod["metadata"]["uid"] for _, pod in pods.taken}


def live(cluster: Cluster, namespace: str) -> list[Manifest]:
    return list(cluster.http.get(f"/api/v1/namespaces/{namespace}/pods").json()["items"])


def spec_of(planned: Plan, label: str) -> Manifest:
    bodies = [pod.body for pod in planned.pods if pod.owner is None]
    for body in bodies:
        if source(body) == label:
            return dict(body["spec"])
    return next(pod_of(body)["spec"] for body in planned.templates if source(body) == label)
