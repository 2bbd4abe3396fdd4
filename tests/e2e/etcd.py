"""What stands in a cluster's etcd, spoilt behind the API server's back as a lost encryption key spoils it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx

from controlplane.cluster import Cluster
from tests.e2e.service import until

# As a provider writes it whose key the API server does not have (any more).
_ENCRYPTED = b"k8s:enc:aescbc:v1:lost:" + bytes(range(64))


@contextmanager
def undecryptable(cluster: Cluster, *places: str) -> Iterator[None]:
    """Make objects unreadable, such as `secrets/team/broken`, and put back what was there."""
    before = {place: _get(cluster, place) for place in places}
    for place in places:
        _put(cluster, place, _ENCRYPTED)
    try:
        for kind in _kinds(places):
            until(partial(_is_spoilt, cluster, kind), f"spoilt {kind}")
        yield
    finally:
        for place, value in before.items():
            if value is None:
                _ask(cluster, "deleterange", key=_key(place))
            else:
                _put(cluster, place, value)
        for kind in _kinds(places):
            until(partial(_is_readable, cluster, kind), f"readable {kind}")


def compact(cluster: Cluster) -> None:
    """Have etcd forget all but what stands there now: lists that began before run out."""
    revision = _ask(cluster, "range", key=_text(b"/"))["header"]["revision"]
    _ask(cluster, "compaction", path="/v3/kv/compaction", revision=revision)


def _kinds(places: tuple[str, ...]) -> set[str]:
    return {place.partition("/")[0] for place in places}


def _is_spoilt(cluster: Cluster, kind: str) -> bool:
    """Tell whether the list fails: an API server whose cache cannot be filled says 429, or 500 after 3 s of waiting."""
    try:
        return cluster.http.get(_path(kind), timeout=1).status_code in (429, 500)
    except httpx.ReadTimeout:
        return True


def _is_readable(cluster: Cluster, kind: str) -> bool:
    return cluster.http.get(_path(kind)).status_code == 200


def _path(kind: str) -> str:
    return f"/apis/apps/v1/{kind}" if kind == "deployments" else f"/api/v1/{kind}"


def _get(cluster: Cluster, place: str) -> bytes | None:
    found = _ask(cluster, "range", key=_key(place)).get("kvs")
    return base64.b64decode(found[0]["value"]) if found else None


def _put(cluster: Cluster, place: str, value: bytes) -> None:
    _ask(cluster, "put", key=_key(place), value=_text(value))


def _key(place: str) -> str:
    return _text(f"/registry/{place}".encode())


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _ask(cluster: Cluster, verb: str, *, path: str = "", **body: Any) -> dict[str, Any]:
    transport = httpx.HTTPTransport(uds=str(cluster.directory / "etcd:0"))
    with httpx.Client(transport=transport, base_url="http://etcd") as client:
        answer = client.post(path or f"/v3/kv/{verb}", json=body)
        return dict(answer.raise_for_status().json())
