"""What a run writes to its cluster, for the audit trail: a line for each write at once, an entry for each namespace."""

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from remediation.audit import Action, Entry, Trail, Verdict
from store.audit import Audit, entry, write_line
from store.records import Orders, Run
from worker.faults import Call


class Witness:
    """Notes the writes of one run. The entries of namespaces go out with their rows, in batches."""

    def __init__(
        self, audit: Audit, run: Run, orders: Orders, attempt: int, *, insecure: bool = False
    ) -> None:
        self._audit = audit
        self._attempt = attempt
        self._insecure = insecure
        self._kind = orders.kind
        self._who: dict[str, Any] = {
            "subject": orders.requested_by or None,
            "request_id": orders.request_id or None,
            "remediation_id": run.remediation_id,
            "cluster": run.cluster,
        }
        self._writes: defaultdict[str, list[Entry]] = defaultdict(list)

    def began(self) -> None:
        """Note that the run begins: what follows was done by this attempt."""
        details: dict[str, Any] = {"attempt": self._attempt, "kind": self._kind}
        if self._insecure:
            details["insecure"] = True
        begun = entry(Action.RUN, Verdict.DONE, **self._who, details=details)
        self._audit.record(begun, trail=Trail.WRITES)

    def saw(
        self,
        call: Call,
        fields: tuple[str, ...],
        outcome: Verdict,
        *,
        code: str | None = None,
        version: str | None = None,
    ) -> None:
        """Note one write that was sent; `version` is the resourceVersion after it, where the answer says it."""
        _, namespace, _ = call.object.split("/")
        details = {
            "kind": self._kind,
            "object": call.object,
            "verb": call.verb,
            "fields": list(fields),
        }
        if version:
            details["resource_version"] = version
        written = entry(
            Action.WRITE, outcome, **self._who, namespace=namespace, code=code, details=details
        )
        write_line(written.text())
        self._writes[namespace].append(written)

    def publish(self, namespaces: Collection[str]) -> None:
        """Append the entries of namespaces that are done to the trail. Called from any thread. Raises nothing."""
        taken = [(name, self._writes.pop(name)) for name in namespaces if name in self._writes]
        if taken:
            self._audit.keep([self._summed(*each) for each in taken], trail=Trail.WRITES)

    def publish_rest(self) -> None:
        """Append what is left: writes of namespaces that got no row. Raises nothing."""
        self.publish(list(self._writes))

    def _summed(self, namespace: str, writes: list[Entry]) -> Entry:
        worst = max((write.outcome for write in writes), key=_GRAVITY.index)
        told = [
            {
                **{name: value for name, value in write.details.items() if name != "kind"},
                "outcome": write.outcome,
                "at": write.at,
                **({"code": write.code} if write.code else {}),
            }
            for write in writes
        ]
        details = {"attempt": self._attempt, "kind": self._kind, "writes": told}
        return entry(Action.NAMESPACE, worst, **self._who, namespace=namespace, details=details)


_GRAVITY = (Verdict.DONE, Verdict.REFUSED, Verdict.FAILED, Verdict.UNKNOWN)
