"""The connection to one cluster: the only module that knows the Kubernetes client.

The client reads the kubeconfig and authenticates; requests go straight over its aiohttp session, which knows neither
the server name, the proxy, the user agent nor the token by itself.
"""

import asyncio
import logging
import shutil
import ssl
import tempfile
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio import client, config
from kubernetes.aio.config import kube_config
from yarl import URL

from network.pem import certificates
from network.trust import as_go
from network.trust import context as trusting
from worker.faults import Call, transport_fault
from worker.kubeconfig_document import document_of
from worker.kubeconfig_rules import Unusable
from worker.kubeconfigs import Context
from worker.renewal import OPENING_SECONDS, NotNow, Renewals, patiently

_CONNECT_SECONDS = 3
# An overloaded server may keep a request in its queue for 15 s before it answers 429, a write may take 34 s.
_TOTAL_SECONDS = 40
_SPARE_CONNECTIONS = 4
# More authorities in one kubeconfig are tried together only.
_MOST_ALONE = 16
_REFUSED_FROM = 400

# What the client logs of a kubeconfig may hold a token.
logging.getLogger("kubernetes").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the API server; `call` is what it is about, for a report."""

    method: str
    path: str
    call: Call
    params: Mapping[str, str]
    body: bytes | None = None
    content_type: str | None = None


class Connection:
    """Connections with the worker's credential, which may be renewed while calls are under way."""

    def __init__(self, context: Context, user_agent: str, concurrency: int) -> None:
        self._context = context
        self._proxy, self._proxy_headers = _proxy(context.proxy)
        self._user_agent = user_agent
        self._concurrency = concurrency
        self._renewing = asyncio.Lock()
        self._renewals = Renewals()
        self.generation = 0  # of the credential
        self._config: Any = None
        self._http: aiohttp.ClientSession
        self._trusts: list[ssl.SSLContext] = []
        self._trust = 0  # the one that the server was trusted with last
        self._folder: str | None = None
        self._apis: list[Any] = []

    async def open(self) -> None:
        """Load the credential and make the connection pool. Raises Unusable."""
        self._config = await patiently(self._load, OPENING_SECONDS)
        self._connect()

    async def close(self) -> None:
        """End all connections."""
        for api in self._apis:
            await api.close()
        self._forget_files()

    async def exchange(self, request: Request) -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers and body of the answer. Raises Fault if there is none."""
        configuration = self._config
        headers = {"User-Agent": self._user_agent, "Accept": "application/json"}
        if request.content_type:
            headers["Content-Type"] = request.content_type
        with suppress(OSError, config.ConfigException):
            # Reads a pod's token again when it is due; while the file is being replaced the last one serves.
            await configuration.auth_settings()
        if token := configuration.api_key.get("BearerToken"):
            headers["Authorization"] = token.strip()
        try:
            return await self._send(request, headers)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise transport_fault(error, request.call) from None

    async def _send(
        self, request: Request, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send it, as often as there are certificates that may vouch for the server."""
        trusts, first = self._trusts, self._trust
        for number in range(len(trusts)):
            trust = (first + number) % len(trusts)
            try:
                answer = await self._attempt(request, headers, trusts[trust])
            except aiohttp.ClientConnectorCertificateError:
                if number == len(trusts) - 1:
                    raise
            else:
                if trusts is self._trusts:
                    self._trust = trust
                return answer
        raise AssertionError("there is always one")

    async def _attempt(
        self, request: Request, headers: Mapping[str, str], trust: ssl.SSLContext
    ) -> tuple[int, Mapping[str, str], bytes]:
        async with self._http.request(
            request.method,
            self._config.host + request.path,
            params=request.params,
            data=request.body,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=_TOTAL_SECONDS, sock_connect=_CONNECT_SECONDS),
            allow_redirects=False,  # a redirect would carry the Secret in the body somewhere else
            server_hostname=self._config.tls_server_name or None,
            ssl=trust,
            proxy=self._proxy,
            proxy_headers=self._proxy_headers,
        ) as response:
            if response.status < _REFUSED_FROM:
                self._renewals.worked()
            return response.status, response.headers, await response.read()

    async def renew(self, generation: int) -> bool:
        """Get a new token or certificate, once for all the calls that were refused with that of this generation.

        Returns False where new ones were refused as well of late, and raises Unusable where none can be had.
        """
        async with self._renewing:
            if self.generation != generation:
                return True
            if self._renewals.resting:
                return False
            await asyncio.sleep(self._renewals.pause)
            try:
                self._take_over(await patiently(self._load, self._renewals.patience))
            except Unusable as error:
                self._renewals.failed(error)
                raise
            finally:
                self._forget_files()
            self.generation += 1
            self._renewals.renewed()
            return True

    def _take_over(self, fresh: Any) -> None:
        """Use a credential that was loaded again. Raises Unusable."""
        if fresh.cert_file or self._config.cert_file:
            # A certificate belongs to the connections that were made with it.
            before, self._config = self._config, fresh
            try:
                self._connect()
            except Unusable:
                self._config = before
                raise
        else:
            self._config.api_key = fresh.api_key
            self._config.refresh_api_key_hook = fresh.refresh_api_key_hook

    def _connect(self) -> None:
        """Make a connection pool with the present certificates. Raises Unusable."""
        try:
            api = client.ApiClient(self._config)
            trusts = [api.rest_client.ssl_context, *_each_alone(self._config)]
        except (ssl.SSLError, ValueError, OSError):
            raise Unusable("the certificates in the kubeconfig do not fit together") from None
        finally:
            self._forget_files()
        as_go(api.rest_client.ssl_context)
        self._trusts, self._trust = trusts, 0
        self._http = api.rest_client._create_pool_manager()
        api.rest_client.pool_manager = self._http
        # An earlier one stays until the end: calls may be under way on it.
        self._apis.append(api)

    async def _load(self) -> Any:
        configuration = client.Configuration()
        configuration.client_session_kwargs = {"trust_env": False}
        configuration.connection_pool_maxsize = self._concurrency + _SPARE_CONNECTIONS
        try:
            if self._context.in_cluster:
                config.load_incluster_config(client_configuration=configuration)
            else:
                document = await document_of(self._context)
                # It lives for a moment only: a killed process cannot tidy up.
                self._folder = tempfile.mkdtemp(prefix="remediator-")
                await config.load_kube_config_from_dict(
                    document,
                    context=self._context.name,
                    client_configuration=configuration,
                    temp_file_path=self._folder,
                )
        except Unusable:
            raise
        except Exception:  # whatever it is, its text may hold the token
            if self._context.in_cluster:
                raise NotNow("the token of the pod's account cannot be read") from None
            raise Unusable("the client cannot read it") from None
        # Without this the client would go on anonymously.
        if not configuration.api_key.get("BearerToken") and not configuration.cert_file:
            raise Unusable("it yields no credential")
        return configuration

    def _forget_files(self) -> None:
        """Remove the private keys that the client wrote to disk; they are in memory now."""
        kube_config._temp_files.clear()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


def _each_alone(configuration: Any) -> Iterator[ssl.SSLContext]:
    """Yield contexts that trust one of several authorities each.

    Of two with one name, as before and after a rotation, OpenSSL tries one, and Go all of them.
    """
    authority = configuration.ssl_ca_cert
    anchors = certificates(Path(authority).read_bytes()) if authority else ()
    for anchor in anchors if 1 < len(anchors) <= _MOST_ALONE else ():
        alone = trusting([anchor])
        if configuration.cert_file:
            alone.load_cert_chain(configuration.cert_file, configuration.key_file)
        yield alone


def _proxy(proxy: str | None) -> tuple[URL | None, dict[str, str] | None]:
    """Return where the proxy is, and the headers with its login."""
    if proxy is None:
        return None, None
    url = URL(proxy)
    if url.user is None:
        return url, None
    login = b64encode(f"{url.user}:{url.password or ''}".encode()).decode()
    return url.with_user(None), {"Proxy-Authorization": f"Basic {login}"}
