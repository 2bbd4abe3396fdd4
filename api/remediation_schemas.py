"""The shape of a remediation, for the reference."""

from marshmallow import fields, validate

from api.schemas import (
    NEXT_CURSOR,
    Answer,
    flag,
    maybe_text,
    number,
    one_of,
    text,
    texts,
    time,
)
from remediation.approval import ApprovalState
from remediation.kind import Kind
from remediation.outcome import ErrorCode
from remediation.readiness.verdict import Verdict as Readiness
from remediation.registry.verdict import LoginAnswer, Verdict
from remediation.request import OnConflict, RegistryCheck
from remediation.status import RemediationStatus, RunStatus


class ErrorSchema(Answer):
    """Why something failed."""

    code = one_of(ErrorCode, "For programs.")
    detail = text("What happened.")
    hint = text("What to do next; may be empty.")
    retryable = flag("Whether the same request may succeed later without a change by hand.")
    http_status = fields.Integer(required=True, allow_none=True)
    object = maybe_text("Which object: kind/namespace/name.")


class NamespaceCountsSchema(Answer):
    """Namespaces; at the end `total` = `done` = the sum of the others."""

    total = number("Known after the observation.")
    done = number("Those with a result row.")
    changed = number()
    unchanged = number()
    would_change = number("Dry run only.")
    ignored = number("By the request or by the annotation.")
    skipped = number("They are going away.")
    failed = number()
    cancelled = number()


class AccountCountsSchema(Answer):
    """ServiceAccounts."""

    total = number()
    changed = number()
    unchanged = number()
    failed = number()


class SecretCountsSchema(Answer):
    """Secrets."""

    created = number()
    updated = number("Merged and replaced ones too.")
    merged = number("Of those updated: another login was kept in them.")
    replaced = number("Of those updated: their content was replaced.")
    unchanged = number()
    failed = number()
    deleted = number("Undo only.")


class SummarySchema(Answer):
    """Sums over result rows."""

    namespaces = fields.Nested(NamespaceCountsSchema, required=True)
    service_accounts = fields.Nested(AccountCountsSchema, required=True)
    secrets = fields.Nested(SecretCountsSchema, required=True)


class RegistryReportSchema(Answer):
    """What one registry said of the credential: the least favourable answer of its repositories."""

    registry = text("`host[:port]`")
    verdict = one_of(Verdict, "See docs/registry-check.md.")
    detail = text("What happened.")
    hint = text("What to do next; may be empty.")
    repository = maybe_text("The repository it is about; none if only the login was asked about.")
    repositories = number("How many repositories in use were asked for.")
    not_asked = number("How many more are in use, beyond the bound; the detail names the first.")
    login = one_of(LoginAnswer, "What the registry says of the login itself.")
    via_shadow = flag("Whether its shadow was asked: the registry as it will be.")


class RegistryCheckSchema(RegistryReportSchema):
    """The proof of the credential: the least favourable report, and all of them."""

    checked_at = text(format="date-time")
    registries = fields.List(fields.Nested(RegistryReportSchema), required=True)


class RunSchema(Answer):
    """The remediation on one cluster."""

    name = text("The cluster.")
    status = one_of(RunStatus)
    attempt = number("How often a worker took it up.")
    started_at = time()
    finished_at = time()
    summary = fields.Nested(SummarySchema, required=True)
    error = fields.Nested(ErrorSchema, required=True, allow_none=True)
    reason = maybe_text("Why it waits, or why it never began.")
    registry_check = fields.Nested(
        RegistryCheckSchema,
        required=True,
        allow_none=True,
        metadata={"description": "None if no registry was asked: skipped, or nothing to write."},
    )
    credential_fingerprint = maybe_text(
        "Of the credential that was used, as `GET /credentials` shows it. Null before, and where workers have no "
        "sealing key."
    )


class StoredLoginSchema(Answer):
    """A login that came in the request, without its password."""

    registry = text()
    username = text()


class StoredRequestSchema(Answer):
    """The request with its defaults."""

    clusters = texts()
    namespaces = texts()
    ignore = texts()
    namespace_selector = maybe_text()
    service_accounts = texts()
    ignore_service_accounts = texts()
    credential = maybe_text("The name of a credential that workers hold.")
    inline_credential = fields.Nested(
        StoredLoginSchema,
        required=True,
        allow_none=True,
        metadata={"description": "What is kept of a login that came in the request."},
    )
    secret_name = text()
    on_conflict = one_of(OnConflict)
    dry_run = flag()
    readiness = flag()
    registry_check = one_of(RegistryCheck)
    timeout_seconds = number()
    reason = maybe_text()
    labels = fields.Dict(keys=fields.String(), values=fields.String(), required=True)


class ApprovalSchema(Answer):
    """A second person's decision; a remediation of protected clusters begins only when it is approved."""

    required = flag()
    state = one_of(ApprovalState)
    digest = text("Names exactly what would be done; a decision has to send it back.")
    expires_at = text("When it ends as cancelled, unless it was decided.", format="date-time")
    requested_by = text("Who may not decide.")
    decided_by = maybe_text()
    decided_at = time()
    comment = maybe_text()


class WarningSchema(Answer):
    """Something that is probably not meant."""

    code = text(
        "`namespace_not_found`: a namespace, or a pattern of namespaces, matches none in any selected cluster. "
        "`namespace_selector_not_matched`: no namespace of the request has such labels. "
        "`service_account_not_found`: a pattern of ServiceAccounts matches none in the selected namespaces. "
        "`credential_short_lived`: a login of the credential ends by itself. "
        "`insecure_cluster`: the certificate of the API server is not verified. "
        "`same_api_server`: other names that a glob matched are the same API server, and got no run of their own. "
        "`secrets_kept`: Secrets that the undone remediation updated stay as they are. "
        "Others sum up the warnings of the rows: see there."
    )
    name = text(
        "The entry of the request, the cluster, the credential, the remediation that is undone, or who the warning is "
        "about."
    )
    names = texts(
        "All that it is about: more than 5 of a kind are one warning, with the first of them as `name`."
    )
    detail = text()


class FollowUpCheckSchema(Answer):
    """The readiness check that followed by itself."""

    check_id = text("See `GET /readiness-checks/{check_id}`.")
    verdict = fields.String(
        required=True,
        allow_none=True,
        validate=validate.OneOf([str(word) for word in Readiness]),
        metadata={"description": "Null as long as it has not ended."},
    )


class LinksSchema(Answer):
    """Where to go on."""

    self = text(format="uri-reference")
    results = text(format="uri-reference")
    readiness = fields.String(
        metadata={"format": "uri-reference", "description": "If there is one."}
    )


class RemediationSchema(Answer):
    """A request and its outcome."""

    id = text("`rem_` and a ULID.")
    kind = one_of(
        Kind,
        "What it does: the request as it came, a retry of one, or an undo (also the retry of an undo).",
    )
    status = one_of(RemediationStatus)
    terminal = flag("Whether it has ended for good.")
    dry_run = flag()
    created_at = text(format="date-time")
    started_at = time()
    finished_at = time()
    requested_by = text("The subject of the API key.")
    reason = maybe_text()
    labels = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    request = fields.Nested(StoredRequestSchema, required=True)
    summary = fields.Nested(SummarySchema, required=True)
    clusters = fields.List(fields.Nested(RunSchema), required=True)
    readiness = fields.Nested(
        FollowUpCheckSchema,
        required=True,
        allow_none=True,
        metadata={"description": "Null until the remediation has ended, and where none follows."},
    )
    approval = fields.Nested(
        ApprovalSchema,
        required=True,
        allow_none=True,
        metadata={"description": "null where no second person is needed."},
    )
    warnings = fields.List(fields.Nested(WarningSchema), required=True)
    retry_of = maybe_text("The remediation that this one repeats.")
    undo_of = maybe_text("The remediation that this one takes back.")
    links = fields.Nested(LinksSchema, required=True)


class RemediationPageSchema(Answer):
    """One page, newest first."""

    items = fields.List(fields.Nested(RemediationSchema), required=True)
    next_cursor = fields.String(metadata={"description": NEXT_CURSOR})
