"""Claims: runs are taken under a lease with a fencing number, so that a late worker can write nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any
from uuid import uuid4

from redis import Redis

from remediation.caution import count_cautions
from remediation.outcome import Error, NamespaceResult, Outcome, summarise_row
from remediation.registry.check import CheckResult
from remediation.status import RunStatus, run_status
from remediation.unmatched import Unmatched
from store import clock, codec, events, keys, memory, rows, run_hash, writers
from store.lua import script
from store.memory import Remembered
from store.records import Run

LEASE_MS = 3000
MAX_ATTEMPTS = 5
MOST_PAST = 1000
_UNLIMITED = 2**31
_OUTCOME_INDEX = {outcome: index for index, outcome in enumerate(Outcome, start=1)}


class LeaseLost(Exception):
    """Somebody else has the run, or it has ended: stop writing."""


class Hold(IntEnum):
    """What a renewed lease says."""

    LOST = 0  # somebody else has the run, or it has ended
    HELD = 1
    CANCELLED = 2  # held, in order to be ended


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to carry out a run; `attempt` is its fencing number."""

    run: Run
    attempt: int


class Claims:
    """What only the holder of a run may do. Every write names the attempt, and is refused once it is another's."""

    def __init__(self, redis: Redis, retention_seconds: int) -> None:
        self._redis: Any = redis  # its replies are str here, which redis-py's types cannot say
        self._retention = retention_seconds
        self._claim = script(redis, "claim")
        self._renew = script(redis, "renew")
        self._credential = script(redis, "credential")
        self._observed = script(redis, "observed")
        self._checked = script(redis, "checked")
        self._report = script(redis, "report")
        self._finish = script(redis, "finish")

    def take(self, run_id: str) -> Claim | None:
        """Take the run, or return None: it has ended, is at work, was tried too often, or has to wait."""
        return self._take(run_id, MAX_ATTEMPTS, to_end=False)

    def take_to_end(self, run_id: str) -> Claim | None:
        """Take the run in order to end it: however often it was tried, and wherever it stands in line."""
        return self._take(run_id, _UNLIMITED, to_end=True)

    def _take(self, run_id: str, most_attempts: int, *, to_end: bool) -> Claim | None:
        run = self._run(run_id)
        if run is None or run.status.terminal:
            return None
        result, attempt = self._claim(
            keys=[
                keys.run(run_id),
                keys.lease(run_id),
                keys.remediation(run.remediation_id),
                keys.events(run.remediation_id),
                keys.run(run_id) if to_end or not run.line else run.line,
                keys.run(run_id) if to_end else keys.PAUSE,
            ],
            args=[
                clock.now(),
                LEASE_MS,
                most_attempts,
                events.change(cluster=run.cluster),
                run_id,
                uuid4().hex,
            ],
        )
        return Claim(run, attempt) if result == "claimed" else None

    def renew(self, claim: Claim) -> Hold:
        """Hold the run for another LEASE_MS; return what is to be done with it."""
        return self._set_lease(claim, LEASE_MS)

    def look(self, claim: Claim) -> Hold:
        """Return what is to be done with the run; the lease ends when it would have."""
        return self._set_lease(claim, None)

    def hand_back(self, claim: Claim) -> None:
        """Give the lease back at once, so that somebody else may go on."""
        self._set_lease(claim, 0)

    def uses_credential(self, claim: Claim, fingerprint: str) -> None:
        """Note the fingerprint of the credential that the run works with. Raises LeaseLost."""
        answer = self._credential(keys=[keys.run(claim.run.id)], args=[claim.attempt, fingerprint])
        self._fenced(answer, lost=0)

    def observed(
        self,
        claim: Claim,
        total: int,
        missing: Sequence[str],
        unmatched: Sequence[Unmatched] | None = None,
        endings: Sequence[str] = (),
    ) -> None:
        """Note how many namespaces the run will report, what of its request matches nothing, and which logins end.

        Without `unmatched` what was noted before stays. Raises LeaseLost.
        """
        more = (
            []
            if unmatched is None
            else [codec.encode_unmatched(unmatched), codec.dumps(list(endings))]
        )
        self._fenced(
            self._observed(
                keys=[keys.run(claim.run.id), keys.events(claim.run.remediation_id)],
                args=[
                    claim.attempt,
                    total,
                    codec.dumps(missing),
                    events.change(cluster=claim.run.cluster, total=total),
                    *more,
                ],
            ),
            lost=0,
        )

    def checked(self, claim: Claim, result: CheckResult) -> None:
        """Note what the registry said of the credential. Raises LeaseLost."""
        report = result.deciding
        self._fenced(
            self._checked(
                keys=[keys.run(claim.run.id), keys.events(claim.run.remediation_id)],
                args=[
                    claim.attempt,
                    codec.encode_check(result),
                    events.change(
                        cluster=claim.run.cluster, registry=report.registry, verdict=report.verdict
                    ),
                ],
            ),
            lost=0,
        )

    def report(
        self,
        claim: Claim,
        results: Sequence[NamespaceResult],
        changes: Mapping[str, Remembered] | None = None,
    ) -> int:
        """Store result rows with their counters in one step; return how many were new. Raises LeaseLost.

        `changes` are those of the cluster's memory, by namespace; they are made with the row that causes them.
        """
        arguments: list[str | int] = []
        for row in results:
            arguments += [
                row.namespace,
                _OUTCOME_INDEX[row.outcome],
                rows.encode(row),
                codec.dumps(summarise_row(row).to_counts() | count_cautions(row.cautions)),
                memory.encode((changes or {}).get(row.namespace, ())),
            ]
        event = events.progress(
            claim.run.cluster, [(row.namespace, row.outcome.value) for row in results]
        )
        run = claim.run
        return self._fenced(
            self._report(
                keys=[
                    keys.run(run.id),
                    keys.events(run.remediation_id),
                    memory.key_of(run.known_as),
                    *keys.all_rows(run.id),
                ],
                args=[claim.attempt, events.KEPT, self._retention, event, *arguments],
            ),
            lost=-1,
        )

    def finish(
        self, claim: Claim, error: Error | None = None, status: RunStatus | None = None
    ) -> int:
        """End a run, with the status that its rows say unless one is given; return how many are still open.

        Raises LeaseLost.
        """
        run = self._run(claim.run.id)
        if run is None:
            raise LeaseLost(claim.run.id)
        ended = status or run_status(run.summary)
        return self._fenced(
            self._finish(
                keys=[
                    keys.run(run.id),
                    keys.lease(run.id),
                    keys.remediation(run.remediation_id),
                    keys.events(run.remediation_id),
                    keys.ACTIVE,
                    run.line or keys.run(run.id),
                    keys.past(run.line) if run.line else keys.run(run.id),
                    keys.journal(run.id),
                    writers.key_of_run(run) or keys.run(run.id),
                ],
                args=[
                    run.id,
                    claim.attempt,
                    ended,
                    clock.now(),
                    codec.dumps(codec.encode_error(error)) if error else "",
                    events.change(cluster=run.cluster, status=ended),
                    MOST_PAST,
                    self._retention,
                ],
            ),
            lost=-1,
        )

    def _run(self, run_id: str) -> Run | None:
        return next(iter(run_hash.read(self._redis, [run_id])), None)

    def _set_lease(self, claim: Claim, milliseconds: int | None) -> Hold:
        run = claim.run
        answer = self._renew(
            keys=[keys.run(run.id), keys.lease(run.id), keys.remediation(run.remediation_id)],
            args=[claim.attempt, "" if milliseconds is None else milliseconds],
        )
        return Hold(answer)

    @staticmethod
    def _fenced(answer: int, *, lost: int) -> int:
        if answer == lost:
            raise LeaseLost
        return answer
