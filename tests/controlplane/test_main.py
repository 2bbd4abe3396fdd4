"""The command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_prints_a_kubeconfig_and_ends_on_a_signal(tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-m", "controlplane", "up", "--directory", str(tmp_path / "up")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as running:
        assert running.stdout is not None
        kubeconfig = Path(running.stdout.readline().strip())
        contexts = json.loads(kubeconfig.read_text())["contexts"]

        running.send_signal(number)

        assert running.wait(90) == 0
    assert [context["name"] for context in contexts] == ["cluster-1"]


def test_a_failing_build_is_one_text_and_exit_code_1(tmp_path: Path) -> None:
    go = tmp_path / "go"
    go.write_text('#!/bin/sh\n[ "$1" = env ] && echo go1.26.0 && exit\necho broken; exit 1\n')
    go.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    environment.pop("KUBEBUILDER_ASSETS", None)

    done = subprocess.run(
        [sys.executable, "-m", "controlplane", "build", "etcd"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert "broken" in done.stderr
    assert "Traceback" not in done.stderr
