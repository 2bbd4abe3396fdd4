"""Autoscalers: what scales workloads up that want no pods now. Nothing is read where there is no such workload."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from remediation.go_values import is_false
from remediation.readiness.judge import Judge
from remediation.readiness.marks import hint_of_workload
from remediation.readiness.observation import Owner, Sleeper, Waker, Wakes, Workload
from remediation.readiness.wakers import ARGO_GROUP, SUSPENDED_KINDS
from worker.readiness.lists import Lists
from worker.readiness.naming import Names, is_schedule, scales_nothing, scripts_in, texts_of
from worker.readiness.wire_meta import WireMeta, kind_of, strange_group

_AUTOSCALERS = "/apis/autoscaling/v2/horizontalpodautoscalers"
_SCALED_OBJECTS = "scaledobjects.keda.sh"
_KNATIVE_REVISIONS = "revisions.serving.knative.dev"
_SLEEP_INFOS = "sleepinfos.kube-green.com"
_ROUTING_STATE = "serving.knative.dev/routingState"
Place = tuple[str, str, str]
_PAUSED = "autoscaling.keda.sh/paused"
_PAUSED_REPLICAS = "autoscaling.keda.sh/paused-replicas"
_NUMBER = re.compile(r"[+-]?[0-9]{1,10}")


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


class _Excluded(msgspec.Struct, gc=False):
    kind: str = ""
    name: str = ""
    matchLabels: dict[str, str] | None = None


_NOTHING = msgspec.Raw(b"null")


class _CustomSpec(msgspec.Struct, gc=False):
    scaleTargetRef: _Target | None = None
    wakeUpAt: Any = None
    suspendCronJobs: Any = None
    patches: msgspec.Raw = msgspec.field(default_factory=lambda: _NOTHING)
    defaultPatches: msgspec.Raw = msgspec.field(default_factory=lambda: _NOTHING)
    excludeRef: list[_Excluded] | None = None


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
    asleep = {
        judge: {place for place in judge.asleep() if place[1] not in SUSPENDED_KINDS}
        for judge in judges
    }
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


class Scripts:
    """Commands of built-in workloads that may scale others: a CronJob that runs `kubectl scale` is a scheduler, too."""

    def __init__(self) -> None:
        self._found: list[tuple[str, Owner, tuple[bytes, ...]]] = []

    def look(self, workload: Workload, template: msgspec.Raw) -> None:
        """Keep what a pod template runs, if that may scale something and pods of it are wanted."""
        if not workload.dormant and (scripts := scripts_in(template)):
            self._found.append((workload.namespace, Owner(workload.kind, workload.name), scripts))

    def tell(self, judges: Sequence[Judge]) -> None:
        """Tell the judges which workloads that want no pods now are named in them."""
        for judge, _, place, waker in self._named(judges):
            judge.scalers.add(*place, waker)

    def news(self, judges: Sequence[Judge]) -> Iterator[tuple[str, Owner]]:
        """Yield (namespace, owner) of those that name a workload of which a judge knows nothing that wakes it."""
        for judge, found, place, _ in self._named(judges):
            kept = judge.workloads.get(place) or judge.revisions.get(place)
            known = judge.waker(kept.workload) if kept else None
            if known is None or known.wakes is Wakes.NO:
                yield found

    def _named(
        self, judges: Sequence[Judge]
    ) -> Iterator[tuple[Judge, tuple[str, Owner], Place, Waker]]:
        for judge in judges if self._found else ():
            names = Names(judge.asleep())
            for namespace, owner, scripts in self._found if names else ():
                document = {"scripts": [msgspec.json.decode(each) for each in scripts]}
                told = f"what {owner.kind} '{owner.name}' runs names it, and may scale it up"
                for place in names.named_in(owner, namespace, document):
                    yield judge, (namespace, owner), place, Waker(told, Wakes.MAYBE)


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
        self._names = {judge: Names(places) for judge, places in self._asleep.items()}

    def look(self, resource: str, items: Sequence[object]) -> None:
        """Look over a page of a list; `resource` is its name with the group."""
        for raw in items:
            if isinstance(raw, msgspec.Raw):
                self._one(resource, raw)

    def _one(self, resource: str, raw: msgspec.Raw) -> None:
        group = resource.partition(".")[2]
        looks = any(self._asleep.values()) and bool(group) and not scales_nothing(group)
        if not looks and b'"deletionTimestamp"' not in bytes(raw):
            return
        wire = _CUSTOM.decode(raw)
        for judge, places in self._asleep.items():
            if wire.metadata.deletionTimestamp:
                judge.leaving.add(wire.metadata.uid, f"{resource} '{wire.metadata.name}'")
            elif places and looks and not _take(judge, places, resource, wire):
                self._named(judge, resource, wire, msgspec.json.decode(raw))

    def _named(
        self, judge: Judge, resource: str, wire: _Custom, document: Mapping[str, Any]
    ) -> None:
        """Tell of a kind that is not known what it names, and, where it is a schedule, all that it may be for."""
        meta, group = wire.metadata, resource.partition(".")[2]
        kind = str(document.get("kind", ""))
        me = Owner(kind_of(kind, group), meta.name, strange_group(group))
        told = f"{resource} '{meta.name}' names it, and may scale it up"
        for place in self._names[judge].named_in(me, meta.namespace, document):
            judge.scalers.add(*place, Waker(told, Wakes.MAYBE))
        if group == ARGO_GROUP and kind == "Rollout":
            judge.scalers.add_rollout(meta.namespace, meta.name, texts_of(document.get("status")))
        if is_schedule(resource):
            told = f"{resource} '{meta.name}' may be a schedule for what is here, and scale it up"
            judge.scalers.add_for_all(meta.namespace, Waker(told, Wakes.MAYBE))


def _take(judge: Judge, places: Mapping[Place, Sleeper], resource: str, wire: _Custom) -> bool:
    """Hand what a known kind scales to a judge; tell whether the kind is known."""
    meta, spec = wire.metadata, _spec_of(wire)
    if resource == _KNATIVE_REVISIONS:
        place = (meta.namespace, "Revision", meta.name)
        if place in places:
            judge.scalers.add(*place, _waker_of_revision(meta))
    elif resource == _SLEEP_INFOS:
        told = f"kube-green's SleepInfo '{meta.name}' wakes what it put to sleep here"
        for place, sleeper in places.items():
            if place[0] == meta.namespace and _wakes(spec, place, sleeper):
                judge.scalers.add(*place, Waker(told, Wakes.MAYBE))
    elif resource == _SCALED_OBJECTS:
        target = _scaled(meta.namespace, spec.scaleTargetRef)
        if target in places:
            judge.scalers.add(*target, _waker_of_keda(meta))
    else:
        return False
    return True


def _wakes(spec: _CustomSpec, place: Place, sleeper: Sleeper) -> bool:
    """Tell whether a SleepInfo of kube-green may have put a workload to sleep, and wakes it again."""
    if spec.wakeUpAt is None:
        return False
    by_patch = place[1].encode() in bytes(spec.patches) + bytes(spec.defaultPatches)
    if place[1] in ("Job", "CronJob") and not by_patch and spec.suspendCronJobs is not True:
        return False
    return not any(
        (each.kind, each.name) == place[1:]
        or (each.matchLabels and each.matchLabels.items() <= sleeper.labels.items())
        for each in spec.excludeRef or ()
    )


def _spec_of(wire: _Custom) -> _CustomSpec:
    try:
        return msgspec.json.decode(wire.spec, type=_CustomSpec)
    except msgspec.ValidationError:
        return _CustomSpec()  # it has fields of these names and of another form


def _waker_of_revision(meta: WireMeta) -> Waker:
    if (meta.labels or {}).get(_ROUTING_STATE) == "reserve":
        return Waker(f"Knative routes no requests to its Revision '{meta.name}'", Wakes.NO)
    return Waker(f"Knative scales it up at the first request to its Revision '{meta.name}'")


def _waker_of_keda(meta: WireMeta) -> Waker:
    """Read the annotations of a ScaledObject as KEDA 2.19 does (scaledobject_types.go)."""
    marks = meta.annotations or {}
    told = f"KEDA's ScaledObject '{meta.name}'"
    pause, replicas = marks.get(_PAUSED, "false"), marks.get(_PAUSED_REPLICAS)
    if replicas is not None:
        if not _NUMBER.fullmatch(replicas):
            return Waker(
                f"{told} is paused at '{replicas}' replicas, which is not a number", Wakes.MAYBE
            )
        if int(replicas) > 0:
            return Waker(f"{told}, which is paused at {replicas} replicas, scales it to these")
    elif is_false(pause):
        return Waker(f"{told} scales it up by itself")
    others = {key: value for key, value in marks.items() if key not in (_PAUSED, _PAUSED_REPLICAS)}
    if key := hint_of_workload((meta.labels or {}) | others, {}):
        return Waker(f"{told} is paused, and '{key}' on it may end that", Wakes.MAYBE)
    return Waker(f"{told} is paused", Wakes.NO)


_CUSTOM = msgspec.json.Decoder(_Custom)
