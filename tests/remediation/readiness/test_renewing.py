"""How pods are made again: built-in controllers by a rollout or in portions, operators by their own procedure."""

from typing import Any

import pytest

from remediation.readiness.observation import (
    Container,
    ContainerState,
    DisruptionBudget,
    Owner,
    Rollout,
)
from remediation.readiness.renewing import Renewer, lines, note
from remediation.readiness.restart import plan_restarts
from tests.remediation.readiness.cluster import IMAGE, Cluster

ALWAYS = Container("main", IMAGE, pull_policy="Always", state=ContainerState.RUNNING, image_id="x")
PODS = ("pg-1", "pg-2", "pg-3")
START = "kubectl --context prod -n team"


@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        (
            Owner("Cluster", "pg", "postgresql.cnpg.io"),
            "kubectl cnpg restart pg --context prod -n team",
        ),
        (
            Owner("StrimziPodSet", "k", "core.strimzi.io"),
            f"{START} annotate --overwrite strimzipodset k strimzi.io/manual-rolling-update=true",
        ),
        (
            Owner("Rollout", "web", "argoproj.io"),
            "kubectl argo rollouts restart web --context prod -n team",
        ),
        (
            Owner("PostgresCluster", "h", "postgres-operator.crunchydata.com"),
            f"{START} patch postgrescluster h --type merge"
            ' -p \'{"spec": {"metadata": {"annotations": {"restarted": "for-pull-secret"}}}}\'',
        ),
        (
            Owner("Elasticsearch", "es", "elasticsearch.k8s.elastic.co"),
            f"{START} edit elasticsearch.elasticsearch.k8s.elastic.co es",
        ),
        (
            Owner("DeploymentConfig", "web", "apps.openshift.io"),
            "oc --context prod -n team rollout latest dc/web",
        ),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
@pytest.mark.parametrize("above", [False, True], ids=["its pods", "its StatefulSet"])
def test_a_known_operator_is_asked_itself(owner: Owner, expected: str, above: bool) -> None:
    renewer = Renewer(Owner("StatefulSet", "x"), owner) if above else Renewer(owner)

    assert lines("prod", "team", renewer, PODS, 3) == (expected,)
    assert "do not delete its pods by hand" in note(renewer)


@pytest.mark.parametrize(
    "owner",
    [
        Owner("Cluster", "pg", "db.example.com"),
        Owner("postgresql", "pg", "acid.zalan.do"),
        Owner("VitessShard", "v", "planetscale.com"),
        Owner("InnoDBCluster", "my", "mysql.oracle.com"),
        Owner("StatefulSet.apps.kruise.io", "web", "apps.kruise.io"),
    ],
    ids=lambda owner: owner.kind,
)
def test_pods_of_any_other_operator_go_one_at_a_time(owner: Owner) -> None:
    renewer = Renewer(owner)

    assert lines("prod", "team", renewer, PODS, 3) == tuple(
        f"{START} delete pod {pod}" for pod in PODS
    )
    assert "has a restart of its own, use that" in note(renewer)
    assert "hand the role of a primary or leader over" in note(renewer)


def test_a_rollout_of_what_an_operator_controls_may_be_undone() -> None:
    renewer = Renewer(Owner("Deployment", "web"), Owner("Keycloak", "sso", "k8s.keycloak.org"))

    assert lines("prod", "team", renewer, PODS, 3)[0] == f"{START} rollout restart deployment/web"
    assert "may undo the restart" in note(renewer)


def test_rabbitmq_says_that_a_rollout_of_its_statefulset_is_right() -> None:
    renewer = Renewer(Owner("StatefulSet", "q"), Owner("RabbitmqCluster", "q", "rabbitmq.com"))

    assert lines("prod", "team", renewer, PODS, 3)[0] == f"{START} rollout restart statefulset/q"
    assert note(renewer) == ""


def test_what_a_rollout_does_not_replace_goes_by_hand() -> None:
    renewer = Renewer(Owner("StatefulSet", "pg"), None, Rollout.BY_HAND)

    assert lines("prod", "team", renewer, PODS, 3) == tuple(
        f"{START} delete pod {pod}" for pod in PODS
    )
    assert "updateStrategy" in note(renewer)


def test_what_is_paused_is_resumed_first() -> None:
    found = lines(
        "prod", "team", Renewer(Owner("Deployment", "web"), None, Rollout.PAUSED), PODS, 3
    )

    assert [line.partition("rollout ")[2] for line in found] == [
        "resume deployment/web",
        "restart deployment/web",
        "status deployment/web",
    ]


def planned(kind: str, group: str, *own: str) -> Any:
    """Return the step for three uncovered pods of an operator whose ServiceAccount was patched meanwhile."""
    cluster = Cluster().secrets(docker="ours", quay="elsewhere").account(*own, "docker")
    for pod in PODS:
        owner = Owner(kind, "pg", group)
        cluster.pod(*own, name=pod, controller=owner, containers=(ALWAYS,), labels={"app": "pg"})
    budget = DisruptionBudget("team", "pdb", {"matchLabels": {"app": "pg"}}, 1)
    (step,) = plan_restarts(cluster.judged(), [budget]).steps
    return step


def test_pods_of_a_database_are_planned_with_its_own_restart() -> None:
    step = planned("Cluster", "postgresql.cnpg.io")

    assert (step.batch, step.pods, step.held) == (0, 3, "")
    assert step.lines == ("kubectl cnpg restart pg --context prod -n team",)
    assert "a restart of its own" in step.note


def test_where_only_a_new_pod_shows_whether_it_is_covered_one_goes_first() -> None:
    step = planned("Cluster", "postgresql.cnpg.io", "quay")

    assert (step.batch, step.held) == (0, "")
    assert step.note.startswith("only a new pod shows whether it is covered: renew one pod")


def test_pods_of_an_unknown_operator_are_planned_one_by_one() -> None:
    step = planned("Database", "db.example.com")

    assert step.lines == tuple(f"{START} delete pod {pod}" for pod in PODS)
    assert "hand the role of a primary" in step.note
