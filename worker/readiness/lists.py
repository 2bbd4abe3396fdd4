"""Consistent lists, page by page: a page is handed on and forgotten before the next one is asked for."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from remediation.outcome import ErrorCode
from worker.answers import Pages
from worker.faults import Call, Fault, Gone, Retry
from worker.observe import decode
from worker.pace import Stopped
from worker.session import Session
from worker.wire import Page

_PAGE = 500
_EXPIRED = 410

Look = Callable[[str, Sequence[object]], None]
_Object = TypeVar("_Object", bound="msgspec.Struct | msgspec.Raw")


class ListExpired(Exception):
    """A list ran out in the middle: what was read of it is no consistent state, so all is read again."""


class Lists:
    """The lists of one reading: `versions` are their resourceVersions, `refused` tells why one could not be read.

    `missing` are those among the refused that the server does not have.
    """

    _look: Look | None = None

    def __init__(self, session: Session) -> None:
        self.versions: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        self.missing: set[str] = set()
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
        call = Call("list", resource)
        decoder: msgspec.json.Decoder[Page[_Object]] = msgspec.json.Decoder(_page_of(item))
        pages = Pages(path, call, params.get("fieldSelector", "").partition("metadata.name=")[2])
        token = ""
        while True:
            asked = params | {"limit": str(_PAGE)} | ({"continue": token} if token else {})
            try:
                page = decode(decoder, await self.read(path, call, **asked), call)
                pages.check(page.kind, page.metadata, page.items)
            except Gone:
                self.refused[resource] = "the server does not have it"
                self.missing.add(resource)
                return
            except Fault as fault:
                if fault.error.http_status == _EXPIRED:
                    raise ListExpired from None
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
