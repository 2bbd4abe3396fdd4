"""Who may change a pod before it is stored, reduced to what can be said of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from remediation.readiness.restart import selector_of

WEBHOOKS = "MutatingWebhookConfiguration"
_POLICY = "MutatingAdmissionPolicy"
_SECRETS = re.compile(r"imagePullSecrets|serviceAccount")
_IMAGE = re.compile(r"(?<![A-Za-z])image(?![A-Za-z])")
_FROM_ELSEWHERE = re.compile(r"\bparams\b|\bnamespaceObject\b|\bannotations\b|\blabels\b")

Selector = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rewriter:
    """A MutatingAdmissionPolicy that is bound, a policy of an engine, or a MutatingWebhookConfiguration.

    `named` are its texts in which a registry may stand, `changes` those that say what it changes. It applies where all
    namespace selectors of one of `scopes` match. `pods` tells whether it gets pods to see. `unseen` tells that a dry
    run of a pod need not show what it does: it changes what pods are made of, asks who makes a pod or what only a
    controller gives it, or belongs to a policy engine, whose webhook may be away, skip dry runs or act in the
    background. `namespace` is that of the object, "" for one of the
    cluster.
    """

    kind: str
    name: str
    named: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    scopes: tuple[tuple[Selector, ...], ...] = field(default=((),), hash=False)
    pods: bool = True
    unseen: bool = False
    namespace: str = ""

    @property
    def engine(self) -> bool:
        """Whether it belongs to a policy engine, not to the API server itself."""
        return self.kind not in (_POLICY, WEBHOOKS)

    @property
    def sets_secrets(self) -> bool:
        """Whether it writes into a pod's list of Secrets, or changes whose list it gets."""
        return (self.pods or self.unseen) and any(_SECRETS.search(text) for text in self.changes)

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
