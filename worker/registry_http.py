"""HTTP with a registry and its token endpoint, under the rules that keep a password where it belongs."""

import asyncio
import os
import socket
import ssl
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from multidict import CIMultiDictProxy
from yarl import URL

from network import trust
from network.proxy import proxy_for
from remediation.registry.address import is_address, is_loopback_host, is_number, refused_address
from remediation.registry.endpoint import Endpoint, Refused, carries_on, check_redirect, shown
from remediation.registry.proxy import InvalidProxy, Proxy
from remediation.registry.rate_limit import limit_of
from remediation.registry.rules import RegistryRules
from remediation.registry.verdict import Judgement, Verdict, judgement
from worker.registry_proxy import proxy_options, through_proxy

TOTAL_SECONDS = 10
MOST_BYTES = 64 * 1024
CONCURRENCY = 2
_MOST_REDIRECTS = 3
_LONGEST_PAUSE_SECONDS = 5.0
_REDIRECTS = (301, 302, 303, 307, 308)
_BUSY = 429
_TIMED_OUT = 408
# Nodes ask again for these.
_ONCE_MORE = (_BUSY, _TIMED_OUT, 500, 503, 504)


class Stopped(Exception):
    """Nothing more can be learned; the judgement says why."""

    def __init__(self, judged: Judgement) -> None:
        super().__init__(str(judged.verdict))
        self.judged = judged


class AddressRefused(OSError):
    """A name leads to an address that is not spoken to."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: `url` and `endpoint` are where it came from, after redirects.

    `withheld` is the host that a node would have sent the login to, and that did not get it here; `repeated` says that
    the registry was busy or failed at first.
    """

    status: int
    headers: CIMultiDictProxy[str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    url: str = ""
    endpoint: Endpoint | None = None
    withheld: Endpoint | None = None
    repeated: bool = False


@dataclass(slots=True)
class Keys:
    """The `Authorization` headers of one pull by the host that asked for them; `trusted` are those that may have one.

    Without a `login` there is nothing to keep from anybody. `asked` are those that are asked even without TLS.
    """

    trusted: tuple[Endpoint, ...]
    login: bool
    asked: tuple[Endpoint, ...] = ()
    held: dict[Endpoint, str] = field(default_factory=dict, repr=False)

    def may_have(self, endpoint: Endpoint) -> bool:
        """Tell whether a host may have what is held for it."""
        return not self.login or endpoint in self.trusted


class CheckedResolver(AbstractResolver):
    """Resolves names and refuses addresses; what it returned is kept, so that nobody resolves a name again."""

    def __init__(self, *, loopback: bool, proxies: Collection[str] = ()) -> None:
        """Refuse also this machine's own addresses, unless `loopback`; `proxies` may be anywhere."""
        self._loopback = loopback
        self._proxies = proxies
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host. Raises AddressRefused if one of them is not spoken to."""
        found = await self._inner.resolve(host, port, family)
        for each in () if host in self._proxies else found:
            if wrong := refused_address(each["host"], loopback=self._loopback):
                raise AddressRefused(f"'{shown(host)}' leads to {wrong}")
        return found

    async def close(self) -> None:
        """End."""
        await self._inner.close()


class RegistryHttp:
    """A session with one registry: no redirects but those of manifests, no cookies, no environment but its proxy."""

    def __init__(self, own: Endpoint, rules: RegistryRules, user_agent: str) -> None:
        self.own = own
        self._rules = rules
        self._user_agent = user_agent
        self._loopback = is_loopback_host(own.host)
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._proxies: set[str] = set()
        self._http: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        # Never forgotten: a second look at the name could lead elsewhere.
        connector = aiohttp.TCPConnector(
            resolver=CheckedResolver(loopback=self._loopback, proxies=self._proxies),
            use_dns_cache=True,
            ttl_dns_cache=None,
            limit=CONCURRENCY,
            ssl=_trust(self._rules.ca_file),
        )
        self._http = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=TOTAL_SECONDS),
            headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.close()

    async def ask(
        self,
        method: str,
        url: str,
        *,
        authorization: str | None = None,
        form: Mapping[str, str] | None = None,
        params: Sequence[tuple[str, str]] = (),
    ) -> Answer:
        """Return the answer, a redirect as it is. Raises Stopped if there is none, or none that says anything.

        `params` are added to those that the address has itself.
        """
        headers = {"Authorization": authorization} if authorization else {}
        body = None
        if form is not None:
            body = urlencode(sorted(form.items()), errors="surrogateescape").encode()
            headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
        address = str(URL(url).extend_query(list(params))) if params else url
        return await self._polite(method, address, headers, body)

    async def follow(
        self, method: str, url: str, keys: Keys, accept: str, *, most: int = MOST_BYTES
    ) -> Answer:
        """Ask and follow redirects as a node does, but give no login to a host that may not have it. Raises Stopped.

        At most `most` bytes are read, with 0 nothing is kept.
        """
        endpoint, withheld, strayed = self.own, None, False
        carried = keys.held.get(self.own)
        for _ in range(_MOST_REDIRECTS + 1):
            due = keys.held.get(endpoint) or carried
            # Once elsewhere, always elsewhere: whoever leads back must not get the login either.
            strayed = strayed or not keys.may_have(endpoint)
            if due and strayed:
                withheld, due = endpoint, None
            headers = {"Accept": accept} | ({"Authorization": due} if due else {})
            answer = await self._polite(method, url, headers, most=most)
            location = answer.headers.get("Location", "")
            end = replace(answer, url=url, endpoint=endpoint, withheld=withheld)
            if answer.status not in _REDIRECTS or not location:
                return end
            try:
                url, endpoint = check_redirect(
                    url, location, self.own, (*keys.trusted, *keys.asked)
                )
            except Refused as refused:
                raise refused_by_rules(refused) from None
            if not carries_on(endpoint.host, self.own.host):
                carried = None
        raise Stopped(judgement(Verdict.REFUSED_BY_RULES, f"more than {_MOST_REDIRECTS} redirects"))

    async def _polite(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        most: int = MOST_BYTES,
    ) -> Answer:
        answer = await self._once(method, url, headers, body, most)
        pause = _pause(answer)
        if answer.status in _ONCE_MORE and pause <= _LONGEST_PAUSE_SECONDS:
            await asyncio.sleep(pause)
            answer = replace(await self._once(method, url, headers, body, most), repeated=True)
        if answer.status == _BUSY:
            raise Stopped(_busy(answer, url))
        if answer.status >= 500 or answer.status == _TIMED_OUT:
            raise Stopped(judgement(Verdict.UNREACHABLE, f"{_place(url)} failed ({answer.status})"))
        return answer

    async def _once(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, most: int
    ) -> Answer:
        address = URL(url)
        self._check_literal(address.host or "")
        proxy = self._proxy(url)
        through = proxy_options(proxy)
        async with self._slots:
            try:
                async with self._http.request(
                    method, address, headers=headers, data=body, allow_redirects=False, **through
                ) as response:
                    content = await _read(response, most)
                    return Answer(response.status, response.headers, content)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                raise Stopped(
                    through_proxy(error, proxy) or _no_answer(error, _place(url))
                ) from None

    def _proxy(self, url: str) -> Proxy | None:
        """Return the proxy on the way to an address. Raises Stopped if what names it cannot be used."""
        try:
            proxy = proxy_for(url, self._rules.proxy, os.environ)
        except InvalidProxy as error:
            raise Stopped(Judgement(Verdict.PROXY_REFUSED, str(error))) from None
        if proxy:
            self._proxies.add(proxy.host)
        return proxy

    def _check_literal(self, host: str) -> None:
        """The resolver never sees an address that is written as one."""
        wrong = refused_address(host, loopback=self._loopback) if is_address(host) else None
        if is_number(host):
            wrong = "a number that could mean any address"
        if wrong:
            raise Stopped(
                judgement(
                    Verdict.REFUSED_BY_RULES, f"'{shown(host)}' is {wrong}: nothing is sent there"
                )
            )


def refused_by_rules(refused: Refused) -> Stopped:
    """Return what ends a proof that our own rules forbid to go on with."""
    return Stopped(Judgement(Verdict.REFUSED_BY_RULES, refused.detail, refused.hint))


def _trust(ca_file: str | None) -> ssl.SSLContext:
    try:
        more = trust.usable(Path(ca_file).read_bytes()) if ca_file else ()
    except (OSError, ValueError) as error:  # it was there when the file of rules was read
        raise Stopped(
            judgement(Verdict.UNREACHABLE, f"its ca_file cannot be used ({type(error).__name__})")
        ) from None
    return trust.system_context(more)


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Return the body, whose length is bounded; with 0 it is of no interest. Raises Stopped for a longer one."""
    body = bytearray()
    if not most:
        if (response.content_length or MOST_BYTES) < MOST_BYTES:
            await response.read()  # the connection is of further use
        elif response.connection and response.connection.transport:
            response.connection.transport.abort()  # no farewell of TLS: the rest is not wanted
        response.close()
        return b""
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > most:
            response.close()
            raise Stopped(
                judgement(
                    Verdict.NOT_A_REGISTRY,
                    f"{_place(str(response.url))} answers with more than {most // 1024} KiB",
                )
            )
    return bytes(body)


def _no_answer(error: Exception, place: str) -> Judgement:
    """Return the verdict on an exchange that failed; the text of a foreign exception is not repeated."""
    inner = getattr(error, "os_error", None)
    if isinstance(inner, AddressRefused):
        return judgement(Verdict.REFUSED_BY_RULES, f"{inner}: nothing is sent there")
    if isinstance(error, TimeoutError):
        return judgement(Verdict.UNREACHABLE, f"{place} did not answer within {TOTAL_SECONDS} s")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Judgement(
            Verdict.UNREACHABLE,
            f"the certificate of {place} is not trusted",
            "name its CA as ca_file of this registry in the registries file",
        )
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return Judgement(
            Verdict.UNREACHABLE,
            f"{place} does not speak TLS as it should",
            "if it has none, declare it plain_http in the registries file",
        )
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return judgement(Verdict.UNREACHABLE, f"the name of {place} cannot be resolved")
    if isinstance(error, aiohttp.ClientOSError) or not isinstance(error, aiohttp.ClientError):
        why = getattr(error, "strerror", None) or type(error).__name__
        return judgement(Verdict.UNREACHABLE, f"no connection to {place} ({why})")
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return judgement(Verdict.UNREACHABLE, f"{place} broke off the connection")
    return judgement(
        Verdict.NOT_A_REGISTRY, f"what {place} answers is no HTTP ({type(error).__name__})"
    )


def _place(url: str) -> str:
    """Return what of an address may be told: never its path or query."""
    address = URL(url)
    return shown(address.authority.rpartition("@")[2])


def _busy(answer: Answer, url: str) -> Judgement:
    limit = limit_of(answer.headers)
    told = f"; {limit}" if limit else ""
    return judgement(Verdict.BUSY, f"{_place(url)} asks for fewer requests (429){told}")


def _pause(answer: Answer) -> float:
    """Return the seconds that a registry wants to be left alone."""
    if answer.status != _BUSY:
        return 0.0
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else 1.0
