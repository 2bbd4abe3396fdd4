"""What asks a registry itself before a pod may be created: verifiers of images, by their policies and webhooks."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from remediation.readiness.judge import Judge
from remediation.readiness.observation import Owner
from remediation.readiness.verifier import Login, Verifier
from worker.readiness.wire_meta import strange_group

_SIGSTORE = "clusterimagepolicies.policy.sigstore.dev"
_KYVERNO = ("clusterpolicies.kyverno.io", "policies.kyverno.io")
_KYVERNO_CEL = (
    "imagevalidatingpolicies.policies.kyverno.io",
    "namespacedimagevalidatingpolicies.policies.kyverno.io",
)
_PORTIERIS = (
    "imagepolicies.portieris.cloud.ibm.com",
    "clusterimagepolicies.portieris.cloud.ibm.com",
)
# In the names of webhook configurations and of what they call.
_WEBHOOKS = {
    "connaisseur": "Connaisseur",
    "portieris": "Portieris",
    "policy.sigstore.dev": "The policy-controller of sigstore",
    "ratify": "Ratify",
    "digester-mutating-webhook": "k8s-digester",
    "kube-image-keeper": "kube-image-keeper",
    "vault-secrets-webhook": "vault-secrets-webhook of Bank-Vaults",
}


class Verifiers:
    """Finds policies of verifiers among custom resources while those are listed."""

    def __init__(self, judges: Sequence[Judge]) -> None:
        self._judges = judges

    def look(self, resource: str, items: Sequence[object]) -> None:
        """Look over a page of a list; `resource` is its name with the group."""
        if resource not in (_SIGSTORE, *_KYVERNO, *_KYVERNO_CEL, *_PORTIERIS) and (
            "ratify" not in resource
        ):
            return
        for raw in items:
            if isinstance(raw, msgspec.Raw):
                for verifier in _of_policy(resource, msgspec.json.decode(raw)):
                    for judge in self._judges:
                        judge.add_verifier(verifier)


def of_webhooks(kind: str, configuration: Mapping[str, Any]) -> Iterator[Verifier]:
    """Yield the verifier that a webhook configuration belongs to, as far as its names say it."""
    name = str((configuration.get("metadata") or {}).get("name", ""))
    names = [name]
    for hook in configuration.get("webhooks") or ():
        service = (hook.get("clientConfig") or {}).get("service") or {}
        names += [str(hook.get("name", "")), str(service.get("name", ""))]
    for mark, tool in _WEBHOOKS.items():
        if any(mark in one for one in names):
            yield Verifier(tool, "", Owner(kind, name))
            return


def _of_policy(resource: str, document: Mapping[str, Any]) -> Iterator[Verifier]:
    meta, spec = document.get("metadata") or {}, document.get("spec") or {}
    group = str(document.get("apiVersion", "")).rpartition("/")[0] or resource.partition(".")[2]
    owner = Owner(_KINDS.get(resource, resource), str(meta.get("name", "")), strange_group(group))
    namespace = str(meta.get("namespace", ""))
    if resource == _SIGSTORE:
        images = tuple(str(one.get("glob", "")) for one in spec.get("images") or ())
        enforces = spec.get("mode") != "warn"
        yield Verifier("sigstore", namespace, owner, images, Login.OF_PODS, enforces=enforces)
    elif resource in _KYVERNO:
        yield from _of_kyverno(namespace, owner, spec)
    elif resource in _KYVERNO_CEL:
        matched = spec.get("matchImageReferences") or ()
        images = tuple(str(one.get("glob") or one.get("expression") or "") for one in matched)
        login = Login.NAMED if (spec.get("credentials") or {}) else Login.UNKNOWN
        enforces = "Deny" in (spec.get("validationActions") or ["Deny"])
        yield Verifier("Kyverno", namespace, owner, images, login, enforces=enforces)
    elif resource in _PORTIERIS:
        images = tuple(str(one.get("name", "")) for one in spec.get("repositories") or ())
        yield Verifier("Portieris", namespace, owner, images, Login.OF_PODS)
    else:
        yield Verifier("Ratify", namespace, owner)


def _of_kyverno(namespace: str, owner: Owner, spec: Mapping[str, Any]) -> Iterator[Verifier]:
    of_all = str(spec.get("validationFailureAction", "Audit")).lower()
    for rule in spec.get("rules") or ():
        for check in rule.get("verifyImages") or ():
            images = tuple(
                str(one)
                for one in (*(check.get("imageReferences") or ()), check.get("image"))
                if one
            )
            login = Login.NAMED if check.get("imageRegistryCredentials") else Login.UNKNOWN
            action = str(check.get("failureAction") or of_all).lower()
            # A tag is made a digest while the pod is created, whatever the action is.
            enforces = action == "enforce" or check.get("mutateDigest", True) is not False
            yield Verifier("Kyverno", namespace, owner, images, login, enforces=enforces)


_KINDS = {
    _SIGSTORE: "ClusterImagePolicy",
    _KYVERNO[0]: "ClusterPolicy",
    _KYVERNO[1]: "Policy",
    _KYVERNO_CEL[0]: "ImageValidatingPolicy",
    _KYVERNO_CEL[1]: "NamespacedImageValidatingPolicy",
    _PORTIERIS[0]: "ImagePolicy",
    _PORTIERIS[1]: "ClusterImagePolicy",
}
