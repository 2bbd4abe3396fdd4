"""What a verdict rests on, and until when."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from remediation.readiness.certificate import Certificate, Snapshot, certify
from remediation.readiness.facts import Facts, WaiverRule
from remediation.readiness.finding import FindingClass, Waiver
from remediation.readiness.verdict import Verdict
from tests.remediation.readiness.cluster import NOW, Cluster

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
