"""With which Secrets tools ask the registry by themselves, as far as their objects and annotations say it."""

from collections.abc import Iterator, Mapping
from typing import Any

from remediation.readiness.observation import Asks, By, Mention, Workload
from worker.readiness.traces import Traces
from worker.readiness.wire_meta import WireMeta

_FLUX = ("image.toolkit.fluxcd.io", "source.toolkit.fluxcd.io")
_KUIK = "kuik.enix.io"
_UPDATER = "argocd-image-updater.argoproj.io"
_IMAGE_LIST = f"metadata.annotations[{_UPDATER}/image-list]"
_KEEL = ("keel.sh/policy", "keel.sh/trigger", "keel.sh/pollSchedule", "keel.sh/imagePullSecret")


def asks_of(
    namespace: str, group: str, document: Mapping[str, Any], place: str, text: str
) -> Asks | None:
    """Return what reads a field of a custom resource to ask the registry, None if nothing is known to."""
    spec = document.get("spec")
    spec = spec if isinstance(spec, dict) else {}
    if place == _IMAGE_LIST:
        return _of_updater(document["metadata"]["annotations"], text)
    if group in _FLUX:
        named = spec.get("secretRef")
        secret = _text(named, "name") if isinstance(named, dict) else ""
        account = _text(spec, "serviceAccountName")
        return Asks("Flux", namespace, (secret,) if secret else (), account, "spec.secretRef")
    if group == _KUIK:
        names = spec.get("pullSecretNames")
        secrets = tuple(map(str, names)) if isinstance(names, list) else ()
        where = _text(spec, "pullSecretsNamespace")
        return Asks("kube-image-keeper", where or namespace, secrets)
    if group == _UPDATER:
        return Asks("Argo CD Image Updater", namespace)
    return None


def polls(workload: Workload, meta: WireMeta, traces: Traces) -> Iterator[Mention]:
    """Yield the images that keel asks the registry for, by the labels and annotations of a workload."""
    policy, trigger, schedule, secret = (_mark(meta, name) for name in _KEEL)
    if not policy or policy == "never" or not (trigger == "poll" or schedule):
        return
    secrets = (secret,) if secret else workload.pull_secrets
    account = "" if secrets else workload.account or "default"
    asks = Asks("keel", workload.namespace, secrets, account, f"the annotation {_KEEL[3]}")
    for image in dict.fromkeys(container.image for container in workload.containers):
        if traces.in_text(image):
            yield Mention(
                workload.namespace,
                workload.kind,
                workload.name,
                "metadata.annotations[keel.sh/policy]",
                image,
                by=By.POLL,
                asks=asks,
            )


def _mark(meta: WireMeta, name: str) -> str:
    return (meta.annotations or {}).get(name) or (meta.labels or {}).get(name) or ""


def _of_updater(annotations: Mapping[str, str], text: str) -> Asks:
    """Return the one Secret that all images of an Application have (`pullsecret:NAMESPACE/NAME`), or none."""
    aliases = [entry.strip().partition("=") for entry in text.split(",") if entry.strip()]
    of_all = annotations.get(f"{_UPDATER}/pull-secret", "")
    named = {
        annotations.get(f"{_UPDATER}/{alias}.pull-secret", of_all) if equals else of_all
        for alias, equals, _ in aliases
    }
    scheme, _, secret = (named.pop() if len(named) == 1 else "").partition(":")
    namespace, slash, name = secret.partition("/")
    secrets = (name,) if scheme == "pullsecret" and slash and "#" not in name else ()
    where = f"the annotation {_UPDATER}/pull-secret"
    return Asks("Argo CD Image Updater", namespace if secrets else "", secrets, named_in=where)


def _text(value: Mapping[str, Any], key: str) -> str:
    found = value.get(key)
    return found if isinstance(found, str) else ""
