"""What a plan says of the pods and templates that its writes concern."""

from remediation.caution import Caution, CautionCode, bounded, count_cautions
from remediation.outcome import SecretAction
from remediation.plan import NamespacePlan, would_result
from remediation.plan_secret import SecretWrite
from remediation.usage import Usage, warned
from tests.remediation.values import a_secret, an_account

DELETES = NamespacePlan("team", secret=SecretWrite(SecretAction.DELETED, b"", a_secret(b"{}")))
ATTACHES = NamespacePlan("team", accounts=(an_account("default"), an_account("app")))


def test_a_deletion_counts_what_names_the_secret():
    usage = Usage(
        naming={"team": 3, "other": 9},
        templates={"team": ("CronJob a", "Deployment b", "Job c", "Job d")},
    )

    row = would_result(warned(DELETES, usage, "docker"))

    (caution,) = row.cautions
    assert (caution.code, caution.object) == (CautionCode.SECRET_IN_USE, "secrets/team/docker")
    assert "by 3 pods, 4 templates (CronJob a, Deployment b, Job c, …)" in caution.detail
    assert row.reason == caution.detail


def test_a_deletion_counts_the_service_accounts_of_others():
    plan = NamespacePlan("team", secret=DELETES.secret, namers=("own",), reason="before")

    row = would_result(warned(plan, Usage(), "docker"))

    assert "by 1 ServiceAccount (own)" in (row.reason or "")
    assert (row.reason or "").startswith("before; ")


def test_what_cannot_be_listed_is_not_taken_for_unused():
    row = would_result(warned(DELETES, Usage(unread=("jobs", "pods")), "docker"))

    (caution,) = row.cautions
    assert caution.code is CautionCode.USE_UNKNOWN
    assert "could not list jobs, pods" in caution.detail


def test_what_was_read_in_part_is_a_lower_bound_or_unknown():
    some = warned(DELETES, Usage(naming={"team": 1}, partly=True), "docker")
    none = warned(DELETES, Usage(partly=True), "docker")

    assert "by at least 1 pod" in some.cautions[0].detail
    assert [caution.code for caution in none.cautions] == [CautionCode.USE_UNKNOWN]
    assert "look for 'docker'" in none.cautions[0].hint, "rights change nothing"


def test_a_secret_that_nothing_names_goes_without_a_word():
    assert warned(DELETES, Usage(), "docker") == DELETES


def test_only_pods_of_the_accounts_that_change_are_named():
    usage = Usage(
        operated={
            ("team", "app"): {"VitessShard": 2},
            ("team", "other"): {"VitessShard": 1},
            ("elsewhere", "app"): {"VitessShard": 1},
        }
    )

    (caution,) = warned(ATTACHES, usage, "docker").cautions

    assert (caution.code, caution.by) == (CautionCode.OPERATOR_DRIFT, "VitessShard")
    assert caution.object == "serviceaccounts/team/app"
    assert "ignore_service_accounts 'team/app'" in caution.hint


def test_pods_that_were_not_listed_leave_operators_unknown():
    plan = NamespacePlan("team", accounts=ATTACHES.accounts)
    refused = Usage(unread=("pods",), unfinished=frozenset({"team"}))
    many = Usage(partly=True, unfinished=frozenset({"team"}))
    read = Usage(partly=True, unfinished=frozenset({"other"}))

    (first,) = warned(plan, refused, "docker").cautions
    (second,) = warned(plan, many, "docker").cautions

    assert (first.code, first.by, first.number) == (CautionCode.USE_UNKNOWN, "pods", 2)
    assert first.object == "serviceaccounts/team/default"
    assert "could not list pods" in first.detail
    assert "grant" in first.hint
    assert "more than the 10000 pods" in second.detail
    assert "fewer namespaces" in second.hint
    assert warned(plan, read, "docker") == plan
    assert warned(NamespacePlan("team"), refused, "docker") == NamespacePlan("team"), "no entry"


def test_the_warnings_of_a_row_are_bounded():
    plan = NamespacePlan("team", accounts=tuple(an_account(f"a{n}") for n in range(50)))
    usage = Usage(operated={("team", f"a{n}"): {"Shard": 1} for n in range(50)})

    found = bounded(warned(plan, usage, "docker").cautions)

    assert len(found) == 10
    assert found[-1].detail.endswith("(and 40 more like this)")
    assert count_cautions(found) == {"warnings.operator_drift.Shard": 50}


def test_a_kind_of_warning_is_never_crowded_out():
    many = [Caution(CautionCode.DRIFT, "Flux", f"serviceaccounts/a/{n}", "x") for n in range(30)]
    last = Caution(CautionCode.LOGIN_LOST, "", "secrets/a/docker", "x")

    found = bounded([*many, last])

    assert (len(found), found[-1]) == (11, last)
    assert sum(each.number for each in found) == 31
