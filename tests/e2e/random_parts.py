"""Random Secrets, references and pods, of every kind that clusters are known to hold. Same Random, same parts."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from controlplane.image import Image, push_all, tiny_image
from controlplane.pull import Login

Manifest = dict[str, Any]

DOCKERCONFIGJSON = "kubernetes.io/dockerconfigjson"
DOCKERCFG = "kubernetes.io/dockercfg"
# Siblings by prefix, by path segment and by depth: a key for one may or may not be for another.
REPOSITORIES = ("team/app", "team/web", "teamwork/app", "team/deep/inside/app", "solo")
TAGS = ("1", "latest")
OPERAND = ("operands/one", "1")
_ELSEWHERE = ("nginx", "registry.example.com/team/app:1", "127.0.0.1:1/team/app:1")
# "docker" is the name that remediations write; the last one is named and never made.
SECRET_NAMES = ("docker", "team", "legacy", "mirror")
DANGLING = "gone"


@dataclass(frozen=True, slots=True)
class Ground:
    """The registry under the clusters: who is let in after the flip, who is not, what it holds."""

    host: str
    right: tuple[Login, ...]
    wrong: Login
    digests: Mapping[tuple[str, str], str] = field(repr=False)

    @classmethod
    def push(
        cls,
        host: str,
        right: Sequence[Login],
        wrong: Login,
        made_by: Callable[[str], Image] = tiny_image,
    ) -> Ground:
        """Push every image that random pods name; the registry must still be open."""
        pairs = [(name, tag) for name in REPOSITORIES for tag in TAGS]
        pushed = push_all(host, [*pairs, OPERAND], made_by=made_by)
        digests = {pair: pushed[pair].digest for pair in pairs}
        return cls(host, tuple(right), wrong, digests)

    @property
    def operand(self) -> str:
        """An image of the registry that nothing else names."""
        return f"{self.host}/{OPERAND[0]}:{OPERAND[1]}"

    @property
    def port(self) -> str:
        """The port of the registry."""
        return self.host.rpartition(":")[2]


def auth(login: Login) -> str:
    """Return a login as an `auth` value."""
    return base64.b64encode(f"{login.username}:{login.password}".encode()).decode()


def entry(rng: Random, login: Login) -> Manifest:
    """Return one entry of a Docker configuration in any of its spellings; `auth` wins in all."""
    plain = {"username": login.username, "password": login.password}
    other = {"username": "somebody", "password": "else"}
    return rng.choice(
        [
            {"auth": auth(login)},
            plain,
            plain | {"auth": auth(login), "email": "a@example.com"},
            other | {"auth": auth(login)},
            {"AUTH": auth(login)},
            # Without its padding, and over two lines.
            {"auth": auth(login).rstrip("=")},
            {"auth": auth(login)[:5] + "\n" + auth(login)[5:]},
        ]
    )


def key(rng: Random, ground: Ground) -> str:
    """Return a registry key: mostly one that is for images of the registry, or for some of them."""
    host, port = ground.host, ground.port
    fitting = [host, f"http://{host}", f"https://{host}/v1/", f"{host}/v2/", f"127.0.*.1:{port}"]
    partial = [f"{host}/{name}" for name in ("team", "team/", "team/app", "te", "solo", "other/")]
    useless = ["127.0.0.1", f"127.0.0.1:1{port}", f"{host}/*", f"*:{port}", f" {host}", "docker.io"]
    useless += [f"https://{host}/v2", f"{host}/team/app:1", "mirror.example.com", ""]
    useless += ["https://registry.%ff.example.com"]
    return rng.choice(rng.choices([fitting, partial, useless], [5, 3, 2])[0])


def auths(rng: Random, ground: Ground) -> Manifest:
    """Return readable registry entries: right and wrong logins under keys of all sorts."""
    logins = [*ground.right, ground.wrong]
    weights = [4.0 / len(ground.right)] * len(ground.right) + [1.5]
    return {
        key(rng, ground): entry(rng, rng.choices(logins, weights)[0])
        for _ in range(rng.choices([1, 2, 3], [6, 3, 1])[0])
    }


def useless_entry(rng: Random) -> Manifest | None:
    """Return an entry that can be read and holds no login."""
    empty = Login("", "")
    return rng.choice([{}, None, {"identitytoken": "t"}, {"auth": auth(empty)}, {"auth": ""}])


def poison(rng: Random) -> Any:
    """Return an entry that keeps the kubelet from reading the whole Secret."""
    no_colon = base64.b64encode(b"no-colon").decode()
    return rng.choice([{"auth": "%%%"}, {"auth": no_colon}, {"auth": 7}, {"username": []}, "text"])


def unsendable(ground: Ground) -> Manifest:
    """Return a login that is not UTF-8: readable, but it cannot go to the container runtime."""
    return {ground.host: {"auth": base64.b64encode(b"robot:\xff\xfe").decode()}}


def _modern(content: Any, *, kind: str = DOCKERCONFIGJSON) -> Manifest:
    return {"type": kind, "data": {".dockerconfigjson": _encoded(content)}}


def _legacy(content: Any, *, kind: str = DOCKERCFG) -> Manifest:
    return {"type": kind, "data": {".dockercfg": _encoded(content)}}


def _encoded(content: Any) -> str:
    return base64.b64encode(json.dumps(content).encode()).decode()


# What a Secret is by name, with how often it comes.
SECRETS: Mapping[str, tuple[int, Callable[[Random, Ground], Manifest]]] = {
    "modern": (12, lambda rng, on: _modern({"auths": auths(rng, on)})),
    "right": (6, lambda rng, on: _modern({"auths": {on.host: entry(rng, on.right[0])}})),
    "wrong": (2, lambda rng, on: _modern({"auths": {on.host: entry(rng, on.wrong)}})),
    "legacy": (3, lambda rng, on: _legacy(auths(rng, on))),
    "odd spelling": (1, lambda rng, on: _modern({"AUTHS": auths(rng, on), "credsStore": "x"})),
    "useless": (1, lambda rng, on: _modern({"auths": {on.host: useless_entry(rng)}})),
    "empty": (1, lambda rng, on: _modern(rng.choice([{}, {"auths": {}}, {"auths": None}]))),
    "unsendable": (1, lambda rng, on: _modern({"auths": unsendable(on)})),
    "poisoned": (2, lambda rng, on: _modern({"auths": auths(rng, on) | {"x.io": poison(rng)}})),
    "poisoned list": (1, lambda rng, on: _modern({"auths": [auths(rng, on)]})),
    "poisoned legacy": (1, lambda rng, on: _legacy(auths(rng, on) | {"x.io": poison(rng)})),
    "wrong type": (2, lambda rng, on: _modern({"auths": auths(rng, on)}, kind="Opaque")),
    "crossed": (1, lambda rng, on: _legacy({"auths": auths(rng, on)})),
}


def secret(rng: Random, ground: Ground, name: str, chosen: str = "") -> tuple[str, Manifest]:
    """Return what kind of Secret it is, and its type and data; `docker` is mostly as we write it."""
    names = list(SECRETS)
    if not chosen:
        [chosen] = rng.choices(names, [SECRETS[one][0] for one in names])
        if name == "docker" and rng.random() < 0.6:
            chosen = "right"
    body = SECRETS[chosen][1](rng, ground)
    return chosen, body | ({"immutable": True} if rng.random() < 0.1 else {})


def references(rng: Random, *, tidy: bool = False) -> list[Manifest] | None:
    """Return an imagePullSecrets list: none, empty, blank, duplicate, dangling, or one or more names; `tidy`, ours."""
    docker: Manifest = {"name": "docker"}
    if tidy:
        return rng.choices([None, [docker]], [1, 4])[0]
    dangling: Manifest = {"name": DANGLING}
    blank: Manifest = rng.choice([{}, {"name": ""}])
    some: list[Manifest] = [{"name": name} for name in rng.sample(SECRET_NAMES, rng.randint(1, 3))]
    lists: list[list[Manifest] | None] = [
        *(None, None, [], *[[docker]] * 5, some, some),
        *(
            [blank],
            [blank, docker],
            [blank, *some],
            [*some, docker],
            [dangling],
            [dangling, docker],
        ),
    ]
    return rng.choice(lists)


def image(rng: Random, ground: Ground) -> str:
    """Return an image reference: mostly of the registry, in any form, and always one that exists there."""
    if rng.random() < 0.12:
        return rng.choice(_ELSEWHERE)
    (name, tag), digest = rng.choice(list(ground.digests.items()))
    forms = [f":{tag}", f":{tag}", f"@{digest}", f":{tag}@{digest}", f":nowhere@{digest}"]
    return f"{ground.host}/{name}{rng.choice([*forms, ''])}"  # without a tag it is `latest`


def pod_spec(
    rng: Random, ground: Ground, accounts: Sequence[str], *, tidy: bool = False
) -> Manifest:
    """Return a pod's spec: containers of all kinds, a ServiceAccount, its own references or none."""
    spec: Manifest = {"containers": [_container(rng, ground, "app")]}
    if rng.random() < 0.25:
        spec["containers"].append(_container(rng, ground, "helper"))
    if rng.random() < 0.25:
        spec["initContainers"] = [_container(rng, ground, "first")]
    if rng.random() < 0.15:
        sidecar = _container(rng, ground, "sidecar") | {"restartPolicy": "Always"}
        spec.setdefault("initContainers", []).append(sidecar)
    if rng.random() < 0.1:
        reference = {"reference": image(rng, ground), "pullPolicy": "Always"}
        spec["volumes"] = [{"name": "model", "image": reference}]
    if rng.random() < 0.6:
        spec["serviceAccountName"] = rng.choice(accounts)
    if rng.random() < 0.4 and (own := references(rng, tidy=tidy)) is not None:
        spec["imagePullSecrets"] = own
    return spec


def _container(rng: Random, ground: Ground, name: str) -> Manifest:
    container = {"name": name, "image": image(rng, ground)}
    policy = rng.choice([None, "Always", "IfNotPresent", "Never"])
    return container | ({"imagePullPolicy": policy} if policy else {})
