"""Opening what the API has sealed, with the private keys of the worker."""

from pathlib import Path

import pytest
from nacl.public import PrivateKey

from api.sealing import SealingKey
from remediation.docker_config import Login
from remediation.request import InlineCredential
from remediation.sealing import InlineLogin, KeyKind, SealedValueError, SealingKeyError, format_key
from worker.sealing import SealingKeys

ID = "rem_01JD0000000000000000000001"
LOGIN = InlineLogin("registry.example.com", Login("robot", "hunter2"))
RECORDED = InlineCredential("registry.example.com", "robot")


def write_keys(path: Path, *keys: PrivateKey) -> Path:
    path.write_text("".join(format_key(KeyKind.PRIVATE, bytes(key)) for key in keys))
    return path


def sealed_for(key: PrivateKey, remediation_id: str = ID) -> str:
    return SealingKey(bytes(key.public_key)).seal(remediation_id, LOGIN)


def test_the_right_key_opens_it(tmp_path):
    key = PrivateKey.generate()
    keys = SealingKeys.read(write_keys(tmp_path / "keys", key))

    assert keys.open(sealed_for(key), ID, RECORDED) == LOGIN


def test_of_several_keys_each_opens_its_own(tmp_path):
    old, new = PrivateKey.generate(), PrivateKey.generate()
    keys = SealingKeys.read(write_keys(tmp_path / "keys", old, new))

    assert keys.open(sealed_for(old), ID, RECORDED) == LOGIN
    assert keys.open(sealed_for(new), ID, RECORDED) == LOGIN


def test_a_new_key_is_seen_at_once_and_fingerprints_stay(tmp_path):
    old, new = PrivateKey.generate(), PrivateKey.generate()
    path = write_keys(tmp_path / "keys", old)
    before = SealingKeys.read(path)

    after = SealingKeys.read(write_keys(path, old, new))

    assert set(before.ids) < set(after.ids)
    assert after.fingerprint(b"content") == before.fingerprint(b"content")


def test_without_the_key_it_says_which_is_needed(tmp_path):
    key, other = PrivateKey.generate(), PrivateKey.generate()
    sealed = sealed_for(key)

    with pytest.raises(SealedValueError, match=sealed.partition(":")[0]):
        SealingKeys.read(write_keys(tmp_path / "keys", other)).open(sealed, ID, RECORDED)
    with pytest.raises(SealedValueError, match="holds none"):
        SealingKeys.read(None).open(sealed, ID, RECORDED)


def test_a_box_that_was_changed_is_damaged(tmp_path):
    key = PrivateKey.generate()
    keys = SealingKeys.read(write_keys(tmp_path / "keys", key))
    name, _, box = sealed_for(key).partition(":")

    for changed in (f"{name}:{box[:-8]}AAAAAAA=", f"{name}:", f"{name}:AAAA"):
        with pytest.raises(SealedValueError, match="damaged"):
            keys.open(changed, ID, RECORDED)


def test_a_box_of_another_remediation_is_refused(tmp_path):
    key = PrivateKey.generate()
    keys = SealingKeys.read(write_keys(tmp_path / "keys", key))

    with pytest.raises(SealedValueError, match="another request"):
        keys.open(sealed_for(key, "rem_01JD0000000000000000000002"), ID, RECORDED)


@pytest.mark.parametrize("content", [b"hunter2", b"\xff\xfe", b"rmd-sealing-public-key:AAAA"])
def test_a_file_of_anything_else_is_refused_without_its_content(tmp_path, content):
    path = tmp_path / "keys"
    path.write_bytes(content)

    with pytest.raises(SealingKeyError) as caught:
        SealingKeys.read(path)

    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SealingKeyError, match="cannot be read"):
        SealingKeys.read(tmp_path / "absent")


def test_keys_do_not_show_themselves():
    key = PrivateKey.generate()

    assert bytes(key).hex() not in repr(SealingKeys({"id": bytes(key)}))
    assert repr(SealingKeys({"id": bytes(key)})) == "SealingKeys()"
