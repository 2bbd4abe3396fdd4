"""What a judgement is asked for."""

from dataclasses import dataclass, field
from datetime import datetime

from remediation.readiness.coverage import Wanted
from remediation.readiness.facts import Facts
from remediation.readiness.proof import Level
from remediation.readiness.target import Target


@dataclass(frozen=True, slots=True)
class Options:
    """The question about one cluster.

    `evidence` is the level that has to be reached for `safe`: GRAPH and LOGIN leave open whether the registry gives the
    repositories to the credential. `remediated_at` is when the last remediation of the cluster ended.
    """

    cluster: str
    target: Target
    wanted: Wanted
    facts: Facts = field(default_factory=Facts)
    evidence: Level = Level.RIGHT
    remediated_at: datetime | None = None
