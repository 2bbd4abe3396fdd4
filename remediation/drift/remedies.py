"""What to change where, so that our entry or login stays: the exact lines."""

from collections.abc import Sequence

from remediation.drift.prediction import OPENSHIFT
from remediation.drift.signals import ARGO


def listing(names: Sequence[str]) -> str:
    """Return the lines of a manifest that name these Secrets, in order."""
    entries = [f"- name: {name}" if name else "- {}" for name in names]
    return "\n".join(["imagePullSecrets:", *entries])


def account_remedy(by: str, namespace: str, account: str, names: Sequence[str]) -> str:
    """Return what to do about a tool that writes a ServiceAccount's list again; `names` is the list as it has to be."""
    if by.startswith(OPENSHIFT):
        return "check again in a minute; if the entry is gone by then, update OpenShift (OCPBUGS-33815)"
    lines = listing(names)
    if by == ARGO or by.startswith("argocd"):
        ignored = _ignored("ServiceAccount", namespace, account, "/imagePullSecrets")
        return (
            f"in the manifest of ServiceAccount {account} in Git, set:\n{lines}\nand sync. Or have Argo CD keep the"
            f" live list: add to the Application's spec, and sync:\n{ignored}"
        )
    return (
        f"in the manifest, chart or operator from which {by} writes ServiceAccount {account}, set:\n{lines}\n"
        "and apply it"
    )


def secret_remedy(by: str, namespace: str, secret: str) -> str:
    """Return what to do about a tool that writes a Secret's content again."""
    other = "or use a Secret of another name (--secret-name)"
    if by == ARGO or by.startswith("argocd"):
        ignored = _ignored("Secret", namespace, secret, "/data")
        return (
            f"add the registry's login to Secret {secret} in Git, and sync; {other}; or have Argo CD keep the live"
            f" content: add to the Application's spec, and sync:\n{ignored}"
        )
    return f"add the registry's login to what {by} makes Secret {secret} from, {other}"


def _ignored(kind: str, namespace: str, name: str, pointer: str) -> str:
    return "\n".join(
        (
            "ignoreDifferences:",
            f"- kind: {kind}",
            f"  name: {name}",
            f"  namespace: {namespace}",
            "  jsonPointers:",
            f"  - {pointer}",
            "syncPolicy:",
            "  syncOptions:",
            "  - RespectIgnoreDifferences=true",
        )
    )
