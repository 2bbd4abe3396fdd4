"""What leaves the service and how its processes are called, written down while they run."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from tests.leaks import processes_of

_CHUNK = 1 << 16
_LOOK_SECONDS = 0.1


class Wiretap:
    """A way to the API that keeps every byte that it answers: status lines, headers, bodies, and what is no HTTP."""

    def __init__(self, url: str) -> None:
        self._upstream = int(urlsplit(url).port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = threading.Lock()
        self._answers: list[bytearray] = []

    def __enter__(self) -> Wiretap:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def answers(self) -> list[bytes]:
        """What came back on each connection."""
        with self._lock:
            return [bytes(answer) for answer in self._answers]

    def _accept(self) -> None:
        with suppress(OSError):  # closed: that is how it ends
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        kept = bytearray()
        with self._lock:
            self._answers.append(kept)
        try:
            upstream = socket.create_connection(("127.0.0.1", self._upstream), 10)
        except OSError:  # the API is away
            client.close()
            return
        upstream.settimeout(None)
        back = threading.Thread(target=self._pump, args=(upstream, client, kept), daemon=True)
        back.start()
        self._pump(client, upstream, None)
        back.join()
        upstream.close()
        client.close()

    def _pump(self, source: socket.socket, target: socket.socket, kept: bytearray | None) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                if kept is not None:
                    with self._lock:
                        kept += data
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


class Watch:
    """Looks at the processes of a service, those that live for a moment only too; `looks` counts."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.arguments: set[bytes] = set()
        self.environments: set[bytes] = set()
        self.looks = 0

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(30)

    def _look(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            for words, environment in processes_of(self._directory):
                self.arguments.add(words)
                self.environments.add(environment)
            self.looks += 1
