"""`clusters`, `credentials`, `whoami` and `system`, in every form of output."""

import csv
import io
import json

import pytest
import yaml

from tests.cli.conftest import Remediator
from tests.cli.stub_api import Reply, StubApi

CLUSTERS = [
    {"name": "eu-1", "pools": ["default", "edge"], "problem": None, "links": {"self": "x"}},
    {"name": "us-1", "pools": [], "problem": "no token"},
]
SYSTEM = {"version": "1.2.3", "redis": {"ok": True, "aof": False}, "workers": [{"pool": "edge"}]}


def test_clusters_as_table(api: StubApi, run: Remediator) -> None:
    """A column for what the service says, the name first; links are for programs."""
    api.on("GET", "/clusters", Reply({"items": CLUSTERS}))

    lines = [line.split("  ") for line in run("clusters").stdout.splitlines()]

    assert [[cell.strip() for cell in line if cell] for line in lines] == [
        ["NAME", "POOLS", "PROBLEM"],
        ["eu-1", "default, edge", "-"],
        ["us-1", "-", "no token"],
    ]


def test_clusters_for_programs(api: StubApi, run: Remediator) -> None:
    """Nothing is lost in json and yaml."""
    api.on("GET", "/clusters", Reply({"items": CLUSTERS}))

    assert json.loads(run("clusters", "-o", "json").stdout) == {"items": CLUSTERS}
    assert yaml.safe_load(run("clusters", "-o", "yaml").stdout) == {"items": CLUSTERS}
    assert run("clusters", "-o", "name").stdout == "eu-1\nus-1\n"
    rows = list(csv.DictReader(io.StringIO(run("clusters", "-o", "csv").stdout)))
    assert rows[1] == {"name": "us-1", "pools": "", "problem": "no token"}


def test_credentials(api: StubApi, run: Remediator) -> None:
    """Names and registries."""
    api.on("GET", "/credentials", Reply({"items": [{"name": "reg", "registries": ["r.io"]}]}))

    assert run("credentials", "-o", "name").stdout == "reg\n"
    assert "r.io" in run("credentials").stdout


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_system_for_programs(api: StubApi, run: Remediator, output: str) -> None:
    """The service's own answer."""
    api.on("GET", "/system", Reply(SYSTEM))

    assert yaml.safe_load(run("system", "-o", output).stdout) == SYSTEM


def test_system_as_table(api: StubApi, run: Remediator) -> None:
    """One line for each value, however deep."""
    api.on("GET", "/system", Reply(SYSTEM))

    lines = [line.split() for line in run("system").stdout.splitlines()]

    assert lines[1:] == [
        ["version", "1.2.3"],
        ["redis.ok", "yes"],
        ["redis.aof", "no"],
        ["workers[0].pool", "edge"],
    ]
