"""What asks a registry itself before a pod may be created, and refuses the pod if it gets no answer."""

import re
from dataclasses import dataclass
from enum import StrEnum

from remediation.readiness.observation import Owner


class Login(StrEnum):
    """With which login it asks."""

    UNKNOWN = "unknown"  # as it is configured elsewhere, or with none
    NAMED = "named"  # its policy names credentials
    OF_PODS = "of pods"  # those that the pod's Secrets hold


@dataclass(frozen=True, slots=True)
class Verifier:
    """A policy of a verifier with the globs of its images, or a webhook of one (no globs, nothing known)."""

    tool: str
    namespace: str
    owner: Owner
    images: tuple[str, ...] = ()
    login: Login = Login.UNKNOWN
    enforces: bool = True

    def matches(self, image: str) -> bool:
        """Tell whether one of its globs may mean an image; an asterisk stands for anything here."""
        bare = image.partition("@")[0]
        untagged = re.sub(r":[^:/]+$", "", bare)
        return any(
            _glob(one).fullmatch(text) for one in self.images for text in (image, bare, untagged)
        )


def _glob(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*+|\?)", pattern)
    return re.compile(
        "".join(".*" if p.startswith("*") else "." if p == "?" else re.escape(p) for p in parts)
    )
