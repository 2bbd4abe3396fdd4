"""The processes of a running service."""

from pathlib import Path


def workers_below(parent: int) -> list[int]:
    """Return the processes below one that run the worker."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                above = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
            children.setdefault(above, []).append(int(entry.name))
    found: list[int] = []
    below = [parent]
    while below:
        each = below.pop()
        below += children.get(each, [])
        try:
            command = Path(f"/proc/{each}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"worker" in command:
            found.append(each)
    return found
