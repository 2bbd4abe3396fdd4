"""The audit trail: a line on standard output for each entry, and streams that hold the newest of them, chained."""

import logging
import os
import random
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from redis import Redis

from remediation.audit import Action, Entry, Link, Trail, Verdict, Verification, link, verify
from store import clock, keys
from store.connection import StoreUnavailable
from store.ids import new_id
from store.lua import script

# Standard output is the archive; the streams are for looking things up.
KEPT = 50_000
_CHUNK = 500
_LONGEST_BACKLOG = 20_000
_TRIES = 200
_STANDARD_OUTPUT = 1

log = logging.getLogger(__name__)


def entry(action: Action, outcome: Verdict, **more: Any) -> Entry:
    """Return an entry of this moment."""
    return Entry(id=new_id(), at=clock.now(), action=action, outcome=outcome, **more)


def write_line(text: str) -> None:
    """Write a line to standard output at once; no level or handler of the log switches it off.

    What cannot be written goes to the log instead: it never holds a secret, and must not be lost in silence.
    """
    left = f"{text}\n".encode()
    try:
        while left:
            left = left[os.write(_STANDARD_OUTPUT, left) :]
    except OSError as error:
        log.error("standard output takes no audit line (%s): %s", error.strerror, text)  # noqa: TRY400


class Audit:
    """The trails. Entries that Redis does not take wait in this process; their lines are out already."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis  # its replies are str here, which redis-py's types cannot say
        self._append = script(redis, "append")
        self._backlog: dict[Trail, list[str]] = {trail: [] for trail in Trail}
        self._heads: dict[Trail, tuple[str, int]] = dict.fromkeys(Trail, ("", 0))
        self._adding = threading.Lock()
        self._flushing = threading.Lock()

    def record(self, *entries: Entry, trail: Trail = Trail.DECISIONS) -> None:
        """Write the entries to standard output and append them to the trail. Raises nothing."""
        for each in entries:
            write_line(each.text())
        self.keep(entries, trail=trail)

    def keep(self, entries: Sequence[Entry], *, trail: Trail) -> None:
        """Append entries whose lines are written otherwise. Raises nothing."""
        with self._adding:
            backlog = self._backlog[trail]
            backlog.extend(each.text() for each in entries)
            if (surplus := len(backlog) - _LONGEST_BACKLOG) > 0:
                del backlog[:surplus]
                log.error("%d audit entries are on standard output only: Redis is away", surplus)
        self.flush()

    def flush(self) -> None:
        """Append what waits, unless another thread is at it, which takes it along. Raises nothing."""
        if not self._flushing.acquire(blocking=False):
            return
        try:
            for trail in Trail:
                while self._flush_some(trail):
                    pass
        except StoreUnavailable as error:
            log.warning("audit entries wait for Redis (%s)", type(error).__name__)
        finally:
            self._flushing.release()

    def newest_first(self, trail: Trail, before: str | None = None) -> Iterator[tuple[str, Link]]:
        """Yield entries with their ids in the stream from the newest on, or from the one after `before`."""
        limit = f"({before}" if before else "+"
        while found := self._redis.xrevrange(keys.audit(trail), max=limit, min="-", count=_CHUNK):
            for identity, raw in found:
                yield identity, _link(raw)
            limit = f"({found[-1][0]}"

    def verify(self, trail: Trail, anchor: str | None = None) -> tuple[Verification, bool]:
        """Judge a whole trail; return whether an entry with the hash `anchor`, noted earlier, is in it too."""
        seen = anchor is None
        # What is appended meanwhile is left out: the head and the last id come from one moment.
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hgetall(keys.audit_head(trail))
            pipe.xrevrange(keys.audit(trail), count=1)
            head, newest = pipe.execute()

        def links() -> Iterator[Link]:
            nonlocal seen
            for each in self._oldest_first(trail, newest[0][0] if newest else None):
                seen = seen or each.hash == anchor
                yield each

        found = verify(links(), head.get("hash", ""), int(head.get("count", 0)), KEPT)
        return found, seen

    def _oldest_first(self, trail: Trail, last: str | None) -> Iterator[Link]:
        start = "-"
        while last and (
            found := self._redis.xrange(keys.audit(trail), min=start, max=last, count=_CHUNK)
        ):
            for _, raw in found:
                yield _link(raw)
            start = f"({found[-1][0]}"

    def _flush_some(self, trail: Trail) -> bool:
        """Append some of what waits; return whether there was anything. Raises StoreUnavailable."""
        with self._adding:
            some = self._backlog[trail][:_CHUNK]
        if not some:
            return False
        self._chain(trail, some)
        with self._adding:
            # The oldest may have been dropped meanwhile, never more than `some`.
            kept = set(some)
            self._backlog[trail] = [text for text in self._backlog[trail] if text not in kept]
        return True

    def _chain(self, trail: Trail, texts: Sequence[str]) -> None:
        for attempt in range(_TRIES):
            previous, count = head = self._heads[trail]
            arguments: list[str] = []
            for number, text in enumerate(texts, start=count + 1):
                made = link(number, previous, text)
                arguments += [text, made.hash]
                previous = made.hash
            mine = (previous, count + len(texts))
            answer, number = self._append(
                keys=[keys.audit(trail), keys.audit_head(trail)], args=[head[0], KEPT, *arguments]
            )
            self._heads[trail] = (answer, number)
            # Also where our own first try was carried out and its answer lost.
            if (answer, number) == mine:
                return
            if attempt:
                time.sleep(random.uniform(0, 0.002) * attempt)  # noqa: S311 -- spreads retries
        raise StoreUnavailable("the audit trail is too busy")


def _link(raw: dict[str, str]) -> Link:
    return Link(int(raw["sequence"]), raw["previous"], raw["text"], raw["hash"])
