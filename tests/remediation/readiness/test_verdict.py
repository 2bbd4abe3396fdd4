"""The verdict, and what it makes of the registry's answers, of waivers and of what could not be read."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from remediation.docker_config import Login, parse_docker_config
from remediation.readiness.coverage import Wanted
from remediation.readiness.facts import ClusterFacts, Facts, NodeLogin, WaiverRule
from remediation.readiness.finding import Coverage, FindingClass, Severity, Waiver
from remediation.readiness.observation import Container, ContainerState, Owner, PullSecret
from remediation.readiness.proof import Level, RegistryProof
from remediation.readiness.request import overall
from remediation.readiness.target import parse_target
from remediation.readiness.verdict import Verdict, summarise, verdict_of
from remediation.registry.verdict import LoginAnswer
from remediation.registry.verdict import Verdict as RegistryVerdict
from tests.remediation.readiness.cluster import (
    CONFIG,
    IMAGE,
    LOGIN,
    NOW,
    REGISTRY,
    RUNNING,
    Cluster,
    classes,
    content,
    only,
)
from tests.remediation.test_short_lived import token

ALWAYS = Container("main", IMAGE, pull_policy="Always", state=ContainerState.RUNNING, image_id="x")
V = RegistryVerdict


def good(**options: Any) -> Cluster:
    """Return a cluster in which everything is covered."""
    cluster = Cluster(**options).secrets(docker="ours").account("docker").workload()
    return cluster.pod("docker")


def test_all_covered_and_proven_is_safe() -> None:
    judged = good().judged()

    summary = summarise([judged])

    assert summary.verdict is Verdict.SAFE
    assert summary.reasons == ()
    assert summary.counts == {FindingClass.P_COVERED: 1, FindingClass.W_COVERED_SA: 1}
    assert {finding.evidence for finding in judged.findings} == {
        (Level.GRAPH, Level.LOGIN, Level.RIGHT)
    }


def test_nothing_looked_at_is_unknown() -> None:
    assert summarise([]).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("answer", "demanded", "expected"),
    [
        (V.WORKS, Level.RIGHT, Verdict.SAFE),
        (V.ACCEPTED_NO_SUCH_IMAGE, Level.RIGHT, Verdict.UNKNOWN),
        (V.ACCEPTED_NO_SUCH_IMAGE, Level.LOGIN, Verdict.SAFE),
        (V.NOT_PROVEN_PUBLIC, Level.RIGHT, Verdict.UNKNOWN),
        (V.NOT_PROVEN_PUBLIC, Level.LOGIN, Verdict.UNKNOWN),
        (V.NOT_PROVEN_PUBLIC, Level.GRAPH, Verdict.SAFE),
        (V.UNREACHABLE, Level.RIGHT, Verdict.UNKNOWN),
        (V.UNREACHABLE, Level.LOGIN, Verdict.UNKNOWN),
        (V.UNREACHABLE, Level.GRAPH, Verdict.SAFE),
        (V.BUSY, Level.RIGHT, Verdict.UNKNOWN),
        (V.NOT_A_REGISTRY, Level.LOGIN, Verdict.UNKNOWN),
        (V.REFUSED_BY_RULES, Level.LOGIN, Verdict.UNKNOWN),
        (V.WRONG_CREDENTIAL, Level.GRAPH, Verdict.NOT_SAFE),
        (V.ACCEPTED_NO_RIGHT, Level.GRAPH, Verdict.NOT_SAFE),
        (V.DENIED, Level.GRAPH, Verdict.NOT_SAFE),
        (None, Level.GRAPH, Verdict.SAFE),
        (None, Level.LOGIN, Verdict.UNKNOWN),
        (None, Level.RIGHT, Verdict.UNKNOWN),
    ],
    ids=str,
)
def test_the_registry_has_to_show_what_was_asked_for(
    answer: RegistryVerdict | None, demanded: Level, expected: Verdict
) -> None:
    cluster = good(evidence=demanded)
    proofs = [] if answer is None else cluster.proofs(answer)

    assert verdict_of(cluster.found(proofs=proofs)) is expected


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        (LoginAnswer.ACCEPTED, Verdict.SAFE),
        (LoginAnswer.NOT_CHECKED, Verdict.UNKNOWN),
        (LoginAnswer.REFUSED, Verdict.NOT_SAFE),
    ],
)
def test_what_a_public_registry_says_of_the_login_counts(
    accepted: LoginAnswer, expected: Verdict
) -> None:
    cluster = good(evidence=Level.LOGIN)
    proofs = [RegistryProof(f"{REGISTRY}/team/app", LOGIN, V.NOT_PROVEN_PUBLIC, accepted)]

    assert verdict_of(cluster.found(proofs=proofs)) is expected


def test_a_credential_that_the_registry_refuses_covers_nothing() -> None:
    found = good().pod("docker", name="web-2", containers=(ALWAYS,))

    findings = found.found(proofs=found.proofs(V.ACCEPTED_NO_RIGHT))

    assert classes(findings) == {
        FindingClass.P_RISK_LOW,
        FindingClass.P_RISK_RESTART,
        FindingClass.W_REFUSED,
        FindingClass.R_REFUSED,
    }
    assert only(findings, "W_").coverage is Coverage.REFUSED


@pytest.mark.parametrize("answer", [V.WRONG_CREDENTIAL, V.ACCEPTED_NO_RIGHT, V.DENIED])
def test_a_refusal_blocks_whatever_is_said_of_pods_and_templates(answer: RegistryVerdict) -> None:
    declared = ClusterFacts(kubelet_logins=(NodeLogin(parse_target(REGISTRY)),))
    cluster = good(facts=Facts((declared,)))

    found = cluster.found(proofs=cluster.proofs(answer))

    assert [each.finding_class for each in found if each.blocks] == [FindingClass.R_REFUSED]
    assert not only(found, "R_").doubt


def test_an_image_that_does_not_exist_is_no_matter_of_reaching_the_registry() -> None:
    cluster = good(evidence=Level.RIGHT)

    found = only(cluster.found(proofs=cluster.proofs(V.ACCEPTED_NO_SUCH_IMAGE)), "R_")

    assert found.fix.startswith("push the image, or mend its name")


def test_repositories_with_the_same_answer_are_one_finding() -> None:
    cluster = good()
    containers = tuple(Container(n, f"{REGISTRY}/team/{n}:1") for n in "abcd")
    cluster.workload(name="many", containers=containers)

    found = only(cluster.found(proofs=[]), "R_")

    assert (found.finding_class, found.count) == (FindingClass.R_UNPROVEN, 5)
    assert found.examples[0] == f"{REGISTRY}/team/a"


def test_repositories_that_only_pods_use_have_to_be_proven_too() -> None:
    cluster = good()
    image = replace(RUNNING, image=f"{REGISTRY}/solo/app:1")
    cluster.pod("docker", name="alone", controller=None, containers=(image,))
    proofs = [proof for proof in cluster.proofs() if proof.repository != f"{REGISTRY}/solo/app"]

    assert verdict_of(cluster.found()) is Verdict.SAFE
    assert verdict_of(cluster.found(proofs=proofs)) is Verdict.UNKNOWN


def test_another_credential_covers_once_it_is_proven() -> None:
    cluster = Cluster().secrets(docker="ours", theirs="theirs").account("docker").workload("theirs")

    questions = [question for question in cluster.judge.questions() if not question.desired]
    (question,) = questions
    proofs = [RegistryProof(question.repository, question.login, V.WORKS)]

    assert only(cluster.found(proofs=cluster.proofs()), "W_").blocks
    found = only(cluster.found(proofs=[*cluster.proofs(), *proofs]), "W_")
    assert (found.finding_class, found.coverage) == (
        FindingClass.W_COVERED_TEMPLATE,
        Coverage.COVERED,
    )
    assert question.reference == "1"


@pytest.mark.parametrize(
    ("login", "covers"),
    [
        (Login("gitlab-ci-token", "x"), False),
        (Login("any", "ghs_x"), False),
        (Login("any", token({"exp": NOW.timestamp() + 30 * 60})), False),
        (Login("any", token({"exp": NOW.timestamp() + -3600})), False),
        (Login("any", token({"exp": NOW.timestamp() + 30 * 86400})), True),
    ],
)
def test_another_credential_that_ends_within_a_day_covers_nothing(
    login: Login, covers: bool
) -> None:
    cluster = Cluster().secrets(docker="ours").account("docker").workload("theirs")
    cluster.judge.add_secret(PullSecret("team", "theirs", CONFIG, content((REGISTRY, login))))

    asked = cluster.judge.questions()
    proofs = [RegistryProof(question.repository, question.login, V.WORKS) for question in asked]

    assert login in {proof.login for proof in proofs}
    assert verdict_of(cluster.found(proofs=proofs)) is (
        Verdict.SAFE if covers else Verdict.NOT_SAFE
    )


def test_logins_that_nobody_relies_on_are_not_asked_about() -> None:
    cluster = Cluster().secrets(docker="ours", theirs="theirs").account("theirs", "docker")
    cluster.workload()

    assert [question.desired for question in cluster.judge.questions()] == [True]


def test_without_a_credential_nothing_is_safe() -> None:
    cluster = good(wanted=Wanted("docker"), evidence=Level.GRAPH)

    findings = cluster.found()

    assert verdict_of(findings) is Verdict.UNKNOWN
    assert FindingClass.C_NO_CREDENTIAL in classes(findings)
    assert FindingClass.P_COVERED in classes(findings)


def test_a_registry_that_only_nodes_log_in_to_needs_no_credential() -> None:
    logins = (NodeLogin(parse_target(REGISTRY)),)
    facts = Facts((ClusterFacts(kubelet_logins=logins),))
    cluster = Cluster(wanted=Wanted("docker"), evidence=Level.GRAPH, facts=facts)
    cluster.account().secrets().workload()

    findings = cluster.found()

    assert verdict_of(findings) is Verdict.SAFE
    assert FindingClass.C_NO_CREDENTIAL in classes(findings)


def test_a_list_that_could_not_be_read_leaves_the_verdict_open() -> None:
    cluster = good()
    cluster.judge.add_problem("cronjobs.batch", "403 Forbidden")

    findings = cluster.found()

    assert verdict_of(findings) is Verdict.UNKNOWN
    found = only(findings, "C_UNREADABLE")
    assert (found.kind, found.name) == ("List", "cronjobs.batch")
    assert "403 Forbidden" in found.explanation


def test_a_cluster_that_could_not_be_read_leaves_the_verdict_open() -> None:
    lost = Cluster()
    lost.judge.add_problem("cluster", "no answer for 10 s")

    summary = summarise([good().judged(), lost.judged()])

    assert summary.verdict is Verdict.UNKNOWN
    assert "1 x C_UNREADABLE, such as prod: Cluster/prod" in summary.text


def test_what_is_wrong_outweighs_what_is_not_known() -> None:
    cluster = good().workload("hidden", name="doubtful").account(name="bare")
    cluster.workload(name="wrong", account="bare")

    summary = summarise([cluster.judged()])

    assert summary.verdict is Verdict.NOT_SAFE
    assert [reason.split(",")[0] for reason in summary.reasons] == [
        "1 x W_SA_UNPATCHED",
        "1 x W_UNKNOWN",
    ]


@pytest.mark.parametrize(
    ("clusters", "expected"),
    [
        ([], Verdict.UNKNOWN),
        ([Verdict.SAFE], Verdict.SAFE),
        ([Verdict.SAFE, None], Verdict.UNKNOWN),
        ([Verdict.SAFE, Verdict.UNKNOWN], Verdict.UNKNOWN),
        ([Verdict.SAFE, Verdict.NOT_SAFE, None], Verdict.NOT_SAFE),
    ],
)
def test_the_worst_cluster_decides(clusters: list[Verdict | None], expected: Verdict) -> None:
    assert overall(clusters) is expected


def test_a_list_that_cannot_be_read_can_be_accepted() -> None:
    waiver = Waiver("ops", "no jobs there", NOW + timedelta(1))
    rule = WaiverRule(waiver, (FindingClass.C_UNREADABLE,), names=("jobs",))
    cluster = good(facts=Facts((), (rule,)))
    cluster.judge.add_problem("jobs", "forbidden")

    assert verdict_of(cluster.found()) is Verdict.SAFE


def test_warnings_do_not_keep_it_from_being_safe() -> None:
    cluster = good().pod(name="old").account(name="bare")

    summary = summarise([cluster.judged()])

    assert summary.verdict is Verdict.SAFE
    assert summary.severities[Severity.WARNING] == 2


def waived(days: int, **fields: tuple[str, ...]) -> Facts:
    """Return facts that accept an unpatched ServiceAccount for some days from now."""
    waiver = Waiver("ops", "moved next week", NOW + timedelta(days))
    return Facts((), (WaiverRule(waiver, (FindingClass.W_SA_UNPATCHED,), **fields),))


def test_a_waived_finding_stays_visible_and_does_not_block() -> None:
    cluster = Cluster(facts=waived(1)).account().workload()

    summary = summarise([cluster.judged()])
    found = only(cluster.found(), "W_")

    assert (summary.verdict, summary.waived) == (Verdict.SAFE, 1)
    assert found.severity is Severity.BLOCKING
    assert found.waiver
    assert found.waiver.owner == "ops"


def test_a_waiver_ends() -> None:
    cluster = Cluster(facts=waived(-1)).account().workload()

    found = only(cluster.found(), "W_")

    assert found.blocks
    assert found.explanation.endswith("It was accepted by ops until 2026-11-24.")


@pytest.mark.parametrize(
    ("fields", "accepted"),
    [
        ({"clusters": ("prod",)}, True),
        ({"clusters": ("dev-*",)}, False),
        ({"namespaces": ("te*",)}, True),
        ({"namespaces": ("other",)}, False),
        ({"kinds": ("CronJob",)}, False),
        ({"names": ("web",)}, True),
        ({"images": (f"{REGISTRY}/*",)}, True),
        ({"images": ("quay.io/*",)}, False),
    ],
    ids=str,
)
def test_a_waiver_is_for_what_it_names(fields: dict[str, tuple[str, ...]], accepted: bool) -> None:
    cluster = Cluster(facts=waived(1, **fields)).account().workload()

    assert only(cluster.found(), "W_").blocks is not accepted


def test_a_row_has_the_names_of_the_interface() -> None:
    row = only(Cluster(facts=waived(1)).account().workload().found(), "W_").to_row()

    assert list(row)[:10] == [
        "cluster",
        "namespace",
        "kind",
        "name",
        "image",
        "class",
        "severity",
        "coverage",
        "explanation",
        "fix",
    ]
    assert json.loads(json.dumps(row)) == row
    assert row["waiver"]["expires_at"] == "2026-11-26T12:00:00+00:00"


def test_secrets_to_be_read_are_those_that_pods_in_question_name() -> None:
    cluster = Cluster().secrets(quay="elsewhere").account("a", "docker", "quay").workload()
    cluster.workload("b", name="api").pod("c").pod("d", containers=(Container("x", "quay.io/a"),))
    cluster.account("unused", name="unused")
    # Of a foreign controller nobody knows whether its pods get their own or those of the ServiceAccount.
    cluster.account("e", name="builder")
    cluster.pod("f", account="builder", controller=Owner("TaskRun", "build"))

    assert cluster.judge.wanted_secrets() == tuple(("team", name) for name in "abcef")


def test_no_password_is_in_what_comes_out() -> None:
    cluster = (
        Cluster().secrets(docker="stale", theirs="theirs").account("docker").workload("theirs")
    )
    judged = cluster.judged()

    told = repr(judged) + repr(cluster.judge.questions()) + repr(cluster.proofs())

    for password in ("right", "yesterday", "'theirs', password", "password='theirs'"):
        assert f"password='{password}'" not in told
    assert "yesterday" not in told


@pytest.mark.parametrize(
    ("answer", "login", "demanded", "reason"),
    [
        (None, LoginAnswer.NOT_CHECKED, Level.GRAPH, "nobody asked the registry"),
        (V.UNREACHABLE, LoginAnswer.NOT_CHECKED, Level.GRAPH, "could not be reached"),
        (V.NOT_PROVEN_PUBLIC, LoginAnswer.NOT_CHECKED, Level.GRAPH, "gives it to anyone"),
        (V.NOT_PROVEN_PUBLIC, LoginAnswer.ACCEPTED, Level.GRAPH, "accepts the login"),
        (V.NOT_PROVEN_PUBLIC, LoginAnswer.ACCEPTED, Level.LOGIN, "accepts the login"),
    ],
    ids=str,
)
def test_safe_without_proof_says_so(
    answer: RegistryVerdict | None, login: LoginAnswer, demanded: Level, reason: str
) -> None:
    proofs = [RegistryProof(f"{REGISTRY}/team/app", LOGIN, answer, login)] if answer else []

    findings = good(evidence=demanded).found(proofs=proofs)
    found = only(findings, "R_")

    assert verdict_of(findings) is Verdict.SAFE
    assert (found.finding_class, found.severity) == (FindingClass.R_UNPROVEN, Severity.WARNING)
    assert found.name == f"{REGISTRY}/team/app"
    assert reason in found.explanation
    assert "evidence L2" in found.fix


def test_what_works_needs_no_word_at_any_level() -> None:
    for demanded in (Level.GRAPH, Level.LOGIN, Level.RIGHT, Level.ADMISSION):
        cluster = good(evidence=demanded)
        assert not [
            f for f in cluster.found(proofs=cluster.proofs()) if f.name.startswith(REGISTRY)
        ]


def test_each_login_for_a_repository_has_to_be_proven() -> None:
    other = Login("robot", "broad")
    wanted = parse_docker_config(content((REGISTRY, other), (f"{REGISTRY}/team", LOGIN)))
    cluster = good(wanted=Wanted("docker", wanted, "reg"))
    works = RegistryProof(f"{REGISTRY}/team/app", LOGIN, V.WORKS)
    away = RegistryProof(f"{REGISTRY}/team/app", other, V.UNREACHABLE)

    assert verdict_of(cluster.found(proofs=[works])) is Verdict.UNKNOWN
    assert verdict_of(cluster.found(proofs=[works, away])) is Verdict.UNKNOWN


def test_a_login_for_the_whole_registry_does_not_stand_for_that_for_a_part() -> None:
    """The credential has one for team/ because the other does not do; a Secret that lacks it is stale, or proven."""
    broad = Login("robot", "yesterday")
    wanted = parse_docker_config(content((f"{REGISTRY}/team", LOGIN), (REGISTRY, broad)))
    cluster = Cluster(wanted=Wanted("docker", wanted, "reg")).account("docker").workload()
    cluster.secrets(docker="stale").pod("docker")
    works = RegistryProof(f"{REGISTRY}/team/app", broad, V.WORKS)

    assert FindingClass.W_STALE in {found.finding_class for found in cluster.found(proofs=[])}
    assert FindingClass.W_COVERED_SA in {
        found.finding_class for found in cluster.found(proofs=[works])
    }


def test_nobody_answers_for_a_cluster_that_was_not_seen() -> None:
    rule = WaiverRule(
        Waiver("ops", "it is always away", NOW + timedelta(1)), (FindingClass.C_UNREADABLE,)
    )
    lost = Cluster(facts=Facts((), (rule,)))
    lost.judge.add_problem("cluster", "no answer for 10 s")

    assert verdict_of(lost.found()) is Verdict.UNKNOWN


def test_a_waiver_for_one_image_accepts_no_other() -> None:
    containers = tuple(Container(name, f"{REGISTRY}/team/{name}:1") for name in ("app", "b"))
    cluster = Cluster(facts=waived(1, images=(f"{REGISTRY}/team/app:1",)))
    cluster.account().workload(containers=containers)

    findings = cluster.found()

    assert [f.image for f in findings if f.blocks] == [f"{REGISTRY}/team/b:1"]
    assert verdict_of(findings) is Verdict.NOT_SAFE


def test_a_waiver_for_one_repository_accepts_no_other() -> None:
    accepted = Waiver("ops", "known", NOW + timedelta(1))
    rule = WaiverRule(accepted, (FindingClass.R_UNPROVEN,), names=(f"{REGISTRY}/team/app",))
    cluster = good(facts=Facts((), (rule,)))
    cluster.workload(name="b", containers=(Container("b", f"{REGISTRY}/team/b:1"),))

    assert [f.name for f in cluster.found(proofs=[]) if f.blocks] == [f"{REGISTRY}/team/b"]


def test_accounts_that_nobody_could_list_are_not_called_missing() -> None:
    accepted = Waiver("ops", "no right yet", NOW + timedelta(1))
    rule = WaiverRule(accepted, (FindingClass.C_UNREADABLE,))
    cluster = Cluster(facts=Facts((), (rule,))).secrets(docker="ours").workload()
    cluster.judge.add_problem("serviceaccounts", "403 Forbidden")

    assert only(cluster.found(), "W_").finding_class is FindingClass.W_UNKNOWN
    assert verdict_of(cluster.found()) is Verdict.UNKNOWN


def test_a_registry_that_nothing_uses_is_told() -> None:
    unused = Cluster(registry="registry.exmaple.com").account("docker").workload()

    found = only(unused.found(), "C_")

    assert (found.finding_class, found.severity) == (FindingClass.C_UNUSED, Severity.BLOCKING)
    assert "registry.exmaple.com" in found.explanation
    assert "did you mean that" in found.explanation
    assert verdict_of(unused.found()) is Verdict.UNKNOWN
    assert FindingClass.C_UNUSED not in classes(good().found())
