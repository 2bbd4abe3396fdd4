"""The last words of a program: what helps stays, what may be a secret goes."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.redaction import GONE, is_secret_name, last_words

KEPT = [
    "Error: token expired, run: company-login --cluster eu",
    "The SSO session associated with this profile has expired or is otherwise invalid.",
    "Unable to locate credentials. You can configure credentials by running 'aws configure'.",
    "There was a problem refreshing your current auth tokens: Reauthentication failed.",
    "AADSTS700082: The refresh token has expired due to inactivity.",
    "profile arn:aws:eks:eu-west-1:123456789012:cluster/prod-eu-west-1 could not be found",
    "Please run 'az login' to setup account.",
    "getting credentials: exec: executable aws failed with exit code 255",
    "File /usr/lib/python3.11/site-packages/botocore/session.py: no such profile",
]


@pytest.mark.parametrize("line", KEPT)
def test_what_helps_is_kept(line):
    assert last_words(line.encode()) == line


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("password hunter2 is wrong", f"password {GONE} is wrong"),
        ("password: hunter2", f"password: {GONE}"),
        (r'answer "{\"token\":\"a b\"}"', rf'answer "{{\"token\":{GONE}}}"'),
        ("PASS=hunter2-x", f"PASS={GONE}"),
        ("sent password%3Dhunter2&x", f"sent password%3D{GONE}&x"),
        ("PASSWORD=hunter KUBE=x", f"PASSWORD={GONE} KUBE=x"),
        ("Authorization: Bearer hunter", f"Authorization: {GONE}"),
        ("sent Bearer abc1234", f"sent Bearer {GONE}"),
        ("sent Basic dXNlcjpwYXNz", f"sent Basic {GONE}"),
        ('{"token": "a b", "x": 1}', f'{{"token": {GONE}, "x": 1}}'),
        ("--client-secret hunter x", f"--client-secret {GONE} x"),
        ("-p hunter", f"-p {GONE}"),
        ("https://u:p@ss/w@host/x", f"https://{GONE}@host/x"),
        ("https://host/cb?code=1#y", f"https://host/cb?{GONE}"),
        ("bad eyJhbGciOiJ.eyJzd.ssss!", f"bad {GONE}!"),
        ("key wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", f"key {GONE}"),
        ("id AKIAIOSFODNN7EXAMPLE", f"id {GONE}"),
        ("is 12345678-1234-1234-1234-123456789012", f"is {GONE}"),
        ("ghp_abcdefghijklm", GONE),
        ("bootstrap abcdef.0123456789abcdef", f"bootstrap {GONE}"),
        ("-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\nbye", f"{GONE}; bye"),
        ("password:\nhunter", f"password:; {GONE}"),
    ],
)
def test_what_may_be_a_secret_goes(said, shown):
    assert last_words(said.encode()) == shown


def test_what_is_known_to_be_secret_goes_whatever_it_looks_like():
    assert (
        last_words(b"it is correct horse, really", ["correct horse\n"]) == f"it is {GONE}, really"
    )


def test_the_last_three_lines_are_told_short_and_printable():
    said = b"zero\n\x1b[31mone\x1b[0m\n\n two\tthree \r\n" + b"x y " * 200 + b"\xff\n"

    first, second, third = last_words(said).split("; ")

    assert (first, second) == ("one", "two three")
    assert len(third) == 240
    assert third.isprintable()


def test_nothing_said_is_nothing_told():
    assert last_words(b" \n\n") == ""


@given(
    st.text(string.ascii_letters + string.digits + "+/=-_.", min_size=24, max_size=60).filter(
        lambda text: (
            any(map(str.isdigit, text))
            and any(map(str.isupper, text))
            and any(map(str.islower, text))
            and "." not in text
        )
    ),
    st.sampled_from(["{}", "token {}", "said '{}'", "x={};", '"{}"', "({})", "a:{}"]),
)
def test_no_long_random_text_is_told(secret, around):
    assert secret not in last_words(around.format(secret).encode())


@pytest.mark.parametrize(
    ("name", "secret"),
    [("--token", True), ("COMPANY_PASSWORD", True), ("AWS_PROFILE", False), ("--region", False)],
)
def test_names_of_secrets_are_known(name, secret):
    assert is_secret_name(name) is secret
