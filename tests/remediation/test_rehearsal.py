"""What a dry run makes of the API server's word about writes."""

import pytest

from remediation.caution import CautionCode
from remediation.outcome import Error, ErrorCode, NamespaceResult, Outcome
from remediation.plan import NamespacePlan, would_result
from remediation.rehearsal import MOST_ASKED, foretold, to_ask, unasked

PLAN = NamespacePlan("kube-system")
HINT = "GKE manages this namespace and refuses every account: name the namespace in `ignore`"


def test_all_open_plans_are_asked_about_up_to_a_bound_and_those_of_providers_first():
    settled = NamespacePlan("done", NamespaceResult("done", Outcome.UNCHANGED))
    few = [NamespacePlan("shop"), settled, NamespacePlan("gke-gmp-system")]
    assert [plan.namespace for plan in to_ask(few)] == ["gke-gmp-system", "shop"]

    many = [NamespacePlan(f"team-{number:05}") for number in range(10_000)]
    asked = [plan.namespace for plan in to_ask([*many, NamespacePlan("openshift-monitoring")])]
    assert len(asked) == len(set(asked)) == MOST_ASKED
    assert asked[0] == "openshift-monitoring"
    assert asked[-1] > "team-09900"
    assert to_ask([]) == []
    managed = [NamespacePlan(f"openshift-{number}") for number in range(MOST_ASKED + 5)]
    assert to_ask([*managed, *many]) == managed[:MOST_ASKED]


@pytest.mark.parametrize(
    "code",
    [ErrorCode.FORBIDDEN, ErrorCode.ADMISSION_DENIED, ErrorCode.QUOTA_EXCEEDED],
)
def test_a_write_that_is_refused_for_good_is_a_failed_row(code: ErrorCode):
    refused = foretold(PLAN, Error(code, "refused", HINT)).settled

    assert refused
    assert (refused.outcome, refused.error) == (Outcome.FAILED, Error(code, "refused", HINT))


@pytest.mark.parametrize(
    ("code", "final"),
    [
        (ErrorCode.FORBIDDEN, False),  # roles: another worker may carry it out
        (ErrorCode.QUOTA_EXCEEDED, False),  # not counted yet
        (ErrorCode.INTERNAL, True),  # a webhook that answers no dry run
        (ErrorCode.UNREACHABLE, False),
    ],
)
def test_what_is_no_word_about_the_write_is_a_warning(code: ErrorCode, final: bool):
    plan = foretold(PLAN, Error(code, "no answer", "do this"), final=final)

    row = would_result(plan)
    assert row.outcome is Outcome.WOULD_CHANGE
    (caution,) = row.cautions
    assert (caution.code, caution.by, caution.hint) == (CautionCode.WRITE_UNKNOWN, code, "do this")


def test_what_was_not_asked_about_says_so():
    (caution,) = unasked(PLAN).cautions

    assert (caution.code, caution.by) == (CautionCode.WRITE_UNKNOWN, "not asked")


def test_a_namespace_that_goes_away_is_skipped_and_one_that_takes_the_write_stays():
    going = foretold(PLAN, Error(ErrorCode.NAMESPACE_TERMINATING, "it is terminating"))

    assert going.settled
    assert (going.settled.outcome, going.settled.reason) == (Outcome.SKIPPED, "it is terminating")
    assert foretold(PLAN, None) == PLAN
