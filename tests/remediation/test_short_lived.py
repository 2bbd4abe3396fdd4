"""Logins that end by themselves are told by user name, host and the form of the password."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remediation.docker_config import Login
from remediation.short_lived import short_lived, short_lived_names

ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
NO_ONE = "00000000-0000-0000-0000-000000000000"


def token(claims: Any) -> str:
    parts = ({"alg": "RS256"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
    return ".".join((*(part.rstrip("=") for part in encoded), "c2ln"))


@pytest.mark.parametrize(
    ("key", "username", "ending"),
    [
        (ECR, "AWS", "12 hours"),
        (f"https://{ECR}/v2/", "AWS", "12 hours"),
        (f"{ECR.upper()}:443", "AWS", "12 hours"),
        (f"{ECR}.cn", "AWS", "12 hours"),
        ("1.dkr-ecr.us-east-1.on.aws", "AWS", "12 hours"),
        ("*.dkr.ecr.eu-west-1.amazonaws.com/team", "AWS", "12 hours"),
        ("public.ecr.aws", "AWS", "12 hours"),
        ("registry.gitlab.com", "gitlab-ci-token", "CI job"),
        ("gitlab.example.com:5050/team", "gitlab-ci-token", "CI job"),
        ("team.azurecr.io", NO_ONE, "3 hours"),
        ("eu.gcr.io", "oauth2accesstoken", "1 hour"),
        ("gcr.io/project", "oauth2accesstoken", "1 hour"),
        ("europe-docker.pkg.dev", "_dcgcloud_token", "1 hour"),
        ("ghcr.io", "x-access-token", "1 hour"),
        ("ghcr.io", "github-actions[bot]", "CI job"),
        ("de.icr.io", "iambearer", "1 hour"),
        ("1.dkr.ecr.us-iso-east-1.c2s.ic.gov", "AWS", "12 hours"),
        ("1.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", "AWS", "12 hours"),
        ("ecr-public.aws.com", "AWS", "12 hours"),
        ("ocir.eu-frankfurt-1.oci.oraclecloud.com", "BEARER_TOKEN", "1 hour"),
    ],
)
def test_a_login_that_ends_is_told_without_its_password(
    key: str, username: str, ending: str
) -> None:
    (found,) = short_lived_names([key], [username])

    assert ending in found.text
    assert key in found.text
    assert short_lived([(key, Login(username, "made-up"))]) == (found,)
    assert "made-up" not in repr(found)


@pytest.mark.parametrize(
    ("key", "username"),
    [
        ("registry.example.com", "AWS"),
        (ECR, "robot"),
        (f"evil-{ECR}.example.com", "AWS"),
        ("team.azurecr.io", "team"),
        ("eu.gcr.io", "_json_key"),
        ("registry.gitlab.com", "gitlab+deploy-token-7"),
        ("ghcr.io", "octocat"),
        ("%%%", "AWS"),
    ],
)
def test_a_login_that_does_not_end_is_not_told(key: str, username: str) -> None:
    assert short_lived_names([key], [username]) == ()


def test_a_token_says_when_it_ends() -> None:
    password = token({"exp": 1798761600})

    (found,) = short_lived([("registry.example.com", Login("unused", password))])

    assert found.ends_at == datetime(2027, 1, 1, tzinfo=UTC)
    assert found.ending == "ends at 2027-01-01T00:00:00Z"
    assert password not in repr(found)


def test_a_token_of_a_github_app_ends() -> None:
    (found,) = short_lived(
        [("ghcr.io", Login("octocat", "ghs_16C7e42F292c6912E7710c838347Ae178B4a"))]
    )

    assert "1 hour" in found.ending


def packed(content: str) -> str:
    return base64.b64encode(content.encode()).decode()


@pytest.mark.parametrize(
    "password",
    [
        # As `aws ecr get-login-password` prints it.
        packed(
            '{"payload":"x","datakey":"y","version":"2","type":"DATA_KEY","expiration":1798761600}'
        ),
        packed("reftkn:01:1798761600:abcdefGhijklmnoPqrstuVwxyz0"),
        packed("reftkn:01:1798761600:abcdefGhijklmnoPqrstuVwxyz0").rstrip("="),
        "glcbt-" + token({"exp": 1798761600}),
    ],
)
def test_other_tokens_say_when_they_end(password: str) -> None:
    (found,) = short_lived([("mirror.example.com", Login("AWS", password))])

    assert found.ends_at == datetime(2027, 1, 1, tzinfo=UTC)
    assert password not in repr(found)
    now = datetime(2027, 1, 1, tzinfo=UTC)
    assert found.told(now) == f"{found.text}, which is over"
    assert found.told(now - timedelta(seconds=1)) == found.text


@pytest.mark.parametrize(
    ("password", "ending"),
    [("glcbt-64_abcdef", "CI job"), ("ya29.c.b0AXv0zTP", "1 hour")],
)
def test_a_token_is_known_by_its_first_letters(password: str, ending: str) -> None:
    (found,) = short_lived([("registry.example.com", Login("robot", password))])

    assert ending in found.ending
    assert found.ends_at is None


@pytest.mark.parametrize(
    "password",
    [
        token({}),
        token({"exp": "soon"}),
        token({"exp": True}),
        token({"exp": 1e300}),
        token({"exp": None}),
        token([1]),
        "eyJhbGciOiJSUzI1NiJ9.%%%.c2ln",
        "ey.ey.ey",
        "ey..",
        "a.b.c",
        packed('{"payload":"x","expiration":"soon"}'),
        packed('{"payload":"x"}'),
        packed("reftkn:01:0000000000:abcdefGhijklmnoPqrstuVwxyz0"),  # it does not end
        packed("reftkn:01:soon:abcdef"),
        "cmVmdGtuO%%%",
        "eyJ" + "A" * 30_000,
        "ey" + "." * 70_000,
        "",
    ],
)
def test_what_says_no_end_has_none(password: str) -> None:
    assert short_lived([("registry.example.com", Login("unused", password))]) == ()
