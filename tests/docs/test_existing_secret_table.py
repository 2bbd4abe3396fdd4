"""The README's table of existing Secrets is what the plan decides."""

import base64
import json

import pytest

from remediation.credential import credential_from_login
from remediation.docker_config import SECRET_TYPE, Login
from remediation.outcome import Error
from remediation.plan import Task
from remediation.plan_secret import plan_secret
from remediation.request import OnConflict, RemediationRequest
from remediation.state import Secret
from tests.docs.pages import ROOT, codes, table

ROWS = table(ROOT / "README.md", "the existing Secret")
CREDENTIAL = credential_from_login("harbor", "registry.example.com", Login("robot", "new"))
AUTH = base64.b64encode(b"robot:old").decode()
OLD = json.dumps({"auths": {"registry.example.com": {"auth": AUTH}}}).encode()


def a_secret(content: bytes = OLD, **more: object) -> Secret:
    """Return a Secret of somebody else's with another login, unless told otherwise."""
    kept: dict[str, object] = {"type": SECRET_TYPE, "content": content}
    return Secret(uid="1", resource_version="2", **(kept | more))  # type: ignore[arg-type]


# In the order of the table.
EXISTING = (
    None,
    a_secret(CREDENTIAL.content),
    a_secret(ours=True),
    a_secret(),
    a_secret(b'{"auths": []}'),
    a_secret(ours=True, immutable=True),
    a_secret(type="Opaque"),
    a_secret(deleting=True),
)


def test_the_table_has_a_row_for_each_case() -> None:
    assert len(ROWS) == len(EXISTING)


@pytest.mark.parametrize(
    ("cells", "existing"), list(zip(ROWS, EXISTING, strict=True)), ids=[row[0] for row in ROWS]
)
def test_the_table_says_what_is_done(cells: list[str], existing: Secret | None) -> None:
    decided = [decide(existing, on_conflict) for on_conflict in OnConflict]

    assert codes(cells[1:]) == decided


def decide(existing: Secret | None, on_conflict: OnConflict) -> str:
    """Return the action or the code of the error."""
    request = RemediationRequest(clusters=("*",), credential="harbor", on_conflict=on_conflict)
    plan = plan_secret(Task.of("rem_1", request, CREDENTIAL), "payments", existing)
    if plan is None:
        return "unchanged"
    return str(plan.code if isinstance(plan, Error) else plan.action)
