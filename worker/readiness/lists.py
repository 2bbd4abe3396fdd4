"""Consistent lists, page by page: a page is handed on and forgotten before the next one is asked for."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from remediation.outcome import ErrorCode
from remediation.readiness.reduction import ELSEWHERE
from worker.answers import Pages
from worker.faults import Call, Fault, Gone, Retry
from worker.observe import decode
from worker.pace import Stopped
from worker.piecemeal import is_of_the_list
from worker.session import Session
from worker.wire import Page

_PAGE = 500
_EXPIRED = 410

_AGAIN = "judge again later, and see the API server's log if it stays so"
_AT_ONCE = (
    32  # lists of single namespaces; each takes 3 s while the API server cannot fill its cache
)
_SPLIT = (
    "/api/v1/pods",
    "/api/v1/replicationcontrollers",
    "/api/v1/serviceaccounts",
    "/apis/apps/v1/daemonsets",
    "/apis/apps/v1/deployments",
    "/apis/apps/v1/replicasets",
    "/apis/apps/v1/statefulsets",
    "/apis/batch/v1/cronjobs",
    "/apis/batch/v1/jobs",
)

Look = Callable[[str, Sequence[object]], None]
_Object = TypeVar("_Object", bound="msgspec.Struct | msgspec.Raw")


class ListExpired(Exception):
    """A list ran out or failed in the middle: what was read of it is no consistent state, so all is read again."""


@dataclass(slots=True)
class Ways:
    """How the next reading reads lists that earlier ones could not: `last` tells that there will be no other.

    `whole` are read in one piece: without pages there is nothing that runs out in the middle, as client-go does it.
    `apart` are read namespace by namespace: an object that the API server cannot decrypt fails each list that it is in.
    """

    whole: set[str] = field(default_factory=set)
    apart: set[str] = field(default_factory=set)
    last: bool = False


@dataclass(frozen=True, slots=True)
class Unread:
    """Why a list could not be read, and what helps, "" where that is a matter of rights."""

    detail: str
    hint: str = ""


class Lists:
    """The lists of one reading: `versions` are their resourceVersions, `refused` tells why one could not be read.

    `missing` are those among the refused that the server does not have. `hints` say what helps where rights do not, and
    `unread` has by (list, namespace) what could not be read there alone. `namespaces` are those that lists are read in
    one by one, where they have to be; `elsewhere` tells that there are others, of which such lists say nothing: then
    `unread` says so for namespace ELSEWHERE.
    """

    _look: Look | None = None
    _ways = Ways(last=True)
    namespaces: Sequence[str] = ()
    elsewhere = False

    def __init__(self, session: Session, ways: Ways | None = None) -> None:
        self.versions: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        self.hints: dict[str, str] = {}
        self.missing: set[str] = set()
        self.unread: dict[tuple[str, str], Unread] = {}
        if ways:
            self._ways = ways
        self._session = session
        self._answered = False

    @contextmanager
    def watched(self, look: Look) -> Iterator[None]:
        """Show each page to `look` as well, with the name of its list."""
        self._look = look
        try:
            yield
        finally:
            self._look = None

    async def pages(
        self, path: str, item: type[_Object], *, name: str = "", **params: str
    ) -> AsyncIterator[list[_Object]]:
        """Yield the pages of a list; none, with the reason in `refused`, where the account may not read it.

        It is called by the last part of its path unless a `name` is given.

        Raises Fault if the cluster does not answer, ListExpired.
        """
        resource = name or path.rpartition("/")[2]
        begun = False
        if not (resource in self._ways.apart and self.namespaces):
            try:
                async for page in self._one_list(path, item, resource, params):
                    begun = True
                    yield page
            except Fault as fault:
                self._find_way(fault, path, resource, begun=begun)
            else:
                return
        if resource in self._ways.apart and self.namespaces:
            async for page in self._apart(path, item, resource):
                yield page

    def _find_way(self, fault: Fault, path: str, resource: str, *, begun: bool) -> None:
        """Decide how else a list can be read. Raises ListExpired if that takes another reading, and the fault."""
        if not is_of_the_list(fault):
            raise fault
        ways, expired = self._ways, fault.error.http_status == _EXPIRED
        if expired and resource not in ways.whole and not ways.last:
            ways.whole.add(resource)
            raise ListExpired
        if path in _SPLIT and self.namespaces and not (begun and ways.last):
            ways.apart.add(resource)
            if begun:
                raise ListExpired
            return
        self._refuse(resource, fault)

    def _refuse(self, resource: str, fault: Fault) -> None:
        self.refused[resource] = fault.error.detail
        self.hints[resource] = fault.error.hint or _AGAIN

    async def _apart(
        self, path: str, item: type[_Object], resource: str
    ) -> AsyncIterator[list[_Object]]:
        """Yield the pages of the lists of all namespaces; those that cannot be read are in `unread`.

        Without selectors: while an API server cannot fill its cache of a kind, it refuses every list that has one.
        """
        base, _, last = path.rpartition("/")

        async def one(namespace: str) -> list[list[_Object]] | Fault:
            own = f"{base}/namespaces/{namespace}/{last}"
            try:
                return [page async for page in self._one_list(own, item, resource, {})]
            except Fault as fault:
                if is_of_the_list(fault):
                    return fault
                raise

        if self.elsewhere:
            self.unread[resource, ELSEWHERE] = Unread(
                "a list over all namespaces cannot be had", _AGAIN
            )
        for start in range(0, len(self.namespaces), _AT_ONCE):
            chunk = self.namespaces[start : start + _AT_ONCE]
            found = await asyncio.gather(*map(one, chunk))
            faults = [each for each in found if isinstance(each, Fault)]
            if not start and len(faults) == _AT_ONCE:
                self._refuse(resource, faults[0])  # not about single objects: they all fail
                return
            for namespace, pages in zip(chunk, found, strict=True):
                if isinstance(pages, Fault):
                    hint = pages.error.hint or _AGAIN
                    self.unread[resource, namespace] = Unread(pages.error.detail, hint)
                    continue
                for page in pages:
                    yield page

    async def _one_list(
        self, path: str, item: type[_Object], resource: str, params: Mapping[str, str]
    ) -> AsyncIterator[list[_Object]]:
        call = Call("list", resource)
        decoder: msgspec.json.Decoder[Page[_Object]] = msgspec.json.Decoder(_page_of(item))
        pages = Pages(path, call, params.get("fieldSelector", "").partition("metadata.name=")[2])
        token = ""
        size = {} if resource in self._ways.whole else {"limit": str(_PAGE)}
        while True:
            asked = {**params, **size} | ({"continue": token} if token else {})
            try:
                page = decode(decoder, await self.read(path, call, **asked), call)
                pages.check(page.kind, page.metadata, page.items)
            except Gone:
                if "/namespaces/" in path:  # gone meanwhile
                    return
                self.refused[resource] = "the server does not have it"
                self.missing.add(resource)
                return
            except Fault as fault:
                if fault.error.code is not ErrorCode.FORBIDDEN:
                    raise
                self.refused[resource] = fault.error.detail
                return
            self.versions[resource] = page.metadata.resourceVersion
            if self._look:
                self._look(resource, page.items)
            yield page.items
            token = page.metadata.next
            if not token:
                return

    async def read(self, path: str, call: Call, **params: str) -> bytes:
        """Return an answer, asking again where that makes sense. Raises Fault and Gone."""
        attempt = 0
        while True:
            attempt += 1
            try:
                body = await self._session.get(path, call, **params)
            except Fault as fault:
                # Only a server that has answered nothing yet may have started this moment and refuse everybody.
                final = fault.retry is Retry.LATER_ONCE and self._answered
                if final or fault.error.http_status == _EXPIRED:
                    raise
                if not await self._again(fault, attempt):
                    raise
            else:
                self._answered = True
                return body

    async def _again(self, fault: Fault, attempt: int) -> bool:
        try:
            return await self._session.pace.before_retry(fault, attempt)
        except Stopped:
            return False


def _page_of(item: type[_Object]) -> Any:
    return Page[item]  # type: ignore[valid-type]
