"""What is on its way out: objects that are being deleted, and those that garbage collection takes with their owners.

A deletion cannot be taken back: the object is gone once its finalizers are removed (API concepts, "Finalizers"). An
object is collected when none of its owners is left, or the last of them waits for its dependents in the foreground
(attemptToDeleteItem in pkg/controller/garbagecollector of Kubernetes 1.36).
"""

from collections.abc import Collection

from remediation.readiness.observation import Going

_MOST_NAMES = 3


class Leaving:
    """The objects of a cluster that are being deleted, by uid, with what they are called."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def add(self, uid: str, told: str) -> None:
        """Take note that an object is being deleted; `told` names it, such as "Deployment 'web'"."""
        self._names[uid] = told

    def why(self, going: Going) -> str:
        """Say why an object will soon be gone, "" if it stays; a clause that follows its name."""
        if going.deleting:
            return f"is being deleted{_kept_by(going.finalizers)}"
        if going.owners and all(owner in self._names for owner in going.owners):
            return f"goes with its owner, {self._names[going.owners[0]]}, which is being deleted"
        return ""


def _kept_by(finalizers: Collection[str]) -> str:
    told = ", ".join(list(finalizers)[:_MOST_NAMES])
    return f" and stays only until its finalizers are removed ({told})" if told else ""
