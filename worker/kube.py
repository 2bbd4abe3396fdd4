"""The session with one cluster: the only module that knows the Kubernetes client.

The client reads the kubeconfig and authenticates; requests go straight over its aiohttp session, which knows neither
the server name, the proxy, the user agent nor the token by itself.
"""

import asyncio
import logging
import shutil
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio import client, config
from kubernetes.aio.config import kube_config

from remediation.audit import Verdict
from remediation.credential import SECRET_KEY
from worker import exec_plugin
from worker.faults import Call, Fault, Gone, Retry, answer_fault, transport_fault
from worker.kubeconfigs import Context, Unusable, read_token
from worker.pace import Pace, Stopped
from worker.vigil import Vigil
from worker.wire import version_of
from worker.witness import Witness

MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

_CONNECT_SECONDS = 3
# An overloaded server may keep a request in its queue for 15 s before it answers 429, a write may take 34 s.
_TOTAL_SECONDS = 40
# A server that refuses every token must not have a plugin run for every namespace.
_RENEWAL_SECONDS = 10
_SPARE_CONNECTIONS = 4
_CREATED = 201
# What each kind of write changes, for the audit trail.
_FIELDS = {
    ("serviceaccounts", MERGE_PATCH): ("imagePullSecrets",),
    ("secrets", MERGE_PATCH): (f"data[{SECRET_KEY}]",),
    ("secrets", APPLY_PATCH): (
        "metadata.labels",
        "metadata.annotations",
        "type",
        f"data[{SECRET_KEY}]",
    ),
}

# What the client logs of a kubeconfig may hold a token.
logging.getLogger("kubernetes").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Written:
    """The answer to a write: the object as it is now, and whether it is new."""

    created: bool
    body: bytes


class Session:
    """An open session. Calls answer with the body of a 2xx; otherwise they raise Fault or Gone."""

    def __init__(
        self,
        context: Context,
        user_agent: str,
        concurrency: int,
        stop: asyncio.Event | None = None,
        witness: Witness | None = None,
        vigil: Vigil | None = None,
    ) -> None:
        self.pace = Pace(concurrency, stop)
        self._vigil = vigil
        self._context = context
        self._witness = witness
        self._user_agent = user_agent
        self._concurrency = concurrency
        self._refreshing = asyncio.Lock()
        self._generation = 0
        self._next_renewal = 0.0
        self._config: Any = None
        self._http: aiohttp.ClientSession
        self._folder: str | None = None
        self._apis: list[Any] = []

    async def get(self, path: str, call: Call, **params: str) -> bytes:
        """Read."""
        return (await self._request("GET", path, call, params)).body

    async def patch(
        self, path: str, call: Call, body: bytes, content_type: str, **params: str
    ) -> Written:
        """Write, with no more writes in flight than the cluster's cap. Raises Stopped once the run is cancelled."""
        async with self.pace.writes:
            with self._witnessed(call, _FIELDS[call.kind, content_type]) as seen:
                written = await self._request("PATCH", path, call, params, body, content_type)
                seen.append(written)
                return written

    async def post(self, path: str, call: Call, body: bytes, **params: str) -> bytes:
        """Ask for something to be made, as a write; here only what a dry run would make."""
        async with self.pace.writes:
            content_type = "application/json"
            return (await self._request("POST", path, call, params, body, content_type)).body

    async def delete(self, path: str, call: Call, options: bytes) -> None:
        """Delete, as a write. Raises Stopped once the run is cancelled."""
        async with self.pace.writes:
            with self._witnessed(call, ()):
                await self._request("DELETE", path, call, {}, options, "application/json")

    @contextmanager
    def _witnessed(self, call: Call, fields: tuple[str, ...]) -> Iterator[list[Written]]:
        """Have the write inside be noted, however it ends; one that was never sent is none."""
        seen: list[Written] = []
        try:
            yield seen
        except Stopped:
            raise
        except Gone:
            self._note(call, fields, Verdict.REFUSED, "not_found", seen)
            raise
        except Fault as fault:
            lost = fault.retry is Retry.READ_FIRST
            outcome = Verdict.UNKNOWN if lost else Verdict.REFUSED
            self._note(call, fields, outcome, str(fault.error.code), seen)
            raise
        except BaseException:  # cut off: nobody waits for the answer
            self._note(call, fields, Verdict.UNKNOWN, None, seen)
            raise
        self._note(call, fields, Verdict.DONE, None, seen)

    def _note(
        self,
        call: Call,
        fields: tuple[str, ...],
        outcome: Verdict,
        code: str | None,
        seen: list[Written],
    ) -> None:
        if self._witness:
            version = version_of(seen[0].body) if seen else None
            self._witness.saw(
                call, fields, outcome, code=code, version=version[1] if version else None
            )

    async def reach(self, seconds: float) -> None:
        """Return as soon as the server answers anything at all. Raises Fault after `seconds`."""
        call = Call("reach", "version")
        fault = transport_fault(TimeoutError(), call)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    try:
                        await self._exchange("GET", "/version", {}, None, None, self._config)
                    except (aiohttp.ClientError, TimeoutError, OSError) as error:
                        fault = transport_fault(error, call)
                        if fault.retry.name == "NO":
                            break
                        await asyncio.sleep(0.5)
                    else:
                        return
        raise fault

    async def open(self) -> None:
        """Load the credential and make the connection pool. Raises Unusable."""
        self._config = await self._load()
        self._connect()

    async def close(self) -> None:
        """End all connections."""
        for api in self._apis:
            await api.close()
        self._forget_files()

    def _connect(self) -> None:
        """Make a connection pool with the present certificates. Raises Unusable."""
        try:
            api = client.ApiClient(self._config)
        except (ssl.SSLError, ValueError, OSError):
            raise Unusable("the certificates in the kubeconfig do not fit together") from None
        finally:
            self._forget_files()
        self._http = api.rest_client._create_pool_manager()
        api.rest_client.pool_manager = self._http
        # An earlier one stays until the end: calls may be under way on it.
        self._apis.append(api)

    async def _request(
        self,
        method: str,
        path: str,
        call: Call,
        params: Mapping[str, str],
        body: bytes | None = None,
        content_type: str | None = None,
    ) -> Written:
        await self._clearance(writes=body is not None)
        generation = self._generation
        try:
            return await self._attempt(method, path, call, params, body, content_type)
        except Fault as fault:
            if fault.retry is not Retry.NEW_TOKEN:
                raise
        await self._renew(generation)
        await self._clearance(writes=body is not None)  # a plugin may have taken its time
        return await self._attempt(method, path, call, params, body, content_type)

    async def _clearance(self, *, writes: bool) -> None:
        """Return once a request may be sent. Raises Fault, and Stopped for a write of a run that is cancelled."""
        await self.pace.clearance()
        if writes and self._vigil:
            await self._vigil.certain()
        if writes and self.pace.stop.is_set():
            raise Stopped

    async def _attempt(
        self,
        method: str,
        path: str,
        call: Call,
        params: Mapping[str, str],
        body: bytes | None,
        content_type: str | None,
    ) -> Written:
        try:
            status, headers, answer = await self._exchange(
                method, path, params, body, content_type, self._config
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            fault = transport_fault(error, call)
            self.pace.failed(fault)
            raise fault from None
        if 200 <= status < 300:
            self.pace.succeeded()
            return Written(status == _CREATED, answer)
        refusal = answer_fault(status, answer, headers, call)
        if isinstance(refusal, Fault):
            self.pace.failed(refusal)
        raise refusal

    async def _exchange(
        self,
        method: str,
        path: str,
        params: Mapping[str, str],
        body: bytes | None,
        content_type: str | None,
        configuration: Any,
    ) -> tuple[int, Mapping[str, str], bytes]:
        headers = {"User-Agent": self._user_agent, "Accept": "application/json"}
        if content_type:
            headers["Content-Type"] = content_type
        with suppress(OSError, config.ConfigException):
            # Reads a pod's token again when it is due; while the file is being replaced the last one serves.
            await configuration.auth_settings()
        if token := configuration.api_key.get("BearerToken"):
            headers["Authorization"] = token.strip()
        async with self._http.request(
            method,
            configuration.host + path,
            params=params,
            data=body,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=_TOTAL_SECONDS, sock_connect=_CONNECT_SECONDS),
            allow_redirects=False,  # a redirect would carry the Secret in the body somewhere else
            server_hostname=configuration.tls_server_name,
            proxy=configuration.proxy,
        ) as response:
            return response.status, response.headers, await response.read()

    async def _renew(self, generation: int) -> None:
        """Get a new token or certificate, once for all the calls that were refused with the old one, and not again at
        once.
        """
        async with self._refreshing:
            if self._generation != generation or time.monotonic() < self._next_renewal:
                return
            with suppress(Unusable):
                fresh = await self._load()
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
            self._forget_files()
            self._generation += 1
            self._next_renewal = time.monotonic() + _RENEWAL_SECONDS

    async def _load(self) -> Any:
        configuration = client.Configuration()
        configuration.client_session_kwargs = {"trust_env": False}
        configuration.connection_pool_maxsize = self._concurrency + _SPARE_CONNECTIONS
        # Python 3.13 refuses CAs without the key usage extension, which many clusters have.
        configuration.disable_strict_ssl_verification = True
        try:
            if self._context.in_cluster:
                config.load_incluster_config(client_configuration=configuration)
            else:
                document = await _document(self._context)
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


@asynccontextmanager
async def open_session(
    context: Context,
    user_agent: str,
    concurrency: int,
    stop: asyncio.Event | None = None,
    witness: Witness | None = None,
    vigil: Vigil | None = None,
) -> AsyncIterator[Session]:
    """Open a session with the cluster and close it; once `stop` is set it begins no write. Raises Unusable."""
    session = Session(context, user_agent, concurrency, stop, witness, vigil)
    try:
        await session.open()
        yield session
    finally:
        await session.close()


async def _document(context: Context) -> dict[str, Any]:
    user = dict(context.user)
    if plugin := user.pop("exec", None):
        user = dict(await exec_plugin.run(plugin))
    if path := user.pop("tokenFile", None):
        user["token"] = read_token(Path(path))
    name = context.name
    return {
        "clusters": [{"name": name, "cluster": dict(context.cluster)}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
