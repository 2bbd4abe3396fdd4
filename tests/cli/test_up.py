"""`remediator up` with a real Redis and stand-ins for the two processes that have tests of their own."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

API = """
import http.server, json, os
host, _, port = os.environ["REMEDIATOR_LISTEN"].rpartition(":")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"items": [{"name": "eu-1"}], "workers": [{}], "environment": dict(os.environ)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer((host, int(port)), Handler).serve_forever()
"""
WORKER = """\
import os, sys, time
print('REDIS_URL', os.environ['REDIS_URL'], file=sys.stderr, flush=True)
print('{"action": "a test"}', flush=True)
time.sleep(300)
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which `api` and `worker` are stand-ins."""
    modules = tmp_path / "modules"
    for name, script in (("api", API), ("worker", WORKER)):
        (modules / name).mkdir(parents=True)
        (modules / name / "__init__.py").touch()
        (modules / name / "__main__.py").write_text(script)
    # This checkout first, so that the command itself is found without being installed.
    path = os.pathsep.join([str(modules), str(Path(__file__).resolve().parents[2])])
    return {**os.environ, "PYTHONPATH": path, "REMEDIATOR_DATA_DIR": str(tmp_path / "data")}


@dataclass
class Up:
    """A running `up`: what it printed, its process, its log."""

    ready: dict[str, Any]
    process: subprocess.Popen[bytes]
    log: Path

    def children(self) -> dict[str, int]:
        """Return the children's pids by name."""
        marks = {b"redis-server": "redis", b"-m\0worker": "worker", b"-m\0api": "api"}
        found = {}
        for pid in children_of(self.process.pid):
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:  # just ended
                continue
            found.update({name: pid for mark, name in marks.items() if mark in words})
        return found


def children_of(pid: int) -> list[int]:
    """Return the ids of a process' children."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def lives(pid: int) -> bool:
    """Tell whether a process runs; one whose end nobody took note of does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(claim: Callable[[], bool]) -> None:
    """Wait until the claim holds."""
    deadline = time.monotonic() + 90
    while not claim():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def command(*arguments: str) -> list[str]:
    """Return the command line of `up`."""
    return [sys.executable, "-P", "-m", "cli", "up", *arguments]


StartUp = Callable[..., Up]


@pytest.fixture
def start_up(environment: dict[str, str], tmp_path: Path) -> Iterator[StartUp]:
    """Return a function that starts `up` and waits until it is ready; it ends after the test."""
    processes = []

    def start(*arguments: str, **more: str) -> Up:
        log = tmp_path / "log"
        with log.open("ab") as errors:
            process = subprocess.Popen(
                command("--json", "--port", "0", *arguments),
                env=environment | more,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        processes.append(process)
        assert process.stdout
        line = process.stdout.readline()
        assert line, log.read_text()
        return Up(json.loads(line), process, log)

    yield start
    for process in processes:
        process.terminate()
        process.wait(90)
        if process.stdout:
            process.stdout.close()


def fetch(url: str) -> Any:
    """Return the JSON at an address."""
    return httpx.get(url, timeout=90, trust_env=False).json()


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")


def test_one_line_says_where_it_is(start_up: StartUp, tmp_path: Path) -> None:
    """url, token and pid; client commands find the same in the data directory."""
    up = start_up()

    data = tmp_path / "data"
    assert set(up.ready) == {"url", "token", "pid"}
    assert up.ready["pid"] == up.process.pid
    assert (data / "url").read_text().strip() == up.ready["url"]
    assert (data / "token").read_text().strip() == up.ready["token"]
    assert stat.S_IMODE((data / "credentials").stat().st_mode) == 0o700
    assert up.ready["token"] not in up.log.read_text()


def test_the_audit_trail_goes_to_a_file_of_the_data_directory(
    start_up: StartUp, tmp_path: Path
) -> None:
    """Neither to the terminal nor between the one line of --json and whoever reads it."""
    up = start_up()
    trail = Path(fetch(up.ready["url"])["environment"]["REMEDIATOR_ACCESS_FILE"]).parent
    trail /= "audit.jsonl"

    eventually(lambda: '{"action": "a test"}\n' in trail.read_text())

    assert trail.stat().st_mode & 0o777 == 0o600
    up.process.terminate()
    out, _ = up.process.communicate(timeout=120)
    assert out in ("", b"")
    assert "a test" not in up.log.read_text()


def test_the_api_sees_what_it_needs_and_no_more(start_up: StartUp, tmp_path: Path) -> None:
    """No kubeconfig, no token, no private key; the same Redis as the worker's."""
    up = start_up(
        KUBECONFIG="/nowhere", REMEDIATOR_TOKEN="geheim", REMEDIATOR_CREDENTIALS_DIR=str(tmp_path)
    )

    seen = fetch(up.ready["url"])["environment"]

    assert "KUBECONFIG" not in seen
    assert up.ready["token"] not in str(seen)
    assert "geheim" not in str(seen)
    assert "REMEDIATOR_SEALING_KEY_FILE" not in seen
    assert "REMEDIATOR_CREDENTIALS_DIR" not in seen
    assert seen["REMEDIATOR_SEALING_PUBLIC_KEY_FILE"].endswith("data/sealing.pub")
    assert seen["REMEDIATOR_PUBLIC_URL"] == up.ready["url"]
    assert seen["REMEDIATOR_ACCESS_FILE"].endswith("data/access.yaml")
    eventually(lambda: f"worker | REDIS_URL {seen['REDIS_URL']}" in up.log.read_text())


@linux_only
def test_ends_everything_it_started(start_up: StartUp, tmp_path: Path) -> None:
    """SIGTERM: exit code 0 and nobody left; the next start has the same token."""
    up = start_up()
    pids = list(up.children().values())

    up.process.terminate()

    assert up.process.wait(90) == 0
    assert len(pids) == 3
    assert not any(map(lives, pids))
    assert not (tmp_path / "data" / "url").exists()
    assert start_up().ready["token"] == up.ready["token"]


@linux_only
def test_leaves_nobody_behind_when_killed(start_up: StartUp) -> None:
    """kill -9 of `up`: its children end, and the next start works at once."""
    up = start_up()
    pids = list(up.children().values())

    up.process.kill()
    again = start_up()

    eventually(lambda: not any(map(lives, pids)))
    assert again.ready["token"] == up.ready["token"]


@linux_only
@pytest.mark.parametrize("name", ["redis", "worker", "api"])
def test_starts_a_killed_child_again(start_up: StartUp, name: str) -> None:
    """Whichever it is."""
    up = start_up()
    killed = up.children()[name]

    os.kill(killed, signal.SIGKILL)

    eventually(lambda: up.children().get(name, killed) != killed)
    assert f"{name:<6} | was ended by SIGKILL; starting it again" in up.log.read_text()


def test_a_taken_port(environment: dict[str, str], tmp_path: Path) -> None:
    """One line that names it; nothing was started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        ended = subprocess.run(
            command("--port", port), env=environment, capture_output=True, text=True, timeout=120
        )

    assert ended.returncode == 1
    assert ended.stderr == (
        f"remediator: 127.0.0.1:{port} is taken, by another program or another `remediator up`;"
        " choose another port with --port (0: any free one)\n"
    )
    assert not (tmp_path / "data" / "token").exists()


def test_a_taken_data_directory(start_up: StartUp, environment: dict[str, str]) -> None:
    """One line that names who has it."""
    up = start_up()

    ended = subprocess.run(
        command("--port", "0"), env=environment, capture_output=True, text=True, timeout=120
    )

    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert f"pid {up.process.pid}" in ended.stderr


def test_a_process_that_does_not_come_up(environment: dict[str, str], tmp_path: Path) -> None:
    """Its last words, and nothing on standard output."""
    refusal = "import sys; sys.stderr.write('REMEDIATOR_KUBECONFIG: no such file\\n'); sys.exit(2)"
    (tmp_path / "modules" / "worker" / "__main__.py").write_text(refusal)

    ended = subprocess.run(
        command("--json", "--port", "0"),
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "worker ended with exit code 2; it last said:" in ended.stderr
    assert "  REMEDIATOR_KUBECONFIG: no such file" in ended.stderr


def test_a_wrong_value_of_a_slow_worker(environment: dict[str, str], tmp_path: Path) -> None:
    """The API is up before the worker has read its settings: it ends all the same, and says why."""
    refusal = """
import sys, time
time.sleep(2)
sys.stderr.write("REMEDIATOR_CONCURRENCY is 'many'\\n")
sys.exit(2)
"""
    (tmp_path / "modules" / "worker" / "__main__.py").write_text(refusal)

    ended = subprocess.run(
        command("--json", "--port", "0"),
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ended.returncode == 1
    assert "  REMEDIATOR_CONCURRENCY is 'many'" in ended.stderr
    assert "starting it again" not in ended.stderr


def test_a_missing_folder_of_credentials(environment: dict[str, str], tmp_path: Path) -> None:
    """A slip does not become an empty folder."""
    missing = tmp_path / "credentails"

    ended = subprocess.run(
        command("--port", "0", "--credentials-dir", str(missing)),
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert ended.returncode == 2
    assert f"'--credentials-dir': Directory '{missing}' does not exist" in ended.stderr
    assert not missing.exists()


def test_callers_of_ones_own(start_up: StartUp, tmp_path: Path) -> None:
    """With an access file of one's own no key is made."""
    access = tmp_path / "access.yaml"
    access.write_text("keys: []\n")

    up = start_up("--access-file", str(access))

    assert up.ready["token"] is None
    assert fetch(up.ready["url"])["environment"]["REMEDIATOR_ACCESS_FILE"] == str(access)


def test_a_sealing_key_of_ones_own(start_up: StartUp, tmp_path: Path) -> None:
    """Each process gets its own half; no pair is made."""
    up = start_up(
        REMEDIATOR_SEALING_KEY_FILE="/keys/private",
        REMEDIATOR_SEALING_PUBLIC_KEY_FILE="/keys/public",
    )

    seen = fetch(up.ready["url"])["environment"]

    assert seen["REMEDIATOR_SEALING_PUBLIC_KEY_FILE"] == "/keys/public"
    assert "REMEDIATOR_SEALING_KEY_FILE" not in seen
    assert not (tmp_path / "data" / "sealing.key").exists()


def test_a_redis_of_ones_own(start_up: StartUp) -> None:
    """REDIS_URL is used as it is."""
    up = start_up(REDIS_URL="redis://127.0.0.1:1/5")

    assert fetch(up.ready["url"])["environment"]["REDIS_URL"] == "redis://127.0.0.1:1/5"
