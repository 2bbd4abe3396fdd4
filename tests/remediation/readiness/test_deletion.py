"""What is on its way out covers nothing any more."""

import pytest

from remediation.readiness.finding import Coverage, FindingClass, Severity
from remediation.readiness.observation import Account, Going, Owner, PullSecret
from tests.remediation.readiness.cluster import CONTENTS, Cluster, classes, only

W = FindingClass
GOING = Going(deleting=True, finalizers=("example.com/hold",))


def secret(cluster: Cluster, name: str, kind: str, going: Going = GOING) -> Cluster:
    """Add a Secret on its way out."""
    cluster.judge.add_secret(PullSecret("team", name, *CONTENTS[kind], going=going))
    return cluster


def test_a_secret_on_its_way_out_is_in_doubt() -> None:
    cluster = secret(Cluster(), "docker", "ours").account("docker").workload()

    found = only(cluster.found(), "W_DANGLING")

    assert (found.coverage, found.severity, found.doubt) == (
        Coverage.DELETING,
        Severity.BLOCKING,
        True,
    )
    assert "example.com/hold" in found.explanation
    assert "remediator run" in found.fix


def test_another_secret_that_stays_covers() -> None:
    cluster = secret(Cluster(), "old", "ours").secrets(docker="ours")
    cluster.account("old", "docker").workload()

    assert classes(cluster.found()) == {W.W_COVERED_SA}


@pytest.mark.parametrize(
    ("kind", "rest", "expected"),
    [
        # It does harm as long as it is there.
        ("malformed", "ours", W.W_POISONED),
        # It makes no difference: what is left decides.
        ("elsewhere", "elsewhere", W.W_SA_UNPATCHED),
        ("ours", "elsewhere", W.W_DANGLING),
    ],
)
def test_a_secret_on_its_way_out_beside_another(kind: str, rest: str, expected: W) -> None:
    cluster = secret(Cluster(), "old", kind).secrets(rest=rest)
    cluster.account("old", "rest").workload()

    assert expected in classes(cluster.found())


def test_a_secret_is_collected_with_the_last_of_its_owners() -> None:
    one, both = Going(owners=("a",)), Going(owners=("a", "b"))
    for going, doubt in ((one, True), (both, False)):
        cluster = secret(Cluster(), "docker", "ours", going).account("docker").workload()
        cluster.judge.leaving.add("a", "Deployment 'owner'")

        assert (W.W_DANGLING in classes(cluster.found())) is doubt


def test_a_pod_that_names_a_secret_on_its_way_out_is_in_doubt() -> None:
    cluster = secret(Cluster(), "docker", "ours").account("docker").workload().pod("docker")

    assert only(cluster.found(), "P_").finding_class is W.P_UNKNOWN
    assert cluster.judged().renewals == (), "it names the right Secret"


def test_a_pod_whose_account_is_on_its_way_out_is_not_made_again_well() -> None:
    cluster = Cluster().secrets(docker="ours")
    cluster.judge.add_account(Account("team", "default", "u", "1", ("docker",), going=GOING))
    cluster.workload(kind="CronJob").pod("docker", controller=None)

    found = cluster.found()

    row = only(found, "W_SA_MISSING")
    assert (row.severity, row.doubt) == (Severity.BLOCKING, True)
    assert "SA_UNUSED_UNPATCHED" in classes(found)


def test_an_account_on_its_way_out_is_not_asked_to_be_patched() -> None:
    cluster = Cluster().secrets(docker="ours")
    cluster.judge.add_account(Account("team", "builder", "u", "1", going=GOING))

    assert W.SA_UNUSED_UNPATCHED not in classes(cluster.found())


def test_pods_of_a_workload_that_is_being_deleted_are_not_made_again() -> None:
    cluster = Cluster().account().workload(kind="StatefulSet", name="db", deleting=True)
    cluster.pod(name="db-0", controller=Owner("StatefulSet", "db"))

    (found,) = cluster.found()
    assert found.finding_class is W.P_RISK_LOW
    assert "its own finding" not in found.fix, "it has none"
    assert found.fix.startswith("StatefulSet db is being deleted and makes no new pods")
    assert found.fix.endswith("delete pod db-0")


def test_a_replicaset_goes_on_while_its_deployment_is_being_deleted() -> None:
    cluster = Cluster().account().workload(deleting=True)
    cluster.workload(kind="ReplicaSet", name="web-1", controller=Owner("Deployment", "web"))

    assert only(cluster.found(), "W_SA_UNPATCHED").name == "web-1"
