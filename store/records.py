"""The records as they are read back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from remediation.approval import Approval
from remediation.caution import CautionCount
from remediation.kind import Kind, kind_of
from remediation.outcome import Error, NamespaceResult, Summary
from remediation.readiness.request import CheckRequest, overall
from remediation.readiness.verdict import Verdict
from remediation.registry.check import CheckResult
from remediation.request import RemediationRequest
from remediation.status import RemediationStatus, RunStatus
from remediation.unmatched import Unmatched


@dataclass(frozen=True, slots=True)
class Run:
    """One remediation on one cluster.

    `attempt` counts claims, `handed_back` those of them that ended because a worker was told to stop; after `deadline`
    nobody begins it any more; `line` is the key of the line it stands in (None: it writes nothing) and `behind` the
    remediation that goes first; `missing` are named namespaces the cluster does not have (None: not observed yet), and
    `unmatched` all entries of the request that match nothing there. `endings` say which logins of the credential end by
    themselves, and when.
    `parents` are the runs whose leftovers it retries, the oldest first; `undoes` is the run it takes back, `undone_by`
    the run that takes it back. `registry_check` is what the registry said of the credential (None: not asked).
    `credential_fingerprint` is that of the credential which its last attempt works with; `judged` is what a readiness
    check came to; `cautions` counts the warnings of its rows. `insecure` and `stands_for` as in `ClusterFacts`;
    `server` is the name that its API server goes by (None: this one), `uid` that of the API server which it is meant
    for (None: it was not known when the run was taken in).
    """

    id: str
    remediation_id: str
    cluster: str
    pool: str
    status: RunStatus
    attempt: int
    handed_back: int
    deadline: str
    summary: Summary
    started_at: str | None = None
    finished_at: str | None = None
    error: Error | None = None
    missing: tuple[str, ...] | None = None
    unmatched: tuple[Unmatched, ...] = ()
    endings: tuple[str, ...] = ()
    line: str | None = None
    behind: str | None = None
    parents: tuple[str, ...] = ()
    undoes: str | None = None
    undone_by: str | None = None
    registry_check: CheckResult | None = None
    credential_fingerprint: str | None = None
    judged: "Judged | None" = None
    cautions: tuple[CautionCount, ...] = ()
    insecure: bool = False
    stands_for: tuple[str, ...] = ()
    server: str | None = None
    uid: str | None = None

    @property
    def known_as(self) -> str:
        """The name that its API server goes by: the same for all names of one (see `servers`)."""
        return self.server or self.cluster

    @property
    def verdict(self) -> Verdict | None:
        """What a readiness check came to here, None if nothing; one that did not end well is never safe."""
        if self.judged is None:
            return None
        doubtful = self.judged.verdict is Verdict.SAFE and self.status is not RunStatus.SUCCEEDED
        return Verdict.UNKNOWN if doubtful else self.judged.verdict


@dataclass(frozen=True, slots=True)
class Judged:
    """What a readiness check came to on one cluster.

    `classes` counts findings by class, `severities` by severity (waived ones apart, as `waived`). `certificate` names
    what the verdict stands on; `registries` are those that were judged.
    """

    verdict: Verdict
    classes: Mapping[str, int]
    severities: Mapping[str, int]
    registries: tuple[str, ...]
    certificate: Mapping[str, Any]
    slips: tuple["Slip", ...] = ()
    elsewhere: frozenset["Slip"] = frozenset()


@dataclass(frozen=True, slots=True)
class Slip:
    """A finding of one cluster that counts only if every cluster of the check has it.

    `counted_as` is its severity, or `waived`, as in `Judged.severities`.
    """

    finding_class: str
    kind: str
    name: str
    counted_as: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What is the same on every cluster."""
        return self.finding_class, self.kind, self.name


@dataclass(frozen=True, slots=True)
class Check:
    """A readiness check; `revision` changes with every change, times are RFC 3339 UTC.

    `remediation_id` is the remediation that it followed by itself, `confirms` the check whose gate asked for it.
    """

    id: str
    status: RemediationStatus
    request: CheckRequest
    requested_by: str
    created_at: str
    revision: str
    runs: tuple[Run, ...]
    started_at: str | None = None
    finished_at: str | None = None
    remediation_id: str | None = None
    confirms: str | None = None

    @property
    def verdict(self) -> Verdict | None:
        """Over all clusters; None as long as it has not ended."""
        if not self.status.terminal:
            return None
        return overall(run.verdict for run in self.runs)


@dataclass(frozen=True, slots=True)
class Paused:
    """Why no run begins at present, on whose word and since when (RFC 3339 UTC)."""

    reason: str
    by: str
    since: str


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What was known of a cluster when a remediation of it was taken in.

    `insecure`: its server's certificate is not verified; `stands_for` are other names of the same API server that a
    glob matched as well, and that got no run of their own.
    """

    insecure: bool = False
    stands_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a remediation is taken in.

    `request_id` names the HTTP request that asked for it; `most_namespaces` is the most that a run may touch on its
    cluster, `most_active` the most remediations of the caller that may be open with it (None: any number); with an
    `approval` nothing of it begins before a second person agrees; `facts` are what there is to say of clusters, by
    name.
    """

    request_id: str = ""
    most_namespaces: int | None = None
    most_active: int | None = None
    approval: Approval | None = None
    facts: Mapping[str, ClusterFacts] = field(default_factory=dict)


FREE = Terms()


@dataclass(frozen=True, slots=True)
class Orders:
    """On whose behalf a worker carries out a run of which kind, and what it has to keep to; members as in `Terms`."""

    requested_by: str
    request_id: str = ""
    most_namespaces: int | None = None
    kind: Kind = Kind.RUN


@dataclass(frozen=True, slots=True)
class Remediation:
    """A request and its outcome; `revision` changes with every change, times are RFC 3339 UTC.

    `kept_secrets` is the number of Secrets that an undo leaves as they are; `paused` says why nothing of it begins,
    None while the service works; `check_id` is the readiness check that followed, `verdict` what it came to.
    """

    id: str
    status: RemediationStatus
    request: RemediationRequest
    requested_by: str
    created_at: str
    revision: str
    runs: tuple[Run, ...]
    started_at: str | None = None
    finished_at: str | None = None
    retry_of: str | None = None
    undo_of: str | None = None
    kept_secrets: int = 0
    request_id: str = ""
    approval: Approval | None = None
    paused: Paused | None = None
    check_id: str | None = None
    verdict: Verdict | None = None

    @property
    def summary(self) -> Summary:
        """The sums over all runs."""
        return sum((run.summary for run in self.runs), Summary())

    @property
    def kind(self) -> Kind:
        """What it does to its clusters."""
        return kind_of(retry_of=self.retry_of, undo_of=self.undo_of)


@dataclass(frozen=True, slots=True)
class Origin:
    """The remediation that a new one repeats or takes back, and the runs it goes on from, by cluster.

    `parents` as in `Run`, `undoes` are the runs that are taken back; `kept_secrets` is the number of Secrets that an
    undo has to leave as they are. `uids` are those of the API servers that the repeated or undone runs were meant for.
    """

    retry_of: str | None = None
    undo_of: str | None = None
    kept_secrets: int = 0
    parents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    undoes: Mapping[str, str] = field(default_factory=dict)
    uids: Mapping[str, str] = field(default_factory=dict)

    @property
    def runs(self) -> tuple[str, ...]:
        """All the runs it goes on from: their records are needed for as long as the new one's."""
        return (
            *(each for several in self.parents.values() for each in several),
            *self.undoes.values(),
        )

    @property
    def kind(self) -> Kind:
        """What the new one does to its clusters."""
        return kind_of(retry_of=self.retry_of, undo_of=self.undo_of)


NEW = Origin()


def meant_for(runs: Iterable[Run]) -> dict[str, str]:
    """Return the uids of the API servers that runs were meant for, by cluster, as far as they are known."""
    return {run.cluster: run.uid for run in runs if run.uid}


@dataclass(frozen=True, slots=True)
class Row:
    """A result row with the place of its run, which pages go on from."""

    run_index: int
    cluster: str
    result: NamespaceResult


@dataclass(frozen=True, slots=True)
class Event:
    """One change of a remediation; `id` is its place in the stream."""

    id: str
    type: str
    data: dict[str, Any]
