"""Reading a cluster: three bulk lists, or for a few named namespaces just those."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from remediation.outcome import Error, ErrorCode
from remediation.patterns import is_literal
from remediation.request import RemediationRequest
from remediation.selection import NamespaceSelection
from remediation.state import Namespace, NamespaceState, Secret, ServiceAccount
from remediation.unmatched import Unmatched, slips_in_ignore
from worker.answers import Pages, check_object, unbelievable
from worker.faults import Call, Fault, Gone, Retry
from worker.pace import Stopped
from worker.piecemeal import Accounts, Secrets, is_of_the_list, read_each
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
    only the named ones were read. `unlisted` are failures of lists over all namespaces that were read around.
    """

    states: tuple[NamespaceState, ...]
    present: frozenset[str]
    known: frozenset[str] = frozenset()
    complete: bool = True
    slips: tuple[Unmatched, ...] = ()
    unlisted: tuple[Error, ...] = ()


async def observe(session: Session, request: RemediationRequest) -> Observation:
    """Read all that the plans of `request` need. Raises Fault."""
    names = request.namespaces
    if len(names) <= _MOST_NAMED and all(is_literal(name) for name in names):
        return await _observe_named(session, request)
    found, accounts, secrets = await _side_by_side(
        _all(session, "/api/v1/namespaces", "namespaces", WireNamespace),
        _or_fault(_accounts(session)),
        _or_fault(_secrets(session, request.secret_name)),
    )
    namespaces = [namespace.to_domain() for namespace in found]
    faults = [each for each in (accounts, secrets) if isinstance(each, Fault)]
    if faults:
        failed = faults[0]
        selection = NamespaceSelection.of(request)
        meant = [
            each for each in namespaces if (how := selection.judge(each)) and how.outcome is None
        ]

        async def read(namespace: Namespace) -> NamespaceState:
            return await _state(session, namespace, request.secret_name, accounts, secrets)

        read_now = {each.namespace.name: each for each in await read_each(meant, read, failed)}
        left = {each.name for each in meant} - read_now.keys()
        states = tuple(
            read_now.get(each.name) or NamespaceState(each, unread=failed.error)
            for each in namespaces
            if each.name not in left  # gone meanwhile
        )
    else:
        states = tuple(
            [
                await _state(session, each, request.secret_name, accounts, secrets)
                for each in namespaces
            ]
        )
    known = frozenset(state.namespace.name for state in states)
    unlisted = tuple(fault.error for fault in faults)
    return Observation(states, known, known, unlisted=unlisted)


async def _accounts(session: Session) -> dict[str, tuple[ServiceAccount, ...]]:
    accounts_of: defaultdict[str, list[ServiceAccount]] = defaultdict(list)
    path = "/api/v1/serviceaccounts"
    for account in await _all(session, path, "serviceaccounts", WireServiceAccount):
        accounts_of[account.metadata.namespace].append(account.to_domain())
    return {namespace: tuple(accounts) for namespace, accounts in accounts_of.items()}


async def _secrets(session: Session, name: str) -> dict[str, Secret]:
    selector = f"metadata.name={name}"
    found = await _all(session, "/api/v1/secrets", "secrets", WireSecret, fieldSelector=selector)
    return {secret.metadata.namespace: secret.to_domain() for secret in found}


async def _or_fault(reading: Coroutine[Any, Any, _First]) -> _First | Fault:
    """Return what a list over all namespaces holds, or the fault if that is one of the list alone. Raises Fault."""
    try:
        return await reading
    except Fault as fault:
        if is_of_the_list(fault):
            return fault
        raise


async def _state(
    session: Session, namespace: Namespace, secret_name: str, accounts: Accounts, secrets: Secrets
) -> NamespaceState:
    """Return the state of a namespace by the lists, where they could be had. Raises Fault and Gone."""
    name = namespace.name
    own = (
        await _accounts_in(session, name) if isinstance(accounts, Fault) else accounts.get(name, ())
    )
    secret = (
        await read_secret(session, name, secret_name)
        if isinstance(secrets, Fault)
        else secrets.get(name)
    )
    return NamespaceState(namespace, secret, own)


async def _accounts_in(session: Session, name: str) -> tuple[ServiceAccount, ...]:
    path = f"/api/v1/namespaces/{name}/serviceaccounts"
    found = await _all(session, path, f"serviceaccounts/{name}", WireServiceAccount)
    return tuple(account.to_domain() for account in found)


async def read_secret(session: Session, namespace: str, name: str) -> Secret | None:
    """Return the Secret as it is now, None if there is none. Raises Fault; Gone if the namespace is."""
    path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
    call = Call("get", f"secrets/{namespace}/{name}")
    try:
        return (await read_one(session, path, call, WireSecret)).to_domain()
    except Gone as gone:
        if gone.namespace:
            raise
        return None


async def read_account(session: Session, namespace: str, name: str) -> ServiceAccount:
    """Return the ServiceAccount as it is now. Raises Fault and Gone."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}"
    call = Call("get", f"serviceaccounts/{namespace}/{name}")
    return (await read_one(session, path, call, WireServiceAccount)).to_domain()


async def _observe_named(session: Session, request: RemediationRequest) -> Observation:
    names = tuple(dict.fromkeys(request.namespaces))
    found = await asyncio.gather(
        *(_named(session, name, request.secret_name) for name in names), return_exceptions=True
    )
    _raise_what_is_of_all(found)
    states = []
    for name, each in zip(names, found, strict=True):
        if isinstance(each, NamespaceState):
            states.append(each)
        elif isinstance(each, Fault):
            if request.namespace_selector:
                raise each  # whether it is meant is not known
            states.append(NamespaceState(Namespace(name), unread=each.error))
        elif each is not None:
            raise each
    known = frozenset(state.namespace.name for state in states)
    # Other namespaces were not looked at, so nothing is said about names to ignore there.
    present = known.union(request.ignore)
    slips = slips_in_ignore(request)
    if slips or not known.issuperset(request.namespaces):
        every = await names_of_namespaces(session)  # one of them may have been meant
        known |= every
        slips = tuple(slip for slip in slips if every and slip.pattern not in every)
    return Observation(tuple(states), present, known, complete=False, slips=slips)


def _raise_what_is_of_all(found: Sequence[NamespaceState | BaseException | None]) -> None:
    """Raise the first fault if no namespace could be read: then it is not about single objects.

    A server that failed at objects of namespaces that it could read itself fails in these alone.
    """
    faults = [each for each in found if isinstance(each, Fault)]
    unread = [each for each in found if isinstance(each, NamespaceState) and each.unread]
    if any(isinstance(each, NamespaceState) and not each.unread for each in found):
        return
    for state in unread:
        if state.unread and state.unread.code is not ErrorCode.INTERNAL:
            raise Fault(state.unread, Retry.NO)
    if faults and not unread:
        raise faults[0]


async def names_of_namespaces(session: Session) -> frozenset[str]:
    """Return the names of all namespaces, none where they cannot be listed: no decision depends on them."""
    with suppress(Fault, Gone):
        namespaces = await _all(session, "/api/v1/namespaces", "namespaces", WireNamespace)
        return frozenset(namespace.metadata.name for namespace in namespaces)
    return frozenset()


async def _named(session: Session, name: str, secret_name: str) -> NamespaceState | None:
    """Return the state of a namespace, None if there is none. Raises Fault if it cannot be read itself."""
    path = f"/api/v1/namespaces/{name}"
    try:
        namespace, accounts, secret = await _side_by_side(
            read_one(session, path, Call("get", f"namespaces/{name}"), WireNamespace),
            _or_any_fault(_accounts_in(session, name)),
            _or_any_fault(read_secret(session, name, secret_name)),
        )
    except Gone:
        return None
    for each in (accounts, secret):
        if isinstance(each, Fault):
            return NamespaceState(namespace.to_domain(), unread=each.error)
    return NamespaceState(namespace.to_domain(), secret, accounts)  # type: ignore[arg-type]


async def _or_any_fault(reading: Coroutine[Any, Any, _First]) -> _First | Fault:
    try:
        return await reading
    except Fault as fault:
        return fault


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
    for left in reversed(range(_MOST_RESTARTS)):
        # At last in one piece, as client-go does it: without pages there is nothing that runs out in the middle.
        page = _PAGE if left else None
        try:
            return [found async for found in items_of(session, path, kind, item, params, page)]
        except Fault as fault:
            if fault.error.http_status != _EXPIRED:
                raise
            expired = fault
    raise expired


async def items_of(
    session: Session,
    path: str,
    kind: str,
    item: type[_Object],
    params: dict[str, str],
    page: int | None = _PAGE,
) -> AsyncIterator[_Object]:
    """Yield the items of a list, read in pages of that many, in one piece if None. Raises Fault.

    A list that runs out in the middle goes on from there, where the server allows it: its later part is newer than the
    first, which is all the same here, since every write is guarded by what was read of its object.
    """
    decoder: msgspec.json.Decoder[Page[_Object]] = msgspec.json.Decoder(_page_of(item))
    token, resumed = "", False
    call = Call("list", kind)
    pages = Pages(path, call, _name_asked_for(params))
    size = {"limit": str(page)} if page else {}
    while True:
        page_params = params | size | ({"continue": token} if token else {})
        try:
            body = await _read(session, path, call, page_params)
        except Fault as fault:
            if fault.error.http_status != _EXPIRED or not fault.resume or resumed or not token:
                raise
            token, resumed = fault.resume, True
            continue
        found = decode(decoder, body, call)
        pages.check(found.kind, found.metadata, found.items)
        for each in found.items:
            yield each
        token, resumed = found.metadata.next, False
        if not token:
            return


def _page_of(item: type[_Object]) -> Any:
    return Page[item]  # type: ignore[valid-type]


async def read_one(session: Session, path: str, call: Call, kind: type[_Object]) -> _Object:
    """Return one object. Raises Fault and Gone."""
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
