"""Who may change a pod before it is stored, reduced to what can be said of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from remediation.readiness.restart import selector_of

_SECRETS = re.compile(r"imagePullSecrets|serviceAccount")
_IMAGE = re.compile(r"(?<![A-Za-z])image(?![A-Za-z])")
_FROM_ELSEWHERE = re.compile(r"\bparams\b|\bnamespaceObject\b|\bannotations\b|\blabels\b")

Selector = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rewriter:
    """A MutatingAdmissionPolicy that is bound, or a MutatingWebhookConfiguration: what may change pods.

    `named` are its texts in which a registry may stand, `changes` those that say what it changes. It applies where all
    namespace selectors of one of `scopes` match. `pods` tells whether it gets pods to see.
    """

    kind: str
    name: str
    named: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    scopes: tuple[tuple[Selector, ...], ...] = field(default=((),), hash=False)
    pods: bool = True

    @property
    def sets_secrets(self) -> bool:
        """Whether it writes into a pod's list of Secrets, or changes whose list it gets."""
        return self.pods and any(_SECRETS.search(text) for text in self.changes)

    @property
    def takes_images(self) -> bool:
        """Whether it writes images that stand in other objects, such as its parameters."""
        return any(_IMAGE.search(text) for text in self.changes) and any(
            _FROM_ELSEWHERE.search(text) for text in self.changes
        )

    def applies(self, labels: Mapping[str, str]) -> bool:
        """Tell whether it applies to a namespace with these labels; a selector that cannot be read may."""
        return any(all(_selects(one, labels) for one in scope) for scope in self.scopes)


def _selects(selector: Selector, labels: Mapping[str, str]) -> bool:
    try:
        found = selector_of(selector)
    except (KeyError, ValueError):
        return True
    return found is not None and found.matches(labels)
