"""Which custom resources name a workload that wants no pods now: whatever scales it has to say so somewhere.

Not by the names of fields, which each tool has its own of: each text and each name of a field counts. Kinds that are
known to scale nothing are left out, and texts that are known to name something else.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from remediation.drift.signals import ARGO, FLEET, FLUX, KAPP
from remediation.readiness.manifests import writes_as
from remediation.readiness.observation import Owner, Sleeper

Place = tuple[str, str, str]
# Groups, with all below them, whose objects name workloads or their Services and scale none.
_SCALE_NOTHING = (
    "monitoring.coreos.com",
    "monitoring.googleapis.com",
    "operator.victoriametrics.com",
    "networking.istio.io",
    "security.istio.io",
    "telemetry.istio.io",
    "gateway.networking.k8s.io",
    "networking.gke.io",
    "traefik.io",
    "traefik.containo.us",
    "projectcontour.io",
    "route.openshift.io",
    "getambassador.io",
    "policy.linkerd.io",
    "split.smi-spec.io",
    "cilium.io",
    "crd.projectcalico.org",
    "projectcalico.org",
    "cert-manager.io",
    "external-secrets.io",
    "bitnami.com",
    "secrets.hashicorp.com",
    "secrets-store.csi.x-k8s.io",
    "externaldns.k8s.io",
    "autoscaling.k8s.io",  # VerticalPodAutoscalers, which change requests
    "autoscaling.openshift.io",  # of nodes
    "karpenter.sh",
    "cluster.x-k8s.io",
    "metrics.k8s.io",
    "snapshot.storage.k8s.io",
    "wgpolicyk8s.io",
    "openreports.io",
    "reports.kyverno.io",
    "aquasecurity.github.io",
    "spdx.softwarecomposition.kubescape.io",
    "goldilocks.fairwinds.com",
    "kuik.enix.io",
)
# What deploys a workload names it, and its zero is what it wants where it wrote it.
_DEPLOYS = {
    "applications.argoproj.io": ARGO,
    "helm.toolkit.fluxcd.io": FLUX,
    "kustomize.toolkit.fluxcd.io": FLUX,
    "fleet.cattle.io": FLEET,
    "helm.cattle.io": "Helm",
    "kappctrl.k14s.io": KAPP,
}
_SCHEDULES = re.compile(
    r"sleep|wake|hibernat|snooz|downtime|idler|idling|nightshift|office-?hours|(?<!auto)scaler|upscal|downscal"
)
_PARTS = re.compile(r"[\s/:_,;|\"'\[\]{}()=]+")
_LONG = 200  # from here on a text is a document of its own
_OF_WORKLOADS = re.compile(r"deploy|statefulset|replica|cronjob|job|scale|suspend", re.IGNORECASE)
_OF_OTHERS = re.compile(
    r"(?:secret|configmap|serviceaccount|service|claim|host|issuer|ingress|container|port|image|volume|repository"
    r"|branch|path|url|namespace|version)(?:s|name|names|ref)?$",
    re.IGNORECASE,
)
_MOST_PATTERNS = 100
# Labels that something gets, and that select nothing.
_GIVEN_LABELS = ("commonlabels", "extralabels", "additionallabels", "podlabels", "externallabels")
_GIVING = ("", "spec", "metadata", "podmetadata", "template", "podtemplate")
_SCRIPT = re.compile(rb"scale|replicas|suspend", re.IGNORECASE)
_NOT_READ = ("apiVersion", "kind", "metadata")


class Names:
    """The workloads of one judge that want no pods now, by what may name them."""

    def __init__(self, sleepers: Mapping[Place, Sleeper]) -> None:
        self._sleepers = sleepers
        self._by_namespace: dict[str, dict[str, list[Place]]] = {}
        self._by_uid = {sleeper.uid: place for place, sleeper in sleepers.items() if sleeper.uid}
        self._by_label: dict[tuple[str, str, str], set[Place]] = {}
        self._by_text: dict[tuple[str, str], set[Place]] = {}
        for place, sleeper in sleepers.items():
            self._by_namespace.setdefault(place[0], {}).setdefault(place[2], []).append(place)
            for key, value in sleeper.labels.items():
                self._by_label.setdefault((place[0], key, value), set()).add(place)
            for text in sleeper.texts:  # Argo CD may write namespace_name
                self._by_text.setdefault((place[0], text.rpartition("_")[2]), set()).add(place)

    def __bool__(self) -> bool:
        return bool(self._sleepers)

    def named_in(self, me: Owner, namespace: str, document: Mapping[str, Any]) -> Iterator[Place]:
        """Yield what an object names by name, by label or as its owner; `me` is its kind with its group."""
        tool = _DEPLOYS.get(f"{me.kind.lower()}s.{me.group}") or _DEPLOYS.get(me.group)
        said = _Said()
        said.read({key: each for key, each in document.items() if key not in _NOT_READ})
        for reference in (document.get("metadata") or {}).get("ownerReferences") or ():
            if place := self._by_uid.get(reference.get("uid", "")):
                yield place
        namespaces = {namespace, *(said.words.keys() & self._by_namespace.keys())}
        for each in namespaces:
            for place in self._in(each, me, said, deploys=bool(tool)):
                writers = self._sleepers[place].writers
                if not (tool and any(writes_as(tool, manager) for manager in writers)):
                    yield place

    def _in(self, namespace: str, me: Owner, said: "_Said", *, deploys: bool) -> Iterator[Place]:
        names = self._by_namespace.get(namespace, {})
        found = set(names.keys() & said.words.keys())
        found |= {one for one in names if any(fnmatchcase(one, each) for each in said.patterns)}
        for one in found:
            kinds = said.words.get(one) or {""}
            for place in names[one]:
                myself = place[1:] == (me.kind, me.name)
                if not myself and ("" in kinds or place[1] in kinds):
                    yield place
        if deploys:
            yield from self._by_text.get((namespace, me.name), ())
            return
        for wanted in said.labels:
            places = (
                self._by_label.get((namespace, key, value), set()) for key, value in wanted.items()
            )
            yield from set.intersection(*places)


class _Said:
    """What an object says: each word with the kinds that stand beside it, patterns of names, and labels that select."""

    def __init__(self) -> None:
        self.words: dict[str, set[str]] = {}
        self.patterns: set[str] = set()
        self.labels: list[dict[str, str]] = []

    def read(self, document: Mapping[str, Any]) -> None:
        """Take all of a document."""
        waiting: list[tuple[str, str, Any, str]] = [("", "", document, "")]
        while waiting:
            above, key, value, kind = waiting.pop()
            if isinstance(value, dict):
                beside = value.get("kind")
                of = beside if isinstance(beside, str) else ""
                self._select(above, key, value)
                for name, each in value.items():
                    if key.endswith("s"):  # of several things by their names, not of fields
                        self._word(name, "")
                    waiting.append((key, name, each, of if name == "name" else ""))
            elif isinstance(value, list):
                waiting += [(above, key, each, kind) for each in value]
            elif isinstance(value, str) and value:
                self._text(above if key == "name" else key, value, kind)

    def _select(self, above: str, key: str, value: Mapping[str, Any]) -> None:
        plain = key.lower()
        given = plain in _GIVEN_LABELS or (plain == "labels" and above.lower() in _GIVING)
        selects = plain.endswith("labels") or "selector" in plain
        if (
            not given
            and selects
            and value
            and all(isinstance(each, str) for each in value.values())
        ):
            self.labels.append(dict(value))

    def _text(self, key: str, text: str, kind: str) -> None:
        if _OF_OTHERS.search(key):
            # Of where it is something else that is named, the namespace counts.
            if key.lower().endswith(("namespace", "namespaces")):
                self._word(text, "")
            return
        words = [word for word in _PARTS.split(text) if word]
        if len(words) > 1 and not self._names(text, words):
            return
        for word in words:
            self._word(word, kind)

    def _names(self, text: str, words: Collection[str]) -> bool:
        """Tell whether a text of several words can name a workload: no image, address, path or prose does."""
        if len(text) > _LONG or any(len(part.split()) > 1 for part in text.split(",")):
            return bool(_OF_WORKLOADS.search(text))
        return "://" not in text and not any(
            "." in word and not word.endswith((".apps", ".batch")) for word in words
        )

    def _word(self, word: str, kind: str) -> None:
        self.words.setdefault(word, set()).add(kind)
        if "*" in word and word.strip("*") and len(self.patterns) < _MOST_PATTERNS:
            self.patterns.add(word)


class _Container(msgspec.Struct, gc=False):
    command: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))
    args: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))
    env: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))


class _PodSpec(msgspec.Struct, gc=False):
    containers: list[_Container] | None = None
    initContainers: list[_Container] | None = None


class _Template(msgspec.Struct, gc=False):
    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)


def scripts_in(template: msgspec.Raw) -> tuple[bytes, ...]:
    """Return commands, arguments and environments of a pod template that may scale something, as JSON."""
    if not _SCRIPT.search(bytes(template)):  # most do not
        return ()
    spec = _TEMPLATE.decode(template).spec
    parts = (
        bytes(part)
        for each in (*(spec.containers or ()), *(spec.initContainers or ()))
        for part in (each.command, each.args, each.env)
    )
    found = tuple(part for part in parts if part != b"null")
    return found if any(map(_SCRIPT.search, found)) else ()


_TEMPLATE = msgspec.json.Decoder(_Template)


def texts_of(value: object) -> frozenset[str]:
    """Return all texts in a part of a document."""
    found, waiting = set(), [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            found.add(each)
        elif isinstance(each, dict | list):
            waiting += each.values() if isinstance(each, dict) else each
    return frozenset(found)


def scales_nothing(group: str) -> bool:
    """Tell whether objects of a group are known to scale no workload."""
    return any(group == other or group.endswith(f".{other}") for other in _SCALE_NOTHING)


def is_schedule(resource: str) -> bool:
    """Tell whether objects of a kind, by its name, put workloads of a whole namespace to sleep, and wake them."""
    return bool(_SCHEDULES.search(resource.lower()))
