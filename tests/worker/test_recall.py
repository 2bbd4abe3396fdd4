"""What a check makes of what is remembered of a cluster."""

from datetime import UTC, datetime

from remediation.drift.past import Memory, Past
from remediation.drift.signals import Signals
from remediation.footprint import UPDATE, Holder
from tests.remediation.readiness.cluster import Cluster
from worker.readiness.recall import news

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
OURS = Holder("remediator", UPDATE)
FLUX = Holder("kustomize-controller")
PLACE = ("team", "default", "docker")
IN_DOUBT = Past("uid-default", (FLUX,), placed=False)


def test_an_entry_whose_write_was_in_doubt_is_ours_once_it_is_found() -> None:
    cluster = Cluster().account("docker", signals=Signals(owners=(OURS,)))
    memory = Memory({PLACE: IN_DOUBT})

    assert news(cluster.judge, memory, NOW, undoing=False) == {PLACE: Past("uid-default", (FLUX,))}
    assert news(cluster.judge, memory, NOW, undoing=True) == {}, "its removal is under way"


def test_an_entry_whose_write_was_in_doubt_may_never_have_been_there() -> None:
    cluster = Cluster().account("team", signals=Signals(owners=(FLUX,)))
    theirs = Cluster().account("docker", signals=Signals(owners=(FLUX,)))
    memory = Memory({PLACE: IN_DOUBT})

    assert news(cluster.judge, memory, NOW, undoing=False) == {}
    assert news(theirs.judge, memory, NOW, undoing=False) == {}
