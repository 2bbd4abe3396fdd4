"""What scales a workload up again that wants no pods now: autoscalers, queues, schedulers of sleep.

Sources: reconcileAutoscaler and shouldComputeMetricsForZeroReplicas in pkg/controller/podautoscaler of Kubernetes 1.36
(an autoscaler is off while its target has no replicas, unless it scaled it to zero itself); KEDA's ScaledObject, whose
operator scales from zero; Knative's activator; Kueue, which suspends Jobs until there is room.
"""

import re
from collections.abc import Mapping

from remediation.readiness.observation import Owner, Waker, Wakes

KNATIVE = "serving.knative.dev"
# What has replicas; Jobs and CronJobs are suspended instead.
SCALED_KINDS = ("Deployment", "StatefulSet", "ReplicaSet", "ReplicationController")
_UNTIL_ROOM = "kueue.x-k8s.io/queue-name"
# Annotations and labels that a tool leaves on what it put to sleep, or wakes at the first request.
_MARKS = (
    ("downscaler/original-replicas", "", "kube-downscaler put it to sleep and scales it up again"),
    (
        "idling.alpha.openshift.io/idled-at",
        "",
        "OpenShift has idled it and scales it up at the first request",
    ),
    ("sablier.enable", "true", "Sablier scales it up at the first request"),
    ("com.openfaas.scale.zero", "true", "OpenFaaS scales it up at the first request"),
)
# What schedulers of sleep that are not known by name keep: how many replicas there were. The limits of autoscalers, and
# what a Deployment notes on its ReplicaSets, are not that.
_REMEMBERED = re.compile(
    r"(?!deployment\.kubernetes\.io/)(?:.*[/.])?(?!min|max|desired|paused)[^/]*"
    r"(?:replicas|previous-scale|state-before-sleeping)"
)
_ANY_THERE = re.compile(r"[1-9]")


def waker_by_marks(
    kind: str, marks: Mapping[str, str], controller: Owner | None, managed_by: str = ""
) -> Waker | None:
    """Return what a workload that wants no pods says itself; `marks` are its labels and annotations."""
    if kind == "Job" and _UNTIL_ROOM in marks:
        return Waker(f"Kueue resumes it once queue '{marks[_UNTIL_ROOM]}' has room for it")
    if kind == "Job" and managed_by:
        return Waker(f"{managed_by} manages it and may resume it", Wakes.MAYBE)
    if kind in ("Job", "CronJob") and controller and controller.group:
        told = f"its controller, {controller.kind} '{controller.name}', may resume it"
        return Waker(told, Wakes.MAYBE)
    for mark, value, told in _MARKS:
        if mark in marks and value in ("", marks[mark]):
            return Waker(told)
    for mark, value in sorted(marks.items()):
        if _REMEMBERED.fullmatch(mark) and _ANY_THERE.search(value):
            told = f"'{mark}' on it looks like the note of a tool that scales it up again"
            return Waker(told, Wakes.MAYBE)
    if controller and controller.group == KNATIVE:
        return Waker("Knative scales it up at the first request to its Revision", Wakes.MAYBE)
    # A ReplicaSet or ReplicationController of a custom resource is one of its revisions: see Reduction.waker.
    if controller and controller.group and kind in ("Deployment", "StatefulSet"):
        told = f"its controller, {controller.kind} '{controller.name}', may scale it up"
        return Waker(told, Wakes.MAYBE)
    return None


class Scalers:
    """The autoscalers of a cluster, by what they scale. `unread` says why they are not known."""

    def __init__(self) -> None:
        self.unread = ""
        self._by_target: dict[tuple[str, str, str], Waker] = {}
        self._by_namespace: dict[str, Waker] = {}

    def add(self, namespace: str, kind: str, name: str, waker: Waker) -> None:
        """Take what scales one object; of several the one that is most likely to scale it up counts."""
        place = (namespace, kind, name)
        known = self._by_target.get(place)
        if known is None or _ORDER[waker.wakes] < _ORDER[known.wakes]:
            self._by_target[place] = waker

    def add_for_all(self, namespace: str, waker: Waker) -> None:
        """Take what scales everything in a namespace."""
        self._by_namespace[namespace] = waker

    def known(self, namespace: str, owner: Owner) -> Waker | None:
        """Return what was read about an object itself, None for nothing."""
        return self._by_target.get((namespace, owner.kind, owner.name))

    def of(self, namespace: str, owner: Owner) -> Waker | None:
        """Return what scales an object."""
        found = self.known(namespace, owner)
        if found is None or found.wakes is Wakes.NO:
            found = self._by_namespace.get(namespace) or found
        if found is None and self.unread:
            told = (
                "whether an autoscaler scales it up is not known, because the worker cannot list"
                f" horizontalpodautoscalers ({self.unread})"
            )
            return Waker(told, Wakes.MAYBE)
        return found


_ORDER = {Wakes.YES: 0, Wakes.MAYBE: 1, Wakes.NO: 2}


def likelier(first: Waker | None, second: Waker | None) -> Waker | None:
    """Return the one of two that is more likely to scale up."""
    return min(
        (one for one in (first, second) if one), key=lambda one: _ORDER[one.wakes], default=None
    )
