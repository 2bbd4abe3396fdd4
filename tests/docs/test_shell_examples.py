"""Shell examples do what they show: each page's, one after the other, in one shell."""

import os
import re
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from controlplane.cluster import Cluster
from tests.docs.conftest import ACCOUNTS
from tests.docs.pages import ROOT, Example, examples, name_of
from tests.e2e.fleet import PASSWORD
from tests.e2e.service import Service

SECONDS = 120
# What no test can do: it builds, installs, stays in the foreground, needs a second person, or a cluster of the
# reader's own, or a registry of a vendor.
NOT_RUN = re.compile(
    r"make (demo|test|setup|up|chaos|oracle|safety)\b|export PATH=|remediator (up|demo|api|worker|approve|reject)\b"
    r"|kubectl (apply|create token) |(az|curl|gcloud) "
)
RUN = examples("sh")
PAGES = list(dict.fromkeys(example.page for example in RUN))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_examples_of_a_page_run(
    page: Path, tmp_path: Path, reader: Mapping[str, str], service: Service
) -> None:
    ended = follow(page, tmp_path, reader)

    assert ended.returncode == 0, f"{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}"
    assert PASSWORD not in ended.stdout + ended.stderr
    assert service.token not in ended.stdout + ended.stderr


def test_the_readme_puts_the_secret_everywhere(
    tmp_path: Path, reader: Mapping[str, str], clusters: tuple[Cluster, ...]
) -> None:
    ended = follow(ROOT / "README.md", tmp_path, reader)

    assert "eu-prod" in ended.stdout
    assert "succeeded" in ended.stdout
    for cluster in clusters:
        for namespace, accounts in ACCOUNTS.items():
            path = f"/api/v1/namespaces/{namespace}"
            assert cluster.http.get(f"{path}/secrets/docker").status_code == 200
            for account in accounts:
                found = cluster.http.get(f"{path}/serviceaccounts/{account}").json()
                assert found["imagePullSecrets"] == [{"name": "docker"}]


@pytest.mark.parametrize("example", examples("sh", mark="not run"), ids=str)
def test_only_what_no_test_can_do_is_not_run(example: Example) -> None:
    lines = [line for line in example.text.splitlines() if line and not line.startswith("#")]

    assert [line for line in lines if not NOT_RUN.match(line)] == []


def follow(
    page: Path, directory: Path, environment: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    """Paste the examples of a page into a shell."""
    script = "\n".join(example.text for example in RUN if example.page == page)
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=directory,
        env=dict(environment),
        input=f"{PASSWORD}\n",
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


BASH_ONLY = re.compile(
    r"\bread -\w*[a-qs-z]|\[\[|<\(|<<<|\bpipefail\b|^source |\$\'|^function |&>|\|&|\{\d+\.\.|\(\(|\bselect \w+ in\b"
    r"|^declare |\+=\(|\w+=\([^)]*\)$|\$\{\w+(\^|,|//|:\d)|\becho -[en]",
    re.MULTILINE,
)


@pytest.mark.parametrize("example", [*RUN, *examples("sh", mark="not run")], ids=str)
def test_an_example_needs_no_more_than_sh(example: Example) -> None:
    """On Debian `sh` is dash."""
    parsed = subprocess.run(
        ["sh", "-n", "-c", example.text],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert parsed.returncode == 0, parsed.stderr
    assert BASH_ONLY.findall(example.text) == []


def test_the_password_is_read_by_sh_too(tmp_path: Path) -> None:
    (example,) = (each for each in RUN if "read -r password" in each.text)
    subprocess.run(
        ["sh", "-eu", "-c", example.text],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        input="s3cr3t\\n with blanks\n",
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )

    (written,) = tmp_path.rglob("password")
    assert written.read_text() == "s3cr3t\\n with blanks"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
