"""What a run knows of earlier ones on the same cluster, and what it adds to that."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from remediation.caution import Caution, bounded
from remediation.drift.cautions import cautions_of
from remediation.drift.past import Memory, Past, outlived, remembered
from remediation.outcome import NamespaceResult
from remediation.plan import Intent, NamespacePlan, Task, with_marks_in_doubt, would_result
from worker.execution import Execution
from worker.observe import Observation, names_of_namespaces
from worker.session import Session

_MANY = 1000  # namespaces

Lines = tuple[tuple[str, str, Past | None], ...]


@dataclass(frozen=True, slots=True)
class Recall:
    """The cluster's memory as it was when the run began."""

    execution: Execution
    memory: Memory

    @classmethod
    async def of(cls, execution: Execution) -> "Recall":
        """Read the memory of the run's cluster."""
        server = execution.claim.run.known_as
        return cls(execution, await asyncio.to_thread(execution.store.memory.read, server))

    async def forget(self, session: Session, seen: Observation) -> None:
        """Forget what is gone; where a run looks at named namespaces only, once many others are remembered."""
        known = seen.known if seen.complete else None
        if known is None and len({place[0] for place in self.memory}) > _MANY:
            known = await names_of_namespaces(session) or None
        if gone := outlived(self.memory, known, seen.states):
            server = self.execution.claim.run.known_as
            memories = self.execution.store.memory
            await asyncio.to_thread(memories.amend, server, self.memory, gone)

    def warned(self, plan: NamespacePlan, row: NamespaceResult) -> NamespaceResult:
        """Return the row of a plan with the warnings about what was, or would be, written; a failed one too.

        It has what stood in objects whose writes are in doubt as well: that is remembered, too.
        """
        told = replace(row, cautions=bounded(row.cautions + self._drift(plan, row)))
        return with_marks_in_doubt(plan, told)

    def foretold(self, plan: NamespacePlan) -> Intent:
        """Return what is about to be written, with all warnings: what is in line later tells nothing of them."""
        found = self._drift(plan, would_result(plan))
        return replace(plan.intent, cautions=plan.cautions + found)

    def _drift(self, plan: NamespacePlan, row: NamespaceResult) -> tuple[Caution, ...]:
        task = self.execution.task
        if not isinstance(task, Task):
            return ()
        return cautions_of(plan, row, task, self.memory, datetime.now(UTC))

    def changes(self, rows: Sequence[NamespaceResult]) -> dict[str, Lines]:
        """Return what finished namespaces change in the memory."""
        task = self.execution.task
        name, now = task.request.secret_name, datetime.now(UTC)
        if task.request.dry_run:
            return {}
        found = {}
        for row in rows:
            undo = not isinstance(task, Task)
            changed = remembered(self.memory, row, name, now, undo=undo)
            if changed:
                found[row.namespace] = tuple((account, name, past) for account, past in changed)
        return found
