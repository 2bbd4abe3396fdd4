"""Random passwords in everything that can happen; then all that is left of it is searched, and none is found."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml

from controlplane.cluster import Cluster
from tests.canary.canaries import Canary, Haul
from tests.canary.stage import Stage, stage
from tests.canary.story import STEPS
from tests.e2e.fleet import docker_config
from tests.e2e.service import until
from tests.leaks import forms_of


def plant_in_redis(kind: str, stage: Stage, canary: Canary) -> None:
    """Put it where RQ or we would: packed, as JSON, as `auth`, as a dockerconfigjson."""
    packed = zlib.compress(f'["{canary.password}"]'.encode())
    auth = base64.b64encode(f"{canary.username}:{canary.password}".encode())
    config = str(docker_config("r.io", canary.username, canary.password)).encode()
    key = f"leak:{canary.name}"
    with stage.service.redis() as redis:
        match kind:
            case "string":
                redis.set(key, base64.b64encode(base64.b64encode(config)))
            case "hash":
                redis.hset(key, "data", packed)
            case "list":
                redis.rpush(key, b"x" + auth)
            case "set":
                redis.sadd(key, canary.password)
            case "zset":
                redis.zadd(key, {b"a\0" + base64.b64encode(config): 0})
            case "stream":
                redis.xadd(key, {"row": b"before" + packed})


def plant_in_arguments(stage: Stage, canary: Canary) -> None:
    """Call a process of the service with it."""
    _call(stage, [canary.password], {})


def plant_in_an_environment(stage: Stage, canary: Canary) -> None:
    """Give it to a process of the service."""
    _call(stage, [], {"PASSWORD": canary.password})


def _call(stage: Stage, arguments: list[str], more: dict[str, str]) -> None:
    """Run a process that lives until all processes were looked at once more."""
    own = {"PLACE": str(stage.service.directory), **more}
    command = [sys.executable, "-c", "input()", *arguments]
    with subprocess.Popen(command, env=os.environ | own, stdin=subprocess.PIPE) as process:
        assert process.stdin
        # The look that is under way may have begun before the process was there.
        last = stage.watch.looks + 2
        until(lambda: stage.watch.looks >= last, "look at all processes")
        process.communicate(b"\n")
    assert process.returncode == 0


def plant_in_an_output(descriptor: int, stage: Stage, canary: Canary) -> None:
    """Write it where `up` writes."""
    with Path(f"/proc/{stage.service.process.pid}/fd/{descriptor}").open("a") as file:
        file.write(f"a line with {canary.password}\n")


def plant_in_audit(stage: Stage, canary: Canary) -> None:
    """Write it where the API writes its trail."""
    with (stage.service.directory / "data" / "audit.jsonl").open("a") as file:
        file.write(f'{{"reason": "{base64.b64encode(canary.password.encode()).decode()}"}}\n')


def plant_in_an_answer(stage: Stage, canary: Canary) -> None:
    """Have the API say it, in a header and in a body."""
    stage.ask("GET", f"/{canary.core}", headers={"X-Request-Id": canary.core})


def plant_in_the_command_line(stage: Stage, canary: Canary) -> None:
    """Have the command line say it."""
    stage.cli("status", canary.core)


def plant_in_a_file(stage: Stage, canary: Canary) -> None:
    """Leave it in a temporary file."""
    (stage.service.directory / "tmp" / "left").write_bytes(zlib.compress(canary.password.encode()))


PLANTS: dict[str, Callable[[Stage, Canary], None]] = {
    **{
        f"Redis {kind}": partial(plant_in_redis, kind)
        for kind in ("string", "hash", "list", "set", "zset", "stream")
    },
    "append-only file": partial(plant_in_redis, "hash"),
    "arguments": plant_in_arguments,
    "environments": plant_in_an_environment,
    "standard output": partial(plant_in_an_output, 1),
    "log": partial(plant_in_an_output, 2),
    "audit file": plant_in_audit,
    "HTTP answers": plant_in_an_answer,
    "command line": plant_in_the_command_line,
    "other files": plant_in_a_file,
}
# What is searched and holds nothing of its own accord that could be planted.
WITHOUT_PLANT = {"Redis itself"}


class Played:
    """A story that was played, and what it left behind."""

    def __init__(self, stage: Stage, planted: dict[str, Canary]) -> None:
        self.canaries: dict[str, Canary] = stage.canaries
        self.planted = planted
        self.haul: Haul = stage.haul
        self.owner = stage.service.token
        self.keys = {name: key.token for name, key in stage.keys.items()}
        data = stage.service.directory / "data"
        self.sealing_key = (data / "sealing.key").read_text().strip().rpartition(":")[2]
        kubeconfig = yaml.safe_load((stage.credentials.parent / "kubeconfig").read_text())
        self.cluster_tokens = [user["user"]["token"] for user in kubeconfig["users"]]


@pytest.fixture(scope="module")
def played(
    tmp_path_factory: pytest.TempPathFactory, clusters: tuple[Cluster, ...]
) -> Iterator[Played]:
    directory = tmp_path_factory.mktemp("canary")
    planted = {place: Canary(f"planted-{number}") for number, place in enumerate(PLANTS)}
    with stage(directory, clusters) as running:
        running.gate.open.set()
        for step in STEPS:
            step(running)
        for place, plant in PLANTS.items():
            plant(running, planted[place])
        running.collect()
        running.service.stop()
        running.collect_remains()
        yield Played(running, planted)


@pytest.mark.timeout(900)
def test_no_password_is_found_anywhere(played: Played) -> None:
    print(played.haul)  # noqa: T201 - how much was searched, for whoever asks

    found = {name: played.haul.where(canary.marks) for name, canary in played.canaries.items()}

    # Where a caller writes a password into the place of a name, the answer repeats the name, to that caller alone.
    assert found.pop("misplaced") <= {"HTTP answers"}
    assert {name: places for name, places in found.items() if places} == {}


def test_keys_are_where_they_belong(played: Played) -> None:
    def found(secret: str) -> set[str]:
        return played.haul.where(forms_of(secret, "nobody"))

    assert {name: found(key) for name, key in played.keys.items()} == {"bob": set(), "eve": set()}
    # In what `up --json` prints, in the file beside it, and with whoever calls.
    assert found(played.owner) == {"standard output", "other files", "environments"}
    assert found(played.sealing_key) == {"other files"}
    assert [found(token) for token in played.cluster_tokens] == [set(), set()]


def test_every_kind_of_place_was_searched(played: Played) -> None:
    assert set(played.haul.values) == set(PLANTS) | WITHOUT_PLANT
    assert all(any(values) for values in played.haul.values.values())


@pytest.mark.parametrize("place", PLANTS)
def test_a_leak_would_be_found(played: Played, place: str) -> None:
    assert place in played.haul.where(played.planted[place].marks)
