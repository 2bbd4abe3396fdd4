"""The access file as it is at this moment, and what it says of a token."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.access_file import AccessFile, AccessFileError, read_access_file
from api.guard_rails import GuardRails
from api.identities import Identities
from api.identity import Identity
from remediation.audit import Verdict
from remediation.permission import Permission, Policy, Requester, Rights

log = logging.getLogger(__name__)


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

    def named_key(self, token: str) -> str | None:
        """Return the id of the known API key that a token says it is, valid or not."""
        return self._current().identities.named_key(token)

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
