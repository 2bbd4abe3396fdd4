"""What readiness says of pods, held against what a real kubelet makes of them after the flip.

Every pod runs before it. Then its containers are killed, so that the kubelet starts them again, and a new pod like it
is made beside it. Where the machine allows no real node, these are skipped; the puller judges the rest of the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import yaml

from controlplane import node_told
from controlplane.build import binaries
from controlplane.cluster import Cluster
from controlplane.image import program_image, push_all
from controlplane.node import RealNode, Unavailable
from controlplane.pull import PullOutcome
from controlplane.registry import Registry
from tests.e2e.conftest import write_login
from tests.e2e.fleet import (
    PASSWORD,
    REGISTRY,
    USERNAME,
    Space,
    docker_config,
    write_least_privileged,
)
from tests.e2e.readiness import Place, judged
from tests.e2e.service import Service, until

LOGINS = {USERNAME: PASSWORD}
RIGHT = docker_config()
WRONG = docker_config(password="guessed")
REFUSED = PullOutcome.UNAUTHORIZED


@dataclass(frozen=True, slots=True)
class Case:
    """A pod: the Secrets that are there, those it names, how it pulls; and what becomes of it after the flip."""

    restart: PullOutcome
    new: PullOutcome
    secrets: dict[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] = ("docker",)
    policy: str = "Always"
    image: str = f"{REGISTRY}/team/app:1"
    # What happens between the start of the pod and the check.
    then: Callable[[Place], None] = lambda place: None


def keyed(key: str, outcome: PullOutcome) -> Case:
    return Case(outcome, outcome, {"docker": docker_config(registry=key)})


def without_secret(place: Place) -> None:
    path = f"/api/v1/namespaces/{place.name}/secrets/docker"
    place.cluster.http.delete(path).raise_for_status()


OK = PullOutcome.OK
CASES = {
    "the right Secret": Case(OK, OK, {"docker": RIGHT}),
    "a wrong Secret": Case(REFUSED, REFUSED, {"docker": WRONG}),
    "a wrong one, then the right one": Case(
        OK, OK, {"docker": RIGHT, "stale": WRONG}, ("stale", "docker")
    ),
    "no Secret": Case(REFUSED, REFUSED, names=()),
    "a name without a Secret": Case(REFUSED, REFUSED),
    "a name without a Secret, then the right one": Case(
        OK, OK, {"docker": RIGHT}, ("gone", "docker")
    ),
    "the key is the host": keyed(REGISTRY, OK),
    "the key has a wildcard": keyed("*.example.com", OK),
    "the key has the path": keyed(f"{REGISTRY}/team", OK),
    "the key is a URL": keyed(f"https://{REGISTRY}/v1/", OK),
    "the key has another path": keyed(f"{REGISTRY}/other", REFUSED),
    "the key is in upper case": keyed(REGISTRY.upper(), REFUSED),
    "the key has the port": keyed(f"{REGISTRY}:443", REFUSED),
    # Kubelets of 1.35 and newer verify who may use an image that is on the node already.
    "the image is there, pulled by nobody in particular": Case(
        OK, OK, names=(), policy="IfNotPresent", image=f"{REGISTRY}/team/anyone:1"
    ),
    "the image is there, pulled with a Secret that is gone": Case(
        REFUSED,
        REFUSED,
        {"docker": RIGHT},
        policy="IfNotPresent",
        image=f"{REGISTRY}/team/once:1",
        then=without_secret,
    ),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a case: the verdict before the flip, and what the kubelet said after it."""

    verdict: str
    findings: list[dict[str, Any]]
    restart: PullOutcome
    new: PullOutcome
    warnings: set[str]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry.start(tmp_path_factory.mktemp("registry")) as running:
        program = binaries("pause")["pause"].read_bytes()
        names = {case.image.partition("/")[2].partition(":")[0] for case in CASES.values()}
        push_all(
            running.host,
            [(name, "1") for name in sorted(names)],
            made_by=partial(program_image, program),
        )
        yield running


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster.start("alpha", tmp_path_factory.mktemp("cluster") / "alpha") as started:
        yield started


@pytest.fixture(scope="module")
def node(
    tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, registry: Registry
) -> Iterator[RealNode]:
    try:
        started = RealNode.start(tmp_path_factory.mktemp("node"), cluster)
    except Unavailable as reason:
        pytest.skip(f"no real node here: {reason}")
    with started:
        started.name_registry(REGISTRY, f"http://{registry.host}")
        yield started


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, cluster: Cluster, registry: Registry
) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("service")
    kubeconfig = write_least_privileged(
        directory / "kubeconfig", [cluster], "remediator-readiness-secrets"
    )
    (directory / "credentials").mkdir()
    write_login(directory / "credentials" / "harbor", REGISTRY, USERNAME, PASSWORD)
    with registry.shadow(directory / "shadow", htpasswd=LOGINS) as shadow:
        rules = {"plain_http": True, "shadow": f"http://{shadow.host}"}
        (directory / "registries.yaml").write_text(
            yaml.safe_dump({"registries": {REGISTRY: rules}})
        )
        environment = {"REMEDIATOR_REGISTRIES_FILE": str(directory / "registries.yaml")}
        running = Service(directory, [kubeconfig], directory / "credentials", environment)
        yield running
        running.stop()


@pytest.fixture(scope="module")
def seen(node: RealNode, cluster: Cluster, registry: Registry, service: Service) -> dict[str, Seen]:
    """Play all cases side by side: start, judge, flip, kill and make again."""
    places = {name: prepared(cluster, case) for name, case in CASES.items()}
    pods = {name: start(node, places[name], case, "web") for name, case in CASES.items()}
    for name, pod in pods.items():
        until(partial(is_running, cluster, pod), f"running pod for: {name}")
    for name, case in CASES.items():
        case.then(places[name])
    checks = {
        name: judged(service, namespaces=[place.name], registry=REGISTRY)
        for name, place in places.items()
    }
    registry.restart(htpasswd=LOGINS)
    for place in places.values():
        cluster.http.delete(events_of(place)).raise_for_status()
    for pod in pods.values():
        node.kill(read(cluster, pod))
    for name, case in CASES.items():
        start(node, places[name], case, "again")
    found = {}
    for name, place in places.items():
        restart, _ = told(place, "web", CASES[name].image)
        new, warnings = told(place, "again", CASES[name].image)
        check = checks[name]
        found[name] = Seen(check["verdict"], check["findings"], restart, new, warnings)
    return found


@pytest.mark.parametrize("name", CASES)
def test_the_verdict_is_not_better_than_what_the_kubelet_does(
    seen: dict[str, Seen], name: str
) -> None:
    case, came = CASES[name], seen[name]

    assert (came.restart, came.new) == (case.restart, case.new)
    expected = {"safe"} if came.restart is OK else {"not_safe", "unknown"}
    assert came.verdict in expected, [(one["class"], one["explanation"]) for one in came.findings]


def test_a_kubelet_tells_of_a_name_without_a_secret(seen: dict[str, Seen]) -> None:
    assert node_told.SECRET_MISSING in seen["a name without a Secret"].warnings
    assert node_told.SECRET_MISSING not in seen["a wrong Secret"].warnings


def prepared(cluster: Cluster, case: Case) -> Place:
    place = Place(Space((cluster,)))
    for name, content in case.secrets.items():
        place.secret(content, name)
    return place


def start(node: RealNode, place: Place, case: Case, name: str) -> dict[str, Any]:
    container = {"name": "main", "image": case.image, "imagePullPolicy": case.policy}
    spec = {
        "nodeName": node.name,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "imagePullSecrets": [{"name": one} for one in case.names],
        "containers": [container],
    }
    body = {"metadata": {"name": name, "namespace": place.name}, "spec": spec}
    place.post(f"/api/v1/namespaces/{place.name}/pods", body)
    return body


def told(place: Place, name: str, image: str) -> tuple[PullOutcome, set[str]]:
    """Return how the pull of a pod ended, and the warnings about it, once its events say so."""
    found: list[dict[str, Any]] = []

    def said() -> bool:
        listed = place.cluster.http.get(events_of(place)).raise_for_status().json()["items"]
        found[:] = [one for one in listed if one["involvedObject"]["name"] == name]
        return image in node_told.pulls({"spec": {}}, found)

    until(said, f"word of {place.name}/{name}")
    return node_told.pulls({"spec": {}}, found)[image].outcome, node_told.warnings(found)


def events_of(place: Place) -> str:
    return f"/api/v1/namespaces/{place.name}/events"


def read(cluster: Cluster, pod: dict[str, Any]) -> dict[str, Any]:
    metadata = pod["metadata"]
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
    return dict(cluster.http.get(path).raise_for_status().json())


def is_running(cluster: Cluster, pod: dict[str, Any]) -> bool:
    statuses = read(cluster, pod)["status"].get("containerStatuses") or [{}]
    return "running" in statuses[0].get("state", {})
