"""Ids: they sort by their time, and say what they are of."""

import hashlib

from ulid import ULID

_REMEDIATION = "rem_"
_CHECK = "chk_"


def new_id() -> str:
    """Return a ULID."""
    return str(ULID())


def new_remediation_id() -> str:
    """Return the id of a remediation that nobody has asked for before."""
    return _REMEDIATION + new_id()


def new_check_id() -> str:
    """Return the id of a readiness check that nobody has asked for before."""
    return _CHECK + new_id()


def check_after(remediation_id: str) -> str:
    """Return the id of the check that follows a remediation: always the same, so that there is only one."""
    return _CHECK + remediation_id.removeprefix(_REMEDIATION)


def is_check(identity: str) -> bool:
    """Tell whether an id, of a run too, is that of a readiness check."""
    return identity.startswith(_CHECK)


def run_id(owner: str, index: int) -> str:
    """Return the id of the run at `index`: letters, digits, '_' and '-' only, as RQ wants it."""
    return f"{owner}-{index}"


def owner_of(identity: str) -> str:
    """Return the id of the remediation, or check, that a run belongs to."""
    return identity.rpartition("-")[0]


def caller_digest(subject: str) -> str:
    """Return what stands for a caller in a key: nothing of the caller's text is in it."""
    return hashlib.sha256(subject.encode()).hexdigest()[:32]
