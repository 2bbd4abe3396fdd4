"""What a verdict stands on, as one digest: it changes with an account, a Secret, a template or an uncovered pod."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from remediation.readiness.finding import Finding, Severity
from remediation.readiness.futures import makers
from remediation.readiness.judge import Judge
from remediation.readiness.question_findings import SLIPS

# Pods of other Jobs come and go all the time; each look judges those that are there.
_PASSING = ("Job",)


def basis_of(
    judges: Sequence[Judge],
    versions: Mapping[tuple[str, str], str],
    findings: Iterable[Finding],
) -> str:
    """Return the digest; `versions` are uid and resourceVersion of each Secret that was read, by (namespace, name).

    What does not use the registry is not in it, nor how many pods a template has: a busy cluster stays the same.
    """
    lines = {json.dumps(part, sort_keys=True) for part in _parts(judges, versions, findings)}
    return "sha256:" + hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _parts(
    judges: Sequence[Judge],
    versions: Mapping[tuple[str, str], str],
    findings: Iterable[Finding],
) -> Iterator[Any]:
    for judge in judges:
        for maker in makers(judge, {}):
            future = maker.future
            if future.owner.kind in _PASSING or not judge.judged(future.namespace):
                continue
            place = (future.namespace, future.owner.kind, future.owner.name)
            account = future.account
            yield (
                *("template", *place, maker.images, future.own, future.dormant),
                *(future.account_name, account and (account.uid, account.pull_secrets)),
                account is not None and account.enforces_mountable,
            )
            for name in (*future.names, *(future.other or ())):
                yield ("secret", future.namespace, name, versions.get((future.namespace, name)))
        for key in judge.pods:
            for name in key.pull_secrets if judge.judged(key.namespace) else ():
                yield ("secret", key.namespace, name, versions.get((key.namespace, name)))
    for finding in findings:
        # Whether a name in the request matches nothing is judged over all clusters, at each look.
        if finding.severity is not Severity.INFO and finding.finding_class not in SLIPS:
            about = (finding.namespace, finding.kind, finding.name, finding.image)
            yield ("finding", finding.finding_class, *about, finding.waiver is not None)
