"""The command line, run in this process against a stub."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import remediator
from tests.cli.stub_api import StubApi, serve

TOKEN = "test-token"

Remediator = Callable[..., Result]


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Keep the caller's settings out; return the data directory."""
    for name in ("REMEDIATOR_URL", "REMEDIATOR_TOKEN", "REDIS_URL", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    data_dir = tmp_path / "data"
    monkeypatch.setenv("REMEDIATOR_DATA_DIR", str(data_dir))
    return data_dir


@pytest.fixture
def api() -> Iterator[StubApi]:
    """Return a stub of the API."""
    with serve() as stub:
        yield stub


@pytest.fixture
def run(api: StubApi) -> Remediator:
    """Return a function that runs `remediator` against the stub."""

    def invoke(*arguments: str, input: str | None = None) -> Result:
        environment = {"REMEDIATOR_URL": api.url, "REMEDIATOR_TOKEN": TOKEN}
        return CliRunner().invoke(
            remediator, arguments, input=input, env=environment, prog_name="remediator"
        )

    return invoke
