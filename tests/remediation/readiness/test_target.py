"""What is about to be flipped."""

import pytest

from remediation.image import parse_image
from remediation.readiness.target import InvalidTarget, Target, parse_target, serves


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("registry.example.com", Target("registry.example.com")),
        ("registry.example.com/", Target("registry.example.com")),
        ("registry.example.com/team", Target("registry.example.com", "team")),
        ("registry.example.com/team/", Target("registry.example.com", "team")),
        ("registry.example.com:5000/a/b", Target("registry.example.com:5000", "a/b")),
        ("registry.example.com:443", Target("registry.example.com")),
        ("index.docker.io", Target("docker.io")),
        ("registry-1.docker.io/team", Target("docker.io", "team")),
        ("[::1]:5000", Target("[::1]:5000")),
        ("localhost", Target("localhost")),
    ],
)
def test_a_target_is_read(text: str, expected: Target) -> None:
    assert parse_target(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "https://r.io", "R.io", "r.io:x", "r.io/Team", "r.io?x", "*.r.io", "r.io/ a", ".r.io"],
)
def test_what_is_no_registry_is_refused(text: str) -> None:
    with pytest.raises(InvalidTarget, match="must be a registry like"):
        parse_target(text)


@pytest.mark.parametrize(
    ("target", "image", "expected"),
    [
        ("r.io", "r.io/a", True),
        ("r.io", "R.io/a", True),
        ("r.io", "r.io:443/a", True),
        ("r.io", "r.io:80/a", False),
        ("r.io", "r.io:0443/a", True),
        ("r.io:443", "r.io:000443/a", True),
        ("r.io:0443", "r.io/a", True),
        ("r.io.", "r.io/a", True),
        ("r.io:5000", "r.io:05000/a", True),
        ("r.io:05000", "r.io:5000/a", True),
        ("r.io:500", "r.io:5000/a", False),
        ("[::1]:5000", "[0:0:0:0:0:0:0:1]:05000/a", True),
        ("[2001:db8::1]", "[2001:DB8:0::1]:443/a", True),
        ("127.0.0.1:5000", "127.1:5000/a", True),
        ("r.io", "x.r.io/a", False),
        ("r.io:5000", "r.io:5000/a", True),
        ("r.io:5000", "r.io/a", False),
        ("r.io/team", "r.io/team/app", True),
        ("r.io/team", "r.io/team", True),
        ("r.io/team", "r.io/teams/app", False),
        ("docker.io", "nginx", True),
        ("docker.io", "index.docker.io/library/nginx", True),
        ("docker.io", "registry-1.docker.io/library/nginx", True),
        ("docker.io/library", "nginx", True),
        ("docker.io/library", "team/nginx", False),
    ],
)
def test_images_of_the_registry_are_known(target: str, image: str, expected: bool) -> None:
    assert parse_target(target).includes(parse_image(image)) is expected


@pytest.mark.parametrize(
    ("target", "text", "expected"),
    [
        ("r.io", "r.io/team/app:1", True),
        ("r.io", "oci://R.IO/charts", True),
        ("r.io", "https://r.io:443", True),
        ("r.io", "r.io", True),
        ("r.io", "see r.io for more", True),
        ("r.io", "r.io.example.com/a", False),
        ("r.io", "other.r.io/a", False),
        ("r.io", "rxio/a", False),
        ("r.io/team", "r.io/team/app", True),
        ("r.io/team", "r.io/team:1", True),
        ("r.io/team", "r.io/other/app", False),
        ("r.io/team", "r.io", True),
        ("r.io/team", "not r.io/other/app:1 but r.io/team/app:1", True),
        ("r.io/team/app", '{"image": "r.io/team/app"}', True),
        ("r.io/team/app", "pulled from r.io/team/app.", True),
        ("r.io/team", "r.io/{{ .Values.team }}/app", True),
        ("r.io/team/app", "r.io/team", True),
        ("r.io/team/app", "r.io/team:1", False),
        ("r.io/team", "r.io/teams", False),
        ("r.io", "r.io:0443/team/app:1", True),
        ("r.io", "ask r.io.", True),
        ("r.io", "r.io./team", True),
        ("r.io", "r.io.uk/team", False),
        ("r.io:5000", "r.io:05000/team", True),
        ("r.io:5000", "r.io/team", False),
        ("r.io:5000", "r.io:50001/team", False),
        ("[::1]:5000", "http://[0:0:0:0:0:0:0:1]:5000/team", True),
        ("[::1]:5000", "[::2]:5000/team", False),
        ("xn--rgistry-bya.example.com", "régistry.example.com/team", True),
        ("docker.io", "https://index.docker.io/v1/", True),
        ("docker.io", "registry-1.docker.io/library/nginx", True),
        ("docker.io/team", "team/app:1", True),
        ("docker.io/team", "docker run --rm TEAM/app", True),
        ("docker.io/team/app", "team/app", True),
        ("docker.io/team/app", "team/app@sha256:12", True),
        ("docker.io/team/app", "team/app-debug", False),
        ("docker.io/team", "team", False),
        ("docker.io/team", "https://example.com/team/app", False),
        ("docker.io/team", "quay.io/team/app", False),
        ("docker.io/team", "my-team/app", False),
        ("r.io/team", "team/app", False),
        ("r.io", "${REG:-r.io}/team", True),
        ("r.io", "${REG:=r.io}/team", True),
        ("r.io", "https://robot:pw@r.io/team", True),
        ("r.io", "oci_r.io/team", True),  # no host has a _
        ("r.io", "images:\n-r.io/team", True),
        ("r.io", "mirror-r.io/team", False),
        ("r.io", "*.r.io", False),
        ("r.io", "${ENV}.r.io/team", False),
        ("r.io", "{{ .Values.env }}-r.io/team", False),
        ("r.io", "NO_PROXY=.r.io", True),
        ("r.io", "r.io-mirror/team", False),
        ("r.io", "it is r.io, and r.io...", True),
        ("r.io", "r.io\\nnext", True),
    ],
)
def test_mentions_of_the_registry_are_found(target: str, text: str, expected: bool) -> None:
    assert parse_target(target).mentioned_in(text) is expected
    assert not expected or any(trace in text.lower() for trace in parse_target(target).traces)


@pytest.mark.parametrize(
    ("key", "target", "expected"),
    [
        ("r.example.com", "r.example.com", True),
        ("https://r.example.com/v2/", "r.example.com", True),
        ("r.example.com", "r.exmaple.com", False),
        ("r.example.com/team", "r.example.com", True),
        ("r.example.com", "r.example.com/team", True),
        ("r.example.com/team", "r.example.com/team/app", True),
        ("r.example.com/te", "r.example.com/team", True),
        ("r.example.com/team/app", "r.example.com/team", True),
        ("r.example.com/teams", "r.example.com/team", False),
        ("r.example.com/other", "r.example.com/team", False),
        ("r.example.com:443", "r.example.com", True),
        ("r.example.com:0443", "r.example.com", True),
        ("R.example.com", "r.example.com", True),
        ("r.example.com:5000", "r.example.com", False),
        ("r.example.com", "r.example.com:5000", False),
        ("r.example.com:5000", "r.example.com:05000", True),
        ("*.example.com", "r.example.com", True),
        ("*.example.com", "a.r.example.com", False),
        ("*.example.com:5000", "r.example.com", False),
        ("*.example.com/team", "r.example.com/other", False),
        ("[::1]:5000", "[0:0::1]:5000", True),
        ("https://index.docker.io/v1/", "docker.io", True),
        ("docker.io", "docker.io/team", True),
        ("registry-1.docker.io", "docker.io", True),
        ("index.docker.io", "r.example.com", False),
        ("index.docker.io", "localhost", True),
        ("%%%", "r.example.com", False),
    ],
)
def test_a_key_serves_a_registry_if_it_can_match_an_image_of_it(
    key: str, target: str, expected: bool
) -> None:
    assert serves([key], parse_target(target)) is expected
