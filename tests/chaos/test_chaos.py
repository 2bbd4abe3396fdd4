"""Faults at random moments over many remediations at once: nothing is lost, nothing counts twice, nothing is untrue.

CHAOS_ROUNDS says how many faults, CHAOS_SEED which (empty: others each time). The same seed makes the same choices;
what they meet depends on the machine.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import pytest

from tests.chaos.episode import play
from tests.chaos.faults import Harm
from tests.chaos.findings import Findings
from tests.chaos.fleet import Fleet
from tests.chaos.installation import Installation
from tests.chaos.invariants import check_kept, check_records, read_runs
from tests.chaos.redis_server import RedisProxy, RedisServer
from tests.chaos.report import table, timeline
from tests.chaos.truth import check_clusters
from tests.e2e.conftest import write_login
from tests.e2e.fleet import PASSWORD, REGISTRY, USERNAME

SEED = 1972  # its first faults are of all sorts
ROUNDS = 12
EPISODE_ROUNDS = 12
_SHOWN, _SHOWN_LENGTH = 20, 1000


# However many rounds somebody asks for, they may take their time.
@pytest.mark.timeout(0 if "CHAOS_ROUNDS" in os.environ else 1800)
def test_nothing_is_lost_whatever_goes_wrong(tmp_path: Path) -> None:
    seed, rounds = _asked_for()
    rng = Random(seed)
    findings = Findings()
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    write_login(credentials / "harbor", REGISTRY, USERNAME, PASSWORD)
    _say(f"\nchaos: seed {seed}, {rounds} rounds; logs in {tmp_path}")
    with (
        Fleet(tmp_path, Random(f"{rng.random()}")) as fleet,
        RedisServer() as redis,
        RedisProxy(redis.socket, Random(f"{rng.random()}")) as proxy,
        Installation(tmp_path, fleet.kubeconfig, credentials, redis, proxy) as installation,
    ):
        harm = Harm(fleet, installation, redis, proxy, rng)
        started = time.monotonic()
        try:
            _play_all(harm, rounds, findings)
        except BaseException:
            _say(f"chaos: seed {seed} failed\n{timeline(harm.faults, started)}")
            raise
        finally:
            _say(table(harm.faults, findings, seed, time.monotonic() - started))
    if findings.all:
        problems = "\n".join(text[:_SHOWN_LENGTH] for text in findings.all[:_SHOWN])
        pytest.fail(
            f"seed {seed}: {len(findings.all)} problems\n{problems}\n"
            f"{timeline(harm.faults, started)}\nagain: make chaos SEED={seed} ROUNDS={rounds}",
            pytrace=False,
        )


def _play_all(harm: Harm, rounds: int, findings: Findings) -> None:
    """Play episodes until there were so many rounds, or something is wrong."""
    ended: list[dict[str, Any]] = []
    for number in range(-(-rounds // EPISODE_ROUNDS)):
        left = rounds - number * EPISODE_ROUNDS
        record = play(harm, number, min(EPISODE_ROUNDS, left))
        runs = read_runs(record, harm.installation)
        check_records(record, runs, findings)
        check_clusters(record, runs, harm.fleet, findings)
        ended += record.bodies
        if findings.all:
            return
    check_kept(ended, harm.installation, findings)


def _asked_for() -> tuple[int, int]:
    """Return seed and number of rounds."""
    chosen = os.environ.get("CHAOS_SEED")
    seed = SEED if chosen is None else int(chosen or SystemRandom().randrange(1_000_000))
    return seed, int(os.environ.get("CHAOS_ROUNDS") or ROUNDS)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
