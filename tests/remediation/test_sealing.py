"""The forms of sealing keys and sealed logins, and what a fingerprint tells."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.docker_config import Login
from remediation.request import InlineCredential
from remediation.sealing import (
    InlineLogin,
    KeyKind,
    Sealed,
    SealedValueError,
    SealingKeyError,
    fingerprint,
    format_key,
    key_id,
    pack,
    parse_keys,
    unpack,
)

ID = "rem_01JD0000000000000000000001"
LOGIN = InlineLogin("registry.example.com", Login("robot", "hunter2"))
RECORDED = InlineCredential("registry.example.com", "robot")
KEY = bytes(range(32))


def test_a_key_file_holds_one_key_a_line() -> None:
    text = f"# made for the fleet\n\n{format_key(KeyKind.PRIVATE, KEY)}{format_key(KeyKind.PRIVATE, KEY[::-1])}"

    assert parse_keys(KeyKind.PRIVATE, text) == (KEY, KEY[::-1])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "holds no key"),
        ("# only a comment", "holds no key"),
        ("hunter2", "no sealing key"),
        (f"{KeyKind.PUBLIC}:hünter2", "no sealing key"),
        (f"{KeyKind.PUBLIC}:hunter2", "no sealing key"),
        (f"{KeyKind.PUBLIC}:aHVudGVyMg==", "no sealing key"),
        (format_key(KeyKind.PRIVATE, KEY), "where a 'rmd-sealing-public-key' belongs"),
    ],
)
def test_a_file_that_is_none_says_why_without_its_content(text: str, why: str) -> None:
    with pytest.raises(SealingKeyError, match=why) as caught:
        parse_keys(KeyKind.PUBLIC, text)

    for secret in ("hunter2", "aHVudGVyMg", "AAECAwQF"):
        assert secret not in str(caught.value)


def test_what_was_packed_for_a_remediation_is_read_back_for_it() -> None:
    assert unpack(pack(ID, LOGIN), ID, RECORDED) == LOGIN


@pytest.mark.parametrize(
    ("remediation_id", "recorded"),
    [
        ("rem_01JD0000000000000000000002", RECORDED),
        (ID, InlineCredential("evil.example.com", "robot")),
        (ID, InlineCredential("registry.example.com", "root")),
    ],
)
def test_it_serves_no_other_remediation_and_no_other_request(
    remediation_id: str, recorded: InlineCredential
) -> None:
    with pytest.raises(SealedValueError, match="another request"):
        unpack(pack(ID, LOGIN), remediation_id, recorded)


@pytest.mark.parametrize("packed", [b"", b"{}", b"[]", b"null", b"\xff", b'{"registry": "x"}'])
def test_what_was_not_packed_is_damaged(packed: bytes) -> None:
    with pytest.raises(SealedValueError, match="damaged"):
        unpack(packed, ID, RECORDED)


@pytest.mark.parametrize("text", ["key:not base64", "key:ü"])
def test_a_stored_form_that_is_none_is_damaged(text: str) -> None:
    with pytest.raises(SealedValueError, match="damaged"):
        Sealed.from_text(text)


@given(st.text(max_size=300), st.text(max_size=300))
def test_the_length_says_little_of_the_password(one: str, other: str) -> None:
    lengths = {
        len(pack(ID, InlineLogin("r.io", Login("u", password.encode("ascii", "replace").decode()))))
        for password in (one, other)
    }

    assert lengths <= {512, 1024, 1536, 2048}


@given(st.text(min_size=4))
def test_no_value_shows_the_password(password: str) -> None:
    inline = InlineLogin("r.io", Login("u", f"<{password}>"))

    for value in (inline, inline.login, inline.recorded, Sealed("id", pack(ID, inline))):
        assert f"<{password}>" not in f"{value!r} {value}"
        assert "password" not in repr(value)


def test_a_fingerprint_is_keyed() -> None:
    found = fingerprint(KEY, b"content")

    assert found == fingerprint(KEY, b"content")
    assert found not in {fingerprint(KEY, b"Content"), fingerprint(KEY[::-1], b"content")}
    assert len(found) == 16


def test_ids_tell_pairs_apart() -> None:
    assert key_id(KEY) != key_id(KEY[::-1])
