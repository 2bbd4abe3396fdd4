"""Copies of pods for a real node: what there is to pull, and programs that do nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Manifest = Mapping[str, Any]

# See go/containerd/cmd/pause.
_DONE = {"command": ["/program", "done"]}


@dataclass(frozen=True, slots=True)
class Asked:
    """Whether a pod, one of many, can have one of its images."""

    number: int
    pod: Manifest
    image: str


@dataclass(frozen=True, slots=True)
class Copy:
    """A pod to be, the number and namespace of the one it is of, and the images that it shows something of."""

    number: int
    namespace: str
    body: dict[str, Any]
    images: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name, unique in its namespace."""
        return str(self.body["metadata"]["name"])


def whole(asked: Sequence[Asked], node: str, resting: str) -> list[Copy]:
    """Return a copy of each pod with all its containers of those images. Pods of one image are left to `single`."""
    by_pod: dict[int, list[Asked]] = {}
    for one in asked:
        by_pod.setdefault(one.number, []).append(one)
    found = []
    for number, ours in by_pod.items():
        pod, images = ours[0].pod, [one.image for one in ours]
        first = [_like(one, _done(one)) for one in _of(pod, images, "initContainers")]
        then = [_like(one, {}) for one in _of(pod, images, "containers", "ephemeralContainers")]
        if then and len(first) + len(then) > 1:
            body = _pod(pod, f"whole-{number}", node, {"initContainers": first, "containers": then})
            shown = tuple(one["image"] for one in (*first, *then))
            found.append(Copy(number, key(pod)[0], body, shown))
    return found


def single(asked: Sequence[Asked], node: str, resting: str, name: str = "single") -> list[Copy]:
    """Return a pod for each image alone; `resting` is the image of the container where it is a volume.

    `name` begins the pods' names: events of earlier pods stay, and tell of those.
    """
    found = []
    for count, one in enumerate(asked):
        spec: dict[str, Any]
        if list(_of(one.pod, [one.image], "initContainers", "containers", "ephemeralContainers")):
            spec = {"containers": [_like({"image": one.image}, {})]}
        else:
            mount = {"name": "image", "mountPath": "/image"}
            container = {"name": "app", "image": resting, "volumeMounts": [mount]}
            volume = {"reference": one.image, "pullPolicy": "Always"}
            spec = {"containers": [container], "volumes": [{"name": "image", "image": volume}]}
        body = _pod(one.pod, f"{name}-{count}", node, spec)
        found.append(Copy(one.number, key(one.pod)[0], body, (one.image,)))
    return found


def running(pods: Sequence[Manifest], node: str, registry: str) -> list[Copy]:
    """Return a pod for each container of that registry that starts again if killed, with its own pull policy.

    Those with restart rules are left out: which exit they are for is another question.
    """
    found: list[Copy] = []
    for number, pod in enumerate(pods):
        of_pod = pod["spec"].get("restartPolicy", "Always")
        again = [one for one in pod["spec"].get("initContainers") or () if _goes_on(one)]
        again += [
            one
            for one in pod["spec"]["containers"]
            if one.get("restartPolicy", of_pod) != "Never" and not one.get("restartPolicyRules")
        ]
        for container in again:
            image = container["image"]
            if image.startswith(f"{registry}/"):
                policy = container.get("imagePullPolicy", "IfNotPresent")
                spec = {
                    "restartPolicy": "Always",
                    "containers": [{"name": "app", "image": image, "imagePullPolicy": policy}],
                }
                body = _pod(pod, f"running-{number}-{len(found)}", node, spec)
                found.append(Copy(number, key(pod)[0], body, (image,)))
    return found


def _of(pod: Manifest, images: Sequence[str], *kinds: str) -> Iterator[Manifest]:
    for kind in kinds:
        yield from (one for one in pod["spec"].get(kind) or () if one.get("image") in images)


def _like(container: Manifest, more: Mapping[str, Any]) -> dict[str, Any]:
    kept = {
        "name": container.get("name", "app"),
        "image": container["image"],
        "imagePullPolicy": "Always",
    }
    return kept | dict(more)


def _done(container: Manifest) -> dict[str, Any]:
    """Return what an init container runs: a sidecar goes on, others end."""
    return {"restartPolicy": "Always"} if _goes_on(container) else dict(_DONE)


def _goes_on(container: Manifest) -> bool:
    return bool(container.get("restartPolicy") == "Always")


def _pod(pod: Manifest, name: str, node: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    around = {
        "nodeName": node,
        "hostNetwork": True,
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 0,
        "imagePullSecrets": pod["spec"].get("imagePullSecrets") or [],
    }
    return {"metadata": {"name": name}, "spec": around | dict(spec)}


def key(body: Manifest) -> tuple[str, str]:
    """Return the namespace and name of an object."""
    return body["metadata"]["namespace"], body["metadata"]["name"]
