"""What a caller asked to be judged, and what the answers of several clusters come to."""

from collections.abc import Iterable
from dataclasses import dataclass

from remediation.readiness.proof import Level
from remediation.readiness.verdict import Verdict
from remediation.request import DEFAULT_SECRET_NAME

DEFAULT_TIMEOUT_SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRequest:
    """One readiness check, checked and with its defaults.

    `registries` are `HOST[:PORT][/PATH]`; none means those of the credential. Without a `credential` nobody knows which
    login has to be in place. `evidence` is the level that has to be reached; with None the registry is asked as far as
    it answers, and what it cannot show does not count against the verdict. `timeout_seconds` covers the whole check.
    """

    clusters: tuple[str, ...]
    registries: tuple[str, ...] = ()
    credential: str | None = None
    namespaces: tuple[str, ...] = ("*",)
    ignore: tuple[str, ...] = ()
    namespace_selector: str | None = None
    secret_name: str = DEFAULT_SECRET_NAME
    evidence: Level | None = None
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS

    @property
    def required(self) -> Level:
        """The level without which the verdict is not safe."""
        return self.evidence or Level.GRAPH

    @property
    def asks_registry(self) -> bool:
        """Tell whether the registry is asked."""
        if self.evidence is None:
            return self.credential is not None
        return self.evidence.includes(Level.LOGIN)


def overall(clusters: Iterable[Verdict | None]) -> Verdict:
    """Return the verdict over clusters; one that could not be judged (None) is unknown."""
    found = set(clusters)
    if Verdict.NOT_SAFE in found:
        return Verdict.NOT_SAFE
    return Verdict.SAFE if found == {Verdict.SAFE} else Verdict.UNKNOWN
