"""What went wrong with a call to a cluster: whether to try again, and what to tell the caller."""

import ssl
from dataclasses import dataclass
from enum import Enum, auto

import aiohttp

from remediation.outcome import Error, ErrorCode


class Retry(Enum):
    """How a failed call may be repeated."""

    NO = auto()
    SAFE = auto()  # it was not carried out
    READ_FIRST = auto()  # it may have been carried out
    CONFLICT = auto()  # the object is not as it was read
    LATER_ONCE = auto()  # may be a server that has just started
    LATER = (
        auto()
    )  # it was not carried out, and the server is well: a webhook or quota stands in the way
    NEW_TOKEN = auto()  # the token may have run out; the session tries again with a new one


class Gone(Exception):
    """The object, or the namespace it was in (`namespace`), is not there any more."""

    def __init__(self, namespace: bool) -> None:
        super().__init__("gone")
        self.namespace = namespace


class Fault(Exception):
    """A call that failed: `error` is what to report in the end, `retry_after` the seconds the server asked for.

    `webhook` is the admission webhook that stands in the way, `resume` goes on with a list that ran out.
    """

    def __init__(
        self,
        error: Error,
        retry: Retry,
        retry_after: float | None = None,
        *,
        webhook: str = "",
        resume: str = "",
    ) -> None:
        super().__init__(f"{error.code}: {error.detail}")
        self.error = error
        self.retry = retry
        self.retry_after = retry_after
        self.webhook = webhook
        self.resume = resume


@dataclass(frozen=True, slots=True)
class Call:
    """What was asked, for a report: `object` is kind/namespace/name."""

    verb: str
    object: str

    @property
    def kind(self) -> str:
        """The resource, such as `secrets`."""
        return self.object.partition("/")[0]

    @property
    def secret(self) -> bool:
        """Tell whether the answer may hold a Secret."""
        return self.kind == "secrets"


_LOGIN_WANTED = 407
_PROXY_CANNOT = (502, 503, 504)
_PROXY = "check proxy-url in the kubeconfig, and HTTPS_PROXY and NO_PROXY of the worker"


def _proxy_fault(status: int, call: Call) -> Fault:
    """Judge the answer of a proxy that does not connect."""
    detail, hint, retry = f"the proxy refuses to connect ({status})", _PROXY, Retry.NO
    if status == _LOGIN_WANTED:
        detail = "the proxy wants a login (407)"
        hint = (
            "give it a user name and password that it takes, percent-encoded: http://USER:PASSWORD@HOST:PORT in "
            "proxy-url, or in HTTPS_PROXY of the worker"
        )
    elif status in _PROXY_CANNOT:
        detail, retry = f"the proxy cannot reach the server ({status})", Retry.SAFE
    return Fault(Error(ErrorCode.UNREACHABLE, detail, hint, None, call.object), retry)


def transport_fault(error: Exception, call: Call) -> Fault:
    """Judge an exception of the HTTP client."""

    def fault(code: ErrorCode, detail: str, retry: Retry, hint: str = "") -> Fault:
        return Fault(Error(code, detail, hint, None, call.object), retry)

    match error:
        case aiohttp.ClientConnectorSSLError() if not isinstance(
            error.os_error, ssl.SSLCertVerificationError
        ):
            return fault(
                ErrorCode.UNREACHABLE,
                "no TLS connection can be made",
                Retry.NO,
                "check that the server in the kubeconfig is an API server",
            )
        case aiohttp.ClientConnectorCertificateError() | ssl.SSLError():
            return fault(
                ErrorCode.UNREACHABLE,
                "the server's certificate is not trusted",
                Retry.NO,
                "check the certificate authority and the server name in the kubeconfig",
            )
        case aiohttp.ClientHttpProxyError():
            return _proxy_fault(error.status, call)
        case aiohttp.ClientProxyConnectionError():
            reason = error.strerror or "no connection"
            return fault(
                ErrorCode.UNREACHABLE, f"cannot connect to the proxy ({reason})", Retry.SAFE, _PROXY
            )
        case aiohttp.ConnectionTimeoutError():
            return fault(ErrorCode.TIMEOUT, "no connection in time", Retry.SAFE)
        case aiohttp.ClientConnectorDNSError():
            return fault(ErrorCode.UNREACHABLE, "the host name is not known", Retry.SAFE)
        case aiohttp.ClientConnectorError():
            reason = error.strerror or "no connection"
            return fault(ErrorCode.UNREACHABLE, f"cannot connect ({reason})", Retry.SAFE)
        case TimeoutError():
            return fault(ErrorCode.TIMEOUT, "no answer in time", Retry.READ_FIRST)
        case _:
            broke = f"the connection broke ({type(error).__name__})"
            return fault(ErrorCode.UNREACHABLE, broke, Retry.READ_FIRST)
