"""The plan to renew pods: in which order, and what is held back."""

from typing import Any

import pytest

from remediation.readiness.observation import (
    Container,
    ContainerState,
    DisruptionBudget,
    Owner,
)
from remediation.readiness.restart import RestartPlan, plan_restarts, selector_of
from tests.remediation.readiness.cluster import IMAGE, RUNNING, Cluster

ALWAYS = Container("main", IMAGE, pull_policy="Always", state=ContainerState.RUNNING, image_id="x")
PENDING = Container("main", IMAGE)


def cluster(*names: str, **fields: Any) -> Cluster:
    """Return a cluster with covered Deployments whose pods are not covered."""
    made = Cluster().secrets(docker="ours").account("docker")
    for name in names:
        made.workload(name=name)
        made.pod(
            name=f"{name}-1",
            controller=Owner("Deployment", name),
            labels={"app": name, "tier": "front"},
            **{"containers": (ALWAYS,)} | fields,
        )
    return made


def plan(made: Cluster, *budgets: DisruptionBudget) -> RestartPlan:
    """Return the plan for a cluster."""
    return plan_restarts(made.judged(), budgets)


def budget(allowed: int, **labels: str) -> DisruptionBudget:
    """Return a budget for pods with some labels."""
    return DisruptionBudget(
        "team", "-".join(["pdb", *labels.values()]), {"matchLabels": labels}, allowed
    )


def batches(found: RestartPlan) -> list[tuple[int, str]]:
    """Return (batch, name) of each step."""
    return [(step.batch, step.name) for step in found.steps]


def test_covered_pods_need_no_restart() -> None:
    made = Cluster().secrets(docker="ours").account("docker").workload().pod("docker")

    assert plan(made) == RestartPlan("prod", ())


def test_a_workload_that_is_being_deleted_is_not_restarted() -> None:
    made = Cluster().secrets(docker="ours").account("docker")
    made.workload(kind="StatefulSet", name="db", deleting=True)
    made.pod(name="db-0", controller=Owner("StatefulSet", "db"))

    assert plan(made) == RestartPlan("prod", ())


def test_without_budgets_all_go_at_once() -> None:
    (first, second) = plan(cluster("web", "api")).steps

    assert [(first.batch, first.name), (second.batch, second.name)] == [(0, "api"), (0, "web")]
    assert first.lines == (
        "kubectl --context prod -n team rollout restart deployment/api",
        "kubectl --context prod -n team rollout status deployment/api",
    )


def test_controllers_that_share_a_budget_go_one_after_the_other() -> None:
    found = plan(cluster("web", "api", "db"), budget(1, tier="front"))

    assert batches(found) == [(0, "api"), (1, "db"), (2, "web")]
    assert found.steps[0].budgets == ("pdb-front",)


def test_controllers_under_different_budgets_go_together() -> None:
    found = plan(cluster("web", "api"), budget(1, app="web"), budget(1, app="api"))

    assert batches(found) == [(0, "api"), (0, "web")]


def test_a_budget_in_another_namespace_does_not_matter() -> None:
    other = DisruptionBudget("other", "pdb", {}, 0)

    assert batches(plan(cluster("web"), other)) == [(0, "web")]


def test_a_budget_without_room_holds_back() -> None:
    found = plan(cluster("web", "api"), budget(0, app="web"))

    assert batches(found) == [(0, "api"), (-1, "web")]
    assert found.steps[1].held == "PodDisruptionBudget pdb-web allows no disruption now"


def test_controllers_whose_new_pods_would_not_be_covered_are_held_back() -> None:
    made = cluster("web").account()

    (step,) = plan(made).steps

    assert step.batch == -1
    assert "would not be covered either" in step.held


def test_the_most_urgent_go_first() -> None:
    made = cluster("web").workload(name="api")
    made.pod(
        name="api-1",
        controller=Owner("Deployment", "api"),
        containers=(RUNNING,),
        labels={"tier": "front"},
    )
    made.workload(name="zoo")
    made.pod(
        name="zoo-1",
        controller=Owner("Deployment", "zoo"),
        containers=(PENDING,),
        labels={"tier": "front"},
    )

    assert batches(plan(made, budget(1, tier="front"))) == [(0, "zoo"), (1, "web"), (2, "api")]


def test_pods_that_are_deleted_by_hand_go_in_portions() -> None:
    made = Cluster().secrets(docker="ours").account("docker").workload(kind="ReplicaSet")
    for number in range(5):
        made.pod(
            name=f"web-{number}",
            controller=Owner("ReplicaSet", "web"),
            containers=(ALWAYS,),
            labels={"app": "web"},
        )

    (step,) = plan(made, budget(2, app="web")).steps

    assert step.pods == 5
    assert step.lines == (
        "kubectl --context prod -n team delete pod web-0 web-1",
        "kubectl --context prod -n team delete pod web-2 web-3",
        "kubectl --context prod -n team delete pod web-4",
    )


def test_pods_without_a_controller_are_named_apart() -> None:
    made = cluster("web").pod(name="lonely", controller=None, containers=(ALWAYS,))

    found = plan(made)

    assert [step.name for step in found.steps] == ["web"]
    assert found.recreate == ("team/lonely",)


def test_pods_whose_secret_can_be_mended_need_no_restart() -> None:
    made = Cluster().secrets(docker="stale").account("docker").workload()
    made.pod("docker", containers=(ALWAYS,))

    assert plan(made).steps == ()


def test_one_controller_is_one_step() -> None:
    made = cluster("web").pod(
        "", name="web-2", containers=(PENDING,), labels={"app": "web", "tier": "front"}
    )

    (step,) = plan(made).steps

    assert step.pods == 2


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        ({}, {"a": "1"}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "1", "b": "2"}, True),
        ({"matchLabels": {"a": "1", "b": "1"}}, {"a": "1"}, False),
        (
            {"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]},
            {"a": "2"},
            True,
        ),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"a": ""}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"a": ""}, False),
        (
            {"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]},
            {"a": "1"},
            False,
        ),
    ],
    ids=str,
)
def test_selectors_are_those_of_the_api(
    selector: dict[str, Any], labels: dict[str, str], expected: bool
) -> None:
    found = selector_of(selector)

    assert found
    assert found.matches(labels) is expected


def test_no_selector_selects_nothing() -> None:
    assert selector_of(None) is None
    with pytest.raises(ValueError, match="'Like' is no operator"):
        selector_of({"matchExpressions": [{"key": "a", "operator": "Like"}]})
