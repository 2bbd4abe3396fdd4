"""gunicorn, configured in code: the environment of the service is the only place to set anything."""

import os
import signal
import socket
from types import FrameType
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from api.app import create_app
from api.background import RedisState, start_recovery
from api.services import services_of
from api.settings import Address, Settings, open_store
from api.slow_clients import PunctualWorker
from api.unreadable import without_quotations

WORKERS = 2
THREADS = 64
_BACKLOG = 1024


class _Logger(Logger):  # type: ignore[misc]
    """gunicorn's log, in ours."""

    def setup(self, cfg: Any) -> None:
        """Leave handlers and levels as `logs.configure` has set them."""
        self.cfg = cfg
        self.error_log.propagate = True
        self._access_log_enabled = False

    def debug(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Log a detail; the texts of exceptions quote what a client sent."""
        super().debug(msg, *without_quotations(args), **kwargs)


class Server(BaseApplication):  # type: ignore[misc]
    """Serves the API on a socket that is bound already."""

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener.detach()  # gunicorn closes it
        self._redis = RedisState(settings.redis_url)
        super().__init__()

    @property
    def refused(self) -> bool:
        """Tell whether it ended because Redis refuses what is needed."""
        return self._redis.refused

    def load_config(self) -> None:
        """Set gunicorn up (its own ways of configuration are left aside)."""
        for name, value in {
            "bind": f"fd://{self._listener}",
            "worker_class": PunctualWorker,
            "workers": WORKERS,
            "threads": THREADS,
            "timeout": 60,
            "graceful_timeout": 20,
            "keepalive": 5,
            "sendfile": False,  # the kernel would wait for a slow client for ever
            "limit_request_line": 4094,
            "limit_request_fields": 64,
            "limit_request_field_size": 8190,
            # Headers that only a proxy may set mean nothing here.
            "forwarded_allow_ips": "",
            "secure_scheme_headers": {},
            "control_socket_disable": True,
            "proc_name": "remediator-api",
            "logger_class": _Logger,
            "post_worker_init": _stop_waits_on_sigterm,
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Make the application, in the process that serves it."""
        store = open_store(self._settings)
        app = create_app(self._settings, store)
        services = services_of(app)
        start_recovery(store, self._redis, services.waits.pause, services.publication.refresh)
        return app


def listen(address: Address) -> socket.socket:
    """Bind the address. Raises OSError."""
    family, kind, protocol, _, place = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(_BACKLOG)  # who only binds does not find out that somebody else listens
    except OSError:
        listener.close()
        raise
    return listener


def without_gunicorns_environment() -> None:
    """Forget the variables by which gunicorn would take other settings or sockets."""
    for name in ("GUNICORN_CMD_ARGS", "GUNICORN_PID", "GUNICORN_FD", "LISTEN_PID", "LISTEN_FDS"):
        os.environ.pop(name, None)


def _stop_waits_on_sigterm(worker: Any) -> None:
    """Have requests that wait be answered as soon as the process is asked to end, rather than cut off."""
    waits = services_of(worker.wsgi).waits
    graceful = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        waits.stop()
        if callable(graceful):
            graceful(number, frame)

    signal.signal(signal.SIGTERM, stop)
