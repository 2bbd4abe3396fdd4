"""The verdict on what was seen."""

import itertools

import pytest

from remediation.registry.verdict import (
    LoginAnswer,
    Reply,
    Scheme,
    Seen,
    Verdict,
    judge,
    judge_login,
    login_answer,
    needs_login,
)

OK, NO, FORBIDDEN, GONE = Reply(200), Reply(401), Reply(403), Reply(404)
SCOPE = Reply(401, "insufficient_scope")
BASIC, BEARER, NONE = Scheme.BASIC, Scheme.BEARER, Scheme.NONE
ACCEPTED, REFUSED, UNKNOWN = LoginAnswer.ACCEPTED, LoginAnswer.REFUSED, LoginAnswer.NOT_CHECKED


@pytest.mark.parametrize(
    ("seen", "login", "verdict"),
    [
        (Seen(BASIC, NO, None, OK), UNKNOWN, Verdict.WORKS),
        (Seen(BASIC, NO, None, NO), UNKNOWN, Verdict.WRONG_CREDENTIAL),
        (Seen(BASIC, NO, None, GONE), UNKNOWN, Verdict.ACCEPTED_NO_SUCH_IMAGE),
        (Seen(BASIC, NO, None, FORBIDDEN), ACCEPTED, Verdict.ACCEPTED_NO_RIGHT),
        (Seen(BASIC, NO, None, FORBIDDEN), UNKNOWN, Verdict.DENIED),
        (Seen(BASIC, NO, None, Reply(403, "", "token EXPIRED")), ACCEPTED, Verdict.DENIED),
        (Seen(BASIC, NO, None, Reply(400)), ACCEPTED, Verdict.DENIED),
        (Seen(BASIC, NO), UNKNOWN, Verdict.DENIED),
        (Seen(BEARER, NO, OK, OK), UNKNOWN, Verdict.WORKS),
        (Seen(BEARER, NO, NO), UNKNOWN, Verdict.WRONG_CREDENTIAL),
        (Seen(BEARER, NO, FORBIDDEN), UNKNOWN, Verdict.DENIED),
        (Seen(BEARER, NO, Reply(400)), UNKNOWN, Verdict.DENIED),
        (Seen(BEARER, NO, OK, GONE), UNKNOWN, Verdict.ACCEPTED_NO_SUCH_IMAGE),
        (Seen(BEARER, NO, OK, SCOPE), ACCEPTED, Verdict.ACCEPTED_NO_RIGHT),
        (Seen(BEARER, NO, OK, SCOPE), UNKNOWN, Verdict.DENIED),
        (Seen(BEARER, NO, OK, SCOPE), REFUSED, Verdict.WRONG_CREDENTIAL),
        (Seen(BEARER, NO, OK, FORBIDDEN), ACCEPTED, Verdict.ACCEPTED_NO_RIGHT),
        (Seen(BEARER, NO, OK, NO), ACCEPTED, Verdict.DENIED),
        (Seen(BEARER, NO, OK, Reply(401, "invalid_token")), ACCEPTED, Verdict.DENIED),
        (Seen(BEARER, OK, OK, OK), ACCEPTED, Verdict.NOT_PROVEN_PUBLIC),
        (Seen(BEARER, OK, OK, OK), UNKNOWN, Verdict.NOT_PROVEN_PUBLIC),
        (Seen(BEARER, OK, OK, OK), REFUSED, Verdict.WRONG_CREDENTIAL),
        (Seen(BEARER, OK, NO), UNKNOWN, Verdict.WRONG_CREDENTIAL),
        (Seen(BEARER, GONE, OK, GONE), ACCEPTED, Verdict.NOT_PROVEN_PUBLIC),
        (Seen(BEARER, GONE, OK, OK), ACCEPTED, Verdict.WORKS),
        (Seen(BEARER, GONE, OK, OK), REFUSED, Verdict.WRONG_CREDENTIAL),
        (Seen(BASIC, GONE, None, OK, unasked=True), ACCEPTED, Verdict.HIDDEN),
        (Seen(BASIC, GONE, None, OK, unasked=True), UNKNOWN, Verdict.HIDDEN),
        (Seen(BASIC, GONE, None, GONE, unasked=True), ACCEPTED, Verdict.ACCEPTED_NO_SUCH_IMAGE),
        (Seen(BEARER, GONE, None, FORBIDDEN, unasked=True), ACCEPTED, Verdict.ACCEPTED_NO_RIGHT),
        (Seen(NONE, OK), UNKNOWN, Verdict.NOT_PROVEN_PUBLIC),
        (Seen(NONE, OK), REFUSED, Verdict.WRONG_CREDENTIAL),
        (Seen(NONE, FORBIDDEN), UNKNOWN, Verdict.DENIED),
    ],
)
def test_the_table(seen: Seen, login: LoginAnswer, verdict: Verdict) -> None:
    assert judge(seen, login).verdict is verdict


@pytest.mark.parametrize(
    ("own", "stranger", "expected"),
    [
        (NO, None, REFUSED),
        (NO, OK, REFUSED),
        (OK, NO, ACCEPTED),
        (OK, FORBIDDEN, ACCEPTED),
        (OK, OK, UNKNOWN),
        (OK, None, UNKNOWN),
        (FORBIDDEN, NO, ACCEPTED),
        (FORBIDDEN, FORBIDDEN, UNKNOWN),
        (Reply(400), NO, UNKNOWN),
        (None, None, UNKNOWN),
    ],
)
def test_a_login_is_told_apart_from_a_stranger(
    own: Reply | None, stranger: Reply | None, expected: LoginAnswer
) -> None:
    assert login_answer(own, stranger) is expected


_STATUSES = [200, 400, 401, 403, 404, 418]
_SITUATIONS = [
    Seen(
        scheme,
        Reply(control),
        Reply(token) if token else None,
        Reply(pull) if pull else None,
    )
    for scheme, control, token, pull in itertools.product(
        Scheme, _STATUSES, [None, *_STATUSES], [None, *_STATUSES]
    )
]


def test_it_works_only_where_it_was_refused_without_the_login() -> None:
    for seen, login in itertools.product(_SITUATIONS, LoginAnswer):
        if judge(seen, login).verdict is Verdict.WORKS:
            assert seen.control.status != 200
            assert seen.control.status != 404 or login is not LoginAnswer.REFUSED
            assert seen.pull == OK
            assert seen.token in (None, OK)


def test_a_login_that_was_refused_is_never_written() -> None:
    for seen in _SITUATIONS:
        token_refused = seen.token and seen.token.status == 401
        if token_refused or (seen.public and not needs_login(seen)):
            assert judge(seen, LoginAnswer.REFUSED).verdict.refuses


def test_who_has_not_pulled_is_asked_for_his_login_where_it_matters() -> None:
    assert needs_login(Seen(NONE, OK))
    assert needs_login(Seen(BEARER, NO, OK, NO))
    assert needs_login(Seen(BASIC, NO, None, FORBIDDEN))
    assert not needs_login(Seen(BASIC, NO, None, NO))
    assert not needs_login(Seen(BEARER, OK, NO))
    assert not needs_login(Seen(BASIC, NO, None, OK))


@pytest.mark.parametrize(
    ("login", "verdict"),
    [
        (ACCEPTED, Verdict.ACCEPTED_NO_SUCH_IMAGE),
        (REFUSED, Verdict.WRONG_CREDENTIAL),
        (UNKNOWN, Verdict.NOT_PROVEN_PUBLIC),
    ],
)
def test_a_login_alone(login: LoginAnswer, verdict: Verdict) -> None:
    found = judge_login(login, why="no pod there")

    assert found.verdict is verdict
    assert "no pod there" in found.detail


def test_the_servers_words_are_quoted() -> None:
    found = judge(Seen(BEARER, NO, Reply(403, "", "DENIED: expired")), UNKNOWN)

    assert found.detail.endswith(": DENIED: expired")
