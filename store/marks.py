"""What stood in an object before a write, in few bytes: there is one for each ServiceAccount that was changed.

A uid is 22 characters where it is a UUID, as those of Kubernetes are; another is kept as it is, after "=".
"""

import base64
from dataclasses import astuple
from typing import Any

from remediation.caution import Caution, CautionCode
from remediation.footprint import APPLY, UPDATE, AccountMark, Holder, SecretMark

_UUID_CHARACTERS = 32
_PADDING = "=="


def encode_uid(uid: str) -> str:
    """Return a uid in few characters."""
    digits = uid.replace("-", "")
    try:
        number = bytes.fromhex(digits)
    except ValueError:
        number = b""
    if len(digits) != _UUID_CHARACTERS or _with_dashes(number) != uid:
        return f"={uid}"
    return base64.urlsafe_b64encode(number).decode().removesuffix(_PADDING)


def decode_uid(text: str) -> str:
    """Read what `encode_uid` wrote."""
    if text.startswith("="):
        return text[1:]
    return _with_dashes(base64.urlsafe_b64decode(text + _PADDING))


def encode_holders(holders: tuple[Holder, ...]) -> list[str]:
    """Return each manager with its operation as the first letter."""
    return [f"{'A' if holder.operation == APPLY else 'U'}{holder.manager}" for holder in holders]


def decode_holders(texts: list[str]) -> tuple[Holder, ...]:
    """Read what `encode_holders` wrote."""
    return tuple(Holder(text[1:], APPLY if text[0] == "A" else UPDATE) for text in texts)


def encode_accounts(names: tuple[str, ...], marks: tuple[AccountMark, ...]) -> list[Any]:
    """Return names of ServiceAccounts, those with a mark as [name, uid] or [name, uid, holders]."""
    known = {mark.name: mark for mark in marks}
    return [_account(known[name]) if name in known else name for name in names]


def decode_accounts(packed: list[Any]) -> tuple[tuple[str, ...], tuple[AccountMark, ...]]:
    """Read what `encode_accounts` wrote."""
    names = tuple(each if isinstance(each, str) else each[0] for each in packed)
    marks = tuple(
        AccountMark(each[0], decode_uid(each[1]), decode_holders(each[2] if each[2:] else []))
        for each in packed
        if not isinstance(each, str)
    )
    return names, marks


def encode_secret(mark: SecretMark | None) -> list[Any] | None:
    """Return the mark of a Secret, None for none."""
    return [encode_uid(mark.uid), encode_holders(mark.displaced), mark.keeper] if mark else None


def decode_secret(packed: list[Any] | None) -> SecretMark | None:
    """Read what `encode_secret` wrote."""
    return (
        SecretMark(decode_uid(packed[0]), decode_holders(packed[1]), packed[2]) if packed else None
    )


def encode_cautions(cautions: tuple[Caution, ...]) -> list[Any]:
    """Return warnings, each as a short list."""
    return [astuple(caution) for caution in cautions]


def decode_cautions(packed: list[Any]) -> tuple[Caution, ...]:
    """Read what `encode_cautions` wrote."""
    return tuple(Caution(CautionCode(code), *more) for code, *more in packed)


def _account(mark: AccountMark) -> list[Any]:
    more = [encode_holders(mark.displaced)] if mark.displaced else []
    return [mark.name, encode_uid(mark.uid), *more]


def _with_dashes(number: bytes) -> str:
    digits = number.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
