"""What is decided about one object, before it becomes a finding."""

from dataclasses import dataclass

from remediation.readiness.coverage import Cover
from remediation.readiness.finding import Coverage, FindingClass, Severity


@dataclass(frozen=True, slots=True)
class Call:
    """A class with its severity and the words for a human; `doubt` for what is not known rather than wrong."""

    finding_class: FindingClass
    severity: Severity
    explanation: str
    fix: str = ""
    doubt: bool = False


def why(cover: Cover) -> str:
    """Say in one clause why the Secrets do, or do not, let an image be pulled."""
    name, detail = cover.secret, cover.detail
    return {
        Coverage.COVERED: f"Secret '{name}' holds the credential",
        Coverage.SHADOWED: f"Secret '{name}' holds the credential, after those of '{detail}' are tried",
        Coverage.POISONED: f"Secret '{name}' {detail}, and with it the kubelet pulls no image at all",
        Coverage.REFUSED: f"Secret '{name}' holds the credential, but the registry refuses it for this repository",
        Coverage.STALE: f"Secret '{name}' holds another login than the credential",
        Coverage.OTHER: f"only Secret '{name}' has a login for it, and that login is not proven, or it"
        " ends by itself within a day",
        Coverage.KEY_MISMATCH: f"no key in the Secrets matches it (the nearest is '{detail}' in '{name}')"
        if detail
        else f"Secret '{name}' has no login at all",
        Coverage.WRONG_TYPE: f"Secret '{name}' is empty or of another type than a docker config",
        Coverage.MISSING: f"Secret '{name}' does not exist",
        Coverage.DELETING: f"Secret '{name}' {detail}, and nothing else that is named covers it",
        Coverage.UNKNOWN_SECRET: f"Secret '{name}' {detail or 'cannot be read by the worker'}",
        Coverage.BLANK_REF: "its imagePullSecrets has only entries without a name, which name nothing and still"
        " keep the"
        " ServiceAccount's from being used",
        Coverage.NO_REFS: "no Secret is named",
        Coverage.NONE: "",
    }[cover.code]
