"""The address that the API will listen on."""

import socket

import pytest

from cli.errors import CliError
from cli.listen import reserve


def test_a_reserved_port_can_be_listened_on_by_the_api_only() -> None:
    """The API binds the same way; a port picked for somebody else is never this one."""
    address = reserve("127.0.0.1", 0)
    with address.reservation, socket.socket() as api, socket.socket() as plain:
        api.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="in use"):
            plain.bind(("127.0.0.1", address.port))

        api.bind(("127.0.0.1", address.port))
        api.listen()

        with socket.create_connection(("127.0.0.1", address.port), timeout=90):
            pass


def test_a_port_that_is_listened_on_is_taken() -> None:
    """The message names it and the way out."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(CliError, match=rf"127\.0\.0\.1:{port} is taken.* --port"):
            reserve("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "listen", "url"),
    [
        ("127.0.0.1", "127.0.0.1:", "http://127.0.0.1:"),
        ("0.0.0.0", "0.0.0.0:", "http://127.0.0.1:"),
        ("localhost", "localhost:", "http://localhost:"),
    ],
)
def test_how_it_is_reached(host: str, listen: str, url: str) -> None:
    """All addresses are reached through loopback on this machine."""
    address = reserve(host, 0)
    with address.reservation:
        assert address.listen == f"{listen}{address.port}"
        assert address.url == f"{url}{address.port}"


@pytest.mark.parametrize("host", ["192.0.2.1", "a..b", "host\nname"])
def test_an_address_of_somebody_else(host: str) -> None:
    """Said with the option's name."""
    with pytest.raises(CliError, match="--host"):
        reserve(host, 0)
