"""Something done over and over beside the test."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Loop:
    """Calls `step` again and again in a thread; it returns the seconds to wait before the next call.

    An error ends it and is raised by `stop`.
    """

    def __init__(self, name: str, step: Callable[[], float]) -> None:
        self._step = step
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Have the step in hand be the last. Raises what ended the loop before."""
        self._stopped.set()
        self._thread.join(timeout=120)
        assert not self._thread.is_alive(), self._thread.name
        if self._error:
            raise self._error

    def _run(self) -> None:
        pause = 0.0
        while not self._stopped.wait(pause):
            try:
                pause = self._step()
            except Exception as error:
                self._error = error
                return
