"""The service as its user starts it, and its HTTP API as a caller uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
from redis import Redis

from controlplane import _tied

ROOT = Path(__file__).parents[2]


class Service:
    """`remediator up` on a data directory of its own; ended by `stop`."""

    def __init__(
        self,
        directory: Path,
        kubeconfigs: Sequence[Path],
        credentials: Path,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.log = directory / "up.log"
        directory.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "cli", "up", "--json", "--port", "0"]
        command += ["--data-dir", str(directory / "data"), "--credentials-dir", str(credentials)]
        for kubeconfig in kubeconfigs:
            command += ["--kubeconfig", str(kubeconfig)]
        # It dies with us, even if we are killed or cut off before a fixture can stop it.
        tie = [sys.executable, "-I", "-S", str(Path(_tied.__file__)), str(os.getpid())]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*tie, *command],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=log,
                env=own_environment(environment),
                text=True,
            )
        assert self.process.stdout
        # A service that does not come up ends; one that hangs is ended here, and the line stays empty.
        guard = threading.Timer(180, self.process.kill)
        guard.start()
        line = self.process.stdout.readline()
        guard.cancel()
        if not line:
            self.stop()
            raise AssertionError(f"up did not start:\n{self.log.read_text()[-3000:]}")
        self.printed = line
        ready = json.loads(line)
        self.url: str = ready["url"]
        self.token: str = ready["token"]
        self.http = httpx.Client(
            base_url=f"{self.url}/api/v1",
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=90,
            trust_env=False,
        )

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        if hasattr(self, "http"):
            self.http.close()  # the API lingers over connections that are kept open
        self.process.terminate()
        try:
            rest, _ = self.process.communicate(timeout=90)
        except subprocess.TimeoutExpired:
            self.process.kill()
            rest, _ = self.process.communicate(timeout=10)
        if hasattr(self, "printed"):
            self.printed += rest

    def child(self, module: bytes) -> tuple[int, dict[bytes, bytes]]:
        """Return the id of a process that `up` started, and its environment; one that has ended is started again."""
        found: list[tuple[int, dict[bytes, bytes]]] = []

        def there() -> bool:
            found.extend(self._children(module))
            return bool(found)

        until(there, f"process {module!r} of up")
        return found[0]

    def _children(self, module: bytes) -> Iterator[tuple[int, dict[bytes, bytes]]]:
        parent = self.process.pid
        for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            with suppress(OSError):  # it has ended this moment
                words = Path(f"/proc/{pid}/cmdline").read_bytes()
                if words.rstrip(b"\0").endswith(b"\0-m\0" + module):
                    pairs = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                    yield int(pid), dict(pair.partition(b"=")[::2] for pair in pairs)

    def redis(self) -> Redis:
        """Return a connection to the Redis that `up` started, which replies with bytes."""
        return Redis.from_url(self.child(b"api")[1][b"REDIS_URL"].decode())

    def post(self, **body: Any) -> httpx.Response:
        """Ask for a remediation with the usual credential, which no registry knows, unless told otherwise.

        No check follows: its requests would mix with those that a test is about.
        """
        usual = {"credential": "harbor", "registry_check": "skip", "readiness": False}
        return self.http.post("/remediations", json=usual | body)

    def remediate(self, **body: Any) -> Outcome:
        """Ask for a remediation and wait for its end."""
        answer = self.post(**body)
        assert answer.status_code == 202, answer.text
        return self.wait(answer.json()["id"])

    def wait(self, remediation_id: str) -> Outcome:
        """Wait for the end of a remediation, at most three minutes."""
        for _ in range(3):
            body = self.http.get(f"/remediations/{remediation_id}", params={"wait": "60"}).json()
            if body["terminal"]:
                return Outcome(self, body)
        raise AssertionError(f"not ended: {body}")

    def wait_for_credential(self, name: str) -> None:
        """Wait until a worker has announced that it can use a credential."""

        def usable() -> bool:
            items = self.http.get("/credentials").json()["items"]
            return any((item["name"], item["status"]) == (name, "ready") for item in items)

        until(usable, f"credential {name}")

    def cli(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `remediator` as its user does."""
        own = {"REMEDIATOR_URL": self.url, "REMEDIATOR_TOKEN": self.token, "NO_COLOR": "1"}
        return subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            cwd=ROOT,
            env=own_environment(own | environment),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )


class Outcome:
    """A remediation that has ended, with its rows."""

    def __init__(self, service: Service, body: dict[str, Any]) -> None:
        self.body = body
        self.status: str = body["status"]
        self.summary: dict[str, dict[str, int]] = body["summary"]
        self.clusters: dict[str, dict[str, Any]] = {c["name"]: c for c in body["clusters"]}
        answer = service.http.get(
            f"/remediations/{body['id']}/results",
            params={"format": "ndjson"},
        )
        assert answer.status_code == 200, answer.text
        self.rows: list[dict[str, Any]] = [json.loads(line) for line in answer.text.splitlines()]

    def row(self, namespace: str, cluster: str | None = None) -> dict[str, Any]:
        """Return the one row of a namespace."""
        found = [
            row
            for row in self.rows
            if row["namespace"] == namespace and cluster in (None, row["cluster"])
        ]
        assert len(found) == 1, self.rows
        return found[0]

    def outcomes(self) -> dict[str, str]:
        """Return the outcome of each namespace (of one cluster)."""
        return {row["namespace"]: row["outcome"] for row in self.rows}


def until(condition: Callable[[], object], what: str, seconds: float = 90.0) -> None:
    """Return when the condition holds; `seconds` is generous because machines may be loaded."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"no {what} within {seconds:.0f} s"
        time.sleep(0.02)


def own_environment(more: dict[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without the caller's settings of the service."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("REMEDIATOR_") and name not in ("REDIS_URL", "KUBECONFIG")
    }
    return kept | (more or {})


def descendants(pid: int) -> list[int]:
    """Return the process and all that it started, parents first."""
    found = [pid]
    for parent in found:
        for entry in Path(f"/proc/{parent}/task").glob("*/children"):
            with suppress(OSError):  # it has ended this moment
                found += [int(child) for child in entry.read_text().split()]
    return found


def ended(pid: int) -> bool:
    """Wait until there is no such process, for 90 s at most; a zombie counts as none."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False
