"""Writing a file as a whole, in the likeness of another one."""

import os
import stat
import tempfile
from pathlib import Path


def write_like(model: Path, path: Path, content: bytes) -> None:
    """Write a file at once, or not at all, with mode and owner of another one."""
    status = model.stat()
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if os.geteuid() == 0:
                os.fchown(descriptor, status.st_uid, status.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
