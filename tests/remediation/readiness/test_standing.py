"""What a Secret of the wanted name means for the run that a fix prints."""

from dataclasses import replace

import pytest

from remediation.credential import credential_from_login
from remediation.docker_config import SECRET_TYPE, Login
from remediation.drift.signals import Signals
from remediation.footprint import APPLY, OUR_MANAGER, Holder
from remediation.readiness import fixes
from remediation.readiness.coverage import Wanted
from remediation.readiness.observation import Going, PullSecret
from remediation.readiness.proof import RegistryProof
from remediation.readiness.standing import FREE, standing_of
from remediation.registry.verdict import Verdict
from tests.remediation.readiness.cluster import NOW, Cluster

RIGHT = credential_from_login("reg", "registry.example.com", Login("u", "p"))
OTHER = credential_from_login("x", "other.example.com", Login("u", "p")).content
THEIRS = PullSecret("team", "docker", SECRET_TYPE, OTHER)
OURS = replace(THEIRS, ours=True)
RUN = "remediator run --clusters prod --namespaces team --secret-name docker"
EDITED = Signals(owners=(Holder(OUR_MANAGER, APPLY), Holder("kubectl-edit", "Update")))


MERGE, REPLACE = " --on-conflict merge", " --on-conflict replace"


@pytest.mark.parametrize(
    ("secret", "option"),
    [
        (None, ""),
        (replace(THEIRS, content=RIGHT.content), ""),
        (OURS, ""),
        (THEIRS, MERGE),
        (replace(THEIRS, content=b"{"), REPLACE),
        (replace(OURS, signals=EDITED), REPLACE),
    ],
)
def test_the_line_works_whatever_secret_is_there(secret: PullSecret | None, option: str) -> None:
    standing = standing_of(secret, RIGHT.config) if secret else FREE

    fix = fixes.remediate("prod", "team", Wanted("docker", RIGHT.config, "reg", standing))

    assert fix.split(" (")[0] == f"{RUN} --credential reg{option}"
    assert ("(" in fix) == (standing is not FREE)


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        (replace(THEIRS, type="Opaque"), "has type 'Opaque', and a type cannot be changed"),
        (replace(THEIRS, immutable=True), "is immutable"),
        (replace(THEIRS, content=b"{", immutable=True), "is immutable and malformed"),
    ],
)
def test_a_secret_that_cannot_be_changed_goes_first(secret: PullSecret, why: str) -> None:
    wanted = Wanted("docker", RIGHT.config, "reg", standing_of(secret, RIGHT.config))

    assert fixes.remediate("prod", "team", wanted) == (
        f"Secret 'docker' there {why}: if nothing else uses it, kubectl --context prod -n team delete secret docker,"
        f" then {RUN} --credential reg"
    )


def test_a_secret_that_is_being_deleted_is_waited_for() -> None:
    standing = standing_of(replace(OURS, going=Going(True)), RIGHT.config)

    fix = fixes.remediate("prod", "team", Wanted("docker", None, standing=standing))

    assert fix.startswith("finish the deletion (kubectl --context prod -n team get secret docker")
    assert fix.endswith(
        f"then {RUN} --credential NAME (NAME stands for a credential that the workers hold)"
    )


def test_a_login_that_the_registry_refuses_has_to_be_corrected_first() -> None:
    cluster = Cluster().account().workload()
    answers = [
        RegistryProof(question.repository, question.login, Verdict.WRONG_CREDENTIAL)
        for question in cluster.judge.questions()
    ]

    (found,) = (row for row in cluster.judge.conclude(NOW, answers).findings if row.namespace)

    assert answers
    assert found.fix.endswith(
        "--credential reg (once the registry takes the login: it refuses it now)"
    )
