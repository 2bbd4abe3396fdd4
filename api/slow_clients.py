"""gunicorn's threads, protected from clients that send a request byte by byte, not to its end, or none at all.

And from those that do not take the answer.
"""

import errno
import socket
import time
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from api.unreadable import is_unreadable, refuse

# From the first byte that a thread waits for to the last one of the body; what we take has 256 KiB at most.
REQUEST_SECONDS = 20.0
# Besides as many seconds for what is in the network's buffers already. The time to make an answer does not count.
LEAST_BYTES_A_SECOND = 16 * 1024
_REST_BYTES = 32 * 1024  # gunicorn reads twice as much of a body that nobody wanted


class PunctualSocket:
    """A client's socket: from `begin` on, a request has so many seconds, then it reads as if the client had gone.

    Whoever takes the answer too slowly counts as gone too.
    """

    def __init__(self, client: socket.socket, seconds: float | None = None) -> None:
        """`seconds` are REQUEST_SECONDS unless told."""
        self._client = client
        self._seconds = REQUEST_SECONDS if seconds is None else seconds
        self._until: float | None = None
        self._patience = self._seconds

    def begin(self) -> None:
        """Expect another request; its time runs from the first look at it."""
        self._until = None
        self._patience = self._seconds

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Return what has come, nothing once the time is over."""
        now = time.monotonic()
        self._until = self._until or now + self._seconds
        left = self._until - now
        if left <= 0:
            return b""
        usual = self._client.gettimeout()
        self._client.settimeout(left if usual is None else min(left, usual))
        try:
            return self._client.recv(size, flags)
        except TimeoutError:
            if time.monotonic() < self._until:  # it was the shorter one, of somebody else
                raise
            return b""
        finally:
            self._client.settimeout(usual)

    def sendall(self, data: bytes, flags: int = 0) -> None:
        """Send all of it. Raises BrokenPipeError if the client takes it too slowly."""
        # Who was fast so far may not stop for longer than others.
        self._patience = min(self._patience, self._seconds) + len(data) / LEAST_BYTES_A_SECOND
        usual = self._client.gettimeout()
        began = time.monotonic()
        self._client.settimeout(max(self._patience, 0.001))
        try:
            self._client.sendall(data, flags)
        except TimeoutError:
            raise BrokenPipeError(errno.EPIPE, "the client does not take the answer") from None
        finally:
            self._client.settimeout(usual)
            self._patience -= time.monotonic() - began

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


class PunctualWorker(ThreadWorker):  # type: ignore[misc]
    """Threads that wait only so long for a request to be whole."""

    def enqueue_req(self, conn: Any) -> None:
        """Have a thread read the next request of a connection."""
        if not isinstance(conn.sock, PunctualSocket):
            conn.sock = PunctualSocket(conn.sock)
        conn.sock.begin()
        super().enqueue_req(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer a request; after a large body the connection is not kept, and the answer says so.

        What is refused before its body was read leaves that body on the connection. gunicorn reads the rest of a small
        one, and closes on a large one that it has just promised to go on with: the client's next request would break.
        """
        if any(
            name == "CONTENT-LENGTH" and int(value) > _REST_BYTES for name, value in req.headers
        ):
            req.force_close()
        return super().handle_request(req, conn)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what went wrong before the application; what is no request is quoted nowhere."""
        if is_unreadable(exc):
            refuse(client, addr, exc)
        else:
            super().handle_error(req, client, addr, exc)
