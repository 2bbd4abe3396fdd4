"""The kubelet's own answers: a running `keyring` (controlplane/go/kubernetes/cmd/keyring)."""

import base64
import json
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remediation.docker_config import Login
from tests.remediation.readiness.cases import Case


@dataclass(frozen=True)
class Answer:
    """What the kubelet would try, as (number of the Secret, login); `error` is "image" or "secrets" if it gives up."""

    repository: str
    matches: tuple[tuple[int, Login], ...]
    error: str


def ask(keyring: Path, cases: Iterable[Case]) -> Iterator[Answer]:
    """Return the answers to some questions, in order."""
    lines = "".join(f"{json.dumps(_question(case))}\n" for case in cases)
    done = subprocess.run(
        [keyring], input=lines.encode(), capture_output=True, check=True, timeout=600
    )
    assert not done.stderr
    return (_answer(json.loads(line)) for line in done.stdout.splitlines())


def _question(case: Case) -> dict[str, Any]:
    return {
        "image": case.image,
        "secrets": [
            {
                "type": secret.type,
                "data": {key: base64.b64encode(data).decode() for key, data in secret.data.items()},
            }
            for secret in case.secrets
        ],
    }


def _answer(line: dict[str, Any]) -> Answer:
    matches = tuple(
        (match["secret"], Login(_text(match["username"]), _text(match["password"])))
        for match in line["matches"] or ()
    )
    return Answer(line.get("repository", ""), matches, line.get("error", ""))


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode(errors="surrogateescape")
