"""ServiceAccounts that a request means and that a namespace does not have, or not yet."""

from collections.abc import Collection, Iterator

from remediation.caution import Caution, CautionCode
from remediation.patterns import is_literal
from remediation.request import RemediationRequest
from remediation.selection import AccountSelection

_MOST_NAMES = 5
# A controller makes it a moment after the namespace, sometimes minutes; until then no pod can be created there.
_DEFAULT = "default"


def absent_accounts(
    request: RemediationRequest,
    selection: AccountSelection,
    namespace: str,
    present: Collection[str],
) -> tuple[str, ...]:
    """Return the names that are meant in a namespace and are not there.

    A plain name without a namespace is meant wherever it exists: it counts only where nothing that is meant exists.
    """
    nothing = not any(selection.selects(namespace, name) for name in present)
    meant = dict.fromkeys(
        (_DEFAULT, *_qualified(request, namespace), *(_plain(request) if nothing else ()))
    )
    return tuple(
        name for name in meant if name not in present and selection.selects(namespace, name)
    )


def tell_absent(namespace: str, names: tuple[str, ...]) -> Caution | None:
    """Return the warning about them, None where there are none."""
    if not names:
        return None
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    shown = ", ".join(names[:_MOST_NAMES]) + more
    several = len(names) > 1
    return Caution(
        CautionCode.ACCOUNT_MISSING,
        "",
        f"serviceaccounts/{namespace}/{names[0]}",
        f"ServiceAccount{'s' if several else ''} {shown} {'do' if several else 'does'} not exist yet:"
        " the first pods get no pull Secret",
        "run this again once it exists",
    )


def _qualified(request: RemediationRequest, namespace: str) -> Iterator[str]:
    for pattern in request.service_accounts:
        space, slash, name = pattern.partition("/")
        if slash and space == namespace and is_literal(name):
            yield name


def _plain(request: RemediationRequest) -> Iterator[str]:
    return (name for name in request.service_accounts if "/" not in name and is_literal(name))
