"""Image references are read as github.com/distribution/reference v0.6.0 reads them; the tables are its answers."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.image import ImageReference, InvalidReference, parse_image

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "normalised"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/a/b", "docker.io/a/b:latest"),
        ("index.docker.io/nginx", "docker.io/library/nginx:latest"),
        ("registry-1.docker.io/library/nginx", "registry-1.docker.io/library/nginx:latest"),
        ("foo/bar", "docker.io/foo/bar:latest"),
        ("FOO/app", "FOO/app:latest"),
        ("foo:5000", "docker.io/library/foo:5000"),
        ("foo:5000/bar", "foo:5000/bar:latest"),
        ("reg.io:5000", "docker.io/library/reg.io:5000"),
        ("docker.io", "docker.io/library/docker.io:latest"),
        ("localhost", "docker.io/library/localhost:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("Localhost/app", "Localhost/app:latest"),
        ("[::1]:5000/app:1", "[::1]:5000/app:1"),
        ("reg_io/app", "docker.io/reg_io/app:latest"),
        ("my_reg.example.com/app", "my_reg.example.com/app:latest"),
        ("reg.io/a__b", "reg.io/a__b:latest"),
        ("reg.io/a--b", "reg.io/a--b:latest"),
        ("reg.io/app:_ok", "reg.io/app:_ok"),
        ("reg.io:99999/app", "reg.io:99999/app:latest"),
        (f"nginx@{DIGEST}", f"docker.io/library/nginx@{DIGEST}"),
        (f"nginx:1@{DIGEST}", f"docker.io/library/nginx:1@{DIGEST}"),
        (f"sha256:{'b' * 64}", f"docker.io/library/sha256:{'b' * 64}"),
        (f"reg.io/app@sha512:{'0' * 128}", f"reg.io/app@sha512:{'0' * 128}"),
        ("reg.io/app:" + "t" * 128, "reg.io/app:" + "t" * 128),
    ],
)
def test_a_reference_gets_its_defaults(text: str, normalised: str) -> None:
    assert str(parse_image(text)) == normalised


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "foo/APP",
        "reg.io/APP:1",
        "a" * 64,
        "[fe80::1%25eth0]/app",
        "nginx@sha256:abc",
        f"nginx@sha256:{'A' * 64}",
        f"nginx@md5:{'a' * 32}",
        f"nginx@{DIGEST}a",
        "nginx@",
        "nginx:",
        "reg_io:5000/app",
        "reg.io/a___b",
        "reg.io/a..b",
        "reg.io/a_",
        "reg.io/app:-bad",
        "reg.io/app:.bad",
        "reg.io/app:" + "t" * 129,
        "https://reg.io/app",
        " nginx",
        "nginx\n",
        "reg.io/äpp",
        "reg.io//app",
        "reg.io/" + "a" * 256,
    ],
)
def test_what_no_node_could_pull_is_refused(text: str) -> None:
    with pytest.raises(InvalidReference):
        parse_image(text)


def test_a_path_may_have_255_characters() -> None:
    assert parse_image("reg.io/" + "a" * 255).path == "a" * 255


@pytest.mark.parametrize(
    ("text", "domain", "path"),
    [
        ("nginx", "docker.io", "library/nginx"),
        ("registry.example.com:5000/team/app:1", "registry.example.com:5000", "team/app"),
        ("my_reg.example.com/app", "", "my_reg.example.com/app"),
    ],
)
def test_registry_and_repository_are_told_apart(text: str, domain: str, path: str) -> None:
    image = parse_image(text)

    assert (image.domain, image.path) == (domain, path)
    assert image.repository == (f"{domain}/{path}" if domain else path)


def test_the_digest_is_pulled_where_there_is_one() -> None:
    assert parse_image(f"nginx:1@{DIGEST}").reference == DIGEST
    assert parse_image("nginx:1").reference == "1"
    assert parse_image("nginx").reference == "latest"


_COMPONENT = st.from_regex(r"[a-z0-9]{1,8}((\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}", fullmatch=True)
_PATHS = st.lists(_COMPONENT, min_size=2, max_size=4).map("/".join)
_DOMAINS = st.from_regex(r"[a-z]{1,6}\.[a-z]{2,3}(:[1-9][0-9]{0,4})?", fullmatch=True)
_TAGS = st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
_DIGESTS = st.none() | st.text("0123456789abcdef", min_size=64, max_size=64).map("sha256:{}".format)


@given(_DOMAINS, _PATHS, _TAGS, _DIGESTS)
def test_what_was_put_together_is_taken_apart(
    domain: str, path: str, tag: str | None, digest: str | None
) -> None:
    wanted = ImageReference(domain, path, tag or (None if digest else "latest"), digest)

    assert parse_image(str(wanted)) == wanted


@given(st.text(string.ascii_letters + string.digits + "./:@_-[]\n é", max_size=80))
def test_reading_is_stable_and_only_refuses_by_its_own_error(text: str) -> None:
    try:
        image = parse_image(text)
    except InvalidReference:
        return

    if image.domain:
        assert parse_image(str(image)) == image
    assert image.tag or image.digest
