"""What a verdict rests on, so that it can be told when it no longer holds.

Every pod that lives at the flip was either listed, and judged by its own immutable spec, or made afterwards, and then
admitted with a ServiceAccount and a template that were judged, as long as none of them changed. So a change of one of
them voids the verdict, and so does time: a list may have been incomplete in a way that nobody saw.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from remediation.readiness.judgement import Judgement
from remediation.readiness.observation import Account, Namespace, Pod, PullSecret, Scope, Workload
from remediation.readiness.verdict import Verdict, summarise


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One cluster as it was read: the uid of its kube-system namespace, and the resourceVersion of each list."""

    cluster: str
    uid: str
    resource_versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A verdict with its basis; `digest` changes with anything in it but the times."""

    verdict: Verdict
    snapshots: tuple[Snapshot, ...]
    issued_at: datetime
    valid_until: datetime
    digest: str


@dataclass(frozen=True, slots=True)
class Change:
    """An object that is not as it was listed: `before` None for a new one, `after` None for one that is gone.

    Of a pod also `covered`: what `Judge.covers` says about it.
    """

    cluster: str
    before: Account | Namespace | Pod | PullSecret | Workload | None
    after: Account | Namespace | Pod | PullSecret | Workload | None
    covered: bool = False


def certify(
    judgements: Sequence[Judgement], snapshots: Sequence[Snapshot], now: datetime, ttl: timedelta
) -> Certificate:
    """Return the certificate of some judgements, with one snapshot for each cluster that was read."""
    ordered = tuple(sorted(snapshots, key=lambda snapshot: snapshot.cluster))
    content = {
        "snapshots": [
            [snapshot.cluster, snapshot.uid, sorted(snapshot.resource_versions.items())]
            for snapshot in ordered
        ],
        "judgements": [
            {
                "cluster": judgement.cluster,
                "counts": sorted(judgement.counts.items()),
                "findings": [dict(finding.to_row()) for finding in judgement.findings],
            }
            for judgement in sorted(judgements, key=lambda judgement: judgement.cluster)
        ],
    }
    encoded = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    digest = f"sha256:{hashlib.sha256(encoded).hexdigest()}"
    return Certificate(
        summarise(judgements).verdict, ordered, now, _end(judgements, now, ttl), digest
    )


def void_reasons(
    certificate: Certificate,
    now: datetime,
    changes: Iterable[Change] = (),
    uids: Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """Say why a certificate no longer holds; () if it does.

    `uids` are the clusters' present ones, where they were asked: another means another cluster under the same name.
    """
    reasons = []
    if now >= certificate.valid_until:
        reasons.append(f"it was valid until {certificate.valid_until.isoformat()}")
    for snapshot in certificate.snapshots:
        found = (uids or {}).get(snapshot.cluster, snapshot.uid)
        if found != snapshot.uid:
            reasons.append(f"{snapshot.cluster} is another cluster than the one that was judged")
    for change in changes:
        reasons.extend(f"{change.cluster}: {reason}" for reason in _changed(change))
    return tuple(dict.fromkeys(reasons))


def _end(judgements: Iterable[Judgement], now: datetime, ttl: timedelta) -> datetime:
    """Return when it ends, at the latest when a waiver that it rests on does."""
    ends = [
        finding.waiver.expires_at
        for judgement in judgements
        for finding in judgement.findings
        if finding.waiver
    ]
    return min([now + ttl, *ends])


def _changed(change: Change) -> Iterator[str]:
    before, after = change.before, change.after
    some = after or before
    match some:
        case Account():
            if _account(before) != _account(after):
                yield f"ServiceAccount {some.namespace}/{some.name} changed"
        case PullSecret():
            if _secret(before) != _secret(after):
                yield f"Secret {some.namespace}/{some.name} changed"
        case Workload():
            # A template that is gone makes no pods.
            if after is not None and _workload(before) != _workload(after):
                yield f"{some.kind} {some.namespace}/{some.name} changed"
        case Pod():
            if after is not None and not change.covered:
                yield f"Pod {some.namespace}/{some.name} is not covered"
        case Namespace():
            if after is not None and _namespace(before) != _namespace(after):
                yield f"namespace {some.name} is new or no longer left out"


def _account(account: object) -> object:
    if not isinstance(account, Account):
        return None
    return account.uid, account.pull_secrets, account.enforces_mountable


def _secret(secret: object) -> object:
    return (secret.type, secret.content) if isinstance(secret, PullSecret) else None


def _workload(workload: object) -> object:
    if not isinstance(workload, Workload):
        return None
    used = {
        (container.kind, container.image, container.pull_policy)
        for container in workload.containers
    }
    return used, workload.pull_secrets, workload.account, workload.dormant


def _namespace(namespace: object) -> bool:
    """Tell whether pods of a namespace count."""
    return isinstance(namespace, Namespace) and namespace.scope is Scope.JUDGED
