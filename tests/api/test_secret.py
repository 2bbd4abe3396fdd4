"""Secret members of a body: not shown by what is made of it, not remembered of it."""

from typing import Any

import pytest

from api.acceptance import Plan
from api.inline import login_of, sealer
from api.remediation_request import RemediationRequestSchema, to_request
from api.sealing import SealingKey
from api.secret import without_secrets

PASSWORD = "hunter2-7f3a"
BODY: dict[str, Any] = {
    "clusters": ["*"],
    "inline_credential": {"registry": "r.io", "username": "robot", "password": PASSWORD},
}


def test_nothing_that_is_made_of_a_body_shows_its_password() -> None:
    loaded = RemediationRequestSchema().load(BODY)
    login = login_of(loaded)
    request = to_request(loaded)
    plan = Plan(request, [], seal=sealer(SealingKey(b"k" * 32), login))

    assert login
    assert login.login.password == PASSWORD
    for value in (loaded, login, request, plan):
        assert PASSWORD not in f"{value!r} {value}"


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (BODY, {"clusters": ["*"], "inline_credential": {"registry": "r.io", "username": "robot"}}),
        ({"inline_credential": {"password": [PASSWORD]}}, {"inline_credential": {}}),
        ({"inline_credential": {"password": {"x": PASSWORD}}}, {"inline_credential": {}}),
        ({"clusters": {"inline_credential": 1}}, {"clusters": {"inline_credential": 1}}),
        ({"inline_credential": None}, {"inline_credential": None}),
        ([1, {"a": 2}], [1, {"a": 2}]),
        ("text", "text"),
        (None, None),
    ],
)
def test_what_is_remembered_of_a_body_is_without_secrets(body: Any, shown: Any) -> None:
    assert without_secrets(body, RemediationRequestSchema()) == shown
