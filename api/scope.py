"""Where a request can be carried out: its clusters and credential against what live workers announce."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.access import Permission, caller
from api.problems import Finding, pointer
from remediation.inventory import (
    Announcement,
    KnownCluster,
    KnownCredential,
    known_clusters,
    known_credentials,
    pools_that_open,
)
from remediation.request import RemediationRequest
from remediation.same_server import Selected, each_server_once
from remediation.selection import UnknownCluster, nearest, select_clusters
from store.records import ClusterFacts

_MAX_LISTED = 20
_NO_WORKER = (
    "No worker is announced at present: start one with `remediator worker` (or `remediator up`)."
)


@dataclass(frozen=True, slots=True)
class Fleet:
    """What live workers announce, by name."""

    clusters: Mapping[str, KnownCluster]
    credentials: Mapping[str, KnownCredential]
    workers: Sequence[Announcement]

    @classmethod
    def of(cls, workers: list[Announcement]) -> "Fleet":
        """Sum up the announcements."""
        return cls(known_clusters(workers), known_credentials(workers), workers)

    @property
    def has_workers(self) -> bool:
        """Tell whether any worker lives."""
        return bool(self.workers)

    def holders(self, request: RemediationRequest, sealing_key: str | None) -> Sequence[str]:
        """Return the pools that hold the known credential of a request, or can open what was sealed with the key."""
        if request.credential is not None:
            return self.credentials[request.credential].pools
        return pools_that_open(self.workers, sealing_key or "")

    def seen(self) -> "Fleet":
        """Return what the present caller may see of it."""
        rights = caller().rights
        clusters = rights.clusters(Permission.READ_INVENTORY)
        credentials = rights.credentials(Permission.READ_INVENTORY)
        return Fleet(
            {name: known for name, known in self.clusters.items() if clusters(name)},
            {name: known for name, known in self.credentials.items() if credentials(name)},
            self.workers,
        )


def findings(body: Mapping[str, Any], fleet: Fleet) -> list[Finding]:
    """Return what is wrong with the fields that are right in themselves."""
    found = list(_clusters(body["clusters"], fleet)) if "clusters" in body else []
    if "credential" in body:
        found += _credential(body["credential"], fleet)
    return found


def credential_choice(
    given: Collection[str], fleet: Fleet, sealing_key: str | None
) -> Iterable[Finding]:
    """Yield what is wrong with how the credential is given: by name or inline, once.

    `sealing_key` is the id of the key that an inline one would be sealed with.
    """
    if "inline_credential" in given:
        if refusal := inline_refusal(fleet, sealing_key):
            text = f"{refusal} Use `credential`. {_known_credentials(fleet)}"
            yield Finding(pointer("inline_credential"), text, "not_supported")
        if "credential" in given:
            both = "name a `credential` or send an `inline_credential`, not both"
            yield Finding(pointer("credential"), both, "ambiguous")
    elif "credential" not in given:
        yield Finding(
            pointer("credential"), f"is required. {_known_credentials(fleet)}", "required"
        )


def inline_refusal(fleet: Fleet, sealing_key: str | None) -> str | None:
    """Return why a login cannot be taken, None if it can."""
    if sealing_key is None:
        return (
            "this service has no sealing key, so it takes no passwords: `remediator keys create` makes a pair, for "
            "REMEDIATOR_SEALING_PUBLIC_KEY_FILE of the API and REMEDIATOR_SEALING_KEY_FILE of the workers."
        )
    if not pools_that_open(fleet.workers, sealing_key):
        return (
            f"no live worker could open it: none has the private key to {sealing_key} in its "
            "REMEDIATOR_SEALING_KEY_FILE."
        )
    return None


def placements(
    clusters: Sequence[str], holders: Sequence[str], fleet: Fleet
) -> list[tuple[str, str]]:
    """Return the selected clusters, each with a pool that serves it: one of `holders`, if there is one.

    A broken context that a glob matches is among them: its run ends at once and says why, so that `*` never passes over
    a cluster in silence.
    """
    return places(selected(clusters, fleet).names, holders, fleet)


def selected(clusters: Sequence[str], fleet: Fleet) -> Selected:
    """Return the known clusters that are meant, an API server of several names once unless each is named."""
    names, _ = select_clusters(clusters, fleet.clusters)
    return each_server_once(clusters, names, fleet.clusters)


def facts(clusters: Sequence[str], names: Iterable[str], fleet: Fleet) -> dict[str, ClusterFacts]:
    """Return what there is to say of selected clusters; `clusters` are the entries of the request."""
    stands_for = selected(clusters, fleet).stands_for
    return {
        name: ClusterFacts(known.insecure, stands_for.get(name, ()))
        for name in names
        if (known := fleet.clusters.get(name)) and (known.insecure or name in stands_for)
    }


def places(names: Sequence[str], holders: Sequence[str], fleet: Fleet) -> list[tuple[str, str]]:
    """Return known clusters, each with a pool that serves it: one of `holders`, if there is one."""
    return [(name, _pool(fleet.clusters[name].pools, holders)) for name in names]


def serving(names: Sequence[str], credential: str | None, fleet: Fleet) -> list[tuple[str, str]]:
    """Return known clusters, each with a pool that serves it: one that holds the credential, if one is named."""
    if credential is not None:
        return places(names, fleet.credentials[credential].pools, fleet)
    return [(name, fleet.clusters[name].pools[0]) for name in names]


def _pool(serving: Sequence[str], holders: Sequence[str]) -> str:
    return next((pool for pool in serving if pool in holders), serving[0])


def _ready(fleet: Fleet) -> list[str]:
    return [name for name, known in fleet.clusters.items() if not known.cluster.problem]


def _clusters(patterns: Sequence[str], fleet: Fleet) -> Iterable[Finding]:
    _, unknown = select_clusters(patterns, fleet.clusters)
    for entry in unknown:
        yield Finding(pointer("clusters", entry.index), _unknown(entry, fleet), "unknown_cluster")
    for index, name in enumerate(patterns):
        known = fleet.clusters.get(name)
        if known and (problem := known.cluster.problem):
            yield Finding(
                pointer("clusters", index),
                f"cluster '{name}' cannot be used: {problem}; correct that, or leave it out",
                "cluster_unusable",
            )


def _unknown(entry: UnknownCluster, fleet: Fleet) -> str:
    return (
        f"unknown cluster '{entry.pattern}'{_meant(entry.nearest)} "
        f"{_listed('Known clusters', _ready(fleet), fleet)}{_why_none(fleet)}"
    )


def _why_none(fleet: Fleet) -> str:
    """Return what workers say is wrong where none of them serves a cluster, to those who may read all of it."""
    if fleet.clusters or not caller().rights.everywhere(Permission.READ_INVENTORY):
        return ""
    first = next((worker.problems[0] for worker in fleet.workers if worker.problems), None)
    return f" A worker says: {first}." if first else ""


def _credential(name: str, fleet: Fleet) -> Iterable[Finding]:
    known = fleet.credentials.get(name)
    if known is None:
        meant = _meant(nearest(name, fleet.credentials))
        text = f"no worker holds a credential '{name}'{meant} {_known_credentials(fleet)}"
        yield Finding(pointer("credential"), text, "unknown_credential")
    elif problem := known.credential.problem:
        text = f"credential '{name}' cannot be used: it {problem}"
        yield Finding(pointer("credential"), text, "credential_unusable")


def _meant(name: str | None) -> str:
    return f"; did you mean '{name}'?" if name else "."


def _known_credentials(fleet: Fleet) -> str:
    usable = [name for name, known in fleet.credentials.items() if not known.credential.problem]
    return _listed("Known credentials", usable, fleet)


def _listed(what: str, names: Iterable[str], fleet: Fleet) -> str:
    """Return a sentence that says which names there are."""
    if not fleet.has_workers:
        return _NO_WORKER
    ordered = sorted(names)
    if not ordered:
        return f"{what}: none."
    more = f" and {len(ordered) - _MAX_LISTED} more" if len(ordered) > _MAX_LISTED else ""
    return f"{what}: {', '.join(ordered[:_MAX_LISTED])}{more}."
