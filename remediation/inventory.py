"""What live workers announce: the clusters they serve and the credentials they hold."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AnnouncedCluster:
    """A kubeconfig context; `problem` says why it cannot be served."""

    name: str
    server: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class AnnouncedCredential:
    """A named registry login without its secrets.

    `since` is an RFC 3339 time; `problem` says why it cannot be used; `fingerprint` is a keyed hash of its content,
    made with the first of the worker's sealing keys (None: the worker has none).
    """

    name: str
    registries: tuple[str, ...] = ()
    usernames: tuple[str, ...] = ()
    since: str | None = None
    problem: str | None = None
    fingerprint: str | None = None


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
