"""Who calls and what that caller may do; and the declaration that every route carries."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

from flask import g, request

from api.access_file import AccessFile, AccessFileError, read_access_file
from api.guard_rails import GuardRails
from api.identities import Identities
from api.identity import Identity, IdentityUnavailable
from api.problems import Problem
from api.services import services
from remediation.audit import Verdict
from remediation.permission import Permission, Policy, Requester, Rights

__all__ = [
    "AUTHENTICATED",
    "PUBLIC",
    "Access",
    "Caller",
    "Permission",
    "authenticated",
    "caller",
    "permission",
    "public",
]

PUBLIC = "public"
AUTHENTICATED = "authenticated"
_SCHEME = "bearer"
_RETRY_SECONDS = 5

log = logging.getLogger(__name__)
View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent the request, and what the access file allows it at this moment."""

    identity: Identity
    rights: Rights

    @property
    def requester(self) -> Requester:
        """Its names, as they are kept with what it asks for."""
        return self.identity.requester

    @property
    def subject(self) -> str:
        """Its name, with a prefix that says of what kind it is."""
        return self.identity.requester.subject

    @property
    def key_id(self) -> str | None:
        """The public part of its API key, None if it has none."""
        return self.identity.key_id

    @property
    def permissions(self) -> frozenset[Permission]:
        """All that it may do, be it in one place only."""
        return self.rights.permissions


@dataclass(frozen=True, slots=True)
class _Loaded:
    file: AccessFile
    identities: Identities


class Access:
    """The access file, read again when it changes."""

    def __init__(
        self, path: Path | None, told: Callable[[Verdict, str], object] = lambda *_: None
    ) -> None:
        """`told` learns of each reading of the file: how it went, and what there is to say of it."""
        self._path = path
        self._told = told
        self._lock = threading.Lock()
        self._seen: object = None
        self._problem: str | None = None
        self._known = False
        self._loaded = _Loaded(AccessFile(), Identities(AccessFile()))

    def caller(self, token: str) -> Caller | None:
        """Return whose token it is, None if it is nobody's. Raises IdentityUnavailable."""
        loaded = self._current()
        found = loaded.identities.identify(token)
        if found is None:
            return None
        return Caller(found, Rights(loaded.file.policy.grants_of(found.requester)))

    @property
    def policy(self) -> Policy:
        """Who may do what, where."""
        return self._current().file.policy

    @property
    def document(self) -> Mapping[str, Any]:
        """All of the file as it was written."""
        return self._current().file.document

    @property
    def rails(self) -> GuardRails:
        """How much each role may ask for, and where a second person is needed."""
        return self._current().file.rails

    @property
    def problem(self) -> str | None:
        """Why the file is not used as it stands, None if it is."""
        self._current()
        return self._problem

    @property
    def known(self) -> bool:
        """Tell whether a file was ever read: without one, this process has no say in who may do what."""
        self._current()
        return self._known

    def _current(self) -> _Loaded:
        with self._lock:
            seen = self._state()
            if seen != self._seen:
                self._seen = seen
                self._read()
            return self._loaded

    def _state(self) -> object:
        """Return what changes when the file does, None without a file."""
        try:
            found = self._path.stat() if self._path else None
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_ino, found.st_size) if found else None

    def _read(self) -> None:
        """Read the file. One that is gone lets nobody in; one that is broken changes nothing, which is logged."""
        self._problem = None
        if self._path is None or self._seen is None:
            log.warning("there is no access file: nobody gets in")
            self._loaded = _Loaded(AccessFile(), Identities(AccessFile()))
            if self._path:
                self._told(Verdict.DONE, "there is no access file: nobody gets in")
            return
        try:
            file = read_access_file(self._path)
        except AccessFileError as error:
            self._problem = str(error)
            log.error(  # noqa: TRY400
                "the access file is not used as it stands, what was read before counts: %s", error
            )
            self._told(Verdict.REFUSED, str(error))
            return
        self._loaded = _Loaded(file, Identities(file, self._loaded.identities))
        self._known = True
        log.info(
            "the access file is read: %d keys, %d bindings",
            len(file.keys),
            len(file.policy.bindings),
        )
        self._told(Verdict.DONE, f"{len(file.keys)} keys, {len(file.policy.bindings)} bindings")


def permission(needed: Permission) -> Callable[[View], View]:
    """Let only callers in that have the permission somewhere; where it counts is for the view to ask.

    `caller()` says who it is.
    """
    return _guard(needed, needed)


def authenticated(view: View) -> View:
    """Let every known caller in, whatever it may do."""
    return _guard(AUTHENTICATED, None)(view)


def public(view: View) -> View:
    """Let everybody in."""
    view.access = PUBLIC  # type: ignore[attr-defined]
    return view


def caller() -> Caller:
    """Return who sent the request that is being answered."""
    return cast(Caller, g.caller)


def _guard(declared: str, needed: Permission | None) -> Callable[[View], View]:
    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            g.caller = _authenticate()
            if needed and needed not in g.caller.permissions:
                raise _not_permitted(g.caller, needed)
            return view(*args, **kwargs)

        guarded.access = declared  # type: ignore[attr-defined]
        return cast(View, guarded)

    return decorate


def _authenticate() -> Caller:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != _SCHEME or not token:
        raise _refused("No token was sent.", "")
    try:
        found = services().access.caller(token.strip())
    except IdentityUnavailable as error:
        raise Problem(
            "identity-unavailable",
            f"Nobody can tell at the moment whose token it is: {error}.",
            headers={"Retry-After": str(_RETRY_SECONDS)},
        ) from None
    if found is None:
        raise _refused(
            "The token is not known here, or not valid any more.", ', error="invalid_token"'
        )
    return found


def _not_permitted(who: Caller, needed: Permission) -> Problem:
    roles = ", ".join(who.rights.roles) or "none"
    return Problem(
        "forbidden",
        f"This needs the permission '{needed}', which {who.subject} does not have (roles: {roles}). "
        "Who keeps the access file can bind it to another role.",
    )


def _refused(what: str, reason: str) -> Problem:
    return Problem(
        "unauthenticated",
        f"{what} Send the header 'Authorization: Bearer rmd_…'. `remediator up` keeps a key in the file 'token' of "
        "its data directory; `remediator token create` makes one and prints its entry for the access file.",
        headers={"WWW-Authenticate": f'Bearer realm="remediator"{reason}'},
    )
