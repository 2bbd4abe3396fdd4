"""`retry` and `undo`."""

import pytest

from tests.cli.bodies import ID, remediation
from tests.cli.conftest import Remediator
from tests.cli.stub_api import Reply, StubApi


@pytest.mark.parametrize("verb", ["retry", "undo"])
def test_it_follows_the_new_remediation_to_its_end(
    api: StubApi, run: Remediator, verb: str
) -> None:
    """The exit code is that of the new remediation; a POST can be repeated."""
    api.on("POST", f"/remediations/{ID}/{verb}", Reply(remediation("partial"), status=202))
    api.on("GET", f"/remediations/{ID}/results", Reply({"items": []}))

    result = run(verb, ID, "--reason", "again")

    assert result.exit_code == 3
    assert api.seen[0].body == {"reason": "again"}
    assert "idempotency-key" in {name.lower() for name in api.seen[0].headers}


def test_undo_can_be_tried_dry(api: StubApi, run: Remediator) -> None:
    """What was not given is left to the service."""
    api.on("POST", f"/remediations/{ID}/undo", Reply(remediation("succeeded"), status=202))

    result = run("undo", ID, "--dry-run", "--no-wait", "-o", "name")

    assert result.exit_code == 0
    assert api.seen[0].body == {"dry_run": True}


def test_a_refusal_is_told_with_its_reason(api: StubApi, run: Remediator) -> None:
    """409: the request is right, the state does not allow it."""
    problem = {"title": "x", "status": 409, "detail": "rem_2 has since written", "code": "x"}
    api.on("POST", f"/remediations/{ID}/undo", Reply(problem, status=409))

    result = run("undo", ID)

    assert result.exit_code == 8
    assert "rem_2 has since written" in result.stderr


@pytest.mark.parametrize(
    ("options", "answer", "undone"), [((), "n\n", 0), ((), "y\n", 1), (("--yes",), "", 1)]
)
def test_undo_asks_on_a_terminal_and_says_what_it_takes_back(
    api: StubApi,
    run: Remediator,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    answer: str,
    undone: int,
) -> None:
    """One mistyped id would take Secrets out of every namespace."""
    monkeypatch.setattr("cli.follow_up.on_terminal", lambda: True)
    original = remediation("succeeded", reason="registry goes private")
    api.on("GET", f"/remediations/{ID}", Reply(original))
    api.on("POST", f"/remediations/{ID}/undo", Reply(remediation("succeeded"), status=202))

    result = run("undo", ID, *options, input=answer)

    assert len([seen for seen in api.seen if seen.method == "POST"]) == undone
    if not options:
        assert "registry goes private" in result.stderr
        assert "it changed 2 namespaces on: eu-1" in result.stderr
