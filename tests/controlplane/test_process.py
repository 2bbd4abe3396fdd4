"""Child processes: their end, and their death with the parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from controlplane.process import Process, StartError, stop_all, wait_for


def test_stop_ends_it_and_may_be_repeated(tmp_path: Path) -> None:
    process = Process.start("sleeper", ["/bin/sleep", "300"], tmp_path)

    process.stop()
    process.stop()

    assert not _exists(process.pid)


def test_stop_kills_what_does_not_listen(tmp_path: Path) -> None:
    script = "trap '' TERM; echo ready; while :; do sleep 0.1; done"
    process = Process.start("deaf", ["/bin/sh", "-c", script], tmp_path)
    wait_for(lambda: "ready" in process.log.read_text(), "ready", [process], timeout=90)

    stop_all([process], grace=0.2)

    assert not _exists(process.pid)


def test_a_child_that_dies_early_is_reported_with_its_last_lines(tmp_path: Path) -> None:
    process = Process.start("broken", ["/bin/sh", "-c", "echo no such flag; exit 3"], tmp_path)

    with pytest.raises(StartError, match=r"broken ended with status 3(.|\n)*no such flag"):
        wait_for(lambda: False, "never", [process], timeout=90)


def test_waiting_too_long_names_what_was_waited_for(tmp_path: Path) -> None:
    process = Process.start("sleeper", ["/bin/sleep", "300"], tmp_path)

    with pytest.raises(StartError, match="the moon: not after 0 s"):
        wait_for(lambda: False, "the moon", [process], timeout=0.1)

    process.stop()


def test_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    started: list[Process] = []
    thread = threading.Thread(
        target=lambda: started.append(Process.start("child", ["/bin/sleep", "300"], tmp_path))
    )
    thread.start()
    thread.join()
    time.sleep(0.3)

    started[0].check()

    started[0].stop()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's tie is Linux's")
def test_dies_with_a_killed_parent(tmp_path: Path) -> None:
    script = (
        "import sys, time, pathlib\n"
        "from controlplane.process import Process\n"
        "child = Process.start('child', ['/bin/sleep', '300'], pathlib.Path(sys.argv[1]))\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(300)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        while "_tied.py" in Path(f"/proc/{child}/cmdline").read_text():
            time.sleep(0.02)  # until the script that ties the two has become the command
        assert _exists(child)

        parent.send_signal(signal.SIGKILL)
        parent.wait()

    deadline = time.monotonic() + 90
    while _exists(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _exists(child)


def _exists(pid: int) -> bool:
    """Whether the process runs; one that ended but was not collected does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")
