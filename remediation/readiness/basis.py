"""What a verdict stands on, as one digest: it changes with an account, a Secret, a template or an uncovered pod.

It holds what the judgement used and leaves out what makes no difference to it: versions of objects, labels, who manages
a field, how many covered pods there are, ServiceAccounts that no pod with the registry's images uses.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from remediation.readiness.finding import Finding, FindingClass, Severity
from remediation.readiness.futures import Maker, accounts_in_use, makers
from remediation.readiness.judge import Judge
from remediation.readiness.keyring import SecretState
from remediation.readiness.observation import WORKLOAD_KINDS, Owner
from remediation.readiness.rows import REPOSITORY
from remediation.registry_key import effective_key

# Pods of other Jobs come and go all the time; each look judges those that are there.
_PASSING = ("Job",)
_OF_JOBS = ("Job", "CronJob")
_OF_PODS = frozenset(each for each in FindingClass if each.startswith("P_"))
_OF_ACCOUNTS = (FindingClass.SA_UNUSED_UNPATCHED, FindingClass.N_RACE)


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
    used: set[tuple[str, str]] = set()
    repositories: set[str] = set()
    for judge in judges:
        found = list(makers(judge, judge.admissions))
        used |= accounts_in_use(judge, found)
        secrets = set(_secrets(judge, found))
        for maker in found:
            repositories |= _repositories(judge, maker)
            if _lasts(judge, maker):
                yield from _template(judge, maker)
        for key in judge.pods:
            if judge.judged(key.namespace):
                repositories |= {use.repository for use in key.uses}
        for place in secrets:
            yield ("secret", *place, _content(judge, *place, versions.get(place)))
    yield from _findings(findings, used, repositories)


def _template(judge: Judge, maker: Maker) -> Iterator[Any]:
    future = maker.future
    place = (future.namespace, future.owner.kind, future.owner.name)
    own = judge.workloads.get(place) or judge.revisions.get(place)
    # Images that only its pods have come and go with them; of an image the repository counts, not the tag.
    # What admission brings lasts as well.
    images = own.images if own else maker.images
    images += proof.images if (proof := judge.admissions.get(place)) else ()
    known = {image.repository for text in images if (image := judge.image(text))}
    yield (
        *("template", *place, sorted(known), bool(future.own), future.names),
        *(future.account_name, future.account is not None, future.not_mountable),
    )


def _lasts(judge: Judge, maker: Maker) -> bool:
    """Tell whether a maker stands for a template that will be there again at the next look.

    Owners that are not built in are often made for one pod each (a TaskRun); what is wrong with them is in findings.
    """
    kind = maker.future.owner.kind
    return kind in WORKLOAD_KINDS and kind not in _PASSING and judge.judged(maker.future.namespace)


def _secrets(judge: Judge, found: Iterable[Maker]) -> Iterator[tuple[str, str]]:
    """Yield the (namespace, name) of Secrets that templates and pods rely on."""
    for maker in found:
        future = maker.future
        if future.owner.kind not in _PASSING and judge.judged(future.namespace):
            for name in (*future.names, *(future.other or ())):
                yield future.namespace, name
    for key in judge.pods:
        owner = judge.top(key.namespace, key.owner) if key.owner else Owner("Pod", key.bare)
        if owner.kind not in _PASSING and judge.judged(key.namespace):
            for name in key.pull_secrets:
                yield key.namespace, name


def _content(judge: Judge, namespace: str, name: str, version: str | None) -> Any:
    """Return what a Secret holds, as far as that can be told without a secret: else its version stands for it.

    Where it holds no logins but those of the credential, which of them under which key is all that matters.
    """
    kept = judge.secrets.get(namespace, {}).get(name)
    config = judge.options.wanted.config
    if kept is None or kept.state is not SecretState.READ or config is None:
        return version
    wanted = list(dict.fromkeys((effective_key(key), login) for key, login in config.logins))
    places = {login: number for number, (_, login) in enumerate(wanted)}
    if any(login not in places for _, login in kept.logins):
        return version
    return [
        (key.encode(errors="backslashreplace").decode(), places[login])
        for key, login in kept.logins
    ]


def _repositories(judge: Judge, maker: Maker) -> set[str]:
    if not judge.judged(maker.future.namespace):
        return set()
    return {image.repository for text in maker.images if (image := judge.image(text))}


def _findings(
    findings: Iterable[Finding], used: set[tuple[str, str]], repositories: set[str]
) -> Iterator[Any]:
    """Yield every finding that is more than a piece of good news; what stands in the registry counts as a whole."""
    for finding in findings:
        if finding.severity is Severity.INFO:
            continue
        unused = (finding.namespace, finding.name) not in used
        if finding.finding_class in _OF_ACCOUNTS and unused:
            continue  # no pod with the registry's images uses it; once one does, its template counts
        about = (finding.namespace, finding.kind, finding.name, finding.image)
        if finding.kind == REPOSITORY:
            about = ("", finding.kind, "", "")
            yield ("repositories", sorted(repositories))
        how = (finding.severity, finding.doubt, finding.waiver is not None)
        yield ("finding", finding.finding_class, *about, *how, *_which(finding))


def _which(finding: Finding) -> Iterator[Any]:
    """Yield how many pods that are not covered a finding is about, and which: one more is another risk.

    Each run of a job has other pods, so that only their number counts.
    """
    if finding.finding_class in _OF_PODS:
        yield finding.count
        if finding.kind not in _OF_JOBS:
            yield sorted(finding.examples)
