"""Who stands behind a field manager: a person, or a tool that writes the same again."""

from remediation.drift.signals import ARGO, Signals

# People, and what copies tokens: they do not write again by themselves.
_HANDS = (
    "kubectl",
    "oc",
    "kube-controller-manager",
    "Mozilla",
    "k9s",
    "Lens",
    "before-first-apply",
)


def by_hand(manager: str) -> bool:
    """Tell whether a manager is a person at work, rather than a tool that writes the same again."""
    repeats = manager == "kubectl-client-side-apply"
    return not repeats and any(manager == hand or manager.startswith(f"{hand}-") for hand in _HANDS)


def applied_since(signals: Signals, tool: str) -> bool:
    """Tell whether the same tool has moved on to server-side apply, and what stands there is its value."""
    return any(speaks_for(manager, tool) for manager in signals.applied_by)


def speaks_for(manager: str, tool: str) -> bool:
    """Tell whether a field manager is a tool's."""
    prefixes = {
        ARGO: ("argocd",),
        "kubectl apply": ("kubectl",),
        "Flux": ("kustomize-controller", "helm-controller", "flux"),
        "Config Sync": ("configsync",),
        "kubectl apply --applyset": ("kubectl",),
    }
    mine = ("helm",) if tool.startswith("Helm release") else prefixes.get(tool, (tool.lower(),))
    return manager.startswith(mine)
