"""Wake-ups: they carry a run's id and nothing else."""

import zlib

from redis import Redis

from store.queue import JOB
from store.store import Store

RUN = "rem_01JD0000000000000000000001-0"


def test_a_wake_up_waits_in_its_pool(store: Store) -> None:
    store.queue.wake("main", RUN)

    assert store.queue.waiting("main") == 1
    assert store.queue.waiting("other") == 0
    assert store.queue.waiting_runs("main") == {RUN}
    assert store.queue.waiting_runs("other") == set()


def test_a_job_names_the_function_and_the_run_and_nothing_more(
    store: Store, redis_server: str
) -> None:
    store.queue.wake("main", RUN)

    with Redis.from_url(f"{redis_server}?db=1") as redis:
        (job,) = list(redis.scan_iter(match="rq:job:*"))
        raw = redis.hgetall(job)
    payload = zlib.decompress(raw[b"data"])
    assert payload.decode().replace(" ", "") == f'["{JOB}",null,["{RUN}"],{{}}]'
    assert raw[b"description"].decode() == RUN
    told = {b"created_at", b"enqueued_at", b"data", b"description", b"origin"}
    others = b" ".join(value for name, value in raw.items() if name not in told)
    assert RUN.encode() not in others


def test_a_run_may_be_woken_twice(store: Store) -> None:
    store.queue.wake("main", RUN)
    store.queue.wake("main", RUN)

    assert store.queue.waiting("main") == 2
    assert len(set(store.queue.of("main").job_ids)) == 2
    assert store.queue.waiting_runs("main") == {RUN}
