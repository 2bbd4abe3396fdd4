"""Clusters that are away, slow, overloaded or badly reached: what is reported, and that nothing is done twice."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from controlplane.cluster import Cluster, ContextSpec, write_kubeconfig
from tests.e2e.conftest import write_login
from tests.e2e.fleet import Space, grant_least_privilege
from tests.e2e.proxy import Plan, Proxy
from tests.e2e.readiness import Place, found, judged
from tests.e2e.service import Service, until


@pytest.fixture(scope="module")
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


class BadWay:
    """The clusters of this module: one proxy whose plan each test sets, and clusters that are away."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy

    def behaves(self, plan: Plan) -> None:
        """Set how the proxy behaves from now on."""
        self.proxy.seen.clear()
        self.proxy.plan = plan


@pytest.fixture(scope="module")
def bad_way(stack: ExitStack, clusters: tuple[Cluster, ...]) -> BadWay:
    return BadWay(stack.enter_context(Proxy(clusters[0], lambda *_: "pass")))


@pytest.fixture(scope="module")
def service(
    stack: ExitStack,
    bad_way: BadWay,
    clusters: tuple[Cluster, ...],
    credentials: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Service:
    """The service with clusters that are well, badly reached, refusing, silent and unknown."""
    directory = tmp_path_factory.mktemp("faults")
    alpha = clusters[0]
    token = grant_least_privilege(alpha)
    refusing = socket.socket()
    refusing.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen()  # takes connections and never says a word
    stack.callback(refusing.close)
    stack.callback(silent.close)

    def at(address: str, ca: Path | None = None, bearer: str = token) -> ContextSpec:
        return ContextSpec(address, ca or alpha.ca_file, bearer)

    other_ca = clusters[1].ca_file
    kubeconfig = directory / "kubeconfig"
    write_kubeconfig(
        kubeconfig,
        {
            "good": at(alpha.server),
            "badly-reached": at(bad_way.proxy.server),
            "refusing": at(f"https://127.0.0.1:{refusing.getsockname()[1]}"),
            "silent": at(f"https://127.0.0.1:{silent.getsockname()[1]}"),
            "nowhere": at("https://no-such-host.invalid:6443"),
            "wrong-ca": at(alpha.server, other_ca),
            "expired": at(alpha.server, bearer="not-a-token-any-more"),
            "no-rights": at(alpha.server, bearer=_powerless(alpha)),
        },
    )
    bad = json.loads(kubeconfig.read_text())
    bad["contexts"].append({"name": "orphan", "context": {"cluster": "gone", "user": "good"}})
    kubeconfig.write_text(json.dumps(bad))
    not_yaml = directory / "not-yaml"
    not_yaml.write_text("a: [\n")
    running = Service(directory / "service", [kubeconfig, not_yaml], credentials)
    stack.callback(running.stop)
    return running


def test_clusters_that_are_away_end_unreachable_soon_and_delay_nobody(
    service: Service, space: Space
):
    name = space.namespace("n")
    started = time.monotonic()

    done = service.remediate(
        clusters=["good", "refusing", "silent", "nowhere", "wrong-ca"], namespaces=[name]
    )
    took = time.monotonic() - started

    assert done.clusters["good"]["finished_at"] < done.clusters["silent"]["finished_at"]
    assert done.status == "partial"
    assert done.clusters["good"]["summary"]["namespaces"]["changed"] == 1
    for away in ("refusing", "silent", "nowhere", "wrong-ca"):
        assert done.clusters[away]["status"] == "unreachable", done.clusters[away]
        assert done.clusters[away]["error"]["code"] in ("unreachable", "timeout")
    assert "certificate" in done.clusters["wrong-ca"]["error"]["detail"]
    print(f"all ended after {took:.1f} s")  # noqa: T201 -- a figure for whoever runs it with -s


def test_a_cluster_that_refuses_the_worker_says_so(service: Service, space: Space):
    name = space.namespace("n")

    done = service.remediate(clusters=["expired", "no-rights"], namespaces=[f"{name}*"])

    assert done.status == "failed"
    for cluster in ("expired", "no-rights"):
        error = done.clusters[cluster]["error"]
        assert error["code"] == "forbidden"
        assert error["hint"]


def test_bad_contexts_and_files_are_named_with_the_reason_and_the_good_ones_are_served(
    service: Service,
):
    body = service.http.get("/clusters").json()
    by_name = {item["name"]: item for item in body["items"]}

    assert by_name["good"]["status"] == "ready"
    assert by_name["orphan"]["status"] == "invalid"
    assert by_name["orphan"]["reason"] == "its cluster 'gone' is defined nowhere"
    assert "is not YAML" in json.dumps(body["problems"])
    answer = service.post(clusters=["orphan"])
    assert answer.status_code == 422
    assert "defined nowhere" in answer.text
    by_glob = service.remediate(clusters=["orph*", "goo?"], namespaces=["no-such"])
    assert by_glob.status == "partial"
    assert by_glob.clusters["orphan"]["status"] == "unreachable"
    assert "defined nowhere" in by_glob.clusters["orphan"]["error"]["detail"]
    log = service.log.read_text()
    assert "context 'orphan' is not served: its cluster 'gone' is defined nowhere" in log
    assert "is not YAML" in log


def sometimes(action: str, *, every: int = 3, writes_only: bool = True) -> Callable[..., str]:
    """Do `action` to the first request for every third object, and to none of its repetitions."""
    objects: dict[str, int] = {}

    def plan(method: str, path: str, before: int) -> str:
        if (writes_only and method != "PATCH") or before:
            return "pass"
        place = objects.setdefault(path, len(objects))
        return action if place % every == 0 else "pass"

    return plan


@pytest.mark.parametrize("action", ["429", "500", "503", "reset", "lost"])
def test_writes_are_repeated_until_they_are_known_to_be_done(
    service: Service, bad_way: BadWay, space: Space, action: str
):
    names = [space.namespace(f"n{number}", ("default", "web")) for number in range(8)]
    for name in names:
        space.account(name, "shared", "theirs")
    bad_way.behaves(sometimes(action))

    done = service.remediate(clusters=["badly-reached"], namespaces=[space.pattern])

    assert bad_way.proxy.did(action) >= 5
    assert done.status == "succeeded", done.rows
    assert set(done.outcomes().values()) == {"changed"}
    assert done.summary["service_accounts"]["changed"] == 24
    assert done.summary["secrets"]["created"] == 8
    # A write whose answer was lost is found done when it is looked at again: one attempt was enough.
    assert max(row["attempts"] for row in done.rows) == (1 if action == "lost" else 2)
    for name in names:
        assert space.pull_secrets(name, "default") == ["docker"]
        assert space.pull_secrets(name, "shared") == ["theirs", "docker"]


def test_an_undo_takes_back_what_a_failed_namespace_may_have_written(
    service: Service, bad_way: BadWay, space: Space
):
    name = space.namespace("n", ("default", "other"))
    place = f"/{name}/serviceaccounts/default"

    def lost_and_never_seen(method: str, path: str, before: int) -> str:
        if not path.endswith(place):
            return "pass"
        return "lost" if method == "PATCH" else "403"

    bad_way.behaves(lost_and_never_seen)
    failed = service.remediate(clusters=["badly-reached"], namespaces=[name])
    assert failed.status == "failed"
    assert failed.row(name)["changed_service_accounts"] == ["other"]
    assert space.pull_secrets(name, "default") == ["docker"]
    bad_way.behaves(lambda *_: "pass")

    answer = service.http.post(f"/remediations/{failed.body['id']}/undo")
    undone = service.wait(answer.json()["id"])

    assert undone.status == "succeeded", undone.rows
    assert space.pull_secrets(name, "default") == space.pull_secrets(name, "other") == []
    assert not space.exists(f"namespaces/{name}/secrets/docker")


def test_a_write_in_doubt_is_remembered_with_the_applier_that_it_took_the_list_from(
    service: Service, bad_way: BadWay, space: Space
):
    name = space.namespace("n", [])
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    space.clusters[0].http.patch(
        f"/api/v1/namespaces/{name}/serviceaccounts/default",
        content=json.dumps(account | {"imagePullSecrets": [{"name": "pull-two"}]}),
        headers={"Content-Type": "application/apply-patch+yaml"},
        params={"fieldManager": "kustomize-controller"},
    ).raise_for_status()
    Place.at(space, name).workload(kind="CronJob")
    place = f"/{name}/serviceaccounts/default"

    def lost_and_never_seen(method: str, path: str, before: int) -> str:
        if not path.endswith(place):
            return "pass"
        return "lost" if method == "PATCH" else "403"

    bad_way.behaves(lost_and_never_seen)
    failed = service.remediate(clusters=["badly-reached"], namespaces=[name])
    bad_way.behaves(lambda *_: "pass")

    check = judged(service, clusters=["badly-reached"], namespaces=[name])

    assert failed.row(name)["outcome"] == "failed"
    assert space.pull_secrets(name, "default") == ["pull-two", "docker"]
    row = found(check, "W_DRIFT")
    assert (row["severity"], row["doubt"]) == ("blocking", False)
    assert check["verdict"] == "not_safe"


def is_known(service: Service, cluster: str) -> bool:
    """Tell whether the uid of a cluster was read: a run then asks whether it is still that one."""
    items = service.http.get("/clusters").json()["items"]
    return any(each["name"] == cluster and each["uid"] for each in items)


@pytest.mark.parametrize("action", ["429", "503", "reset", "500"])
def test_reads_are_repeated_too(service: Service, bad_way: BadWay, space: Space, action: str):
    space.namespace("n")
    until(lambda: is_known(service, "badly-reached"), "uid of the cluster")
    bad_way.behaves(
        lambda method, path, before: (
            action if method == "GET" and before == 0 and path != "/version" else "pass"
        )
    )

    done = service.remediate(clusters=["badly-reached"], namespaces=[space.pattern])

    # kube-system, namespaces, ServiceAccounts, Secrets and pods
    assert bad_way.proxy.did(action) == 5
    assert done.status == "succeeded"


def test_a_list_that_runs_out_in_the_middle_is_begun_again(
    service: Service, bad_way: BadWay, space: Space
):
    name = space.namespace("n")
    bad_way.behaves(
        lambda method, path, before: (
            "410" if path == "/api/v1/serviceaccounts" and before == 0 else "pass"
        )
    )

    done = service.remediate(clusters=["badly-reached"], namespaces=[space.pattern])

    assert done.outcomes() == {name: "changed"}


def test_a_server_that_refuses_everybody_for_a_moment_is_asked_again(
    service: Service, bad_way: BadWay, space: Space
):
    """An API server that has just started answers 403 to legitimate users; nothing tells it from a real one."""
    name = space.namespace("n", ("default", "web"))
    bad_way.behaves(
        lambda method, path, before: "403" if method == "PATCH" and before == 0 else "pass"
    )

    done = service.remediate(clusters=["badly-reached"], namespaces=[space.pattern])

    assert bad_way.proxy.did("403") >= 2
    assert done.outcomes() == {name: "changed"}


def test_pods_that_may_not_be_listed_leave_it_unknown_which_operators_have_some(
    service: Service, bad_way: BadWay, space: Space
):
    name = space.namespace("n", ("default", "web"))
    bad_way.behaves(lambda method, path, before: "403" if path.endswith("/pods") else "pass")

    done = service.remediate(clusters=["badly-reached"], namespaces=[name])
    again = service.remediate(clusters=["badly-reached"], namespaces=[name])

    (warning,) = done.row(name)["warnings"]
    assert (warning["code"], warning["object"]) == (
        "use_unknown",
        f"serviceaccounts/{name}/default",
    )
    assert "could not list pods" in warning["detail"]
    assert {each["code"] for each in done.body["warnings"]} == {"use_unknown"}
    assert not again.row(name)["warnings"], "nothing is written, and nothing is said of it"


def test_a_plan_says_so_where_it_cannot_learn_whether_a_write_is_taken(
    service: Service, bad_way: BadWay, space: Space
):
    """Its account may lack the right that another worker's has; who carries it out is not known."""
    name = space.namespace("n")
    bad_way.behaves(lambda method, path, before: "403" if method == "PATCH" else "pass")

    planned = service.remediate(clusters=["badly-reached"], namespaces=[name], dry_run=True)

    row = planned.row(name)
    assert row["outcome"] == "would_change"
    (warning,) = row["warnings"]
    assert (warning["code"], warning["object"]) == ("write_unknown", f"secrets/{name}/docker")
    assert "may not patch secrets" in warning["detail"]
    assert "docs/kubernetes-access.md" in warning["hint"]
    (summed,) = planned.body["warnings"]
    assert summed["code"] == "write_unknown"
    assert "in 1 namespace (forbidden)" in summed["detail"]


def test_a_cluster_that_goes_away_closes_the_gate_of_two_and_not_that_of_the_other(
    service: Service, bad_way: BadWay, space: Space
):
    place = Place(space, ("docker",)).secret().workload()
    bad_way.behaves(lambda method, path, before: "pass")
    two = judged(service, clusters=["good", "badly-reached"], namespaces=[place.name])
    one = judged(service, clusters=["good"], namespaces=[place.name])
    bad_way.behaves(lambda method, path, before: "reset")

    of_two, of_one = (
        service.http.get(f"/readiness-checks/{check['id']}/gate", params={"wait": "60"})
        for check in (two, one)
    )

    assert (two["verdict"], one["verdict"]) == ("safe", "safe")
    assert of_two.status_code == 412
    assert "badly-reached" in of_two.text
    assert of_one.status_code == 200, of_one.text


def test_what_cannot_be_done_fails_with_its_reason_and_the_rest_goes_on(
    service: Service, bad_way: BadWay, space: Space
):
    good = space.namespace("good", ("default", "web"))
    bad = space.namespace("bad", ("default", "web"))
    bad_way.behaves(
        lambda method, path, before: (
            "500" if method == "PATCH" and path.endswith(f"{bad}/serviceaccounts/web") else "pass"
        )
    )

    done = service.remediate(clusters=["badly-reached"], namespaces=[space.pattern])

    assert done.outcomes() == {good: "changed", bad: "failed"}
    row = done.row(bad)
    assert row["error"]["code"] == "internal"
    assert row["error"]["http_status"] == 500
    assert row["error"]["object"] == f"serviceaccounts/{bad}/web"
    assert row["changed_service_accounts"] == ["default"]
    assert space.pull_secrets(bad, "default") == ["docker"]


def test_the_deadline_ends_a_run_and_says_what_is_left(
    service: Service, bad_way: BadWay, space: Space
):
    good = space.namespace("good")
    stuck = space.namespace("stuck")
    bad_way.behaves(
        lambda method, path, before: (
            "hang" if method == "PATCH" and f"/{stuck}/" in path else "pass"
        )
    )

    done = service.remediate(
        clusters=["badly-reached"], namespaces=[space.pattern], timeout_seconds=10
    )

    assert done.status == "partial"
    assert done.outcomes() == {good: "changed", stuck: "failed"}
    assert done.row(stuck)["error"]["code"] == "timeout"
    assert done.summary["namespaces"]["done"] == done.summary["namespaces"]["total"] == 2


def test_a_credential_that_the_worker_cannot_use_ends_the_run_before_any_write(
    service: Service, credentials: Path, space: Space
):
    name = space.namespace("n")
    answer = service.post(clusters=["good"], namespaces=[name], credential="broken")
    assert answer.status_code == 422
    assert "must be" in answer.text

    write_login(credentials / "short-lived", "r.example.com", "u", "p")
    service.wait_for_credential("short-lived")
    (credentials / "short-lived" / "password").unlink()
    done = service.remediate(clusters=["good"], namespaces=[name], credential="short-lived")

    assert done.status == "failed"
    assert done.clusters["good"]["error"]["code"] == "credential_unavailable"
    assert not space.exists(f"namespaces/{name}/secrets/docker")


def _powerless(cluster: Cluster) -> str:
    body: dict[str, Any] = {
        "kind": "ServiceAccount",
        "metadata": {"name": "powerless", "namespace": "default"},
    }
    cluster.apply(body)
    return cluster.service_account_token("default", "powerless")
