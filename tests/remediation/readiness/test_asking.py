"""Tools that log in with pull Secrets by themselves: one login at a time, where the kubelet tries all."""

import pytest

from remediation.readiness.finding import Finding, FindingClass, Severity
from remediation.readiness.observation import Asks, Container, Mention, Owner, Pull, Workload
from tests.remediation.readiness.cluster import IMAGE, REGISTRY, Cluster, only

SERVING = "serving.knative.dev"
DIGEST = f"{REGISTRY}/team/app@sha256:{'1' * 64}"
FIELD = "spec.template.spec.containers[0].image"
SERVICE = Owner("Service", "hello", SERVING)
REVISION = Owner("Revision", "hello-1", SERVING)


def knative(
    *listed: str, image: str = IMAGE, made: str = DIGEST, pulls: tuple[Pull, ...] = ()
) -> Cluster:
    """Return a cluster with a Knative Service, its Revision and the Deployment of that."""
    kinds = {name: "theirs" for name in listed if name != "docker"}
    cluster = Cluster().secrets(docker="ours", **kinds).account(*listed)
    containers = (Container("user-container", made),)
    own = next((pull.secrets for pull in pulls), ())
    cluster.judge.add_workload(
        Workload("team", "Deployment", "hello-1-deployment", containers, own, controller=REVISION)
    )
    use = "spec.template.spec"
    named = Mention("team", "Service", "hello", FIELD, image, SERVING, None, use, pulls)
    cluster.judge.add_mention(named)
    revision = Mention(
        "team", "Revision", "hello-1", "spec.containers[0].image", image, SERVING, SERVICE, "spec"
    )
    cluster.judge.add_mention(revision)
    return cluster


def of_service(cluster: Cluster) -> Finding:
    """Return what is said of the Knative Service."""
    return only((each for each in cluster.found() if each.kind == "Service"), "W_OTHER")


def test_a_digest_of_the_repository_explains_the_tag() -> None:
    assert of_service(knative("docker")).severity is Severity.INFO


@pytest.mark.parametrize(
    ("listed", "doubt"),
    [(("team-a", "docker"), True), (("docker", "team-a"), False), (("docker",), False)],
)
def test_the_first_login_that_matches_is_what_a_tag_is_looked_up_with(
    listed: tuple[str, ...], doubt: bool
) -> None:
    found = of_service(knative(*listed))

    assert (found.doubt, found.blocks) == (doubt, doubt)


def test_the_secrets_of_the_account_come_after_those_of_the_object() -> None:
    own = (Pull("spec.template.spec", ("docker",)),)

    found = of_service(knative("team-a", "docker", pulls=own))

    assert not found.doubt


def test_a_secret_that_cannot_be_read_leaves_the_tag_in_doubt() -> None:
    cluster = Cluster().secrets(docker="ours").account("team-a", "docker")
    others = knative("docker", "team-a")
    cluster.judge.mentions = others.judge.mentions
    cluster.judge.workloads = others.judge.workloads

    assert of_service(cluster).doubt


def test_another_repository_is_not_what_the_deployment_has() -> None:
    found = of_service(knative("docker", image=f"{REGISTRY}/team/other:1"))

    assert found.doubt
    assert "tries one login" in found.explanation
    assert "Revision is ready" in found.fix


def test_another_tag_explains_a_tag_of_knative_no_more_than_of_others() -> None:
    assert of_service(knative("docker", made=f"{REGISTRY}/team/app:2")).doubt


def test_a_revision_is_resolved_once_and_not_looked_up_again() -> None:
    rows = [row for row in knative("team-a", "docker").found() if row.doubt]

    assert [(row.kind, row.finding_class) for row in rows] == [("Service", FindingClass.W_OTHER)]


def asked(asks: Asks, text: str = f"{REGISTRY}/team/app") -> Finding:
    """Return what is said of an object that a tool reads; three Secrets are there."""
    cluster = Cluster().secrets(docker="ours", theirs="theirs", longer="longer")
    cluster.account("theirs", "docker")
    kind = "ImageRepository"
    cluster.judge.add_mention(Mention("team", kind, "app", "spec.image", text, "x.y", asks=asks))
    return only(cluster.found(), "W_OTHER")


@pytest.mark.parametrize(
    ("secrets", "account", "doubt"),
    [
        (("docker",), "", False),
        (("theirs",), "", True),
        (("docker", "theirs"), "", True),
        (("docker", "longer"), "", True),
        (("gone",), "", True),
        ((), "", True),
        ((), "default", True),
    ],
)
def test_one_login_that_is_right_has_to_be_the_only_one(
    secrets: tuple[str, ...], account: str, doubt: bool
) -> None:
    found = asked(Asks("Flux", "team", secrets, account, "spec.secretRef"))

    assert found.doubt is doubt
    assert ("spec.secretRef" in found.fix) is (doubt and secrets != ("gone",))


@pytest.mark.parametrize(
    "text",
    [f"oci://{IMAGE}", f"app={IMAGE}", f"app={REGISTRY}/team/app:~1.2, b={REGISTRY}/team/b:1.x"],
)
def test_images_are_read_in_the_forms_that_tools_take(text: str) -> None:
    assert not asked(Asks("Flux", "team", ("docker",)), text).doubt


def test_secrets_of_tools_are_read_in_judged_namespaces() -> None:
    cluster = Cluster()
    for namespace in ("team", ""):
        asks = Asks("Flux", namespace, ("flux",))
        mention = Mention("team", "X", namespace or "x", "spec.image", IMAGE, "x.y", asks=asks)
        cluster.judge.add_mention(mention)

    assert ("team", "flux") in cluster.judge.wanted_secrets()
