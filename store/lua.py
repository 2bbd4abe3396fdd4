"""The atomic steps, in Lua: one file a step, described at its top."""

from pathlib import Path

from redis import Redis
from redis.commands.core import Script

_FOLDER = Path(__file__).parent / "scripts"


def script(redis: Redis, name: str) -> Script:
    """Return a script by its file name; it is loaded into Redis at its first call."""
    return redis.register_script((_FOLDER / f"{name}.lua").read_text())
