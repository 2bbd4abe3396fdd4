"""What goes wrong, and how it is mended."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from random import Random

from store.connection import StoreUnavailable
from tests.chaos.fleet import CLUSTERS, Fleet
from tests.chaos.installation import Installation, Job, children, kill
from tests.chaos.redis_server import RedisProxy, RedisServer

# After five deaths the service gives a run up, as it should: that is not what is to be seen here.
_MOST_DEATHS = 2
_RECENT_SECONDS = 0.6
_FIND_SECONDS = 3.0
_LASTS_SECONDS = (0.4, 3.0)
_STOPPED_SECONDS = (2.5, 6.0)  # a lease lasts 3 s

# Action of the way to a cluster, and the share of requests that it meets: some repetitions must get through.
_TROUBLES = {
    "429": 0.3,
    "500": 0.15,
    "503": 0.3,
    "reset": 0.3,
    "lost": 0.3,
    "hang": 0.15,
    "slow": 0.3,
    "truncated": 0.3,
    "410": 0.2,
}


class Back(Enum):
    """What shows that a fault is over."""

    RUN = auto()  # another process writes for the run
    ANSWERS = auto()  # the API is ready
    CLUSTER = auto()  # somebody writes to the cluster


@dataclass
class Fault:
    """One fault. `began` and `ended` are monotonic; `since` is when recovery could begin.

    `run` is the run whose process was killed, in the midst of its writes to `cluster`.
    """

    back: Back
    target: str
    kind: str = ""
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None
    since: float | None = None
    cluster: str | None = None
    run: str | None = None
    recovered: float | None = None


Mend = Callable[[], None]
Begun = tuple[Fault, float, Mend | None]
"""The fault, how long it lasts, and what ends it (None: it is over)."""

Begin = Callable[["Harm"], Begun | None]
"""Does harm, if there is something to be harmed."""


@dataclass
class Harm:
    """Does harm to everything there is, and mends it when it is due."""

    fleet: Fleet
    installation: Installation
    redis: RedisServer
    proxy: RedisProxy
    rng: Random
    faults: list[Fault] = field(default_factory=list)
    _deaths: Counter[str] = field(default_factory=Counter)
    _open: list[tuple[float, Fault, Mend]] = field(default_factory=list)
    _deck: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._dealer = Random(
            f"{self.rng.random()}"
        )  # so that the order of kinds is the seed's alone

    def draw(self) -> str:
        """Return the next kind: each comes as often as its weight says, in random order."""
        if not self._deck:
            self._deck = [name for name, (weight, _) in KINDS.items() for _ in range(weight)]
            self._dealer.shuffle(self._deck)
        return self._deck.pop()

    def begin(self, kind: str) -> Fault | None:
        """Do harm of a kind; return None if there is nothing to be harmed."""
        begun = KINDS[kind][1](self)
        if begun is None:
            return None
        fault, seconds, mend = begun
        fault.kind = kind
        self.faults.append(fault)
        if mend is None:
            fault.since, fault.ended = fault.began, time.monotonic()
        else:
            self._open.append((time.monotonic() + seconds, fault, mend))
        return fault

    def tick(self) -> None:
        """Mend what has lasted long enough."""
        now = time.monotonic()
        self._mend([entry for entry in self._open if entry[0] <= now])

    def heal(self, target: str | None = None) -> None:
        """Mend everything at once, or what has befallen one target."""
        self._mend([entry for entry in self._open if target in (None, entry[1].target)])

    @property
    def all_well(self) -> bool:
        """Tell whether everything is mended."""
        return not self._open

    def lasts(self) -> float:
        """Return how long a fault lasts."""
        return self.rng.uniform(*_LASTS_SECONDS)

    def job(self) -> Job | None:
        """Return a job in the midst of its writes, that may be harmed; None if none comes up within seconds."""
        deadline = time.monotonic() + _FIND_SECONDS
        while time.monotonic() < deadline:
            since = time.monotonic() - _RECENT_SECONDS
            with suppress(StoreUnavailable):
                jobs = self.installation.jobs()
                self.rng.shuffle(jobs)
                for job in jobs:
                    writes = job.remediation in self.fleet.ways[job.cluster].writers(since)
                    if writes and self._deaths[job.run] < _MOST_DEATHS:
                        self._deaths[job.run] += 1
                        return job
            self.tick()
            time.sleep(0.05)
        return None

    def _mend(self, entries: list[tuple[float, Fault, Mend]]) -> None:
        for entry in entries:
            self._open.remove(entry)
            _, fault, mend = entry
            mend()
            fault.ended = time.monotonic()
            if fault.since is None:
                fault.since = fault.ended


def _of_run(job: Job) -> Fault:
    return Fault(Back.RUN, job.run, cluster=job.cluster, run=job.run)


def _kill_job(harm: Harm) -> Begun | None:
    if (job := harm.job()) is None:
        return None
    fault = _of_run(job)
    kill(job.pid)
    return fault, 0.0, None


def _kill_process(harm: Harm) -> Begun | None:
    if (job := harm.job()) is None:
        return None
    fault = _of_run(job)
    kill(job.parent)
    return fault, 0.0, None


def _kill_worker(harm: Harm) -> Begun | None:
    job, parent = harm.job(), harm.installation.worker()
    if job is None or parent is None:
        return None
    fault = _of_run(job)
    kill(parent)
    return fault, 0.0, None


def _stop_job(harm: Harm) -> Begun | None:
    if (job := harm.job()) is None:
        return None
    fault = _of_run(job)
    kill(job.pid, signal.SIGSTOP)
    fault.since = fault.began
    return fault, harm.rng.uniform(*_STOPPED_SECONDS), lambda: kill(job.pid, signal.SIGCONT)


def _kill_attendant(harm: Harm) -> Begun | None:
    fault = Fault(Back.ANSWERS, "attendant")
    with suppress(StoreUnavailable):
        for pid in harm.installation.attendants():
            kill(pid)
    return fault, 0.0, None


def _kill_api_process(harm: Harm) -> Begun | None:
    if not (found := children(harm.installation.api())):
        return None
    fault = Fault(Back.ANSWERS, "api")
    kill(harm.rng.choice(found))
    return fault, 0.0, None


def _kill_api(harm: Harm) -> Begun | None:
    if (parent := harm.installation.api()) is None:
        return None
    fault = Fault(Back.ANSWERS, "api")
    kill(parent)
    return fault, 0.0, None


def _kill_redis(harm: Harm) -> Begun | None:
    harm.heal("redis")
    fault = Fault(Back.ANSWERS, "redis")
    harm.redis.kill()
    return fault, harm.lasts(), harm.redis.start


def _reset_redis(harm: Harm) -> Begun | None:
    fault = Fault(Back.ANSWERS, "redis")
    harm.proxy.cut()
    return fault, 0.0, None


def _redis_is(mode: str) -> Begin:
    def begin(harm: Harm) -> Begun | None:
        harm.heal("redis")
        fault = Fault(Back.ANSWERS, "redis")
        harm.proxy.behave(mode)

        def mend() -> None:
            harm.proxy.behave("pass")
            if mode == "hang" and harm.rng.random() < 0.5:
                harm.proxy.cut()

        if mode == "refuse":
            harm.proxy.cut()
        return fault, harm.lasts(), mend

    return begin


def _kill_up(harm: Harm) -> Begun | None:
    harm.heal()
    fault = Fault(Back.ANSWERS, "up")
    harm.installation.kill(children=False)
    harm.installation.start()
    return fault, 0.0, None


def _end_up(harm: Harm) -> Begun | None:
    harm.heal()
    fault = Fault(Back.ANSWERS, "up")
    harm.installation.stop()
    harm.installation.start()
    return fault, 0.0, None


def _kill_everything(harm: Harm) -> Begun | None:
    harm.heal()
    fault = Fault(Back.ANSWERS, "up")
    harm.installation.kill(children=True)
    harm.redis.kill()
    harm.redis.start()
    harm.installation.start()
    return fault, 0.0, None


def _trouble(action: str) -> Begin:
    def begin(harm: Harm) -> Begun | None:
        cluster = harm.rng.choice(CLUSTERS)
        harm.heal(cluster)
        way = harm.fleet.ways[cluster]
        fault = Fault(Back.CLUSTER, cluster, cluster=cluster)
        way.harm(action, _TROUBLES[action])
        return fault, harm.lasts(), way.heal

    return begin


JOB_KILLED = "job process killed"
PROCESS_KILLED = "worker process killed"
WORKER_KILLED = "worker killed with all its processes"
JOB_STOPPED = "job process stopped for a while"
KINDS: dict[str, tuple[int, Begin]] = {
    JOB_KILLED: (5, _kill_job),
    PROCESS_KILLED: (5, _kill_process),
    WORKER_KILLED: (2, _kill_worker),
    JOB_STOPPED: (3, _stop_job),
    "attendant killed": (1, _kill_attendant),
    "API process killed": (2, _kill_api_process),
    "API killed with all its processes": (2, _kill_api),
    "Redis killed": (2, _kill_redis),
    "Redis connections reset": (1, _reset_redis),
    "Redis refuses connections": (1, _redis_is("refuse")),
    "Redis loses answers": (2, _redis_is("lose")),
    "Redis hangs": (1, _redis_is("hang")),
    "Redis slow": (1, _redis_is("slow")),
    "up killed alone": (1, _kill_up),
    "up ended with SIGTERM": (1, _end_up),
    "everything killed": (2, _kill_everything),
    **{f"API server: {action}": (1, _trouble(action)) for action in _TROUBLES},
}
KILLS = (JOB_KILLED, PROCESS_KILLED, WORKER_KILLED)
