"""What is about the whole service needs a permission that counts everywhere."""

import pytest
from flask import Flask, g

from api.access import Caller, Permission
from api.authorization import check_everywhere
from api.identity import Identity, Method
from api.problems import Problem
from remediation.permission import Grant, Requester, Rights, Role

EVERYWHERE = ("*",)


@pytest.mark.parametrize(
    ("clusters", "namespaces", "enough"),
    [
        (EVERYWHERE, EVERYWHERE, True),
        (("eu-*",), EVERYWHERE, False),
        (EVERYWHERE, ("team-*",), False),
    ],
)
def test_a_part_is_not_enough_for_the_whole(
    app: Flask, clusters: tuple[str, ...], namespaces: tuple[str, ...], enough: bool
) -> None:
    grant = Grant(
        role=Role.OPERATOR, clusters=clusters, namespaces=namespaces, credentials=EVERYWHERE
    )
    with app.test_request_context():
        g.caller = Caller(Identity(Requester("user:mia"), Method.OIDC), Rights((grant,)))
        if enough:
            check_everywhere(Permission.PAUSE_SERVICE)
            return
        with pytest.raises(Problem) as caught:
            check_everywhere(Permission.PAUSE_SERVICE)

    assert caught.value.slug == "forbidden"
    assert clusters[0] in caught.value.detail
