"""Autoscalers: what scales workloads up that want no pods now. Nothing is read where there is no such workload."""

from collections.abc import Sequence
from typing import Any

import msgspec

from remediation.readiness.judge import Judge
from remediation.readiness.observation import Waker, Wakes
from worker.readiness.lists import Lists
from worker.readiness.wire_meta import WireMeta, kind_of

_AUTOSCALERS = "/apis/autoscaling/v2/horizontalpodautoscalers"
_SCALED_OBJECTS = "scaledobjects.keda.sh"
_KNATIVE_REVISIONS = "revisions.serving.knative.dev"
_SLEEP_INFOS = "sleepinfos.kube-green.com"
_ROUTING_STATE = "serving.knative.dev/routingState"
Place = tuple[str, str, str]
_PAUSED = ("autoscaling.keda.sh/paused", "autoscaling.keda.sh/paused-replicas")


class _Target(msgspec.Struct, gc=False):
    apiVersion: str = ""
    kind: str = ""
    name: str = ""


class _Spec(msgspec.Struct, gc=False):
    scaleTargetRef: _Target | None = None
    minReplicas: int | None = None


class _Condition(msgspec.Struct, gc=False):
    type: str = ""
    status: str = ""


class _Status(msgspec.Struct, gc=False):
    conditions: list[_Condition] | None = None


class _CustomSpec(msgspec.Struct, gc=False):
    scaleTargetRef: _Target | None = None
    wakeUpAt: Any = None


class _Custom(msgspec.Struct, gc=False):
    metadata: WireMeta = msgspec.field(default_factory=WireMeta)
    spec: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"{}"))


class _Autoscaler(msgspec.Struct, gc=False):
    metadata: WireMeta = msgspec.field(default_factory=WireMeta)
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


def _scaled(namespace: str, named: _Target | None) -> Place:
    """Return what a reference names; KEDA's may leave the kind out."""
    if named is None:
        return namespace, "", ""
    group = named.apiVersion.rpartition("/")[0]
    return namespace, kind_of(named.kind or "Deployment", group), named.name


async def read_autoscalers(lists: Lists, judges: Sequence[Judge]) -> None:
    """Hand the HorizontalPodAutoscalers of what wants no pods now to the judges. Raises Fault and ListExpired."""
    asleep = {judge: judge.asleep() for judge in judges}
    if not any(asleep.values()):
        return
    async for page in lists.pages(_AUTOSCALERS, _Autoscaler):
        for wire in page:
            for judge, places in asleep.items():
                place = _scaled(wire.metadata.namespace, wire.spec.scaleTargetRef)
                if place in places:
                    judge.scalers.add(*place, _waker_of(wire))
    unread = lists.refused.pop("horizontalpodautoscalers", "")
    for judge in judges:
        judge.scalers.unread = unread


def _waker_of(wire: _Autoscaler) -> Waker:
    name = f"HorizontalPodAutoscaler '{wire.metadata.name}'"
    above = wire.metadata.controller
    if above and above.group == "keda.sh":
        return Waker(f"KEDA's {above.kind} '{above.name}' scales it up by itself")
    conditions = wire.status.conditions or ()
    own = any(each.type == "ScaledToZero" and each.status == "True" for each in conditions)
    if own or wire.spec.minReplicas == 0:
        return Waker(f"{name} scales it up by itself")
    return Waker(f"{name} is off as long as it has no replicas, and goes on once it has", Wakes.NO)


class CustomScalers:
    """Finds autoscalers among custom resources while those are listed."""

    def __init__(self, judges: Sequence[Judge]) -> None:
        self._asleep = {judge: judge.asleep() for judge in judges}

    def look(self, resource: str, items: Sequence[object]) -> None:
        """Look over a page of a list; `resource` is its name with the group."""
        for raw in items:
            if isinstance(raw, msgspec.Raw):
                self._one(resource, bytes(raw))

    def _one(self, resource: str, raw: bytes) -> None:
        going = b'"deletionTimestamp"' in raw
        scales = b'"scaleTargetRef"' in raw or resource in (_KNATIVE_REVISIONS, _SLEEP_INFOS)
        if not going and not (scales and any(self._asleep.values())):
            return
        wire = _CUSTOM.decode(raw)
        for judge, places in self._asleep.items():
            if wire.metadata.deletionTimestamp:
                judge.leaving.add(wire.metadata.uid, f"{resource} '{wire.metadata.name}'")
            elif scales:
                _take(judge, places, resource, wire)


def _take(judge: Judge, places: frozenset[Place], resource: str, wire: _Custom) -> None:
    meta, spec = wire.metadata, _spec_of(wire)
    target = _scaled(meta.namespace, spec.scaleTargetRef)
    if resource == _KNATIVE_REVISIONS:
        place = (meta.namespace, "Revision", meta.name)
        if place in places:
            judge.scalers.add(*place, _waker_of_revision(meta))
    elif resource == _SLEEP_INFOS and spec.wakeUpAt is not None:
        told = f"kube-green's SleepInfo '{meta.name}' scales up what it put to sleep here"
        judge.scalers.add_for_all(meta.namespace, Waker(told, Wakes.MAYBE))
    elif target in places:
        judge.scalers.add(*target, _waker_of_custom(resource, meta))


def _spec_of(wire: _Custom) -> _CustomSpec:
    try:
        return msgspec.json.decode(wire.spec, type=_CustomSpec)
    except msgspec.ValidationError:
        return _CustomSpec()  # it has fields of these names and of another form


def _waker_of_revision(meta: WireMeta) -> Waker:
    if (meta.labels or {}).get(_ROUTING_STATE) == "reserve":
        return Waker(f"Knative routes no requests to its Revision '{meta.name}'", Wakes.NO)
    return Waker(f"Knative scales it up at the first request to its Revision '{meta.name}'")


def _waker_of_custom(resource: str, meta: WireMeta) -> Waker:
    if resource != _SCALED_OBJECTS:
        return Waker(f"{resource} '{meta.name}' may scale it up", Wakes.MAYBE)
    if any((meta.annotations or {}).get(mark, "false") != "false" for mark in _PAUSED):
        return Waker(f"KEDA's ScaledObject '{meta.name}' is paused", Wakes.NO)
    return Waker(f"KEDA's ScaledObject '{meta.name}' scales it up by itself")


_CUSTOM = msgspec.json.Decoder(_Custom)
