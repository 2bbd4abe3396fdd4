"""Real child processes, killed with real signals."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.child import Child, ChildSpec
from cli.supervisor import StartFailed, Supervisor

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")

SLEEP = "import time; time.sleep(300)"
PATIENCE_SECONDS = 90.0


def spec(script: str, name: str = "child") -> ChildSpec:
    """Return a child that runs a Python script."""
    command = [sys.executable, "-c", script]
    return ChildSpec(name=name, command=command, environment=dict(os.environ))


def within(seconds: float, claim: Callable[[], bool]) -> Callable[[], bool]:
    """Return a condition that fails the test if the claim does not come true in time."""
    deadline = time.monotonic() + seconds

    def check() -> bool:
        assert time.monotonic() < deadline, "not in time"
        return claim()

    return check


def lives(pid: int) -> bool:
    """Tell whether a process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def runs(pid: int) -> bool:
    """Tell whether a process that is no child of ours runs: nobody may have taken note of its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def output() -> io.StringIO:
    """Return what the supervisor writes to."""
    return io.StringIO()


@pytest.fixture
def supervisor(output: io.StringIO) -> Iterator[Supervisor]:
    """Return a supervisor that ends its children after the test."""
    with Supervisor(output) as running:
        yield running


def test_passes_on_what_children_say(supervisor: Supervisor, output: io.StringIO) -> None:
    """Line by line, with the child's name, both streams."""
    script = "import sys; print('one', flush=True); print('two', file=sys.stderr)"
    supervisor.start(spec(f"{script}; {SLEEP}", "api"))

    supervisor.run_until(within(PATIENCE_SECONDS, lambda: "two" in output.getvalue()))

    assert output.getvalue() == "api    | one\napi    | two\n"


def test_starts_a_killed_child_again(supervisor: Supervisor, output: io.StringIO) -> None:
    """With one line that says why."""
    child = supervisor.start(spec(SLEEP))
    supervisor.settle()
    first = child.pid
    assert first

    os.kill(first, signal.SIGKILL)
    supervisor.run_until(within(PATIENCE_SECONDS, lambda: child.pid not in (None, first)))

    assert output.getvalue() == "child  | was ended by SIGKILL; starting it again\n"
    assert not lives(first)


@linux_only
def test_a_child_takes_its_own_children_along(supervisor: Supervisor, output: io.StringIO) -> None:
    """They might hold the port that the next one needs."""
    script = (
        "import subprocess, sys, time\n"
        f"inner = subprocess.Popen([sys.executable, '-c', {SLEEP!r}])\n"
        "print(inner.pid, flush=True); time.sleep(300)"
    )
    child = supervisor.start(spec(script))
    supervisor.settle()
    supervisor.run_until(within(PATIENCE_SECONDS, lambda: "\n" in output.getvalue()))
    inner = int(output.getvalue().split("|")[1])

    os.kill(child.pid or 0, signal.SIGKILL)

    supervisor.run_until(within(PATIENCE_SECONDS, lambda: not runs(inner)))


def test_pauses_grow() -> None:
    child, pauses = Child(spec("raise SystemExit(3)")), []
    for _ in range(6):
        child.start(1000.0)
        soon = within(PATIENCE_SECONDS, lambda: child.poll(1000.0) is not None)
        while not soon():
            time.sleep(0.02)
        pauses.append(round((child.restart_at or 0.0) - 1000.0, 3))
        child.forget()

    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0]


def test_pauses_are_kept(
    supervisor: Supervisor, output: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child that dies at once is not started a hundred times a second."""
    early, deaths = [], []
    start = Child.start

    def start_and_tell(child: Child, now: float) -> None:
        early.append(now < (child.restart_at or 0.0))
        deaths.append(child.deaths)
        start(child, now)

    monkeypatch.setattr(Child, "start", start_and_tell)
    supervisor.start(spec("raise SystemExit(3)"))
    supervisor.settle()

    supervisor.run_until(within(PATIENCE_SECONDS, lambda: len(early) >= 3))

    assert deaths[:3] == [0, 1, 2]
    assert not any(early)
    assert "ended with exit code 3; starting it again" in output.getvalue()


def test_a_child_that_does_not_come_up_ends_the_start(supervisor: Supervisor) -> None:
    """Its last words are in the message."""
    supervisor.start(spec("print('no port left'); raise SystemExit(1)"))

    with pytest.raises(StartFailed, match="exit code 1; it last said:\n  no port left"):
        supervisor.run_until(within(PATIENCE_SECONDS, lambda: False))


def test_wrong_settings_are_not_tried_again(supervisor: Supervisor) -> None:
    """Exit code 2 means that starting again changes nothing."""
    child = supervisor.start(spec("print('REDIS_URL: no such scheme'); raise SystemExit(2)"))

    with pytest.raises(StartFailed, match="REDIS_URL"):
        supervisor.run_until(within(PATIENCE_SECONDS, lambda: False))

    assert child.deaths == 1


def test_wrong_settings_end_it_also_when_the_others_are_up(supervisor: Supervisor) -> None:
    """Which of them is faster must not decide whether a wrong value is told, or tried for ever."""
    supervisor.settle()
    child = supervisor.start(spec("print('REDIS_URL: no such scheme'); raise SystemExit(2)"))

    with pytest.raises(StartFailed, match="REDIS_URL"):
        supervisor.run_until(within(30, lambda: False))

    assert child.deaths == 1


def test_only_the_first_start_says_that_settings_are_wrong(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    """Later on a file that it reads may be just being changed."""
    marker = tmp_path / "started"
    script = f"from pathlib import Path; seen = Path({str(marker)!r}); again = seen.exists()"
    supervisor.settle()
    child = supervisor.start(spec(f"{script}; seen.touch(); raise SystemExit(2 if again else 3)"))

    assert supervisor.run_until(within(30, lambda: child.deaths >= 3))


def test_a_signal_ends_everything(supervisor: Supervisor) -> None:
    """Last started first; what does not listen is killed."""
    children = [supervisor.start(spec(SLEEP, name)) for name in ("redis", "worker", "api")]
    pids = [child.pid for child in children if child.pid]

    os.kill(os.getpid(), signal.SIGTERM)
    supervisor.run()
    supervisor.stop()

    assert supervisor.stopping
    assert len(pids) == 3
    assert not any(map(lives, pids))


def test_a_deaf_child_is_killed(
    supervisor: Supervisor, output: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the time it has to end by itself."""
    monkeypatch.setattr("cli.supervisor.STOP_SECONDS", 0.5)
    script = f"import signal; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); {SLEEP}"
    child = supervisor.start(spec(script))
    supervisor.run_until(within(PATIENCE_SECONDS, lambda: "deaf" in output.getvalue()))
    pid = child.pid
    assert pid

    supervisor.stop()

    assert not lives(pid)
    assert "killing it" in output.getvalue()


@linux_only
def test_children_do_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    """kill -9 of the parent leaves nobody behind."""
    script = f"""
import os, sys
from cli.child import ChildSpec
from cli.supervisor import Supervisor
with Supervisor() as supervisor:
    child = supervisor.start(ChildSpec(
        name="child", command=[sys.executable, "-c", {SLEEP!r}], environment=dict(os.environ)))
    print(child.pid, flush=True)
    supervisor.run()
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert parent.stdout
    with parent.stdout:
        pid = int(parent.stdout.readline())
    while "tied.py" in Path(f"/proc/{pid}/cmdline").read_text():
        time.sleep(0.02)  # the tie is made by the child itself, which then becomes the command
    assert runs(pid)

    parent.kill()
    parent.wait(PATIENCE_SECONDS)

    deadline = time.monotonic() + PATIENCE_SECONDS
    while runs(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not runs(pid)
