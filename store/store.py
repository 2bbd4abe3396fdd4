"""All of the store in one value, wired by hand."""

from dataclasses import dataclass

from redis import Redis

from store import keys
from store.approvals import Approvals
from store.audit import Audit
from store.checks import Checks
from store.claims import Claims
from store.closing import Closing
from store.condition import Condition, check_rights, read_condition
from store.connection import connect
from store.events import Events
from store.findings import Findings
from store.idempotency import Idempotency
from store.intake import Intake
from store.inventory import Inventory
from store.journal import Journal
from store.memory import Memories
from store.patience import Patience
from store.pause import Pause
from store.policy import Policies
from store.queue import Queue
from store.quotas import Quotas
from store.remediations import Remediations
from store.results import Results
from store.runs import Runs
from store.sealed import Sealed
from store.writers import Writers

DEFAULT_RETENTION_SECONDS = 30 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Store:
    """One connection to Redis and what is kept there."""

    redis: Redis
    intake: Intake
    remediations: Remediations
    checks: Checks
    runs: Runs
    writers: Writers
    claims: Claims
    closing: Closing
    results: Results
    findings: Findings
    events: Events
    journal: Journal
    memory: Memories
    inventory: Inventory
    idempotency: Idempotency
    policies: Policies
    sealed: Sealed
    queue: Queue
    pause: Pause
    approvals: Approvals
    quotas: Quotas
    audit: Audit
    patience: Patience

    @classmethod
    def open(
        cls,
        url: str,
        *,
        retries: int,
        retention_seconds: int = DEFAULT_RETENTION_SECONDS,
        patience: Patience | None = None,
    ) -> "Store":
        """Wire a store for a Redis URL; nothing is sent yet. Raises InvalidRedisUrl.

        `patience` bounds what a request waits for Redis.
        """
        redis = connect(url, retries=retries, patience=patience)
        return cls(
            redis=redis,
            intake=Intake(redis, retention_seconds),
            remediations=Remediations(redis),
            checks=Checks(redis),
            runs=Runs(redis),
            writers=Writers(redis),
            claims=Claims(redis, retention_seconds),
            closing=Closing(redis, retention_seconds),
            results=Results(redis),
            findings=Findings(redis),
            events=Events(redis),
            journal=Journal(redis),
            memory=Memories(redis),
            inventory=Inventory(redis),
            idempotency=Idempotency(redis),
            policies=Policies(redis),
            sealed=Sealed(redis),
            queue=Queue(connect(url, retries=retries, text=False, patience=patience)),
            pause=Pause(redis),
            approvals=Approvals(redis),
            quotas=Quotas(redis),
            audit=Audit(redis),
            patience=patience or Patience(),
        )

    def ping(self) -> None:
        """Write and read back one key. Raises StoreUnavailable."""
        self.redis.set(keys.PROBE, 1, ex=60)
        self.redis.get(keys.PROBE)

    def condition(self) -> Condition:
        """Return how Redis is set up. Raises StoreUnavailable."""
        return read_condition(self.redis)

    def check(self) -> Condition:
        """Make sure that Redis serves us, and return how it is set up. Raises StoreUnavailable.

        For starts: it asks for more than `ping`.
        """
        self.ping()
        found = self.condition()
        check_rights(self.redis)
        return found

    def close(self) -> None:
        """Drop the connections."""
        self.redis.close()
        self.queue.close()
