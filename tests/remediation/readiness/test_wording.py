"""What a text that names the registry says, and which pods account for the images in it."""

import pytest

from remediation.readiness.finding import Severity
from remediation.readiness.observation import By, Mention, Owner
from remediation.readiness.wording import Says, wording
from tests.remediation.readiness.cluster import IMAGE, REGISTRY, Cluster


@pytest.mark.parametrize(
    ("place", "text", "says"),
    [
        ("env X", f"{REGISTRY}/team/app:1", Says.IMAGE),
        ("env X", f"docker://{REGISTRY}/team/app", Says.IMAGE),
        ("env X", f"oci://{REGISTRY}/charts/app", Says.IMAGE),
        ("env X", f"[a|{REGISTRY}/team/app:1|b]", Says.IMAGE),
        ("env X", f"{REGISTRY}/$(NAME)", Says.IMAGE),
        ("env X", f"https://{REGISTRY}/v2/ {REGISTRY}/team/app", Says.IMAGE),
        ("env X", f"https://{REGISTRY}/team/app", Says.ADDRESS),
        ("env X", f"https://robot:pw@{REGISTRY}/team/app", Says.ADDRESS),
        ("env X", f"redis://{REGISTRY}/0", Says.ADDRESS),
        ("env X", f"/etc/certs.d/{REGISTRY}/ca.crt", Says.ADDRESS),
        ("env IMAGE", f"https://{REGISTRY}/team/app", Says.PREFIX),
        ("env REGISTRY_URL", f"https://{REGISTRY}", Says.ADDRESS),
        ("env REGISTRY", REGISTRY, Says.PREFIX),
        ("env REGISTRY_PROXY_REMOTEURL", f"https://{REGISTRY}", Says.PREFIX),
        ("env DOCKER_MIRROR", f"https://{REGISTRY}", Says.PREFIX),
        ("env NO_PROXY", f"localhost,{REGISTRY}", Says.ADDRESS),
        ("env no_proxy", REGISTRY, Says.ADDRESS),
        ("args", f"--image-registry={REGISTRY}", Says.PREFIX),
        ("args --repository", REGISTRY, Says.PREFIX),
        ("env CONFIG", f'{{"repository": "{REGISTRY}"}}', Says.PREFIX),
        ("args", f"docker login {REGISTRY}", Says.ADDRESS),
        ("env X of container image-proxy", REGISTRY, Says.ADDRESS),
    ],
)
def test_a_text_says_an_image_a_prefix_or_an_address(place: str, text: str, says: Says) -> None:
    assert wording(Cluster().judge, place, text).says is says


def test_an_image_that_cannot_be_read_is_accounted_for_by_nothing() -> None:
    cluster = Cluster()

    assert wording(cluster.judge, "env X", f"{REGISTRY}/$(NAME):1").legible is False
    assert wording(cluster.judge, "env X", f"{IMAGE},").legible is True


def told(namespace: str, name: str) -> Mention:
    """Return a variable of an operator."""
    return Mention(namespace, "Deployment", name, "env X of container main", IMAGE, by=By.TEXT)


@pytest.mark.parametrize(
    ("tellers", "expected"),
    [
        ([("team", "one")], ["info"]),
        ([("other", "one")], ["info"]),
        ([("team", "one"), ("team", "two")], ["blocking", "info"]),
        ([("team", "one"), ("other", "two")], ["blocking", "info"]),
        ([("more", "one"), ("other", "two")], ["blocking", "info"]),
    ],
    ids=str,
)
def test_pods_account_for_one_operator_each(
    tellers: list[tuple[str, str]], expected: list[str]
) -> None:
    cluster = Cluster().secrets(docker="ours").account("docker")
    cluster.pod("docker", controller=Owner("CloneSet", "cs", "apps.kruise.io"))
    for namespace, name in tellers:
        cluster.judge.add_mention(told(namespace, name))
        cluster.judge.add_mention(told(namespace, name))  # twice in one object is one use

    rows = [row for row in cluster.found() if row.kind == "Deployment"]

    assert sorted(row.severity for row in rows) == expected
    assert all(row.doubt for row in rows if row.severity is Severity.BLOCKING)
