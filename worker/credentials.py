"""The named credentials in the worker's folder, read anew whenever they are needed: mounted Secrets change in place."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from remediation.credential import Credential, credential_from_docker_config, credential_from_login
from remediation.docker_config import SECRET_KEY, InvalidCredential, Login
from remediation.inventory import AnnouncedCredential
from remediation.registry.rules import InvalidRules, check_shadow
from remediation.short_lived import short_lived

_PARTS = ("registry", "username", "password")
_SHADOW = "shadow"
# The kubelet puts the files of a mounted Secret into a folder of their own, and swaps this link for a new one.
_PRESENT = "..data"
_MOST_SWAPS = 5
_MOST_ENDINGS = 20  # told of one credential

Fingerprint = Callable[[bytes], str | None]


class CredentialUnavailable(Exception):
    """The credential cannot be used; the message holds nothing of its content."""


@dataclass(frozen=True, slots=True)
class CredentialFolder:
    """`NAME/.dockerconfigjson` or `NAME/{registry,username,password}`, and `NAME/shadow`; no folder holds none."""

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
        if name not in self.names():
            raise CredentialUnavailable(f"this worker holds no credential '{name}'")
        assert self.path is not None  # noqa: S101 -- there are entries
        try:
            return _read_credential(self.path / name)[0]
        except InvalidCredential as error:
            raise CredentialUnavailable(f"credential '{name}' {error}") from None

    def announced(self, fingerprint: Fingerprint) -> tuple[AnnouncedCredential, ...]:
        """Return what may be told of the credentials, the unusable ones with the reason."""
        return tuple(_announce(entry, fingerprint) for entry in self._entries())

    def names(self) -> tuple[str, ...]:
        """Return the names of all entries."""
        return tuple(entry.name for entry in self._entries())

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


def _announce(entry: Path, fingerprint: Fingerprint) -> AnnouncedCredential:
    try:
        credential, changed = _read_credential(entry)
    except InvalidCredential as error:
        return AnnouncedCredential(entry.name, since=_since(entry), problem=str(error))
    return AnnouncedCredential(
        entry.name,
        credential.registries,
        credential.usernames,
        since=_time(changed),
        fingerprint=fingerprint(credential.content),
        endings=short_lived(credential.config.logins)[:_MOST_ENDINGS],
    )


def _since(entry: Path) -> str | None:
    """Return when an entry that cannot be used was changed last, None if not even that is known."""
    try:
        return _time(_version(entry).stat().st_mtime)
    except (InvalidCredential, OSError):
        return None


def _time(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _read_credential(entry: Path) -> tuple[Credential, float]:
    """Return a credential and when it was changed last, in seconds since the epoch. Raises InvalidCredential.

    All its files are read from one version: a mount that is swapped meanwhile must not mix an old user name with a new
    password.
    """
    for _ in range(_MOST_SWAPS):
        version = _version(entry)
        try:
            return _load(entry.name, version)
        except InvalidCredential:
            if _version(entry) == version:
                raise
    raise InvalidCredential("is changing all the time")


def _version(entry: Path) -> Path:
    """Return the folder that holds the files at present: mounts are reached through links. Raises InvalidCredential."""
    try:
        # The entry itself may be such a link: where a whole folder of credentials is one mount.
        folder = _resolved(entry)
        present = folder / _PRESENT
        return _resolved(present) if present.is_symlink() else folder
    except OSError as error:
        raise InvalidCredential(f"cannot be read ({error.strerror})") from None


def _resolved(path: Path) -> Path:
    # Path.resolve ends a circle of links with a RuntimeError.
    return Path(os.path.realpath(path, strict=True))


def _load(name: str, folder: Path) -> tuple[Credential, float]:
    try:
        present = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise InvalidCredential(f"cannot be read ({error.strerror})") from None
    if SECRET_KEY in present:
        credential = credential_from_docker_config(name, _read(folder / SECRET_KEY))
    elif missing := [part for part in _PARTS if part not in present]:
        raise InvalidCredential(
            f"has neither {SECRET_KEY} nor the files {', '.join(_PARTS)} (missing: {', '.join(missing)})"
        )
    else:
        registry, username, password = (_text(folder / part) for part in _PARTS)
        credential = credential_from_login(name, registry, Login(username, password))
    if _SHADOW in present:
        credential = replace(credential, shadow=_shadow(_text(folder / _SHADOW)))
    return credential, _changed(folder, present & {SECRET_KEY, *_PARTS, _SHADOW})


def _shadow(text: str) -> str:
    try:
        # Whether it may be without TLS is up to its registry's rules: the proof looks at them.
        check_shadow(text, "its shadow", plain_http=True)
    except InvalidRules as error:
        raise InvalidCredential(f"cannot be proven: {error}") from None
    return text


def _changed(folder: Path, names: set[str]) -> float:
    try:
        return max(path.stat().st_mtime for path in (folder, *(folder / name for name in names)))
    except OSError as error:  # it went away this moment
        raise InvalidCredential(f"cannot be read ({error.strerror})") from None


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
