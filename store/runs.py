"""Runs as they are at present: which have not ended, which stand in line, which nobody works on."""

from collections.abc import Sequence
from typing import Any

from redis import Redis

from store import keys, run_hash
from store.lines import head, in_line
from store.records import Run


class Runs:
    """The runs of all remediations and checks."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis  # its replies are str here, which redis-py's types cannot say

    def get(self, run_id: str) -> Run | None:
        """Return a run, None if it is not there."""
        return next(iter(self.get_many([run_id])), None)

    def active(self) -> list[Run]:
        """Return the runs that have not ended."""
        return in_line(self._redis, self.get_many(sorted(self._redis.smembers(keys.ACTIVE))))

    def get_many(self, run_ids: Sequence[str]) -> list[Run]:
        """Return those of the runs that are there, in the same order."""
        return run_hash.read(self._redis, run_ids)

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
