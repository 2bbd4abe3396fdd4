"""Judging what a cluster answers: the rows of the classification, each with an answer seen on a real API server."""

import json
import ssl

import aiohttp
import pytest

from remediation.outcome import ErrorCode
from worker.faults import Call, Fault, Gone, Retry, transport_fault
from worker.refusals import answer_fault

SECRET = Call("patch", "secrets/team/docker")
ACCOUNT = Call("patch", "serviceaccounts/team/default")


def judged(status, body, headers, call) -> Fault:
    """Return what an answer is judged as, where it is not simply gone."""
    fault = answer_fault(status, body, headers, call)
    assert isinstance(fault, Fault)
    return fault


def a_status(status, reason="", message="", causes=None, **details):
    """Return a Status object as the API server sends it."""
    if causes is not None:
        details["causes"] = causes
    return json.dumps(
        {"kind": "Status", "code": status, "reason": reason, "message": message}
        | ({"details": details} if details else {})
    ).encode()


WEBHOOK_AWAY = (
    'Internal error occurred: failed calling webhook "validate.policy.example.com": failed to call webhook: '
    'Post "https://policy.policy.svc:443/validate?timeout=10s": '
)
MANAGED = {
    "GKE": 'secrets "docker" is forbidden: User "x" cannot patch resource "secrets" in API group "" in the namespace '
    '"kube-system": GKE Warden authz [denied by managed-namespaces-limitation]: the namespace "kube-system" is managed '
    'and the request\'s verb "patch" is denied',
    "GKE ": 'secrets "docker" is forbidden: User "x" cannot patch resource "secrets" in API group "" in the namespace '
    '"kube-system": GKEAutopilot authz: the namespace "kube-system" is managed and the '
    'request\'s verb "patch" is denied',
    "AKS": "secrets \"docker\" is forbidden: ValidatingAdmissionPolicy 'aks-managed-protect-system-namespaces' with "
    "binding 'aks-managed-protect-system-namespaces-binding' denied request: kube-system is managed",
    "OpenShift": 'admission webhook "serviceaccount-validation.managed.openshift.io" denied the request: no',
}

ROWS = {
    "webhook, any status": (
        ACCOUNT,
        409,
        a_status(
            409, "Conflict", 'admission webhook "x.example.com" denied the request: no', name="d"
        ),
        (ErrorCode.ADMISSION_DENIED, Retry.NO),
    ),
    "webhook that answers no dry run": (
        SECRET,
        400,
        a_status(400, "BadRequest", 'admission webhook "x.example.com" does not support dry run'),
        (ErrorCode.INTERNAL, Retry.NO),
    ),
    "overloaded": (
        ACCOUNT,
        429,
        b"Too many requests, please try again later.\n",
        (ErrorCode.UNREACHABLE, Retry.SAFE),
    ),
    "bad gateway": (ACCOUNT, 502, b"<html>", (ErrorCode.UNREACHABLE, Retry.READ_FIRST)),
    "shutting down": (
        ACCOUNT,
        503,
        a_status(503, "ServiceUnavailable", "apiserver is shutting down"),
        (ErrorCode.UNREACHABLE, Retry.SAFE),
    ),
    "504 without kind": (
        ACCOUNT,
        504,
        b'{"metadata":{},"status":"Failure","reason":"Timeout"}',
        (ErrorCode.TIMEOUT, Retry.READ_FIRST),
    ),
    "token ran out": (
        ACCOUNT,
        401,
        a_status(401, "Unauthorized", "Unauthorized"),
        (ErrorCode.FORBIDDEN, Retry.NEW_TOKEN),
    ),
    "terminating": (
        SECRET,
        403,
        a_status(
            403,
            "Forbidden",
            "is being terminated",
            [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}],
            name="docker",
            kind="secrets",
        ),
        (ErrorCode.NAMESPACE_TERMINATING, Retry.NO),
    ),
    "quota": (
        SECRET,
        403,
        a_status(
            403, "Forbidden", 'secrets "docker" is forbidden: exceeded quota: q', name="docker"
        ),
        (ErrorCode.QUOTA_EXCEEDED, Retry.NO),
    ),
    "a quota that is not counted yet": (
        SECRET,
        403,
        a_status(
            403,
            "Forbidden",
            'secrets "docker" is forbidden: status unknown for quota: q, resources: count/secrets',
            name="docker",
        ),
        (ErrorCode.QUOTA_EXCEEDED, Retry.LATER),
    ),
    "a cluster that wants a quota for each namespace": (
        SECRET,
        403,
        a_status(
            403,
            "Forbidden",
            'secrets "docker" is forbidden: insufficient quota to consume: count/secrets',
            name="docker",
        ),
        (ErrorCode.QUOTA_EXCEEDED, Retry.NO),
    ),
    "a quota that others use up at the same time": (
        SECRET,
        409,
        a_status(
            409,
            "Conflict",
            'Operation cannot be fulfilled on resourcequotas "q": the object has been modified',
            name="q",
            kind="resourcequotas",
        ),
        (ErrorCode.CONFLICT_EXHAUSTED, Retry.LATER),
    ),
    "a quota that takes too long": (
        SECRET,
        500,
        a_status(
            500,
            "InternalError",
            "Internal error occurred: resource quota evaluation timed out",
            [{"message": "resource quota evaluation timed out"}],
        ),
        (ErrorCode.INTERNAL, Retry.LATER),
    ),
    "a webhook without a backend": (
        SECRET,
        500,
        a_status(500, "InternalError", WEBHOOK_AWAY),
        (ErrorCode.INTERNAL, Retry.LATER),
    ),
    "an admission plugin of the API server itself": (
        ACCOUNT,
        403,
        a_status(
            403,
            "Forbidden",
            'serviceaccounts "default" is forbidden: this namespace is frozen',
            name="default",
            kind="serviceaccounts",
        ),
        (ErrorCode.ADMISSION_DENIED, Retry.NO),
    ),
    "a namespace that GKE manages": (
        SECRET,
        403,
        a_status(403, "Forbidden", MANAGED["GKE"], name="docker", kind="secrets"),
        (ErrorCode.FORBIDDEN, Retry.NO),
    ),
    "cannot be decrypted": (
        SECRET,
        500,
        a_status(
            500,
            "InternalError",
            "Internal error occurred: identity transformer tried to read encrypted data",
        ),
        (ErrorCode.INTERNAL, Retry.READ_FIRST),
    ),
    "403 without details": (
        ACCOUNT,
        403,
        a_status(403, "Forbidden", "no"),
        (ErrorCode.ADMISSION_DENIED, Retry.NO),
    ),
    "403 of a policy": (
        ACCOUNT,
        403,
        a_status(403, "Forbidden", "ValidatingAdmissionPolicy 'p' denied", [{"message": "no"}]),
        (ErrorCode.ADMISSION_DENIED, Retry.NO),
    ),
    "RBAC": (
        ACCOUNT,
        403,
        a_status(403, "Forbidden", 'User "x" cannot patch', name="default", kind="serviceaccounts"),
        (ErrorCode.FORBIDDEN, Retry.LATER_ONCE),
    ),
    "type of another manager": (
        SECRET,
        409,
        a_status(409, "Conflict", "", [{"reason": "FieldManagerConflict", "field": ".type"}]),
        (ErrorCode.SECRET_TYPE_MISMATCH, Retry.CONFLICT),
    ),
    "data of another manager": (
        SECRET,
        409,
        a_status(
            409,
            "Conflict",
            "",
            [{"reason": "FieldManagerConflict", "field": ".data..dockerconfigjson"}],
        ),
        (ErrorCode.SECRET_CONFLICT, Retry.CONFLICT),
    ),
    "stale": (
        ACCOUNT,
        409,
        a_status(
            409, "Conflict", "the object has been modified", name="default", kind="serviceaccounts"
        ),
        (ErrorCode.CONFLICT_EXHAUSTED, Retry.CONFLICT),
    ),
    "made anew": (
        ACCOUNT,
        422,
        a_status(422, "Invalid", "", [{"reason": "FieldValueInvalid", "field": "metadata.uid"}]),
        (ErrorCode.CONFLICT_EXHAUSTED, Retry.CONFLICT),
    ),
    "immutable type": (
        SECRET,
        422,
        a_status(422, "Invalid", "", [{"reason": "FieldValueInvalid", "field": "type"}]),
        (ErrorCode.SECRET_TYPE_MISMATCH, Retry.NO),
    ),
    "immutable data": (
        SECRET,
        422,
        a_status(422, "Invalid", "", [{"reason": "FieldValueForbidden", "field": "data"}]),
        (ErrorCode.SECRET_CONFLICT, Retry.NO),
    ),
    "policy with 422": (
        SECRET,
        422,
        a_status(
            422, "Invalid", "is forbidden: ValidatingAdmissionPolicy 'p'", [{"message": "no"}]
        ),
        (ErrorCode.ADMISSION_DENIED, Retry.NO),
    ),
    "webhook without a code": (
        ACCOUNT,
        400,
        a_status(400, "", "no"),
        (ErrorCode.ADMISSION_DENIED, Retry.NO),
    ),
    "list ran out": (
        Call("list", "secrets"),
        410,
        a_status(410, "Expired"),
        (ErrorCode.INTERNAL, Retry.SAFE),
    ),
    "server failed": (ACCOUNT, 500, b"boom", (ErrorCode.INTERNAL, Retry.READ_FIRST)),
    "hopeless": (
        ACCOUNT,
        500,
        a_status(500, "", 'strconv.ParseUint: parsing "x"'),
        (ErrorCode.INTERNAL, Retry.NO),
    ),
    "redirect": (ACCOUNT, 307, b"", (ErrorCode.UNREACHABLE, Retry.NO)),
    "anything else": (ACCOUNT, 418, b"[1]", (ErrorCode.INTERNAL, Retry.NO)),
}


@pytest.mark.parametrize(("call", "status", "body", "expected"), ROWS.values(), ids=ROWS)
def test_every_answer_has_its_code_and_its_retry(call, status, body, expected):
    fault = answer_fault(status, body, {}, call)

    assert isinstance(fault, Fault)
    assert (fault.error.code, fault.retry) == expected
    assert fault.error.http_status == status
    assert fault.error.object == call.object
    assert fault.error.hint, "it says what to do next"


@pytest.mark.parametrize(("kind", "namespace"), [("serviceaccounts", False), ("namespaces", True)])
def test_404_tells_whether_the_object_or_its_namespace_is_gone(kind, namespace):
    gone = answer_fault(404, a_status(404, "NotFound", kind=kind, name="x"), {}, ACCOUNT)

    assert isinstance(gone, Gone)
    assert gone.namespace is namespace


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"404 page not found"),
        (404, a_status(404, "NotFound", "the server could not find the requested resource")),
        (403, b"<html>blocked by the firewall</html>"),
    ],
)
def test_what_no_api_server_says_is_not_taken_for_a_missing_object(status, body):
    """A proxy that has lost its cluster answers 404 to everything; that must not look like nothing to do."""
    fault = judged(status, body, {}, ACCOUNT)

    assert (fault.error.code, fault.retry) == (ErrorCode.UNREACHABLE, Retry.NO)


def test_a_503_that_is_not_the_api_servers_own_may_have_been_carried_out():
    assert judged(503, b"upstream reset", {}, ACCOUNT).retry is Retry.READ_FIRST


def test_a_read_is_never_refused_by_admission():
    message = 'forbidden: User "x" cannot get path "/k8s/api/v1/namespaces"'

    fault = judged(403, a_status(403, "Forbidden", message), {}, Call("list", "namespaces"))

    assert (fault.error.code, fault.retry) == (ErrorCode.FORBIDDEN, Retry.LATER_ONCE)
    assert "cannot get path" in fault.error.detail


def test_honours_retry_after_up_to_a_minute():
    assert judged(429, b"", {"Retry-After": "7"}, ACCOUNT).retry_after == 7
    assert judged(429, b"", {"Retry-After": "86400"}, ACCOUNT).retry_after == 60
    assert judged(429, b"", {"Retry-After": "soon"}, ACCOUNT).retry_after is None


@pytest.mark.parametrize("status", [400, 409, 422, 500])
def test_what_the_server_says_about_a_secret_is_never_passed_on(status):
    message = "Secret in version v1 cannot be handled: hunter2"
    body = a_status(status, "Invalid", message, [{"message": "hunter2"}])

    fault = judged(status, body, {}, SECRET)

    assert "hunter2" not in repr(fault.error)
    assert "hunter2" not in str(fault)


@pytest.mark.parametrize("status", [400, 403])
def test_a_webhooks_words_about_a_secret_are_not_passed_on_but_its_name_is(status):
    message = 'admission webhook "deny.example.com" denied the request: hunter2'

    fault = judged(status, a_status(status, "Forbidden", message, name="docker"), {}, SECRET)

    assert "deny.example.com" in fault.error.detail
    assert "hunter2" not in fault.error.detail


def test_long_or_unprintable_words_are_cut_and_cleaned():
    body = a_status(418, "", "\x1b[31m" + "x" * 5000)

    detail = judged(418, body, {}, ACCOUNT).error.detail

    assert len(detail) < 400
    assert detail.isprintable()


def connection_key():
    return aiohttp.client_reqrep.ConnectionKey("h", 443, True, True, None, None, None)


TRANSPORT = {
    "certificate": (
        aiohttp.ClientConnectorCertificateError(
            connection_key(), ssl.SSLCertVerificationError("bad")
        ),
        (ErrorCode.UNREACHABLE, Retry.NO),
    ),
    "no TLS": (
        aiohttp.ClientConnectorSSLError(connection_key(), ssl.SSLError(1, "record layer")),
        (ErrorCode.UNREACHABLE, Retry.NO),
    ),
    "dns": (
        aiohttp.ClientConnectorDNSError(connection_key(), OSError(-2, "unknown")),
        (ErrorCode.UNREACHABLE, Retry.SAFE),
    ),
    "refused": (
        aiohttp.ClientConnectorError(connection_key(), ConnectionRefusedError(111, "refused")),
        (ErrorCode.UNREACHABLE, Retry.SAFE),
    ),
    "no connection in time": (aiohttp.ConnectionTimeoutError(), (ErrorCode.TIMEOUT, Retry.SAFE)),
    "no answer in time": (TimeoutError(), (ErrorCode.TIMEOUT, Retry.READ_FIRST)),
    "slow body": (aiohttp.SocketTimeoutError(), (ErrorCode.TIMEOUT, Retry.READ_FIRST)),
    "cut off": (aiohttp.ServerDisconnectedError(), (ErrorCode.UNREACHABLE, Retry.READ_FIRST)),
    "half an answer": (aiohttp.ClientPayloadError(), (ErrorCode.UNREACHABLE, Retry.READ_FIRST)),
    "cannot write": (aiohttp.ClientOSError(32, "pipe"), (ErrorCode.UNREACHABLE, Retry.READ_FIRST)),
}


@pytest.mark.parametrize(("error", "expected"), TRANSPORT.values(), ids=TRANSPORT)
def test_every_break_of_the_connection_has_its_code_and_its_retry(error, expected):
    fault = transport_fault(error, ACCOUNT)

    assert (fault.error.code, fault.retry) == expected


@pytest.mark.parametrize("provider", MANAGED)
def test_where_the_provider_manages_the_namespace_no_role_is_asked_for(provider):
    body = a_status(403, "Forbidden", MANAGED[provider], name="docker", kind="secrets")

    hint = judged(403, body, {}, SECRET).error.hint

    assert hint.startswith(f"{provider.strip()} manages this namespace")
    assert "`ignore`" in hint


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ('no endpoints available for service "policy"', "service 'policy' has no endpoints"),
        ('service "policy" not found', "service 'policy' is not there"),
        ("dial tcp 10.0.0.1:443: connect: connection refused", "the connection is refused"),
        ("dial tcp: lookup policy: no such host", "its host name is not known"),
        ("context deadline exceeded", "no answer in time"),
        ("tls: failed to verify certificate: x509: expired", "its certificate is not trusted"),
        ('an error on the server ("hunter2") has prevented the request', ""),
    ],
)
def test_a_webhook_that_cannot_be_called_is_named_with_the_reason_and_not_quoted(words, why):
    fault = judged(500, a_status(500, "InternalError", WEBHOOK_AWAY + words), {}, SECRET)

    about = ", ".join(filter(None, ("at policy.policy.svc:443", why)))
    assert fault.error.detail == (
        f"admission webhook 'validate.policy.example.com' cannot be called ({about})"
    )
    assert fault.webhook == "validate.policy.example.com"
    assert fault.error.retryable
    assert "hunter2" not in repr(fault.error)


def test_a_quota_is_named_with_what_it_counted():
    counted = "requested: count/secrets=1, used: count/secrets=2, limited: count/secrets=2"
    message = f'secrets "docker" is forbidden: exceeded quota: tight, {counted}'

    error = judged(403, a_status(403, "Forbidden", message, name="docker"), {}, SECRET).error

    assert error.detail == f"ResourceQuota 'tight' leaves no room for the Secret ({counted})"
    assert "'tight'" in error.hint


def test_what_cannot_be_decrypted_is_named_by_its_key():
    message = (
        'Internal error occurred: unable to transform key "/registry/secrets/old/broken": '
        "identity transformer tried to read encrypted data"
    )

    error = judged(500, a_status(500, "InternalError", message), {}, Call("list", "secrets")).error

    assert "/registry/secrets/old/broken" in error.detail
    assert "encryption configuration" in error.hint


@pytest.mark.parametrize(
    ("why", "expected", "words"),
    [
        (
            'failed to list *core.Pod: unable to transform key "/registry/pods/a/b": no key',
            (ErrorCode.INTERNAL, Retry.NO),
            "/registry/pods/a/b",
        ),
        ("something else", (ErrorCode.INTERNAL, Retry.LATER), "cache of pods"),
    ],
)
def test_a_cache_that_cannot_be_filled_is_no_overload(why, expected, words):
    """Seen on Kubernetes 1.36: lists with selectors are answered so as long as one object of the kind is unreadable."""
    body = a_status(429, "TooManyRequests", f"storage is (re)initializing: {why}")

    fault = judged(429, body, {"Retry-After": "1"}, Call("list", "pods"))

    assert (fault.error.code, fault.retry) == expected
    assert words in fault.error.detail


def test_a_list_that_ran_out_says_how_to_go_on():
    body = json.dumps({"reason": "Expired", "metadata": {"continue": "abc"}}).encode()

    assert judged(410, body, {}, Call("list", "secrets")).resume == "abc"


@pytest.mark.parametrize(
    "message",
    [
        "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
        "policy 'p' with binding 'b' denied request: no",
        'policy "p" denied request: no',
    ],
)
def test_a_policy_is_named_whichever_kind_it_is(message):
    body = a_status(422, "Invalid", f"is forbidden: {message}", [{"message": "no"}])

    assert "admission policy 'p' refused it" in judged(422, body, {}, SECRET).error.detail
