"""One episode: many remediations, faults at random moments, then everything is healed and comes to its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx

from tests.chaos.faults import KILLS, Back, Fault, Harm
from tests.chaos.fleet import CLUSTERS, Content, Fleet, Others
from tests.chaos.installation import Installation
from tests.chaos.loop import Loop
from tests.chaos.traffic import Traffic
from tests.chaos.way import WRITE_SECONDS

DRAIN_SECONDS = 600.0  # nobody waits for it: a machine may be loaded
_GAP_SECONDS = (0.1, 1.2)
# Before and after some of the kills all else is left well, so that their recovery can be measured.
_CALM_SHARE = 0.4
_CALM_SECONDS = 2.0
_WATCHED_SECONDS = 10.0
_TICK_SECONDS = 0.02
_FIRST_WRITE_SECONDS = 30.0


class Pulse:
    """Asks the API again and again whether it is ready."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._well: list[float] = []

    def step(self) -> float:
        """Ask once; return how long to wait."""
        asked = time.monotonic()
        if self._installation.ready():
            self._well.append(asked)
        return 0.1

    def next(self, since: float) -> float | None:
        """Return when it was first well after `since`."""
        return next((at for at in self._well if at > since), None)


@dataclass
class Record:
    """What there was, what was asked for, what was done: all that the invariants are about."""

    before: dict[str, Content]
    traffic: Traffic
    others: dict[str, Others]
    faults: list[Fault] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    wrote: dict[str, set[str]] = field(default_factory=dict)


class NotDrained(AssertionError):
    """Some remediations did not come to an end though everything was healed."""


def play(harm: Harm, number: int, rounds: int) -> Record:
    """Play an episode with so many faults; return what came of it. Raises NotDrained."""
    fleet, installation = harm.fleet, harm.installation
    rng = Random(f"{harm.rng.random()}")
    before = fleet.reset(rng)
    for way in fleet.ways.values():
        way.log.clear()
        way.write_seconds = WRITE_SECONDS
    traffic = Traffic(installation, number, Random(f"{rng.random()}"))
    others = {
        name: Others(fleet.clusters[name], before[name], Random(f"{rng.random()}"))
        for name in CLUSTERS
    }
    pulse = Pulse(installation)
    record = Record(before, traffic, others)
    first = len(harm.faults)
    with ExitStack() as loops:
        for name, step in (
            ("traffic", traffic.step),
            ("pulse", pulse.step),
            *((f"others-{name}", them.step) for name, them in others.items()),
        ):
            loops.callback(Loop(name, step).stop)
        _wait(
            harm, _FIRST_WRITE_SECONDS, lambda: any(way.writers(0) for way in fleet.ways.values())
        )
        while len(harm.faults) < first + rounds:
            _round(fleet, harm, pulse, rng)
        _wait(harm, rng.uniform(*_GAP_SECONDS))
        harm.heal()
        traffic.enough()
        for way in fleet.ways.values():
            way.write_seconds = 0.0
        record.bodies = _drained(traffic, harm)
    record.faults = harm.faults[first:]
    for fault in record.faults:
        fault.recovered = _recovery(fault, fleet, pulse)
    record.wrote = {name: way.writers(0) for name, way in fleet.ways.items()}
    return record


def _round(fleet: Fleet, harm: Harm, pulse: Pulse, rng: Random) -> None:
    """Do one harm at a random moment."""
    kind = harm.draw()
    calm = kind in KILLS and rng.random() < _CALM_SHARE
    if calm:
        _wait(harm, _WATCHED_SECONDS, lambda: harm.all_well)
    _wait(harm, _CALM_SECONDS if calm else rng.uniform(*_GAP_SECONDS))
    fault = harm.begin(kind)
    if fault and calm:
        _wait(harm, _WATCHED_SECONDS, lambda: _recovery(fault, fleet, pulse))


def _wait(harm: Harm, seconds: float, done: Callable[[], object] = lambda: False) -> None:
    """Wait until `done`, at most so long; what is due is mended meanwhile."""
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        harm.tick()
        time.sleep(_TICK_SECONDS)


def _recovery(fault: Fault, fleet: Fleet, pulse: Pulse) -> float | None:
    if fault.since is None:
        return None
    if fault.back is Back.ANSWERS:
        return pulse.next(fault.since)
    assert fault.cluster
    way = fleet.ways[fault.cluster]
    if fault.back is Back.CLUSTER:
        return way.any_write(fault.since)
    assert fault.run
    return way.next_write(fault.run.rpartition("-")[0], fault.since)


def _drained(traffic: Traffic, harm: Harm) -> list[dict[str, Any]]:
    """Return all remediations of the episode when every one has ended. Raises NotDrained."""
    deadline = time.monotonic() + DRAIN_SECONDS
    found: list[dict[str, Any]] = []
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError):
            settled = traffic.settled  # before the list: what was answered is in it
            found = traffic.found()
            if settled and all(item["terminal"] for item in found):
                return found
        time.sleep(0.2)
    left = [(item["id"], item["status"]) for item in found if not item["terminal"]]
    raise NotDrained(
        f"not ended {DRAIN_SECONDS:.0f} s after everything was healed: {left or 'no answer'}\n"
        + harm.installation.last_lines()
    )
