"""What a run makes of the proofs."""

import pytest

from remediation.outcome import ErrorCode
from remediation.registry.check import (
    RegistryReport,
    RepositoryProof,
    rank,
    refusal,
    report_of,
    result_of,
)
from remediation.registry.verdict import Judgement, LoginAnswer, Verdict
from remediation.request import RegistryCheck


def proof(verdict: Verdict, repository: str = "a", **more: LoginAnswer) -> RepositoryProof:
    return RepositoryProof(repository, "1", Judgement(verdict, f"is {verdict}", "do"), **more)


def test_the_least_favourable_proof_is_reported() -> None:
    proofs = [
        proof(Verdict.WORKS, "a", login=LoginAnswer.ACCEPTED),
        proof(Verdict.ACCEPTED_NO_RIGHT, "b"),
        proof(Verdict.WORKS, "c"),
    ]

    assert report_of("r.example", proofs, via_shadow=True) == RegistryReport(
        "r.example",
        Verdict.ACCEPTED_NO_RIGHT,
        "is accepted_no_right (1 of 3 repositories)",
        "do",
        "b",
        3,
        LoginAnswer.ACCEPTED,
        True,
    )


def test_an_image_that_is_gone_says_little_where_others_were_pulled() -> None:
    proofs = [proof(Verdict.ACCEPTED_NO_SUCH_IMAGE), proof(Verdict.WORKS, "b")]

    assert report_of("r.example", proofs, via_shadow=False).verdict is Verdict.WORKS


def test_a_login_alone_is_about_no_repository() -> None:
    report = report_of("r.example", [proof(Verdict.ACCEPTED_NO_SUCH_IMAGE, "")], via_shadow=False)

    assert (report.repository, report.repositories) == (None, 0)


def test_every_verdict_has_a_place_and_those_that_refuse_come_first() -> None:
    ordered = sorted(Verdict, key=rank)

    assert [verdict.refuses for verdict in ordered] == [True] * 9 + [False] * 3


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("wanted", RegistryCheck)
def test_only_a_required_proof_stops_a_run(verdict: Verdict, wanted: RegistryCheck) -> None:
    report = report_of("r.example", [proof(verdict, "team/app")], via_shadow=False)
    error = refusal(result_of([report], "now"), wanted)

    goes_on = verdict in (
        Verdict.WORKS,
        Verdict.NOT_PROVEN_PUBLIC,
        Verdict.ACCEPTED_NO_SUCH_IMAGE,
    )
    if wanted is RegistryCheck.REQUIRE and not goes_on:
        assert error
        assert error.code is ErrorCode.CREDENTIAL_REJECTED
        assert error.detail.startswith(f"{verdict} at r.example/team/app: is {verdict}")
        assert error.hint == "do; registry_check 'warn' writes all the same"
    else:
        assert error is None


def test_the_worst_registry_decides() -> None:
    reports = [
        report_of(name, [proof(verdict)], via_shadow=False)
        for name, verdict in (("a", Verdict.WORKS), ("b", Verdict.BUSY), ("c", Verdict.WORKS))
    ]

    assert result_of(reports, "now").deciding.registry == "b"
