"""Running pods: one of every class, judged on its own list of Secrets."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from remediation.label_selector import parse_selector
from remediation.readiness.facts import ClusterFacts, Facts, NodeLogin
from remediation.readiness.finding import Coverage, FindingClass, Severity
from remediation.readiness.judge import Judge
from remediation.readiness.observation import (
    Container,
    ContainerKind,
    ContainerState,
    Node,
    Owner,
    Pod,
    PullSecret,
)
from remediation.readiness.target import parse_target
from tests.remediation.readiness.cluster import (
    CONFIG,
    IMAGE,
    LOGIN,
    NOW,
    OTHER_IMAGE,
    REGISTRY,
    RUNNING,
    Cluster,
    content,
    only,
)

ALWAYS = Container("main", IMAGE, pull_policy="Always", state=ContainerState.RUNNING, image_id="x")
NEVER = Container("main", IMAGE, pull_policy="Never", state=ContainerState.RUNNING, image_id="x")
UNPULLED = Container("main", IMAGE, state=ContainerState.WAITING, reason="ContainerCreating")
PENDING = Container("main", IMAGE)
FAILING = Container(
    "main", IMAGE, state=ContainerState.WAITING, image_id="x", reason="ImagePullBackOff"
)
CRASHING = Container(
    "main",
    IMAGE,
    pull_policy="Always",
    state=ContainerState.WAITING,
    image_id="x",
    reason="CrashLoopBackOff",
)
DONE_INIT = Container(
    "init", IMAGE, ContainerKind.INIT, "IfNotPresent", ContainerState.TERMINATED, "x"
)
BY_DIGEST = Container(
    "main", f"{REGISTRY}/team/app@sha256:{'a' * 64}", state=ContainerState.RUNNING, image_id="x"
)
OTHER = Container("main", OTHER_IMAGE, state=ContainerState.RUNNING, image_id="y")
WAITING_OTHER = Container("main", OTHER_IMAGE)

B, R, L, N = (
    FindingClass.P_BREAKS_ON_FLIP,
    FindingClass.P_RISK_RESTART,
    FindingClass.P_RISK_LOW,
    FindingClass.P_NO_PULL,
)


@pytest.mark.parametrize(
    ("containers", "restart_policy", "expected"),
    [
        ((PENDING,), "Always", B),
        ((UNPULLED,), "Always", B),
        ((FAILING,), "Always", B),
        ((PENDING,), "Never", B),
        ((CRASHING,), "Always", R),
        ((ALWAYS,), "Always", R),
        ((ALWAYS,), "OnFailure", R),
        ((ALWAYS,), "Never", N),
        ((RUNNING,), "Always", L),
        ((RUNNING,), "Never", N),
        ((NEVER,), "Always", N),
        ((Container("main", IMAGE, pull_policy="Never"),), "Always", N),
        (
            (
                Container(
                    "main", f"{REGISTRY}/team/app", state=ContainerState.RUNNING, image_id="x"
                ),
            ),
            "Always",
            R,
        ),
        ((Container("main", IMAGE, state=ContainerState.RUNNING, image_id="x"),), "Always", L),
        ((BY_DIGEST,), "Always", L),
        ((DONE_INIT, OTHER), "Always", L),
        ((Container("second", IMAGE, ContainerKind.INIT), OTHER), "Always", B),
        (
            (
                Container(
                    "mesh", IMAGE, ContainerKind.SIDECAR, "Always", ContainerState.RUNNING, "x"
                ),
                OTHER,
            ),
            "Never",
            R,
        ),
        (
            (
                Container(
                    "debug", IMAGE, ContainerKind.EPHEMERAL, "Always", ContainerState.RUNNING, "x"
                ),
                OTHER,
            ),
            "Always",
            N,
        ),
        ((Container("debug", IMAGE, ContainerKind.EPHEMERAL), OTHER), "Always", B),
        ((Container("data", IMAGE, ContainerKind.VOLUME), WAITING_OTHER), "Always", B),
        ((Container("data", IMAGE, ContainerKind.VOLUME, "IfNotPresent"), OTHER), "Always", L),
        ((Container("data", IMAGE, ContainerKind.VOLUME, "Always"), OTHER), "Always", R),
        (
            (
                Container(
                    "main",
                    IMAGE,
                    ContainerKind.CONTAINER,
                    "Always",
                    ContainerState.RUNNING,
                    "x",
                    restart_policy="OnFailure",
                ),
            ),
            "Never",
            R,
        ),
    ],
    ids=str,
)
def test_an_uncovered_pod_is_judged_by_when_it_pulls_again(
    containers: tuple[Container, ...], restart_policy: str, expected: FindingClass
) -> None:
    cluster = Cluster().account("docker").secrets(docker="ours").workload()
    cluster.pod(containers=containers, restart_policy=restart_policy)

    found = only(cluster.found(), "P_")

    assert found.finding_class is expected
    assert (
        found.severity
        is {
            B: Severity.BLOCKING,
            R: Severity.BLOCKING,
            L: Severity.WARNING,
            N: Severity.INFO,
        }[expected]
    )
    assert found.coverage is Coverage.NO_REFS


@pytest.mark.parametrize("containers", [(PENDING,), (ALWAYS,), (RUNNING,), (FAILING,)], ids=str)
def test_a_covered_pod_is_covered_in_whatever_state(containers: tuple[Container, ...]) -> None:
    cluster = Cluster().account("docker").secrets(docker="ours").workload()
    cluster.pod("docker", containers=containers)

    found = only(cluster.found(), "P_")

    assert (found.finding_class, found.severity) == (FindingClass.P_COVERED, Severity.INFO)


@pytest.mark.parametrize(
    ("names", "coverage", "expected"),
    [
        (("docker",), Coverage.COVERED, FindingClass.P_COVERED),
        (("quay", "docker"), Coverage.COVERED, FindingClass.P_COVERED),
        (("longer", "docker"), Coverage.SHADOWED, FindingClass.P_COVERED),
        (("theirs", "docker"), Coverage.SHADOWED, FindingClass.P_COVERED),
        (("docker", "bad"), Coverage.POISONED, FindingClass.P_POISONED),
        (("docker", "hidden"), Coverage.UNKNOWN_SECRET, FindingClass.P_UNKNOWN),
        (("bad", "hidden"), Coverage.POISONED, FindingClass.P_POISONED),
        (("hidden",), Coverage.UNKNOWN_SECRET, FindingClass.P_UNKNOWN),
        (("theirs",), Coverage.OTHER, R),
        (("quay",), Coverage.KEY_MISMATCH, R),
        (("gone",), Coverage.MISSING, R),
        (("opaque",), Coverage.WRONG_TYPE, R),
        (("empty",), Coverage.WRONG_TYPE, R),
        (("gone", "quay"), Coverage.KEY_MISMATCH, R),
        (("",), Coverage.BLANK_REF, R),
        (("", "docker"), Coverage.COVERED, FindingClass.P_COVERED),
        ((), Coverage.NO_REFS, R),
    ],
    ids=str,
)
def test_a_pod_is_judged_by_the_secrets_that_it_names(
    names: tuple[str, ...], coverage: Coverage, expected: FindingClass
) -> None:
    cluster = Cluster().account("docker").workload()
    cluster.secrets(
        docker="ours", quay="elsewhere", longer="longer", theirs="theirs", bad="malformed"
    )
    cluster.secrets(gone="absent", opaque="opaque", empty="empty")
    cluster.pod(*names, containers=(ALWAYS,))

    found = only(cluster.found(), "P_")

    assert (found.coverage, found.finding_class) == (coverage, expected)


@pytest.mark.parametrize(
    ("kind", "coverage", "fix"),
    [
        ("stale", Coverage.STALE, "--on-conflict merge"),
        ("elsewhere", Coverage.KEY_MISMATCH, "--on-conflict merge"),
        ("absent", Coverage.MISSING, "no restart is needed"),
        ("opaque", Coverage.WRONG_TYPE, "delete secret docker, then remediator run"),
    ],
)
def test_trouble_with_the_named_secret_is_mended_there(
    kind: str, coverage: Coverage, fix: str
) -> None:
    cluster = Cluster().account("docker").secrets(docker=kind).workload()
    cluster.pod("docker", containers=(ALWAYS,))

    found = only(cluster.found(), "P_")

    assert found.coverage is coverage
    assert fix in found.fix
    assert "remediator run --clusters prod --namespaces team" in found.fix


@pytest.mark.parametrize(
    ("owner", "line"),
    [
        (
            Owner("Deployment", "web"),
            "kubectl --context prod -n team rollout restart deployment/web",
        ),
        (
            Owner("StatefulSet", "web"),
            "kubectl --context prod -n team rollout restart statefulset/web",
        ),
        (Owner("Job", "web"), "kubectl --context prod -n team delete pod web-1"),
    ],
    ids=str,
)
def test_pods_of_a_covered_controller_are_made_anew(owner: Owner, line: str) -> None:
    cluster = Cluster().account("docker").secrets(docker="ours").workload(kind=owner.kind)
    cluster.pod(controller=owner, containers=(ALWAYS,))

    assert only(cluster.found(), "P_").fix == line


def test_pods_of_an_uncovered_controller_wait_for_its_template() -> None:
    cluster = Cluster().account("docker").secrets(docker="ours", quay="elsewhere").workload("quay")
    cluster.pod("quay", containers=(ALWAYS,))

    fix = only(cluster.found(), "P_").fix

    assert fix.startswith("first mend what Deployment web gives its new pods")


def test_a_pod_without_a_controller_has_to_be_made_anew_by_its_owner() -> None:
    cluster = Cluster().account("docker").secrets(docker="ours")
    cluster.pod(controller=None, name="lonely", containers=(ALWAYS,))

    found = only(cluster.found(), "P_")

    assert (found.kind, found.name, found.count) == ("Pod", "lonely", 1)
    assert found.fix.startswith("this pod has no controller")


def test_pods_that_are_alike_are_one_finding() -> None:
    cluster = Cluster().account("docker").secrets(docker="ours").workload()
    for number in range(5):
        cluster.pod(name=f"web-{number}", containers=(ALWAYS,))
    cluster.pod("docker", name="web-new", containers=(ALWAYS,))

    judged = cluster.judged()

    (risky,) = [f for f in judged.findings if f.finding_class is R]
    assert (risky.kind, risky.name, risky.count) == ("Deployment", "web", 5)
    assert risky.examples == ("web-0", "web-1", "web-2")
    assert judged.counts[R] == 5
    assert judged.counts[FindingClass.P_COVERED] == 1
    assert judged.pods == 6


def test_pods_of_replica_sets_belong_to_their_deployment() -> None:
    cluster = Cluster().account("docker").secrets(docker="ours").workload()
    for name in ("web-1", "web-2"):
        owner = Owner("ReplicaSet", name)
        cluster.workload(kind="ReplicaSet", name=name, controller=Owner("Deployment", "web"))
        cluster.pod(name=f"{name}-x", controller=owner, containers=(ALWAYS,))

    found = [f for f in cluster.found() if f.finding_class is R]

    assert {(f.kind, f.name) for f in found} == {("Deployment", "web")}
    assert sum(f.count for f in found) == 2


def facts(**fields: Any) -> Facts:
    """Return facts about every cluster."""
    return Facts((ClusterFacts(**fields),))


LOGINS = (NodeLogin(parse_target(REGISTRY), parse_selector("pool=a")),)
ELSEWHERE = (NodeLogin(parse_target("quay.io")),)


@pytest.mark.parametrize(
    ("declared", "pool", "names", "expected"),
    [
        ({"kubelet_logins": LOGINS}, "a", (), FindingClass.P_NODE),
        ({"kubelet_logins": LOGINS}, "b", (), R),
        ({"kubelet_logins": LOGINS}, None, (), R),
        ({"kubelet_logins": ELSEWHERE}, "a", (), R),
        ({"kubelet_logins": LOGINS}, "a", ("docker",), FindingClass.P_NODE),
        ({"kubelet_logins": LOGINS}, "a", ("bad",), FindingClass.P_POISONED),
        ({"runtime_logins": LOGINS}, "a", (), FindingClass.P_NODE),
        ({"runtime_logins": LOGINS}, "a", ("quay",), FindingClass.P_NODE),
        ({"runtime_logins": LOGINS}, "b", (), R),
        # Who knows whether it is malformed: then no login of the node would be used.
        ({"kubelet_logins": LOGINS}, "a", ("theirs",), FindingClass.P_UNKNOWN),
        # The kubelet hands the stale login over, and the runtime's own is never used.
        ({"runtime_logins": LOGINS}, "a", ("docker",), R),
    ],
    ids=str,
)
def test_a_login_on_the_node_counts_where_it_would_be_used(
    declared: dict[str, Any], pool: str | None, names: tuple[str, ...], expected: FindingClass
) -> None:
    cluster = Cluster(facts=facts(**declared)).account("docker").workload()
    cluster.secrets(docker="stale", quay="elsewhere", bad="malformed")
    if pool:
        cluster.judge.add_node(Node("n", {"pool": pool}, "v1.36.0"))
    cluster.pod(*names, containers=(ALWAYS,), node="n")

    assert only(cluster.found(), "P_").finding_class is expected


def test_a_pod_without_a_node_may_go_to_one_that_comes_later() -> None:
    cluster = Cluster(facts=facts(kubelet_logins=LOGINS))
    cluster.judge.add_node(Node("n", {"pool": "a"}, "v1.36.0"))
    cluster.pod(containers=(ALWAYS,), node="")

    assert only(cluster.found(), "P_").severity is Severity.BLOCKING


def test_an_image_volume_is_looked_after_whenever_a_container_is_started() -> None:
    """The kubelet does it at each start; with restartPolicy Never that is over once all have started."""
    volume = Container("data", IMAGE, ContainerKind.VOLUME, "Always")
    mesh = replace(OTHER, kind=ContainerKind.SIDECAR)
    retried = replace(OTHER, restart_policy="OnFailure")
    preparing = replace(OTHER, kind=ContainerKind.INIT)
    for containers, expected in (
        ((volume, OTHER), N),
        ((volume, mesh, OTHER), R),
        ((volume, retried), R),
        ((volume, preparing, WAITING_OTHER), R),
    ):
        cluster = Cluster().account("docker").secrets(docker="ours").workload()
        cluster.pod(containers=containers, restart_policy="Never")

        assert only(cluster.found(), "P_").finding_class is expected


@pytest.mark.parametrize(
    ("declared", "severity"),
    [
        ({}, Severity.BLOCKING),
        ({"kubelet_logins": LOGINS}, Severity.INFO),
        ({"runtime_logins": LOGINS}, Severity.INFO),
        ({"kubelet_logins": ELSEWHERE}, Severity.BLOCKING),
    ],
    ids=str,
)
def test_a_static_pod_needs_a_login_on_its_node(
    declared: dict[str, Any], severity: Severity
) -> None:
    cluster = Cluster(facts=facts(**declared))
    cluster.judge.add_node(Node("n", {"pool": "a"}))
    cluster.pod(controller=Owner("Node", "n"), name="static-n", mirror=True, node="n")

    found = only(cluster.found(), "P_")

    assert (found.finding_class, found.severity) == (FindingClass.P_NODE, severity)
    assert found.doubt is (severity is Severity.BLOCKING)
    assert found.name == "static-n"


def test_a_static_pod_that_has_ended_is_told_apart() -> None:
    cluster = Cluster()
    for name, ended in (("static-a", False), ("static-b", True)):
        cluster.pod(controller=Owner("Node", "n"), name=name, mirror=True, ended=ended)

    told = {row.name: row for row in cluster.found() if row.finding_class is FindingClass.P_NODE}

    assert all(row.doubt for row in told.values())
    assert "has ended" in told["static-b"].explanation
    assert "remove the manifest" in told["static-b"].fix
    assert "has ended" not in told["static-a"].explanation


@pytest.mark.parametrize(
    ("policy", "version", "container", "expected"),
    [
        ("AlwaysVerify", "v1.36.3", RUNNING, R),
        ("NeverVerifyAllowlistedImages", "v1.35.0", RUNNING, R),
        ("AlwaysVerify", "", RUNNING, R),
        ("AlwaysVerify", "v1.34.9", RUNNING, L),
        ("NeverVerifyPreloadedImages", "v1.36.3", RUNNING, L),
        ("", "v1.36.3", RUNNING, L),
        ("AlwaysVerify", "v1.36.3", NEVER, R),
        ("AlwaysVerify", "v1.34.9", NEVER, N),
    ],
    ids=str,
)
def test_a_kubelet_that_verifies_asks_for_images_it_has(
    policy: str, version: str, container: Container, expected: FindingClass
) -> None:
    cluster = Cluster(facts=facts(kubelet_verification=policy)).account("docker").workload()
    cluster.judge.add_node(Node("n", {}, version))
    cluster.secrets(docker="ours").pod(containers=(container,), node="n")

    assert only(cluster.found(), "P_").finding_class is expected


@pytest.mark.parametrize(
    "reason",
    [
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
    ],
)
def test_an_image_that_does_not_come_is_not_there_whatever_ran_before(reason: str) -> None:
    cluster = Cluster().account("docker").secrets(docker="ours").workload()
    cluster.pod(containers=(replace(FAILING, reason=reason, pull_policy="IfNotPresent"),))

    assert only(cluster.found(), "P_").finding_class is B


def test_a_cluster_that_always_pulls_makes_every_restart_a_risk() -> None:
    cluster = Cluster(facts=facts(always_pull_images=True)).account("docker").workload()
    cluster.secrets(docker="ours").pod(containers=(RUNNING,))

    assert only(cluster.found(), "P_").finding_class is R


@pytest.mark.parametrize(
    "image",
    [
        OTHER_IMAGE,
        "registry.example.com.evil.io/team/app",
        "team/app",
        f"{REGISTRY}:5000/team/app",
        "Bad Image",
    ],
)
def test_pods_with_other_images_are_not_looked_at(image: str) -> None:
    cluster = Cluster().account("docker").secrets(docker="ours")
    cluster.pod(containers=(Container("main", image),))

    assert cluster.judged().pods == 0


@pytest.mark.parametrize("image", [f"{REGISTRY}:443/team/app:1", "Registry.Example.com/team/app:1"])
def test_the_registry_is_the_same_by_another_spelling_and_a_key_may_not_match_it(
    image: str,
) -> None:
    cluster = Cluster().account("docker").secrets(docker="ours").workload()
    cluster.pod("docker", containers=(Container("main", image),))

    found = only(cluster.found(), "P_")

    assert (found.finding_class, found.coverage) == (B, Coverage.KEY_MISMATCH)


@pytest.mark.parametrize(
    ("image", "looked_at"),
    [
        (f"{REGISTRY}/team/app", True),
        (f"{REGISTRY}/team", True),
        (f"{REGISTRY}/team-two/app", False),
        (f"{REGISTRY}/other/team/app", False),
    ],
)
def test_only_repositories_under_the_path_are_looked_at(image: str, looked_at: bool) -> None:
    cluster = Cluster(registry=f"{REGISTRY}/team").account("docker").secrets(docker="ours")
    cluster.pod("docker", containers=(Container("main", image),))

    assert cluster.judged().pods == looked_at


def test_the_worst_image_of_a_pod_is_told() -> None:
    key = f"{REGISTRY}/team/app"
    cluster = Cluster().account("docker").workload()
    cluster.judge.add_secret(PullSecret("team", "docker", CONFIG, content((key, LOGIN))))
    second = Container("second", f"{REGISTRY}/other/app:1", pull_policy="Always")
    cluster.pod("docker", containers=(RUNNING, second))

    found = only(cluster.found(), "P_")

    assert (found.finding_class, found.image) == (B, f"{REGISTRY}/other/app:1")


def test_images_with_the_same_trouble_are_one_finding() -> None:
    more = Container("second", f"{REGISTRY}/other/app:1")
    cluster = Cluster().account("docker").secrets(docker="ours").workload()
    cluster.pod(containers=(PENDING, more))

    found = only(cluster.found(), "P_")

    assert found.count == 1
    assert found.explanation.endswith("So are 1 more of its images.")


def test_what_blocks_is_not_hidden_by_another_image_of_the_same_class() -> None:
    """On the node and IfNotPresent: a warning, with an older kubelet. Always: it blocks. Of both, the pod blocks."""
    second = replace(RUNNING, name="second", image=f"{REGISTRY}/other/app:1", pull_policy="Always")
    cluster = Cluster().account("docker").secrets(docker="ours").workload()
    cluster.judge.add_node(Node("n", {}, "v1.34.1"))
    cluster.pod("unreadable", node="n", containers=(RUNNING, second))

    found = only(cluster.found(), "P_")

    assert (found.finding_class, found.severity) == (
        FindingClass.P_UNKNOWN,
        Severity.BLOCKING,
    )
    assert found.image == second.image


def test_a_covered_pod_that_nobody_makes_again_is_told_with_its_account() -> None:
    """Its list is older than what its ServiceAccount has now: made anew, it would not be covered."""
    cluster = Cluster().account("team").secrets(docker="ours", team="stale")
    cluster.pod("docker", controller=None)

    found = cluster.found()

    assert only(found, "P_").finding_class is FindingClass.P_COVERED
    told = only(found, "SA_")
    assert (told.kind, told.name, told.severity) == ("ServiceAccount", "default", Severity.WARNING)
    assert "web-1" in told.explanation


@pytest.mark.parametrize("account", ["", "team"])
def test_a_covered_pod_whose_account_covers_too_is_not(account: str) -> None:
    for names, told in ((("docker",), 0), ((), 1)):
        cluster = Cluster().secrets(docker="ours")
        cluster.account("docker", name="other").account(*names, name=account or "default")
        cluster.pod("docker", controller=None, account=account)

        found = [f.name for f in cluster.found() if f.finding_class.startswith("SA_")]

        assert found == [account or "default"] * told


def test_all_images_of_a_pod_have_to_be_covered_by_its_account_too() -> None:
    solo = replace(RUNNING, name="second", image=f"{REGISTRY}/solo/app:1")
    cluster = Cluster().account("narrow").secrets(docker="ours")
    narrow = content((f"{REGISTRY}/team", LOGIN))
    cluster.judge.add_secret(PullSecret("team", "narrow", CONFIG, narrow))
    cluster.pod("docker", controller=None, containers=(RUNNING, solo))

    assert only(cluster.found(), "SA_").severity is Severity.WARNING


def test_secrets_that_could_not_be_listed_are_not_missing() -> None:
    """Such a one may be malformed, and keep the node's login from being used."""
    unread = Judge(replace(Cluster().options, facts=facts(kubelet_logins=LOGINS)))
    unread.add_node(Node("n", {"pool": "a"}, "v1.36.0"))
    unread.add_pod(Pod("team", "web-1", (ALWAYS,), ("docker",), node="n"))

    assert only(unread.conclude(NOW).findings, "P_").finding_class is FindingClass.P_UNKNOWN


def test_a_login_that_no_node_can_send_is_not_asked_about_and_covers_nothing() -> None:
    auth = base64.b64encode(b"robot:\xff\xfe").decode()
    config = json.dumps({"auths": {REGISTRY: {"auth": auth}}}).encode()
    cluster = Cluster().account("docker").workload()
    cluster.judge.add_secret(PullSecret("team", "team", CONFIG, config))
    cluster.pod("team", containers=(ALWAYS,))

    found = only(cluster.found(), "P_")

    assert all(question.desired for question in cluster.judge.questions())
    assert (found.coverage, found.finding_class) == (Coverage.OTHER, R)


def test_a_key_that_is_no_text_can_be_told() -> None:
    config = json.dumps({"auths": {"https://registry.%ff.com": {"auth": "YTpi"}}}).encode()
    cluster = Cluster().account("docker").workload()
    cluster.judge.add_secret(PullSecret("team", "team", CONFIG, config))
    cluster.pod("team", containers=(ALWAYS,))

    found = only(cluster.found(), "P_")

    assert found.coverage is Coverage.KEY_MISMATCH
    assert json.dumps(found.to_row(), ensure_ascii=False).encode()


def test_a_declared_login_for_one_image_hides_no_other() -> None:
    declared = NodeLogin(parse_target(f"{REGISTRY}/team"))
    facts = Facts((ClusterFacts(kubelet_logins=(declared,)),))
    images = (f"{REGISTRY}/team/app:1", f"{REGISTRY}/other/app:1")
    for order in (images, images[::-1]):
        containers = tuple(Container(str(n), image) for n, image in enumerate(order))
        cluster = Cluster(facts=facts).pod(
            name="static-n1", controller=None, mirror=True, containers=containers
        )

        found = only(cluster.found(), "P_")

        assert (found.finding_class, found.blocks) == (FindingClass.P_NODE, True)


def test_pods_that_others_make_by_hand_do_not_hide_their_account() -> None:
    cluster = Cluster().secrets(docker="ours").account(name="ci")
    started = replace(RUNNING, pull_policy="Always")
    cluster.pod(
        name="job-1", controller=None, account="ci", restart_policy="Never", containers=(started,)
    )

    found = only(cluster.found(), "SA_")

    assert (found.name, found.severity) == ("ci", Severity.WARNING)


@pytest.mark.parametrize(
    ("other", "doubt"), [(None, True), ("elsewhere", False), ("absent", False)]
)
def test_only_an_unread_secret_leaves_open_whether_a_pod_made_by_hand_could_pull(
    other: str | None, doubt: bool
) -> None:
    cluster = Cluster().secrets(docker="ours").account("theirs", name="ci")
    if other:
        cluster.secrets(theirs=other)
    cluster.pod("docker", name="debug", controller=None, account="ci")

    found = only(cluster.found(), "SA_")

    assert (found.name, found.severity, found.doubt) == ("ci", Severity.WARNING, doubt)
    assert ("is not known" in found.explanation) is doubt
    assert (found.coverage is Coverage.UNKNOWN_SECRET) is doubt
