"""The HTTP API, as client commands use it."""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cli.errors import ClientError, Unreachable
from cli.request import BASE_PATH, JsonObject, Request
from cli.target import Target

# httpx imports its own command line, and with it a syntax highlighter, if rich is installed: 100 ms for nothing.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
MAX_PAUSE_SECONDS = 30.0  # a longer Retry-After is told to the caller instead of slept through
TRIES = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: `body` is empty for 304; `retry_after` in seconds."""

    status: int
    body: JsonObject
    etag: str | None = None
    retry_after: float | None = None

    @property
    def unchanged(self) -> bool:
        """Tell whether the resource is still as its ETag said."""
        return self.status == 304


class ApiClient:
    """One caller's connection to the service; a context manager."""

    def __init__(self, target: Target, sleep: Callable[[float], None] = time.sleep) -> None:
        import httpx

        self._target = target
        self._sleep = sleep
        self._http = httpx.Client(
            base_url=target.url + BASE_PATH,
            headers=_headers(target),
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            # A proxy never leads to this machine; loading certificates takes 0.1 s that plain HTTP has no use for.
            trust_env=not target.loopback,
            verify=target.url.startswith("https:"),
        )

    def __enter__(self) -> "ApiClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    @property
    def url(self) -> str:
        """The service's base URL."""
        return self._target.url

    def send(self, request: Request) -> Answer:
        """Return the answer, after as many tries as make sense.

        Raises Unreachable without an answer, ClientError for a problem.
        """
        for left in reversed(range(TRIES)):
            try:
                answer = self._exchange(request)
            except Unreachable:
                if request.method == "GET" or not left:
                    raise
                self._sleep(0.2 * 2 ** (TRIES - 1 - left))
                continue
            if isinstance(answer, Answer):
                return answer
            if not left or answer.pause is None:
                raise answer.error
            self._sleep(answer.pause)
        raise AssertionError("the last try returns or raises")

    def pages(self, request: Request, limit: int | None = None) -> Iterator[list[JsonObject]]:
        """Yield the items of a collection page by page, following the cursor; at most `limit` items."""
        left = limit
        while True:
            body = self.send(request).body
            items = body.get("items") or []
            yield items if left is None else items[:left]
            left = None if left is None else left - len(items)
            cursor = body.get("next_cursor")
            if not cursor or (left is not None and left <= 0):
                return
            request = replace(request, params={**request.params, "cursor": str(cursor)})

    def _exchange(self, request: Request) -> "Answer | _Refusal":
        import httpx

        try:
            response = self._http.request(
                request.method,
                request.path,
                params=request.to_params(),
                json=request.to_json(),
                headers=dict(request.headers),
                timeout=httpx.Timeout(
                    ANSWER_SECONDS + request.wait_seconds, connect=CONNECT_SECONDS
                ),
            )
        except httpx.ConnectError as error:
            reason = _reason(error)
            if "CERTIFICATE_VERIFY_FAILED" in reason:
                raise Unreachable(
                    f"the certificate of {self.url} is not trusted ({reason});"
                    " SSL_CERT_FILE names a file with the certificates to trust"
                ) from error
            raise Unreachable(
                f"nothing answers at {self.url} ({reason});"
                " `remediator up` starts the service here, --url names another"
            ) from error
        except httpx.TimeoutException as error:
            raise Unreachable(f"{self.url} did not answer in time") from error
        except httpx.TransportError as error:
            raise Unreachable(f"the connection to {self.url} broke: {_reason(error)}") from error
        return _read(response, self._target)


@dataclass(frozen=True, slots=True)
class _Refusal:
    """An answer with a problem; `pause` in seconds if it asks to try again."""

    error: ClientError | Unreachable
    pause: float | None = None


def _read(response: "httpx.Response", target: Target) -> Answer | _Refusal:
    pause = _retry_after(response)
    if response.status_code == 304:
        return Answer(304, {}, response.headers.get("ETag"), pause)
    try:
        body = response.json()
    except ValueError:
        body = None
    if response.is_success and isinstance(body, dict):
        return Answer(response.status_code, body, response.headers.get("ETag"), pause)
    if response.is_success or response.is_redirect:
        return _Refusal(Unreachable(f"{target.url} does not answer like a remediator; see --url"))
    if isinstance(body, dict):
        problem = body
    else:  # a proxy, or something else altogether
        words = f"{response.status_code} {response.reason_phrase}".strip()
        problem = {"title": f"{target.url} answered {words}, not as a remediator does; see --url"}
    error = ClientError(response.status_code, problem, _hint(response.status_code, target))
    # What was sent to change something may have been taken in: under its key it is safe to repeat. 409 says that our
    # own first try is still being taken in.
    keyed = "Idempotency-Key" in response.request.headers
    statuses = (429, 503) if response.request.method == "GET" else (409, *((503,) if keyed else ()))
    patient = response.status_code in statuses
    again = pause is not None and patient and pause <= MAX_PAUSE_SECONDS and not error.denied
    return _Refusal(error, pause if again else None)


def _hint(status: int, target: Target) -> str | None:
    if status == 401 and target.token is None:
        return "no token was sent: set REMEDIATOR_TOKEN"
    return None


def _retry_after(response: "httpx.Response") -> float | None:
    try:
        return max(0.0, float(response.headers.get("Retry-After", "")))
    except ValueError:
        return None


def _headers(target: Target) -> dict[str, str]:
    from importlib import metadata

    try:
        version = metadata.version("pull-secret-remediator")
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        version = "0"
    headers = {"User-Agent": f"remediator-cli/{version}", "Accept": "application/json"}
    if target.token:
        headers["Authorization"] = f"Bearer {target.token}"
    return headers


def _reason(error: Exception) -> str:
    cause: BaseException = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__ or cause
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(cause) or type(cause).__name__
