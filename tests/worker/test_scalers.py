"""Which autoscalers are read, and what they say of what has no pods."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from remediation.readiness.observation import Going, Owner, Wakes
from tests.remediation.readiness.cluster import Cluster
from worker.readiness.lists import Lists
from worker.readiness.scalers import CustomScalers, read_autoscalers

TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
WEB = Owner("Deployment", "web")


class Listed(Lists):
    """Answers a list without a cluster; None says that it may not be read."""

    def __init__(self, items: list[dict[str, Any]] | None) -> None:
        self.versions, self.refused = {}, {}
        self.items = items
        self.asked: list[str] = []

    async def pages(
        self, path: str, item: Any, *, name: str = "", **params: str
    ) -> AsyncIterator[list[Any]]:
        self.asked.append(path)
        if self.items is None:
            self.refused[path.rpartition("/")[2]] = "forbidden"
        else:
            yield [msgspec.convert(each, item) for each in self.items]


def scaler(minimum: int | None = None, *conditions: str, owner: str = "") -> dict[str, Any]:
    """Return a HorizontalPodAutoscaler for Deployment web."""
    meta: dict[str, Any] = {"name": "web", "namespace": "team"}
    if owner:
        meta["ownerReferences"] = [
            {"apiVersion": "keda.sh/v1alpha1", "kind": owner, "name": "web", "controller": True}
        ]
    spec = {"scaleTargetRef": TARGET} | ({} if minimum is None else {"minReplicas": minimum})
    status = {"conditions": [{"type": each, "status": "True"} for each in conditions]}
    return {"metadata": meta, "spec": spec, "status": status}


def asleep(**fields: Any) -> Cluster:
    """Return a cluster with Deployment web, which has no replicas and uses the registry."""
    return Cluster().account().workload(dormant=True, **fields)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (scaler(), Wakes.NO),
        (scaler(2), Wakes.NO),
        (scaler(0), Wakes.YES),
        (scaler(1, "ScaledToZero"), Wakes.YES),
        (scaler(1, "ScalingLimited"), Wakes.NO),
        (scaler(1, owner="ScaledObject"), Wakes.YES),
        (scaler(1) | {"metadata": {"name": "web", "namespace": "other"}}, None),
    ],
)
def test_an_autoscaler_is_off_at_zero_unless_it_or_keda_scaled_there(
    item: dict[str, Any], expected: Wakes | None
) -> None:
    judge = asleep().judge

    asyncio.run(read_autoscalers(Listed([item]), [judge]))

    found = judge.scalers.of("team", WEB)
    assert (found.wakes if found else None) == expected


def test_autoscalers_are_not_read_where_nothing_sleeps() -> None:
    lists = Listed(None)

    asyncio.run(read_autoscalers(lists, [Cluster().account().workload().judge]))

    assert lists.asked == []


def test_autoscalers_that_may_not_be_read_leave_a_doubt() -> None:
    judge, lists = asleep().judge, Listed(None)

    asyncio.run(read_autoscalers(lists, [judge]))

    found = judge.scalers.of("team", WEB)
    assert found
    assert found.wakes is Wakes.MAYBE
    assert lists.refused == {}, "that is no unreadable list of the verdict's"


def custom(
    spec: dict[str, Any], name: str = "web", labels: dict[str, str] | None = None, **meta: Any
) -> msgspec.Raw:
    """Return a custom resource as a list has it."""
    body = {"metadata": {"name": name, "namespace": "team", "labels": labels or {}, **meta}}
    return msgspec.Raw(json.dumps(body | {"spec": spec}, separators=(",", ":")).encode())


SCALED = "scaledobjects.keda.sh"


def paused(marks: dict[str, str], more: dict[str, str] | None = None) -> msgspec.Raw:
    """Return a ScaledObject for Deployment web with annotations of KEDA."""
    annotations = {f"autoscaling.keda.sh/{key}": value for key, value in marks.items()}
    return custom({"scaleTargetRef": {"name": "web"}}, annotations=annotations | (more or {}))


@pytest.mark.parametrize(
    ("resource", "item", "expected"),
    [
        ("scaledobjects.keda.sh", custom({"scaleTargetRef": {"name": "web"}}), Wakes.YES),
        (
            "scaledobjects.keda.sh",
            custom(
                {"scaleTargetRef": {"name": "web"}},
                annotations={"autoscaling.keda.sh/paused": "true"},
            ),
            Wakes.NO,
        ),
        ("cronhpas.example.com", custom({"scaleTargetRef": TARGET}), Wakes.MAYBE),
        ("cronhpas.example.com", custom({"scaleTargetRef": "web"}), Wakes.MAYBE),
        ("scaledobjects.keda.sh", custom({"scaleTargetRef": {"name": "other"}}), None),
        (
            "scaledobjects.keda.sh",
            custom({"scaleTargetRef": {"kind": "StatefulSet", "name": "web"}}),
            None,
        ),
        ("sleepinfos.kube-green.com", custom({"wakeUpAt": "08:00"}), Wakes.MAYBE),
        ("sleepinfos.kube-green.com", custom({"sleepAt": "20:00"}), None),
        (
            "sleepinfos.kube-green.com",
            custom(
                {
                    "wakeUpAt": "08:00",
                    "excludeRef": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}],
                }
            ),
            None,
        ),
        (
            "sleepinfos.kube-green.com",
            custom({"wakeUpAt": "08:00", "excludeRef": [{"matchLabels": {"app": "other"}}]}),
            Wakes.MAYBE,
        ),
        *(
            (SCALED, paused({"paused": value}), Wakes.NO)
            for value in ("1", "T", "True", "soon", "")
        ),
        *((SCALED, paused({"paused": value}), Wakes.YES) for value in ("0", "F", "False")),
        (SCALED, paused({"paused-replicas": "0"}), Wakes.NO),
        (SCALED, paused({"paused-replicas": "2"}), Wakes.YES),
        (SCALED, paused({"paused-replicas": "2", "paused": "true"}), Wakes.YES),
        (SCALED, paused({"paused-replicas": "few"}), Wakes.MAYBE),
        (
            SCALED,
            paused({"paused-replicas": "0"}, {"downscaler/original-pause-replicas": "1"}),
            Wakes.MAYBE,
        ),
    ],
)
def test_custom_resources_scale_what_they_name(
    resource: str, item: msgspec.Raw, expected: Wakes | None
) -> None:
    judge = asleep().judge

    CustomScalers([judge]).look(resource, [item])

    found = judge.scalers.of("team", WEB)
    assert (found.wakes if found else None) == expected


@pytest.mark.parametrize(
    ("state", "expected"), [("active", Wakes.YES), ("reserve", Wakes.NO), ("", Wakes.YES)]
)
def test_a_knative_revision_says_whether_requests_reach_it(state: str, expected: Wakes) -> None:
    owner = Owner("Revision", "web-00001", "serving.knative.dev")
    judge = asleep(controller=owner).judge
    labels = {"serving.knative.dev/routingState": state}

    CustomScalers([judge]).look("revisions.serving.knative.dev", [custom({}, "web-00001", labels)])

    found = judge.scalers.known("team", owner)
    assert found
    assert found.wakes is expected


def test_a_custom_resource_that_is_being_deleted_takes_what_it_owns_with_it() -> None:
    judge = Cluster().judge
    item = custom({}, uid="1-2-3", deletionTimestamp="2026-01-01T00:00:00Z")

    CustomScalers([judge]).look("externalsecrets.external-secrets.io", [item])

    assert "externalsecrets" in judge.leaving.why(Going(owners=("1-2-3",)))
