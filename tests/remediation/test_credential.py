"""Registry logins, judged as the kubelet does."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.credential import (
    check_registry,
    credential_from_docker_config,
    credential_from_login,
)
from remediation.docker_config import (
    SECRET_TYPE,
    InvalidCredential,
    Login,
    holds,
    merge,
    parse_docker_config,
)
from remediation.readiness.keyring import lookup, read_secret
from remediation.registry_key import effective_key
from tests.remediation.values import LOGIN, PASSWORDS, REGISTRY, auth_of, config_of, document

USERNAMES = st.text(
    st.characters(codec="utf-8", exclude_characters=":"), min_size=1, max_size=8
).filter(str.isprintable)
ANY_PASSWORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
LOGINS = st.builds(Login, USERNAMES, ANY_PASSWORDS)
KEYS = st.sampled_from(
    [
        "registry.example.com",
        "https://registry.example.com",
        "http://registry.example.com/",
        "https://registry.example.com/v1/",
        "registry.example.com/team",
        "registry.example.com:443",
        "quay.io",
        "https://index.docker.io/v1/",
        "*.example.com",
    ]
)
OTHER_FIELDS = st.dictionaries(
    st.sampled_from(["email", "identitytoken", "x"]),
    st.text(st.characters(codec="utf-8"), max_size=5),
)


@st.composite
def entries(draw: st.DrawFn) -> dict[str, Any]:
    login = draw(LOGINS)
    others = draw(OTHER_FIELDS)
    form = draw(st.sampled_from(["auth", "plain", "both", "differing"]))
    if form == "plain":
        return others | {"username": login.username, "password": login.password}
    auth = {"auth": auth_of(login.username, login.password)}
    if form == "both":
        auth |= {"username": login.username, "password": login.password}
    if form == "differing":
        auth |= {"username": "old", "password": "old"}
    return others | auth


AUTHS = st.dictionaries(KEYS, entries(), max_size=4)
CONTENTS = st.builds(
    document, AUTHS, credHelpers=st.just({}), HttpHeaders=st.just({"User-Agent": "x"})
)
CREDENTIALS = st.builds(
    lambda auths: credential_from_docker_config("reg", document(auths)),
    st.dictionaries(KEYS, entries(), min_size=1, max_size=3),
)


@pytest.mark.parametrize(
    ("key", "effective"),
    [
        ("registry.example.com", "registry.example.com"),
        ("https://registry.example.com", "registry.example.com"),
        ("http://registry.example.com/", "registry.example.com"),
        ("https://registry.example.com/v1/", "registry.example.com"),
        ("https://registry.example.com/v2/", "registry.example.com"),
        ("registry.example.com/v2", "registry.example.com/v2"),
        ("registry.example.com/v1/team", "registry.example.com/team"),
        ("registry.example.com/team", "registry.example.com/team"),
        ("registry.example.com/team/", "registry.example.com/team/"),
        ("registry.example.com:443", "registry.example.com:443"),
        ("host:5000", "host:5000"),
        ("host:5000/x", "host:5000/x"),
        ("*.example.com", "*.example.com"),
        ("Registry.example.com", "Registry.example.com"),  # letter case counts
        ("[::1]:5000", "[::1]:5000"),
        ("user@registry.example.com", "registry.example.com"),
        ("", None),
        ("https://", None),
        ("/team", None),
        (" registry.example.com", None),
        ("registry.example.com ", None),
        ("regis\ntry.example.com", None),
        ("registry.example.com\t", None),
        ("host:port", None),
        ("http://[::1", None),
        ("régistry.example.com", "régistry.example.com"),
        ("\ud800", "\ufffd"),
    ],
)
def test_a_registry_key_is_read_as_the_kubelet_reads_it(key: str, effective: str | None) -> None:
    found = effective_key(key)

    # `/v1/` leaves "/", which the kubelet takes for the host alone.
    assert found == (
        effective.removesuffix("/") if key.endswith(("/v1/", "/v2/")) and effective else effective
    )


@given(st.text(max_size=12))
def test_any_text_has_an_effective_key_or_none(key: str) -> None:
    assert effective_key(key) != ""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"[]",
        b'"auths"',
        b"null",
        b'{"auths":[]}',
        b'{"auths":"x"}',
        b'{"auths":{"r.io":[]}}',
        b'{"auths":{"r.io":"x"}}',
        b'{"auths":{"r.io":{"auth":"%%%"}}}',
        b'{"auths":{"r.io":{"auth":"bm9jb2xvbg=="}}}',  # no colon inside
        b'{"auths":{"r.io":{"auth":"dTpw="}}}',  # wrong padding
        b'{"auths":{"r.io":{"auth":"dTpw===="}}}',
        b'{"auths":{"r.io":{"auth":"dTpwdw="}}}',
        b'{"auths":{"r.io":{"auth":"dTpwd"}}}',  # cut off
        b'{"auths":{"r.io":{"auth":"dTo=dTpw"}}}',
        b'{"auths":""}',
        b'{"auths":false}',
        b'{"auths":{"r.io":{"auth":"dTpw "}}}',
        b'{"auths":{"r.io":{"auth":"dTpw dTpw"}}}',
        b'{"auths":{"r.io":{"auth":"dTo_Pz8-"}}}',  # the alphabet of URLs
        b'{"auths":{"r.io":{"auth":1}}}',
        b'{"auths":{"r.io":{"username":1}}}',
        b'{"auths":{"r.io":{"username":"u","password":"p","email":{}}}}',
        b'{"AUTHS":{"r.io":{"Auth":"%%%"}}}',  # letter case does not hide it
        b'{"auths":{"good.io":{"auth":"dTpw"},"bad.io":{"auth":"%%%"}}}',  # one is enough
        b"\xff\xfe",
        b'\xef\xbb\xbf{"auths":{}}',  # a byte order mark
        '{"auths":{}}'.encode("utf-16"),
        b'{"auths":{},"x":NaN}',
        b'{"auths":{},"x":-Infinity}',
        b'{"auths":{}} {}',
        b"[" * 100_000,
        b'{"x":' * 900 + b"1" + b"}" * 900,  # what cannot be read cannot be merged either
        b'{"x":' * 5_000 + b"1" + b"}" * 5_000,
    ],
)
def test_content_that_breaks_every_pull_is_rejected(content: bytes) -> None:
    with pytest.raises(InvalidCredential):
        parse_docker_config(content)


@pytest.mark.parametrize(
    ("entry", "login"),
    [
        ({"auth": "dTpw"}, Login("u", "p")),
        ({"auth": "dTpwdw=="}, Login("u", "pw")),
        ({"auth": "dTpwdw"}, Login("u", "pw")),  # without padding
        ({"auth": "dTpw\ndw==\r\n"}, Login("u", "pw")),  # as `base64` wraps it
        ({"auth": "dTpwOng="}, Login("u", "p:x")),  # the first colon divides
        ({"auth": "dTo="}, Login("u", "")),
        ({"auth": "OnA="}, Login("", "p")),
        ({"auth": "dTpw", "username": "old", "password": "old"}, Login("u", "p")),  # auth wins
        ({"auth": "", "username": "u", "password": "p"}, Login("u", "p")),
        ({"auth": None, "username": "u", "password": "p"}, Login("u", "p")),
        ({"Username": "u", "PASSWORD": "p"}, Login("u", "p")),
        ({"username": "old", "Username": "u", "password": "p"}, Login("u", "p")),
        ({"identitytoken": "t"}, Login("", "")),
        ({}, Login("", "")),
        (None, Login("", "")),
    ],
)
def test_an_entry_is_read_as_the_kubelet_reads_it(entry: object, login: Login) -> None:
    config = parse_docker_config(document({"r.io": entry}))

    assert config.logins == (("r.io", login),)


@pytest.mark.parametrize("content", [b"{}", b'{"auths":{}}', b'{"auths":null}', b'{"foo":1}'])
def test_content_without_logins_breaks_nothing(content: bytes) -> None:
    assert parse_docker_config(content).logins == ()


@pytest.mark.parametrize(
    "auths",
    [
        {},
        None,
        {"r.io": {}},
        {"r.io": None},
        {"r.io": {"identitytoken": "t"}},
        {"r.io": {"auth": auth_of("", "p")}},
        {"r.io": {"auth": auth_of("u", "")}},
        {"r.io": {"username": "u:x", "password": "p"}},
        {"r.io": {"username": "u", "password": "\ud800"}},  # JSON can say it, UTF-8 cannot
        {"r.io": {"username": "\ud800", "password": "p"}},
        {"r.io": {"auth": base64.b64encode(b"u:caf\xe9").decode()}},
        {"": {"auth": "dTpw"}},
        {"https://": {"auth": "dTpw"}},
        {" r.io": {"auth": "dTpw"}},
        {"\ud800": {"auth": "dTpw"}},
        {"r.io": {"auth": "dTpw"}, "x:y": {"auth": "dTpw"}},
    ],
)
def test_a_credential_that_could_not_pull_is_rejected(auths: object) -> None:
    with pytest.raises(InvalidCredential):
        credential_from_docker_config("reg", document(auths))


def test_passwords_that_differ_in_bytes_outside_utf_8_differ() -> None:
    one, other = (
        parse_docker_config(document({"r.io": {"auth": base64.b64encode(raw).decode()}}))
        for raw in (b"u:caf\xe9", b"u:caf\xe8")
    )

    assert not holds(one, other)


@given(KEYS, LOGINS)
def test_a_login_becomes_content_that_says_it_both_ways(key: str, login: Login) -> None:
    if key.startswith("*") or login.password.endswith(("\r", "\n")):
        return  # refused

    credential = credential_from_login("reg", key, login)

    entry = json.loads(credential.content)["auths"][key]
    assert entry == {
        "username": login.username,
        "password": login.password,
        "auth": auth_of(login.username, login.password),
    }


@given(st.dictionaries(KEYS, entries(), min_size=1, max_size=4))
def test_a_credential_holds_what_it_was_made_of(auths: dict[str, Any]) -> None:
    content = document(auths)

    credential = credential_from_docker_config("reg", content)

    assert parse_docker_config(credential.content) == credential.config
    assert credential.config.logins == parse_docker_config(content).logins
    assert credential.registries == tuple(auths)
    assert holds(credential.config, credential.config)
    assert holds(parse_docker_config(content), credential.config)


@given(st.dictionaries(KEYS, entries(), min_size=1, max_size=4))
def test_the_same_logins_give_the_same_bytes(auths: dict[str, Any]) -> None:
    """Every Secret is the same, and one that is in line is known by its content."""
    first, second = (credential_from_docker_config(name, document(auths)) for name in "ab")

    assert first.content == second.content


def test_user_names_are_told_once_each() -> None:
    content = config_of(a_io=LOGIN, b_io=Login("other", "x"), c_io=LOGIN)

    assert credential_from_docker_config("reg", content).usernames == ("robot", "other")


@given(CONTENTS, CREDENTIALS)
def test_a_merge_holds_the_wanted_and_keeps_the_rest(content: bytes, wanted: Any) -> None:
    existing = parse_docker_config(content)

    merged = merge(existing, wanted.config)

    assert holds(parse_docker_config(merged), wanted.config)
    before, after = json.loads(content), json.loads(merged)
    ours = set(wanted.config.by_repository())
    for key, entry in before["auths"].items():
        if effective_key(key) not in ours:
            assert json.dumps(after["auths"][key]) == json.dumps(entry)
    foreign = [key for key in before["auths"] if effective_key(key) not in ours]
    assert [key for key in after["auths"] if effective_key(key) not in ours] == foreign
    for name in set(before) - {"auths"}:
        assert after[name] == before[name]


@given(CONTENTS, CREDENTIALS)
def test_a_merge_that_is_repeated_changes_nothing(content: bytes, wanted: Any) -> None:
    once = merge(parse_docker_config(content), wanted.config)

    assert merge(parse_docker_config(once), wanted.config) == once


def test_a_merge_replaces_other_spellings_of_the_registry() -> None:
    existing = parse_docker_config(
        document(
            {
                f"https://{REGISTRY}/v1/": {"auth": auth_of("old", "old")},
                f"{REGISTRY}/team": {"auth": auth_of("team", "theirs")},
            }
        )
    )
    wanted = credential_from_login("reg", REGISTRY, LOGIN)

    merged = json.loads(merge(existing, wanted.config))["auths"]

    assert list(merged) == [f"{REGISTRY}/team", REGISTRY]


def test_a_merge_keeps_entries_whose_key_nobody_can_read() -> None:
    existing = parse_docker_config(document({" odd key": {"auth": "dTpw"}}))
    wanted = credential_from_login("reg", REGISTRY, LOGIN)

    assert " odd key" in json.loads(merge(existing, wanted.config))["auths"]


def test_a_merge_leaves_one_auths_of_several_spellings() -> None:
    existing = parse_docker_config(b'{"Auths":{"quay.io":{"auth":"dTpw"}},"x":1}')
    wanted = credential_from_login("reg", REGISTRY, LOGIN)

    merged = json.loads(merge(existing, wanted.config))

    assert list(merged) == ["x", "auths"]
    assert list(merged["auths"]) == ["quay.io", REGISTRY]


@pytest.mark.parametrize(
    ("existing", "held"),
    [
        ({REGISTRY: LOGIN}, True),
        ({f"https://{REGISTRY}/v2/": LOGIN}, True),
        ({"quay.io": Login("x", "y"), REGISTRY: LOGIN}, True),
        ({REGISTRY: LOGIN, f"https://{REGISTRY}": LOGIN}, True),
        ({}, False),
        ({"quay.io": LOGIN}, False),
        ({f"{REGISTRY}/team": LOGIN}, False),
        ({f"{REGISTRY}:443": LOGIN}, False),
        ({REGISTRY: Login("robot", "stale")}, False),
        ({REGISTRY: Login("other", LOGIN.password)}, False),
        ({REGISTRY: LOGIN, f"https://{REGISTRY}": Login("robot", "stale")}, False),
    ],
)
def test_a_secret_holds_the_login_or_it_does_not(existing: dict[str, Login], held: bool) -> None:
    auths = {key: {"auth": auth_of(it.username, it.password)} for key, it in existing.items()}
    wanted = credential_from_login("reg", REGISTRY, LOGIN)

    assert holds(parse_docker_config(document(auths)), wanted.config) is held


@pytest.mark.parametrize(
    "registry",
    [
        "registry.example.com",
        "registry.example.com:5000",
        "registry.example.com/team",
        "https://registry.example.com/v1/",
        "localhost:65535",
        "[::1]:5000",
    ],
)
def test_a_registry_that_images_can_name_is_returned(registry: str) -> None:
    assert check_registry(registry) == registry


@pytest.mark.parametrize(
    "registry",
    [
        "",
        "Registry.example.com",
        "*.example.com",
        " registry.example.com",
        "registry.example.com\n",
        "registry.example.com:0",
        "registry.example.com:65536",
        "registry.example.com:",
        "registry.example.com?x=1",
        "user@registry.example.com",
        "ftp://registry.example.com",
        "-registry.example.com",
        "registry..example.com",
        "registry.example.com/../x y",
    ],
)
def test_a_registry_that_no_image_can_name_is_rejected(registry: str) -> None:
    with pytest.raises(InvalidCredential):
        check_registry(registry)


@given(PASSWORDS)
def test_a_registry_is_checked_before_it_is_used(password: str) -> None:
    with pytest.raises(InvalidCredential):
        credential_from_login("reg", "not a registry", Login("robot", password))


@pytest.mark.parametrize("registry", ["Registry.example.com", "no registry"])
def test_a_credential_says_which_of_its_parts_is_wrong(registry: str) -> None:
    """It has three; its problem is read where no field is named: in the list of credentials."""
    with pytest.raises(InvalidCredential, match=r"^has a registry that must be "):
        credential_from_login("reg", registry, LOGIN)


HUB_OLD = Login("old", "old")


@pytest.mark.parametrize(
    ("existing", "key", "held"),
    [
        ({"docker.io": LOGIN}, "index.docker.io", True),
        ({"docker.io": LOGIN}, "https://index.docker.io/v1/", True),
        ({"index.docker.io": LOGIN}, "docker.io", True),
        ({"docker.io": HUB_OLD}, "index.docker.io", False),
        ({"docker.io": HUB_OLD, "index.docker.io": LOGIN}, "index.docker.io", False),
        ({"docker.io": LOGIN, "index.docker.io": HUB_OLD}, "index.docker.io", True),
        ({"*.io": HUB_OLD, "index.docker.io": LOGIN}, "index.docker.io", False),
        ({"docker.io/team": HUB_OLD, "index.docker.io": LOGIN}, "index.docker.io", False),
        ({"quay.io": HUB_OLD, "index.docker.io": LOGIN}, "index.docker.io", True),
        ({"docker.io": LOGIN}, "registry-1.docker.io", False),
    ],
)
def test_a_login_of_docker_hub_is_held_where_the_kubelet_takes_it(existing, key, held):
    auths = {name: {"auth": auth_of(it.username, it.password)} for name, it in existing.items()}
    found = parse_docker_config(document(auths))
    wanted = credential_from_login("reg", key, LOGIN)

    assert holds(found, wanted.config) is held
    merged = merge(found, wanted.config)
    assert holds(parse_docker_config(merged), wanted.config)
    assert merge(parse_docker_config(merged), wanted.config) == merged
    if key != "registry-1.docker.io":
        secret = read_secret(SECRET_TYPE, merged)
        tried = lookup([secret], "docker.io/library/nginx")
        assert tried[0].login == LOGIN
        assert LOGIN in [match.login for match in lookup([secret], "docker.io/team/app")]
        others = {"quay.io", "*.io", "docker.io/team"} & set(existing)
        assert others <= set(json.loads(merged)["auths"])
