"""The data directory of `up`: what it keeps between two starts, and what client commands find there."""

import fcntl
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from cli.errors import CliError

ORPHAN_SECONDS = 15.0
LARGE_AUDIT_BYTES = 64 * 1024 * 1024


def default_data_dir() -> Path:
    """Return the directory that the environment names, else the user's own."""
    chosen = os.environ.get("REMEDIATOR_DATA_DIR")
    return Path(chosen).expanduser() if chosen else own_data_dir()


def own_data_dir() -> Path:
    """Return the user's own directory: where every command looks that was told nothing else."""
    base = os.environ.get("XDG_DATA_HOME")
    if not base or not Path(base).is_absolute():
        base = "~/.local/share"
    try:
        return Path(base).expanduser() / "remediator"
    except (
        RuntimeError
    ):  # a user without a home: nothing was left for them, and `up` must be told where
        return Path("/nonexistent/remediator")


@dataclass(frozen=True, slots=True)
class DataDir:
    """Paths and small files below one directory that only its owner may enter."""

    path: Path

    @property
    def token_file(self) -> Path:
        """The API key of this machine's user."""
        return self.path / "token"

    @property
    def access_file(self) -> Path:
        """Who may call, with hashed keys."""
        return self.path / "access.yaml"

    @property
    def audit_file(self) -> Path:
        """The audit trail, one JSON object a line."""
        return self.path / "audit.jsonl"

    @property
    def credentials(self) -> Path:
        """Where credentials are looked for unless the caller says otherwise."""
        return self.path / "credentials"

    @property
    def redis(self) -> Path:
        """Redis' append-only file."""
        return self.path / "redis"

    def token(self) -> str | None:
        """Return the API key that `up` made, None if there is none that we may read."""
        return _first_line(self.token_file)

    def url(self) -> str | None:
        """Return where the running `up` serves, None if none runs."""
        return _first_line(self.path / "url")

    def write_url(self, url: str) -> None:
        """Tell client commands where the service is."""
        write_private(self.path / "url", f"{url}\n")

    def forget_url(self) -> None:
        """Take back `write_url`: whoever gets the port next must not get our token."""
        (self.path / "url").unlink(missing_ok=True)

    def prepare(self) -> None:
        """Create the directory and its parts. Raises CliError if that is not possible."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)
            self.redis.mkdir(mode=0o700, exist_ok=True)
            self._put_aside_audit()
        except OSError as error:
            raise CliError(
                f"cannot use {self.path} as data directory: {error.strerror}; choose another with --data-dir"
            ) from error

    def _put_aside_audit(self) -> None:
        """Begin a new file for the audit trail once the last one has become large; the one before that goes."""
        if self.audit_file.exists() and self.audit_file.stat().st_size > LARGE_AUDIT_BYTES:
            self.audit_file.replace(self.audit_file.with_name("audit.1.jsonl"))

    def lock(self) -> "Lock":
        """Take the directory for this process and those it will start.

        The processes of an `up` that was killed are waited for: they still use the port and the data.
        Raises DataDirInUse if another `up` has the directory.
        """
        own = _try_lock(self.path / "lock")
        if own is None:
            pid = _first_line(self.path / "lock") or "not known"
            raise DataDirInUse(
                f"{self.path} is in use by another `remediator up` (pid {pid});"
                " stop it, or choose another with --data-dir"
            )
        os.ftruncate(own, 0)
        os.write(own, f"{os.getpid()}\n".encode())
        deadline = time.monotonic() + ORPHAN_SECONDS
        while (inherited := _try_lock(self.path / "processes")) is None:
            if time.monotonic() > deadline:
                os.close(own)
                raise DataDirInUse(
                    f"{self.path} is in use by processes of a `remediator up` that was killed; try again soon"
                )
            time.sleep(0.05)
        return Lock(own, inherited)


@dataclass(frozen=True, slots=True)
class Lock:
    """Two locked files: one for as long as `up` lives, one for as long as any child does that inherits it."""

    own: int
    inherited: int

    def release(self) -> None:
        """Let go of both; children that inherited theirs keep it."""
        os.close(self.own)
        os.close(self.inherited)


class DataDirInUse(CliError):
    """Another `up` works in the directory."""


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step; nobody but its owner may read it at any moment."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


def _try_lock(path: Path) -> int | None:
    """Return the descriptor that holds the lock while it is open, None if somebody else has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _first_line(path: Path) -> str | None:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return text.splitlines()[0].strip() if text else None
