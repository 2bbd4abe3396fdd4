"""What certificate a server shows, and whether pinning it helps: real TLS servers on loopback."""

import socket
import ssl
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from itertools import cycle
from pathlib import Path

import pytest

from network.trust import context
from tests.network.pki import Issued
from worker.pin import _check_usable, _Refused
from worker.pin_server import NotTrusted, Place, Unreachable, bundle, check_trust, shown_by


@contextmanager
def served(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Yield the port of a server that deals with each connection in turn."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):  # the listener is closed
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        connection.settimeout(10)
                        answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def tls(*contexts: ssl.SSLContext) -> Callable[[socket.socket], None]:
    """Return an API server of several machines, each with a certificate of its own."""
    turns = cycle(contexts)

    def answer(connection: socket.socket) -> None:
        with next(turns).wrap_socket(connection, server_side=True) as secured:
            secured.recv(1)

    return answer


@contextmanager
def a_server(folder: Path, *issued: Issued) -> Iterator[Place]:
    shown = [each.server(folder / str(at)).context() for at, each in enumerate(issued)]
    with served(tls(*shown)) as port:
        yield Place(f"https://127.0.0.1:{port}", None)


def test_the_certificate_of_an_unknown_ca_is_trusted_once_it_is_pinned(tmp_path: Path):
    root = Issued.make("root", ca=True)
    leaf = Issued.make("server", Issued.make("between", root, ca=True))
    with a_server(tmp_path, leaf) as place:
        (shown,) = shown_by(place)

        check_trust(place, context([shown.der]))
        with pytest.raises(NotTrusted, match="local issuer"):
            check_trust(place, context([root.der]))

    assert shown.der == leaf.der
    assert shown.names == ("localhost", "127.0.0.1")
    assert b64decode(bundle([shown])) == leaf.pem
    assert shown.fingerprint.replace(":", "") == sha256(leaf.der).hexdigest().upper()


def test_all_certificates_of_an_address_with_several_servers_are_pinned(tmp_path: Path):
    one, two = Issued.make("one"), Issued.make("two")
    with a_server(tmp_path, one, two) as place:
        shown = shown_by(place)

        assert {each.der for each in shown} == {one.der, two.der}
        check_trust(place, context([each.der for each in shown]))


@pytest.mark.parametrize(
    ("issued", "why"),
    [
        (Issued.make("old", days=-1), "it ran out on"),
        (Issued.make("127.0.0.1", names=False), "no subject alternative names"),
        (Issued.make("client", client_only=True), "it would not be trusted as '127.0.0.1'"),
    ],
)
def test_a_certificate_that_kubectl_would_not_take_as_a_ca_either_is_refused(
    tmp_path: Path, issued: Issued, why: str
):
    with a_server(tmp_path, issued) as place, pytest.raises(_Refused, match=why):
        _check_usable(place, shown_by(place))


def test_a_certificate_for_another_name_is_refused_with_the_names_it_is_for(tmp_path: Path):
    with a_server(tmp_path, Issued.make("server")) as place:
        wrong = Place(place.server, None, "api.example.com")
        with pytest.raises(
            _Refused,
            match=r"as 'api.example.com'.*localhost, 127.0.0.1.*--tls-server-name localhost",
        ):
            _check_usable(wrong, shown_by(wrong))
        _check_usable(Place(place.server, None, "localhost"), shown_by(place))


def test_a_proxy_is_asked_with_its_login_and_407_is_told(tmp_path: Path):
    secured = tls(Issued.make("server").server(tmp_path).context())

    def proxy(connection: socket.socket) -> None:
        request = connection.recv(4096).decode()
        if "Proxy-Authorization: Basic cm9ib3Q6cEA1NQ==" not in request:
            connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return
        assert request.startswith("CONNECT 127.0.0.1:6443 ")
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        secured(connection)

    with served(proxy) as port:
        through = Place("https://127.0.0.1:6443", f"http://robot:p%4055@127.0.0.1:{port}")
        assert shown_by(through)[0].names == ("localhost", "127.0.0.1")
        with pytest.raises(Unreachable, match="407") as refused:
            shown_by(Place("https://127.0.0.1:6443", f"http://robot:wrong@127.0.0.1:{port}"))

    assert "wrong" not in str(refused.value)


def test_a_server_that_is_none_is_told(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unreachable, match="Connection refused"):
        shown_by(Place(f"https://127.0.0.1:{port}", None))
    greets = served(lambda connection: connection.sendall(b"220 mail.example.com\r\n"))
    with greets as port, pytest.raises(Unreachable, match="does not speak TLS"):
        shown_by(Place(f"https://127.0.0.1:{port}", None))
