"""What a verdict rests on, so that it can be told when it no longer holds.

Every pod that lives at the flip was either listed, and judged by its own immutable spec, or made afterwards, and then
admitted with a ServiceAccount and a template that were judged, as long as none of them changed. So a change of one of
them voids the verdict, and so does time: a list may have been incomplete in a way that nobody saw.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from remediation.readiness.judgement import Judgement
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


def _end(judgements: Sequence[Judgement], now: datetime, ttl: timedelta) -> datetime:
    """Return when it ends, at the latest when a waiver or a login that it rests on does."""
    ends = [
        finding.waiver.expires_at
        for judgement in judgements
        for finding in judgement.findings
        if finding.waiver
    ]
    ends += [
        finding.ends_at
        for judgement in judgements
        for finding in judgement.findings
        if finding.ends_at
    ]
    return min([now + ttl, *ends])
