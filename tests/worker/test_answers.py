"""Answers that no API server gives are told from those that one may give."""

from typing import Any

import orjson
import pytest

from worker.answers import Pages, check_object
from worker.faults import Call, Fault, Retry
from worker.wire import ListMeta, Meta, WireObject

CALL = Call("list", "pods")
PODS = "/api/v1/namespaces/team/pods"


def item(name: str = "web", namespace: str = "team") -> WireObject:
    return WireObject(Meta(name=name, namespace=namespace))


@pytest.mark.parametrize(
    ("path", "kind", "meta", "items"),
    [
        (PODS, "PodList", ListMeta(), [item()]),
        (PODS, "PodList", ListMeta(), []),
        (PODS, "PodList", ListMeta(next="x", remainingItemCount=5), []),
        (PODS, "PodList", ListMeta(remainingItemCount=0), [item()]),
        ("/apis/batch.volcano.sh/v1/jobs", "VcJobList", ListMeta(), [item()]),
        ("/api/v1/namespaces", "NamespaceList", ListMeta(), [item(namespace="")]),
    ],
)
def test_what_a_server_may_say_is_believed(
    path: str, kind: str, meta: ListMeta, items: list[Any]
) -> None:
    Pages(path, CALL).check(kind, meta, items)


@pytest.mark.parametrize(
    ("path", "kind", "meta", "items"),
    [
        (PODS, "Status", ListMeta(), []),
        (PODS, "", ListMeta(), []),
        (PODS, "SecretList", ListMeta(), []),
        (PODS, "PodList", ListMeta(remainingItemCount=1), []),
        (PODS, "PodList", ListMeta(), [item(), item(namespace="other")]),
        (PODS, "PodList", ListMeta(), [item(name="")]),
        ("/apis/batch.volcano.sh/v1/jobs", "Status", ListMeta(), []),
    ],
)
def test_what_no_server_says_is_not(path: str, kind: str, meta: ListMeta, items: list[Any]) -> None:
    with pytest.raises(Fault, match="not what the Kubernetes API promises"):
        Pages(path, CALL).check(kind, meta, items)


def test_a_page_never_leads_back() -> None:
    pages = Pages(PODS, CALL)
    pages.check("PodList", ListMeta(next="a"), [])
    pages.check("PodList", ListMeta(next="b"), [])

    with pytest.raises(Fault, match="was read before"):
        pages.check("PodList", ListMeta(next="a"), [])


def test_a_name_that_was_asked_for_is_that_of_each_item() -> None:
    with pytest.raises(Fault, match="another name"):
        Pages("/api/v1/secrets", CALL, "docker").check("SecretList", ListMeta(), [item()])


@pytest.mark.parametrize(
    "said",
    [
        {"kind": "Status", "metadata": {"name": "docker", "namespace": "team", "uid": "u"}},
        {"kind": "Secret", "metadata": {"name": "other", "namespace": "team", "uid": "u"}},
        {"kind": "Secret", "metadata": {"name": "docker", "namespace": "other", "uid": "u"}},
        {"kind": "Secret", "metadata": {"name": "docker", "namespace": "team"}},
        {"kind": "Secret"},
        {},
        [],
    ],
)
def test_an_answer_about_another_object_is_not_believed(said: Any) -> None:
    path = "/api/v1/namespaces/team/secrets/docker"

    with pytest.raises(Fault) as caught:
        check_object(path, orjson.dumps(said), CALL, Retry.READ_FIRST)

    assert caught.value.retry is Retry.READ_FIRST


def test_an_object_that_was_asked_for_is_believed() -> None:
    meta = {"name": "docker", "namespace": "team", "uid": "u"}
    said = orjson.dumps({"kind": "Secret", "metadata": meta})
    space = orjson.dumps({"kind": "Namespace", "metadata": {"name": "team", "uid": "u"}})

    check_object("/api/v1/namespaces/team/secrets/docker", said, CALL)
    check_object("/api/v1/namespaces/team", space, CALL)
