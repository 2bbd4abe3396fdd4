"""What `up` says when everything runs."""

import socket
from pathlib import Path

import pytest

from cli.data_dir import DataDir, own_data_dir
from cli.listen import Address
from cli.up_text import Announced, Inventory, greeting, inventory
from tests.cli.stub_api import Reply, StubApi


def said(found: Inventory, data: Path = Path("/data"), credentials: Path = Path("/logins")) -> str:
    """Return the greeting of a service at 127.0.0.1:8080."""
    with socket.socket() as reservation:
        address = Address("127.0.0.1", 8080, reservation)
        return greeting(address, DataDir(data), credentials, "rmd_token", found)


@pytest.mark.parametrize(
    ("clusters", "line"),
    [
        (Announced(("eu", "us")), "2"),
        (Announced(("eu",), 3), "1; 3 cannot be used: `remediator clusters` says why"),
        (Announced((), 1), "none; 1 cannot be used: `remediator clusters` says why"),
        (Announced((), 0, ("/x: no such file",)), "none: /x: no such file"),
        (Announced((), 0, ("a", "b")), "none: a (`remediator clusters` says more)"),
        (Announced(), "none yet; name a kubeconfig with --kubeconfig"),
    ],
)
def test_clusters(clusters: Announced, line: str) -> None:
    """Advice to name a kubeconfig is for those who have not: who named a broken one is told where to look."""
    assert f"  clusters  {line}\n" in said(Inventory(1, clusters))


def test_the_folder_of_logins_is_the_one_that_is_read() -> None:
    """Not the one that would be read without --credentials-dir."""
    assert "put NAME/{registry,username,password} into /logins\n" in said(Inventory(1))


def test_the_first_command_can_be_pasted() -> None:
    """With a credential that there is."""
    found = Inventory(1, Announced(("eu",)), Announced(("my login", "b"), 1))

    assert "  remediator plan --clusters '*' --credential 'my login'" in said(found)
    assert "--credential NAME" in said(Inventory(1))


def test_another_terminal_does_not_know_this_ones_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The data directory is named unless it is where everybody looks anyway."""
    monkeypatch.setenv("REMEDIATOR_DATA_DIR", "/data")

    assert "  export REMEDIATOR_DATA_DIR=/data\n" in said(Inventory(1))
    assert "REMEDIATOR_DATA_DIR" not in said(Inventory(1), own_data_dir().absolute())


def test_what_cannot_be_used_is_counted_apart(api: StubApi) -> None:
    api.on("GET", "/system", Reply({"workers": [{}]}))
    clusters = [{"name": "eu", "status": "ready"}, {"name": "us", "status": "invalid"}]
    api.on("GET", "/clusters", Reply({"items": clusters, "problems": [{"detail": "is not YAML"}]}))
    api.on("GET", "/credentials", Reply({"items": [{"name": "harbor", "status": "ready"}]}))

    found = inventory(api.url, "token")

    assert found == Inventory(1, Announced(("eu",), 1, ("is not YAML",)), Announced(("harbor",)))
