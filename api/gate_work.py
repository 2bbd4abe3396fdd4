"""Work that may still write on the clusters of a check: as long as there is some, its gate stays closed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from api import scope
from api.access import Permission, caller
from api.problems import Finding, pointer
from api.services import services
from remediation.kind import Kind
from remediation.overlap import may_overlap
from remediation.same_server import with_other_names
from remediation.status import RemediationStatus
from store.records import Check
from store.writers import MOST, Latest, OpenWork

CODE = "may_write"
_MOST_REASONS = 10
_MOST_CLUSTERS = 3
_NAMES = {Kind.RUN: "a remediation", Kind.RETRY: "a retry", Kind.UNDO: "an undo"}


@dataclass(frozen=True, slots=True)
class Before:
    """What had been accepted before the second look of a gate begins, and what of it is still to come."""

    latest: Latest
    reasons: Sequence[Finding]


def look(check: Check) -> Before:
    """Read what may still write on the API servers of the check, under any of their names."""
    store = services().store
    fleet = scope.Fleet.of(store.inventory.workers())
    names = [run.cluster for run in check.runs]
    every = with_other_names(names, fleet.clusters, store.inventory.uids())
    servers = store.writers.servers(dict.fromkeys((*every, *(run.known_as for run in check.runs))))
    found = store.writers.read(servers)
    seen = caller().rights.clusters(Permission.READ_INVENTORY)
    paused = store.pause.current() is not None if found.work else False
    reasons = [
        _reason(work, list(filter(seen, work.clusters)), paused=paused)
        for work in found.work
        if may_overlap(work.request, check.request)
    ]
    if found.more:
        many = f"more than {MOST} runs that write have not ended on these clusters: wait until fewer are left"
        reasons.append(Finding(pointer("clusters"), many, CODE))
    return Before(found.latest, reasons[:_MOST_REASONS])


def since(before: Before) -> Iterator[Finding]:
    """Yield what was accepted while the second look was on its way: it may have written after its place was read."""
    now = services().store.writers.latest(before.latest)
    for identity in dict.fromkeys(
        latest for server, latest in now.items() if latest and latest != before.latest[server]
    ):
        text = f"{identity} was accepted while the clusters were read again: wait until it has ended, and ask again"
        yield Finding(pointer("clusters"), text, CODE)


def _reason(work: OpenWork, clusters: Sequence[str], *, paused: bool) -> Finding:
    shown = ", ".join(clusters[:_MOST_CLUSTERS])
    rest = len(work.clusters) - min(len(clusters), _MOST_CLUSTERS)
    where = f"{shown} and {rest} more" if shown and rest else shown or "a cluster of the check"
    what = f"{work.id}, {_NAMES[work.kind]}, may still write on {where}"
    return Finding(pointer("clusters"), f"{what}: {_state(work, paused=paused)}", CODE)


def _state(work: OpenWork, *, paused: bool) -> str:
    wait = "wait until it has ended, or cancel it, and ask again"
    if work.status is RemediationStatus.CANCELLING:
        return "it is being cancelled. Wait until it has ended, and ask again"
    if work.unapproved:
        return "it waits for approval. Approve it and wait until it has ended, or reject or cancel it, and ask again"
    if paused and work.status is RemediationStatus.QUEUED:
        return f"it is queued, and the service is paused. Resume the service and {wait}"
    return f"it is {work.status}. W{wait[1:]}"
