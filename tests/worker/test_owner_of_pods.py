"""Who may create a pod again, as its owner references tell."""

import pytest

from remediation.readiness.observation import Owner
from worker.readiness.wire_meta import WireMeta, WireOwner

CLUSTER = WireOwner("db.example.com/v1", "Cluster", "db")
CONFIG = WireOwner("v1", "ConfigMap", "config")
SET = WireOwner("apps/v1", "StatefulSet", "web", controller=True)


@pytest.mark.parametrize(
    ("owners", "maker"),
    [
        ([], None),
        ([CONFIG], None),
        ([CONFIG, CLUSTER], Owner("Cluster", "db", "db.example.com")),
        ([CLUSTER, SET], Owner("StatefulSet", "web")),
    ],
    ids=["no owner", "built-in owner", "operator without the flag", "controller"],
)
def test_an_operator_replaces_what_it_owns_also_without_the_flag(
    owners: list[WireOwner], maker: Owner | None
) -> None:
    assert WireMeta(name="db-1", ownerReferences=owners).maker == maker
