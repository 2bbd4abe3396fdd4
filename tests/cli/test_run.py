"""`run` and `plan`: what is sent, what is printed, how they end."""

import json
import uuid
from typing import Any

import pytest

from tests.cli.bodies import ID, cluster, failed_row, remediation, summary
from tests.cli.conftest import Remediator
from tests.cli.stub_api import Reply, StubApi

ARGUMENTS = ("run", "--clusters", "eu-1", "--credential", "reg")


@pytest.mark.parametrize(
    ("status", "code"),
    [("succeeded", 0), ("failed", 1), ("partial", 3), ("cancelled", 7), ("unheard-of", 6)],
)
def test_exit_code_says_how_it_ended(api: StubApi, run: Remediator, status: str, code: int) -> None:
    """Scripts rely on these numbers."""
    api.on("POST", "/remediations", Reply(remediation("running"), 202))
    api.on("GET", f"/remediations/{ID}", Reply(remediation(status)))

    assert run(*ARGUMENTS).exit_code == code


def test_sends_what_was_given_and_nothing_else(api: StubApi, run: Remediator) -> None:
    """What is not given is left to the service's defaults."""
    api.on("POST", "/remediations", Reply(remediation(), 202))

    result = run(
        *("run", "--clusters", "eu-1,us-*", "--clusters", "asia-1", "--namespaces", "a, b"),
        *("--ignore", "kube-*", "--service-accounts", "default", "--ignore-service-accounts"),
        *("payments/api", "--credential", "reg", "--secret-name", "pull", "--on-conflict"),
        *("merge", "--dry-run", "--reason", "it's time", "--label", "team=x=y"),
        *("--registry-check", "warn"),
    )

    assert result.exit_code == 0, result.output
    assert api.seen[0].body == {
        "clusters": ["eu-1", "us-*", "asia-1"],
        "namespaces": ["a", "b"],
        "ignore": ["kube-*"],
        "service_accounts": ["default"],
        "ignore_service_accounts": ["payments/api"],
        "credential": "reg",
        "secret_name": "pull",
        "on_conflict": "merge",
        "registry_check": "warn",
        "dry_run": True,
        "reason": "it's time",
        "labels": {"team": "x=y"},
    }


def test_plan_is_a_dry_run(api: StubApi, run: Remediator) -> None:
    """`plan` writes nothing."""
    api.on("POST", "/remediations", Reply(remediation(dry_run=True), 202))

    result = run("plan", "--clusters", "*", "--credential", "reg")

    assert api.seen[0].body == {"clusters": ["*"], "credential": "reg", "dry_run": True}
    assert "nothing was written" in result.stdout


@pytest.mark.parametrize("option", ["--clusters", "--namespaces", "--ignore"])
def test_refuses_an_empty_name(api: StubApi, run: Remediator, option: str) -> None:
    """An unset shell variable must not change what is touched."""
    result = run(*ARGUMENTS, option, "a,,b")
    empty = run(*ARGUMENTS, option, "")

    assert (result.exit_code, empty.exit_code) == (2, 2)
    assert api.seen == []


def test_identifies_itself_and_makes_repeating_harmless(api: StubApi, run: Remediator) -> None:
    """Token, client name and idempotency key go with the request."""
    api.on("POST", "/remediations", Reply(remediation(), 202))

    run(*ARGUMENTS)

    headers = api.seen[0].headers
    assert headers["Authorization"] == "Bearer test-token"
    assert headers["User-Agent"].startswith("remediator-cli/")
    assert uuid.UUID(headers["Idempotency-Key"]).version == 4


def test_repeats_a_lost_request_with_the_same_key(api: StubApi, run: Remediator) -> None:
    """A broken connection does not mean that nothing was accepted."""
    api.on("POST", "/remediations", Reply(drop=True), Reply(drop=True), Reply(remediation(), 202))

    result = run(*ARGUMENTS)

    assert result.exit_code == 0
    assert len({seen.headers["Idempotency-Key"] for seen in api.seen}) == 1
    assert len(api.seen) == 3


def test_gives_up_a_lost_request_in_the_end(api: StubApi, run: Remediator) -> None:
    """After three repetitions it is said that the service is not reachable."""
    api.on("POST", "/remediations", Reply(drop=True))

    result = run(*ARGUMENTS)

    assert result.exit_code == 5
    assert len(api.seen) == 4


def test_no_wait_prints_the_id_and_ends(api: StubApi, run: Remediator) -> None:
    """`id=$(remediator run … --no-wait)` works: links and advice go to standard error."""
    api.on("POST", "/remediations", Reply(remediation("queued"), 202))

    name = run(*ARGUMENTS, "--no-wait", "-o", "name")
    table = run(*ARGUMENTS, "--no-wait")

    assert (name.exit_code, name.stdout) == (0, f"{ID}\n")
    assert (table.exit_code, table.stdout) == (0, f"{ID}\n")
    assert f"self: http://127.0.0.1/api/v1/remediations/{ID}" in table.stderr
    assert {seen.method for seen in api.seen} == {"POST"}


def test_waits_without_polling_when_nobody_watches(api: StubApi, run: Remediator) -> None:
    """One request is held until the end."""
    api.on("POST", "/remediations", Reply(remediation("queued"), 202))
    api.on("GET", f"/remediations/{ID}", Reply(remediation(), delay=0.2))

    run(*ARGUMENTS)

    assert [seen.params for seen in api.seen if seen.method == "GET"] == [{"wait": "60"}]


def test_shows_clusters_and_first_failures_with_hints(api: StubApi, run: Remediator) -> None:
    """Ten failures are enough to act; the command for the rest is printed."""
    clusters = [cluster("eu-1", "partial", changed=1, failed=12), cluster("us-1", "unreachable")]
    clusters[1]["error"] = {"code": "unreachable", "detail": "connection refused"}
    ended = remediation("partial", clusters=clusters)
    ended["summary"]["namespaces"]["failed"] = 12
    api.on("POST", "/remediations", Reply(ended, 202))
    rows = [failed_row(f"team-{number}") for number in range(10)]
    api.on("GET", f"/remediations/{ID}/results", Reply({"items": rows, "next_cursor": "x"}))

    result = run(*ARGUMENTS)

    assert "12 failed, the first 10:" in result.stdout
    assert "eu-1/team-9  forbidden: may not create Secrets in team-9" in result.stdout
    assert "grant create on secrets" in result.stdout
    assert f"remediator results {ID} --outcome failed" in result.stdout
    assert "unreachable: connection refused" in result.stdout
    assert api.seen[-1].params == {"outcome": "failed", "limit": "10"}


def test_what_the_registries_said_is_shown_once_for_all_clusters(
    api: StubApi, run: Remediator
) -> None:
    report = {
        "registry": "r.example",
        "verdict": "not_proven_public",
        "detail": "everybody may pull",
        "via_shadow": False,
    }
    shadow = report | {"registry": "s.example", "verdict": "works", "via_shadow": True}
    check = {"registry_check": {**report, "registries": [report, shadow]}}
    clusters = [cluster("eu-1") | check, cluster("us-1") | check, cluster("asia-1")]
    api.on("POST", "/remediations", Reply(remediation(clusters=clusters), 202))

    shown = run(*ARGUMENTS).stdout

    line = "login at r.example: not_proven_public (everybody may pull) [eu-1, us-1]"
    assert shown.count(line) == 1
    assert "login at s.example: works, by its shadow (everybody may pull) [eu-1, us-1]" in shown


def test_json_is_what_the_service_said(api: StubApi, run: Remediator) -> None:
    """Progress and notes do not mix into standard output."""
    api.on("POST", "/remediations", Reply(remediation("running"), 202))
    api.on("GET", f"/remediations/{ID}", Reply(remediation()))

    result = run(*ARGUMENTS, "-o", "json")

    assert json.loads(result.stdout) == remediation()


def test_all_problems_of_a_request_are_shown(api: StubApi, run: Remediator) -> None:
    """Nobody has to fix one to learn of the next."""
    problem = {
        "title": "The request is not valid",
        "detail": "2 fields need attention.",
        "code": "validation-error",
        "request_id": "5f1c",
        "errors": [
            {"pointer": "#/clusters/0", "detail": "unknown cluster 'eu-1'"},
            {"pointer": "#/credential", "detail": "unknown credential 'reg'"},
        ],
    }
    api.on("POST", "/remediations", Reply(problem, 422))

    result = run(*ARGUMENTS)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == (
        "remediator: The request is not valid: 2 fields need attention.\n"
        "  #/clusters/0  unknown cluster 'eu-1'\n"
        "  #/credential  unknown credential 'reg'\n"
        "  (422 validation-error, request 5f1c)\n"
    )


MERGED = {"created": 9, "updated": 5, "merged": 3, "replaced": 1, "deleted": 0, "failed": 2}


@pytest.mark.parametrize(
    ("dry_run", "secrets", "columns"),
    [
        (False, "9 created, 1 updated, 3 merged, 1 replaced, 2 failed", ("CHANGED", "FAILED")),
        (
            True,
            "would create 9, would update 1, would merge 3, would replace 1, would fail 2",
            ("WOULD CHANGE", "WOULD FAIL"),
        ),
    ],
)
def test_the_table_says_what_was_done_or_would_be(
    api: StubApi, run: Remediator, dry_run: bool, secrets: str, columns: tuple[str, ...]
) -> None:
    item = cluster()
    item["summary"]["secrets"] = MERGED
    done = remediation(dry_run=dry_run, clusters=[item])
    api.on("POST", "/remediations", Reply(done, 202))

    result = run(*ARGUMENTS)

    assert secrets in result.stdout
    assert all(f"  {column}  " in result.stdout for column in columns)
    assert result.stdout.splitlines()[2].endswith("WHY")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "2 changed"),
        ({"dry_run": True}, "2 would be changed"),
        ({"undo_of": ID}, "2 taken back"),
        ({"undo_of": ID, "dry_run": True}, "2 would be taken back"),
    ],
)
def test_progress_says_what_is_done_or_would_be(
    api: StubApi, run: Remediator, fields: dict[str, Any], words: str
) -> None:
    api.on("POST", "/remediations", Reply(remediation("running", **fields), 202))
    api.on("GET", f"/remediations/{ID}", Reply(remediation(**fields)))

    assert words in run(*ARGUMENTS).stderr


def test_what_failed_alike_is_told_once(api: StubApi, run: Remediator) -> None:
    counts = remediation("partial", summary=summary(changed=1, failed=3))
    alike = [failed_row("a"), failed_row("b") | {"error": failed_row("a")["error"]}]
    api.on("POST", "/remediations", Reply(counts, 202))
    api.on("GET", f"/remediations/{ID}/results", Reply({"items": [*alike, failed_row("c")]}))

    lines = run(*ARGUMENTS).stdout.splitlines()

    assert "  eu-1/a, eu-1/b  forbidden: may not create Secrets in a" in lines
    assert "  eu-1/c  forbidden: may not create Secrets in c" in lines


def test_a_warning_of_many_says_how_to_see_all(api: StubApi, run: Remediator) -> None:
    told = "900 entries of `ignore` match no namespace: 'a', 'b', 'c', … (all of them: `names`)"
    warning = {"code": "namespace_not_found", "name": "a", "names": ["a"], "detail": told}
    api.on("POST", "/remediations", Reply(remediation(warnings=[warning]), 202))

    lines = run(*ARGUMENTS).stdout.splitlines()

    assert "warning: 900 entries of `ignore` match no namespace: 'a', 'b', 'c', …" in lines
    assert f"all names: remediator status {ID} -o yaml" in lines


def test_hundreds_of_errors_are_told_up_to_a_bound(api: StubApi, run: Remediator) -> None:
    errors = [{"pointer": f"#/clusters/{n}", "detail": f"unknown {n}"} for n in range(900)]
    problem = {"title": "x", "status": 422, "detail": "900 fields", "code": "x", "errors": errors}
    api.on("POST", "/remediations", Reply(problem, 422))

    result = run(*ARGUMENTS)

    assert "unknown 19" in result.stderr
    assert "unknown 20" not in result.stderr
    assert "… and 880 more" in result.stderr


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        (
            "use on_conflict 'merge' or 'replace', or another secret_name",
            "use --on-conflict merge or 'replace', or another --secret-name",
        ),
        ("registry_check 'warn' writes all the same", "--registry-check warn writes all the same"),
        ("start it with a larger timeout_seconds: ", "start it with a larger --timeout-seconds:"),
    ],
)
def test_hints_name_options_of_the_command_line(
    api: StubApi, run: Remediator, hint: str, said: str
) -> None:
    row = failed_row("a")
    row["error"]["hint"] = hint
    failed = cluster(status="failed") | {"error": row["error"]}
    done = remediation("failed", summary=summary(failed=1), clusters=[failed])
    api.on("POST", "/remediations", Reply(done, 202))
    api.on("GET", f"/remediations/{ID}/results", Reply({"items": [row]}))

    lines = run(*ARGUMENTS).stdout.splitlines()

    assert f"eu-1: {said}" in lines
    assert f"      {said}" not in lines, "it is told already"
