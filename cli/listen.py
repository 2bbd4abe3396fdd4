"""The address that the API listens on."""

import errno
import http.client
import socket
from dataclasses import dataclass

from cli.errors import CliError


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port that nobody else listens on; `reservation` keeps the port for us while it is open."""

    host: str
    port: int
    reservation: socket.socket

    @property
    def listen(self) -> str:
        """As REMEDIATOR_LISTEN wants it."""
        return f"{_bracketed(self.host)}:{self.port}"

    @property
    def local_host(self) -> str:
        """The host as this machine reaches it."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self.host, self.host)  # noqa: S104

    @property
    def url(self) -> str:
        """Where this machine reaches the API."""
        return f"http://{_bracketed(self.local_host)}:{self.port}"

    def ready(self) -> bool:
        """Tell whether the API is ready."""
        connection = http.client.HTTPConnection(self.local_host, self.port, timeout=2.0)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def reserve(host: str, port: int) -> Address:
    """Bind the address without listening, so that the API can and others cannot; port 0 picks a free one.

    Raises CliError if the address is taken or not to be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise CliError(f"--host {host} is not an address of this machine") from error
    reservation = socket.socket(family, kind, protocol)
    # Both we and the API set this, and only one of us listens: that is what allows both to bind.
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        reservation.bind(address)
    except OSError as error:
        reservation.close()
        raise CliError(_problem(host, port, error)) from error
    return Address(host, reservation.getsockname()[1], reservation)


def _problem(host: str, port: int, error: OSError) -> str:
    place = f"{_bracketed(host)}:{port}"
    if error.errno == errno.EADDRINUSE:
        return (
            f"{place} is taken, by another program or another `remediator up`; choose another port with --port (0: any"
            " free one)"
        )
    if error.errno == errno.EACCES:
        return f"{place} needs privileges; choose a port above 1023 with --port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--host {host} is not an address of this machine"
    return f"cannot listen on {place}: {error.strerror}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
