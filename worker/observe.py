"""Reading a cluster: three bulk lists, or for a few named namespaces just those."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from remediation.patterns import is_literal
from remediation.request import RemediationRequest
from remediation.state import NamespaceState, Secret, ServiceAccount
from remediation.unmatched import Unmatched, slips_in_ignore
from worker.answers import Pages, check_object, unbelievable
from worker.faults import Call, Fault, Gone
from worker.pace import Stopped
from worker.session import Session
from worker.wire import Page, WireNamespace, WireSecret, WireServiceAccount

_PAGE = 1000
_MOST_RESTARTS = 3
_EXPIRED = 410
# Up to here single reads are cheaper than lists over the whole cluster.
_MOST_NAMED = 20

_Object = TypeVar("_Object", bound=msgspec.Struct)


_First = TypeVar("_First")
_Second = TypeVar("_Second")
_Third = TypeVar("_Third")


@dataclass(frozen=True, slots=True)
class Observation:
    """The namespaces of a cluster, and the names that are known to exist there.

    `known` are the names of all namespaces, as far as they were read, of which `complete` says that all were; `present`
    are those of the request that need no word about them. `slips` are names in `ignore` that no namespace has, where
    only the named ones were read.
    """

    states: tuple[NamespaceState, ...]
    present: frozenset[str]
    known: frozenset[str] = frozenset()
    complete: bool = True
    slips: tuple[Unmatched, ...] = ()


async def observe(session: Session, request: RemediationRequest) -> Observation:
    """Read all that the plans of `request` need. Raises Fault."""
    names = request.namespaces
    if len(names) <= _MOST_NAMED and all(is_literal(name) for name in names):
        return await _observe_named(session, request)
    namespaces, accounts, secrets = await _side_by_side(
        _all(session, "/api/v1/namespaces", "namespaces", WireNamespace),
        _all(session, "/api/v1/serviceaccounts", "serviceaccounts", WireServiceAccount),
        _all(
            session,
            "/api/v1/secrets",
            "secrets",
            WireSecret,
            fieldSelector=f"metadata.name={request.secret_name}",
        ),
    )
    accounts_of: defaultdict[str, list[ServiceAccount]] = defaultdict(list)
    for account in accounts:
        accounts_of[account.metadata.namespace].append(account.to_domain())
    secret_of = {secret.metadata.namespace: secret.to_domain() for secret in secrets}
    states = tuple(
        NamespaceState(
            namespace.to_domain(),
            secret_of.get(namespace.metadata.name),
            tuple(accounts_of[namespace.metadata.name]),
        )
        for namespace in namespaces
    )
    known = frozenset(state.namespace.name for state in states)
    return Observation(states, known, known)


async def read_secret(session: Session, namespace: str, name: str) -> Secret | None:
    """Return the Secret as it is now, None if there is none. Raises Fault; Gone if the namespace is."""
    path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
    call = Call("get", f"secrets/{namespace}/{name}")
    try:
        return (await _one(session, path, call, WireSecret)).to_domain()
    except Gone as gone:
        if gone.namespace:
            raise
        return None


async def read_account(session: Session, namespace: str, name: str) -> ServiceAccount:
    """Return the ServiceAccount as it is now. Raises Fault and Gone."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}"
    call = Call("get", f"serviceaccounts/{namespace}/{name}")
    return (await _one(session, path, call, WireServiceAccount)).to_domain()


async def _observe_named(session: Session, request: RemediationRequest) -> Observation:
    found = await asyncio.gather(
        *(_named(session, name, request.secret_name) for name in dict.fromkeys(request.namespaces))
    )
    states = tuple(state for state in found if state)
    known = frozenset(state.namespace.name for state in states)
    # Other namespaces were not looked at, so nothing is said about names to ignore there.
    present = known.union(request.ignore)
    slips = slips_in_ignore(request)
    if slips or not known.issuperset(request.namespaces):
        every = await names_of_namespaces(session)  # one of them may have been meant
        known |= every
        slips = tuple(slip for slip in slips if every and slip.pattern not in every)
    return Observation(states, present, known, complete=False, slips=slips)


async def names_of_namespaces(session: Session) -> frozenset[str]:
    """Return the names of all namespaces, none where they cannot be listed: no decision depends on them."""
    with suppress(Fault, Gone):
        namespaces = await _all(session, "/api/v1/namespaces", "namespaces", WireNamespace)
        return frozenset(namespace.metadata.name for namespace in namespaces)
    return frozenset()


async def _named(session: Session, name: str, secret_name: str) -> NamespaceState | None:
    path = f"/api/v1/namespaces/{name}"
    try:
        namespace, accounts, secret = await _side_by_side(
            _one(session, path, Call("get", f"namespaces/{name}"), WireNamespace),
            _all(session, f"{path}/serviceaccounts", "serviceaccounts", WireServiceAccount),
            read_secret(session, name, secret_name),
        )
    except Gone:
        return None
    return NamespaceState(
        namespace.to_domain(), secret, tuple(account.to_domain() for account in accounts)
    )


async def _side_by_side(
    first: Coroutine[Any, Any, _First],
    second: Coroutine[Any, Any, _Second],
    third: Coroutine[Any, Any, _Third],
) -> tuple[_First, _Second, _Third]:
    """Return what three reads found. Raises the fault of the first of them that has one.

    Which is refused soonest is chance: all are waited for, so that the same is reported every time.
    """
    reads = (
        asyncio.ensure_future(first),
        asyncio.ensure_future(second),
        asyncio.ensure_future(third),
    )
    await asyncio.gather(*reads, return_exceptions=True)
    return (reads[0].result(), reads[1].result(), reads[2].result())


async def _all(
    session: Session, path: str, kind: str, item: type[_Object], **params: str
) -> list[_Object]:
    for _ in range(_MOST_RESTARTS):
        try:
            return [found async for found in items_of(session, path, kind, item, params)]
        except Fault as fault:
            if fault.error.http_status != _EXPIRED:
                raise
            expired = fault
    raise expired


async def items_of(
    session: Session, path: str, kind: str, item: type[_Object], params: dict[str, str]
) -> AsyncIterator[_Object]:
    decoder: msgspec.json.Decoder[Page[_Object]] = msgspec.json.Decoder(_page_of(item))
    token = ""
    call = Call("list", kind)
    pages = Pages(path, call, _name_asked_for(params))
    while True:
        page_params = params | {"limit": str(_PAGE)} | ({"continue": token} if token else {})
        page = decode(decoder, await _read(session, path, call, page_params), call)
        pages.check(page.kind, page.metadata, page.items)
        for found in page.items:
            yield found
        token = page.metadata.next
        if not token:
            return


def _page_of(item: type[_Object]) -> Any:
    return Page[item]  # type: ignore[valid-type]


async def _one(session: Session, path: str, call: Call, kind: type[_Object]) -> _Object:
    body = await _read(session, path, call, {})
    check_object(path, body, call)
    return decode(msgspec.json.Decoder(kind), body, call)


def _name_asked_for(params: dict[str, str]) -> str:
    field, _, name = params.get("fieldSelector", "").partition("=")
    return name if field == "metadata.name" else ""


async def _read(session: Session, path: str, call: Call, params: dict[str, str]) -> bytes:
    attempt = 0
    while True:
        attempt += 1
        try:
            return await session.get(path, call, **params)
        except Fault as fault:
            # A list that ran out is begun again by the caller, not asked for again.
            if fault.error.http_status == _EXPIRED or not await _worth_another(
                session, fault, attempt
            ):
                raise


async def _worth_another(session: Session, fault: Fault, attempt: int) -> bool:
    try:
        return await session.pace.before_retry(fault, attempt)
    except Stopped:
        return False


_Decoded = TypeVar("_Decoded")


def decode(decoder: msgspec.json.Decoder[_Decoded], body: bytes, call: Call) -> _Decoded:
    """Return what an answer holds. Raises Fault for one that no API server gives."""
    try:
        return decoder.decode(body)
    except msgspec.MsgspecError:
        raise unbelievable(call, "it has another form") from None
