"""Annotations and labels that hint that something else keeps the scale of a workload, or of a namespace.

Tools that put workloads to sleep note on them what to restore, each under a key of its own. So a key counts unless it
is known to say nothing of the kind: a tool that is new is a hint as well.
"""

import re
from collections.abc import Iterator, Mapping

# Domains, with all below them, whose keys say nothing of how many pods will be wanted.
_KNOWN_DOMAINS = (
    "kubernetes.io",  # with batch., deployment., meta. and the like
    "k8s.io",
    "helm.sh",
    "kapp.k14s.io",
    "kustomize.toolkit.fluxcd.io",  # Flux, Argo CD and Rancher: see manifests.py
    "helm.toolkit.fluxcd.io",
    "argocd.argoproj.io",
    "argocd-image-updater.argoproj.io",
    "rollout.argoproj.io",
    "cattle.io",
    "olm.operatorframework.io",
    "operators.coreos.com",
    "app.openshift.io",
    "image.openshift.io",
    "alpha.image.policy.openshift.io",
    "openshift.io",
    "remediator.dev",
    "reloader.stakater.com",
    "keel.sh",
    "prometheus.io",
    "istio.io",
    "linkerd.io",
    "cert-manager.io",
    "vault.hashicorp.com",
    "datadoghq.com",
    "checksum",
)
# These of them do.
_NOT_KNOWN = ("x-k8s.io", "sigs.k8s.io", "idling.alpha.openshift.io", "keda.sh")
_KNOWN_KEYS = frozenset(
    {
        *("app", "k8s-app", "name", "component", "tier", "version", "release", "chart", "heritage"),
        *("role", "environment", "env", "stage", "team", "owner", "project", "product", "service"),
        *("instance", "part-of", "description", "contact", "cost-center", "revision", "commit"),
        *("pod-template-hash", "controller-uid", "controller-revision-hash", "job-name"),
        *("statefulset.kubernetes.io/pod-name", "olm.owner", "olm.owner.namespace"),
        *("olm.owner.kind", "olm.managed", "olm.deployment-spec-hash", "istio-injection"),
    }
)
_WORDS = re.compile(
    r"sleep|wake|awake|hibernat|snooz|paus|suspend|resum|idl(e|ing)|schedul|up-?time|down-?time|replica|scal(e|ing)"
    r"|power|shut-?down|start-?up|(office|working|business|off)-?hours|weekend|queue|kueue",
    re.IGNORECASE,
)
_NO_NUMBER = re.compile(
    r"[a-z][a-z0-9+.-]*://\S*|(sha256:)?[0-9a-f]{32,}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    re.IGNORECASE,
)
_STATES = frozenset(
    {
        *("true", "false", "yes", "no", "on", "off", "up", "down", "enabled", "disabled"),
        *("active", "inactive", "running", "stopped", "null", "none"),
    }
)
_TIME = re.compile(
    r"\b\d{1,2}:\d{2}\b|(?:[\d*/,-]+\s+){4}[\w*/,-]+|\b(?:mon|tue|wed|thu|fri|sat|sun)(?:day)?\b",
    re.IGNORECASE,
)


def hint_of_workload(marks: Mapping[str, str], of_pods: Mapping[str, str]) -> str:
    """Return a key of a workload's labels and annotations that may keep its scale, "" for none.

    `of_pods` are the labels of its template: what a tool notes is not among them, since that would roll it out.
    """
    found = (
        key
        for key, value in _unknown(marks)
        if _WORDS.search(key) or (of_pods.get(key) != value and _may_be_state(value))
    )
    return next(found, "")


def hint_of_namespace(marks: Mapping[str, str]) -> str:
    """Return a key of a namespace's labels and annotations that may be a schedule for what is in it, "" for none.

    How many replicas a workload had does not stand here: numbers, of which namespaces have many, are no hint.
    """
    found = (
        key
        for key, value in _unknown(marks)
        if _WORDS.search(key) or _WORDS.search(value) or _TIME.search(value)
    )
    return next(found, "")


def _unknown(marks: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, value in sorted(marks.items()):
        if not _is_known(key):
            yield key, value


def _is_known(key: str) -> bool:
    domain, slash, _ = key.rpartition("/")
    if not slash:
        return key.lower() in _KNOWN_KEYS
    if key in _KNOWN_KEYS:
        return True
    return _within(domain, _KNOWN_DOMAINS) and not _within(domain, _NOT_KNOWN)


def _within(domain: str, others: tuple[str, ...]) -> bool:
    return any(domain == other or domain.endswith(f".{other}") for other in others)


def _may_be_state(value: str) -> bool:
    """Tell whether a value can be a number, a state or a schedule; plain words cannot."""
    text = value.strip()
    if not text or text.lower() in _STATES or text[0] in "[{":
        return True
    if _NO_NUMBER.fullmatch(text):
        return False
    return any(each.isdigit() for each in text) or bool(_WORDS.search(text))
