"""The credentials folder: two layouts, read anew each time, bad ones named without their content."""

import base64
import json
import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from remediation.inventory import Announcement
from store.inventory import decode, encode
from worker.credentials import CredentialFolder, CredentialUnavailable
from worker.sealing import SealingKeys

KEYLESS = SealingKeys().fingerprint


def write_login(
    folder, name, registry="registry.example.com", username="robot", password="hunter2\n"
):
    entry = folder / name
    entry.mkdir()
    (entry / "registry").write_text(f"{registry}\n")
    (entry / "username").write_text(f"{username}\n")
    (entry / "password").write_text(password)
    return entry


def test_three_files_make_a_credential_and_a_trailing_line_break_is_not_part_of_it(tmp_path):
    write_login(tmp_path, "harbor")

    credential = CredentialFolder(tmp_path).get("harbor")

    entry = json.loads(credential.content)["auths"]["registry.example.com"]
    assert entry == {
        "username": "robot",
        "password": "hunter2",
        "auth": "cm9ib3Q6aHVudGVyMg==",
    }


def test_a_mounted_secret_makes_a_credential(tmp_path):
    entry = tmp_path / "mounted"
    entry.mkdir()
    content = {"auths": {"https://r.example.com/v1/": {"auth": "dTpw"}}}
    (entry / ".dockerconfigjson").write_text(json.dumps(content))

    announced = CredentialFolder(tmp_path).announced(KEYLESS)[0]

    assert announced.name == "mounted"
    assert announced.registries == ("https://r.example.com/v1/",)
    assert announced.usernames == ("u",)
    assert announced.problem is None
    assert announced.endings == ()


def test_logins_that_end_by_themselves_are_announced_without_their_passwords(tmp_path):
    entry = tmp_path / "two"
    entry.mkdir()
    token = base64.b64encode(b'{"payload":"x","expiration":1798761600}').decode()
    logins = {
        "1.dkr.ecr.eu-west-1.amazonaws.com": {"username": "AWS", "password": token},
        "r.example.com": {"username": "robot", "password": "hunter2"},
    }
    (entry / ".dockerconfigjson").write_text(json.dumps({"auths": logins}))

    (announced,) = CredentialFolder(tmp_path).announced(KEYLESS)

    (ending,) = announced.endings or ()
    assert ending.key == "1.dkr.ecr.eu-west-1.amazonaws.com"
    assert ending.ends_at == datetime(2027, 1, 1, tzinfo=UTC)
    assert token not in repr(announced)
    worker = Announcement("w", "p", "1", "h", 1, "t", 1, credentials=(announced,))
    assert token not in encode(worker)
    assert decode(encode(worker)) == worker


def test_a_change_is_seen_at_once(tmp_path):
    entry = write_login(tmp_path, "harbor")
    folder = CredentialFolder(tmp_path)
    before = folder.get("harbor").content

    (entry / "password").write_text("rotated")

    assert folder.get("harbor").content != before


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda entry: (entry / "password").unlink(), "missing: password"),
        (lambda entry: (entry / "password").write_text(""), "without a password"),
        (lambda entry: (entry / "username").write_text(""), "without a user name"),
        (lambda entry: (entry / "username").write_text("a:b"), "':'"),
        (lambda entry: (entry / "registry").write_text("Registry.example.com"), "lower case"),
        (lambda entry: (entry / "registry").write_text("no host"), "must be a registry"),
        (lambda entry: (entry / "password").write_bytes(b"\xff\xfe"), "not UTF-8"),
        (lambda entry: (entry / ".dockerconfigjson").write_text("hunter2"), "is not JSON"),
    ],
)
def test_a_bad_one_is_named_with_the_reason_and_never_used(tmp_path, spoil, why):
    spoil(write_login(tmp_path, "harbor"))
    folder = CredentialFolder(tmp_path)

    problem = folder.announced(KEYLESS)[0].problem

    assert problem is not None
    assert why in problem
    assert "hunter2" not in problem
    with pytest.raises(CredentialUnavailable, match="harbor"):
        folder.get("harbor")


def mount(folder, name, files):
    """Lay files out as the kubelet mounts a Secret: a version folder, the link `..data`, a link for each file."""
    entry = folder / name
    entry.mkdir()
    swap(entry, files)
    for file in files:
        (entry / file).symlink_to(f"..data/{file}")
    return entry


def swap(entry, files):
    """Put a new version in place in one step and drop the old one, as the kubelet does."""
    version = Path(tempfile.mkdtemp(prefix="..2026_", dir=entry))
    for file, content in files.items():
        (version / file).write_text(content)
    old = (entry / "..data").resolve() if (entry / "..data").exists() else None
    (entry / "..data_tmp").symlink_to(version.name)
    (entry / "..data_tmp").rename(entry / "..data")
    if old:
        shutil.rmtree(old)


LOGIN = {"registry": "registry.example.com", "username": "robot", "password": "hunter2"}


def test_a_mounted_secret_that_is_swapped_is_seen_at_once(tmp_path):
    entry = mount(tmp_path, "harbor", LOGIN)
    folder = CredentialFolder(tmp_path)
    keys = SealingKeys({"a": b"k" * 32})
    before = folder.announced(keys.fingerprint)[0]

    swap(entry, LOGIN | {"password": "rotated"})

    after = folder.announced(keys.fingerprint)[0]
    assert after.problem is None
    assert after.fingerprint != before.fingerprint
    assert (
        json.loads(folder.get("harbor").content)["auths"][LOGIN["registry"]]["password"]
        == "rotated"
    )


def test_a_mount_of_the_whole_folder_is_read_in_the_same_way(tmp_path):
    """A projected volume has its folders below `..data`, and a link to each."""
    version = tmp_path / "..2026_1" / "harbor"
    version.mkdir(parents=True)
    for file, content in LOGIN.items():
        (version / file).write_text(content)
    (tmp_path / "..data").symlink_to("..2026_1")
    (tmp_path / "harbor").symlink_to("..data/harbor")

    assert [known.name for known in CredentialFolder(tmp_path).announced(KEYLESS)] == ["harbor"]
    assert CredentialFolder(tmp_path).get("harbor").usernames == ("robot",)


def test_a_swap_in_the_middle_of_reading_never_mixes_two_versions(tmp_path, monkeypatch):
    entry = mount(tmp_path, "harbor", LOGIN)
    other = {"registry": "other.example.com", "username": "other", "password": "rotated"}
    read = Path.read_bytes

    def swapping(path):
        content = read(path)
        if path.name == "registry":
            monkeypatch.setattr(Path, "read_bytes", read)
            swap(entry, other)
        return content

    monkeypatch.setattr(Path, "read_bytes", swapping)

    login = json.loads(CredentialFolder(tmp_path).get("harbor").content)["auths"]

    assert list(login) == ["other.example.com"]
    assert login["other.example.com"]["username"] == "other"
    assert login["other.example.com"]["password"] == "rotated"


@pytest.mark.parametrize("target", ["..data", "..gone"])
def test_a_mount_without_a_version_is_a_bad_credential_among_good_ones(tmp_path, target):
    write_login(tmp_path, "good")
    (tmp_path / "harbor").mkdir()
    (tmp_path / "harbor" / "..data").symlink_to(target)

    good, bad = CredentialFolder(tmp_path).announced(KEYLESS)

    assert good.problem is None
    assert bad.problem is not None
    assert bad.problem.startswith("cannot be read")


def test_since_is_when_any_of_its_files_changed(tmp_path):
    entry = write_login(tmp_path, "harbor")
    for path in (entry, *entry.iterdir()):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    folder = CredentialFolder(tmp_path)
    assert folder.announced(KEYLESS)[0].since == "2023-11-14T22:13:20Z"

    (entry / "password").write_text("rotated")  # in place: the folder itself keeps its time
    os.utime(entry / "password", (1_700_000_060, 1_700_000_060))

    assert folder.announced(KEYLESS)[0].since == "2023-11-14T22:14:20Z"


def test_the_fingerprint_depends_on_content_and_key_alone(tmp_path):
    write_login(tmp_path, "harbor")
    write_login(tmp_path, "same")
    write_login(tmp_path, "other", password="hunter3")
    one, two = SealingKeys({"a": b"1" * 32}), SealingKeys({"b": b"2" * 32})

    harbor, other, same = CredentialFolder(tmp_path).announced(one.fingerprint)

    assert harbor.fingerprint == same.fingerprint != other.fingerprint
    assert (
        CredentialFolder(tmp_path).announced(two.fingerprint)[0].fingerprint != harbor.fingerprint
    )
    assert CredentialFolder(tmp_path).announced(KEYLESS)[0].fingerprint is None


@pytest.mark.parametrize(
    "text", ["https://shadow.example.com:5000", "https://shadow.example.com/\n"]
)
def test_a_credential_may_name_a_shadow(tmp_path, text):
    entry = write_login(tmp_path, "harbor")
    (entry / "shadow").write_text(text)

    assert CredentialFolder(tmp_path).get("harbor").shadow == text.rstrip("\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "shadow.example.com",
        "ftp://x",
        "https://u:hunter2@x",
        "https://x/path",
        "https://x?hunter2",
    ],
)
def test_a_shadow_that_is_no_address_makes_a_bad_credential(tmp_path, text):
    entry = write_login(tmp_path, "harbor")
    (entry / "shadow").write_text(text)

    problem = CredentialFolder(tmp_path).announced(KEYLESS)[0].problem

    assert problem is not None
    assert "shadow" in problem
    assert "hunter2" not in problem


@pytest.mark.parametrize("name", ["unknown", "..", ".", "../harbor", ""])
def test_a_name_that_is_no_entry_is_unavailable(tmp_path, name):
    (tmp_path / "folder").mkdir()
    write_login(tmp_path, "harbor")

    with pytest.raises(CredentialUnavailable):
        CredentialFolder(tmp_path / "folder").get(name)


def test_hidden_entries_of_a_mount_are_no_credentials(tmp_path):
    (tmp_path / "..data").mkdir()
    (tmp_path / "a-file").write_text("x")

    assert CredentialFolder(tmp_path).announced(KEYLESS) == ()


def test_no_folder_holds_no_credentials(tmp_path):
    assert CredentialFolder(None).announced(KEYLESS) == ()
    assert CredentialFolder(tmp_path / "absent").announced(KEYLESS) == ()


def test_a_folder_that_may_not_be_read_is_one_bad_credential_among_good_ones():
    """Run as root this becomes another user, for whom the rights count."""
    root = Path(tempfile.mkdtemp(prefix="rmd-"))
    for name in ("good", "hidden"):
        (root / name).mkdir()
        for part, value in (("registry", "r.example.com"), ("username", "u"), ("password", "p")):
            (root / name / part).write_text(value)
            (root / name / part).chmod(0o644)
        (root / name).chmod(0o755)  # whatever the umask is
    root.chmod(0o755)
    (root / "hidden").chmod(0)
    was = os.geteuid()
    try:
        if was == 0:
            os.seteuid(65534)
        announced = CredentialFolder(root).announced(KEYLESS)
    finally:
        os.seteuid(was)
        (root / "hidden").chmod(0o700)
        shutil.rmtree(root)

    assert [(entry.name, entry.problem) for entry in announced] == [
        ("good", None),
        ("hidden", "cannot be read (Permission denied)"),
    ]
