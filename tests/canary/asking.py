"""Requests of the story, and waiting for what they lead to."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.canary.stage import Stage
from tests.e2e.service import Outcome

PATIENCE_SECONDS = 120.0


def eventually(claim: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not claim():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def at(stage: Stage, **more: Any) -> dict[str, Any]:
    """Return a request for the namespaces of the story on the first cluster, whose credential has to be proven."""
    return {"clusters": ["alpha"], "namespaces": [stage.space.pattern], **more}


def inline(stage: Stage, name: str, **more: Any) -> dict[str, Any]:
    """Return such a request with a login of one's own."""
    return at(stage, inline_credential=stage.canaries[name].login(stage.registry), **more)


def post(stage: Stage, body: dict[str, Any], path: str = "", **more: Any) -> str:
    """Send what is accepted; return the id."""
    answer = stage.ask("POST", f"/remediations{path}", json=body, **more)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def done(stage: Stage, body: dict[str, Any], path: str = "") -> Outcome:
    """Send it and wait for its end."""
    return stage.service.wait(post(stage, body, path))
