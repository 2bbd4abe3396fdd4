"""API keys: their form, and that a typing error is noticed."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.api_key import ENTROPY_BYTES, digest, new_api_key, parse_api_key

ENTROPY = st.binary(min_size=ENTROPY_BYTES, max_size=ENTROPY_BYTES)


@given(ENTROPY)
def test_a_new_key_is_read_back_as_its_id(entropy: bytes) -> None:
    key = new_api_key(entropy)

    assert parse_api_key(key.token) == key.id
    assert key.token.startswith(f"rmd_{key.id}_")
    assert len(key.id) == 8


@given(st.data(), ENTROPY)
def test_a_wrong_character_is_noticed(data: st.DataObject, entropy: bytes) -> None:
    token = new_api_key(entropy).token
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126).filter(token[at].__ne__))

    assert parse_api_key(token[:at] + other + token[at + 1 :]) is None


@given(st.data(), ENTROPY)
def test_a_lost_or_doubled_character_is_noticed(data: st.DataObject, entropy: bytes) -> None:
    token = new_api_key(entropy).token
    at = data.draw(st.integers(0, len(token) - 1))

    assert parse_api_key(token[:at] + token[at + 1 :]) is None
    assert parse_api_key(token[:at] + token[at] + token[at:]) is None


@given(st.data(), ENTROPY)
def test_two_exchanged_characters_are_noticed(data: st.DataObject, entropy: bytes) -> None:
    token = new_api_key(entropy).token
    at = data.draw(st.integers(0, len(token) - 2))
    exchanged = token[:at] + token[at + 1] + token[at] + token[at + 2 :]

    assert parse_api_key(exchanged) == (parse_api_key(token) if exchanged == token else None)


@pytest.mark.parametrize("token", ["", "rmd_", "Bearer x", "rmd_aaaaaaaa_short_000000", "\n"])
def test_other_text_is_no_key(token: str) -> None:
    assert parse_api_key(token) is None


@given(ENTROPY)
def test_white_space_around_a_key_is_noticed(entropy: bytes) -> None:
    token = new_api_key(entropy).token

    assert parse_api_key(f"{token}\n") is None
    assert parse_api_key(f" {token}") is None


@given(st.lists(ENTROPY, min_size=2, max_size=2, unique=True))
def test_all_the_randomness_goes_into_the_key(entropies: list[bytes]) -> None:
    """Of the eight bytes of the id five are used."""
    first, second = (new_api_key(entropy).token for entropy in entropies)

    used = [entropy[:5] + entropy[8:] for entropy in entropies]
    assert (first == second) == (used[0] == used[1])


@given(st.binary(max_size=80).filter(lambda entropy: len(entropy) != ENTROPY_BYTES))
def test_another_number_of_random_bytes_is_refused(entropy: bytes) -> None:
    with pytest.raises(ValueError, match="40 random bytes"):
        new_api_key(entropy)


@given(ENTROPY)
def test_the_token_is_not_shown(entropy: bytes) -> None:
    key = new_api_key(entropy)

    assert key.token not in repr(key)
    assert key.token not in str(key)


@given(ENTROPY)
def test_what_is_kept_of_a_token_is_its_sha_256(entropy: bytes) -> None:
    token = new_api_key(entropy).token

    assert digest(token) == hashlib.sha256(token.encode()).hexdigest()
