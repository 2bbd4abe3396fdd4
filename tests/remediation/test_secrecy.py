"""No value and no error of the domain shows a password, its base64 or the `auth` it is part of."""

import base64
import json
import traceback
from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from remediation.credential import credential_from_docker_config, credential_from_login
from remediation.docker_config import InvalidCredential, Login, parse_docker_config
from remediation.plan import plan_namespace
from remediation.request import OnConflict
from tests.remediation.values import (
    PASSWORDS,
    REGISTRY,
    a_request,
    a_secret,
    a_state,
    a_task,
    an_account,
    auth_of,
    document,
)

USER = "robot"

# Each makes content of a password that is refused at one place or another.
REFUSED: list[Callable[[str], bytes]] = [
    lambda password: password.encode(),
    lambda password: json.dumps({"auths": password}).encode(),
    lambda password: json.dumps([password]).encode(),
    lambda password: document({"r.io": {"auth": auth_of(USER, password)}})[:-3],
    lambda password: document({"r.io": {"auth": auth_of(USER, password)}}) + b"x",
    lambda password: document({"r.io": password}),
    lambda password: document({"r.io": {"auth": password + "%"}}),
    # Without the colon that would part a user name from a password.
    lambda password: document(
        {"r.io": {"auth": base64.b64encode(password.replace(":", "").encode()).decode()}}
    ),
    lambda password: document({"r.io": {"auth": auth_of(USER, password)[:-5] + "%"}}),
    lambda password: document({"r.io": {"auth": [password]}}),
    lambda password: document({"r.io": {"username": USER, "password": [password]}}),
    lambda password: document({"r.io": {"username": f"a:{password}", "password": password}}),
    lambda password: document({"r.io": {"username": "", "password": password}}),
    lambda password: document({"r.io": {"username": USER, "password": password + "\ud800"}}),
    lambda password: document({f"not a host {password}": {"auth": auth_of(USER, password)}}),
    lambda password: document({}, note=password),
    lambda password: (
        document({"r.io": {"auth": auth_of(USER, password)}}).decode().encode("utf-16")
    ),
]


def forms(password: str) -> Iterator[str]:
    """Yield what must not be shown. The base64 is without its end, which depends on what follows."""
    yield password
    yield json.dumps(password)[1:-1]
    yield base64.b64encode(password.encode()).decode().rstrip("=")[:-1]
    yield auth_of(USER, password).rstrip("=")[:-1]


def shown(value: object) -> str:
    return f"{value!r} {value!s} {value}"


def assert_hidden(text: str, password: str) -> None:
    # Not `assert form not in text`: pytest would print both.
    if any(form in text for form in forms(password)):
        pytest.fail("a password is shown")


@given(PASSWORDS, st.sampled_from(OnConflict), st.booleans())
def test_no_value_shows_the_password(password: str, on_conflict: OnConflict, ours: bool) -> None:
    credential = credential_from_login("reg", REGISTRY, Login(USER, password))
    task = a_task(a_request(on_conflict=on_conflict), credential)
    stale = document({"quay.io": {"auth": auth_of(USER, password)}})
    states = [
        a_state(an_account("default"), secret=secret)
        for secret in (
            None,
            a_secret(credential.content),
            a_secret(stale, ours=ours),
            a_secret(stale, immutable=True),
            a_secret(stale, type="Opaque"),
            a_secret(password.encode()),
        )
    ]
    plans = [plan_namespace(task, state) for state in states]

    values = [
        credential,
        credential.config,
        credential.config.logins,
        credential.registries,
        credential.usernames,
        task,
        *states,
        *plans,
    ]
    for value in values:
        assert_hidden(shown(value), password)


@given(PASSWORDS, st.sampled_from(REFUSED))
@example("a:-s3cr3t-", REFUSED[7])
def test_no_error_shows_the_password(password: str, content_of: Callable[[str], bytes]) -> None:
    with pytest.raises(InvalidCredential) as caught:
        credential_from_docker_config("reg", content_of(password))

    error = caught.value
    assert_hidden(shown(error), password)
    assert_hidden("".join(traceback.format_exception(error)), password)


@given(PASSWORDS, st.binary(max_size=30))
def test_no_garbage_raises_anything_else(password: str, garbage: bytes) -> None:
    content = document({"r.io": {"auth": auth_of(USER, password)}})
    for broken in (garbage, content[: len(garbage)], content[:20] + garbage + content[20:]):
        try:
            parse_docker_config(broken)
        except InvalidCredential as error:
            assert_hidden(shown(error), password)


@given(PASSWORDS)
def test_no_error_about_a_login_shows_the_password(password: str) -> None:
    for registry, login in (
        (f"{REGISTRY} {password}", Login(USER, password)),
        (REGISTRY, Login("", password)),
        (REGISTRY, Login(f"{USER}:{password}", password)),
        (REGISTRY, Login(USER, password + "\udc80")),
    ):
        with pytest.raises(InvalidCredential) as caught:
            credential_from_login("reg", registry, login)
        assert_hidden(shown(caught.value), password)
