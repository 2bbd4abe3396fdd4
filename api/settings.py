"""What the environment says, read once and checked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from store.connection import PROMPT
from store.patience import Patience
from store.redis_url import read_redis_url
from store.store import Store

DEFAULT_REDIS_URL = "redis://127.0.0.1:6379/0"
DEFAULT_LISTEN = "127.0.0.1:8080"
DEFAULT_RETENTION_DAYS = 30
DEFAULT_FAILURES_PER_MINUTE = 60
_MAX_FAILURES_PER_MINUTE = 1_000_000
_MAX_RETENTION_DAYS = 3650
_MAX_PORT = 65535
_DAY_SECONDS = 24 * 3600

T = TypeVar("T")
Choice = TypeVar("Choice", bound=StrEnum)


class SettingsError(ValueError):
    """A variable has a wrong value; the message is one line that names it, the problem and an example."""


class LogFormat(StrEnum):
    """How log lines look."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """The least important lines that are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; port 0 takes any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of the API process. `public_url` has no slash at the end."""

    redis_url: str = field(default=DEFAULT_REDIS_URL, repr=False)
    listen: Address = Address("127.0.0.1", 8080)
    public_url: str | None = None
    access_file: Path | None = None
    sealing_public_key_file: Path | None = None
    failures_per_minute: int = DEFAULT_FAILURES_PER_MINUTE
    retention_days: int = DEFAULT_RETENTION_DAYS
    log_format: LogFormat = LogFormat.TEXT
    log_level: LogLevel = LogLevel.INFO

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the variables; an empty one counts as not set. Raises SettingsError."""

        def read(name: str, parse: Callable[[str], T], example: str, default: T) -> T:
            text = environment.get(name, "")
            if not text:
                return default
            try:
                return parse(text)
            except ValueError as error:
                # No cause: it could quote a password.
                raise SettingsError(f"{name} {error}; example: {name}={example}") from None

        return cls(
            redis_url=read(
                "REDIS_URL", _redis_url, "redis://:PASSWORD@redis.example:6379/0", DEFAULT_REDIS_URL
            ),
            listen=read("REMEDIATOR_LISTEN", _address, DEFAULT_LISTEN, _address(DEFAULT_LISTEN)),
            public_url=read(
                "REMEDIATOR_PUBLIC_URL", _public_url, "https://remediator.example", None
            ),
            access_file=read("REMEDIATOR_ACCESS_FILE", _file, "/etc/remediator/access.yaml", None),
            sealing_public_key_file=read(
                "REMEDIATOR_SEALING_PUBLIC_KEY_FILE", _file, "/etc/remediator/sealing.pub", None
            ),
            failures_per_minute=read(
                "REMEDIATOR_AUTHENTICATION_FAILURES_PER_MINUTE",
                _failures,
                str(DEFAULT_FAILURES_PER_MINUTE),
                DEFAULT_FAILURES_PER_MINUTE,
            ),
            retention_days=read(
                "REMEDIATOR_RETENTION_DAYS",
                _days,
                str(DEFAULT_RETENTION_DAYS),
                DEFAULT_RETENTION_DAYS,
            ),
            log_format=read("REMEDIATOR_LOG_FORMAT", _choice(LogFormat), "json", LogFormat.TEXT),
            log_level=read("REMEDIATOR_LOG_LEVEL", _choice(LogLevel), "info", LogLevel.INFO),
        )

    @property
    def retention_seconds(self) -> int:
        """How long a remediation that has ended is kept."""
        return self.retention_days * _DAY_SECONDS

    def url(self, path: str) -> str:
        """Return the address of a path: absolute if the public one is known."""
        return (self.public_url or "") + path


def open_store(settings: Settings) -> Store:
    """Wire a store for callers, who are better served by a quick 503 than by patience."""
    return Store.open(
        settings.redis_url,
        retries=PROMPT,
        retention_seconds=settings.retention_seconds,
        patience=Patience(),
    )


def _redis_url(text: str) -> str:
    read_redis_url(text)
    return text


def _address(text: str) -> Address:
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not bare or (":" in bare and bare == host) or not port.isdecimal():
        raise ValueError(f"is {text!r}, which is not host:port (an IPv6 host in brackets)")
    if int(port) > _MAX_PORT:
        raise ValueError(f"is {text!r}, whose port is not in 0..{_MAX_PORT}")
    return Address(bare, int(port))


def _public_url(text: str) -> str:
    wrong = "must be http:// or https:// with a host and no user, query or fragment"
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValueError(wrong) from None
    if not valid or "@" in parts.netloc or parts.query or parts.fragment or not text.isprintable():
        raise ValueError(wrong)
    return text.rstrip("/")


def _file(text: str) -> Path:
    path = Path(text)
    if path.is_dir():
        raise ValueError(f"is {text!r}, which is a folder")
    return path


def _days(text: str) -> int:
    return _number(text, "number of days", _MAX_RETENTION_DAYS)


def _failures(text: str) -> int:
    return _number(text, "number of failures", _MAX_FAILURES_PER_MINUTE)


def _number(text: str, what: str, most: int) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise ValueError(f"is {text!r}, which is no {what} in 1..{most}")
    return int(text)


def _choice(kind: type[Choice]) -> Callable[[str], Choice]:
    def parse(text: str) -> Choice:
        if text.lower() not in list(kind):
            raise ValueError(f"is {text!r}, which is none of {', '.join(kind)}")
        return kind(text.lower())

    return parse
