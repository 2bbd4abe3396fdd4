"""What `up` keeps: private files, one key, one owner at a time."""

import os
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from api.access_file import read_access_file
from cli.access import ensure_token
from cli.data_dir import LARGE_AUDIT_BYTES, DataDir, DataDirInUse, default_data_dir
from cli.errors import CliError
from remediation.api_key import digest, parse_api_key
from remediation.permission import Permission, Requester, Rights, Role


@pytest.fixture
def data_dir(tmp_path: Path) -> DataDir:
    """Return a fresh data directory."""
    fresh = DataDir(tmp_path / "some" / "where")
    fresh.prepare()
    return fresh


def mode(path: Path) -> str:
    """Return the permissions as people write them."""
    return f"{stat.S_IMODE(path.stat().st_mode):o}"


def test_only_the_owner_may_look(data_dir: DataDir) -> None:
    """Directory 0700, files 0600, whatever the umask."""
    before = os.umask(0)
    try:
        ensure_token(data_dir)
        data_dir.write_url("http://127.0.0.1:1")
    finally:
        os.umask(before)

    assert mode(data_dir.path) == "700"
    assert {path.name: mode(path) for path in data_dir.path.iterdir() if path.is_file()} == {
        "token": "600",
        "access.yaml": "600",
        "url": "600",
    }


def test_the_token_stays(data_dir: DataDir) -> None:
    """A restart does not lock anyone out; only the digest is in the access file."""
    token = ensure_token(data_dir)
    written = data_dir.access_file.read_text()

    assert ensure_token(data_dir) == token
    assert data_dir.access_file.read_text() == written
    assert token not in written
    access = read_access_file(data_dir.access_file)
    assert {key.id: key.sha256 for key in access.keys.values()} == {
        parse_api_key(token): digest(token)
    }
    (grant,) = access.policy.grants_of(Requester("client:local"))
    assert grant.role is Role.ADMIN
    assert Rights((grant,)).everywhere(Permission.CREATE_REMEDIATIONS)


def test_a_binding_of_ones_own_stays(data_dir: DataDir) -> None:
    """Who wants the local key to do less, may; one of an older form gets what it lacks."""
    ensure_token(data_dir)
    access = yaml.safe_load(data_dir.access_file.read_text())
    access["bindings"][0]["role"] = "viewer"
    del access["keys"][0]["expires_at"]
    data_dir.access_file.write_text(yaml.safe_dump(access))

    ensure_token(data_dir)

    access = read_access_file(data_dir.access_file)
    (grant,) = access.policy.grants_of(Requester("client:local"))
    assert grant.role is Role.VIEWER
    assert len(access.keys) == 1


@pytest.mark.parametrize("content", [None, "", "half-writ"])
def test_a_lost_token_is_replaced_and_no_longer_valid(
    data_dir: DataDir, content: str | None
) -> None:
    """Entries of others stay."""
    lost = ensure_token(data_dir)
    access = yaml.safe_load(data_dir.access_file.read_text())
    other = {"id": "abcdefgh", "subject": "portal", "sha256": "00"}
    data_dir.access_file.write_text(yaml.safe_dump({"keys": [other, *access["keys"]]}))
    if content is None:
        data_dir.token_file.unlink()
    else:
        data_dir.token_file.write_text(content)

    token = ensure_token(data_dir)

    keys = yaml.safe_load(data_dir.access_file.read_text())["keys"]
    assert token != lost
    assert [entry["subject"] for entry in keys] == ["portal", "local"]
    assert keys[1]["sha256"] == digest(token)


@pytest.mark.parametrize("content", ["keys: 5", "- a", "keys: [1]", "bindings: 5", "{", "\x00"])
def test_an_access_file_that_is_none(data_dir: DataDir, content: str) -> None:
    """Said with its name, not overwritten."""
    data_dir.access_file.write_text(content)

    with pytest.raises(CliError, match=r"access\.yaml"):
        ensure_token(data_dir)

    assert data_dir.access_file.read_text() == content


def test_one_owner_at_a_time(data_dir: DataDir) -> None:
    """The second is told who the first is."""
    lock = data_dir.lock()
    try:
        with pytest.raises(DataDirInUse, match=f"pid {os.getpid()}"):
            data_dir.lock()
    finally:
        lock.release()

    data_dir.lock().release()


def test_waits_for_the_processes_of_a_killed_one(
    data_dir: DataDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They inherited a lock; it is free when the last of them has ended."""
    monkeypatch.setattr("cli.data_dir.ORPHAN_SECONDS", 3600.0)
    lock = data_dir.lock()
    with (
        subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[lock.inherited]) as orphan,
        ThreadPoolExecutor(1) as threads,
    ):
        lock.release()
        locking = threads.submit(data_dir.lock)
        with pytest.raises(TimeoutError):
            locking.result(timeout=0.3)

        orphan.communicate()  # nothing more to read: it ends

        locking.result().release()


def test_does_not_wait_for_ever(data_dir: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that do not end are named."""
    monkeypatch.setattr("cli.data_dir.ORPHAN_SECONDS", 0.2)
    lock = data_dir.lock()
    with subprocess.Popen(["sleep", "60"], pass_fds=[lock.inherited]) as orphan:
        lock.release()
        try:
            with pytest.raises(DataDirInUse, match="was killed"):
                data_dir.lock()
        finally:
            orphan.kill()


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment decides, then the user's home; a relative XDG_DATA_HOME does not count."""
    assert default_data_dir() == Path(os.environ["REMEDIATOR_DATA_DIR"])

    monkeypatch.delenv("REMEDIATOR_DATA_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert default_data_dir() == tmp_path / ".local/share/remediator"

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    assert default_data_dir() == tmp_path / "xdg/remediator"


def test_a_place_that_cannot_be_used(tmp_path: Path) -> None:
    """A file in the way is named."""
    (tmp_path / "file").touch()

    with pytest.raises(CliError, match="file/data"):
        DataDir(tmp_path / "file" / "data").prepare()


def test_a_large_audit_trail_is_put_aside(tmp_path: Path) -> None:
    data_dir = DataDir(tmp_path / "data")
    data_dir.prepare()
    with data_dir.audit_file.open("wb") as file:
        file.truncate(LARGE_AUDIT_BYTES + 1)

    data_dir.prepare()

    assert not data_dir.audit_file.exists()
    assert (data_dir.path / "audit.1.jsonl").stat().st_size > LARGE_AUDIT_BYTES
    data_dir.audit_file.write_text("{}\n")
    data_dir.prepare()
    assert data_dir.audit_file.read_text() == "{}\n"
