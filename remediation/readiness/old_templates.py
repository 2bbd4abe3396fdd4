"""Pod templates of before: ReplicaSets without pods and ControllerRevisions, which a rollback brings back.

Sources: pkg/controller/statefulset and daemon of Kubernetes 1.36. A StatefulSet makes the pods below its partition from
status.currentRevision (newVersionedStatefulSetPod), all others, and with OnDelete all of them, from its template; a
DaemonSet makes all from its template. `kubectl rollout undo` makes an older revision the template again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from remediation.readiness.observation import Owner, Workload

# Kinds of objects that are kept only to be rolled back to, once they want no pods.
REVISION_KINDS = ("ReplicaSet", "ReplicationController")


@dataclass(slots=True)
class Alike:
    """Older templates of one controller that give their pods the same; `names` have the revision and the object."""

    kind: str
    pull_secrets: tuple[str, ...]
    account: str
    images: tuple[str, ...]
    names: list[tuple[int, str]] = field(default_factory=list)


CONTROLLER_REVISION = "ControllerRevision"

_Key = tuple[str, tuple[str, ...], str, tuple[str, ...]]


class OldTemplates:
    """The older templates of a cluster: a few names each, since there are ten of every controller."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, Owner], dict[_Key, Alike]] = {}
        self._newest: dict[tuple[str, Owner], int] = {}

    def add(self, controller: Owner, workload: Workload, images: Mapping[str, str]) -> None:
        """Take a template that no pods are wanted of; `images` has one of it for each repository of the target."""
        self.see(controller, workload)
        place = (workload.namespace, controller)
        key = (workload.kind, workload.pull_secrets, workload.account, tuple(sorted(images)))
        found = self._found.setdefault(place, {})
        alike = found.get(key)
        if alike is None:
            alike = found[key] = Alike(*key[:3], tuple(images.values()))
        alike.names.append((workload.revision, workload.name))

    def see(self, controller: Owner, workload: Workload) -> None:
        """Take note of a revision, with pods or without."""
        place = (workload.namespace, controller)
        self._newest[place] = max(workload.revision, self._newest.get(place, 0))

    def is_newest(self, controller: Owner, workload: Workload) -> bool:
        """Tell whether a template is the last that its controller made."""
        return workload.revision >= self._newest.get((workload.namespace, controller), 0)

    def __bool__(self) -> bool:
        return bool(self._found)

    def __iter__(self) -> Iterator[tuple[str, Owner, tuple[Alike, ...]]]:
        for (namespace, controller), found in self._found.items():
            yield namespace, controller, tuple(found.values())
