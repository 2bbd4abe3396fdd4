"""Noting decisions in the audit trail: what was done, and what was refused to whom."""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, Response, current_app, g, request

from api.envelope import request_id
from api.services import services
from remediation.audit import Action, Entry, Verdict
from remediation.request import RemediationRequest
from store.audit import entry, write_line

View = TypeVar("View", bound=Callable[..., Any])

_FORBIDDEN = 403
_REFUSED = 400
_FAILED = 500
# Nobody knows whose call it was.
_OF_STRANGERS = ("unauthenticated", "too-many-failures", "identity-unavailable")


def audited(action: Action) -> Callable[[View], View]:
    """Declare what a view decides; its refusals are noted, what it did it says with `decided`."""

    def decorate(view: View) -> View:
        view.audits = action  # type: ignore[attr-defined]
        return view

    return decorate


def register(app: Flask) -> None:
    """Have the refusals of the application noted."""
    app.after_request(_note_refusal)


def decided(
    *, remediation_id: str | None = None, reason: str | None = None, **details: Any
) -> None:
    """Note that the present request was granted and done."""
    action = _action()
    if action is None:
        raise LookupError(f"{request.endpoint} does not say what it decides")
    more = {"remediation_id": remediation_id, "reason": reason, "details": details}
    services().audit.record(_entry(action, Verdict.DONE, **more))


def summary(wanted: RemediationRequest) -> dict[str, Any]:
    """Return what a request is about, for the details of an entry."""
    return {
        "clusters": list(wanted.clusters),
        "namespaces": list(wanted.namespaces),
        "ignore": list(wanted.ignore),
        "credential": wanted.credential,
        "secret_name": wanted.secret_name,
        "on_conflict": wanted.on_conflict,
        "dry_run": wanted.dry_run,
    }


def access_loaded(outcome: Verdict, reason: str) -> Entry:
    """Return the entry for a reading of the access file."""
    return entry(Action.LOAD_ACCESS, outcome, reason=reason)


def _note_refusal(response: Response) -> Response:
    status = response.status_code
    code = g.get("problem")
    if code in _OF_STRANGERS:
        outcome = Verdict.FAILED if status >= _FAILED else Verdict.REFUSED
        failed = _entry(Action.AUTHENTICATE, outcome, code=code, details=_place())
        if services().strangers.room():
            services().audit.record(failed)
        else:
            write_line(failed.text())
    elif status >= _REFUSED and (action := _action()):
        outcome = Verdict.FAILED if status >= _FAILED else Verdict.REFUSED
        services().audit.record(_entry(action, outcome, code=code, details=_place()))
    elif status == _FORBIDDEN:
        refused = _entry(Action.AUTHORIZE, Verdict.REFUSED, code=code, details=_place())
        services().audit.record(refused)
    return response


def _place() -> dict[str, Any]:
    return {"method": request.method, "path": request.path}


def _action() -> Action | None:
    view = current_app.view_functions.get(request.endpoint or "")
    return getattr(view, "audits", None)


def _entry(action: Action, outcome: Verdict, **more: Any) -> Entry:
    who = g.get("caller")
    return entry(
        action,
        outcome,
        subject=who.subject if who else None,
        key_id=who.key_id if who else None,
        address=request.remote_addr,
        request_id=request_id(),
        **{"remediation_id": (request.view_args or {}).get("remediation_id"), **_said(more)},
    )


def _said(more: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in more.items() if value is not None}
