"""What is read a second time: whether a workload is as it was taken, as far as its pods are concerned."""

from dataclasses import replace
from typing import Any

import pytest

from remediation.readiness.judge import Judge
from remediation.readiness.observation import Container, Owner, Workload
from tests.remediation.readiness.cluster import IMAGE, OTHER_IMAGE, REGISTRY, Cluster

OURS = (Container("main", IMAGE),)
WEB = Workload("team", "Deployment", "web", OURS, ("docker",))
ABOVE = Owner("Deployment", "web")


@pytest.fixture
def judge() -> Judge:
    """Return a judge who has taken one Deployment."""
    found = Cluster().judge
    found.add_workload(WEB)
    return found


@pytest.mark.parametrize(
    ("change", "known"),
    [
        ({}, True),
        ({"generation": 7, "replicas": 5, "labels": {"a": "b"}}, True),
        ({"containers": (Container("main", f"{REGISTRY}/team/app:2"),)}, True),
        ({"containers": (Container("main", f"{REGISTRY}/team/other:1"),)}, False),
        ({"containers": (Container("main", OTHER_IMAGE),)}, False),
        ({"pull_secrets": ("quay",)}, False),
        ({"account": "builder"}, False),
        ({"dormant": True}, False),
        ({"deleting": True}, True),
        ({"name": "new"}, False),
        ({"name": "new", "containers": (Container("main", OTHER_IMAGE),)}, True),
        ({"name": "new", "finished": True}, True),
    ],
)
def test_a_workload_is_known(judge: Judge, change: dict[str, Any], known: bool) -> None:
    assert judge.knows(replace(WEB, **change)) is known


@pytest.mark.parametrize(
    ("change", "known"),
    [
        ({}, True),
        ({"dormant": True, "pull_secrets": ("quay",)}, True),  # a rollback's, which only warns
        ({"pull_secrets": ("quay",)}, False),
        ({"account": "builder"}, False),
        ({"account": "default"}, True),
        ({"containers": (Container("main", f"{REGISTRY}/team/other:1"),)}, False),
        ({"controller": Owner("Deployment", "new")}, False),
    ],
)
def test_what_a_controller_makes_is_known_by_it(
    judge: Judge, change: dict[str, Any], known: bool
) -> None:
    made = replace(WEB, kind="ReplicaSet", name="web-1", controller=ABOVE)

    assert judge.knows(replace(made, **change)) is known


def test_one_that_was_asleep_and_is_woken_is_not() -> None:
    judge = Cluster().judge
    judge.add_workload(replace(WEB, dormant=True))

    assert not judge.knows(WEB)
