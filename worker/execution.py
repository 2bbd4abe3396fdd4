"""An execution: a claimed run with all that is needed to carry it out, and how it fails as a whole."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

import remediation
from remediation.outcome import Error, ErrorCode
from remediation.plan import Task
from remediation.registry.rules import Registries
from remediation.status import RunStatus
from remediation.undo import UndoTask
from store import clock
from store.claims import Claim
from store.records import Orders
from store.store import Store
from worker.kubeconfigs import Context
from worker.vigil import Vigil
from worker.witness import Witness

REACH_SECONDS = 8.0
NO_ANSWER = (ErrorCode.UNREACHABLE, ErrorCode.TIMEOUT)


class RunFailed(Exception):
    """The run cannot go on; `error` says why, for the whole cluster."""

    def __init__(self, error: Error, status: RunStatus = RunStatus.FAILED) -> None:
        super().__init__(str(error.code))
        self.error = error
        self.status = status


def deadline_of(store: Store, claim: Claim) -> datetime:
    """Return a run's deadline as this machine's clock will show it: it is kept by the clock of Redis, and moves."""
    ahead = datetime.now(UTC) - clock.common(store.redis)
    return clock.parse(claim.run.deadline) + ahead


@dataclass(frozen=True, slots=True)
class Execution:
    """A claimed run with all that is needed to carry it out."""

    store: Store
    claim: Claim
    task: Task | UndoTask
    context: Context
    deadline: datetime
    concurrency: int
    cancelled: asyncio.Event
    witness: Witness
    vigil: Vigil
    most_namespaces: int | None = None
    registries: Registries = field(default_factory=Registries)

    @classmethod
    def of(
        cls,
        store: Store,
        claim: Claim,
        task: Task | UndoTask,
        context: Context,
        orders: Orders,
        concurrency: int,
        registries: Registries,
        vigil: Vigil,
    ) -> "Execution":
        """Wire an execution on somebody's orders."""
        return cls(
            store,
            claim,
            task,
            context,
            deadline_of(store, claim),
            concurrency,
            asyncio.Event(),
            Witness(store.audit, claim.run, orders, claim.attempt, insecure=context.insecure),
            vigil,
            orders.most_namespaces,
            registries,
        )

    @property
    def user_agent(self) -> str:
        """How clusters and registries see this run."""
        return f"remediator/{remediation.__version__} (remediation={self.task.remediation_id})"

    @property
    def remaining(self) -> float:
        """The seconds until the deadline, 0 after it."""
        return max(0.0, (self.deadline - datetime.now(UTC)).total_seconds())

    @property
    def too_late(self) -> Error:
        """What there is to say once the deadline has passed."""
        return Error(
            ErrorCode.TIMEOUT,
            f"the deadline of {self.task.request.timeout_seconds} s passed before this was finished",
            "start it again with a larger timeout_seconds: what was done is not done twice",
        )

    def failed(self, error: Error) -> RunFailed:
        """Return how the run ends if the cluster cannot be observed."""
        if self.cancelled.is_set():
            return RunFailed(error, RunStatus.CANCELLED)
        unreachable = error.code in NO_ANSWER
        return RunFailed(error, RunStatus.UNREACHABLE if unreachable else RunStatus.FAILED)
