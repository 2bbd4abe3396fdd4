"""What an API server means by an answer that is not 2xx.

The order of the tests follows what API servers were seen to answer; several answers differ only in their text.
A message about a Secret is never passed on: a 422 can hold the whole existing Secret.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from remediation.outcome import Error, ErrorCode
from worker.faults import Call, Fault, Gone, Retry

_TEXT_LIMIT = 240
_WEBHOOK = re.compile(r'admission webhook "([^"]{1,253})"')
_POLICY = re.compile(r"ValidatingAdmissionPolicy '([^']{1,253})'")
_HOPELESS_500 = ("strconv.", "failed to convert")
_LONGEST_PAUSE_SECONDS = 60.0

_BY_STATUS: dict[int, tuple[ErrorCode, str, Retry, str]] = {
    401: (
        ErrorCode.FORBIDDEN,
        "the server does not accept the worker's credential (401)",
        Retry.NEW_TOKEN,
        "renew the token or certificate in the kubeconfig",
    ),
    410: (ErrorCode.INTERNAL, "the list ran out in the middle (410)", Retry.SAFE, ""),
    429: (ErrorCode.UNREACHABLE, "the server is overloaded (429)", Retry.SAFE, "retry later"),
    502: (ErrorCode.UNREACHABLE, "the server is not available (502)", Retry.READ_FIRST, ""),
    503: (ErrorCode.UNREACHABLE, "the server is not available (503)", Retry.SAFE, "retry later"),
    504: (ErrorCode.TIMEOUT, "the server did not finish in time (504)", Retry.READ_FIRST, ""),
}


def answer_fault(status: int, body: bytes, headers: Mapping[str, str], call: Call) -> Fault | Gone:
    """Judge an answer that is not 2xx."""
    return _Refusal(call, _Answer.read(status, body), headers).judge()


@dataclass(frozen=True, slots=True)
class _Answer:
    """The parts of a Status object that tell answers apart; empty where there is none."""

    status: int
    reason: str = ""
    message: str = ""
    kind: str = ""
    causes: tuple[Mapping[str, Any], ...] = ()
    has_details: bool = False

    @classmethod
    def read(cls, status: int, body: bytes) -> "_Answer":
        try:
            raw = orjson.loads(body)
        except ValueError:
            return cls(status)
        if not isinstance(raw, dict):
            return cls(status)
        details = raw.get("details")
        details = details if isinstance(details, dict) else {}
        return cls(
            status,
            str(raw.get("reason") or ""),
            str(raw.get("message") or ""),
            str(details.get("kind") or ""),
            tuple(cause for cause in details.get("causes") or () if isinstance(cause, dict)),
            bool(details),
        )

    @property
    def fields(self) -> set[str]:
        return {str(cause.get("field") or "") for cause in self.causes}

    @property
    def reasons(self) -> set[str]:
        return {str(cause.get("reason") or "") for cause in self.causes}


@dataclass(frozen=True, slots=True)
class _Refusal:
    """An answer to a call, being judged."""

    call: Call
    answer: _Answer
    headers: Mapping[str, str]

    def judge(self) -> Fault | Gone:
        status = self.answer.status
        if found := _WEBHOOK.match(self.answer.message):
            return self._fault(
                ErrorCode.ADMISSION_DENIED,
                f"admission webhook '{found[1]}' refused it{self._quote()}",
                hint="ask the owner of the webhook to allow it",
            )
        if status == 503 and not self.answer.reason:
            # Not the API server's own: a proxy answers so as well when the server broke off in the middle.
            code, detail, _, hint = _BY_STATUS[503]
            return self._fault(code, detail, Retry.READ_FIRST, hint)
        if status in _BY_STATUS:
            return self._fault(*_BY_STATUS[status])
        if status == 403:
            return self._forbidden()
        if status == 404 and self.answer.kind:
            return Gone(namespace=self.answer.kind == "namespaces")
        if status == 404:
            return self._no_api_server()
        if status == 409:
            return self._conflict()
        if status == 422:
            return self._invalid()
        return self._unexpected()

    def _forbidden(self) -> Fault:
        answer = self.answer
        if not answer.reason and not answer.message:
            return self._no_api_server()
        if "NamespaceTerminating" in answer.reasons:
            return self._fault(ErrorCode.NAMESPACE_TERMINATING, "the namespace is terminating")
        if "exceeded quota: " in answer.message:
            return self._fault(
                ErrorCode.QUOTA_EXCEEDED,
                "the namespace's quota leaves no room",
                hint="raise the ResourceQuota for secrets, then retry",
            )
        if "status unknown for quota: " in answer.message:
            return self._fault(
                ErrorCode.QUOTA_EXCEEDED,
                "a quota of the namespace is new and has not been counted yet",
                Retry.SAFE,
                "retry later",
            )
        blank = answer.causes and not any(answer.fields) and not any(answer.reasons)
        if self.call.verb == "patch" and (not answer.has_details or blank):
            return self._denied_by_policy("an admission plugin")
        return self._fault(
            ErrorCode.FORBIDDEN,
            f"the worker may not {self.call.verb} {self.call.kind}{self._quote()}",
            Retry.LATER_ONCE,
            "grant the worker's account the rules of docs/kubernetes-access.md",
        )

    def _conflict(self) -> Fault:
        if "FieldManagerConflict" in self.answer.reasons:
            if ".type" in self.answer.fields:
                return self._fault(
                    ErrorCode.SECRET_TYPE_MISMATCH,
                    "a Secret of that name has another type",
                    Retry.CONFLICT,
                    "choose another secret_name",
                )
            return self._fault(
                ErrorCode.SECRET_CONFLICT,
                "somebody else's tool owns the content of the Secret of that name",
                Retry.CONFLICT,
                "use on_conflict 'replace', or another secret_name",
            )
        return self._fault(
            ErrorCode.CONFLICT_EXHAUSTED,
            "others kept changing the object at the same time",
            Retry.CONFLICT,
            "retry later",
        )

    def _invalid(self) -> Fault:
        fields = self.answer.fields
        if fields == {"metadata.uid"}:
            return self._fault(
                ErrorCode.CONFLICT_EXHAUSTED,
                "the object was made anew at the same time",
                Retry.CONFLICT,
                "retry later",
            )
        if "type" in fields:
            return self._fault(
                ErrorCode.SECRET_TYPE_MISMATCH,
                "the type of a Secret cannot be changed",
                hint="choose another secret_name",
            )
        if "data" in fields:
            return self._fault(
                ErrorCode.SECRET_CONFLICT,
                "the Secret of that name is immutable",
                hint="choose another secret_name",
            )
        if not any(fields):
            return self._denied_by_policy("an admission policy")
        return self._fault(ErrorCode.INTERNAL, f"the server finds it invalid (422){self._quote()}")

    def _unexpected(self) -> Fault:
        status, answer = self.answer.status, self.answer
        if status < 400:
            return self._fault(
                ErrorCode.UNREACHABLE,
                f"the server answered with a redirect ({status}), which is not followed",
                hint="put the API server's own address into the kubeconfig",
            )
        if status == 400 and not answer.reason:
            return self._fault(ErrorCode.ADMISSION_DENIED, "an admission webhook refused it (400)")
        if status >= 500:
            hopeless = any(word in answer.message for word in _HOPELESS_500)
            retry = Retry.NO if hopeless else Retry.READ_FIRST
            return self._fault(
                ErrorCode.INTERNAL, f"the server failed ({status}){self._quote()}", retry
            )
        return self._fault(ErrorCode.INTERNAL, f"the server refused it ({status}){self._quote()}")

    @property
    def _by_roles(self) -> bool:
        """Tell whether the refusal names the rights that are missing; a webhook or policy may quote the object."""
        answer = self.answer
        plain = answer.has_details and not answer.causes and not _WEBHOOK.match(answer.message)
        return answer.status == 403 and plain

    def _no_api_server(self) -> Fault:
        """Judge a refusal that names no object: taken for a missing one it would be passed over in silence."""
        return self._fault(
            ErrorCode.UNREACHABLE,
            f"what answers there is no Kubernetes API ({self.answer.status})",
            hint="check the server in the kubeconfig, and what stands before it",
        )

    def _denied_by_policy(self, who: str) -> Fault:
        if policy := _POLICY.search(self.answer.message):
            who = f"admission policy '{policy[1]}'"
        return self._fault(ErrorCode.ADMISSION_DENIED, f"{who} refused it{self._quote()}")

    def _fault(
        self, code: ErrorCode, detail: str, retry: Retry = Retry.NO, hint: str = ""
    ) -> Fault:
        error = Error(code, detail, hint, self.answer.status, self.call.object)
        return Fault(error, retry, _retry_after(self.headers))

    def _quote(self) -> str:
        """Return the server's words for a report, unless they may hold a Secret."""
        message = self.answer.message
        if not message or (self.call.secret and not self._by_roles):
            return ""
        return f": {''.join(c if c.isprintable() else ' ' for c in message)[:_TEXT_LIMIT]}"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    text = headers.get("Retry-After", "")
    return min(float(text), _LONGEST_PAUSE_SECONDS) if text.isascii() and text.isdigit() else None
