"""Sealing logins that come in requests. The API holds the public half of the key: it cannot open what it has sealed."""

from dataclasses import dataclass
from pathlib import Path

from nacl.public import PublicKey, SealedBox

from remediation.sealing import (
    InlineLogin,
    KeyKind,
    Sealed,
    SealingKeyError,
    key_id,
    pack,
    parse_keys,
)


@dataclass(frozen=True, slots=True)
class SealingKey:
    """The workers' public key."""

    public: bytes

    @property
    def id(self) -> str:
        """What the pair is called."""
        return key_id(self.public)

    def seal(self, remediation_id: str, inline: InlineLogin) -> str:
        """Return a login as it may be stored: bound to this remediation, and for workers only."""
        box = SealedBox(PublicKey(self.public)).encrypt(pack(remediation_id, inline))
        return Sealed(self.id, box).to_text()


def read_public_key(path: Path | None) -> SealingKey | None:
    """Read the key, None if none is configured. Raises SealingKeyError."""
    if path is None:
        return None
    try:
        keys = parse_keys(KeyKind.PUBLIC, path.read_text("utf-8"))
    except OSError as error:
        raise SealingKeyError(f"cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise SealingKeyError("is not text") from None
    if len(keys) > 1:
        raise SealingKeyError(
            "holds several keys; it needs the one to seal with (workers may hold several)"
        )
    return SealingKey(keys[0])
