"""A usable gate: what makes no difference leaves it open, callers share a look, a pause costs a check no time."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.fleet import REGISTRY, Space, docker_config
from tests.e2e.readiness import IMAGE, Place, found, judged
from tests.e2e.service import Service, until
from tests.e2e.test_running_pods import node_info

ACCOUNT = "/api/v1/namespaces/{}/serviceaccounts/default"
DEPLOYMENT = "/apis/apps/v1/namespaces/{}/deployments/web"
SECRET = "/api/v1/namespaces/{}/secrets/docker"


def gate(service: Service, check: dict[str, Any]) -> tuple[int, list[str]]:
    """Return the status of the gate, and the codes of its reasons."""
    answer = service.http.get(f"/readiness-checks/{check['id']}/gate", params={"wait": "60"})
    return answer.status_code, [error["code"] for error in answer.json().get("errors", [])]


@pytest.fixture
def place(space: Space) -> Place:
    """A namespace whose one Deployment is covered."""
    return Place(space, ("docker",)).secret().workload()


def unused_account(place: Place) -> None:
    """Make a ServiceAccount that no pod uses."""
    place.space.account(place.name, "idle")


def account_made_again(place: Place) -> None:
    """Delete the ServiceAccount, and make one with the same list."""
    path = ACCOUNT.replace("{}", place.name)
    place.cluster.http.delete(path).raise_for_status()
    place.space.account(place.name, "default", "docker")


def secret_labelled(place: Place) -> None:
    """Change what no pull looks at."""
    place.patch(SECRET, {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}})


def secret_made_again(place: Place) -> None:
    """Delete the Secret, and make one with the same login."""
    place.cluster.http.delete(SECRET.replace("{}", place.name)).raise_for_status()
    place.secret()


def another_tag(place: Place) -> None:
    """Roll another tag of the same repository out."""
    images = [{"name": "main", "image": f"{REGISTRY}/team/app:2"}]
    place.patch(DEPLOYMENT, {"spec": {"template": {"spec": {"containers": images}}}})


def no_replicas(place: Place) -> None:
    """Scale a covered Deployment to zero, as an autoscaler does."""
    place.patch(DEPLOYMENT, {"spec": {"replicas": 0}})


def pod_of_a_task(place: Place) -> None:
    """Have an owner that is not built in run one covered pod."""
    owner = {
        "apiVersion": "tekton.dev/v1",
        "kind": "TaskRun",
        "name": "run",
        "uid": "u",
        "controller": True,
    }
    place.pod("docker", ownerReferences=[owner])


@pytest.mark.parametrize(
    "change",
    [
        unused_account,
        account_made_again,
        secret_labelled,
        secret_made_again,
        another_tag,
        no_replicas,
        pod_of_a_task,
    ],
)
def test_what_makes_no_difference_leaves_the_gate_open(
    service: Service, place: Place, change: Callable[[Place], None]
) -> None:
    check = judged(service, namespaces=[place.name])

    change(place)

    assert gate(service, check) == (200, [])


def test_a_new_namespace_without_users_leaves_the_gate_open(service: Service, space: Space) -> None:
    Place(space, ("docker",)).secret().workload()
    check = judged(service, namespaces=[space.pattern])

    space.namespace("new")

    assert gate(service, check) == (200, [])


def unpatched_account_in_use(place: Place) -> None:
    """Have a template use a ServiceAccount that was unused, and does not name the Secret."""
    place.space.account(place.name, "idle")
    place.patch(DEPLOYMENT, {"spec": {"template": {"spec": {"serviceAccountName": "idle"}}}})


def patched_account_in_use(place: Place) -> None:
    """The same where it does name it: another template than the one that was judged."""
    place.space.account(place.name, "idle", "docker")
    place.patch(DEPLOYMENT, {"spec": {"template": {"spec": {"serviceAccountName": "idle"}}}})


def another_repository(place: Place) -> None:
    """Have the template use another repository of the registry."""
    images = [{"name": "main", "image": f"{REGISTRY}/team/other:1"}]
    place.patch(DEPLOYMENT, {"spec": {"template": {"spec": {"containers": images}}}})


def one_more_login(place: Place) -> None:
    """Put the login of another registry into the Secret."""
    auths = docker_config()["auths"] | docker_config("other.example.com", "x", "y")["auths"]
    text = json.dumps({"auths": auths})
    place.patch(SECRET, {"data": None, "stringData": {".dockerconfigjson": text}})


def uncovered_dormant(place: Place) -> None:
    """Make a template that wants no pods and would not be covered."""
    body = {
        "metadata": {"name": "asleep"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "asleep"}},
            "template": {
                "metadata": {"labels": {"app": "asleep"}},
                "spec": {
                    "containers": [{"name": "main", "image": IMAGE}],
                    "imagePullSecrets": [{"name": "quay"}],
                },
            },
        },
    }
    place.post(f"/apis/apps/v1/namespaces/{place.name}/deployments", body)


@pytest.mark.parametrize(
    "change",
    [
        unpatched_account_in_use,
        patched_account_in_use,
        another_repository,
        one_more_login,
        uncovered_dormant,
    ],
)
def test_what_matters_still_closes_it(
    service: Service, place: Place, change: Callable[[Place], None]
) -> None:
    check = judged(service, namespaces=[place.name])

    change(place)

    status, codes = gate(service, check)
    assert (status, codes[0]) == (412, "changed")


def test_callers_of_the_same_moment_share_one_look(service: Service, place: Place) -> None:
    check = judged(service, namespaces=[place.name])
    path = f"/readiness-checks/{check['id']}/gate"
    # While the service is paused no look begins, so that all callers are of one moment.
    service.http.post("/system/pause", json={"reason": "test"}).raise_for_status()
    try:
        before = _looks(service)
        with ThreadPoolExecutor(8) as pool:
            answers = list(
                pool.map(lambda _: service.http.get(path, params={"wait": "1"}), range(8))
            )
        began = _looks(service) - before
    finally:
        service.http.post("/system/resume").raise_for_status()
    answer = service.http.get(path, params={"wait": "60"})

    assert {answer.status_code for answer in answers} == {412}
    assert len(began) == 1
    assert answer.status_code == 200


def _looks(service: Service) -> set[str]:
    """Return the keys of all readiness checks, those that confirm others among them."""
    with service.redis() as redis:
        return set(redis.scan_iter("rmd:remediation:chk_*", _type="hash"))


def test_a_check_that_waits_out_a_pause_has_all_of_its_time(service: Service, place: Place) -> None:
    body = {
        "clusters": ["alpha"],
        "registry": REGISTRY,
        "credential": "harbor",
        "namespaces": [place.name],
        "evidence": "L0",
        "timeout_seconds": 2,
    }
    service.http.post("/system/pause", json={"reason": "test"}).raise_for_status()
    try:
        check = service.http.post("/readiness-checks", json=body).json()
        created = datetime.fromisoformat(check["created_at"])
        over = created + timedelta(seconds=3)
        until(lambda: datetime.now(UTC) > over, "end of the time that was given")
    finally:
        service.http.post("/system/resume").raise_for_status()

    path = f"/readiness-checks/{check['id']}"
    until(lambda: service.http.get(path, params={"wait": "60"}).json()["terminal"], "end")

    ended = service.http.get(path).json()
    assert (ended["status"], ended["verdict"]) == ("succeeded", "safe"), ended["clusters"]


def test_an_image_that_is_changed_in_a_covered_pod_is_asked_about(
    service: Service, place: Place
) -> None:
    """A live pod's image may become one of another repository, for which nothing is proven."""
    place.pod()
    check = judged(service, namespaces=[place.name], evidence=None)
    assert found(check, "P_COVERED")["severity"] == "info"

    pod = f"/api/v1/namespaces/{place.name}/pods/web"
    place.cluster.http.patch(
        pod,
        content=json.dumps(
            {"spec": {"containers": [{"name": "main", "image": f"{REGISTRY}/b:1"}]}}
        ),
        headers={"Content-Type": "application/strategic-merge-patch+json"},
    ).raise_for_status()

    assert gate(service, check) == (412, ["changed"])


@pytest.mark.parametrize("paused", [False, True])
def test_an_undo_closes_the_gate_from_its_acceptance_on(
    service: Service, space: Space, paused: bool
) -> None:
    """Once it has ended, the second look sees what it took away."""
    place = Place(space).workload()
    made = service.remediate(clusters=["alpha"], namespaces=[place.name])
    check = judged(service, namespaces=[place.name])

    if paused:
        service.http.post("/system/pause", json={"reason": "test"}).raise_for_status()
    try:
        undo = service.http.post(f"/remediations/{made.body['id']}/undo", json={}).json()["id"]
        answer = service.http.get(f"/readiness-checks/{check['id']}/gate", params={"wait": "0"})
        at_once = [(each["code"], each["detail"]) for each in answer.json()["errors"]]
    finally:
        if paused:
            service.http.post("/system/resume").raise_for_status()
    service.wait(undo)
    later = gate(service, check)

    # A machine under load may let the undo end first.
    codes = {code for code, _ in at_once}
    assert codes == {"may_write"} or (not paused and "changed" in codes), at_once
    assert not paused or f"{undo}, an undo, may still write on alpha" in at_once[0][1]
    assert later[0] == 412
    assert later[1][0] == "changed"


def test_one_more_uncovered_pod_of_a_controller_closes_the_gate(
    service: Service, space: Space
) -> None:
    """An image that is on the node is a risk that the verdict names, pod by pod."""
    node = f"node-{space.prefix}g"
    path = f"/api/v1/nodes/{node}"
    space.clusters[0].apply({"kind": "Node", "metadata": {"name": node}})
    place = Place(space, ()).secret().workload(kind="ReplicaSet")
    sets = f"/apis/apps/v1/namespaces/{place.name}/replicasets/web"
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": "web",
        "uid": place.cluster.http.get(sets).json()["metadata"]["uid"],
        "controller": True,
    }
    try:
        place.patch(f"{path}/status", {"status": {"nodeInfo": node_info("v1.34.9")}})
        for name in ("first", "second"):
            place.pod(policy="IfNotPresent", node=node, name=name, ownerReferences=[owner])
            if name == "first":
                place.patch(ACCOUNT, {"imagePullSecrets": [{"name": "docker"}]})
                check = judged(service, namespaces=[place.name])
                before = gate(service, check)
                place.patch(ACCOUNT, {"imagePullSecrets": None})
        place.patch(ACCOUNT, {"imagePullSecrets": [{"name": "docker"}]})
        after = gate(service, check)
    finally:
        place.cluster.http.delete(path)

    assert found(check, "P_RISK_LOW")["count"] == 1
    assert (before, after) == ((200, []), (412, ["changed"]))
