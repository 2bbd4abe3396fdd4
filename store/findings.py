"""What readiness checks found: rows by run, and the restart plan of each; stored whole before the run ends."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from redis import Redis

from store import codec, keys
from store.claims import Claim, LeaseLost
from store.elsewhere import told
from store.lua import script
from store.records import Judged, Run

_CHUNK = 500


class Findings:
    """The findings of all runs."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis  # its replies are str here, which redis-py's types cannot say
        self._judged = script(redis, "judged")

    def report(
        self,
        claim: Claim,
        findings: Iterable[Mapping[str, Any]],
        restarts: Mapping[str, Any],
        judged: Judged,
    ) -> None:
        """Store what a run found: rows, and the restart plan. Nothing of it shows before the run ends.

        Raises LeaseLost.
        """
        run_id = claim.run.id
        stored = [keys.run(run_id), keys.findings(run_id), keys.restarts(run_id)]
        which = "first"
        texts = map(codec.dumps, findings)
        while chunk := list(islice(texts, _CHUNK)):
            if not self._judged(keys=stored, args=[claim.attempt, which, "", "", *chunk]):
                raise LeaseLost
            which = "more"
        outcome = codec.encode_judged(judged)
        if not self._judged(
            keys=stored, args=[claim.attempt, which, outcome, codec.dumps(restarts)]
        ):
            raise LeaseLost

    def rows(
        self, runs: Sequence[Run], after: tuple[int, int] | None = None
    ) -> Iterator[tuple[tuple[int, int], dict[str, Any]]]:
        """Yield the findings of the runs that were judged, each with its place, which `after` goes on from.

        A place is (index of the run, index of the finding).
        """
        first, seen = after or (0, -1)
        for index, run in enumerate(runs):
            if index < first or run.judged is None or not run.status.terminal:
                continue
            at = seen + 1 if index == first else 0
            while texts := self._redis.lrange(keys.findings(run.id), at, at + _CHUNK - 1):
                for offset, text in enumerate(texts):
                    yield (index, at + offset), told(codec.loads(text), run.judged)
                at += len(texts)

    def restarts(self, run: Run) -> Any:
        """Return the restart plan of a run as it was stored, None if there is none."""
        text = self._redis.get(keys.restarts(run.id))
        return codec.loads(text) if text else None
