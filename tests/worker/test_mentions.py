"""Custom resources: each text that names the registry is found, wherever it stands and whatever serves its kind."""

import asyncio
import base64
import gzip
import json
from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from remediation.outcome import Error, ErrorCode
from remediation.readiness.observation import Mention
from worker.faults import Call, Fault, Gone, Retry
from worker.readiness.lists import Lists
from worker.readiness.mentions import mentions

OWN_KINDS = (
    "/api/v1/persistentvolumeclaims",
    "/api/v1/persistentvolumes",
    "/api/v1/podtemplates",
)
HOST = "registry.example.com"
IMAGE = f"{HOST}/team/app:1"
GROUPS = {
    "groups": [
        {
            "name": "tools.example.com",
            "versions": [
                {"groupVersion": "tools.example.com/v1"},
                {"groupVersion": "tools.example.com/v1beta1"},
            ],
            "preferredVersion": {"groupVersion": "tools.example.com/v1"},
        }
    ]
}


class Answers(Lists):
    """Lists whose answers are given by path; an exception is raised."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.versions, self.refused, self.missing = {}, {}, set()
        self.hints, self.unread = {}, {}
        self._answers = answers

    async def read(self, path: str, call: Call, **params: str) -> bytes:
        there = {**dict.fromkeys(OWN_KINDS, listed()), **self._answers}
        answer = there.get(path, Gone(namespace=False))
        if isinstance(answer, Exception):
            raise answer
        if path == "/apis":
            groups = [{"name": "apps"}, {"name": "batch"}, *answer["groups"]]
            answer = {"kind": "APIGroupList", "groups": groups}
        elif "resources" in answer:
            group = path.removeprefix("/apis/")
            answer = {"kind": "APIResourceList", "groupVersion": group} | answer
        elif "items" in answer:
            answer = {"kind": "CacheList"} | answer
        return orjson.dumps(answer)


def resource(name: str, kind: str) -> dict[str, Any]:
    """Return a resource as the discovery names it."""
    return {"name": name, "kind": kind, "verbs": ["list", "get"]}


def listed(*specs: Any) -> dict[str, Any]:
    """Return a list of objects with these specs."""
    items = [
        {"metadata": {"name": f"o{n}", "namespace": "team"}, "spec": spec}
        for n, spec in enumerate(specs)
    ]
    return {"metadata": {"resourceVersion": "1"}, "items": items}


def found(answers: Mapping[str, Any], lists: Answers | None = None) -> list[Mention]:
    """Return what is found where these answers are given."""

    async def read() -> list[Mention]:
        return [mention async for mention in mentions(lists or Answers(answers), [HOST])]

    return asyncio.run(read())


def one_object(metadata: Mapping[str, Any], spec: Any) -> dict[str, Any]:
    """Return the answers of a cluster with one custom resource."""
    answers = one_kind(spec)
    answers["/apis/tools.example.com/v1/caches"]["items"][0]["metadata"] |= metadata
    return answers


def one_kind(*specs: Any) -> dict[str, Any]:
    """Return the answers of a cluster with one kind of custom resources."""
    return {
        "/apis": GROUPS,
        "/apis/tools.example.com/v1": {"resources": [resource("caches", "Cache")]},
        "/apis/tools.example.com/v1beta1": {"resources": []},
        "/apis/tools.example.com/v1/caches": listed(*specs),
    }


def test_a_kind_that_only_another_version_has_is_read() -> None:
    answers = {
        **one_kind({"image": "quay.io/a"}),
        "/apis/tools.example.com/v1beta1": {
            "resources": [resource("caches", "Cache"), resource("pulls", "Pull")]
        },
        "/apis/tools.example.com/v1beta1/pulls": listed({"image": IMAGE}),
    }

    (mention,) = found(answers)

    assert (mention.kind, mention.field, mention.text) == ("Pull", "spec.image", IMAGE)


def test_groups_of_others_that_end_as_those_of_kubernetes_do_are_read() -> None:
    group = "sparkoperator.k8s.io"
    version = {"groupVersion": f"{group}/v1beta2"}
    own = {"groupVersion": "networking.k8s.io/v1"}
    answers = {
        "/apis": {
            "groups": [
                {"name": group, "versions": [version]},
                {"name": "networking.k8s.io", "versions": [own]},
            ]
        },
        f"/apis/{group}/v1beta2": {
            "resources": [resource("sparkapplications", "SparkApplication")]
        },
        f"/apis/{group}/v1beta2/sparkapplications": listed({"image": IMAGE}),
    }
    lists = Answers(answers)

    (mention,) = found(answers, lists)

    assert (mention.kind, mention.text) == ("SparkApplication", IMAGE)
    assert lists.refused == {}  # and nobody asked for the others


def test_a_text_counts_however_many_stand_before_it_and_however_deep() -> None:
    deep: Any = IMAGE
    for _ in range(60):
        deep = {"in": deep}

    many, nested = found(one_kind({"texts": ["other"] * 5000 + [IMAGE]}, deep))

    assert many.field == "spec.texts[5000]"
    assert (nested.name, nested.text) == ("o1", IMAGE)


def test_the_name_of_a_member_counts() -> None:
    (mention,) = found(one_kind({"mirrors": {HOST: {"endpoint": "x"}}}))

    assert (mention.field, mention.text) == (f"spec.mirrors.{HOST}", HOST)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"registry": {"host": "registry"}, "global": {"domain": "example.com"}}, "registry.host"),
        ({"hosts": {"registry": {"name": "registry"}, "domain": "example.com"}}, "registry.name"),
        ({"image": {"registry": "registry"}, "dns": {"baseDomain": "Example.com"}}, "registry"),
        ({"image": {"host": "registry"}, "issuer": {"name": "example.com"}}, ""),
        ({"image": {"name": "registry"}, "dns": {"domain": "example.com"}}, ""),
        ({"issuer": {"host": "registry"}, "dns": {"domain": "example.com"}}, ""),
        ({"dns": [{"domain": "registry"}, {"domain": "example.com"}]}, ""),
    ],
)
def test_a_host_in_two_objects_is_found_where_the_first_is_about_a_registry(
    spec: Any, field: str
) -> None:
    mentions = found(one_kind(spec))

    assert [mention.text for mention in mentions] == ([HOST] if field else [])
    assert all(mention.field.endswith(field) for mention in mentions)


@pytest.mark.parametrize("code", [ErrorCode.INTERNAL, ErrorCode.FORBIDDEN])
def test_a_kind_that_cannot_be_listed_is_named_and_holds_up_no_other(code: ErrorCode) -> None:
    broken = Fault(Error(code, "conversion webhook failed"), Retry.NO)
    answers = {
        **one_kind({"image": IMAGE}),
        "/apis/tools.example.com/v1": {
            "resources": [resource("bad", "Bad"), resource("caches", "Cache")]
        },
        "/apis/tools.example.com/v1/bad": broken,
    }
    lists = Answers(answers)

    assert len(found(answers, lists)) == 1
    assert lists.refused == {
        "customresources": "these kinds could not be listed: bad.tools.example.com"
    }


COPY = json.dumps({"kind": "Cache", "metadata": {"name": "o0"}, "spec": {"image": IMAGE}})


@pytest.mark.parametrize(
    ("metadata", "fields"),
    [
        ({"labels": {"registry": HOST}}, ["metadata.labels[registry]"]),
        (
            {"annotations": {"example.com/image-applied": IMAGE}},
            ["metadata.annotations[example.com/image-applied]"],
        ),
        (
            {"annotations": {"example.com/last-applied": IMAGE}},
            ["metadata.annotations[example.com/last-applied]"],
        ),
        ({"annotations": {"kubectl.kubernetes.io/last-applied-configuration": COPY}}, []),
        ({"annotations": {"kapp.k14s.io/original": COPY}}, []),
        (
            {
                "annotations": {
                    "objectset.rio.cattle.io/applied": base64.b64encode(
                        gzip.compress(COPY.encode())
                    ).decode()
                }
            },
            [],
        ),
        (
            {"annotations": {"example.com/other": COPY.replace("o0", "o1")}},
            ["metadata.annotations[example.com/other]"],
        ),
        ({"name": HOST}, []),
    ],
)
def test_labels_and_annotations_count_unless_they_are_copies_of_the_object(
    metadata: Mapping[str, Any], fields: list[str]
) -> None:
    assert [mention.field for mention in found(one_object(metadata, {"size": 1}))] == fields


@pytest.mark.parametrize(
    "spec",
    [
        {
            "env": [{"name": "A", "value": "registry"}, {"name": "B", "value": "example.com"}],
            "image": "$(A).$(B)/team/x:1",
        },
        {"params": [{"name": "a", "default": "registry.ex"}], "image": "$(params.a)ample.com/x"},
        {"parameters": {"a": "registry.ex"}, "image": "{{workflow.parameters.a}}ample.com/x"},
        {"env": {"A": "regis", "B": "${A}try.example"}, "script": "pull ${B:-other}.com/x"},
        {"image": "${A:-registry}.${B-example}.com/x"},
    ],
    ids=["kubelet", "default", "braces", "shell", "defaults"],
)
def test_a_host_that_is_split_over_variables_is_found(spec: Any) -> None:
    (mention,) = found(one_kind(spec))

    assert HOST in mention.text
    assert mention.field in ("spec.image", "spec.script")


def test_a_text_that_cannot_be_decoded_is_told() -> None:
    packed = base64.b64encode(b"\x28\xb5\x2f\xfd" + bytes(range(90))).decode()

    (mention,) = found(one_kind({"bundle": packed}))

    assert (mention.field, mention.unread) == ("spec.bundle", True)
