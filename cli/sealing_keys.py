"""Pairs of sealing keys as two files."""

import os
from dataclasses import dataclass
from pathlib import Path

from cli.errors import CliError
from remediation.sealing import KeyKind, SealingKeyError, format_key, key_id, parse_keys

PRIVATE_NAME = "sealing.key"
PUBLIC_NAME = "sealing.pub"
_OWNER_ONLY = 0o600
_EVERYBODY_READS = 0o644


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of a pair, and what the pair is called."""

    private: Path
    public: Path
    id: str


def create_pair(directory: Path) -> Pair:
    """Make a pair in a directory, which is made too. Raises CliError if one of the files is there or cannot be made."""
    from nacl.public import PrivateKey  # the commands that make no key start without it

    private, public = directory / PRIVATE_NAME, directory / PUBLIC_NAME
    for path in (private, public):
        if os.path.lexists(path):
            raise CliError(
                f"{path} is there already and is not overwritten: what was sealed for it could not be opened any more; "
                "choose another --directory"
            )
    key = PrivateKey.generate()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(private, format_key(KeyKind.PRIVATE, bytes(key)), _OWNER_ONLY)
        _write_public(public, bytes(key.public_key))
    except OSError as error:
        raise CliError(f"cannot write to {directory}: {error.strerror}") from error
    return Pair(private, public, key_id(bytes(key.public_key)))


def ensure_pair(directory: Path) -> Pair:
    """Return the pair in a directory; what of it is missing is made. Raises CliError for a key that cannot be used."""
    from nacl.public import PrivateKey

    private, public = directory / PRIVATE_NAME, directory / PUBLIC_NAME
    if not private.exists():
        public.unlink(missing_ok=True)  # nothing can open what it seals
        return create_pair(directory)
    try:
        first = parse_keys(KeyKind.PRIVATE, private.read_text("utf-8"))[0]
        key = bytes(PrivateKey(first).public_key)
        if not public.exists():
            _write_public(public, key)
    except (SealingKeyError, UnicodeDecodeError) as error:
        why = error if isinstance(error, SealingKeyError) else "is not text"
        raise CliError(
            f"{private} {why}; mend it, or move it away to have a new one made"
        ) from None
    except OSError as error:
        raise CliError(f"cannot use the keys in {directory}: {error.strerror}") from error
    return Pair(private, public, key_id(key))


def _write_public(path: Path, key: bytes) -> None:
    _write_new(path, format_key(KeyKind.PUBLIC, key), _EVERYBODY_READS)


def _write_new(path: Path, text: str, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, mode)  # whatever the umask says
        file.write(text)
        file.flush()
        os.fsync(descriptor)
