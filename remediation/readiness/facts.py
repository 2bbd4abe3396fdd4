"""What no API shows and an operator declares: node credentials, kubelet settings, and what is accepted until when."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from remediation.image import ImageReference
from remediation.label_selector import LabelSelector
from remediation.patterns import matcher
from remediation.readiness.finding import Finding, FindingClass, Waiver
from remediation.readiness.target import Target

VERIFICATION_POLICIES = (
    "NeverVerify",
    "NeverVerifyPreloadedImages",
    "NeverVerifyAllowlistedImages",
    "AlwaysVerify",
)
_ANY = ("*",)
_VERIFYING = ("NeverVerifyAllowlistedImages", "AlwaysVerify")


@dataclass(frozen=True, slots=True)
class NodeLogin:
    """Nodes hold a login for a registry, by the kubelet (tried after a pod's own) or by the container runtime.

    That of the runtime is used only where the kubelet has none at all.
    """

    target: Target
    nodes: LabelSelector = field(default_factory=LabelSelector)


@dataclass(frozen=True, slots=True)
class EveryNode:
    """Who on every node that is there is declared to hold a login, and whether nodes that come later are meant, too."""

    by: str = ""  # "kubelet", "runtime", or "" for none
    coming: bool = True


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What is declared about the clusters that `names` (names and globs) match."""

    names: tuple[str, ...] = ("*",)
    kubelet_logins: tuple[NodeLogin, ...] = ()
    runtime_logins: tuple[NodeLogin, ...] = ()
    kubelet_verification: str = ""
    always_pull_images: bool = False

    @property
    def verifies(self) -> bool:
        """Tell whether kubelets (1.35 and newer) may ask for credentials for an image that is on the node already."""
        return self.kubelet_verification in _VERIFYING


@dataclass(frozen=True, slots=True)
class WaiverRule:
    """Which findings somebody accepts; each field holds names and globs, `classes` literal classes."""

    waiver: Waiver
    classes: tuple[FindingClass, ...]
    clusters: tuple[str, ...] = ("*",)
    namespaces: tuple[str, ...] = ("*",)
    kinds: tuple[str, ...] = ("*",)
    names: tuple[str, ...] = ("*",)
    images: tuple[str, ...] = ("*",)

    def accepts(self, finding: Finding) -> bool:
        """Tell whether the finding is meant, whether or not the time is over."""
        return finding.finding_class in self.classes and all(
            matcher(patterns)(text)
            for patterns, text in (
                (self.clusters, finding.cluster),
                (self.namespaces, finding.namespace),
                (self.kinds, finding.kind),
                (self.names, finding.name),
                (self.images, finding.image),
            )
        )


@dataclass(frozen=True, slots=True)
class Facts:
    """All declared facts."""

    clusters: tuple[ClusterFacts, ...] = ()
    waivers: tuple[WaiverRule, ...] = ()

    def of(self, cluster: str) -> ClusterFacts:
        """Return what holds for one cluster; what two entries say adds up, the stricter one wins."""
        meant = [facts for facts in self.clusters if matcher(facts.names)(cluster)]
        policies = [facts.kubelet_verification for facts in meant if facts.kubelet_verification]
        return ClusterFacts(
            (cluster,),
            tuple(login for facts in meant for login in facts.kubelet_logins),
            tuple(login for facts in meant for login in facts.runtime_logins),
            max(policies, key=VERIFICATION_POLICIES.index, default=""),
            any(facts.always_pull_images for facts in meant),
        )

    @property
    def told_apart(self) -> frozenset[FindingClass]:
        """The classes of which a waiver means single images or objects: one must not stand for others there."""
        return frozenset(
            found
            for rule in self.waivers
            if (rule.images, rule.names) != (_ANY, _ANY)
            for found in rule.classes
        )

    def waiver_for(self, finding: Finding, now: datetime) -> tuple[Waiver | None, Waiver | None]:
        """Return (the waiver that holds, else the last one that expired)."""
        meant = [rule.waiver for rule in self.waivers if rule.accepts(finding)]
        last = max(meant, key=lambda waiver: waiver.expires_at, default=None)
        if last is None:
            return None, None
        return (last, None) if last.expires_at > now else (None, last)


def has_login(
    logins: tuple[NodeLogin, ...], image: ImageReference, labels: Mapping[str, str]
) -> bool:
    """Tell whether a node with these labels holds a login for the image's registry."""
    return any(login.target.includes(image) and login.nodes.matches(labels) for login in logins)
