"""Who may call: API keys from the access file, and the decorator that every route carries."""

import hmac
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

from flask import g, request

from api.access_file import AccessFileError, Key, read_access
from api.guard_rails import GuardRails
from api.problems import Problem
from api.services import services
from remediation.api_key import digest, parse_api_key
from remediation.audit import Verdict
from remediation.permission import Permission

__all__ = [
    "PUBLIC",
    "Access",
    "Caller",
    "Permission",
    "caller",
    "permission",
    "public",
    "roles_of",
]

PUBLIC = "public"
_NOBODY = digest(
    ""
)  # what an unknown key id is compared with, so that it takes as long as a known one
_SCHEME = "bearer"
_ROLE_OF_EVERY_KEY = "admin"

log = logging.getLogger(__name__)
View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent the request."""

    subject: str
    key_id: str
    permissions: frozenset[Permission]


class Access:
    """The keys of the access file, read again when the file changes."""

    def __init__(
        self, path: Path | None, told: Callable[[Verdict, str], object] = lambda *_: None
    ) -> None:
        """`told` learns of each reading of the file: how it went, and what there is to say of it."""
        self._path = path
        self._told = told
        self._lock = threading.Lock()
        self._seen: object = None
        self._keys: Mapping[str, Key] = {}
        self._rails = GuardRails()

    def caller(self, token: str) -> Caller | None:
        """Return whose token it is, None if it is nobody's."""
        key_id = parse_api_key(token)
        if key_id is None:
            return None
        key = self._current().get(key_id)
        matches = hmac.compare_digest(digest(token), key.sha256 if key else _NOBODY)
        if key is None or not matches:
            return None
        return Caller(key.subject, key.id, frozenset(Permission))

    def guard_rails(self) -> GuardRails:
        """Return the guard rails as the file has them now."""
        self._current()
        return self._rails

    def _current(self) -> Mapping[str, Key]:
        with self._lock:
            seen = self._state()
            if seen != self._seen:
                self._seen = seen
                self._read()
            return self._keys

    def _state(self) -> object:
        """Return what changes when the file does, None without a file."""
        try:
            found = self._path.stat() if self._path else None
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_ino, found.st_size) if found else None

    def _read(self) -> None:
        """Read the file. One that is gone lets nobody in; one that is broken changes nothing, which is logged."""
        if self._path is None or self._seen is None:
            self._keys = {}  # and the guard rails stay: a file that vanishes must not lift any
            if self._path:
                self._told(Verdict.DONE, "the access file is gone: nobody gets in")
            return
        try:
            self._keys, self._rails = read_access(self._path)
        except AccessFileError as error:
            log.error("the access file is not used as it stands: %s", error)  # noqa: TRY400
            self._told(Verdict.REFUSED, str(error))
        else:
            self._told(Verdict.DONE, f"{len(self._keys)} keys")


def permission(needed: Permission) -> Callable[[View], View]:
    """Let only callers in that have the permission; `caller()` says who it is."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            g.caller = _authenticate()
            # Every key has every permission so far, so there is nobody to be refused here.
            return view(*args, **kwargs)

        guarded.access = needed  # type: ignore[attr-defined]
        return cast(View, guarded)

    return decorate


def public(view: View) -> View:
    """Let everybody in."""
    view.access = PUBLIC  # type: ignore[attr-defined]
    return view


def caller() -> Caller:
    """Return who sent the request that is being answered."""
    return cast(Caller, g.caller)


def roles_of(who: Caller) -> frozenset[str]:
    """Return the roles that a caller has, for the limits of each."""
    return frozenset({_ROLE_OF_EVERY_KEY})


def _authenticate() -> Caller:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != _SCHEME or not token:
        raise _refused("No API key was sent.", "")
    found = services().access.caller(token.strip())
    if found is None:
        raise _refused("The API key is not known here.", ', error="invalid_token"')
    return found


def _refused(what: str, reason: str) -> Problem:
    return Problem(
        "unauthenticated",
        f"{what} Send the header 'Authorization: Bearer rmd_…'. `remediator up` keeps a key in the file 'token' of "
        "its data directory; `remediator token create` makes one and prints its entry for the access file.",
        headers={"WWW-Authenticate": f'Bearer realm="remediator"{reason}'},
    )
