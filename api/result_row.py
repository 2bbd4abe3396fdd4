"""A result row as callers see it."""

from typing import Any

from marshmallow import fields

from api.remediation_body import error_body
from api.remediation_schemas import ErrorSchema
from api.schemas import NEXT_CURSOR, Answer, maybe_text, number, one_of, text, texts
from remediation.caution import CautionCode
from remediation.kind import Kind
from remediation.outcome import Outcome, SecretAction
from store.records import Remediation, Row


def row_body(row: Row, remediation: Remediation) -> dict[str, Any]:
    """Return the members of a row of a remediation."""
    result = row.result
    accounts = result.accounts
    return {
        "kind": remediation.kind,
        "cluster": row.cluster,
        "namespace": result.namespace,
        "outcome": result.outcome,
        "reason": result.reason,
        "secret": {"name": remediation.request.secret_name, "action": result.secret_action},
        "service_accounts": {
            "total": accounts.total,
            "changed": accounts.changed,
            "unchanged": accounts.unchanged,
            "ignored": accounts.ignored,
            "failed": accounts.failed,
        },
        "changed_service_accounts": list(result.changed_accounts),
        "attempts": result.attempts,
        "duration_ms": result.duration_ms,
        "error": error_body(result.error),
        "warnings": [
            {
                "code": caution.code,
                "object": caution.object,
                "detail": caution.detail,
                "hint": caution.hint,
            }
            for caution in result.cautions
        ],
    }


class SecretSchema(Answer):
    """The pull Secret."""

    name = text()
    action = one_of(SecretAction, "What was done; in a dry run, what would be.")


class RowAccountsSchema(Answer):
    """The ServiceAccounts of the namespace."""

    total = number()
    changed = number()
    unchanged = number()
    ignored = number()
    failed = number()


class RowWarningSchema(Answer):
    """Something to know about an object that was, or in a dry run would be, written or left."""

    code = one_of(
        CautionCode,
        "`drift`: the tool that manages the object writes its own value again, without the Secret's name or login. "
        "`drift_possible`: it may do so. For the others see docs/errors.md.",
    )
    object = text("kind/namespace/name")
    detail = text()
    hint = text("What to do about it.")


class ResultRowSchema(Answer):
    """What came of one namespace."""

    kind = one_of(Kind, "Of the remediation: an undo takes back what another one wrote.")
    cluster = text()
    namespace = text()
    outcome = one_of(Outcome)
    reason = maybe_text("Why it was ignored or skipped, or why something was left as it is.")
    secret = fields.Nested(SecretSchema, required=True)
    service_accounts = fields.Nested(RowAccountsSchema, required=True)
    changed_service_accounts = texts("Those that carry the Secret's name now and did not before.")
    attempts = number("Requests of the hardest write; 1 is at the first try.")
    duration_ms = number()
    error = fields.Nested(ErrorSchema, required=True, allow_none=True)
    warnings = fields.List(fields.Nested(RowWarningSchema), required=True)


class ResultPageSchema(Answer):
    """One page of rows."""

    items = fields.List(fields.Nested(ResultRowSchema), required=True)
    next_cursor = fields.String(metadata={"description": NEXT_CURSOR})
