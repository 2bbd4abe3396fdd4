"""Reading namespaces one by one where a list over all of them cannot be had.

An API server that cannot decrypt one object answers 500 to every list that it is in, and a list that always runs out
never comes to its end. Single reads concern single namespaces.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from remediation.outcome import ErrorCode
from remediation.state import Namespace, NamespaceState, Secret, ServiceAccount
from worker.faults import Fault, Gone

_AT_ONCE = 16
_EXPIRED, _NO_CACHE, _SERVER_ERROR, _GATEWAY_TIMEOUT = 410, 429, 500, 504

log = logging.getLogger(__name__)

Accounts = Mapping[str, tuple[ServiceAccount, ...]] | Fault
"""The ServiceAccounts by namespace, or why they could not be listed."""

Secrets = Mapping[str, Secret] | Fault
"""The Secret of each namespace that has it, or why they could not be listed."""

Reader = Callable[[Namespace], Awaitable[NamespaceState]]


def is_of_the_list(fault: Fault) -> bool:
    """Tell whether a list failed in a way that says nothing of the cluster as a whole."""
    status = fault.error.http_status or 0
    own = status >= _SERVER_ERROR or status == _NO_CACHE
    failed = fault.error.code is ErrorCode.INTERNAL and own
    return failed or status in (_EXPIRED, _GATEWAY_TIMEOUT)


async def read_each(
    namespaces: Sequence[Namespace], read: Reader, because: Fault
) -> list[NamespaceState]:
    """Return the state of each namespace; one that cannot be read says so, one that is gone is left out.

    Raises Fault `because` if none of the first ones can be read: then it is not about single objects.
    """
    log.warning(
        "%s could not be listed (%s): %d namespaces are read one by one",
        because.error.object,
        because.error.detail,
        len(namespaces),
    )
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(namespace: Namespace) -> NamespaceState | None:
        async with slots:
            try:
                return await read(namespace)
            except Gone:
                return None
            except Fault as fault:
                return NamespaceState(namespace, unread=fault.error)

    first = await asyncio.gather(*map(one, namespaces[:_AT_ONCE]))
    if len(first) == _AT_ONCE and all(state and state.unread for state in first):
        raise because
    rest = await asyncio.gather(*map(one, namespaces[_AT_ONCE:]))
    return [state for state in (*first, *rest) if state]
