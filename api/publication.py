"""Telling the workers who may do what: they look again before they begin."""

import threading

from api.access_reload import Access
from remediation.permission import Policy
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
        policy = self._access.policy
        with self._lock:
            if policy == self._published:
                self._policies.restore(policy)
            else:
                self._policies.publish(policy)
                self._published = policy
