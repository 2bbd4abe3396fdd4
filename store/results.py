"""Result rows, read by page in order of cluster and namespace, never all at once."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from redis import Redis

from remediation.outcome import NamespaceResult, Outcome
from remediation.patterns import is_literal, matcher
from store import keys, rows
from store.records import Row, Run

_CHUNK = 500


class Results:
    """The rows of all runs."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis  # its replies are str here, which redis-py's types cannot say

    def rows(
        self,
        runs: Sequence[Run],
        *,
        outcomes: Sequence[Outcome] = tuple(Outcome),
        namespaces: tuple[str, ...] = ("*",),
        after: tuple[int, str] | None = None,
    ) -> Iterator[Row]:
        """Yield the rows of `runs` that match, in order, reading on only as far as they are taken.

        `namespaces` are names or globs. `after` is the (run index, namespace) of the last row already seen.
        """
        first, name = after or (0, "")
        for index, run in enumerate(runs):
            if index < first:
                continue
            start = name if index == first else ""
            for row in self._of_run(run.id, outcomes, namespaces, start):
                yield Row(index, run.cluster, row)

    def namespaces(self, run_id: str, outcomes: Sequence[Outcome] = tuple(Outcome)) -> set[str]:
        """Return the namespaces of a run that have a row of one of the outcomes."""
        return {
            rows.namespace_of(member)
            for outcome in outcomes
            for member, _ in self._redis.zscan_iter(keys.rows(run_id, outcome), count=_CHUNK)
        }

    def _of_run(
        self,
        run_id: str,
        outcomes: Sequence[Outcome],
        namespaces: tuple[str, ...],
        after: str,
    ) -> Iterator[NamespaceResult]:
        if all(is_literal(name) for name in namespaces):
            read = self._named(sorted({name for name in namespaces if name > after}))
        else:
            read = self._scanned(matcher(namespaces), after)
        streams = [read(outcome, keys.rows(run_id, outcome)) for outcome in outcomes]
        yield from heapq.merge(*streams, key=lambda row: row.namespace)

    def _scanned(
        self, matches: Callable[[str], bool], after: str
    ) -> Callable[[Outcome, str], Iterator[NamespaceResult]]:
        def read(outcome: Outcome, key: str) -> Iterator[NamespaceResult]:
            low = f"[{after}\x01" if after else "-"  # \x01 follows the NUL that ends a name
            while members := self._redis.zrangebylex(key, low, "+", start=0, num=_CHUNK):
                for member in members:
                    if matches(rows.namespace_of(member)):
                        yield rows.decode(outcome, member)
                if len(members) < _CHUNK:
                    return
                low = f"[{rows.namespace_of(members[-1])}\x01"

        return read

    def _named(self, names: Sequence[str]) -> Callable[[Outcome, str], Iterator[NamespaceResult]]:
        def read(outcome: Outcome, key: str) -> Iterator[NamespaceResult]:
            for name in names:
                for member in self._redis.zrangebylex(key, f"[{name}\0", f"({name}\x01"):
                    yield rows.decode(outcome, member)

        return read
