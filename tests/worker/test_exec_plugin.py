"""Exec plugins: what a plugin started is ended with it, whenever that is."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from worker import exec_plugin


def test_one_that_is_cancelled_while_it_starts_is_ended_with_all_that_it_started(
    tmp_path: Path,
) -> None:
    told = tmp_path / "pid"
    script = f"sleep 300 & echo $! > '{told}.new'; mv '{told}.new' '{told}'; wait"
    plugin: dict[str, Any] = {"command": "/bin/sh", "args": ["-c", script]}

    async def main() -> None:
        running = asyncio.create_task(exec_plugin.run(plugin, {}))
        # Its process is there, and the event loop has not heard of it: nothing gives it the chance.
        for _ in range(3):
            await asyncio.sleep(0)
        until = time.monotonic() + 20
        while not told.exists() and time.monotonic() < until:
            time.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asyncio.shield(asyncio.gather(running)), 20)

    asyncio.run(main())

    assert ended(int(told.read_text()))


def ended(pid: int) -> bool:
    """Tell whether a process has ended, read or not by its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
