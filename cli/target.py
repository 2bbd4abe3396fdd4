"""Which service a client command talks to, and as whom."""

import ipaddress
import os
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from cli.data_dir import DataDir
from cli.errors import CliError
from cli.exit_codes import ExitCode
from cli.request import BASE_PATH

DEFAULT_URL = "http://127.0.0.1:8080"


@dataclass(frozen=True, slots=True)
class Target:
    """Base URL of the service (no slash at the end) and the caller's token, if there is one."""

    url: str
    token: str | None = field(default=None, repr=False)

    @property
    def loopback(self) -> bool:
        """Tell whether the service runs on this machine."""
        return _is_loopback(self.url)


def find_target(url: str | None, data_dir: DataDir) -> Target:
    """Return what `--url` and the environment say, else what `up` left in its data directory.

    The token of the data directory goes to the service it was made for or to this machine, never elsewhere.
    Raises CliError for a URL that is none.
    """
    left_behind = data_dir.url()
    chosen = _checked(url or left_behind or DEFAULT_URL)
    token = os.environ.get("REMEDIATOR_TOKEN", "").strip() or None
    if token is None and (chosen == left_behind or _is_loopback(chosen)):
        token = data_dir.token()
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        # Refused here because the HTTP library would show the token in its error.
        raise CliError("REMEDIATOR_TOKEN holds characters no token has", ExitCode.INVALID)
    return Target(chosen, token)


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or "@" in parts.netloc:
        raise CliError(f"--url {_wrong_with(url)}; example: {DEFAULT_URL}", ExitCode.INVALID)
    return url.rstrip("/").removesuffix(BASE_PATH)


def _wrong_with(url: str) -> str:
    """Return what is wrong, without quoting an address that may hold a password."""
    if "@" in url:
        return "must not hold a user or a password: set REMEDIATOR_TOKEN"
    if "://" not in url:
        return "must begin with http:// or https://"
    return "must be the address of a service: http:// or https://, a host, and a port if needed"


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
