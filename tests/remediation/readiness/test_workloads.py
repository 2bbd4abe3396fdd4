"""Future pods: one template of every class, judged with its ServiceAccount."""

import json
import shlex
from datetime import timedelta
from typing import Any

import pytest

from remediation.drift.signals import Signals
from remediation.label_selector import parse_selector
from remediation.readiness.facts import ClusterFacts, Facts, NodeLogin
from remediation.readiness.finding import Coverage, FindingClass, Severity
from remediation.readiness.observation import (
    WORKLOAD_KINDS,
    By,
    Container,
    ContainerKind,
    Mention,
    Namespace,
    Node,
    Owner,
    Pull,
    PullSecret,
    Scope,
)
from remediation.readiness.proof import AdmissionProof, Level
from remediation.readiness.target import parse_target
from tests.remediation.readiness.cluster import (
    CONFIG,
    IMAGE,
    LOGIN,
    NOW,
    OTHER_IMAGE,
    REGISTRY,
    Cluster,
    classes,
    content,
    only,
)

SECRETS = {
    "docker": "ours",
    "quay": "elsewhere",
    "longer": "longer",
    "theirs": "theirs",
    "bad": "malformed",
    "gone": "absent",
    "opaque": "opaque",
}
W = FindingClass


@pytest.mark.parametrize(
    ("own", "account", "expected", "coverage"),
    [
        ((), ("docker",), W.W_COVERED_SA, Coverage.COVERED),
        ((), ("quay", "docker"), W.W_COVERED_SA, Coverage.COVERED),
        ((), ("longer", "docker"), W.W_COVERED_SA, Coverage.SHADOWED),
        (("docker",), (), W.W_COVERED_TEMPLATE, Coverage.COVERED),
        (("quay",), ("docker",), W.W_TEMPLATE_SECRETS, Coverage.KEY_MISMATCH),
        (("theirs",), ("docker",), W.W_TEMPLATE_SECRETS, Coverage.OTHER),
        (("",), ("docker",), W.W_TEMPLATE_SECRETS, Coverage.BLANK_REF),
        (("gone",), ("docker",), W.W_DANGLING, Coverage.MISSING),
        (("opaque",), ("docker",), W.W_WRONG_TYPE, Coverage.WRONG_TYPE),
        (("bad",), ("docker",), W.W_POISONED, Coverage.POISONED),
        ((), ("docker", "bad"), W.W_POISONED, Coverage.POISONED),
        (("hidden",), ("docker",), W.W_UNKNOWN, Coverage.UNKNOWN_SECRET),
        ((), ("docker", "hidden"), W.W_UNKNOWN, Coverage.UNKNOWN_SECRET),
        ((), (), W.W_SA_UNPATCHED, Coverage.NO_REFS),
        ((), ("quay",), W.W_SA_UNPATCHED, Coverage.KEY_MISMATCH),
        ((), ("theirs",), W.W_SA_UNPATCHED, Coverage.OTHER),
        ((), ("gone",), W.W_SA_UNPATCHED, Coverage.MISSING),
        ((), ("",), W.W_SA_UNPATCHED, Coverage.BLANK_REF),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", WORKLOAD_KINDS)
def test_a_template_is_judged_with_its_service_account(
    kind: str,
    own: tuple[str, ...],
    account: tuple[str, ...],
    expected: FindingClass,
    coverage: Coverage,
) -> None:
    cluster = Cluster().secrets(**SECRETS).account(*account).workload(*own, kind=kind)

    found = only(cluster.found(), "W_")

    assert (found.finding_class, found.coverage) == (expected, coverage)
    assert (found.kind, found.name, found.namespace) == (kind, "web", "team")
    covered = expected in (W.W_COVERED_SA, W.W_COVERED_TEMPLATE)
    assert found.blocks is not covered
    assert found.doubt is (coverage is Coverage.UNKNOWN_SECRET)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("stale", W.W_STALE),
        ("elsewhere", W.W_KEY),
        ("absent", W.W_DANGLING),
        ("opaque", W.W_WRONG_TYPE),
        ("empty", W.W_WRONG_TYPE),
        ("malformed", W.W_POISONED),
        ("theirs", W.W_STALE),
    ],
)
@pytest.mark.parametrize("own", [(), ("docker",)], ids=str)
def test_trouble_with_the_wanted_secret_has_its_own_class(
    own: tuple[str, ...], kind: str, expected: FindingClass
) -> None:
    cluster = Cluster().secrets(docker=kind).account("docker").workload(*own)

    found = only(cluster.found(), "W_")

    # A template's own list whose Secrets are for other registries is the template's affair.
    elsewhere = bool(own) and kind == "elsewhere"
    assert found.finding_class is (W.W_TEMPLATE_SECRETS if elsewhere else expected)
    assert found.severity is Severity.BLOCKING


def test_a_secret_that_is_not_there_is_missing_only_if_all_were_looked_at() -> None:
    cluster = Cluster().account("docker").workload()
    cluster.judge.own_secrets_complete = False

    assert only(cluster.found(), "W_").finding_class is W.W_UNKNOWN


def patch_of(fix: str) -> tuple[list[str], object]:
    """Return the words of a kubectl line before `-p`, and the patch after it."""
    words = shlex.split(fix)
    at = words.index("-p")
    return words[:at], json.loads(words[at + 1])


def test_the_fix_of_a_template_adds_the_name_and_keeps_the_others() -> None:
    cluster = Cluster().secrets(**SECRETS).account("docker").workload("quay")

    words, patch = patch_of(only(cluster.found(), "W_").fix)

    assert words == [
        "kubectl",
        "--context",
        "prod",
        "-n",
        "team",
        "patch",
        "deployment",
        "web",
        "--type",
        "strategic",
    ]
    assert patch == {"spec": {"template": {"spec": {"imagePullSecrets": [{"name": "docker"}]}}}}


def test_the_fix_of_a_cron_job_reaches_its_template() -> None:
    cluster = Cluster().secrets(**SECRETS).account("docker").workload("quay", kind="CronJob")

    _, patch = patch_of(only(cluster.found(), "W_").fix)

    spec = {"template": {"spec": {"imagePullSecrets": [{"name": "docker"}]}}}
    assert patch == {"spec": {"jobTemplate": {"spec": spec}}}


def test_the_fix_of_entries_without_a_name_replaces_them() -> None:
    cluster = Cluster().secrets(**SECRETS).account("docker").workload("", "quay")

    words, patch = patch_of(only(cluster.found(), "W_").fix)

    assert words[-1] == "json"
    assert patch == [
        {
            "op": "replace",
            "path": "/spec/template/spec/imagePullSecrets",
            "value": [{"name": "quay"}, {"name": "docker"}],
        }
    ]


def test_the_fix_of_an_unpatched_account_is_a_remediation_with_the_credential() -> None:
    fix = only(Cluster().account().workload().found(), "W_").fix

    assert (
        fix
        == "remediator run --clusters prod --namespaces team --secret-name docker --credential reg"
    )


@pytest.mark.parametrize("account", ["", "default", "builder"])
def test_a_template_without_a_service_account_uses_the_default_one(account: str) -> None:
    cluster = Cluster().secrets(docker="ours").account("docker").account(name="builder")
    cluster.workload(account=account)

    expected = W.W_SA_UNPATCHED if account == "builder" else W.W_COVERED_SA
    assert only(cluster.found(), "W_").finding_class is expected


def test_a_service_account_that_does_not_exist_is_told_and_does_not_block() -> None:
    cluster = Cluster().secrets(docker="ours").workload("docker", account="nobody")

    found = only(cluster.found(), "W_")

    assert (found.finding_class, found.severity) == (W.W_SA_MISSING, Severity.WARNING)
    assert "kubectl --context prod -n team create serviceaccount nobody" in found.fix


def test_the_account_of_a_new_namespace_comes_by_itself_and_unpatched() -> None:
    cluster = Cluster().secrets(docker="ours").workload()

    found = only(cluster.found(), "W_")

    assert (found.finding_class, found.severity) == (W.W_SA_MISSING, Severity.BLOCKING)
    assert found.doubt
    assert found.fix.startswith("once it exists: remediator run")


def test_a_template_with_its_own_secrets_needs_no_account_for_them() -> None:
    cluster = Cluster().secrets(docker="ours").workload("docker")

    assert only(cluster.found(), "W_").finding_class is W.W_COVERED_TEMPLATE


@pytest.mark.parametrize(
    ("own", "listed", "expected"),
    [
        (("docker",), (), W.W_ENFORCED),
        (("docker",), ("docker",), W.W_COVERED_TEMPLATE),
        (("docker", "quay"), ("docker",), W.W_ENFORCED),
        ((), ("docker",), W.W_COVERED_SA),
    ],
)
def test_an_account_that_enforces_its_list_refuses_other_names(
    own: tuple[str, ...], listed: tuple[str, ...], expected: FindingClass
) -> None:
    cluster = Cluster().secrets(**SECRETS).account(*listed, enforces=True).workload(*own)

    found = only(cluster.found(), "W_")

    assert (found.finding_class, found.blocks) == (expected, expected is W.W_ENFORCED)


def test_a_dormant_template_warns() -> None:
    dormant = Cluster().account().workload(dormant=True)
    covered = Cluster().secrets(docker="ours").account("docker").workload(dormant=True)

    found = only(dormant.found(), "W_")

    assert (found.finding_class, found.severity) == (W.W_DORMANT, Severity.WARNING)
    assert found.coverage is Coverage.NO_REFS
    assert only(covered.found(), "W_").finding_class is W.W_COVERED_SA


def test_what_a_judged_kind_controls_is_judged_through_it() -> None:
    cluster = Cluster().account().workload().workload(kind="CronJob", name="nightly")
    cluster.workload(kind="ReplicaSet", name="web-1", controller=Owner("Deployment", "web"))
    cluster.workload(kind="Job", name="nightly-1", controller=Owner("CronJob", "nightly"))

    assert cluster.judged().workloads == 2


def test_what_a_custom_controller_owns_is_judged_itself() -> None:
    cluster = Cluster().account()
    cluster.workload(kind="ReplicaSet", name="web-1", controller=Owner("Rollout", "web"))

    assert only(cluster.found(), "W_").name == "web-1"


def test_a_finished_job_makes_no_pods() -> None:
    assert Cluster().account().workload(kind="Job", finished=True).judged().workloads == 0


@pytest.mark.parametrize("kind", list(ContainerKind))
def test_images_of_every_kind_of_container_count(kind: ContainerKind) -> None:
    containers = (Container("main", OTHER_IMAGE), Container("x", IMAGE, kind))

    found = only(Cluster().account().workload(containers=containers).found(), "W_")

    assert found.image == IMAGE


def test_images_that_only_the_pods_have_count_as_the_templates() -> None:
    cluster = Cluster().account().workload(containers=(Container("main", OTHER_IMAGE),))
    cluster.pod("docker").secrets(docker="ours")

    found = only(cluster.found(), "W_")

    assert (found.finding_class, found.name, found.image) == (W.W_SA_UNPATCHED, "web", IMAGE)


def test_another_tag_in_an_old_pod_is_not_the_templates() -> None:
    containers = (Container("main", f"{REGISTRY}/team/app:2"),)
    cluster = Cluster().account("docker").secrets(docker="ours").workload(containers=containers)
    cluster.pod("docker")

    assert only(cluster.found(), "W_").image == f"{REGISTRY}/team/app:2"


@pytest.mark.parametrize(
    ("logins", "names", "expected"),
    [
        ("kubelet_logins", (), W.W_NODE),
        ("kubelet_logins", ("docker",), W.W_NODE),
        ("kubelet_logins", ("bad",), W.W_POISONED),
        ("kubelet_logins", ("theirs",), W.W_UNKNOWN),
        ("runtime_logins", (), W.W_NODE),
        ("runtime_logins", ("docker",), W.W_STALE),
    ],
)
def test_a_login_on_every_node_covers_pods_to_come(
    logins: str, names: tuple[str, ...], expected: FindingClass
) -> None:
    declared = ClusterFacts(**{logins: (NodeLogin(parse_target(REGISTRY)),)})  # type: ignore[arg-type]
    cluster = Cluster(facts=Facts((declared,))).account(*names).workload()
    cluster.secrets(docker="stale", bad="malformed")

    assert only(cluster.found(), "W_").finding_class is expected


@pytest.mark.parametrize(
    ("pools", "expected", "doubt"),
    [("aa", W.W_NODE, True), ("ab", W.W_SA_UNPATCHED, False), ("", W.W_SA_UNPATCHED, False)],
)
def test_pods_to_come_may_run_on_any_node_that_comes(
    pools: str, expected: FindingClass, *, doubt: bool
) -> None:
    login = NodeLogin(parse_target(REGISTRY), parse_selector("pool=a"))
    cluster = Cluster(facts=Facts((ClusterFacts(kubelet_logins=(login,)),))).account().workload()
    for number, pool in enumerate(pools):
        cluster.judge.add_node(Node(f"n{number}", {"pool": pool}))

    found = only(cluster.found(), "W_")

    assert (found.finding_class, found.severity) == (expected, Severity.BLOCKING)
    assert (found.doubt, "remediator run" in found.fix) == (doubt, True)


@pytest.mark.parametrize("content", ["stale", "elsewhere", "malformed"])
def test_the_fix_of_an_immutable_secret_puts_another_in_its_place(content: str) -> None:
    cluster = Cluster().immutable("docker", content).account("docker").workload()
    cluster.pod("docker")

    found = {f.finding_class.value[0]: f for f in cluster.found()}

    assert "-n team delete secret docker, then remediator run" in found["W"].fix
    assert "delete secret docker" in found["P"].fix
    assert "--on-conflict" not in found["W"].fix + found["P"].fix


def test_an_immutable_secret_of_others_is_left_alone() -> None:
    cluster = Cluster().immutable("quay", "elsewhere").account("quay").workload()

    assert "delete secret" not in only(cluster.found(), "W_").fix


def test_what_wants_no_pods_may_rest_on_labels_of_nodes() -> None:
    login = NodeLogin(parse_target(REGISTRY), parse_selector("pool=a"))
    cluster = Cluster(facts=Facts((ClusterFacts(kubelet_logins=(login,)),))).account()
    cluster.workload(dormant=True).judge.add_node(Node("n", {"pool": "a"}))

    assert only(cluster.found(), "W_").finding_class is W.W_DORMANT


def admission(*names: str, refusal: str = "") -> list[AdmissionProof]:
    """Return what the API server said about web."""
    return [AdmissionProof("team", "Deployment", "web", names, refusal)]


def test_admission_has_the_last_word() -> None:
    cluster = Cluster().secrets(docker="ours").account("docker").workload()

    mutated = only(cluster.found(admissions=admission("other")), "W_")
    proven = only(cluster.found(admissions=admission("docker")), "W_")

    assert mutated.finding_class is W.W_UNKNOWN
    assert proven.evidence == (Level.GRAPH, Level.LOGIN, Level.RIGHT, Level.ADMISSION)


def test_a_refusal_by_the_api_server_is_doubt() -> None:
    cluster = Cluster().secrets(docker="ours").account("docker").workload()

    found = only(cluster.found(admissions=admission(refusal="quota exceeded")), "W_")

    assert (found.finding_class, found.doubt, found.blocks) == (W.W_ADMISSION, True, True)
    assert "quota exceeded" in found.explanation


def test_admission_that_was_asked_for_and_not_proven_is_doubt() -> None:
    cluster = Cluster(evidence=Level.ADMISSION).secrets(docker="ours").account("docker").workload()

    missing = only(cluster.found(), "W_ADMISSION")
    proven = cluster.found(admissions=admission("docker"))

    assert (missing.kind, missing.examples) == ("Cluster", ("team/Deployment/web",))
    assert missing.doubt
    assert W.W_ADMISSION not in classes(proven)


CERTAIN = Signals(annotated=True, named=("mine",))
POSSIBLE = Signals(tools=("Helm release web",))


@pytest.mark.parametrize(
    ("signals", "severity"), [(CERTAIN, Severity.BLOCKING), (POSSIBLE, Severity.WARNING)]
)
def test_an_account_that_somebody_overwrites_is_told_once(
    signals: Signals, severity: Severity
) -> None:
    cluster = Cluster().secrets(docker="ours").account("docker", signals=signals)
    cluster.workload().workload(name="api")

    found = only(cluster.found(), "W_DRIFT")

    assert (found.kind, found.name, found.count) == ("ServiceAccount", "default", 2)
    assert found.severity is severity
    assert not found.doubt


def test_drift_counts_for_a_template_of_which_one_image_is_covered_by_the_account() -> None:
    solo = NodeLogin(parse_target(f"{REGISTRY}/solo"))
    cluster = Cluster(facts=Facts((ClusterFacts(kubelet_logins=(solo,)),)))
    cluster.judge.add_secret(
        PullSecret("team", "docker", CONFIG, content((f"{REGISTRY}/team", LOGIN)))
    )
    images = (Container("main", IMAGE), Container("second", f"{REGISTRY}/solo/app"))
    cluster.account("docker", signals=CERTAIN).workload(containers=images)

    assert only(cluster.found(), "W_DRIFT").blocks


def test_drift_of_an_account_that_covers_nothing_is_not_told() -> None:
    cluster = Cluster().secrets(docker="ours").account("docker", signals=CERTAIN)
    cluster.workload("docker").account(name="bare", signals=CERTAIN)

    assert W.W_DRIFT not in classes(cluster.found())


def test_accounts_without_users_are_one_warning_a_namespace() -> None:
    cluster = Cluster().account().account(name="builder").account("docker", name="ok")

    found = only(cluster.found(), "SA_")

    assert (found.finding_class, found.severity) == (W.SA_UNUSED_UNPATCHED, Severity.WARNING)
    assert (found.count, found.examples) == (2, ("builder", "default"))


def test_accounts_with_users_are_told_with_those() -> None:
    cluster = Cluster().account().workload().account(name="builder")
    cluster.pod(controller=None, account="builder")

    assert W.SA_UNUSED_UNPATCHED not in classes(cluster.found())


def test_what_came_after_the_remediation_is_a_race() -> None:
    late = NOW + timedelta(minutes=1)
    cluster = Cluster(remediated_at=NOW).account(created_at=NOW - timedelta(1))
    cluster.account(name="late", created_at=late)
    cluster.judge.add_namespace(Namespace("fresh", created_at=late))
    cluster.account(namespace="fresh")

    found = {f.name: f for f in cluster.found()}

    assert found["default"].finding_class is W.SA_UNUSED_UNPATCHED
    assert (found["late"].finding_class, found["late"].kind) == (W.N_RACE, "ServiceAccount")
    assert (found["fresh"].finding_class, found["fresh"].kind) == (W.N_RACE, "Namespace")


@pytest.mark.parametrize("scope", [Scope.IGNORED, Scope.EXCLUDED, Scope.OUTSIDE])
def test_a_namespace_left_out_that_uses_the_registry_is_named(scope: Scope) -> None:
    cluster = Cluster()
    cluster.judge.add_namespace(Namespace("team", scope))
    cluster.account().workload().pod().pod(name="web-2")

    judged = cluster.judged()

    found = only(judged.findings, "N_")
    assert (found.finding_class, found.kind, found.name) == (W.N_IGNORED, "Namespace", "team")
    by_itself = scope is Scope.EXCLUDED
    assert found.severity is (Severity.BLOCKING if by_itself else Severity.WARNING)
    assert found.doubt is by_itself
    assert ("`ignore`" in found.fix) is by_itself
    assert "2 pods and 1 workloads" in found.explanation
    assert "3 of them are not covered" in found.explanation
    assert (judged.pods, judged.workloads) == (0, 0)


@pytest.mark.parametrize("scope", [Scope.IGNORED, Scope.EXCLUDED])
def test_a_namespace_left_out_that_is_covered_is_only_mentioned(scope: Scope) -> None:
    cluster = Cluster().secrets(docker="ours").account("docker").workload().pod("docker")
    cluster.judge.add_namespace(Namespace("team", scope))

    found = only(cluster.found(proofs=[]), "N_")

    assert found.severity is Severity.INFO


def test_a_namespace_that_is_being_deleted_makes_no_pods() -> None:
    cluster = Cluster().account().workload().pod()
    cluster.judge.add_namespace(Namespace("team", terminating=True))

    found = only(cluster.found(), "N_")

    assert {f.finding_class for f in cluster.found()} == {W.N_IGNORED, W.C_UNMATCHED}
    assert (found.severity, found.fix[:19]) == (Severity.WARNING, "see what keeps it f")
    assert "is being deleted, and 1 pods and 0 workloads in it" in found.explanation


def test_a_namespace_that_excludes_itself_and_is_being_deleted_does_not_block() -> None:
    cluster = Cluster().account().workload().pod()
    cluster.judge.add_namespace(Namespace("team", Scope.EXCLUDED, terminating=True))

    assert only(cluster.found(), "N_").severity is Severity.WARNING


def test_a_custom_resource_in_a_namespace_that_excludes_itself_is_doubt() -> None:
    cluster = Cluster()
    cluster.judge.add_namespace(Namespace("team", Scope.EXCLUDED))
    cluster.judge.add_mention(Mention("team", "ImageCache", "nightly", "spec.images[0]", IMAGE))

    assert only(cluster.found(), "N_").doubt


def test_a_custom_resource_that_names_the_registry_is_doubt() -> None:
    cluster = Cluster()
    cluster.judge.add_mention(Mention("team", "ImageCache", "nightly", "spec.images[0]", IMAGE))
    cluster.judge.add_mention(Mention("team", "ImageCache", "quay", "spec.images[0]", OTHER_IMAGE))

    (found,) = cluster.found()

    assert (found.finding_class, found.doubt, found.blocks) == (W.W_OTHER, True, True)
    assert "spec.images[0]" in found.explanation


def test_what_cannot_be_decoded_is_doubt_whichever_registry_it_names() -> None:
    cluster = Cluster()
    cluster.judge.add_mention(Mention("team", "Bundle", "js", "spec.bundle", "", unread=True))

    unused, found = cluster.found()

    assert unused.finding_class is W.C_UNUSED  # it may name any registry, and shows that of none
    assert (found.finding_class, found.doubt, found.blocks) == (W.W_OTHER, True, True)
    assert "spec.bundle" in found.explanation


@pytest.mark.parametrize(
    "text",
    [
        "https://robot:hunter2@{host}/v2/",
        "docker login -p hunter2 {host}",
        '{{"auths": {{"{host}": {{"password": "hunter2"}}}}}}',
        "https://{host}/v2/?token=hunter2",
    ],
)
def test_what_else_stands_beside_the_registry_is_not_told(text: str) -> None:
    cluster = Cluster()
    told = text.format(host=REGISTRY)
    cluster.judge.add_mention(Mention("team", "Mirror", "nightly", "spec.url", told))

    (found,) = cluster.found()

    assert "spec.url" in found.explanation
    assert REGISTRY in found.explanation
    assert "hunter2" not in repr(found)


def test_what_a_custom_resource_contradicts_is_not_called_covered() -> None:
    """Its pods have one configuration, its own template names another Secret."""
    cluster = Cluster().secrets(docker="ours", quay="elsewhere").account("docker")
    cluster.pod("docker", controller=Owner("CloneSet", "cs", "apps.kruise.io"))
    pull = Pull("spec.template.spec", ("quay",))
    field = Mention(
        "team",
        "CloneSet",
        "cs",
        "spec.template.spec.containers[0].image",
        IMAGE,
        group="apps.kruise.io",
        use="spec.template.spec",
        pulls=(pull,),
    )
    before = cluster.judged()
    cluster.judge.add_mention(field)

    assert only(before.findings, "W_").finding_class is W.W_COVERED_SA
    (found,) = [row for row in cluster.found() if row.name == "cs" and row.finding_class in _TELLS]
    assert (found.finding_class, found.doubt) == (W.W_OTHER, True)


_TELLS = (W.W_OTHER, W.W_COVERED_SA, W.W_COVERED_TEMPLATE)


@pytest.mark.parametrize(
    ("shared", "severity"), [(False, Severity.INFO), (True, Severity.BLOCKING)]
)
def test_an_image_that_an_application_has_as_well_explains_nothing_of_an_operator(
    shared: bool, severity: Severity
) -> None:
    cluster = Cluster().secrets(docker="ours").account("docker")
    cluster.pod("docker", controller=Owner("CloneSet", "cs", "apps.kruise.io"))
    if shared:
        cluster.workload(name="application")
    field = "env RELATED_IMAGE_OPERAND of container app"
    cluster.judge.add_mention(Mention("team", "Deployment", "operator", field, IMAGE, by=By.TEXT))

    assert only(cluster.found(), "W_OTHER").severity is severity


def test_two_generations_of_pods_of_a_custom_controller_do_not_contradict_each_other() -> None:
    cluster = Cluster().secrets(docker="ours").account("docker")
    owner = Owner("CloneSet", "cs", "apps.kruise.io")
    cluster.pod("docker", controller=owner).pod("quay", "docker", name="web-2", controller=owner)
    cluster.secrets(quay="malformed")

    told = [row for row in cluster.found() if row.finding_class.startswith("W_")]

    assert not [row for row in told if row.finding_class is W.W_COVERED_SA] or not any(
        row.finding_class is W.W_OTHER for row in told
    )


def test_a_custom_resource_whose_pods_are_judged_needs_no_word() -> None:
    cluster = Cluster().secrets(docker="ours").account("docker")
    cluster.workload(kind="StatefulSet", name="db", controller=Owner("Database", "main"))
    cluster.judge.add_mention(Mention("team", "Database", "main", "spec.image", IMAGE))

    assert only(cluster.found(), "W_OTHER").severity is Severity.INFO


@pytest.mark.parametrize(
    ("account", "names", "expected"),
    [
        (("docker",), ("docker",), W.W_COVERED_SA),
        (("docker",), (), W.W_COVERED_SA),
        (("quay",), ("quay",), W.W_SA_UNPATCHED),
        (("quay", "docker"), ("docker", "longer"), W.W_COVERED_TEMPLATE),
        (("docker",), ("quay",), W.W_TEMPLATE_SECRETS),
        # An older list of the ServiceAccount, or the controller's own: it cannot be told.
        (("quay", "docker"), ("quay",), W.W_OTHER),
        (("quay",), ("docker",), W.W_OTHER),
        (("quay", "docker"), ("docker",), W.W_COVERED_SA),
    ],
    ids=str,
)
def test_a_controller_seen_only_through_its_pods(
    account: tuple[str, ...], names: tuple[str, ...], expected: FindingClass
) -> None:
    cluster = Cluster().secrets(**SECRETS).account(*account)
    cluster.pod(*names, controller=Owner("TaskRun", "build"))

    assert only(cluster.found(), "W_").finding_class is expected


def test_a_controller_is_well_only_if_all_its_new_pods_are() -> None:
    cluster = Cluster().secrets(docker="ours").account("docker").account(name="bare")
    owner = Owner("TaskRun", "build")
    for number, account in enumerate(("bare", "default")):
        cluster.pod(name=f"build-{number}", controller=owner, account=account)

    risky = [f for f in cluster.found() if f.finding_class is W.P_RISK_LOW]

    assert all(f.fix.startswith("first mend") for f in risky)


def test_a_rollout_that_has_not_ended_is_judged_by_both_templates() -> None:
    """The pods that are left run with the image on their node; made anew they cannot pull."""
    old: dict[str, Any] = {
        "name": "web-1",
        "kind": "ReplicaSet",
        "controller": Owner("Deployment", "web"),
    }
    cluster = Cluster().secrets(docker="ours", quay="elsewhere").account("docker").workload()
    cluster.workload("quay", **old).pod("quay", controller=Owner("ReplicaSet", "web-1"))

    found = only(cluster.found(), "W_TEMPLATE")

    assert (found.kind, found.name, found.blocks) == ("ReplicaSet", "web-1", True)
    assert "Deployment 'web' to its end" in found.fix


def test_an_older_replicaset_without_pods_or_with_the_same_secrets_is_no_finding() -> None:
    old: dict[str, Any] = {"kind": "ReplicaSet", "controller": Owner("Deployment", "web")}
    cluster = Cluster().secrets(docker="ours").account("docker").workload()
    cluster.workload("quay", name="web-1", dormant=True, **old).workload(name="web-2", **old)

    assert {found.kind for found in cluster.found() if found.finding_class.startswith("W_")} == {
        "Deployment"
    }


def test_an_older_replicaset_is_judged_itself_while_its_deployment_is_not_known() -> None:
    cluster = Cluster().account()
    cluster.workload(kind="ReplicaSet", name="web-1", controller=Owner("Deployment", "web"))

    assert only(cluster.found(), "W_").name == "web-1"


def test_a_partition_may_keep_pods_of_the_default_account() -> None:
    cluster = Cluster().secrets(docker="ours").account().account("docker", name="builder")
    cluster.judge.revisions_unread = "forbidden"
    cluster.workload(kind="StatefulSet", name="db", held="db-1", account="builder")
    cluster.pod(name="db-0", controller=Owner("StatefulSet", "db"))

    assert W.W_SA_UNPATCHED in classes(cluster.found())


def test_a_partition_keeps_the_older_template_of_a_statefulset() -> None:
    cluster = Cluster().secrets(docker="ours", quay="elsewhere").account("docker")
    cluster.judge.revisions_unread = "forbidden"
    cluster.workload(kind="StatefulSet", name="db", held="db-1")
    cluster.pod("quay", name="db-0", controller=Owner("StatefulSet", "db"))

    found = only(cluster.found(), "W_TEMPLATE")

    assert (found.kind, found.name, found.blocks) == ("StatefulSet", "db", True)


@pytest.mark.parametrize(
    ("template", "names", "account", "expected"),
    [
        # It is older than the list of its ServiceAccount.
        ((), (), "", set()),
        ((), ("docker",), "", set()),
        (("docker",), ("docker",), "", set()),
        # The template of before was silent, and the ServiceAccount does not cover.
        (("docker",), (), "", {W.W_SA_UNPATCHED}),
        # The template of before was for another ServiceAccount.
        ((), (), "bare", {W.W_SA_UNPATCHED}),
        ((), ("docker",), "bare", {W.W_OTHER}),
    ],
    ids=str,
)
def test_a_partition_is_seen_by_secrets_and_account_of_the_pods(
    template: tuple[str, ...], names: tuple[str, ...], account: str, expected: set[FindingClass]
) -> None:
    cluster = Cluster().secrets(docker="ours").account(name="bare")
    cluster.account(*(() if template else ("docker",)))
    cluster.judge.revisions_unread = "forbidden"
    cluster.workload(*template, kind="StatefulSet", name="db", held="db-1")
    cluster.pod(*names, name="db-0", account=account, controller=Owner("StatefulSet", "db"))

    found = [each.finding_class for each in cluster.found() if each.kind == "StatefulSet"]

    now = W.W_COVERED_TEMPLATE if template else W.W_COVERED_SA
    unread = {W.W_UNKNOWN}  # what the revision holds
    assert {each for each in found if each.startswith("W_")} == {now} | unread | expected
