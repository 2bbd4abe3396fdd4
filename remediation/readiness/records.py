"""Pull records of kubelets: which pods may be asked for a login for an image that is on their node.

Rules: MustAttemptImagePull of Kubernetes 1.36 (pkg/kubelet/images/pullmanager). A kubelet remembers with which logins
it pulled an image; a pod with none of them has to pull again, unless the image was ever pulled without a login. The
order in which pods of a node pulled it cannot be read, so pods that present a login leave the others in doubt; and
so does a Secret that is gone the pods that name it.
"""

from collections.abc import Iterator
from dataclasses import replace

from remediation.docker_config import Login
from remediation.readiness.coverer import Coverer
from remediation.readiness.exposure import Exposure
from remediation.readiness.pods import PodUse
from remediation.readiness.reduction import PodKey, PodTally, Reduction


class Records:
    """What the kubelets of one cluster may have recorded."""

    def __init__(self, kept: Reduction, coverer: Coverer) -> None:
        self._kept = kept
        self._coverer = coverer
        self._presented: dict[tuple[str, str], set[frozenset[Login] | None]] = {}

    def parts(self, key: PodKey, tally: PodTally) -> Iterator[tuple[PodKey, PodTally]]:
        """Yield the pods of a group, those apart whose nodes have pods with logins that they lack."""
        if not any(use.asks_again and not self._covered(key, use) for use in key.uses):
            yield key, tally
            return
        found: dict[tuple[PodUse, ...], PodTally] = {}
        for name, node in zip(tally.names, tally.nodes, strict=True):
            uses = tuple(self._use(key, use, node) for use in key.uses)
            found.setdefault(uses, PodTally(tally.labels)).add(name, node)
        for uses, part in found.items():
            yield replace(key, uses=uses), part

    def _covered(self, key: PodKey, use: PodUse) -> bool:
        return self._coverer.cover(key.namespace, key.pull_secrets, use.repository).covers

    def _use(self, key: PodKey, use: PodUse, node: str) -> PodUse:
        if not (use.asks_again and self._asked_in_vain(key, use.repository, node)):
            return use
        return replace(use, exposure=Exposure.RECORDED)

    def _asked_in_vain(self, key: PodKey, repository: str, node: str) -> bool:
        if self._coverer.may_lack(key.namespace, key.pull_secrets):
            # It may have pulled it with a Secret that is gone, and no pod without one.
            return True
        here = self._on(node, repository)
        if not here:
            return False
        own = self._coverer.presented(key.namespace, key.pull_secrets, repository)
        return any(theirs is None or own is None or not theirs <= own for theirs in here)

    def _on(self, node: str, repository: str) -> set[frozenset[Login] | None]:
        place = (node, repository)
        if place not in self._presented:
            users = self._kept.users_on.get(place, ())
            presented = {self._coverer.presented(*user, repository) for user in users}
            self._presented[place] = presented - {frozenset()}
        return self._presented[place]
