"""Every error as `application/problem+json`."""

import logging
from typing import Any

import orjson
from flask import Blueprint, Flask, Response, current_app, g, request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from api.access import public
from api.envelope import request_id
from api.problems import PROBLEM_TYPES, SLUG_BY_STATUS, Problem
from api.services import services
from store.connection import StoreUnavailable
from store.trouble import trouble_of

CONTENT_TYPE = "application/problem+json"
_RETRY_SECONDS = 2
_DETAILS = {
    "internal": "The service failed; its log holds the reason under the request id.",
    "payload-too-large": "A body holds at most 256 KiB.",
    "unsupported-media-type": "Send the body as JSON, with 'Content-Type: application/json'.",
    "malformed-request": "The body is not valid JSON.",
}

log = logging.getLogger(__name__)
blueprint = Blueprint("problems", __name__)


def register(app: Flask) -> None:
    """Answer every error of the application with a problem."""
    app.register_error_handler(Problem, problem_answer)
    app.register_error_handler(StoreUnavailable, _store_unavailable)
    app.register_error_handler(HTTPException, http_answer)
    app.register_error_handler(ParseException, _unreadable_body)
    app.register_blueprint(blueprint)


@blueprint.get("/problems/<slug>")
@public
def explain(slug: str) -> Response:
    """Explain a kind of problem in plain text."""
    kind = PROBLEM_TYPES.get(slug)
    if kind is None:
        raise Problem("not-found", f"There is no problem type '{slug}'.")
    text = f"{kind.title} ({kind.status} {kind.slug})\n\n{kind.explanation}\n"
    return Response(text, mimetype="text/plain")


def problem_answer(problem: Problem) -> Response:
    """Return the answer to a problem that one of our modules raised."""
    kind = problem.kind
    members = _members(kind.slug, kind.title, kind.status, problem.detail)
    if problem.errors:
        members["errors"] = [finding.to_member() for finding in problem.errors]
    return _answer(members, dict(problem.headers))


def http_answer(error: HTTPException) -> Response:
    """Return the answer to an error that the framework raised, with its headers (Allow) kept."""
    if error.response is not None or error.code is None or error.code < 400:
        return current_app.make_response(error)
    headers = {k: v for k, v in error.get_headers() if k not in ("Content-Type", "Content-Length")}
    slug = SLUG_BY_STATUS.get(error.code)
    if slug is None:
        return _answer(_members(None, error.name, error.code, error.name + "."), headers)
    kind = PROBLEM_TYPES[slug]
    return _answer(_members(slug, kind.title, error.code, _detail(slug, error)), headers)


def _store_unavailable(error: Exception) -> Response:
    log.warning(
        "Redis %s: %s",
        trouble_of(error).text,
        error,
        extra={"fields": {"request_id": request_id()}},
    )
    return problem_answer(
        Problem(
            "queue-unavailable",
            f"Redis {trouble_of(error).text}. Try again after the time in Retry-After, a POST under the same "
            "Idempotency-Key.",
            headers={"Retry-After": str(_RETRY_SECONDS)},
        )
    )


def _unreadable_body(_: Exception) -> Response:
    """Answer a body that cannot be told apart into its chunks; nothing of it is repeated, here or in the log."""
    return problem_answer(
        Problem(
            "malformed-request", "The body does not come in the chunks that its header announces."
        )
    )


def _detail(slug: str, error: HTTPException) -> str:
    if isinstance(error, MethodNotAllowed):
        return f"{request.method} is not possible here. Possible: {', '.join(sorted(error.valid_methods or ()))}."
    if isinstance(error, NotFound):
        return f"There is nothing at {request.path}; GET / says what there is, the reference is /api/v1/docs."
    return _DETAILS.get(slug, error.name + ".")


def _members(slug: str | None, title: str, status: int, detail: str) -> dict[str, Any]:
    return {
        "type": services().settings.url(f"/problems/{slug}") if slug else "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": request.path,
        "code": slug or title.lower().replace(" ", "-"),
        "request_id": request_id(),
    }


def _answer(members: dict[str, Any], headers: dict[str, str]) -> Response:
    response = current_app.response_class(
        orjson.dumps(members, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE),
        status=members["status"],
        content_type=CONTENT_TYPE,
    )
    response.headers.update(headers)
    g.problem = members["code"]  # for the audit trail
    return response
