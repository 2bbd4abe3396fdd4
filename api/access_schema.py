"""What may stand in the access file, member by member."""

import re
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlsplit

from marshmallow import ValidationError, fields, validate, validates_schema

from api.schemas import Strict
from remediation.patterns import (
    PatternError,
    check_cluster_pattern,
    check_name_pattern,
    is_literal,
)
from remediation.permission import Role

NEVER = "never"
ALGORITHMS = (
    *(f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512)),
    "EdDSA",
)
KINDS = ("client", "user", "group", "serviceaccount")
MAX_NAME = 200
_LOOPBACK = re.compile(r"localhost|127\.\d+\.\d+\.\d+|::1")


class _Word(fields.String):
    """A string that YAML may have taken for a number."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        plain = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        return super()._deserialize(plain, *args, **kwargs)


class _Expiry(fields.Field[datetime | None]):
    """A time, which without a zone is UTC; None for `never`."""

    default_error_messages = {  # noqa: RUF012
        "invalid": f"must be a time like 2027-01-31T12:00:00Z, or '{NEVER}'"
    }

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> datetime | None:
        if value == NEVER:
            return None
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day)
        try:
            moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        except ValueError:
            raise self.make_error("invalid") from None
        return moment.replace(tzinfo=moment.tzinfo or UTC)


def _name(value: str) -> None:
    if not 0 < len(value) <= MAX_NAME or not value.isprintable() or value != value.strip():
        raise ValidationError(
            f"must have 1 to {MAX_NAME} characters, no control characters, no space at the ends"
        )


def _client(value: str) -> None:
    _name(value)
    kind, colon, name = value.partition(":")
    if colon and kind in KINDS and (kind != "client" or not name):
        raise ValidationError("must be the plain name of a client: a key is for a client only")


def _owner(value: str) -> None:
    _name(value)
    kind, _, name = value.partition(":")
    if kind != "user" or not name:
        raise ValidationError("must have the form user:NAME, as bindings call a person")


def _subject(value: str) -> None:
    _name(value)
    if value != "*" and (value.partition(":")[0] not in KINDS or not value.partition(":")[2]):
        raise ValidationError(
            f"must begin with {', '.join(f'{kind}:' for kind in KINDS)} followed by a name, or be '*'"
        )
    kind, _, name = value.partition(":")
    if kind == "serviceaccount" and is_literal(name) and name.count("/") != 1:
        raise ValidationError("must have the form serviceaccount:NAMESPACE/NAME")


def _cluster(value: str) -> None:
    _pattern(check_cluster_pattern, value)


def _kubernetes_name(value: str) -> None:
    _pattern(check_name_pattern, value)


def _pattern(check: Any, value: str) -> None:
    try:
        check(value)
    except PatternError as error:
        raise ValidationError(str(error)) from None


def _url(value: str) -> None:
    try:
        parts = urlsplit(value)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValidationError("is no address") from None
    local = parts.scheme == "http" and _LOOPBACK.fullmatch(host)
    if not host or port == 0 or not (parts.scheme == "https" or local):
        raise ValidationError("must be https:// with a host (http:// on this machine only)")
    if "@" in parts.netloc or parts.fragment or not value.isprintable():
        raise ValidationError("must have no user, no fragment and no control characters")


def _list(check: Any, what: str = "entry", **options: Any) -> fields.List[Any]:
    return fields.List(
        fields.String(validate=check),
        validate=validate.Length(1, error=f"must hold at least one {what}"),
        **options,
    )


class KeySchema(Strict):
    """An API key without its secret."""

    id = _Word(
        required=True,
        validate=validate.Regexp(
            r"[a-z2-7]{8}\Z", error="must be the 8 characters after 'rmd_' in the key"
        ),
    )
    subject = _Word(required=True, validate=_client)
    sha256 = _Word(
        required=True,
        validate=validate.Regexp(r"[0-9A-Fa-f]{64}\Z", error="must be 64 hexadecimal digits"),
    )
    expires_at = _Expiry(required=True)
    groups = _list(_name, "group", load_default=[])
    owner = fields.String(validate=_owner, load_default=None)


class OidcSchema(Strict):
    """Whose JSON Web Tokens are taken, and how they are checked."""

    issuer = fields.String(required=True, validate=_name)
    audience = fields.String(required=True, validate=_name)
    algorithms = fields.List(
        fields.String(
            validate=validate.OneOf(ALGORITHMS, error="must be one of {choices}"),
        ),
        validate=validate.Length(1, error="must hold at least one algorithm"),
        load_default=["RS256"],
    )
    jwks_url = fields.String(validate=_url)
    jwks_file = fields.String(validate=_name)
    ca_file = fields.String(validate=_name)
    subject_claim = fields.String(validate=_name, load_default="sub")
    groups_claim = fields.String(validate=_name)

    @validates_schema
    def _one_source(self, data: dict[str, Any], **_: Any) -> None:
        if ("jwks_url" in data) == ("jwks_file" in data):
            raise ValidationError("must have either 'jwks_url' or 'jwks_file'")
        if "ca_file" in data and "jwks_url" not in data:
            raise ValidationError("'ca_file' goes with 'jwks_url' only", "ca_file")


class KubernetesSchema(Strict):
    """The cluster that is asked whose a ServiceAccount token is."""

    audience = fields.String(required=True, validate=_name)
    server = fields.String(validate=_url, load_default="https://kubernetes.default.svc")
    ca_file = fields.String(
        validate=_name, load_default="/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
    )
    token_file = fields.String(
        validate=_name, load_default="/var/run/secrets/kubernetes.io/serviceaccount/token"
    )


class BindingSchema(Strict):
    """A role for some subjects, and where it counts. Nothing is left to a default: `*` has to be written."""

    subjects = _list(_subject, "subject", required=True)
    role = fields.Enum(
        Role,
        by_value=fields.String,
        required=True,
        error_messages={"unknown": "must be one of {choices}"},
    )
    clusters = _list(_cluster, "name or glob", required=True)
    namespaces = _list(_kubernetes_name, "name or glob", required=True)
    credentials = _list(_name, "name or glob", required=True)


class AccessSchema(Strict):
    """The whole file. Limits, protected clusters and approvals are read by `guard_rails`."""

    keys = fields.List(fields.Nested(KeySchema), load_default=[])
    oidc = fields.Nested(OidcSchema)
    kubernetes = fields.Nested(KubernetesSchema)
    bindings = fields.List(fields.Nested(BindingSchema), load_default=[])
    limits = fields.Raw()
    protected_clusters = fields.Raw()
    approval_minutes = fields.Raw()
