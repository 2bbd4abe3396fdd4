"""Connections to Redis whose waits are bounded by the patience of the request that waits."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.utils import SENTINEL

from store.patience import Patience

if TYPE_CHECKING:
    _Base = Connection
else:
    _Base = object  # each kind names its own


def bounded(options: Mapping[str, Any], patience: Patience) -> dict[str, Any]:
    """Return the options of a connection pool for connections that are bounded."""
    kind = _KINDS[options.get("connection_class", Connection)]
    return {**options, "connection_class": kind, "patience": patience}


class _Bounded(_Base):
    """What all kinds have in common. Time limits are read anew for each wait, each address and each handshake."""

    def __init__(self, *, patience: Patience, **options: Any) -> None:
        self._patience = patience
        super().__init__(**options)  # type: ignore[no-untyped-call]

    @property
    def socket_timeout(self) -> float:
        """How long to wait for an answer."""
        return max(self._patience.left(), 0.001)  # 0 would mean: do not block

    @socket_timeout.setter
    def socket_timeout(self, _: object) -> None:
        """Leave it to the patience."""

    @property
    def socket_connect_timeout(self) -> float:
        """How long to wait for a connection."""
        return max(self._patience.left(), 0.001)

    @socket_connect_timeout.setter
    def socket_connect_timeout(self, _: object) -> None:
        """Leave it to the patience."""

    def _connect(self) -> Any:
        with self._patience.waiting(answers=False):
            return super()._connect()  # type: ignore[no-untyped-call]

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send a command."""
        with self._patience.waiting(answers=False) as seconds:
            if self._sock:
                self._sock.settimeout(seconds)
            super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]

    def read_response(
        self, disable_decoding: bool = False, *, timeout: Any = SENTINEL, **more: Any
    ) -> Any:
        """Return an answer. Raises redis' TimeoutError if none comes."""
        if timeout is not SENTINEL:
            return super().read_response(disable_decoding, timeout=timeout, **more)
        with self._patience.waiting(answers=True) as seconds:
            return super().read_response(disable_decoding, timeout=seconds, **more)


class _Tcp(_Bounded, Connection):
    pass


class _Tls(_Bounded, SSLConnection):
    pass


class _Socket(_Bounded, UnixDomainSocketConnection):
    pass


_KINDS: Mapping[Any, Any] = {
    Connection: _Tcp,
    SSLConnection: _Tls,
    UnixDomainSocketConnection: _Socket,
}
