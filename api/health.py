"""Probes: is the process alive, and may it get requests?"""

from flask import Blueprint, Response, request

from api.access import public
from api.problems import Problem
from api.services import services
from store.connection import StoreUnavailable
from store.trouble import trouble_of

blueprint = Blueprint("health", __name__)

_RETRY_SECONDS = "2"
NOT_USED = (
    "the access file is broken: what was read before it broke counts; the API's log says where"
)


@blueprint.get("/livez")
@public
def livez() -> Response:
    """Say that the process answers; depends on nothing else."""
    return _text("ok\n")


@blueprint.get("/readyz")
@public
def readyz() -> Response:
    """Say whether requests can be served; with `?verbose`, why not. Never depends on any cluster."""
    lines, ready = _checks()
    if "verbose" in request.args:
        verdict = "readyz check passed" if ready else "readyz check failed"
        answer = _text("\n".join([*lines, verdict, ""]), 200 if ready else 503)
        if not ready:
            answer.headers["Retry-After"] = _RETRY_SECONDS
        return answer
    if not ready:
        raise Problem(
            "queue-unavailable",
            "Not ready: " + ", ".join(line for line in lines if line.startswith("[-]")),
            headers={"Retry-After": _RETRY_SECONDS},
        )
    return _text("ok\n")


def _checks() -> tuple[list[str], bool]:
    """Return a line for each check, and whether all that count have passed."""
    stopping = services().waits.stopping
    lines = ["[-]shutdown the process is about to end" if stopping else "[+]shutdown ok"]
    # No failure: callers that were let in before still are.
    broken = services().access.problem is not None
    lines.append(f"[+]access warning: {NOT_USED}" if broken else "[+]access ok")
    try:
        services().store.ping()
        redis = services().store.condition()
        paused = services().store.pause.current()
    except StoreUnavailable as error:
        return [*lines, f"[-]redis {trouble_of(error).text}"], False
    lines.append("[+]redis ok")
    # Warnings, not failures: without the API nobody would even see them.
    lines.append(_line("persistence", redis.persistence_warning))
    lines.append(_line("eviction", redis.eviction_warning))
    # Not why: whoever asks here has shown no key.
    lines.append(f"[+]pause warning: paused since {paused.since}" if paused else "[+]pause ok")
    return lines, not stopping


def _line(name: str, warning: str | None) -> str:
    return f"[+]{name} warning: {warning}" if warning else f"[+]{name} ok"


def _text(text: str, status: int = 200) -> Response:
    return Response(text, status=status, mimetype="text/plain")
