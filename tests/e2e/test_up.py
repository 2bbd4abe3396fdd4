"""`remediator up` and the commands of its user, as processes."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.cluster import Cluster, ContextSpec, write_kubeconfig
from tests.e2e.fleet import PASSWORD, Space, grant_least_privilege
from tests.e2e.gate import Gate
from tests.e2e.service import Outcome, Service, descendants, ended, until

PATIENCE_SECONDS = 120


def test_run_shows_what_it_did_and_exits_0(service: Service, space: Space):
    name = space.namespace("n", ("default", "web"))

    run = service.cli("run", "--clusters", "alpha", "--namespaces", name, "--credential", "harbor")

    assert run.returncode == 0, run.stderr
    assert "succeeded" in run.stdout
    assert "2/2" in run.stdout
    assert space.pull_secrets(name, "web") == ["docker"]


def test_plan_writes_nothing_and_says_so(service: Service, space: Space):
    name = space.namespace("n")

    plan = service.cli(
        "plan", "--clusters", "alpha", "--namespaces", name, "--credential", "harbor"
    )

    assert plan.returncode == 0, plan.stderr
    assert "nothing was written" in plan.stdout
    assert space.pull_secrets(name, "default") == []


def test_a_partial_run_exits_3_and_names_what_failed_and_how_to_see_more(
    service: Service, space: Space
):
    space.namespace("good")
    bad = space.namespace("bad")
    space.secret(bad, {"auths": {"x.example.com": {"auth": "dTpw"}}})

    run = service.cli(
        *("run", "--clusters", "alpha", "--namespaces", space.pattern, "--credential", "harbor")
    )

    assert run.returncode == 3
    shown = run.stdout + run.stderr
    assert bad in shown
    assert "secret_conflict" in shown
    assert "--on-conflict" in shown
    assert "remediator results" in shown


def test_a_failed_run_exits_1(service: Service, space: Space):
    bad = space.namespace("bad")
    space.secret(bad, "x", kind="Opaque", key="k")

    run = service.cli("run", "--clusters", "alpha", "--namespaces", bad, "--credential", "harbor")

    assert run.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--clusters", "alpah"], "did you mean 'alpha'"),
        (["--clusters", "alpha", "--namespaces", "Not_A_Name"], "#/namespaces/0"),
        (["--clusters", "alpha", "--credential", "harbour"], "harbor"),
        (["--clusters", "alpha", "--secret-name", "No Name"], "#/secret_name"),
    ],
)
def test_a_bad_request_exits_2_and_names_the_field(
    service: Service, arguments: list[str], says: str
):
    if "--credential" not in arguments:
        arguments = [*arguments, "--credential", "harbor"]

    run = service.cli("run", *arguments)

    assert run.returncode == 2
    assert says in run.stderr


def test_a_wrong_token_exits_4_and_no_service_exits_5(service: Service):
    assert service.cli("list", REMEDIATOR_TOKEN="rmd_wrong").returncode == 4
    assert service.cli("list", REMEDIATOR_URL="http://127.0.0.1:1").returncode == 5


def test_status_results_wait_list_in_every_format(service: Service, space: Space):
    name = space.namespace("n")
    started = service.cli(
        *("run", "--clusters", "alpha", "--namespaces", name, "--credential", "harbor"),
        *("--no-wait", "-o", "name", "--reason", "INC-1", "--label", "team=shop"),
        "--no-readiness",  # nothing about the remediation changes once it has ended
    )
    remediation_id = started.stdout.strip()
    assert remediation_id.startswith("rem_"), started

    assert service.cli("wait", remediation_id).returncode == 0
    status = json.loads(service.cli("status", remediation_id, "-o", "json").stdout)
    assert (status["reason"], status["labels"]) == ("INC-1", {"team": "shop"})
    assert yaml.safe_load(service.cli("status", remediation_id, "-o", "yaml").stdout) == status
    assert remediation_id in service.cli("list").stdout
    table = service.cli("results", remediation_id).stdout
    assert name in table
    assert "created" in table
    csv = service.cli("results", remediation_id, "-o", "csv").stdout.splitlines()
    assert csv[0].startswith("cluster,namespace,outcome")
    assert csv[1].startswith(f"alpha,{name},changed")
    assert service.cli("results", remediation_id, "--outcome", "failed", "-o", "name").stdout == ""


def test_the_printed_curl_does_the_same_in_a_shell(service: Service, space: Space):
    name = space.namespace("n")
    arguments = ("run", "--clusters", "alpha", "--namespaces", name, "--credential", "harbor")

    printed = service.cli(*arguments, "--reason", 'it\'s "quoted"', "--curl").stdout

    assert service.token not in printed
    assert "$REMEDIATOR_TOKEN" in printed
    answer = _shell(printed, service)
    assert answer["reason"] == 'it\'s "quoted"'
    assert service.wait(answer["id"]).status == "succeeded"


def test_the_password_is_in_no_log_no_answer_and_no_argument(service: Service, space: Space):
    name = space.namespace("n")
    space.secret(name, {"auths": {"registry.example.com": {"auth": "dTpw"}}})
    done = service.remediate(clusters=["alpha"], namespaces=[name], on_conflict="merge")

    said = json.dumps(done.body) + json.dumps(done.rows) + service.log.read_text()
    said += service.http.get("/credentials").text + service.http.get("/system").text
    processes = descendants(service.process.pid)
    arguments = [Path(f"/proc/{pid}/cmdline").read_text() for pid in processes]

    assert PASSWORD not in said
    assert len(arguments) >= 8
    assert PASSWORD not in "\n".join(arguments)
    assert service.token not in service.log.read_text()


@pytest.fixture
def own(
    tmp_path: Path, clusters: tuple[Cluster, ...], credentials: Path
) -> Iterator["_Restartable"]:
    gate = Gate(clusters[0], free=20)
    with gate:
        restartable = _Restartable(tmp_path, gate, credentials)
        yield restartable
        gate.open.set()
        restartable.service.stop()


class _Restartable:
    """A service that can be started again on its data directory; its way to the cluster is a gate."""

    def __init__(self, directory: Path, gate: Gate, credentials: Path) -> None:
        self.directory = directory
        self.gate = gate
        self.credentials = credentials
        self.kubeconfig = directory / "kubeconfig"
        token = grant_least_privilege(gate.cluster)
        context = ContextSpec(gate.server, gate.cluster.ca_file, token)
        write_kubeconfig(self.kubeconfig, {gate.cluster.name: context})
        self.start()

    def start(self) -> None:
        # One write at a time: what is held by the gate holds all.
        slow = {"REMEDIATOR_CONCURRENCY": "1"}
        self.service = Service(self.directory / "up", [self.kubeconfig], self.credentials, slow)

    def started(self, pattern: str) -> str:
        """Ask for a remediation; return its id when some of it is done, and the rest waits for the gate."""
        remediation_id = self.service.post(clusters=["alpha"], namespaces=[pattern]).json()["id"]
        assert self.gate.reached.wait(PATIENCE_SECONDS)
        while not self.body(remediation_id)["summary"]["namespaces"]["changed"]:
            time.sleep(0.02)
        return str(remediation_id)

    def body(self, remediation_id: str) -> dict[str, Any]:
        return dict(self.service.http.get(f"/remediations/{remediation_id}").json())


def _all_done_once(space: Space, names: list[str], done: Outcome) -> None:
    """Check the promise: every namespace has one row, and what was changed by anyone of us is `changed`."""
    assert done.status == "succeeded", done.body
    assert done.outcomes() == dict.fromkeys(names, "changed")
    assert len(done.rows) == len(names)
    assert done.summary["namespaces"]["changed"] == len(names)
    assert done.summary["service_accounts"]["changed"] == 3 * len(names)
    assert done.summary["secrets"]["created"] == len(names)
    for name in names:
        for account in ("default", "web", "job"):
            assert space.pull_secrets(name, account) == ["docker"]


def test_stopped_in_the_middle_it_goes_on_at_the_next_start(own: _Restartable, space: Space):
    names = [space.namespace(f"n{number:03}", ("default", "web", "job")) for number in range(60)]
    remediation_id = own.started(space.pattern)

    own.service.stop()
    own.gate.open.set()
    own.start()
    done = own.service.wait(remediation_id)

    assert done.clusters["alpha"]["attempt"] >= 2
    _all_done_once(space, names, done)


def test_a_killed_worker_is_replaced_and_its_run_goes_on(own: _Restartable, space: Space):
    names = [space.namespace(f"n{number:03}", ("default", "web", "job")) for number in range(60)]
    worker = own.service.http.get("/system").json()["workers"][0]["pid"]
    remediation_id = own.started(space.pattern)

    os.kill(worker, signal.SIGKILL)
    own.gate.open.set()
    done = own.service.wait(remediation_id)

    assert done.clusters["alpha"]["attempt"] >= 2
    _all_done_once(space, names, done)


def test_a_cancelled_run_stops_soon_and_says_what_was_done(own: "_Restartable", space: Space):
    names = [space.namespace(f"n{number:03}", ("default", "web", "job")) for number in range(250)]
    remediation_id = own.started(space.pattern)

    asked = time.monotonic()
    with ThreadPoolExecutor(1) as threads:
        cancelling = threads.submit(own.service.cli, "cancel", remediation_id)
        until(lambda: own.body(remediation_id)["status"] != "running", "run that is to stop")
        own.gate.open.set()  # a write that was sent is waited for
        cancelled = cancelling.result()
    done = own.service.wait(remediation_id)
    took = time.monotonic() - asked

    assert cancelled.returncode == 0, cancelled.stderr
    assert done.status == "cancelled"
    assert done.clusters["alpha"]["status"] == "cancelled"
    outcomes = done.outcomes()
    assert set(outcomes) == set(names)
    assert set(outcomes.values()) == {"changed", "cancelled"}
    counts = done.summary["namespaces"]
    assert counts["total"] == counts["done"] == counts["changed"] + counts["cancelled"] == 250
    for name in names:
        row = done.row(name)
        held = {
            account
            for account in ("default", "web", "job")
            if space.pull_secrets(name, account) == ["docker"]
        }
        assert held == set(row["changed_service_accounts"]), row
        there = space.exists(f"namespaces/{name}/secrets/docker")
        assert there == (row["secret"]["action"] == "created"), row
    assert own.service.cli("wait", remediation_id).returncode == 7
    assert own.service.cli("cancel", remediation_id).returncode == 0
    print(f"ended {took:.1f} s after it was asked")  # noqa: T201 -- for whoever runs it with -s


def test_no_process_is_left_after_the_end(own: _Restartable):
    pids = descendants(own.service.process.pid)
    assert len(pids) >= 8

    own.service.stop()

    assert own.service.process.returncode == 0
    assert [pid for pid in pids if not ended(pid)] == []


def _shell(command: str, service: Service) -> dict[str, Any]:
    answer = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        env=os.environ | {"REMEDIATOR_TOKEN": service.token},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return dict(json.loads(answer.stdout))
