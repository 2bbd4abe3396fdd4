"""What comes while a check reads its cluster: each write is placed between two lists, on the way to the API server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controlplane.cluster import Cluster, ContextSpec, write_kubeconfig
from tests.e2e.custom import DEEP, kinds, mutating_policy, resource
from tests.e2e.fleet import Space, docker_config, grant_least_privilege
from tests.e2e.proxy import Proxy
from tests.e2e.readiness import IMAGE, Place, found, judged
from tests.e2e.service import Service
from tests.e2e.test_gate_use import ACCOUNT, DEPLOYMENT, SECRET, gate

Write = Callable[[Place], None]
SIDECAR = (
    '[JSONPatch{op: "add", path: "/spec/containers/-",'
    f' value: Object.spec.containers{{name: "side", image: "{IMAGE}"}}}}]'
)
DEPLOYMENTS, JOBS, PODS = "/apis/apps/v1/deployments", "/apis/batch/v1/jobs", "/api/v1/pods"


class Way:
    """The way to a cluster: what is to be written before the next list of a path is sent on."""

    def __init__(self) -> None:
        self.before: list[tuple[str, Callable[[], None]]] = []
        self.always: tuple[str, Callable[[], None]] | None = None
        self.listed: list[str] = []

    def plan(self, method: str, path: str, _: int) -> str:
        """Write what is to be written, and let everything pass."""
        if method == "GET":
            self.listed.append(path)
            if self.before and self.before[0][0] == path:
                self.before.pop(0)[1]()
            if self.always and self.always[0] == path:
                self.always[1]()
        return "pass"


@pytest.fixture(scope="module")
def way() -> Way:
    """The way that the service of this module takes."""
    return Way()


@pytest.fixture(scope="module")
def racing(
    tmp_path_factory: pytest.TempPathFactory,
    clusters: tuple[Cluster, ...],
    credentials: Path,
    way: Way,
) -> Iterator[Service]:
    """A service that reaches its cluster on that way."""
    directory = tmp_path_factory.mktemp("racing")
    alpha = clusters[0]
    with Proxy(alpha, way.plan) as proxy:
        spec = ContextSpec(proxy.server, alpha.ca_file, grant_least_privilege(alpha))
        write_kubeconfig(directory / "kubeconfig", {"alpha": spec})
        running = Service(directory, [directory / "kubeconfig"], credentials)
        yield running
        running.stop()


@pytest.fixture(scope="module")
def asking(
    tmp_path_factory: pytest.TempPathFactory,
    clusters: tuple[Cluster, ...],
    credentials: Path,
    way: Way,
) -> Iterator[Service]:
    """The same, and it may ask for admission."""
    directory = tmp_path_factory.mktemp("asking")
    alpha = clusters[0]
    with Proxy(alpha, way.plan) as proxy:
        token = grant_least_privilege(alpha, *DEEP)
        spec = ContextSpec(proxy.server, alpha.ca_file, token)
        write_kubeconfig(directory / "kubeconfig", {"alpha": spec})
        running = Service(directory, [directory / "kubeconfig"], credentials)
        yield running
        running.stop()


@pytest.fixture
def place(space: Space, way: Way) -> Iterator[Place]:
    """A namespace whose one Deployment is covered."""
    yield Place(space, ("docker",)).secret().workload()
    way.before.clear()
    way.always = None


def neighbour(place: Place) -> Place:
    """Make another namespace, with an account without a list."""
    return Place.at(place.space, place.space.namespace("late"))


def template(place: Place, account: str = "", *own: str, **more: Any) -> dict[str, Any]:
    """Return a pod template of another application."""
    spec: dict[str, Any] = {"containers": [{"name": "main", "image": IMAGE}], **more}
    if account:
        spec["serviceAccountName"] = account
    if own:
        spec["imagePullSecrets"] = [{"name": name} for name in own]
    return {"metadata": {"labels": {"app": "late"}}, "spec": spec}


def late(
    place: Place, kind: str = "deployments", account: str = "", *own: str, **more: Any
) -> None:
    """Make another workload."""
    body: dict[str, Any] = {"template": template(place, account, *own), **more}
    if kind != "jobs":
        body["selector"] = {"matchLabels": {"app": "late"}}
    else:
        body["template"]["spec"]["restartPolicy"] = "Never"
    group = "batch" if kind == "jobs" else "apps"
    path = f"/apis/{group}/v1/namespaces/{place.name}/{kind}"
    place.post(path, {"metadata": {"name": "late"}, "spec": body})


def release(place: Place) -> None:
    """Install what brings an account of its own."""
    place.space.account(place.name, "builder")
    late(place, "deployments", "builder")


def job_with_account(place: Place) -> None:
    """The same with a Job."""
    place.space.account(place.name, "builder")
    late(place, "jobs", "builder")


def uncovered(kind: str) -> Write:
    """Return what makes a workload that names another Secret."""
    return lambda place: late(place, kind, "", "quay")


def account_stripped(place: Place) -> None:
    """Take our entry out of the list."""
    place.patch(ACCOUNT, {"imagePullSecrets": None})


def account_deleted(place: Place) -> None:
    """Delete the account, and make one without a list."""
    place.cluster.http.delete(ACCOUNT.replace("{}", place.name)).raise_for_status()
    place.space.account(place.name, "default")


def secret_deleted(place: Place) -> None:
    """Delete the Secret."""
    place.cluster.http.delete(SECRET.replace("{}", place.name)).raise_for_status()


def secret_changed(place: Place) -> None:
    """Put another password into the Secret."""
    place.cluster.http.delete(SECRET.replace("{}", place.name)).raise_for_status()
    place.secret(docker_config(password="other"))


def template_changed(place: Place) -> None:
    """Have the template name another Secret."""
    spec = {"imagePullSecrets": [{"name": "quay"}]}
    place.patch(DEPLOYMENT, {"spec": {"template": {"spec": spec}}})


def woken(place: Place) -> None:
    """Have what wants no pods want some."""
    path = DEPLOYMENT.replace("web", "late")
    place.patch(path, {"spec": {"replicas": 1}})


def judged_as(check: dict[str, Any], *verdicts: str) -> None:
    """Make sure of the verdict, and that it is about what is there: everything was read in the end."""
    classes = {row["class"] for row in check["findings"]}
    assert check["verdict"] in verdicts, check["findings"]
    assert "C_UNREADABLE" not in classes, check["findings"]


CASES: list[tuple[str, Write]] = [
    (DEPLOYMENTS, release),
    (JOBS, job_with_account),
    (JOBS, uncovered("deployments")),
    (PODS, uncovered("statefulsets")),
    (PODS, uncovered("daemonsets")),
    (PODS, uncovered("replicasets")),
    (PODS, uncovered("jobs")),
    (PODS, template_changed),
    (PODS, account_stripped),
    (PODS, account_deleted),
    (PODS, secret_deleted),
    (PODS, secret_changed),
]
IDS = [
    f"{write.__qualname__}-{path.rpartition('/')[2]}-{n}" for n, (path, write) in enumerate(CASES)
]


@pytest.mark.parametrize(("path", "write"), CASES, ids=IDS)
def test_what_comes_between_two_lists_is_judged(
    racing: Service, way: Way, place: Place, path: str, write: Write
) -> None:
    way.before.append((path, lambda: write(place)))

    check = judged(racing, namespaces=[place.name])

    assert not way.before
    judged_as(check, "not_safe", "unknown")


@pytest.mark.parametrize(("path", "write"), [CASES[0], CASES[1], CASES[2], CASES[8]])
def test_what_comes_during_the_second_look_closes_the_gate(
    racing: Service, way: Way, place: Place, path: str, write: Write
) -> None:
    check = judged(racing, namespaces=[place.name])
    way.before.append((path, lambda: write(place)))

    status, codes = gate(racing, check)

    assert not way.before
    assert (status, codes[0]) == (412, "changed")


def test_a_sleeper_that_is_woken_meanwhile_is_judged(
    racing: Service, way: Way, place: Place
) -> None:
    late(place, "deployments", "", "quay", replicas=0)
    assert judged(racing, namespaces=[place.name])["verdict"] == "safe"
    way.before.append((PODS, lambda: woken(place)))

    judged_as(judged(racing, namespaces=[place.name]), "unknown")


def scheduler(place: Place, name: str = "late") -> None:
    """Make a CronJob that scales a Deployment."""
    command = ["kubectl", "scale", "deployment", name, "--replicas=2"]
    main = {"name": "main", "image": "docker.io/bitnami/kubectl:1", "command": command}
    spec = {"restartPolicy": "Never", "containers": [main]}
    body = {"schedule": "0 7 * * *", "jobTemplate": {"spec": {"template": {"spec": spec}}}}
    path = f"/apis/batch/v1/namespaces/{place.name}/cronjobs"
    place.post(path, {"metadata": {"name": "scheduler"}, "spec": body})


def test_what_comes_to_scale_a_sleeper_is_judged(racing: Service, way: Way, place: Place) -> None:
    late(place, "deployments", "", "quay", replicas=0)
    way.before.append((PODS, lambda: scheduler(place)))

    judged_as(judged(racing, namespaces=[place.name]), "unknown")


def test_what_accounts_for_a_custom_resource_has_to_stay(
    racing: Service, way: Way, place: Place, clusters: tuple[Cluster, ...]
) -> None:
    with kinds(clusters[0], {"engines.db.example.com": "Engine"}):
        owner = resource(place, "engines.db.example.com", "Engine", "db", {"image": IMAGE})
        spec = {"selector": {"matchLabels": {"app": "late"}}, "template": template(place)}
        body = {"metadata": {"name": "db", "ownerReferences": [owner]}, "spec": spec}
        path = f"/apis/apps/v1/namespaces/{place.name}/statefulsets"
        place.post(path, body)
        explained = judged(racing, namespaces=[place.name])
        way.before.append((PODS, lambda: place.delete(f"{path}/db")))
        check = judged(racing, namespaces=[place.name])

    assert not way.before
    assert explained["verdict"] == "safe", explained["findings"]
    judged_as(check, "unknown")


def test_what_admission_adds_to_what_comes_meanwhile_is_judged(
    asking: Service, way: Way, place: Place
) -> None:
    """Of a template without an image of the registry, which only `L3` sees."""
    other = template(place, "", "quay")
    other["spec"]["containers"][0]["image"] = "docker.io/library/busybox:1"
    body = {"selector": {"matchLabels": {"app": "late"}}, "template": other}
    path = f"/apis/apps/v1/namespaces/{place.name}/deployments"
    late = {"metadata": {"name": "late"}, "spec": body}
    with mutating_policy(place, SIDECAR, probe=IMAGE):
        way.before.append((PODS, lambda: place.post(path, late)))
        check = judged(asking, namespaces=[place.name], evidence="L3")

    assert not way.before
    judged_as(check, "not_safe")
    assert found(check, "W_DANGLING")["name"] == "late"


def test_a_namespace_that_is_labelled_meanwhile_is_judged(
    racing: Service, way: Way, place: Place
) -> None:
    other = neighbour(place).workload()
    mark, path = f"team-{place.name}", "/api/v1/namespaces/{}"
    place.patch(path, {"metadata": {"labels": {"team": mark}}})
    join: dict[str, Any] = {"metadata": {"labels": {"team": mark}}}
    way.before.append((PODS, lambda: other.patch(path, join)))

    check = judged(racing, namespace_selector=f"team={mark}")

    judged_as(check, "not_safe")


def test_a_namespace_that_comes_meanwhile_is_judged(
    racing: Service, way: Way, place: Place
) -> None:
    way.before.append((PODS, lambda: late(neighbour(place))))

    check = judged(racing, namespaces=[place.space.pattern])

    judged_as(check, "not_safe")


def test_what_changes_each_time_is_unknown(racing: Service, way: Way, place: Place) -> None:
    """Entry out, entry in: at each list of pods it is the other way round, and never both times the same."""
    lists = iter([[], ["docker"]] * 9)

    def toggle() -> None:
        names = [{"name": name} for name in next(lists)]
        place.patch(ACCOUNT, {"imagePullSecrets": names or None})

    way.always = (PODS, toggle)
    check = judged(racing, namespaces=[place.name])

    assert check["verdict"] in ("unknown", "not_safe")
    told = [row for row in check["findings"] if row["class"] == "C_UNREADABLE"]
    assert told, check["findings"]
    assert told[0]["namespace"] == place.name
    assert "'default' changed while the cluster was read" in told[0]["explanation"]


def another_replica(place: Place) -> None:
    """Scale, and roll another tag out."""
    images = [{"name": "main", "image": f"{IMAGE[:-1]}2"}]
    template = {"spec": {"containers": images}}
    place.patch(DEPLOYMENT, {"spec": {"replicas": 3, "template": template}})


def covered_neighbour(place: Place) -> None:
    """Change an account that no pod with the registry's images uses, and another namespace."""
    place.space.account(place.name, "idle")
    neighbour(place).workload("quay")


@pytest.mark.parametrize("write", [another_replica, covered_neighbour])
def test_what_makes_no_difference_is_not_read_again(
    racing: Service, way: Way, place: Place, write: Write
) -> None:
    way.before.append((PODS, lambda: write(place)))
    way.listed.clear()

    check = judged(racing, namespaces=[place.name])

    assert check["verdict"] == "safe", check["findings"]
    assert way.listed.count(PODS) == 2  # static pods that have ended, and the others
