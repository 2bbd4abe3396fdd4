"""`remediator keys create`, and the pair that `up` keeps."""

import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from nacl.public import PrivateKey

from api.sealing import read_public_key
from cli.errors import CliError
from cli.main import remediator
from cli.sealing_keys import ensure_pair
from remediation.docker_config import Login
from remediation.request import InlineCredential
from remediation.sealing import InlineLogin, KeyKind, format_key
from worker.sealing import SealingKeys

ID = "rem_01JD0000000000000000000001"


def create(directory: Path) -> Result:
    return CliRunner().invoke(remediator, ["keys", "create", "--directory", str(directory)])


def fits(directory: Path) -> bool:
    """Tell whether what the API seals with one file, the workers open with the other."""
    public = read_public_key(directory / "sealing.pub")
    assert public
    inline = InlineLogin("r.io", Login("u", "p"))
    keys = SealingKeys.read(directory / "sealing.key")
    return keys.open(public.seal(ID, inline), ID, InlineCredential("r.io", "u")) == inline


def test_makes_a_pair_that_fits_and_says_who_gets_which(tmp_path: Path) -> None:
    was = os.umask(0o077)
    try:
        result = create(tmp_path / "new")
    finally:
        os.umask(was)

    assert result.exit_code == 0, result.output
    private, public = tmp_path / "new" / "sealing.key", tmp_path / "new" / "sealing.pub"
    assert f"REMEDIATOR_SEALING_KEY_FILE={private}" in result.output
    assert f"REMEDIATOR_SEALING_PUBLIC_KEY_FILE={public}" in result.output
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE(public.stat().st_mode) == 0o644
    assert fits(tmp_path / "new")
    assert private.read_text().strip() not in result.output


def test_never_puts_a_private_key_where_one_happens_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(remediator, ["keys", "create"])

    assert result.exit_code == 2
    assert "--directory" in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", ["sealing.key", "sealing.pub"])
def test_never_overwrites(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("precious")

    result = create(tmp_path)

    assert result.exit_code == 1
    assert there in result.output
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "precious"


def test_says_where_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    result = create(tmp_path / "file" / "below")

    assert result.exit_code == 1
    assert "cannot write to" in result.output


def test_up_makes_its_pair_once(tmp_path: Path) -> None:
    first = ensure_pair(tmp_path)

    assert ensure_pair(tmp_path) == first
    assert fits(tmp_path)


def test_up_makes_up_for_what_was_lost(tmp_path: Path) -> None:
    first = ensure_pair(tmp_path)
    first.public.unlink()
    assert ensure_pair(tmp_path) == first

    first.private.unlink()
    second = ensure_pair(tmp_path)

    assert second.id != first.id
    assert fits(tmp_path)


def test_up_goes_on_with_the_first_of_several_keys(tmp_path: Path) -> None:
    first = ensure_pair(tmp_path)
    with first.private.open("a") as file:
        file.write(format_key(KeyKind.PRIVATE, bytes(PrivateKey.generate())))
    first.public.unlink()

    assert ensure_pair(tmp_path) == first


def test_up_does_not_replace_a_key_that_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "sealing.key").write_text("hunter2")

    with pytest.raises(CliError, match="move it away") as caught:
        ensure_pair(tmp_path)

    assert "hunter2" not in str(caught.value)
    assert (tmp_path / "sealing.key").read_text() == "hunter2"
