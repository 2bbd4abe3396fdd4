"""`status`, `results`, `wait` and `list`, in every form of output."""

import csv
import io
import json

import pytest
import yaml
from click.testing import CliRunner

from cli.main import remediator
from tests.cli.bodies import ID, cluster, failed_row, remediation, row, warning
from tests.cli.conftest import Remediator
from tests.cli.stub_api import Reply, StubApi


def pages(api: StubApi) -> None:
    """Let the stub have two pages of results."""
    api.on(
        "GET",
        f"/remediations/{ID}/results",
        Reply({"items": [row("a"), failed_row("b")], "next_cursor": "c2"}),
        Reply({"items": [row("a-very-long-namespace")]}),
    )


def test_results_follow_the_cursor(api: StubApi, run: Remediator) -> None:
    """All pages are printed, filters go with each."""
    pages(api)

    result = run("results", ID, "-o", "name", "--cluster", "eu-1")

    assert result.stdout == "eu-1/a\neu-1/b\neu-1/a-very-long-namespace\n"
    assert [seen.params for seen in api.seen] == [
        {"cluster": "eu-1", "limit": "1000"},
        {"cluster": "eu-1", "limit": "1000", "cursor": "c2"},
    ]


def test_results_stop_at_the_limit(api: StubApi, run: Remediator) -> None:
    """No more is asked for than is wanted."""
    pages(api)

    result = run("results", ID, "-o", "name", "--limit", "1")

    assert result.stdout == "eu-1/a\n"
    assert [seen.params for seen in api.seen] == [{"limit": "1"}]


def test_results_as_table(api: StubApi, run: Remediator) -> None:
    """One heading for all pages."""
    pages(api)

    lines = run("results", ID).stdout.splitlines()

    assert lines[0].split() == [
        "CLUSTER",
        "NAMESPACE",
        "OUTCOME",
        "SECRET",
        "ACCOUNTS",
        "TIME",
        "WHY",
    ]
    assert lines[1].split() == ["eu-1", "a", "changed", "created", "2/3", "0.4s"]
    assert lines[2].endswith("forbidden: may not create Secrets in b")
    assert len(lines) == 4


def test_a_reason_or_a_failure_hides_no_warning(api: StubApi, run: Remediator) -> None:
    said, more = warning("a", "Flux removes it"), warning("b", "Argo CD may")
    rows = [
        row("both", reason="it is not there; Flux removes it", warnings=[said, more]),
        row("same", reason="Flux removes it", warnings=[said]),
        failed_row("none") | {"warnings": [said, more]},
    ]
    api.on("GET", f"/remediations/{ID}/results", Reply({"items": rows}))

    _, both, same, none = run("results", ID).stdout.splitlines()

    assert both.endswith("it is not there; Flux removes it; warning: Argo CD may")
    assert same.endswith("s  Flux removes it")
    assert none.endswith("in none; warning: Flux removes it (and 1 more)")


@pytest.mark.parametrize(
    ("verdict", "said", "pointed"),
    [
        ("not_safe", "readiness: not safe (chk_1)", True),
        ("unknown", "readiness: unknown (chk_1)", True),
        ("safe", "readiness: safe (chk_1)", False),
        (None, f"chk_1 judges now which pods would break; then: remediator status {ID}", False),
    ],
)
def test_status_tells_what_the_check_that_followed_came_to(
    api: StubApi, run: Remediator, verdict: str | None, said: str, pointed: bool
) -> None:
    """That all is written does not mean that no pod breaks."""
    check = {"check_id": "chk_1", "verdict": verdict}
    api.on("GET", f"/remediations/{ID}", Reply(remediation(readiness=check)))

    shown = run("status", ID).stdout

    assert said in shown
    assert ("GET /api/v1/readiness-checks/chk_1/findings?severity=blocking" in shown) is pointed


def test_where_the_objects_of_warnings_are_is_a_command(api: StubApi, run: Remediator) -> None:
    summed = "Flux removes it from 2 objects (see `warnings` of the rows)"
    plain = "no selected cluster has a namespace 'x'"
    warnings = [{"code": "c", "name": "", "detail": each} for each in (plain, summed)]
    api.on("GET", f"/remediations/{ID}", Reply(remediation(warnings=warnings)))

    lines = run("status", ID).stdout.splitlines()

    assert f"warning: {plain}" in lines
    assert "warning: Flux removes it from 2 objects" in lines
    assert f"each object with a hint: remediator results {ID} -o yaml" in lines


def test_results_for_programs(api: StubApi, run: Remediator) -> None:
    """json and yaml are the rows of the service; so is csv, with one column for each member."""
    rows = [row("a"), failed_row("b"), row("a-very-long-namespace")]
    pages(api)
    assert json.loads(run("results", ID, "-o", "json").stdout) == {"items": rows}
    pages(api)
    assert yaml.safe_load(run("results", ID, "-o", "yaml").stdout) == {"items": rows}
    pages(api)
    table = list(csv.DictReader(io.StringIO(run("results", ID, "-o", "csv").stdout)))
    assert [line["namespace"] for line in table] == ["a", "b", "a-very-long-namespace"]
    assert table[1]["error_detail"] == "may not create Secrets in b"
    assert (table[0]["duration_ms"], table[0]["error_code"]) == ("412", "")


@pytest.mark.parametrize(
    ("output", "expected"), [("json", '{"items": [\n]}\n'), ("yaml", "items: []\n"), ("name", "")]
)
def test_nothing_is_still_valid(api: StubApi, run: Remediator, output: str, expected: str) -> None:
    """An empty collection parses."""
    api.on("GET", f"/remediations/{ID}/results", Reply({"items": []}))

    assert run("results", ID, "-o", output).stdout == expected


@pytest.mark.parametrize("output", ["table", "json"])
def test_a_slip_in_the_cluster_does_not_look_like_no_failures(
    api: StubApi, run: Remediator, output: str
) -> None:
    """What is no cluster of the remediation is refused; one without such rows is not."""
    api.on("GET", f"/remediations/{ID}/results", Reply({"items": []}))
    api.on("GET", f"/remediations/{ID}", Reply(remediation(clusters=[cluster("eu-1")])))

    wrong = run("results", ID, "--outcome", "failed", "--cluster", "eu-l", "-o", output)

    assert wrong.exit_code == 2
    assert f"{ID} has no cluster 'eu-l'; did you mean 'eu-1'?" in wrong.stderr
    assert run("results", ID, "--cluster", "eu-1", "-o", output).exit_code == 0
    assert run("results", ID, "--cluster", "eu-*", "-o", output).exit_code == 0


@pytest.mark.parametrize(("variable", "coloured"), [("1", False), ("", True)])
def test_no_color(api: StubApi, variable: str, coloured: bool) -> None:
    """Also where the output can show colours."""
    api.on("GET", f"/remediations/{ID}", Reply(remediation("succeeded")))
    environment = {"REMEDIATOR_URL": api.url, "REMEDIATOR_TOKEN": "x"}
    environment |= {"NO_COLOR": variable, "TERM": "xterm"}

    shown = CliRunner().invoke(remediator, ["status", ID], env=environment, color=True).stdout

    assert ("\x1b[" in shown) is coloured


def test_the_id_of_a_check_says_which_command_takes_it(run: Remediator) -> None:
    """And the other way round."""
    assert "`remediator gate chk_01J8ZQ4W7N`" in run("status", "chk_01J8ZQ4W7N").stderr
    assert f"`remediator status {ID}`" in run("gate", ID).stderr


def test_csv_cannot_carry_formulas(api: StubApi, run: Remediator) -> None:
    """A spreadsheet must not run what a cluster said."""
    evil = row("a", reason="=cmd()")
    api.on("GET", f"/remediations/{ID}/results", Reply({"items": [evil]}))

    assert "'=cmd()" in run("results", ID, "-o", "csv").stdout


@pytest.mark.parametrize(("status", "code"), [("succeeded", 0), ("partial", 3), ("running", 6)])
def test_status_tells_by_exit_code(api: StubApi, run: Remediator, status: str, code: int) -> None:
    """0 means that it succeeded, never that it goes on."""
    api.on("GET", f"/remediations/{ID}", Reply(remediation(status)))

    result = run("status", ID)

    assert result.exit_code == code
    assert status in result.stdout
    assert "eu-1" in result.stdout


def test_wait_gives_up_in_time(api: StubApi, run: Remediator) -> None:
    """Exit code 5, and the remediation goes on."""
    api.on("GET", f"/remediations/{ID}", Reply(remediation("running"), delay=0.05))

    result = run("wait", ID, "--timeout", "0.5")

    assert result.exit_code == 5
    assert "it goes on" in result.stderr


def test_wait_survives_a_restart_of_the_service(api: StubApi, run: Remediator) -> None:
    """A connection that breaks in the middle is tried again."""
    running = Reply(remediation("running"))
    api.on("GET", f"/remediations/{ID}", running, Reply(drop=True), Reply(remediation()))

    assert run("wait", ID).exit_code == 0


def test_wait_does_not_hammer_a_full_service(api: StubApi, run: Remediator) -> None:
    """An answer that is not held is a reason to rest."""
    busy = Reply(remediation("running"), headers={"Retry-After": "1"})
    api.on("GET", f"/remediations/{ID}", busy)

    run("wait", ID, "--timeout", "1.5")

    assert len(api.seen) < 6


@pytest.mark.parametrize("text", ["..", "a/b", "x?y", "ü", "foo", "rem_", "chk_01J8ZQ4W7N"])
def test_an_id_that_is_none(api: StubApi, run: Remediator, text: str) -> None:
    """It does not become another address."""
    assert run("status", text).exit_code == 2
    assert api.seen == []


def test_what_follows_on_another_says_on_which(api: StubApi, run: Remediator) -> None:
    """Who looks at an undo must not take it for a remediation."""
    api.on("GET", f"/remediations/{ID}", Reply(remediation(undo_of="rem_1", retry_of="rem_2")))

    lines = run("status", ID).stdout.splitlines()

    assert lines[0].startswith(f"{ID}  undo of rem_1, retry of rem_2  succeeded")


def test_a_hint_is_shown_once_for_all_its_clusters(api: StubApi, run: Remediator) -> None:
    """A fleet fails for one reason: the same words sixty times would hide the others."""
    error = {"code": "unreachable", "detail": "x", "hint": "check the network"}
    clusters = [cluster(name, "unreachable") | {"error": error} for name in ("eu-1", "us-1")]
    api.on("GET", f"/remediations/{ID}", Reply(remediation("failed", clusters=clusters)))

    shown = run("status", ID).stdout

    assert "\neu-1, us-1: check the network\n" in shown
    assert shown.count("check the network") == 1


def test_list(api: StubApi, run: Remediator) -> None:
    """Filters go to the service; a line each."""
    api.on("GET", "/remediations", Reply({"items": [remediation()]}))

    result = run("list", "--status", "succeeded", "--cluster", "eu-1", "--limit", "5")

    assert api.seen[0].params == {"status": "succeeded", "cluster": "eu-1", "limit": "5"}
    assert ID in result.stdout
    assert "2.4s" in result.stdout


def test_the_list_tells_an_undo_from_a_run(api: StubApi, run: Remediator) -> None:
    items = [
        remediation(),
        remediation(dry_run=True),
        remediation(retry_of="rem_1"),
        remediation(undo_of="rem_1"),
        remediation(undo_of="rem_1", retry_of="rem_2"),
    ]
    api.on("GET", "/remediations", Reply({"items": items}))

    table = run("list", "--kind", "run,undo")
    rows = list(csv.DictReader(io.StringIO(run("list", "-o", "csv").stdout)))

    kinds = ["run", "run", "retry of rem_1", "undo of rem_1", "undo of rem_1, retry of rem_2"]
    assert [row["kind"] for row in rows] == kinds
    assert [row["dry_run"] for row in rows] == ["", "yes", "", "", ""]
    assert "  undo of rem_1  " in table.stdout
    assert api.seen[0].params["kind"] == "run,undo"
