"""What a registry says of its limit on pulls, in the headers of Docker Hub."""

import re
from collections.abc import Mapping

_VALUE = re.compile(r"\s*(\d{1,9})\s*(?:;\s*w=(\d{1,9}))?\s*")


def used_up(headers: Mapping[str, str]) -> bool:
    """Tell whether no pull is left, though this request was served."""
    left = _VALUE.fullmatch(headers.get("RateLimit-Remaining", ""))
    return left is not None and int(left[1]) == 0


def limit_of(headers: Mapping[str, str]) -> str:
    """Return the limit in words, like "its limit is 100 pulls in 6 h"; "" if none is told."""
    limit = _VALUE.fullmatch(headers.get("RateLimit-Limit", ""))
    if limit is None:
        return ""
    seconds = int(limit[2] or 0)
    window = f" in {seconds // 3600} h" if seconds >= 3600 else f" in {seconds} s"
    return f"its limit is {int(limit[1])} pulls{window if seconds else ''}"
