"""The session of a run with one cluster: at its pace, noted for the audit trail, and no write in doubt of the lease."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace

from remediation.audit import Verdict
from remediation.docker_config import SECRET_KEY
from remediation.outcome import ErrorCode
from worker.answers import check_object
from worker.faults import Call, Fault, Gone, Retry, transport_fault
from worker.kube import Connection, Request
from worker.kubeconfig_rules import Unusable
from worker.kubeconfigs import Context
from worker.pace import Pace, Stopped
from worker.refusals import answer_fault
from worker.vigil import Vigil
from worker.webhooks import Webhooks
from worker.wire import version_of
from worker.witness import Witness

MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

_CREATED = 201
_MOST_RENEWALS = 3  # for one call
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


@dataclass(frozen=True, slots=True)
class Written:
    """The answer to a write: the object as it is now, and whether it is new."""

    created: bool
    body: bytes


class Session:
    """An open session. Calls answer with the body of a 2xx; otherwise they raise Fault or Gone."""

    def __init__(
        self,
        connection: Connection,
        concurrency: int,
        stop: asyncio.Event | None = None,
        witness: Witness | None = None,
        vigil: Vigil | None = None,
    ) -> None:
        self.pace = Pace(concurrency, stop)
        self._connection = connection
        self._witness = witness
        self._vigil = vigil
        self._webhooks = Webhooks()

    async def get(self, path: str, call: Call, **params: str) -> bytes:
        """Read."""
        return (await self._request(Request("GET", path, call, params))).body

    async def patch(
        self, path: str, call: Call, body: bytes, content_type: str, **params: str
    ) -> Written:
        """Write, with no more writes in flight than the cluster's cap. Raises Stopped once the run is cancelled."""
        async with self.pace.writes:
            with self._witnessed(call, _FIELDS[call.kind, content_type]) as seen:
                written = await self._request(
                    Request("PATCH", path, call, params, body, content_type)
                )
                check_object(path, written.body, call, Retry.READ_FIRST)
                seen.append(written)
                return written

    async def rehearse(
        self, path: str, call: Call, body: bytes, content_type: str, **params: str
    ) -> None:
        """Ask whether a `patch` would be taken: nothing is stored, so that there is nothing to note either."""
        async with self.pace.writes:
            asked = params | {"dryRun": "All"}
            await self._request(Request("PATCH", path, call, asked, body, content_type))

    async def post(self, path: str, call: Call, body: bytes, **params: str) -> bytes:
        """Ask for something to be made, as a write; here only what a dry run would make."""
        async with self.pace.writes:
            request = Request("POST", path, call, params, body, "application/json")
            return (await self._request(request)).body

    async def delete(self, path: str, call: Call, options: bytes) -> bytes:
        """Delete, as a write. Raises Stopped once the run is cancelled.

        The answer is the object where finalizers keep it, otherwise a Status.
        """
        async with self.pace.writes:
            with self._witnessed(call, ()):
                request = Request("DELETE", path, call, {}, options, "application/json")
                return (await self._request(request)).body

    async def reach(self, seconds: float) -> None:
        """Return as soon as the server answers anything at all. Raises Fault after `seconds`."""
        request = Request("GET", "/version", Call("reach", "version"), {})
        last = transport_fault(TimeoutError(), request.call)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    try:
                        await self._connection.exchange(request)
                    except Fault as fault:
                        last = fault
                        if fault.retry is Retry.NO:
                            break
                        await asyncio.sleep(0.5)
                    else:
                        return
        raise last

    async def _request(self, request: Request) -> Written:
        try:
            return await self._with_credential(request)
        except Fault as fault:
            if not fault.webhook:
                raise
            raise await self._webhooks.blame(fault, self.get) from None

    async def _with_credential(self, request: Request) -> Written:
        writes = request.body is not None
        for renewals in range(_MOST_RENEWALS + 1):
            await self._clearance(writes=writes)  # a plugin may have taken its time
            generation = self._connection.generation
            try:
                return await self._attempt(request)
            except Fault as fault:
                last = fault
            if last.retry is not Retry.NEW_TOKEN or renewals == _MOST_RENEWALS:
                break
            if not await self._renewed(generation, last):
                break
        raise last

    async def _renewed(self, generation: int, refused: Fault) -> bool:
        """Have the credential renewed; False if that has not helped of late. Raises Fault if it cannot be had."""
        try:
            return await self._connection.renew(generation)
        except Unusable as error:
            told = replace(
                refused.error,
                code=ErrorCode.UNREACHABLE,
                detail=f"the worker's credential has run out (401) and could not be renewed: {error}",
                hint="retry once the kubeconfig yields a credential again",
            )
            raise Fault(told, Retry.NO) from None

    async def _clearance(self, *, writes: bool) -> None:
        """Return once a request may be sent. Raises Fault, and Stopped for a write of a run that is cancelled."""
        await self.pace.clearance()
        if writes and self._vigil:
            await self._vigil.certain()
        if writes and self.pace.stop.is_set():
            raise Stopped

    async def _attempt(self, request: Request) -> Written:
        try:
            status, headers, answer = await self._connection.exchange(request)
            if 200 <= status < 300:
                self.pace.succeeded()
                return Written(status == _CREATED, answer)
            raise answer_fault(status, answer, headers, request.call)
        except Fault as fault:
            self.pace.failed(fault)
            raise

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
    connection = Connection(context, user_agent, concurrency)
    try:
        await connection.open()
        yield Session(connection, concurrency, stop, witness, vigil)
    finally:
        await connection.close()
