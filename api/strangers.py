"""How much of what calls without a valid token do is kept in the audit trail."""

import threading
import time

# Whoever has no key must not push out what others did: the rest is on standard output only.
_STRANGERS_A_MINUTE = 60
_MINUTE_SECONDS = 60.0


class Strangers:
    """How many failed authentications of the present minute went into the trail."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0
        self._number = 0

    def room(self) -> bool:
        """Tell whether another one may."""
        with self._lock:
            now = time.monotonic()
            if now >= self._until:
                self._until, self._number = now + _MINUTE_SECONDS, 0
            self._number += 1
            return self._number <= _STRANGERS_A_MINUTE
