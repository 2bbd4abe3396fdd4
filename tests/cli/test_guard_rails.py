"""`approve`, `reject`, `pause`, `resume` and `audit`: what they show, what they send, how they end."""

import json
from typing import Any

import pytest

from cli.exit_codes import ExitCode
from tests.cli.bodies import ID, remediation
from tests.cli.conftest import Remediator
from tests.cli.stub_api import Reply, StubApi

DIGEST = "sha256:" + 64 * "a"
APPROVAL = {
    "required": True,
    "state": "pending",
    "digest": DIGEST,
    "expires_at": "2026-08-01T11:00:00.000Z",
    "requested_by": "alice",
    "decided_by": None,
    "decided_at": None,
    "comment": None,
}
REQUEST = {
    "namespaces": ["*"],
    "credential": "harbor",
    "inline_credential": {"registry": "r.io", "username": "robot"},
    "readiness": True,
    "dry_run": False,
}


def held(**fields: Any) -> dict[str, Any]:
    return remediation("queued", approval=APPROVAL, request=REQUEST, **fields)


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_a_decision_shows_what_it_is_about_and_sends_its_digest(
    api: StubApi, run: Remediator, verb: str
) -> None:
    decided = {**held(), "approval": {**APPROVAL, "state": "approved"}}
    api.on("GET", f"/remediations/{ID}", Reply(held()))
    api.on("POST", f"/remediations/{ID}/{verb}", Reply(decided, 202))

    ended = run(verb, ID, "--yes", "--comment", "CHG-1881")

    assert ended.exit_code == ExitCode.SUCCEEDED, ended.output
    assert api.seen[-1].body == {"digest": DIGEST, "comment": "CHG-1881"}
    assert "asked for by alice" in ended.stderr
    assert "credential: harbor" in ended.stderr
    assert "inline_credential: registry=r.io, username=robot" in ended.stderr
    assert "readiness: yes" in ended.stderr
    assert "on: eu-1" in ended.stderr
    assert DIGEST in ended.stderr
    assert ended.stdout == f"{ID} is approved and queued\n"


@pytest.mark.parametrize(("state", "waits"), [("pending", True), ("approved", False)])
def test_only_what_is_not_decided_waits(
    api: StubApi, run: Remediator, state: str, waits: bool
) -> None:
    known = {**held(), "approval": {**APPROVAL, "state": state}}
    api.on("GET", f"/remediations/{ID}", Reply(known))
    api.on("POST", f"/remediations/{ID}/approve", Reply(known))

    ended = run("approve", ID, "--yes")

    assert ("waits until" in ended.stderr) is waits


@pytest.mark.parametrize(
    ("answer", "words"), [("n\n", "the answer is not yes"), ("\n", "not yes"), ("", "no answer")]
)
def test_a_decision_is_not_made_without_a_yes(
    api: StubApi, run: Remediator, answer: str, words: str
) -> None:
    api.on("GET", f"/remediations/{ID}", Reply(held()))

    ended = run("approve", ID, input=answer)

    assert ended.exit_code == ExitCode.CANCELLED
    assert f"{words}; nothing was changed" in ended.stderr
    assert "Aborted" not in ended.output
    assert [seen.method for seen in api.seen] == ["GET"]


def test_what_was_looked_at_before_must_still_be_it(api: StubApi, run: Remediator) -> None:
    api.on("GET", f"/remediations/{ID}", Reply(held()))

    ended = run("approve", ID, "--yes", "--digest", "sha256:" + 64 * "b")

    assert ended.exit_code == ExitCode.STATE
    assert [seen.method for seen in api.seen] == ["GET"]


def test_one_that_needs_nobody_is_not_approved(api: StubApi, run: Remediator) -> None:
    api.on("GET", f"/remediations/{ID}", Reply(remediation("queued", approval=None)))

    assert run("approve", ID, "--yes").exit_code == ExitCode.STATE


def test_approving_ones_own_is_denied(api: StubApi, run: Remediator) -> None:
    refusal = {"title": "A second person has to decide", "status": 403, "code": "self-approval"}
    api.on("GET", f"/remediations/{ID}", Reply(held()))
    api.on("POST", f"/remediations/{ID}/approve", Reply(refusal, 403))

    ended = run("approve", ID, "--yes")

    assert ended.exit_code == ExitCode.DENIED
    assert "self-approval" in ended.stderr


def test_run_says_what_it_waits_for(api: StubApi, run: Remediator) -> None:
    waiting = held()
    waiting["clusters"][0]["reason"] = "waits for approval by someone other than alice"
    api.on("POST", "/remediations", Reply(waiting, 202))

    ended = run("run", "--clusters", "eu-1", "--credential", "harbor", "--no-wait")

    assert "it waits for approval by someone other than alice" in ended.stderr
    assert f"remediator approve {ID}" in ended.stderr


def test_the_pause_is_switched(api: StubApi, run: Remediator) -> None:
    paused = {"reason": "storm", "by": "alice", "since": "2026-08-01T10:00:00.000Z"}
    api.on("POST", "/system/pause", Reply({"paused": paused}))
    api.on("POST", "/system/resume", Reply({"paused": None}))

    began = run("pause", "--reason", "storm")
    ended = run("resume")

    assert began.stdout == "paused since 2026-08-01T10:00:00.000Z by alice: storm\n"
    assert api.seen[0].body == {"reason": "storm"}
    assert ended.stdout == "resumed\n"
    assert run("pause").exit_code == ExitCode.INVALID


def test_the_audit_trail_is_listed(api: StubApi, run: Remediator) -> None:
    entry = {
        "id": "01J",
        "at": "2026-08-01T10:00:00.000Z",
        "action": "remediation.create",
        "outcome": "done",
        "subject": "alice",
        "remediation_id": ID,
    }
    api.on("GET", "/audit-events", Reply({"items": [entry]}))

    ended = run("audit", "list", "--subject", "alice", "--trail", "writes")

    assert ended.exit_code == ExitCode.SUCCEEDED, ended.output
    assert "remediation.create" in ended.stdout
    assert api.seen[0].params == {"subject": "alice", "trail": "writes", "limit": "50"}


@pytest.mark.parametrize(("verified", "code"), [(True, 0), (False, 1)])
def test_the_exit_code_says_whether_the_trail_is_whole(
    api: StubApi, run: Remediator, verified: bool, code: int
) -> None:
    body = {"trail": "decisions", "verified": verified, "problem": None, "head": 64 * "a"}
    api.on("GET", "/audit-events/verification", Reply(body))

    ended = run("audit", "verify", "--anchor", 64 * "b")

    assert ended.exit_code == code
    assert 64 * "a" in ended.stdout
    shown = dict(line.split() for line in ended.stdout.splitlines())
    assert (shown["verified"], shown["problem"]) == ("no" if code else "yes", "-")
    assert api.seen[0].params == {"trail": "decisions", "anchor": 64 * "b"}
    assert json.loads(run("audit", "verify", "-o", "json").stdout) == body


def test_a_second_pause_says_that_its_reason_is_not_recorded(api: StubApi, run: Remediator) -> None:
    paused = {"reason": "first", "by": "client:local", "since": "2026-08-01T10:00:00.000Z"}
    api.on("POST", "/system/pause", Reply({"paused": paused}))

    assert "your reason is not recorded" in run("pause", "--reason", "second").stderr
    assert "not recorded" not in run("pause", "--reason", "first").stderr
