"""Every process of a production-like installation is replaced under load, one after the other: nobody notices."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from cli.listen import reserve
from controlplane import _tied
from controlplane.cluster import ContextSpec, write_kubeconfig
from remediation.api_key import ENTROPY_BYTES, new_api_key
from remediation.status import RemediationStatus
from store import keys
from store.connection import PROMPT
from store.store import Store
from tests.api.conftest import an_entry
from tests.chaos.loop import Loop
from tests.chaos.redis_server import RedisServer
from tests.chaos.way import Way
from tests.e2e.fleet import Space, grant_least_privilege
from tests.e2e.service import ROOT, own_environment, until

EVERYTHING = {
    "subjects": ["*"],
    "role": "admin",
    "clusters": ["*"],
    "namespaces": ["*"],
    "credentials": ["*"],
}
NAMESPACES = 30
WRITE_SECONDS = 0.05
PATIENCE_SECONDS = 90.0
_AT_ONCE = 4
_WAITERS = 3
_SECRETS = tuple(f"pull-{number}" for number in range(60))
# A request that lasted as long was begun; one that breaks at once met a server that was about to close its door.
_TAKEN_SECONDS = 2.0


class Part:
    """A worker or an API server that is ended and started again; `took` are the seconds that its ends took."""

    def __init__(
        self, name: str, module: str, directory: Path, environment: dict[str, str]
    ) -> None:
        tie = [sys.executable, "-I", "-S", str(Path(_tied.__file__)), str(os.getpid())]
        self._command = [*tie, sys.executable, "-m", module]
        self._environment = own_environment(environment)
        self._log = directory / f"{name}.log"
        self.took: list[float] = []
        self.start()

    def start(self) -> None:
        """Start it; what it says goes to the same file."""
        self._from = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, stdout=log, stderr=log
            )

    def log(self) -> str:
        """Return what it has said since it was started."""
        with self._log.open(errors="replace") as log:
            log.seek(self._from)
            return log.read()

    def end(self) -> None:
        """End it as an orchestrator does, and wait for it."""
        began = time.monotonic()
        self._process.terminate()
        code = self._process.wait(PATIENCE_SECONDS)
        self.took.append(time.monotonic() - began)
        assert code == 0, self.log()[-3000:]

    def stop(self) -> None:
        """End it for good."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Callers:
    """Ask for remediations and wait for them, at whichever server answers, until they are told `enough`."""

    def __init__(self, ports: list[int], token: str, namespaces: list[str]) -> None:
        self._urls = [f"http://127.0.0.1:{port}/api/v1" for port in ports]
        self._namespaces = namespaces
        # A connection for each request: one that is kept open may be closed by a server that ends.
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {token}"},
            limits=httpx.Limits(max_keepalive_connections=0),
            timeout=PATIENCE_SECONDS,
            trust_env=False,
        )
        self._rng = Random(0)
        self._enough = threading.Event()
        self._number = 0
        self.accepted: dict[str, str] = {}
        self.waits = 0
        self.cut: list[str] = []

    def enough(self) -> None:
        """Ask for nothing new from now on."""
        self._enough.set()

    def ask(self) -> float:
        """Have some remediations under way at any time; return how long to wait."""
        items = self.request("GET", "/remediations", params={"status": "queued,running"}).json()[
            "items"
        ]
        if len(items) < _AT_ONCE and not self._enough.is_set():
            self._number += 1
            key = f"rolling-restart-{self._number}"
            body = {
                "clusters": ["slow"],
                "namespaces": self._namespaces,
                "credential": "harbor",
                "registry_check": "skip",
                "secret_name": _SECRETS[self._number % len(_SECRETS)],
            }
            answer = self.request("POST", "/remediations", json=body, key=key)
            assert answer.status_code == 202, answer.text
            self.accepted[key] = answer.json()["id"]
        return 0.1

    def wait(self) -> float:
        """Wait for the end of a remediation; it may be answered before that, but it is answered."""
        if self.accepted:
            identity = self._rng.choice(list(self.accepted.values()))
            answer = self.request("GET", f"/remediations/{identity}", params={"wait": "20"})
            assert answer.status_code == 200, answer.text
            self.waits += 1
        return 0.1

    def request(self, method: str, path: str, key: str = "", **more: Any) -> httpx.Response:
        """Ask as through a load balancer: where no answer comes the next server is asked."""
        headers = {"Idempotency-Key": key} if key else {}
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            for url in self._rng.sample(self._urls, len(self._urls)):
                began = time.monotonic()
                try:
                    return self._http.request(method, url + path, headers=headers, **more)
                except httpx.ConnectError:
                    continue
                except httpx.TransportError as error:
                    if time.monotonic() - began > _TAKEN_SECONDS:
                        self.cut.append(f"{method} {path}: {error!r}")
            assert time.monotonic() < deadline, f"nobody answers {method} {path}"
            time.sleep(0.1)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_a_rolling_restart_of_everything_loses_nothing(
    stack: ExitStack, tmp_path: Path, space: Space, credentials: Path
) -> None:
    key = new_api_key(os.urandom(ENTROPY_BYTES))
    access = tmp_path / "access.yaml"
    access.write_text(json.dumps({"keys": [an_entry(key, "portal")], "bindings": [EVERYTHING]}))
    alpha = space.clusters[0]
    way = Way(alpha, Random(0))
    stack.enter_context(way)
    way.write_seconds = WRITE_SECONDS
    names = [space.namespace(f"n{number:03}", ("default", "web")) for number in range(NAMESPACES)]
    kubeconfig = tmp_path / "kubeconfig"
    token = grant_least_privilege(alpha, more_secrets=_SECRETS)
    write_kubeconfig(kubeconfig, {"slow": ContextSpec(way.server, alpha.ca_file, token)})
    redis = stack.enter_context(RedisServer())
    # Nobody else is given them while a server is away.
    reserved = [reserve("127.0.0.1", 0) for _ in range(2)]
    for each in reserved:
        stack.enter_context(each.reservation)
    ports = [each.port for each in reserved]
    workers, servers = [], []
    for number, port in enumerate(ports):
        of_worker = {
            "REDIS_URL": redis.url,
            "REMEDIATOR_KUBECONFIG": str(kubeconfig),
            "REMEDIATOR_CREDENTIALS_DIR": str(credentials),
            "REMEDIATOR_PROCESSES": "2",
            "REMEDIATOR_CONCURRENCY": "1",
        }
        of_server = {
            "REDIS_URL": redis.url,
            "REMEDIATOR_ACCESS_FILE": str(access),
            "REMEDIATOR_LISTEN": f"127.0.0.1:{port}",
        }
        workers.append(Part(f"worker-{number}", "worker", tmp_path, of_worker))
        stack.callback(workers[-1].stop)
        servers.append(Part(f"api-{number}", "api", tmp_path, of_server))
        stack.callback(servers[-1].stop)
    callers = Callers(ports, key.token, names)
    for port in ports:
        until(partial(_ready, port), "API")
    store = Store.open(redis.url, retries=PROMPT)
    stack.callback(store.close)
    until(lambda: len(store.inventory.workers()) == len(workers), "announcements")

    with ExitStack() as loops:
        for name, step in (("ask", callers.ask), *[("wait", callers.wait)] * _WAITERS):
            loops.callback(Loop(name, step).stop)
        for worker in workers:
            until(partial(_in_the_middle, worker, store), "run in the middle on that worker")
            worker.end()
            assert "handed back" in worker.log()
            worker.start()
            until(lambda: len(store.inventory.workers()) == len(workers), "announcements")
        for server, port in zip(servers, ports, strict=True):
            server.end()
            server.start()
            until(partial(_ready, port), "API")
        callers.enough()
        until(lambda: not store.remediations.open_ids(), "end of it all")

    assert callers.cut == []
    assert callers.waits
    found = store.remediations.get_many(list(callers.accepted.values()))
    assert len(found) == len(callers.accepted) == store.redis.zcard(keys.REMEDIATIONS)
    for remediation in found:
        (run,) = remediation.runs
        assert remediation.status is RemediationStatus.SUCCEEDED, remediation
        assert run.attempt - run.handed_back == 1, "being told to stop costs no attempt"
        rows = [row.result.namespace for row in store.results.rows(remediation.runs)]
        assert rows == sorted(names)
    assert any(run.handed_back for remediation in found for run in remediation.runs)
    for name in names:
        asked = {remediation.request.secret_name for remediation in found}
        assert sorted(space.pull_secrets(name, "web")) == sorted(asked)
    print(f"workers ended after {_shown(workers)} s, API servers after {_shown(servers)} s")  # noqa: T201


def _in_the_middle(worker: Part, store: Store) -> bool:
    """Tell whether a run is under way on the worker, and has so much left that it does not end before the worker."""
    told = re.findall(r"run (rem_\w+-\d+) on [^:]*: (attempt|ended|told to stop)", worker.log())
    over = {identity for identity, what in told if what != "attempt"}
    at_work = [store.runs.get(identity) for identity, _ in told if identity not in over]
    return any(run and 0 < run.summary.done <= NAMESPACES // 2 for run in at_work)


def _ready(port: int) -> bool:
    with suppress(httpx.TransportError):
        url = f"http://127.0.0.1:{port}/readyz"
        return httpx.get(url, trust_env=False, timeout=PATIENCE_SECONDS).is_success
    return False


def _shown(parts: list[Part]) -> str:
    return ", ".join(f"{seconds:.1f}" for part in parts for seconds in part.took)
