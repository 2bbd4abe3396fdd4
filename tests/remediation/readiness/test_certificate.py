"""What a verdict rests on, and what voids it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from remediation.readiness.certificate import Certificate, Change, Snapshot, certify, void_reasons
from remediation.readiness.facts import Facts, WaiverRule
from remediation.readiness.finding import FindingClass, Waiver
from remediation.readiness.observation import (
    Account,
    Container,
    Namespace,
    Pod,
    PullSecret,
    Scope,
    Workload,
)
from remediation.readiness.verdict import Verdict
from tests.remediation.readiness.cluster import IMAGE, NOW, Cluster

TTL = timedelta(minutes=10)
SNAPSHOT = Snapshot("prod", "uid-1", {"pods": "17", "serviceaccounts": "12"})


def cluster(**options: Any) -> Cluster:
    return Cluster(**options).secrets(docker="ours").account("docker").workload().pod("docker")


def certificate(**options: Any) -> Certificate:
    return certify([cluster(**options).judged()], [SNAPSHOT], NOW, TTL)


def test_it_names_the_verdict_and_its_time() -> None:
    found = certificate()

    assert found.verdict is Verdict.SAFE
    assert (found.issued_at, found.valid_until) == (NOW, NOW + TTL)
    assert found.digest.startswith("sha256:")


def test_the_same_basis_has_the_same_digest_at_another_time() -> None:
    again = certify([cluster().judged()], [SNAPSHOT], NOW + TTL, TTL)

    assert again.digest == certificate().digest


def test_another_basis_has_another_digest() -> None:
    judged = cluster().judged()
    other = cluster().pod("docker", name="web-2").judged()
    digests = {
        certify([judged], [SNAPSHOT], NOW, TTL).digest,
        certify([judged], [replace(SNAPSHOT, uid="uid-2")], NOW, TTL).digest,
        certify([judged], [replace(SNAPSHOT, resource_versions={"pods": "18"})], NOW, TTL).digest,
        certify([other], [SNAPSHOT], NOW, TTL).digest,
        certify([], [SNAPSHOT], NOW, TTL).digest,
        certify([cluster(facts=accepted(1)).account().judged()], [SNAPSHOT], NOW, TTL).digest,
        certify([cluster(facts=accepted(2)).account().judged()], [SNAPSHOT], NOW, TTL).digest,
    }

    assert len(digests) == 7


def accepted(minutes: int) -> Facts:
    waiver = Waiver("ops", "known", NOW + timedelta(minutes=minutes))
    return Facts((), (WaiverRule(waiver, (FindingClass.W_SA_UNPATCHED,)),))


def test_it_ends_with_the_first_waiver_that_it_rests_on() -> None:
    judged = Cluster(facts=accepted(3)).account().workload().judged()

    assert certify([judged], [SNAPSHOT], NOW, TTL).valid_until == NOW + timedelta(minutes=3)


def test_it_holds_until_its_time_is_over() -> None:
    found = certificate()

    assert void_reasons(found, NOW + TTL - timedelta(seconds=1)) == ()
    assert void_reasons(found, NOW + TTL) == ("it was valid until 2026-11-25T12:10:00+00:00",)


def test_another_cluster_under_the_same_name_voids_it() -> None:
    assert void_reasons(certificate(), NOW, uids={"prod": "uid-1"}) == ()
    assert void_reasons(certificate(), NOW, uids={"prod": "uid-2"}) == (
        "prod is another cluster than the one that was judged",
    )


ACCOUNT = Account("team", "default", "u", "1", ("docker",))
SECRET = PullSecret("team", "docker", "kubernetes.io/dockerconfigjson", b"{}")
WEB = Workload("team", "Deployment", "web", (Container("main", IMAGE),), ("docker",))
POD = Pod("team", "web-1", ())
TEAM = Namespace("team")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (Change("prod", ACCOUNT, replace(ACCOUNT, resource_version="2")), None),
        (
            Change("prod", ACCOUNT, replace(ACCOUNT, pull_secrets=())),
            "ServiceAccount team/default changed",
        ),
        (
            Change("prod", ACCOUNT, replace(ACCOUNT, enforces_mountable=True)),
            "ServiceAccount team/default changed",
        ),
        (Change("prod", ACCOUNT, replace(ACCOUNT, uid="v")), "ServiceAccount team/default changed"),
        (Change("prod", ACCOUNT, None), "ServiceAccount team/default changed"),
        (Change("prod", None, ACCOUNT), "ServiceAccount team/default changed"),
        (Change("prod", SECRET, SECRET), None),
        (Change("prod", SECRET, replace(SECRET, immutable=True)), None),
        (Change("prod", SECRET, replace(SECRET, content=b"")), "Secret team/docker changed"),
        (Change("prod", SECRET, replace(SECRET, type="Opaque")), "Secret team/docker changed"),
        (Change("prod", SECRET, None), "Secret team/docker changed"),
        (Change("prod", WEB, replace(WEB, generation=2, replicas=5)), None),
        (Change("prod", WEB, replace(WEB, pull_secrets=())), "Deployment team/web changed"),
        (Change("prod", WEB, replace(WEB, account="x")), "Deployment team/web changed"),
        (Change("prod", WEB, replace(WEB, dormant=True)), "Deployment team/web changed"),
        (
            Change("prod", WEB, replace(WEB, containers=(Container("main", f"{IMAGE}0"),))),
            "Deployment team/web changed",
        ),
        (Change("prod", None, WEB), "Deployment team/web changed"),
        (Change("prod", WEB, None), None),
        (Change("prod", None, POD), "Pod team/web-1 is not covered"),
        (Change("prod", None, POD, covered=True), None),
        (Change("prod", POD, None), None),
        (Change("prod", None, TEAM), "namespace team is new or no longer left out"),
        (Change("prod", None, Namespace("x", Scope.IGNORED)), None),
        (
            Change("prod", Namespace("team", Scope.EXCLUDED), TEAM),
            "namespace team is new or no longer left out",
        ),
        (Change("prod", TEAM, None), None),
    ],
    ids=str,
)
def test_a_change_voids_it_if_it_could_uncover_a_pod(change: Change, reason: str | None) -> None:
    expected = () if reason is None else (f"prod: {reason}",)

    assert void_reasons(certificate(), NOW, [change]) == expected


def test_a_new_pod_is_judged_by_the_judge() -> None:
    judge = cluster().judge

    assert judge.covers(Pod("team", "a", (Container("main", IMAGE),), ("docker",)))
    assert judge.covers(Pod("team", "a", (Container("main", "quay.io/a"),)))
    assert not judge.covers(Pod("team", "a", (Container("main", IMAGE),)))
