"""Answers that contradict themselves are not believed: what stands before an API server may answer in its place."""

from collections.abc import Iterable
from typing import Any

import msgspec

from remediation.outcome import Error, ErrorCode
from worker.faults import Call, Fault, Retry
from worker.wire import ListMeta

_LIST_KINDS = {
    "namespaces": "NamespaceList",
    "nodes": "NodeList",
    "pods": "PodList",
    "secrets": "SecretList",
    "serviceaccounts": "ServiceAccountList",
    "replicationcontrollers": "ReplicationControllerList",
    "deployments": "DeploymentList",
    "statefulsets": "StatefulSetList",
    "daemonsets": "DaemonSetList",
    "replicasets": "ReplicaSetList",
    "controllerrevisions": "ControllerRevisionList",
    "jobs": "JobList",
    "cronjobs": "CronJobList",
    "poddisruptionbudgets": "PodDisruptionBudgetList",
}
_KINDS = {
    "namespaces": "Namespace",
    "secrets": "Secret",
    "serviceaccounts": "ServiceAccount",
}
_OWN_GROUPS = ("/api/v1/", "/apis/apps/", "/apis/batch/", "/apis/policy/")


class _Meta(msgspec.Struct, gc=False):
    name: str = ""
    namespace: str = ""
    uid: str = ""


class _Head(msgspec.Struct, gc=False):
    kind: str = ""
    metadata: _Meta = msgspec.field(default_factory=_Meta)


_HEAD = msgspec.json.Decoder(_Head)


class Pages:
    """The pages of one list, each of which has to go on from the one before."""

    def __init__(self, path: str, call: Call, name: str = "") -> None:
        """`name` is the one that a field selector asks for."""
        before, _, resource = path.rpartition("/")
        # Elsewhere a resource of the same name is another kind.
        self._kind = _LIST_KINDS.get(resource) if path.startswith(_OWN_GROUPS) else None
        parent = before.rpartition("/")
        self._namespace = parent[2] if parent[0].endswith("/namespaces") else ""
        self._name = name
        self._call = call
        self._tokens: set[str] = set()

    def check(self, kind: str, metadata: ListMeta, items: Iterable[Any]) -> None:
        """Look at one page. Raises Fault for one that no API server gives."""
        if kind != self._kind if self._kind else not kind.endswith("List"):
            raise unbelievable(self._call, f"it is a '{kind[:60]}', not a {self._kind or 'list'}")
        if (metadata.remainingItemCount or 0) > 0 and not metadata.next:
            raise unbelievable(self._call, "it says that items are left and does not go on")
        if metadata.next in self._tokens:
            raise unbelievable(self._call, "it goes on with a page that was read before")
        if metadata.next:
            self._tokens.add(metadata.next)
        for item in items:
            if not isinstance(item, msgspec.Raw):
                self._check_item(item.metadata)

    def _check_item(self, meta: Any) -> None:
        if not meta.name:
            raise unbelievable(self._call, "an item has no name")
        if self._namespace and meta.namespace != self._namespace:
            raise unbelievable(self._call, "an item is of another namespace")
        if self._name and meta.name != self._name:
            raise unbelievable(self._call, "an item has another name")


def check_object(path: str, body: bytes, call: Call, retry: Retry = Retry.NO) -> None:
    """Look at the answer about one object, which `path` names. Raises Fault for one that no API server gives.

    `retry` says what may be done about it: an answer to a write says nothing of whether that was carried out.
    """
    parts = path.split("/")
    resource, name = parts[-2:]
    namespace = parts[-3] if parts[-4] == "namespaces" else ""
    try:
        head = _HEAD.decode(body)
    except msgspec.MsgspecError:
        raise unbelievable(call, "it is no object", retry) from None
    kind, meta = _KINDS.get(resource), head.metadata
    if kind and head.kind != kind:
        raise unbelievable(call, f"it is a '{head.kind[:60]}', not a {kind}", retry)
    if (meta.name, meta.namespace) != (name, namespace) or not meta.uid:
        raise unbelievable(call, "it is about another object", retry)


def unbelievable(call: Call, why: str, retry: Retry = Retry.NO) -> Fault:
    """Return the fault of an answer that no API server gives."""
    return Fault(
        Error(
            ErrorCode.INTERNAL,
            f"the answer is not what the Kubernetes API promises: {why}",
            "check that the server in the kubeconfig is an API server, and what stands before it",
            object=call.object,
        ),
        retry,
    )
