"""Which drift warnings a row keeps: those about what was written, or may have been."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from remediation.caution import Caution, CautionCode
from remediation.drift.cautions import cautions_of
from remediation.drift.past import Memory
from remediation.drift.signals import Signals
from remediation.outcome import NamespaceResult, Outcome, SecretAction
from remediation.plan import Intent, carry_over, would_result
from remediation.request import OnConflict
from tests.remediation.test_plan import planned
from tests.remediation.values import a_request, a_secret, a_state, a_task, an_account

NOW = datetime(2026, 11, 28, tzinfo=UTC)
TASK = a_task(a_request(on_conflict=OnConflict.REPLACE))
DRIFTS = Signals(named=("team",), tools=("Argo CD",))
SECRET = replace(a_secret(b'{"auths":{}}'), signals=Signals(keeper="ExternalSecret x"))
PLAN = planned(
    TASK,
    a_state(*(replace(an_account(name), signals=DRIFTS) for name in ("app", "bad")), secret=SECRET),
)
FAILED = NamespaceResult("team-a", Outcome.FAILED)


@pytest.mark.parametrize(
    ("row", "objects"),
    [
        (would_result(PLAN), ["docker", "app", "bad"]),
        (replace(FAILED, changed_accounts=("app",)), ["app"]),
        (
            replace(FAILED, changed_accounts=("app",), secret_action=SecretAction.REPLACED),
            ["docker", "app"],
        ),
        (replace(FAILED, secret_action=SecretAction.UNCHANGED), []),
        (FAILED, []),
        (replace(FAILED, doubtful=True), ["docker", "app", "bad"]),
        (
            replace(
                FAILED,
                doubtful=True,
                doubtful_accounts=("bad",),
                secret_action=SecretAction.UNCHANGED,
            ),
            ["bad"],
        ),
        (
            replace(FAILED, outcome=Outcome.CANCELLED, changed_accounts=("bad",)),
            ["bad"],
        ),
    ],
)
def test_what_was_written_keeps_its_warning_however_the_namespace_ended(
    row: NamespaceResult, objects: list[str]
):
    found = cautions_of(PLAN, row, TASK, Memory(), NOW)

    assert [each.object.rpartition("/")[2] for each in found] == objects


def warning(object_: str) -> Caution:
    return Caution(CautionCode.DRIFT, "Argo CD", object_, "x")


def test_a_resumed_run_keeps_the_warnings_about_what_an_earlier_attempt_wrote():
    about: dict[str, Any] = {
        name: warning(f"serviceaccounts/team-a/{name}") for name in ("done", "left")
    }
    about["docker"] = warning("secrets/team-a/docker")
    intent = Intent(SecretAction.REPLACED, ("done", "left"), cautions=tuple(about.values()))
    in_line = a_secret(TASK.credential.content)
    half = planned(TASK, a_state(an_account("done", "docker"), an_account("left"), secret=in_line))
    whole = planned(TASK, a_state(an_account("done", "docker"), secret=in_line))

    resumed, ended = carry_over(half, intent), carry_over(whole, intent)

    assert set(about) == {"done", "left", "docker"}
    assert [each for each in resumed.cautions if each.code is CautionCode.DRIFT] == [
        about["done"],
        about["docker"],
    ]
    assert ended.settled
    assert [each for each in ended.settled.cautions if each.code is CautionCode.DRIFT] == [
        about["done"],
        about["docker"],
    ]
