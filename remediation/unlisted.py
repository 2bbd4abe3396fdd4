"""Telling of an object at which the lists over all namespaces fail: the run reads around it and may well succeed."""

import re
from collections.abc import Sequence
from dataclasses import replace

from remediation.caution import Caution, CautionCode
from remediation.outcome import Error, Outcome
from remediation.plan import NamespacePlan

_STORED = re.compile(r"/(?P<kind>secrets|serviceaccounts)/(?P<namespace>[a-z0-9-]+)/(?P<name>\S+)")
_LEFT_ALONE = (Outcome.IGNORED, Outcome.SKIPPED)


def tell_unlisted(
    plans: Sequence[NamespacePlan], errors: Sequence[Error]
) -> tuple[NamespacePlan, ...]:
    """Return the plans with why lists failed: in the namespace of the object, or else in the first one of the run.

    A namespace that fails itself tells it already.
    """
    told = list(plans)
    for error in errors:
        stored = _STORED.search(error.detail)
        of = [plan for plan in told if stored and plan.namespace == stored["namespace"]]
        meant = of or [plan for plan in told if not _left_alone(plan)]
        if not meant or meant[0].unread:
            continue
        at = told.index(meant[0])
        told[at] = _with(told[at], _caution(error, stored))
    return tuple(told)


def _left_alone(plan: NamespacePlan) -> bool:
    return plan.unread or (plan.settled is not None and plan.settled.outcome in _LEFT_ALONE)


def _caution(error: Error, stored: "re.Match[str] | None") -> Caution:
    kind = (error.object or "").partition("/")[0]
    place = "/".join(stored.group("kind", "namespace", "name")) if stored else kind
    return Caution(
        CautionCode.UNLISTED,
        kind,
        place,
        f"{kind} of all namespaces cannot be listed, and were read one by one: {error.detail}",
        error.hint,
    )


def _with(plan: NamespacePlan, caution: Caution) -> NamespacePlan:
    if plan.settled is None:
        return replace(plan, cautions=(*plan.cautions, caution))
    row = replace(plan.settled, cautions=(*plan.settled.cautions, caution))
    return replace(plan, settled=row)
