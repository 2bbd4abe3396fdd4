"""The credentials folder: two layouts, read anew each time, bad ones named without their content."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from worker.credentials import CredentialFolder, CredentialUnavailable


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

    announced = CredentialFolder(tmp_path).announced()[0]

    assert announced.name == "mounted"
    assert announced.registries == ("https://r.example.com/v1/",)
    assert announced.usernames == ("u",)
    assert announced.problem is None


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

    problem = folder.announced()[0].problem

    assert problem is not None
    assert why in problem
    assert "hunter2" not in problem
    with pytest.raises(CredentialUnavailable, match="harbor"):
        folder.get("harbor")


@pytest.mark.parametrize("name", ["unknown", "..", ".", "../harbor", ""])
def test_a_name_that_is_no_entry_is_unavailable(tmp_path, name):
    (tmp_path / "folder").mkdir()
    write_login(tmp_path, "harbor")

    with pytest.raises(CredentialUnavailable):
        CredentialFolder(tmp_path / "folder").get(name)


def test_hidden_entries_of_a_mount_are_no_credentials(tmp_path):
    (tmp_path / "..data").mkdir()
    (tmp_path / "a-file").write_text("x")

    assert CredentialFolder(tmp_path).announced() == ()


def test_no_folder_holds_no_credentials(tmp_path):
    assert CredentialFolder(None).announced() == ()
    assert CredentialFolder(tmp_path / "absent").announced() == ()


def test_a_folder_that_may_not_be_read_is_one_bad_credential_among_good_ones():
    """Run as root this becomes another user, for whom the rights count."""
    root = Path(tempfile.mkdtemp(prefix="rmd-"))
    for name in ("good", "hidden"):
        (root / name).mkdir()
        for part, value in (("registry", "r.example.com"), ("username", "u"), ("password", "p")):
            (root / name / part).write_text(value)
    root.chmod(0o755)
    (root / "hidden").chmod(0)
    was = os.geteuid()
    try:
        if was == 0:
            os.seteuid(65534)
        announced = CredentialFolder(root).announced()
    finally:
        os.seteuid(was)
        (root / "hidden").chmod(0o700)
        shutil.rmtree(root)

    assert [(entry.name, entry.problem) for entry in announced] == [
        ("good", None),
        ("hidden", "cannot be read (Permission denied)"),
    ]
