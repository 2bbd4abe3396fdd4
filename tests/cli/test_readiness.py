"""`readiness` and `gate`: what is sent, what is shown, and the exit code."""

import csv
import io
import json
from typing import Any

import pytest
import yaml

from tests.cli.conftest import Remediator
from tests.cli.stub_api import Reply, StubApi

ID = "chk_01JD0000000000000000000001"
ASK = ("readiness", "--clusters", "*", "--registry", "registry.example.com", "--credential", "c")


def check(verdict: str | None, **more: Any) -> dict[str, Any]:
    """Return a check as the service shows it."""
    counts = {"blocking": 1, "warning": 0, "info": 2, "waived": 0}
    return {
        "id": ID,
        "status": "succeeded" if verdict else "running",
        "terminal": verdict is not None,
        "verdict": verdict,
        "valid_until": "2026-01-31T12:10:00Z",
        "summary": {**counts, "classes": {"W_SA_UNPATCHED": 1, "W_COVERED_SA": 2}},
        "clusters": [
            {
                "name": "eu-1",
                "status": "succeeded",
                "verdict": verdict,
                "summary": counts,
                "error": None,
            }
        ],
        "links": {"self": f"http://x/{ID}"},
        **more,
    }


def finding(name: str = "web", **more: Any) -> dict[str, Any]:
    """Return a finding as the service shows it."""
    return {
        "cluster": "eu-1",
        "namespace": "shop",
        "kind": "Deployment",
        "name": name,
        "image": "registry.example.com/shop/web:1",
        "class": "W_SA_UNPATCHED",
        "severity": "blocking",
        "explanation": "it names no Secret",
        "fix": "remediator run",
        "count": 3,
        "waiver": None,
        **more,
    }


def answers(api: StubApi, verdict: str | None, *findings: dict[str, Any]) -> None:
    """Have the stub take a check that ends with this verdict at the second look."""
    api.on("POST", "/readiness-checks", Reply(check(None), 202))
    api.on("GET", f"/readiness-checks/{ID}", Reply(check(None), delay=1), Reply(check(verdict)))
    api.on("GET", f"/readiness-checks/{ID}/findings", Reply({"items": list(findings)}))


@pytest.mark.parametrize(("verdict", "code"), [("safe", 0), ("not_safe", 1), ("unknown", 6)])
def test_the_exit_code_is_the_verdict(
    api: StubApi, run: Remediator, verdict: str, code: int
) -> None:
    answers(api, verdict)

    result = run(*ASK)

    assert result.exit_code == code, result.output
    assert verdict.replace("_", " ") in result.stdout.splitlines()[0]


def test_what_was_given_is_sent_and_nothing_else(api: StubApi, run: Remediator) -> None:
    answers(api, "safe")

    run(*ASK, "--namespaces", "a,b", "--ignore", "c", "--secret-name", "s", "--evidence", "L2")

    assert api.seen[0].body == {
        "clusters": ["*"],
        "registry": "registry.example.com",
        "credential": "c",
        "secret_name": "s",
        "namespaces": ["a", "b"],
        "ignore": ["c"],
        "evidence": "L2",
    }
    assert "Idempotency-Key" in api.seen[0].headers


def test_a_run_can_do_without_a_check(api: StubApi, run: Remediator) -> None:
    api.on("POST", "/remediations", Reply({"id": "rem_1", "terminal": True, "clusters": []}, 202))

    run("run", "--clusters", "*", "--credential", "c", "--no-wait")
    run("run", "--clusters", "*", "--credential", "c", "--no-wait", "--no-readiness")

    assert [seen.body.get("readiness") for seen in api.seen] == [None, False]


def test_what_blocks_is_shown_with_its_fix(api: StubApi, run: Remediator) -> None:
    waived = finding("accepted", waiver={"owner": "sre"})
    answers(api, "not_safe", finding(), waived)

    result = run(*ASK)

    assert "W_SA_UNPATCHED  eu-1/shop/Deployment/web (3 pods)" in result.stdout
    assert "  it names no Secret\n  fix: remediator run\n" in result.stdout
    assert "accepted\n" not in result.stdout
    asked = [seen.params for seen in api.seen if seen.path.endswith("/findings")]
    assert asked == [{"severity": "blocking", "limit": "1000"}]


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ({"P_COVERED": 4}, None),
        ({"P_RISK_LOW": 1}, "uncovered: 1 pod that runs; which to make anew"),
        ({"P_RISK_LOW": 1, "P_RISK_RESTART": 2}, "uncovered: 3 pods that run; which to make anew"),
    ],
)
def test_pods_to_make_anew_are_told_with_the_plan_for_them(
    api: StubApi, run: Remediator, classes: dict[str, int], expected: str | None
) -> None:
    safe = check("safe")
    safe["summary"] = {"classes": classes}
    api.on("POST", "/readiness-checks", Reply(safe, 202))
    api.on("GET", f"/readiness-checks/{ID}/findings", Reply({"items": []}))

    result = run(*ASK)

    assert ("restart-plan" in result.stdout) == bool(expected)
    assert (expected or "safe") in result.stdout


def test_what_is_not_proven_stands_next_to_the_verdict(api: StubApi, run: Remediator) -> None:
    row = finding(
        "registry.example.com/team/app",
        **{"class": "R_UNPROVEN", "severity": "warning", "explanation": "not proven: it is public"},
        fix="name a shadow",
        examples=["registry.example.com/team/app"],
    )
    safe = check("safe")
    safe["summary"] = {"classes": {"P_COVERED": 1, "R_UNPROVEN": 2}}
    api.on("POST", "/readiness-checks", Reply(safe, 202))
    api.on("GET", f"/readiness-checks/{ID}/findings", Reply({"items": [row]}))

    result = run(*ASK)

    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert "safe" in lines[0]
    near = "\n".join(lines[1:7])
    assert "not proven: that the credential can pull after the flip, for 2 repositories" in near
    assert "eu-1: registry.example.com/team/app: not proven: it is public" in near
    assert "fix: name a shadow" in near
    asked = [seen.params for seen in api.seen if seen.path.endswith("/findings")]
    assert asked[0]["class"] == "R_UNPROVEN"


def test_a_slip_in_the_name_of_the_registry_shows(api: StubApi, run: Remediator) -> None:
    safe = check("safe", registries=["registry.exmaple.com"])
    safe["summary"] = {"classes": {"C_UNUSED": 1, "SA_UNUSED_UNPATCHED": 2}}
    api.on("POST", "/readiness-checks", Reply(safe, 202))
    api.on("GET", f"/readiness-checks/{ID}/findings", Reply({"items": []}))

    shown = run(*ASK).stdout

    assert (
        "nothing uses it: no pod and no template; is the name right? registry.exmaple.com" in shown
    )


def test_a_text_from_a_cluster_cannot_steer_the_terminal(api: StubApi, run: Remediator) -> None:
    answers(api, "not_safe", finding(explanation="red\x1b[31m"))

    assert "\x1b" not in run(*ASK).stdout


def test_no_wait_prints_the_id_and_ends(api: StubApi, run: Remediator) -> None:
    answers(api, "safe")

    for output in ("name", "table"):
        result = run(*ASK, "--no-wait", "-o", output)
        assert (result.exit_code, result.stdout) == (0, f"{ID}\n")
    assert len(api.seen) == 2


def test_it_is_printed_for_programs(api: StubApi, run: Remediator) -> None:
    answers(api, "not_safe", finding())

    assert json.loads(run(*ASK, "-o", "json").stdout)["verdict"] == "not_safe"
    rows = list(csv.DictReader(io.StringIO(run(*ASK, "-o", "csv").stdout)))
    assert [row["class"] for row in rows] == ["W_SA_UNPATCHED"]


def test_the_curl_command_does_the_same(run: Remediator, api: StubApi) -> None:
    shown = run(*ASK, "--curl").stdout

    assert '"registry": "registry.example.com"' in shown
    assert "/api/v1/readiness-checks" in shown
    assert f"/readiness-checks/{ID}/gate?wait=30" in run("gate", ID, "--curl").stdout
    assert api.seen == []


def test_an_open_gate_is_exit_code_0(run: Remediator, api: StubApi) -> None:
    body = {
        "id": ID,
        "registries": ["registry.example.com"],
        "valid_until": "2026-01-31T12:10:00Z",
        "evidence": "L0",
        "unproven": 3,
    }
    api.on("GET", f"/readiness-checks/{ID}/gate", Reply(body))

    result = run("gate", ID)

    assert result.exit_code == 0
    assert "registry.example.com can be flipped" in result.stdout
    assert "(evidence L0)" in result.stdout
    assert "not proven: that the credential can pull after the flip, for 3 rep" in result.stdout


@pytest.mark.parametrize(
    ("codes", "exit_code"),
    [
        (["not_safe", "W_SA_UNPATCHED"], 1),
        (["changed"], 1),
        (["unknown", "C_UNREADABLE"], 6),
        (["not_ended"], 6),
        (["expired"], 6),
        (["not_confirmed"], 6),
    ],
)
def test_a_closed_gate_says_why(
    run: Remediator, api: StubApi, codes: list[str], exit_code: int
) -> None:
    errors = [{"pointer": "#/verdict", "detail": f"because {code}", "code": code} for code in codes]
    problem = {"title": "no", "status": 412, "code": "gate-closed", "errors": errors}
    api.on("GET", f"/readiness-checks/{ID}/gate", Reply(problem, 412))

    result = run("gate", ID)

    assert result.exit_code == exit_code, result.output
    assert result.stdout.splitlines() == ["closed: no", *(f"  because {code}" for code in codes)]
    assert result.stderr == ""


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_a_closed_gate_answers_programs_in_their_form(
    run: Remediator, api: StubApi, output: str
) -> None:
    errors = [{"pointer": "#/verdict", "detail": "because", "code": "not_safe"}]
    problem = {"title": "no", "status": 412, "code": "gate-closed", "errors": errors}
    api.on("GET", f"/readiness-checks/{ID}/gate", Reply(problem, 412))

    result = run("gate", ID, "-o", output)

    assert (result.exit_code, result.stderr) == (1, "")
    assert yaml.safe_load(result.stdout) == {"id": ID, **problem}


@pytest.mark.parametrize("identity", ["../x", "chk_1?x", "", "rem_01J8ZQ4W7N"])
def test_an_id_that_is_none_is_refused(run: Remediator, api: StubApi, identity: str) -> None:
    assert run("gate", identity).exit_code == 2
    assert api.seen == []
