"""Who will write a ServiceAccount's list again, read from its metadata."""

from typing import Any

import pytest

from remediation.readiness.drift import Certainty, predict, signals_of
from remediation.readiness.observation import DriftSignals

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
OWNS: dict[str, Any] = {"f:imagePullSecrets": {}}


def managed(manager: str, operation: str = "Apply", fields: Any = OWNS, **more: str) -> Any:
    """Return metadata with one entry of managedFields."""
    entry = {"manager": manager, "operation": operation, "fieldsV1": fields} | more
    return {"managedFields": [entry]}


def annotated(**annotations: str) -> Any:
    """Return metadata with an annotation of kubectl or Argo CD."""
    names = {
        "applied": LAST_APPLIED,
        "tracking": "argocd.argoproj.io/tracking-id",
        "options": "argocd.argoproj.io/sync-options",
    }
    return {"annotations": {names[name]: text for name, text in annotations.items()}}


HELM = {
    "labels": {"app.kubernetes.io/managed-by": "Helm"},
    "annotations": {"meta.helm.sh/release-name": "web"},
}


@pytest.mark.parametrize(
    ("metadata", "certainty", "by"),
    [
        ({}, Certainty.NONE, ""),
        ({"annotations": None, "labels": None, "managedFields": None}, Certainty.NONE, ""),
        (managed("kustomize-controller"), Certainty.CERTAIN, "kustomize-controller"),
        (managed("argocd-controller"), Certainty.CERTAIN, "argocd-controller"),
        (managed("remediator"), Certainty.NONE, ""),
        (managed("kubectl-patch", "Update"), Certainty.NONE, ""),
        (managed("kustomize-controller", fields={"f:metadata": {}}), Certainty.NONE, ""),
        (managed("x", subresource="token"), Certainty.NONE, ""),
        (
            managed("openshift.io/image-registry-pull-secrets_service-account-controller"),
            Certainty.NONE,
            "",
        ),
        (annotated(applied='{"imagePullSecrets": []}'), Certainty.CERTAIN, "kubectl apply"),
        (annotated(applied='{"imagePullSecrets": null}'), Certainty.CERTAIN, "kubectl apply"),
        (annotated(applied='{"metadata": {}}'), Certainty.NONE, ""),
        (annotated(applied="not json"), Certainty.NONE, ""),
        (
            annotated(applied='{"imagePullSecrets": []}', tracking="x"),
            Certainty.CERTAIN,
            "Argo CD",
        ),
        (annotated(applied="{}", tracking="x"), Certainty.NONE, ""),
        (annotated(tracking="x"), Certainty.POSSIBLE, "Argo CD"),
        (
            annotated(applied="{}", tracking="x", options="Prune=false, Replace=true"),
            Certainty.CERTAIN,
            "Argo CD",
        ),
        (
            {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}},
            Certainty.POSSIBLE,
            "Flux",
        ),
        (HELM, Certainty.POSSIBLE, "Helm release web"),
        ({"annotations": HELM["annotations"]}, Certainty.NONE, ""),
        (
            {"ownerReferences": [{"kind": "Kafka", "name": "main", "controller": True}]},
            Certainty.POSSIBLE,
            "Kafka main",
        ),
        ({"ownerReferences": [{"kind": "Kafka", "name": "main"}]}, Certainty.NONE, ""),
    ],
    ids=str,
)
def test_drift_is_seen_in_advance(metadata: Any, certainty: Certainty, by: str) -> None:
    found = predict(signals_of(metadata))

    assert (found.certainty, found.by) == (certainty, by)
    assert bool(found.remedy) is (certainty is not Certainty.NONE)


def test_who_did_it_before_will_do_it_again() -> None:
    found = predict(DriftSignals(reverted_by="helm"))

    assert (found.certainty, found.by) == (Certainty.CERTAIN, "helm")
