"""The body of POST /remediations."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from marshmallow import ValidationError, fields, validate

from api.inline import inline_field, login_of
from api.schemas import Choice, Strict, StrictBoolean, checked
from remediation.label_selector import parse_selector
from remediation.patterns import (
    MAX_LENGTH,
    check_account_pattern,
    check_cluster_pattern,
    check_name_pattern,
)
from remediation.request import (
    DEFAULT_SECRET_NAME,
    DEFAULT_TIMEOUT_SECONDS,
    OnConflict,
    RegistryCheck,
    RemediationRequest,
)

MAX_ENTRIES = 1000
_MAX_LABELS = 20
_MAX_LABEL_KEY = 63
_MAX_LABEL_VALUE = 200
_MAX_REASON = 500
_MAX_SELECTOR = 4096
_MAX_TIMEOUT_SECONDS = 24 * 3600
_NAME = r"[a-z0-9.*?-]+"
_LABEL = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_CLUSTER_FORM = {"maxLength": MAX_LENGTH}
_NAME_FORM = {"maxLength": MAX_LENGTH, "pattern": f"^{_NAME}$"}
_ACCOUNT_FORM = {"maxLength": 2 * MAX_LENGTH + 1, "pattern": f"^({_NAME}/)?{_NAME}$"}


def _length(most: int) -> validate.Length:
    return validate.Length(1, most, error="must have {min} to {max} characters")


def _printable(value: str) -> None:
    if not value.isprintable():
        raise ValidationError("must not hold line breaks or control characters")


def _few_labels(value: Mapping[str, str]) -> None:
    if len(value) > _MAX_LABELS:
        raise ValidationError(f"must hold at most {_MAX_LABELS} labels")


def _secret_name(value: str) -> None:
    if value and not re.fullmatch(_SUBDOMAIN, value):
        raise ValidationError(
            "must be the name of a Secret: lower-case letters, digits, '-' and '.', with a letter or digit at both ends"
        )


def _entries(
    check: Callable[[str], str], form: Mapping[str, Any], description: str, **options: Any
) -> fields.List[Any]:
    """Return a list of patterns; `form` says for the reference what `check` accepts."""
    return fields.List(
        fields.String(validate=checked(check), metadata={"minLength": 1, **form}),
        validate=validate.Length(
            1, MAX_ENTRIES, error='must hold {min} to {max} entries; "*" stands for all'
        ),
        metadata={"description": description},
        **options,
    )


def timeout_field(**options: Any) -> fields.Integer:
    """Return the field of a deadline."""
    return fields.Integer(
        strict=True,
        validate=validate.Range(1, _MAX_TIMEOUT_SECONDS, error="must be in {min}..{max}"),
        metadata={"description": "Deadline of the whole remediation."},
        **options,
    )


def reason_field(**options: Any) -> fields.String:
    """Return the field of a reason."""
    return fields.String(
        validate=[_length(_MAX_REASON), _printable],
        metadata={"description": "Why; kept in the record."},
        **options,
    )


class RemediationRequestSchema(Strict):
    """What is to be done, and where."""

    clusters = _entries(
        check_cluster_pattern,
        _CLUSTER_FORM,
        "Names or globs of clusters; `*` means every known cluster.",
        required=True,
    )
    namespaces = _entries(
        check_name_pattern, _NAME_FORM, "Names or globs of namespaces.", load_default=["*"]
    )
    ignore = _entries(
        check_name_pattern,
        _NAME_FORM,
        "Names or globs of namespaces to leave alone; they always win.",
    )
    namespace_selector = fields.String(
        validate=[
            validate.Length(max=_MAX_SELECTOR, error="must have at most {max} characters"),
            checked(parse_selector),
        ],
        metadata={
            "minLength": 1,
            "description": "A Kubernetes label selector.",
            "example": "team in (a,b),!legacy",
        },
    )
    service_accounts = _entries(
        check_account_pattern,
        _ACCOUNT_FORM,
        "`name` or `namespace/name`, globs.",
        load_default=["*"],
    )
    ignore_service_accounts = _entries(
        check_account_pattern,
        _ACCOUNT_FORM,
        "`name` or `namespace/name`, globs; they always win.",
    )
    credential = fields.String(
        validate=[_length(MAX_LENGTH), _printable],
        metadata={"description": "Name of a credential that workers hold: see `GET /credentials`."},
    )
    inline_credential = inline_field(
        "A login of your own, instead of `credential`. Refused where the service has no key to seal it with."
    )
    secret_name = fields.String(
        load_default=DEFAULT_SECRET_NAME,
        validate=[_length(MAX_LENGTH), _secret_name],
        metadata={"description": "Name of the Secret.", "pattern": f"^{_SUBDOMAIN}$"},
    )
    on_conflict = Choice(
        OnConflict,
        load_default=OnConflict.FAIL,
        metadata={
            "description": "What to do with somebody else's Secret of that name.",
            "type": "string",
        },
    )
    dry_run = StrictBoolean(
        load_default=False, metadata={"description": "Judge everything, write nothing."}
    )
    registry_check = Choice(
        RegistryCheck,
        load_default=RegistryCheck.REQUIRE,
        metadata={
            "description": "Prove the credential at its registry before the first write: `require` writes nothing "
            "without, `warn` shows what was found, `skip` does not ask.",
            "type": "string",
        },
    )
    readiness = StrictBoolean(
        load_default=True,
        metadata={
            "description": "Whether a readiness check follows, over the same namespaces and the credential's "
            "registries. None follows a dry run or an undo."
        },
    )
    timeout_seconds = timeout_field(load_default=DEFAULT_TIMEOUT_SECONDS)
    reason = reason_field()
    labels = fields.Dict(
        keys=fields.String(validate=[_length(_MAX_LABEL_KEY), _printable]),
        values=fields.String(validate=[_length(_MAX_LABEL_VALUE), _printable]),
        validate=_few_labels,
        metadata={
            "description": "For finding it again; kept in the record.",
            "maxProperties": _MAX_LABELS,
        },
    )


EXAMPLES: Mapping[str, Any] = {
    "everywhere": {
        "summary": "All clusters, all namespaces",
        "value": {"clusters": ["*"], "credential": "internal-registry"},
    },
    "dry run": {
        "summary": "What would be done on the staging clusters",
        "value": {
            "clusters": ["eu-stage-*"],
            "ignore": ["kube-system", "sandbox-*"],
            "credential": "internal-registry",
            "dry_run": True,
            "reason": "before the registry goes private",
            "labels": {"change": "CHG-1881"},
        },
    },
    "own login": {
        "summary": "With a login that workers do not hold",
        "value": {
            "clusters": ["*"],
            "inline_credential": {
                "registry": "registry.example.com",
                "username": "robot",
                "password": "correct-horse",
            },
        },
    },
}


def to_request(body: Mapping[str, Any]) -> RemediationRequest:
    """Return the request of a body that is right."""
    login = login_of(body)
    return RemediationRequest(
        clusters=tuple(body["clusters"]),
        credential=body.get("credential"),
        inline_credential=login.recorded if login else None,
        namespaces=tuple(body["namespaces"]),
        ignore=tuple(body.get("ignore", ())),
        namespace_selector=body.get("namespace_selector"),
        service_accounts=tuple(body["service_accounts"]),
        ignore_service_accounts=tuple(body.get("ignore_service_accounts", ())),
        secret_name=body["secret_name"],
        on_conflict=body["on_conflict"],
        dry_run=body["dry_run"],
        readiness=body["readiness"],
        registry_check=body["registry_check"],
        timeout_seconds=body["timeout_seconds"],
        reason=body.get("reason"),
        labels=body.get("labels", {}),
    )
