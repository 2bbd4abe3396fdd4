"""The Flask application, wired by hand."""

import logging
from types import TracebackType

from flask import Flask, request

from api import (
    approval,
    audit,
    audit_events,
    cancellation,
    check_findings,
    check_gate,
    check_list,
    checks,
    docs,
    envelope,
    errors,
    health,
    inventory,
    pause,
    remediation_create,
    remediation_list,
    remediations,
    results,
    retry,
    system,
    undo,
)
from api.access_reload import Access
from api.audit import access_loaded
from api.failures import Failures
from api.publication import Publication
from api.services import Services, provide
from api.settings import Settings
from api.spec import Api, Group
from api.strangers import Strangers
from api.waiting import Waits
from store.patience import Patience
from store.store import Store

MAX_BODY_BYTES = 256 * 1024

log = logging.getLogger(__name__)


class Application(Flask):
    """Flask, logging an unexpected error with the request id that its answer carries."""

    def log_exception(
        self,
        exc_info: tuple[type, BaseException, TracebackType] | tuple[None, None, None],
    ) -> None:
        """Log the exception that is being handled."""
        fields = {"request_id": envelope.request_id()}
        log.error(
            "%s %s failed",
            request.method,
            request.path,
            exc_info=exc_info,
            extra={"fields": fields},
        )


def create_app(settings: Settings, store: Store) -> Flask:
    """Make the application. Nothing is read and nothing is sent until a request comes."""
    app = Application(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.url_map.merge_slashes = (
        False  # a path with two slashes is none of ours, and no redirect to one
    )
    access = Access(
        settings.access_file,
        lambda outcome, reason: store.audit.record(access_loaded(outcome, reason)),
    )
    publication = Publication(access, store.policies)
    failures = Failures(store.quotas, settings.failures_per_minute)
    provide(app, Services(settings, store, access, Waits(), publication, Strangers(), failures))
    _bound_waits(app, store.patience)
    envelope.register(app)
    audit.register(app)
    api = Api(app, settings.public_url or "/")
    errors.register(app)
    for group in _groups():
        api.register_blueprint(group)
    for plain in (docs, health):
        app.register_blueprint(plain.blueprint)
    return app


def _bound_waits(app: Flask, patience: Patience) -> None:
    """Have each request wait for a silent Redis once only."""

    @app.before_request
    def begin() -> None:
        patience.begin()

    @app.teardown_request
    def end(_: BaseException | None) -> None:
        patience.end()


def _groups() -> tuple[Group, ...]:
    return (
        Group(
            "remediations",
            "Requests and their outcome.",
            remediation_create.blueprint,
            remediations.blueprint,
            cancellation.blueprint,
            approval.blueprint,
            retry.blueprint,
            undo.blueprint,
            remediation_list.blueprint,
            results.blueprint,
        ),
        Group(
            "readiness",
            "Which pods would break if a registry went private.",
            checks.blueprint,
            check_list.blueprint,
            check_findings.blueprint,
            check_gate.blueprint,
        ),
        Group("inventory", "What can be named in a request.", inventory.blueprint),
        Group(
            "service",
            "How the service is, and who the caller is to it.",
            system.blueprint,
            pause.blueprint,
        ),
        Group("audit", "Who decided what, and what was written.", audit_events.blueprint),
    )
