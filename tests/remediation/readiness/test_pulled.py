"""Whether the image of a spec is the one on the node, by what runtimes tell in their own ways."""

import pytest

from remediation.image import parse_image
from remediation.readiness.observation import Container, ContainerKind, ContainerState, Pod
from remediation.readiness.pulled import Pulled, pulled

IMAGE = "registry.example.com/team/app:1"
A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
REPO = "registry.example.com/team/app"
ELSEWHERE = "quay.io/o/r"


def judge(
    image: str, shown: str, kept: str, *, generation: int = 2, unseen: bool = False
) -> Pulled:
    """Return what is thought of a running container."""
    container = Container(
        "m", image, state=ContainerState.RUNNING, shown_image=shown, image_id=kept
    )
    pod = Pod("team", "web", (container,), generation=generation, unseen=unseen)
    return pulled(pod, container, parse_image(image))


@pytest.mark.parametrize(
    ("image", "shown", "kept"),
    [
        (IMAGE, IMAGE, f"{REPO}@{A}"),
        (IMAGE, IMAGE, A),
        (IMAGE, IMAGE, "a" * 64),
        (IMAGE, IMAGE, f"docker://{A}"),
        (IMAGE, IMAGE, f"docker-pullable://{REPO}@{A}"),
        (IMAGE, A, A),
        (IMAGE, "", A),
        (IMAGE, A, f"{REPO}@{A}"),
        ("nginx", "docker.io/library/nginx:latest", f"docker.io/library/nginx@{A}"),
        ("library/nginx:1", "nginx:1", f"nginx@{A}"),
        (f"{REPO}@{A}", IMAGE, f"{REPO}@{A}"),
        (f"{REPO}:9@{A}", IMAGE, f"{REPO}@{A}"),
        # One of two names is enough: another with the same content stands first in the runtime's list.
        (IMAGE, "a.example.com/mirror/app:1", f"{REPO}@{A}"),
        (IMAGE, IMAGE, f"a.example.com/mirror/app@{A}"),
    ],
)
def test_nothing_contradicts(image: str, shown: str, kept: str) -> None:
    assert judge(image, shown, kept) is Pulled.YES


@pytest.mark.parametrize(
    ("shown", "kept"),
    [(f"{ELSEWHERE}:1", f"{ELSEWHERE}@{B}"), (f"{ELSEWHERE}:1", B), (B, f"{ELSEWHERE}@{B}")],
)
def test_another_repository_after_a_change_is_another_image(shown: str, kept: str) -> None:
    assert judge(IMAGE, shown, kept) is Pulled.NO


def test_another_name_of_what_was_never_changed_is_the_same_image() -> None:
    assert judge(IMAGE, f"{ELSEWHERE}:1", f"{ELSEWHERE}@{B}", generation=1) is Pulled.YES
    assert judge(IMAGE, f"{REPO}:7", f"{REPO}@{B}", generation=1) is Pulled.YES


def test_where_changes_are_not_counted_another_repository_is_in_doubt() -> None:
    assert judge(IMAGE, f"{ELSEWHERE}:1", f"{ELSEWHERE}@{B}", generation=0) is Pulled.DOUBTED


@pytest.mark.parametrize(
    ("image", "shown", "kept"),
    [
        (IMAGE, f"{REPO}:7", f"{REPO}@{B}"),
        (f"{REPO}@{A}", f"{REPO}:1", f"{REPO}@{B}"),
    ],
)
def test_another_tag_or_digest_of_the_repository_is_in_doubt(
    image: str, shown: str, kept: str
) -> None:
    assert judge(image, shown, kept) is Pulled.DOUBTED


def test_a_change_that_the_kubelet_has_not_seen_leaves_in_doubt_what_is_not_named() -> None:
    assert judge(IMAGE, A, A, unseen=True) is Pulled.DOUBTED
    assert judge(IMAGE, A, f"{REPO}@{A}", unseen=True) is Pulled.DOUBTED
    assert judge(IMAGE, IMAGE, A, unseen=True) is Pulled.YES


@pytest.mark.parametrize(
    ("state", "kept", "reason", "expected"),
    [
        (ContainerState.NONE, "", "", Pulled.NO),
        (ContainerState.WAITING, "", "ContainerCreating", Pulled.NO),
        (ContainerState.WAITING, A, "ImagePullBackOff", Pulled.NO),
        (ContainerState.WAITING, A, "CrashLoopBackOff", Pulled.YES),
        (ContainerState.TERMINATED, A, "", Pulled.YES),
    ],
)
def test_a_container_that_does_not_run_tells_by_its_state(
    state: ContainerState, kept: str, reason: str, expected: Pulled
) -> None:
    container = Container("m", IMAGE, state=state, image_id=kept, reason=reason)

    assert pulled(Pod("team", "web", (container,)), container, parse_image(IMAGE)) is expected


def test_image_volumes_are_there_once_a_container_has_started() -> None:
    volume = Container("v", IMAGE, ContainerKind.VOLUME)
    for state, expected in ((ContainerState.NONE, Pulled.NO), (ContainerState.RUNNING, Pulled.YES)):
        pod = Pod("team", "web", (volume, Container("m", "i", state=state)))

        assert pulled(pod, volume, parse_image(IMAGE)) is expected
