"""The workers' private sealing keys: what opens the logins that came in requests, and keys the fingerprints."""

from dataclasses import dataclass, field
from pathlib import Path

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, SealedBox

from remediation.request import InlineCredential
from remediation.sealing import (
    InlineLogin,
    KeyKind,
    Sealed,
    SealedValueError,
    SealingKeyError,
    fingerprint,
    key_id,
    parse_keys,
    unpack,
)


@dataclass(frozen=True, slots=True)
class SealingKeys:
    """Private keys by the ids of their pairs; the first one keys the fingerprints."""

    by_id: dict[str, bytes] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, path: Path | None) -> "SealingKeys":
        """Read a key file, anew each time it is needed: a mounted one changes in place. No file holds no key.

        Raises SealingKeyError.
        """
        if path is None:
            return cls()
        try:
            keys = parse_keys(KeyKind.PRIVATE, path.read_text("utf-8"))
        except OSError as error:
            raise SealingKeyError(f"cannot be read ({error.strerror})") from None
        except UnicodeDecodeError:
            raise SealingKeyError("is not text") from None
        return cls({key_id(bytes(PrivateKey(key).public_key)): key for key in keys})

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the pairs, in order."""
        return tuple(self.by_id)

    def fingerprint(self, content: bytes) -> str | None:
        """Return the fingerprint of a credential's content, None without a key."""
        first = next(iter(self.by_id.values()), None)
        return fingerprint(first, content) if first else None

    def open(self, sealed: str, remediation_id: str, recorded: InlineCredential) -> InlineLogin:
        """Return the login that was sealed for this remediation. Raises SealedValueError."""
        value = Sealed.from_text(sealed)
        key = self.by_id.get(value.key)
        if key is None:
            held = f"holds {', '.join(self.ids)}" if self.by_id else "holds none"
            raise SealedValueError(f"the login was sealed with key {value.key}; this worker {held}")
        try:
            packed = SealedBox(PrivateKey(key)).decrypt(value.box)
        except (CryptoError, ValueError, TypeError):
            raise SealedValueError("the sealed login is damaged") from None
        return unpack(packed, remediation_id, recorded)
