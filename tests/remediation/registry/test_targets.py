"""Which repositories are asked for, by the kubelet's rule; the table is kubernetes' own answers."""

import base64
import json

import pytest

from remediation.docker_config import DockerConfig, parse_docker_config
from remediation.registry.targets import logins_for, targets
from remediation.registry_key import effective_key, matches


def config(**users: str) -> DockerConfig:
    """Return a docker config of one login for each key; `users` maps the user name to the key."""
    auths = {
        key: {"auth": base64.b64encode(f"{user}:made-up".encode()).decode()}
        for user, key in users.items()
    }
    return parse_docker_config(json.dumps({"auths": auths}).encode())


@pytest.mark.parametrize(
    "key",
    [
        "registry.example.com",
        "https://registry.example.com",
        "http://registry.example.com/",
        "https://registry.example.com/v1/",
        "https://registry.example.com/v2/",
        "registry.example.com/team",
        "registry.example.com/team/",
        "registry.example.com/team/app",
        "registry.example.com/tea",
        "*.example.com",
        "reg*.example.com",
        "registry.*.com",
    ],
)
def test_keys_that_match(key: str) -> None:
    assert matches(effective_key(key) or "", "registry.example.com/team/app")


@pytest.mark.parametrize(
    "key",
    [
        "https://registry.example.com/v2",
        "registry.example.com/team/app:1",
        "registry.example.com/*",
        "*.com",
        "*",
        "registry.example.com:443",
        "Registry.example.com",
    ],
)
def test_keys_that_do_not(key: str) -> None:
    assert not matches(effective_key(key) or "", "registry.example.com/team/app")


def test_a_port_has_to_be_the_same() -> None:
    assert matches("host:5000", "host:5000/x")
    assert not matches("host", "host:5000/x")
    assert matches("[::1]:5000", "[::1]:5000/x")
    assert not matches("[::1]", "[::1]:5000/x")


@pytest.mark.parametrize(
    ("key", "offered"),
    [
        ("https://index.docker.io/v1/", True),
        ("index.docker.io", True),
        ("docker.io", True),
        ("docker.io/library", True),
        ("index.docker.io/library", False),
        ("registry-1.docker.io", False),
    ],
)
def test_docker_hub(key: str, offered: bool) -> None:
    assert bool(logins_for(config(robot=key), "docker.io/library/nginx")) is offered


def test_logins_come_in_the_kubelets_order() -> None:
    keys = config(host="r.example", team="r.example/team", other="s.example")

    found = logins_for(keys, "r.example/team/app")

    assert [login.username for login in found] == ["team", "host"]


def test_images_in_use_are_asked_for_once_with_their_logins() -> None:
    (target,) = targets(
        config(robot="r.example"),
        ["r.example/a:1", "r.example/a:2", "r.example/b@sha256:" + "a" * 64, "nginx", "NO:SUCH"],
        20,
    )

    assert target.registry == "r.example"
    assert [(image.path, image.reference) for image, _ in target.images] == [
        ("a", "1"),
        ("b", "sha256:" + "a" * 64),
    ]


def test_few_are_asked_for_and_they_are_various() -> None:
    images = [f"r.example/one/app{n:02}" for n in range(50)] + [
        "r.example/two/app",
        "s.example/x/y",
    ]

    found = targets(config(r="r.example", s="s.example"), images, 3)

    asked = {image.repository for target in found for image, _ in target.images}
    assert asked == {"r.example/one/app00", "r.example/two/app", "s.example/x/y"}


def test_a_registry_without_an_image_in_use_is_asked_about_its_login() -> None:
    found = targets(config(a="r.example", b="s.example/team", c="*.t.example"), ["r.example/x"], 9)

    assert [(target.registry, len(target.images)) for target in found] == [
        ("r.example", 1),
        ("s.example", 0),
    ]
    assert found[1].login
    assert found[1].login.username == "b"


def test_docker_hub_is_one_registry() -> None:
    found = targets(config(a="https://index.docker.io/v1/"), ["nginx"], 9)

    assert [target.registry for target in found] == ["docker.io"]


def test_no_login_is_shown() -> None:
    found = targets(config(a="r.example", b="s.example"), ["r.example/x"], 9)

    assert "made-up" not in repr(found)


def test_repositories_beyond_the_bound_are_named() -> None:
    images = [f"a.example/team/app{number:02}" for number in range(7)] + ["b.example/x"]

    found = {
        each.registry: each for each in targets(config(u="a.example", v="b.example"), images, 5)
    }

    asked = [image.path for image, _ in found["a.example"].images]
    assert len(asked) == 4
    assert sorted([*asked, *found["a.example"].not_asked]) == [
        f"team/app{number:02}" for number in range(7)
    ]
    assert found["b.example"].not_asked == ()


def test_a_registry_beyond_the_bound_is_named_with_all_its_repositories() -> None:
    images = ["a.example/x", "b.example/x", "b.example/y"]

    found = {each.registry: each for each in targets(config(u="*.example"), images, 1)}

    assert found["b.example"].not_asked == ("x", "y")
    assert found["b.example"].login
