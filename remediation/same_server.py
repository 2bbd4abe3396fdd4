"""Clusters of several names that are one API server: a kubeconfig may have as many contexts for it as it likes.

They are known by the uid of the namespace kube-system, which every API server has and none shares. Where it is known,
it decides. Where it is not, nothing is left out for it; but what protects one name protects another one that may be it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from remediation.inventory import KnownCluster
from remediation.outcome import Error, ErrorCode
from remediation.patterns import literals

_HTTPS = 443


@dataclass(frozen=True, slots=True)
class Selected:
    """The clusters of a request, and for each those that it stands for: other names of the same API server."""

    names: tuple[str, ...]
    stands_for: Mapping[str, tuple[str, ...]]


def same_server(known: Mapping[str, KnownCluster]) -> dict[str, tuple[str, ...]]:
    """Return the other names of each cluster that has some, in order; only what is certain."""
    return {
        name: tuple(other for other in group if other != name)
        for group in _groups(known, known)
        for name in group
        if len(group) > 1
    }


def each_server_once(
    patterns: Iterable[str], names: Sequence[str], known: Mapping[str, KnownCluster]
) -> Selected:
    """Return the selected names without those that only a glob means, and that another one of them stands for."""
    named = frozenset(literals(tuple(patterns)))
    stands_for: dict[str, tuple[str, ...]] = {}
    for group in _groups(names, known):
        kept = [name for name in group if name in named] or [_first(group, known)]
        if left := tuple(name for name in group if name not in kept):
            stands_for[kept[0]] = left
    left_out = {name for others in stands_for.values() for name in others}
    return Selected(tuple(name for name in names if name not in left_out), stands_for)


def with_other_names(
    names: Iterable[str], known: Mapping[str, KnownCluster], last_uids: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the names, and those of clusters that are, or may be, the same API server.

    `last_uids` are those that workers have read lately, of clusters without a worker at present too.
    """
    marks = {
        name: _marks(known.get(name), last_uids.get(name)) for name in (*known, *last_uids, *names)
    }
    by_mark: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for name, several in marks.items():
        for mark in several:
            by_mark[mark].append(name)
    found = dict.fromkeys(names)
    for name in tuple(found):
        others = dict.fromkeys(other for mark in marks[name] for other in by_mark[mark])
        found |= {other: None for other in others if not _differ(known.get(name), known.get(other))}
    return tuple(found)


def refusal(cluster: str, meant: str | None, found: str) -> Error | None:
    """Return why a run must not go on: its cluster's name leads to another API server than the run is meant for.

    A uid that is not known is not different.
    """
    if not meant or not found or meant == found:
        return None
    detail = (
        f"the context '{cluster}' leads to another cluster than this is meant for: the uid of its kube-system "
        f"is '{found}', not '{meant}'"
    )
    hint = (
        f"see which kubeconfig file of the worker has the context '{cluster}': where several have the name, the first "
        "keeps it (`remediator clusters -o json` shows uids and renamed contexts). Correct it, then retry; if the "
        "other cluster is meant, or this one was built again, send the request again"
    )
    return Error(ErrorCode.CLUSTER_CHANGED, detail, hint)


def _groups(names: Iterable[str], known: Mapping[str, KnownCluster]) -> Iterable[list[str]]:
    by_uid: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        if uid := known[name].uid:
            by_uid[uid].append(name)
    return by_uid.values()


def _first(group: Sequence[str], known: Mapping[str, KnownCluster]) -> str:
    # One that is verified before one that is not, and one that a worker could reach before one that it could not.
    return min(group, key=lambda name: (known[name].insecure, bool(known[name].trouble), name))


def _marks(cluster: KnownCluster | None, last_uid: str | None) -> set[tuple[str, ...]]:
    """Return by what another name of the same API server could be known: a uid, or the same address from a pool."""
    uids: Iterable[str | None] = (cluster.uids if cluster else None) or (last_uid,)
    marks: set[tuple[str, ...]] = {(uid,) for uid in uids if uid}
    server = cluster.cluster.server if cluster else None
    # Inside pods every cluster has the same address.
    if cluster and server and "//kubernetes.default" not in server:
        marks |= {(_address(server), pool) for pool in cluster.pools}
    return marks


def _address(server: str) -> str:
    """Return the URL of an API server in the one way that it is written here, whatever way a kubeconfig has."""
    try:
        parts = urlsplit(server)
        host, port = (parts.hostname or "").removesuffix("."), parts.port or _HTTPS
    except ValueError:
        return server
    with suppress(ValueError):  # a name
        host = str(ip_address(host))
    return f"{host} {port} {parts.path.rstrip('/')}"


def _differ(one: KnownCluster | None, other: KnownCluster | None) -> bool:
    return bool(one and other and one.uid and other.uid and one.uid != other.uid)
