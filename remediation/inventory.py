"""What live workers announce, and what a fleet of them has: the clusters they serve, the credentials they hold."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from remediation.short_lived import ShortLived


@dataclass(frozen=True, slots=True)
class AnnouncedCluster:
    """A kubeconfig context; `problem` says why it cannot be served.

    `insecure`: the server's certificate is not verified, as the operator allows by name. `uid` is that of its namespace
    kube-system, None before the worker has read it; `trouble` says why the worker could not.
    """

    name: str
    server: str | None = None
    problem: str | None = None
    insecure: bool = False
    uid: str | None = None
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class AnnouncedCredential:
    """A named registry login without its secrets.

    `since` is an RFC 3339 time; `problem` says why it cannot be used; `fingerprint` is a keyed hash of its content,
    made with the first of the worker's sealing keys (None: the worker has none). `endings` are the logins that end by
    themselves (None: a worker that does not look).
    """

    name: str
    registries: tuple[str, ...] = ()
    usernames: tuple[str, ...] = ()
    since: str | None = None
    problem: str | None = None
    fingerprint: str | None = None
    endings: tuple[ShortLived, ...] | None = None


@dataclass(frozen=True, slots=True)
class Announcement:
    """One live worker: its pool (= its queue), what it serves, how many runs it can carry out at once.

    `sealing_keys` are the ids of the keys it can open sealed logins with.
    """

    worker_id: str
    pool: str
    version: str
    host: str
    pid: int
    started_at: str
    processes: int
    clusters: tuple[AnnouncedCluster, ...] = ()
    credentials: tuple[AnnouncedCredential, ...] = ()
    problems: tuple[str, ...] = field(default=())
    sealing_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownCluster:
    """A cluster and the pools whose workers serve it; `announced` is what each of these workers says of it."""

    cluster: AnnouncedCluster
    pools: tuple[str, ...]
    announced: tuple[AnnouncedCluster, ...] = ()

    @property
    def insecure(self) -> bool:
        """Tell whether some worker talks to it without verifying its certificate."""
        return any(each.insecure for each in self.announced)

    @property
    def uid(self) -> str | None:
        """The uid of its API server, None unless all its workers have read one, and the same."""
        uids = {each.uid for each in self.announced}
        return uids.pop() if len(uids) == 1 else None

    @property
    def uids(self) -> frozenset[str]:
        """All uids that workers have read under this name."""
        return frozenset(each.uid for each in self.announced if each.uid)

    @property
    def trouble(self) -> str | None:
        """Why a worker could not read it the last time, None if all could or none has tried."""
        return next((each.trouble for each in self.announced if each.trouble), None)


@dataclass(frozen=True, slots=True)
class Holder:
    """A pool with one of the contents that its workers hold under a name; `key` is the id of the fingerprint's key."""

    pool: str
    credential: AnnouncedCredential
    key: str | None = None


@dataclass(frozen=True, slots=True)
class KnownCredential:
    """A credential and the pools whose workers hold it.

    `credential` is one that can be used, if any pool has one, and `pools` are those that hold such a one; `holders` are
    all that hold anything under the name.
    """

    credential: AnnouncedCredential
    pools: tuple[str, ...]
    holders: tuple[Holder, ...]

    @property
    def differs(self) -> bool:
        """Tell whether the usable ones are not all the same. Fingerprints of different keys cannot be compared."""
        usable = [holder for holder in self.holders if not holder.credential.problem]
        told = {(holder.credential.registries, holder.credential.usernames) for holder in usable}
        prints = {
            (holder.key, holder.credential.fingerprint)
            for holder in usable
            if holder.credential.fingerprint
        }
        return len(told) > 1 or len(prints) > len({key for key, _ in prints})

    @property
    def fingerprint(self) -> str | None:
        """The one fingerprint, None if there are several or none."""
        prints = {holder.credential.fingerprint for holder in self.holders} - {None}
        return prints.pop() if len(prints) == 1 and not self.differs else None


def known_clusters(workers: list[Announcement]) -> dict[str, KnownCluster]:
    """Return the clusters by name in order; one that some worker can serve counts as served, whatever others say."""
    found: dict[str, list[tuple[str, AnnouncedCluster]]] = {}
    for worker in workers:
        for cluster in worker.clusters:
            found.setdefault(cluster.name, []).append((worker.pool, cluster))
    return {name: _known_cluster(several) for name, several in sorted(found.items())}


def known_credentials(workers: list[Announcement]) -> dict[str, KnownCredential]:
    """Return the credentials by name in order, a usable one before an unusable one of the same name."""
    found: dict[str, list[Holder]] = {}
    for worker in workers:
        key = worker.sealing_keys[0] if worker.sealing_keys else None
        for credential in worker.credentials:
            found.setdefault(credential.name, []).append(Holder(worker.pool, credential, key))
    return {name: _known_credential(holders) for name, holders in sorted(found.items())}


def pools_that_open(workers: Iterable[Announcement], sealing_key: str) -> tuple[str, ...]:
    """Return the pools with a worker that can open what is sealed with the key of this id."""
    return tuple(sorted({worker.pool for worker in workers if sealing_key in worker.sealing_keys}))


def _known_cluster(several: list[tuple[str, AnnouncedCluster]]) -> KnownCluster:
    serving = [(pool, cluster) for pool, cluster in several if not cluster.problem] or several
    pools = tuple(sorted({pool for pool, _ in serving}))
    announced = tuple(cluster for _, cluster in serving)
    return KnownCluster(announced[0], pools, announced)


def _known_credential(holders: list[Holder]) -> KnownCredential:
    usable = [holder for holder in holders if not holder.credential.problem] or holders
    pools = tuple(sorted({holder.pool for holder in usable}))
    return KnownCredential(usable[0].credential, pools, _each_content_once(holders))


def _each_content_once(holders: list[Holder]) -> tuple[Holder, ...]:
    """Return the holders in order of pool, the workers of a pool that hold the same as one."""
    found: dict[tuple[Any, ...], Holder] = {}
    for holder in holders:
        credential = holder.credential
        content = (
            holder.pool,
            holder.key,
            credential.fingerprint,
            credential.problem,
            credential.registries,
            credential.usernames,
            credential.endings,
        )
        found.setdefault(content, holder)
    return tuple(sorted(found.values(), key=lambda holder: holder.pool))
