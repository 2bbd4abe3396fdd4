"""Two requests that may be about one namespace."""

import pytest

from remediation.overlap import may_overlap
from remediation.readiness.request import CheckRequest
from remediation.request import RemediationRequest


@pytest.mark.parametrize(
    ("namespaces", "ignore", "asked", "left_out", "meet"),
    [
        (["*"], [], ["*"], [], True),
        (["team-a"], [], ["team-b"], [], False),
        (["team-a"], [], ["team-a", "team-b"], [], True),
        (["team-*"], [], ["team-a"], [], True),
        (["team-*"], [], ["shop"], [], False),
        (["team-*"], [], ["shop-*"], [], True),  # globs may meet as far as this looks
        (["*"], ["shop"], ["shop"], [], False),
        (["*"], [], ["shop"], ["shop"], False),
        (["team-a"], [], ["*"], ["team-*"], False),
        (["team-*"], [], ["*"], ["team-*"], False),
        (["team-a", "shop"], [], ["*"], ["team-*"], True),
        (["team-a"], [], ["*"], ["team-a?"], True),
        (["*"], ["team-*"], ["team-*"], [], False),
    ],
)
def test_requests_meet(
    namespaces: list[str], ignore: list[str], asked: list[str], left_out: list[str], meet: bool
) -> None:
    request = RemediationRequest(
        clusters=("eu",), namespaces=tuple(namespaces), ignore=tuple(ignore)
    )
    check = CheckRequest(
        clusters=("eu",), registries=("r",), namespaces=tuple(asked), ignore=tuple(left_out)
    )

    assert may_overlap(request, check) is may_overlap(check, request) is meet
