"""What scales a workload up again that wants no pods now: autoscalers, queues, schedulers of sleep.

Sources: reconcileAutoscaler and shouldComputeMetricsForZeroReplicas in pkg/controller/podautoscaler of Kubernetes 1.36
(an autoscaler is off while its target has no replicas, unless it scaled it to zero itself); KEDA's ScaledObject, whose
operator scales from zero; Knative's activator; Kueue, which suspends Jobs until there is room.
"""

import re
from collections.abc import Mapping

from remediation.readiness.marks import hint_of_namespace, hint_of_workload
from remediation.readiness.observation import Owner, Waker, Wakes

KNATIVE = "serving.knative.dev"
ARGO_GROUP = "argoproj.io"
OPENSHIFT = "apps.openshift.io"
SUSPENDED_KINDS = ("Job", "CronJob")
# What has replicas; Jobs and CronJobs are suspended instead.
SCALED_KINDS = ("Deployment", "StatefulSet", "ReplicaSet", "ReplicationController")
_UNTIL_ROOM = "kueue.x-k8s.io/queue-name"
# Their values are said above to wake nothing, or are the limits of something that is read as such.
_SETTLED = frozenset({"sablier.enable", "com.openfaas.scale.zero"})
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
# A note of how many replicas there were; the limits of autoscalers, and what a Deployment notes on its ReplicaSets, are
# not that. Where such a note says none, none will be restored.
_REMEMBERED = re.compile(
    r"(?!deployment\.kubernetes\.io/)(?:.*[/.])?(?!min|max|desired|paused)[^/]*"
    r"(?:replicas|previous-scale|state-before-sleeping)"
)
_NONE: Mapping[str, str] = {}
_ANY_THERE = re.compile(r"[1-9]")


def waker_by_marks(
    kind: str,
    marks: Mapping[str, str],
    controller: Owner | None,
    managed_by: str = "",
    of_pods: Mapping[str, str] = _NONE,
) -> Waker | None:
    """Return what a workload that wants no pods says itself.

    `marks` are its labels and annotations, `of_pods` the labels of its template.
    """
    if kind == "Job" and _UNTIL_ROOM in marks:
        return Waker(f"Kueue resumes it once queue '{marks[_UNTIL_ROOM]}' has room for it")
    if kind == "Job" and managed_by:
        return Waker(f"{managed_by} manages it and may resume it", Wakes.MAYBE)
    if kind in SUSPENDED_KINDS and controller and controller.group:
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
    others = {key: value for key, value in marks.items() if not _is_settled(key, value)}
    if key := hint_of_workload(others, of_pods):
        told = (
            f"'{key}' on it, which is not among the keys that are known to be harmless, may be where a tool keeps its"
            " replicas or its schedule"
        )
        return Waker(told, Wakes.MAYBE)
    return None


def _is_settled(key: str, value: str) -> bool:
    """Tell whether what is said above of a mark is all."""
    return key in _SETTLED or (bool(_REMEMBERED.fullmatch(key)) and value.strip() == "0")


def waker_by_namespace(marks: Mapping[str, str]) -> Waker | None:
    """Return what the labels and annotations of a namespace say of all workloads in it that want no pods."""
    if key := hint_of_namespace(marks):
        told = f"'{key}' on its namespace may be the schedule of a tool that scales it up again"
        return Waker(told, Wakes.MAYBE)
    return None


class Scalers:
    """The autoscalers of a cluster, by what they scale. `unread` says why they are not known."""

    def __init__(self) -> None:
        self.unread = ""
        self._by_target: dict[tuple[str, str, str], Waker] = {}
        self._by_namespace: dict[str, Waker] = {}
        self._used: dict[tuple[str, Owner], frozenset[str]] = {}

    def add(self, namespace: str, kind: str, name: str, waker: Waker) -> None:
        """Take what scales one object; of several the one that is most likely to scale it up counts."""
        place = (namespace, kind, name)
        known = self._by_target.get(place)
        if known is None or _ORDER[waker.wakes] < _ORDER[known.wakes]:
            self._by_target[place] = waker

    def add_for_all(self, namespace: str, waker: Waker) -> None:
        """Take what scales everything in a namespace, "" for all namespaces."""
        self._by_namespace.setdefault(namespace, waker)

    def add_rollout(self, namespace: str, name: str, used: frozenset[str]) -> None:
        """Take the texts of the status of an Argo Rollout; the hashes of the revisions in use are among them."""
        self._used[namespace, Owner("Rollout", name, ARGO_GROUP)] = used

    def is_old(self, namespace: str, controller: Owner, name: str, *, newest: bool) -> bool:
        """Tell whether only a rollback can give pods to a ReplicaSet or ReplicationController of a controller."""
        if controller.group == OPENSHIFT:
            return not newest
        used = self._used.get((namespace, controller))
        return used is not None and not newest and name.rpartition("-")[2] not in used

    def known(self, namespace: str, owner: Owner) -> Waker | None:
        """Return what was read about an object itself, None for nothing."""
        return self._by_target.get((namespace, owner.kind, owner.name))

    def meant(self, namespace: str, owner: Owner) -> Waker | None:
        """Return what wakes an object, autoscalers of Kubernetes aside, which do not resume what is suspended."""
        found = self.known(namespace, owner)
        if found is None or found.wakes is Wakes.NO:
            by = self._by_namespace
            found = by.get(namespace) or by.get("") or found
        return found

    def of(self, namespace: str, owner: Owner) -> Waker | None:
        """Return what scales an object."""
        found = self.meant(namespace, owner)
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
