"""ServiceAccounts that are meant and are not there."""

import pytest

from remediation.absence import absent_accounts, tell_absent
from remediation.selection import AccountSelection
from tests.remediation.values import a_request


@pytest.mark.parametrize(
    ("wanted", "ignored", "present", "absent"),
    [
        (["*"], [], ["default"], ()),
        (["*"], [], [], ("default",)),
        (["*"], [], ["app"], ("default",)),
        (["*"], ["default"], ["app"], ()),
        (["ci-*"], [], [], ()),
        (["builder"], [], ["default"], ("builder",)),
        (["builder", "deployer"], [], ["builder"], ()),
        (["team/builder", "other/x"], [], ["default"], ("builder",)),
        (["team/builder", "app"], [], ["app"], ("builder",)),
        (["team/b*"], [], ["app"], ()),
    ],
)
def test_what_is_meant_and_missing_is_named(wanted, ignored, present, absent):
    request = a_request(service_accounts=wanted, ignore_service_accounts=ignored)

    found = absent_accounts(request, AccountSelection.of(request), "team", set(present))

    assert found == absent


def test_many_missing_names_make_one_short_sentence():
    caution = tell_absent("team", tuple(f"a{number}" for number in range(9)))

    assert caution
    assert "a0, a1, a2, a3, a4 and 4 more do not exist" in caution.detail
    assert tell_absent("team", ()) is None
