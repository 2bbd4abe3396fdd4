"""The named credentials in the worker's folder, read anew whenever they are needed: mounted Secrets change in place."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from remediation.credential import (
    SECRET_KEY,
    Credential,
    InvalidCredential,
    Login,
    credential_from_docker_config,
    credential_from_login,
)
from remediation.inventory import AnnouncedCredential

_PARTS = ("registry", "username", "password")


class CredentialUnavailable(Exception):
    """The credential cannot be used; the message holds nothing of its content."""


@dataclass(frozen=True, slots=True)
class CredentialFolder:
    """`NAME/.dockerconfigjson` or `NAME/{registry,username,password}`; no folder holds no credentials."""

    path: Path | None

    def problem(self) -> str | None:
        """Return why the folder holds nothing, None if it can be read or none was named."""
        if self.path is None:
            return None
        try:
            next(self.path.iterdir(), None)
        except OSError as error:
            return f"credentials folder {self.path}: cannot be read ({error.strerror})"
        return None

    def get(self, name: str) -> Credential:
        """Return the credential as it is now. Raises CredentialUnavailable."""
        if name not in (entry.name for entry in self._entries()):
            raise CredentialUnavailable(f"this worker holds no credential '{name}'")
        assert self.path is not None  # noqa: S101 -- there are entries
        try:
            return _load(self.path / name)
        except InvalidCredential as error:
            raise CredentialUnavailable(f"credential '{name}' {error}") from None

    def announced(self) -> tuple[AnnouncedCredential, ...]:
        """Return what may be told of the credentials, the unusable ones with the reason."""
        return tuple(_announce(entry) for entry in self._entries())

    def _entries(self) -> Iterator[Path]:
        if self.path is None:
            return
        try:
            entries = sorted(self.path.iterdir())
        except OSError:  # `problem` tells
            return
        for entry in entries:
            # A mounted Secret keeps its versions in hidden entries.
            if entry.is_dir() and not entry.name.startswith("."):
                yield entry


def _announce(entry: Path) -> AnnouncedCredential:
    since = None
    try:
        since = _changed(entry)
        credential = _load(entry)
    except InvalidCredential as error:
        return AnnouncedCredential(entry.name, since=since, problem=str(error))
    return AnnouncedCredential(entry.name, credential.registries, credential.usernames, since)


def _changed(entry: Path) -> str:
    try:
        changed = datetime.fromtimestamp(entry.stat().st_mtime, UTC)
    except OSError as error:  # it went away this moment
        raise InvalidCredential(f"cannot be read ({error.strerror})") from None
    return changed.isoformat(timespec="seconds").replace("+00:00", "Z")


def _load(entry: Path) -> Credential:
    try:
        present = {path.name for path in entry.iterdir()}
    except OSError as error:
        raise InvalidCredential(f"cannot be read ({error.strerror})") from None
    if SECRET_KEY in present:
        return credential_from_docker_config(entry.name, _read(entry / SECRET_KEY))
    if missing := [part for part in _PARTS if part not in present]:
        raise InvalidCredential(
            f"has neither {SECRET_KEY} nor the files {', '.join(_PARTS)} (missing: {', '.join(missing)})"
        )
    registry, username, password = (_text(entry / part) for part in _PARTS)
    return credential_from_login(entry.name, registry, Login(username, password))


def _text(path: Path) -> str:
    try:
        # Editors and `echo` end a file with a line break that belongs to no password.
        return _read(path).decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise InvalidCredential(f"has a file '{path.name}' that is not UTF-8") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidCredential(
            f"has a file '{path.name}' that cannot be read ({error.strerror})"
        ) from None
