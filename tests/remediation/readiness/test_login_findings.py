"""A login that ends by itself: how much it matters, and how long a verdict counts with it."""

from datetime import UTC, datetime, timedelta

import pytest

from remediation.credential import credential_from_login
from remediation.docker_config import Login
from remediation.readiness.certificate import certify
from remediation.readiness.coverage import Wanted
from remediation.readiness.finding import Finding, Severity
from remediation.readiness.judgement import Judgement, count
from remediation.readiness.login_findings import ending
from remediation.readiness.options import Options
from remediation.readiness.target import parse_target
from tests.remediation.test_short_lived import token

NOW = datetime(2027, 1, 1, tzinfo=UTC)
HOST = "registry.example.com"


def found(password: str, username: str = "robot", registry: str = HOST) -> list[Finding]:
    credential = credential_from_login("right", registry, Login(username, password))
    wanted = Wanted("docker", credential.config, "right")
    return list(ending(Options("alpha", parse_target(HOST), wanted), NOW))


@pytest.mark.parametrize(
    ("left", "severity", "doubt"),
    [
        (timedelta(days=-1), Severity.BLOCKING, False),
        (timedelta(0), Severity.BLOCKING, False),
        (timedelta(hours=3), Severity.BLOCKING, True),
        (timedelta(days=2), Severity.WARNING, True),
    ],
)
def test_a_token_matters_by_when_it_ends(left: timedelta, severity: Severity, doubt: bool) -> None:
    (row,) = found(token({"exp": (NOW + left).timestamp()}))

    assert (row.severity, row.doubt) == (severity, doubt)


def test_a_login_that_ends_with_its_job_blocks() -> None:
    (row,) = found("made-up", "gitlab-ci-token")

    assert (row.severity, row.doubt, row.ends_at) == (Severity.BLOCKING, True, None)


def test_a_login_that_stays_and_one_for_another_registry_are_not_told() -> None:
    assert found("made-up") == []
    assert found("made-up", "gitlab-ci-token", "gitlab.example.com") == []


def test_a_verdict_counts_no_longer_than_the_login() -> None:
    rows = tuple(found(token({"exp": (NOW + timedelta(minutes=3)).timestamp()})))
    judgement = Judgement("alpha", rows, count(rows))

    certificate = certify([judgement], [], NOW, timedelta(minutes=10))

    assert certificate.valid_until == NOW + timedelta(minutes=3)
