"""What an API server means by an answer that is not 2xx.

The order of the tests follows what API servers were seen to answer; several answers differ only in their text.
A message about a Secret is never passed on: a 422 can hold the whole existing Secret.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from remediation.outcome import Error, ErrorCode
from worker.culprits import (
    FIND_WEBHOOK,
    cache_fails,
    failing_webhook,
    provider_of,
    quota_of,
    quota_sums,
    undecryptable,
)
from worker.faults import Call, Fault, Gone, Retry
from worker.status_object import StatusObject

_TEXT_LIMIT = 240
_WEBHOOK = re.compile(r'admission webhook "([^"]{1,253})"')
_NO_DRY_RUN = re.compile(r'admission webhook "([^"]{1,253})" does not support dry run')
_POLICY = re.compile(
    r"""(?:ValidatingAdmissionPolicy ['"]([^'"]{1,253})['"]|"""
    r"""\bpolicy ['"]([^'"]{1,253})['"](?: with binding '[^']{1,253}')? denied request: )"""
)
# How authorizers begin; admission plugins say something else in the same place.
_BY_AUTHORIZER = ' is forbidden: User "'
_HOPELESS_500 = ("strconv.", "failed to convert")
_LONGEST_PAUSE_SECONDS = 60.0
_FIND = f"its configuration: {FIND_WEBHOOK}"
_REVIVE = "have what serves the webhook run again, then retry; of a tool that is gone, delete the configuration"
# What to do where nothing more exact is known.
_HINTS = {
    ErrorCode.ADMISSION_DENIED: "ask the owner of the policy to allow what the worker's account writes",
    ErrorCode.NAMESPACE_TERMINATING: "nothing: what is in the namespace goes with it",
    ErrorCode.CONFLICT_EXHAUSTED: "retry later; look for a controller that keeps writing the object",
    ErrorCode.UNREACHABLE: "retry later",
    ErrorCode.TIMEOUT: "retry later: what was done is not done twice",
    ErrorCode.INTERNAL: "read the detail; the API server's log and the worker's log say more. Then retry",
}
_DECRYPT = (
    "put the key that it was written with back into the API server's encryption configuration; where the key is lost, "
    "have an administrator delete the object from etcd"
)

_BY_STATUS: dict[int, tuple[ErrorCode, str, Retry, str]] = {
    401: (
        ErrorCode.FORBIDDEN,
        "the server does not accept the worker's credential (401)",
        Retry.NEW_TOKEN,
        "renew the token or certificate in the kubeconfig",
    ),
    410: (
        ErrorCode.INTERNAL,
        "the list ran out in the middle (410)",
        Retry.SAFE,
        "retry later; if it stays so, see what compacts etcd so often, and what stands before the API server",
    ),
    429: (ErrorCode.UNREACHABLE, "the server is overloaded (429)", Retry.SAFE, "retry later"),
    502: (ErrorCode.UNREACHABLE, "the server is not available (502)", Retry.READ_FIRST, ""),
    503: (ErrorCode.UNREACHABLE, "the server is not available (503)", Retry.SAFE, "retry later"),
    504: (ErrorCode.TIMEOUT, "the server did not finish in time (504)", Retry.READ_FIRST, ""),
}


def answer_fault(status: int, body: bytes, headers: Mapping[str, str], call: Call) -> Fault | Gone:
    """Judge an answer that is not 2xx."""
    return _Refusal(call, StatusObject.read(status, body), headers).judge()


@dataclass(frozen=True, slots=True)
class _Refusal:
    """An answer to a call, being judged."""

    call: Call
    answer: StatusObject
    headers: Mapping[str, str]

    def judge(self) -> Fault | Gone:
        status = self.answer.status
        if found := _NO_DRY_RUN.match(self.answer.message):
            # Not what the webhook thinks of the write: it was not called.
            detail = f"admission webhook '{found[1]}' cannot be asked in a dry run"
            hint = "have it declare sideEffects 'None' or 'NoneOnDryRun', if that is so"
            return self._fault(ErrorCode.INTERNAL, detail, hint=hint)
        if found := _WEBHOOK.match(self.answer.message):
            hint = self._managed() or f"ask the owner of the webhook to allow it; {_FIND}"
            return self._fault(
                ErrorCode.ADMISSION_DENIED,
                f"admission webhook '{found[1]}' refused it{self._quote()}",
                hint=hint,
                webhook=found[1],
            )
        if failing := failing_webhook(self.answer.message):
            # Admission comes before storage: nothing was written.
            return self._fault(
                ErrorCode.INTERNAL,
                failing.detail,
                Retry.LATER,
                f"{_REVIVE}; {_FIND}",
                webhook=failing.name,
            )
        if status == 503 and not self.answer.reason:
            # Not the API server's own: a proxy answers so as well when the server broke off in the middle.
            code, detail, _, hint = _BY_STATUS[503]
            return self._fault(code, detail, Retry.READ_FIRST, hint)
        if status == 429 and cache_fails(self.answer.message):
            # Not overloaded: it says so for as long as an object of the kind is as it is.
            return self._undecryptable() or self._fault(
                ErrorCode.INTERNAL,
                f"the API server cannot fill its cache of {self.call.kind} (429)",
                Retry.LATER,
                "retry later; see the API server's log if it stays so",
            )
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
        if refused := self._by_quota():
            return refused
        blank = answer.causes and not any(answer.fields) and not any(answer.reasons)
        admission = " is forbidden: " in answer.message and _BY_AUTHORIZER not in answer.message
        if self.call.verb == "patch" and (not answer.has_details or blank or admission):
            return self._denied_by_policy("an admission plugin")
        managed = self._managed()
        return self._fault(
            ErrorCode.FORBIDDEN,
            f"the worker may not {self.call.verb} {self.call.kind}{self._quote()}",
            Retry.NO if managed else Retry.LATER_ONCE,
            managed or "grant the worker's account the rules of docs/kubernetes-access.md",
        )

    def _by_quota(self) -> Fault | None:
        message = self.answer.message
        quota = quota_of(message)
        which = f"ResourceQuota '{quota}'" if quota else "a ResourceQuota of the namespace"
        if "exceeded quota: " in message:
            return self._fault(
                ErrorCode.QUOTA_EXCEEDED,
                f"{which} leaves no room for the Secret{quota_sums(message)}",
                hint=f"raise {which} for secrets, then retry",
            )
        if "status unknown for quota: " in message:
            return self._fault(
                ErrorCode.QUOTA_EXCEEDED,
                f"{which} is new and has not been counted yet",
                Retry.LATER,
                "retry later; if it stays so, see whether kube-controller-manager runs: it counts quotas",
            )
        if "insufficient quota to consume: " in message:
            return self._fault(
                ErrorCode.QUOTA_EXCEEDED,
                "the cluster takes new Secrets only where a ResourceQuota counts them, and none does here",
                hint="create a ResourceQuota for secrets in the namespace, then retry",
            )
        return None

    def _managed(self) -> str:
        """Return what helps where the provider manages the namespace: no role does. "" for any other refusal."""
        provider = provider_of(self.answer.message)
        return provider and (
            f"{provider} manages this namespace and refuses every account: name the namespace in `ignore`"
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
        if self.answer.kind == "resourcequotas":
            return self._fault(
                ErrorCode.CONFLICT_EXHAUSTED,
                f"ResourceQuota '{self.answer.name}' kept changing at the same time",
                Retry.LATER,
                "retry later",
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
            hint = f"ask the owner of the webhook to allow it; {_FIND}"
            detail = "an admission webhook refused it (400)"
            return self._fault(ErrorCode.ADMISSION_DENIED, detail, hint=hint)
        if status >= 500 and (unreadable := self._undecryptable()):
            return unreadable
        if status >= 500 and "resource quota evaluation timed out" in answer.message:
            return self._fault(
                ErrorCode.INTERNAL,
                "the API server did not get to count the namespace's quotas in time (500)",
                Retry.LATER,
                "retry later",
            )
        if status >= 500:
            hopeless = any(word in answer.message for word in _HOPELESS_500)
            retry = Retry.NO if hopeless else Retry.READ_FIRST
            return self._fault(
                ErrorCode.INTERNAL, f"the server failed ({status}){self._quote()}", retry
            )
        return self._fault(ErrorCode.INTERNAL, f"the server refused it ({status}){self._quote()}")

    def _undecryptable(self) -> Fault | None:
        stored = undecryptable(self.answer.message)
        if stored is None:
            return None
        where = f" what is stored at {stored}" if stored else f" {self.call.object}"
        return self._fault(
            ErrorCode.INTERNAL,
            f"the API server cannot decrypt{where} ({self.answer.status})",
            # A list takes 3 s to fail so, every time, and there is another way to what it holds.
            Retry.NO if self.call.verb == "list" else Retry.READ_FIRST,
            _DECRYPT,
        )

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
            who = f"admission policy '{policy[1] or policy[2]}'"
        detail = f"{who} refused it{self._quote()}"
        return self._fault(ErrorCode.ADMISSION_DENIED, detail, hint=self._managed())

    def _fault(
        self,
        code: ErrorCode,
        detail: str,
        retry: Retry = Retry.NO,
        hint: str = "",
        webhook: str = "",
    ) -> Fault:
        error = Error(
            code, detail, hint or _HINTS.get(code, ""), self.answer.status, self.call.object
        )
        wait = _retry_after(self.headers)
        return Fault(error, retry, wait, webhook=webhook, resume=self.answer.resume)

    def _quote(self) -> str:
        """Return the server's words for a report, unless they may hold a Secret."""
        message = self.answer.message
        if not message or (self.call.secret and not self._by_roles):
            return ""
        return f": {''.join(c if c.isprintable() else ' ' for c in message)[:_TEXT_LIMIT]}"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    text = headers.get("Retry-After", "")
    return min(float(text), _LONGEST_PAUSE_SECONDS) if text.isascii() and text.isdigit() else None
