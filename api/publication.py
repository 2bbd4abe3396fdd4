"""Telling the workers who may do what: they look again before they begin."""

import threading

from api.access_reload import Access
from remediation.permission import Policy
from store.connection import StoreUnavailable
from store.patience import SECONDS
from store.policy import Policies


class Publication:
    """Keeps what the workers know in step with the access file."""

    def __init__(self, access: Access, policies: Policies) -> None:
        self._access = access
        self._policies = policies
        self._lock = threading.Lock()
        self._published: Policy | None = None

    def refresh(self) -> None:
        """Publish the policy if this process has not, or if it has got lost. Raises StoreUnavailable.

        Nothing happens as long as there was no access file: a process that was started without one must not take from
        everybody what another one gives.
        """
        if not self._access.known:
            return
        if self._access.policy == self._published:
            self._policies.restore(self._access.policy)
        else:
            self._publish()

    def _publish(self) -> None:
        """Publish it, one thread after the other, so that an older one is never the last."""
        # As long as one of them waits for Redis, the others would wait in vain.
        if not self._lock.acquire(timeout=SECONDS):
            raise StoreUnavailable("another request waits for Redis")
        try:
            policy = self._access.policy
            if policy != self._published:
                self._policies.publish(policy)
                self._published = policy
        finally:
            self._lock.release()
