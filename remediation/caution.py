"""What a plan, or what was done, may lead to: no failure, and worth a look before the first write."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

_COUNT = "warnings."
_LONGEST = 80
_MOST = 10  # of a row, and one of each further kind


class CautionCode(StrEnum):
    """Stable reasons that callers may act on."""

    DRIFT = "drift"  # `by` writes its own value again, and so takes our entry or login out
    DRIFT_POSSIBLE = "drift_possible"  # it may do so
    ACCOUNT_MISSING = "service_account_missing"  # one that the request means does not exist yet
    ENTRY_KEPT = "entry_kept"  # undo: another writer made the ServiceAccount or took its list over
    HELM_OWNED = (
        "helm_owned"  # the Secret belongs to a release, whose upgrade or uninstall concerns it
    )
    LOGIN_LOST = "login_lost"  # the write replaces a login that is kept nowhere
    LOGIN_WITHOUT_EFFECT = "login_without_effect"  # the kubelet takes another one, or none
    OPERATOR_DRIFT = "operator_drift"  # an operator may recreate pods for the new entry
    SECRET_IN_USE = (
        "secret_in_use"  # undo: what it deletes is named by pods, templates, ServiceAccounts
    )
    UNLISTED = "unlisted"  # a list over all namespaces failed at one object
    USE_UNKNOWN = "use_unknown"  # what uses the objects cannot be listed
    WRITE_UNKNOWN = "write_unknown"  # dry run: whether the API server takes the write


@dataclass(frozen=True, slots=True)
class Caution:
    """A warning about one object (kind/namespace/name); `by` names who or what it is about, for the sums.

    `detail` says what may happen, `hint` what to do about it. `number` counts the objects where it stands for more.
    """

    code: CautionCode
    by: str
    object: str
    detail: str
    hint: str = ""
    number: int = 1


@dataclass(frozen=True, slots=True)
class CautionCount:
    """How many warnings of a run are alike."""

    code: CautionCode
    by: str
    number: int


def bounded(cautions: Iterable[Caution]) -> tuple[Caution, ...]:
    """Return the first warnings of a row; the last of each kind that is kept counts those that are not."""
    kept: list[Caution] = []
    rest: dict[tuple[CautionCode, str], int] = {}
    last: dict[tuple[CautionCode, str], int] = {}
    for caution in cautions:
        key = caution.code, caution.by
        if len(kept) < _MOST or key not in last:
            last[key] = len(kept)
            kept.append(caution)
        else:
            rest[key] = rest.get(key, 0) + caution.number
    for key, number in rest.items():
        at = last[key]
        told = f"{kept[at].detail} (and {number} more like this)"
        kept[at] = replace(kept[at], detail=told, number=kept[at].number + number)
    return tuple(kept)


def count_cautions(cautions: Iterable[Caution]) -> dict[str, int]:
    """Return counters for warnings, by name; the name holds code and `by`."""
    counts: dict[str, int] = {}
    for caution in cautions:
        name = f"{_COUNT}{caution.code}.{caution.by[:_LONGEST]}"
        counts[name] = counts.get(name, 0) + caution.number
    return counts


def read_cautions(counts: Mapping[str, int]) -> tuple[CautionCount, ...]:
    """Read what `count_cautions` returned, among other counters; codes that this version does not know are left out."""
    known = {str(code): code for code in CautionCode}
    found = []
    for name, number in sorted(counts.items()):
        code, _, by = name.removeprefix(_COUNT).partition(".")
        if name.startswith(_COUNT) and code in known:
            found.append(CautionCount(known[code], by, number))
    return tuple(found)
