"""What comes out of the judgement: findings, each about one object (or one group of identical pods)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from remediation.readiness.proof import Level


class Severity(StrEnum):
    """How much a finding matters: only a blocking one keeps the verdict from being safe."""

    BLOCKING = "blocking"
    WARNING = "warning"
    INFO = "info"


class Coverage(StrEnum):
    """What the kubelet would find for an image in the Secrets that a pod names; the first that applies."""

    COVERED = "COVERED"
    SHADOWED = "SHADOWED"  # covered, after other matching credentials were tried
    POISONED = "POISONED"  # one Secret is malformed: no image of the pod can be pulled
    REFUSED = "REFUSED"  # the right credential, and the registry refuses it for this repository
    STALE = "STALE"  # our Secret matches, with another login
    OTHER = "OTHER"  # only logins of other Secrets match, and they are not proven
    KEY_MISMATCH = "KEY_MISMATCH"  # there are logins, none is for this image
    WRONG_TYPE = "WRONG_TYPE"
    MISSING = "MISSING"
    UNKNOWN_SECRET = "UNKNOWN_SECRET"  # a Secret that could not be read
    DELETING = "DELETING"  # covered, but only until the deletion of a Secret is finished
    BLANK_REF = "BLANK_REF"  # the only references have no name
    NO_REFS = "NO_REFS"
    NONE = ""  # the finding is not about an image


class FindingClass(StrEnum):
    """What a finding is: P_ running pods, W_ future pods of a template, the others as their comments say."""

    P_COVERED = "P_COVERED"
    P_NODE = "P_NODE"
    P_BREAKS_ON_FLIP = "P_BREAKS_ON_FLIP"
    P_RISK_RESTART = "P_RISK_RESTART"
    P_RISK_LOW = "P_RISK_LOW"
    P_NO_PULL = "P_NO_PULL"
    P_POISONED = "P_POISONED"
    P_UNKNOWN = "P_UNKNOWN"
    W_COVERED_SA = "W_COVERED_SA"
    W_COVERED_TEMPLATE = "W_COVERED_TEMPLATE"
    W_NODE = "W_NODE"
    W_TEMPLATE_SECRETS = "W_TEMPLATE_SECRETS"
    W_SA_UNPATCHED = "W_SA_UNPATCHED"
    W_DANGLING = "W_DANGLING"
    W_WRONG_TYPE = "W_WRONG_TYPE"
    W_KEY = "W_KEY"
    W_STALE = "W_STALE"
    W_REFUSED = "W_REFUSED"
    W_POISONED = "W_POISONED"
    W_UNKNOWN = "W_UNKNOWN"
    W_SA_MISSING = "W_SA_MISSING"
    W_ENFORCED = "W_ENFORCED"
    W_ADMISSION = "W_ADMISSION"
    W_DRIFT = "W_DRIFT"
    W_DORMANT = "W_DORMANT"
    W_OTHER = "W_OTHER"
    SA_UNUSED_UNPATCHED = "SA_UNUSED_UNPATCHED"
    N_RACE = "N_RACE"
    N_IGNORED = "N_IGNORED"  # a namespace that is not judged uses the registry
    R_REFUSED = "R_REFUSED"  # the registry refuses the credential for a repository
    R_SHORT_LIVED = "R_SHORT_LIVED"  # the credential's login ends by itself
    R_UNPROVEN = "R_UNPROVEN"  # the evidence that was asked for is missing for a repository
    C_UNREADABLE = "C_UNREADABLE"  # a cluster, or a list of it, could not be read
    C_UNMATCHED = (
        "C_UNMATCHED"  # a namespace or selector of the request matches nothing: has it a slip?
    )
    C_UNUSED = "C_UNUSED"  # nothing uses the registry: is its name right?
    C_NO_CREDENTIAL = "C_NO_CREDENTIAL"  # nobody said which credential has to be in place


@dataclass(frozen=True, slots=True)
class Waiver:
    """Somebody's word that a finding is accepted, until `expires_at`."""

    owner: str
    reason: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the answer.

    `name` is the object's; for pods with a controller, `kind` and `name` are those of the controller, `count` tells how
    many pods are alike and `examples` names some of them. `doubt` tells that something is not known, rather than known
    to be wrong. `evidence` is what the finding rests on; after `ends_at` it is another one. A waived finding keeps its
    severity and does not block.
    """

    cluster: str
    namespace: str
    kind: str
    name: str
    image: str
    finding_class: FindingClass
    severity: Severity
    coverage: Coverage
    explanation: str
    fix: str
    count: int = 1
    examples: tuple[str, ...] = ()
    evidence: tuple[Level, ...] = (Level.GRAPH,)
    doubt: bool = False
    waiver: Waiver | None = None
    ends_at: datetime | None = None

    @property
    def blocks(self) -> bool:
        """Tell whether the verdict cannot be safe because of this finding."""
        return self.severity is Severity.BLOCKING and self.waiver is None

    def to_row(self) -> Mapping[str, Any]:
        """Return the finding with the names of the interface, JSON values only."""
        waiver = self.waiver and {
            "owner": self.waiver.owner,
            "reason": self.waiver.reason,
            "expires_at": self.waiver.expires_at.isoformat(),
        }
        return {
            "cluster": self.cluster,
            "namespace": self.namespace,
            "kind": self.kind,
            "name": self.name,
            "image": self.image,
            "class": self.finding_class.value,
            "severity": self.severity.value,
            "coverage": self.coverage.value,
            "explanation": self.explanation,
            "fix": self.fix,
            "count": self.count,
            "examples": list(self.examples),
            "evidence": [level.value for level in self.evidence],
            "doubt": self.doubt,
            "waiver": waiver,
        }
