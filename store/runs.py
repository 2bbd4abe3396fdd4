"""Runs: claimed under a lease with a fencing number, so that a late worker can write nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any
from uuid import uuid4

from redis import Redis

from remediation.outcome import Error, NamespaceResult, Outcome, summarise_row
from remediation.registry.check import CheckResult
from remediation.status import RunStatus, run_status
from store import clock, codec, events, keys
from store.lines import head, in_line
from store.lua import script
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


class Runs:
    """The runs of all remediations."""

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

    def get(self, run_id: str) -> Run | None:
        """Return a run, None if it is not there."""
        raw = self._redis.hgetall(keys.run(run_id))
        return codec.decode_run(run_id, raw) if raw else None

    def claim(self, run_id: str) -> Claim | None:
        """Take the run, or return None: it has ended, is at work, was tried too often, or has to wait."""
        return self._take(run_id, MAX_ATTEMPTS, to_end=False)

    def claim_to_end(self, run_id: str) -> Claim | None:
        """Take the run in order to end it: however often it was tried, and wherever it stands in line."""
        return self._take(run_id, _UNLIMITED, to_end=True)

    def _take(self, run_id: str, most_attempts: int, *, to_end: bool) -> Claim | None:
        run = self.get(run_id)
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

    def observed(self, claim: Claim, total: int, missing: Sequence[str]) -> None:
        """Note how many namespaces the run will report. Raises LeaseLost."""
        self._fenced(
            self._observed(
                keys=[keys.run(claim.run.id), keys.events(claim.run.remediation_id)],
                args=[
                    claim.attempt,
                    total,
                    codec.dumps(missing),
                    events.change(cluster=claim.run.cluster, total=total),
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

    def report(self, claim: Claim, rows: Sequence[NamespaceResult]) -> int:
        """Store result rows with their counters in one step; return how many were new. Raises LeaseLost."""
        arguments: list[str | int] = []
        for row in rows:
            arguments += [
                row.namespace,
                _OUTCOME_INDEX[row.outcome],
                codec.encode_row(row),
                codec.dumps(summarise_row(row).to_counts()),
            ]
        event = events.progress(
            claim.run.cluster, [(row.namespace, row.outcome.value) for row in rows]
        )
        run = claim.run
        return self._fenced(
            self._report(
                keys=[keys.run(run.id), keys.events(run.remediation_id), *keys.all_rows(run.id)],
                args=[claim.attempt, events.KEPT, event, *arguments],
            ),
            lost=-1,
        )

    def finish(
        self, claim: Claim, error: Error | None = None, status: RunStatus | None = None
    ) -> int:
        """End a run, with the status that its rows say unless one is given; return how many are still open.

        Raises LeaseLost.
        """
        run = self.get(claim.run.id)
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

    def active(self) -> list[Run]:
        """Return the runs that have not ended."""
        runs = list(self._existing(sorted(self._redis.smembers(keys.ACTIVE))))
        return in_line(self._redis, runs)

    def get_many(self, run_ids: Sequence[str]) -> list[Run]:
        """Return those of the runs that are there, in the same order."""
        return list(self._existing(run_ids))

    def others_in_line(self, run: Run) -> list[Run]:
        """Return the runs that have not ended and write the same Secret on the same cluster, in order."""
        waiting = self._redis.lrange(run.line, 0, -1) if run.line else []
        return self.get_many([each for each in waiting if each != run.id])

    def later(self, run: Run) -> list[Run]:
        """Return the runs that ended after `run` in its line and may have written, in order."""
        if not run.line:
            return []
        ended = self._redis.lrange(keys.past(run.line), 0, -1)
        # One that is so old that it has dropped out is older than all that are there.
        return self.get_many(ended[ended.index(run.id) + 1 :] if run.id in ended else ended)

    def next_in_line(self, run: Run) -> Run | None:
        """Return the run that may work now that `run` has ended, None if none waits."""
        first = head(self._redis, run)
        return self.get(first) if first else None

    def without_lease(self, runs: Sequence[Run]) -> list[Run]:
        """Return those of the runs that have not ended and that nobody works on."""
        open_runs = [run for run in runs if not run.status.terminal]
        with self._redis.pipeline(transaction=False) as pipe:
            for run in open_runs:
                pipe.exists(keys.lease(run.id))
            return [run for run, held in zip(open_runs, pipe.execute(), strict=True) if not held]

    def next_lease_end(self, runs: Sequence[Run]) -> int | None:
        """Return in how many milliseconds the first lease of these runs ends, None if nobody works on any."""
        with self._redis.pipeline(transaction=False) as pipe:
            for run in runs:
                pipe.pttl(keys.lease(run.id))
            return min((left for left in pipe.execute() if left >= 0), default=None)

    def may_wake(self, run: Run, milliseconds: int) -> bool:
        """Take the right to send a wake-up for the run; only one caller gets it within the time."""
        return bool(self._redis.set(keys.wake(run.id), 1, nx=True, px=milliseconds))

    def _existing(self, run_ids: Sequence[str]) -> Iterable[Run]:
        with self._redis.pipeline(transaction=False) as pipe:
            for run_id in run_ids:
                pipe.hgetall(keys.run(run_id))
            for run_id, raw in zip(run_ids, pipe.execute(), strict=True):
                if raw:
                    yield codec.decode_run(run_id, raw)

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
