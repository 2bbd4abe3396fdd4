"""The audit trail in Redis: chained by many writers at once, and never lost in silence."""

import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import pytest

from remediation.audit import Action, Trail, Verdict
from store import audit as module
from store import keys
from store.audit import Audit, entry, write_line
from store.connection import PROMPT
from store.store import Store
from tests.conftest import STORE_DATABASE

STREAM = keys.audit(Trail.DECISIONS)


def record(store: Store, number: int, first: int = 0) -> None:
    for each in range(first, first + number):
        store.audit.record(entry(Action.CREATE, Verdict.DONE, subject=f"caller-{each}"))


def subjects(store: Store, trail: Trail = Trail.DECISIONS) -> list[str]:
    return [json.loads(link.text)["subject"] for _, link in store.audit.newest_first(trail)]


def test_each_entry_is_a_line_on_standard_output_and_in_the_stream(
    store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    made = entry(Action.CANCEL, Verdict.DONE, subject="alice", remediation_id="rem_1")

    store.audit.record(made)

    lines = capfd.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == [made.members()]
    (found,) = [json.loads(link.text) for _, link in store.audit.newest_first(Trail.DECISIONS)]
    assert found == made.members()


def test_no_level_of_the_log_switches_it_off(
    store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    logging.disable(logging.CRITICAL)
    try:
        record(store, 1)
    finally:
        logging.disable(logging.NOTSET)

    assert '"action":"remediation.create"' in capfd.readouterr().out


def test_a_line_that_cannot_be_written_is_said_aloud(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setattr(module, "_STANDARD_OUTPUT", writer)

    write_line('{"id":"1"}')

    os.close(writer)
    assert 'takes no audit line (Broken pipe): {"id":"1"}' in caplog.text


def test_the_newest_come_first_and_go_on(store: Store) -> None:
    record(store, 5)

    first = list(islice(store.audit.newest_first(Trail.DECISIONS), 2))
    rest = list(store.audit.newest_first(Trail.DECISIONS, first[-1][0]))

    told = [json.loads(link.text)["subject"] for _, link in [*first, *rest]]
    assert told == [f"caller-{number}" for number in (4, 3, 2, 1, 0)]


def test_a_trail_is_whole(store: Store) -> None:
    record(store, 3)

    found, _ = store.audit.verify(Trail.DECISIONS)

    assert (found.broken, found.entries, found.first, found.last) == (None, 3, 1, 3)
    assert store.audit.verify(Trail.WRITES)[0].entries == 0


def test_the_trails_have_nothing_to_do_with_each_other(store: Store) -> None:
    record(store, 2)
    store.audit.record(entry(Action.RUN, Verdict.DONE, subject="w"), trail=Trail.WRITES)

    assert subjects(store, Trail.WRITES) == ["w"]
    assert store.audit.verify(Trail.WRITES)[0].broken is None
    assert store.audit.verify(Trail.DECISIONS)[0].broken is None


def test_many_writers_make_one_chain(store: Store, redis_server: str) -> None:
    url = f"{redis_server}?db={STORE_DATABASE}"
    stores = [Store.open(url, retries=PROMPT) for _ in range(6)]

    def work(number: int) -> None:
        record(stores[number], 25, first=100 * number)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))

    for each in stores:
        each.close()
    found, _ = store.audit.verify(Trail.DECISIONS)
    assert (found.broken, found.entries) == (None, 150)
    assert len(set(subjects(store))) == 150


def test_threads_of_one_process_lose_nothing(store: Store) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: record(store, 5, first=10 * number), range(16)))
    store.audit.flush()

    found, _ = store.audit.verify(Trail.DECISIONS)
    assert (found.broken, found.entries) == (None, 80)


def altered(store: Store, change: Any) -> str | None:
    record(store, 5)
    entries = store.redis.xrange(STREAM)
    change(store.redis, entries)
    return store.audit.verify(Trail.DECISIONS)[0].broken


def test_an_entry_that_was_taken_out_shows(store: Store) -> None:
    def change(redis: Any, entries: Any) -> None:
        redis.xdel(STREAM, entries[2][0])

    assert altered(store, change) == "entry 4 does not follow on entry 2"


def test_a_trail_that_was_cut_shows(store: Store) -> None:
    def newest(redis: Any, entries: Any) -> None:
        redis.xdel(STREAM, entries[-1][0])

    assert altered(store, newest) == "the newest entry is 4, and 5 were made"


def test_a_beginning_that_was_taken_away_shows(store: Store) -> None:
    def oldest(redis: Any, entries: Any) -> None:
        redis.xtrim(STREAM, maxlen=3, approximate=False)

    assert altered(store, oldest) == "the first entry is 3, and so few entries have all been kept"


def test_an_entry_that_was_put_in_shows(store: Store) -> None:
    def forge(redis: Any, entries: Any) -> None:
        redis.xadd(STREAM, {**entries[-1][1], "sequence": 6, "text": "{}"})

    assert altered(store, forge) == "entry 6 was altered"


def test_a_hash_noted_earlier_is_found_again_only_in_the_same_trail(store: Store) -> None:
    record(store, 2)
    noted = store.audit.verify(Trail.DECISIONS)[0].head
    record(store, 2)

    assert store.audit.verify(Trail.DECISIONS, noted)[1]
    store.redis.delete(STREAM, keys.audit_head(Trail.DECISIONS))  # and made anew, all of it right
    record(store, 4)
    found, seen = store.audit.verify(Trail.DECISIONS, noted)
    assert found.broken is None
    assert not seen


def test_entries_wait_while_redis_is_away(
    redis_server: str, store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    away = Store.open("redis://127.0.0.1:1/0", retries=0)
    trail = Audit(away.redis)
    trail.record(entry(Action.PAUSE, Verdict.DONE, subject="early"))
    assert "early" in capfd.readouterr().out

    trail._append = store.audit._append  # it is back
    trail.record(entry(Action.RESUME, Verdict.DONE, subject="late"))

    assert subjects(store) == ["late", "early"]
    away.close()


def test_a_trail_keeps_its_newest_entries(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 100)
    record(store, 450)

    length = store.redis.xlen(STREAM)
    found, _ = store.audit.verify(Trail.DECISIONS)
    assert 100 <= length < 450
    assert (found.broken, found.last) == (None, 450)


def test_an_append_whose_answer_was_lost_is_not_made_twice(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = store.audit._append

    def twice(**arguments: Any) -> Any:
        """As redis-py does when a connection breaks before the answer comes."""
        real(**arguments)
        return real(**arguments)

    monkeypatch.setattr(store.audit, "_append", twice)
    record(store, 2)

    assert subjects(store) == ["caller-1", "caller-0"]
    assert store.audit.verify(Trail.DECISIONS)[0].broken is None
