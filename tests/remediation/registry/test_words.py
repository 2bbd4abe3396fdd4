"""What may be repeated of a registry's answer."""

import base64
import json

import pytest

from remediation.docker_config import Login
from remediation.redaction import GONE
from remediation.registry.words import MOST_SHOWN, known_error, server_words

LOGIN = Login("robot", "p%ss wörd+1")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            b'{"errors":[{"code":"DENIED","message":"no access","detail":null}]}',
            "DENIED: no access",
        ),
        (b'{"error":"invalid_grant","error_description":"wrong"}', "invalid_grant: wrong"),
        (b'{"details":"incorrect username or password"}', "incorrect username or password"),
        (b"plain text\nof two lines", "plain text of two lines"),
        (b"<html>a page</html>", ""),
        (b"", ""),
        (b'{"errors":[]}', ""),
        (b"[" * 100_000, "[" * MOST_SHOWN),
        (b"\x1b[31mred", " [31mred"),
        (b"\\" * 65_000, "\\" * MOST_SHOWN),
        (b"a." * 32_000, "a." * (MOST_SHOWN // 2)),
    ],
)
def test_an_error_answer(body: bytes, words: str) -> None:
    assert server_words(body, LOGIN) == words


def test_words_are_short() -> None:
    assert len(server_words(b"no " * 5000, None)) == MOST_SHOWN


@pytest.mark.parametrize(
    "form",
    [
        "p%ss wörd+1",
        base64.b64encode("robot:p%ss wörd+1".encode()).decode(),
        "p%25ss+w%C3%B6rd%2B1",
        "p%25ss%20w%C3%B6rd%2B1",
        "p%25ss%20w%c3%b6rd%2b1",
        "p%2525ss%2520w%25C3%25B6rd%252B1",
        "p%ss w&ouml;rd+1",
        r"p%ss w\u00f6rd\u002b1",
        base64.urlsafe_b64encode("robot:p%ss wörd+1".encode()).decode(),
        "p%ss wörd+1".encode().hex().upper(),
    ],
)
def test_no_form_of_the_password_is_repeated(form: str) -> None:
    body = json.dumps({"message": f"{'x' * 155} {form}"}).encode()

    assert server_words(body, LOGIN) == ""


def test_the_token_that_was_sent_is_not_repeated() -> None:
    body = json.dumps({"errors": [{"message": "invalid token eyJhbGciOiJ9.eyJzdWIiOiJ9.c2lnbmVk"}]})

    assert server_words(body.encode(), LOGIN) == f"invalid token {GONE}"


def test_only_known_reasons_are_repeated() -> None:
    assert known_error("insufficient_scope") == "insufficient_scope"
    assert known_error("hunter2") == ""
