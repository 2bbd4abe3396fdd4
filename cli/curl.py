"""A request, written as the curl command that does the same."""

import json
import shlex
from urllib.parse import urlencode

from cli.request import BASE_PATH, Request

_ADD_PASSWORD = (
    r'. as $password | $body | .inline_credential.password = ($password | sub("\r?\n$"; ""))'
)
_AUTHORIZATION = '-H "Authorization: Bearer $REMEDIATOR_TOKEN"'


def as_curl(request: Request, url: str) -> str:
    """Return the command for a POSIX shell; the token stays a variable."""
    query = urlencode(request.to_params(), safe="*,:/")
    address = f"{url}{BASE_PATH}{request.path}{f'?{query}' if query else ''}"
    parts = ["curl -sS --fail-with-body", _AUTHORIZATION]
    headers = dict(request.headers)
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    parts += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in headers.items()]
    body = json.dumps(request.body, ensure_ascii=False)
    if _has_login(request):
        # curl must not get the password as an argument: jq reads it from standard input.
        parts.append("--data-binary @-")
        parts[0] = (
            f"jq -Rs --argjson body {shlex.quote(body)} {shlex.quote(_ADD_PASSWORD)} |\n{parts[0]}"
        )
    elif request.body is not None:
        parts.append(f"--data-raw {shlex.quote(body)}")
    elif request.method != "GET":
        parts.append(f"-X {request.method}")  # curl posts by itself only what has a body
    parts.append(shlex.quote(address))
    return " \\\n  ".join(parts)


def _has_login(request: Request) -> bool:
    return "inline_credential" in (request.body or {})
