"""What makes the content of a Secret again and again: synchronizers, sealed and mirrored Secrets, releases.

A pull Secret is its content, so that each of these writes the content whenever it writes the Secret at all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_SYNCHRONIZERS = (
    "ExternalSecret",
    "SealedSecret",
    "VaultStaticSecret",
    "VaultDynamicSecret",
    "VaultSecret",
    "HCPVaultSecretsApp",
    "OnePasswordItem",
    "InfisicalSecret",
    "BitwardenSecret",
    "AzureKeyVaultSecret",
    "SopsSecret",
    "ClusterSecret",
    "ImagePullSecret",
)
_REFLECTS = "reflector.v1.k8s.emberstack.com/reflects"

# Labels and annotations of what copies a Secret, or fills it from a store.
_MARKS = {
    "hnc.x-k8s.io/inherited-from": "HNC",
    "generate.kyverno.io/policy-name": "Kyverno policy",
    "generate.kyverno.io/clone-source": "Kyverno",
    "replicator.v1.mittwald.de/replicated-from-version": "kubernetes-replicator",
    "kubed.appscode.com/origin": "config-syncer",
    "kubed.appscode.com/origin.name": "config-syncer",
    "clustersecret.io/created-by": "ClusterSecret",
    "secrets-store.csi.k8s.io/managed": "secrets-store-csi-driver",
    "secrets.doppler.com/version": "Doppler",
    "secrets.infisical.com/version": "Infisical",
    "operator.1password.io/item-path": "1Password",
    "management.cattle.io/project-scoped-secret-copy": "Rancher project",
}
_PATCHER = "imagepullsecret-patcher"
_VAULT_OWNER = "secrets.hashicorp.com/vso-ownerRefUID"


@dataclass(frozen=True, slots=True)
class Reference:
    """An owner reference of an object."""

    kind: str
    name: str
    controller: bool = False


def keeper_of(
    labels: Mapping[str, str], annotations: Mapping[str, str], owners: Iterable[Reference]
) -> str:
    """Return what makes a Secret's content, as kind and name where they are known; "" if nothing tells of any."""
    for owner in owners:
        if owner.controller or owner.kind in _SYNCHRONIZERS:
            return f"{owner.kind} {owner.name}"
    if labels.get("reconcile.external-secrets.io/managed") == "true":
        return "ExternalSecret"
    if source := annotations.get(_REFLECTS):
        return f"Reflector, from {source}"
    marks = {**annotations, **labels}
    for key, tool in _MARKS.items():
        if key in marks:
            named = key.endswith(("inherited-from", "policy-name"))
            return f"{tool} {marks[key]}" if named else tool
    if annotations.get("app.kubernetes.io/managed-by") == _PATCHER:
        return _PATCHER
    # A remediation that replaces the Secret writes managed-by, and leaves the others.
    if _VAULT_OWNER in labels or "vault-secrets-operator" in (
        labels.get("app.kubernetes.io/name"),
        labels.get("app.kubernetes.io/managed-by"),
    ):
        return "vault-secrets-operator"
    if release := annotations.get("meta.helm.sh/release-name"):
        return f"Helm release {release}"
    return ""
