"""Images that hide in texts: places in which they stand, and spellings that are easy to miss."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable
from urllib.parse import quote

from tests.e2e.random_acts import Act, Verb
from tests.e2e.random_parts import Manifest
from tests.e2e.random_state import FOREIGN, Coming, Setting, State, references

_ELSEWHERE = "quay.io/other/app:1"
_SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "scheme": "docker://{}".format,
    "list": "[a|{}|b]".format,
    "default of a shell": "${{IMG:-{}}}".format,
    "escaped newline": "list:\\n{}\\n".format,
    "escaped quote": "\\u0022{}\\u0022".format,
    "percent": lambda image: f"data:,{quote(image, safe='')}",
    "base64": lambda image: base64.b64encode(f"image: {image}".encode()).decode(),
    "base64 twice": lambda image: base64.b64encode(
        base64.b64encode(f"image: {image}".encode())
    ).decode(),
    "wrapped base64": lambda image: base64.encodebytes(
        f"{'x' * 60} image: {image} {'y' * 60}".encode()
    ).decode(),
    "gzip": lambda image: base64.b64encode(gzip.compress(image.encode())).decode(),
}
_NAMES = ("RELATED_IMAGE_X", "OPERAND_PULLSPEC", "PROXY_IMG", "SIDECAR", "CONFIG")


def hidden_image(setting: Setting) -> State:
    """An image that something makes pods with, in a place and a spelling of its own."""
    rng = setting.rng
    image = setting.image()
    spelling = rng.choice(list(_SPELLINGS))
    place = rng.choice(list(_PLACES))
    body, kind = _PLACES[place](setting, _SPELLINGS[spelling](image))
    return _state(setting, f"T {place}, {spelling}", body, kind, image)


def split_image(setting: Setting) -> State:
    """An image whose registry stands in another variable, or in two."""
    rng = setting.rng
    image = setting.image()
    host, _, rest = image.partition("/")
    cut = rng.randint(1, len(host) - 1)
    style = rng.choice(["$({})", "${{{}}}", "${{{}:-x}}"])
    refer = style.format
    env = [{"name": "A", "value": host[:cut]}, {"name": "B", "value": host[cut:]}]
    if rng.random() < 0.5:
        env = [{"name": "A", "value": host}, {"name": "B", "value": ""}]
    text = f"{refer('A')}{refer('B') if env[1]['value'] else ''}/{rest}"
    told: Manifest = {"env": env, "args": [f"--run={text}"]}
    if rng.random() < 0.5:
        told = {"env": [*env, {"name": rng.choice(_NAMES), "value": text}]}
    body = _operator(setting, **told)
    return _state(setting, f"T split over variables, {style}", body, "Deployment", image)


def engine_policy(setting: Setting) -> State:
    """A policy of Kyverno that gives pods another list; there are no pods of it yet."""
    rng = setting.rng
    patch = "- op: replace\n  path: /spec/imagePullSecrets\n  value: [{name: other}]"
    merge = {"spec": {"imagePullSecrets": references((FOREIGN,))}}
    forms: dict[str, Manifest] = {
        "JSON patch": {"patchesJson6902": patch},
        "merge": {"patchStrategicMerge": merge},
        "for each": {"foreach": [{"list": "request.object.spec.x", "patchesJson6902": patch}]},
    }
    form = rng.choice(list(forms))
    match = {"any": [{"resources": {"kinds": ["Pod"], "namespaces": [setting.namespace]}}]}
    spec = {"rules": [{"name": "a", "match": match, "mutate": forms[form]}]}
    policy = {"kind": "Policy", "metadata": setting.metadata("given"), "spec": spec}
    pod = setting.new_pod("under", setting.spec("", FOREIGN))
    return State(
        f"T policy of an engine, {form}",
        setting.namespace,
        before=(setting.docker(), setting.in_line("under"), Act(Verb.CREATE, policy)),
        templates=(setting.workload("CronJob", "under", setting.spec("under")),),
        coming=(Coming(pod, "Policy", "given"),),
    )


def _state(setting: Setting, tag: str, body: Manifest, kind: str, image: str) -> State:
    pod = setting.new_pod("hidden", setting.spec("", FOREIGN, image=image))
    before = (setting.docker(), setting.in_line("hidden"), Act(Verb.CREATE, body))
    coming = (Coming(pod, kind, "hidden", (setting.source(kind, "hidden"),)),)
    return State(tag, setting.namespace, before=before, coming=coming)


def _operator(setting: Setting, **told: object) -> Manifest:
    spec = setting.spec("hidden", image=_ELSEWHERE)
    spec["containers"][0] |= told
    return setting.workload("Deployment", "hidden", spec)


def _variable(setting: Setting, text: str) -> tuple[Manifest, str]:
    env = [{"name": setting.rng.choice(_NAMES), "value": text}]
    return _operator(setting, env=env), "Deployment"


def _argument(setting: Setting, text: str) -> tuple[Manifest, str]:
    args = setting.rng.choice([["--sidecar", text], [f"--runner={text}"], [text]])
    return _operator(setting, args=args), "Deployment"


def _hook(setting: Setting, text: str) -> tuple[Manifest, str]:
    hook = {"postStart": {"exec": {"command": ["pull", text]}}}
    return _operator(setting, lifecycle=hook), "Deployment"


def _annotation(setting: Setting, text: str) -> tuple[Manifest, str]:
    body = setting.workload("CronJob", "hidden", setting.spec("hidden", image=_ELSEWHERE))
    job = body["spec"]["jobTemplate"]
    marks = {"annotations": {"tools.example.com/sidecar": text}}
    where = setting.rng.choice(["template", "Job", "workload"])
    if where == "template":
        job["spec"]["template"]["metadata"] |= marks
    elif where == "Job":
        job["metadata"] = marks
    else:
        body["metadata"] |= marks
    return body, "CronJob"


def _volume(setting: Setting, text: str) -> tuple[Manifest, str]:
    sources: list[Manifest] = [
        {"flexVolume": {"driver": "x/images", "options": {"source": text}}},
        {"csi": {"driver": "images.example.com", "volumeAttributes": {"source": text}}},
    ]
    spec = setting.spec("hidden", image=_ELSEWHERE)
    spec["volumes"] = [{"name": "data"} | setting.rng.choice(sources)]
    return setting.workload("Deployment", "hidden", spec), "Deployment"


def _claim(setting: Setting, text: str) -> tuple[Manifest, str]:
    marks = {"cdi.kubevirt.io/storage.import.endpoint": text}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    kind = "PersistentVolumeClaim"
    metadata = setting.metadata("hidden", annotations=marks)
    return {"kind": kind, "metadata": metadata, "spec": spec}, kind


def _resource(setting: Setting, text: str) -> tuple[Manifest, str]:
    metadata = setting.metadata("hidden")
    if setting.rng.random() < 0.4:
        metadata["annotations"] = {"tools.example.com/image-applied": text}
    spec = {} if "annotations" in metadata else {"source": text}
    return {"kind": "Agent", "metadata": metadata, "spec": {"mode": "x"} | spec}, "Agent"


_PLACES: dict[str, Callable[[Setting, str], tuple[Manifest, str]]] = {
    "variable": _variable,
    "argument": _argument,
    "hook": _hook,
    "annotation": _annotation,
    "volume": _volume,
    "claim": _claim,
    "resource": _resource,
}

TEXTS: tuple[tuple[Callable[[Setting], State], int], ...] = (
    (hidden_image, 5),
    (split_image, 2),
    (engine_policy, 1),
)
