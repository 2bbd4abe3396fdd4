"""Images of a few hundred bytes, made here and pushed through a registry's HTTP API."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
# A registry waits for the disk: side by side the waits are shared.
_WRITERS = 8


class PushError(Exception):
    """A registry refused a part of an image."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image, or an index of images: its manifest as it is sent, and what has to be there first."""

    manifest: bytes
    media_type: str
    blobs: tuple[bytes, ...] = ()
    children: tuple[Image, ...] = ()

    @property
    def digest(self) -> str:
        """What the registry will call it."""
        return digest(self.manifest)


def digest(content: bytes) -> str:
    """Return the digest of a blob or manifest."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def tiny_image(text: str, *, architecture: str | None = None) -> Image:
    """Return an image whose only file holds `text`: same text, same digest.

    `architecture` is a name as Go has it; without one it is this machine's.
    """
    return _image(_layer("text", text.encode(), 0o644), architecture, {})


def program_image(program: bytes, text: str = "") -> Image:
    """Return an image that runs a static program of this machine's kind; `text` makes it another one."""
    return _image(
        _layer("program", program, 0o755),
        None,
        {"Entrypoint": ["/program"], "Labels": {"text": text}},
    )


def _image(layer: bytes, architecture: str | None, settings: dict[str, Any]) -> Image:
    packed = gzip.compress(layer, mtime=0)
    rootfs = {"type": "layers", "diff_ids": [digest(layer)]}
    config = _json(_platform(architecture) | {"config": settings, "rootfs": rootfs})
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _descriptor(_CONFIG_TYPE, config),
        "layers": [_descriptor(_LAYER_TYPE, packed)],
    }
    return Image(_json(manifest), MANIFEST_TYPE, (config, packed))


def index_of(text: str) -> Image:
    """Return an index of two images: another machine's, then this one's, which holds `text`."""
    children = {"s390x": tiny_image("not for here", architecture="s390x"), None: tiny_image(text)}
    entries = [
        _descriptor(child.media_type, child.manifest) | {"platform": _platform(architecture)}
        for architecture, child in children.items()
    ]
    manifest = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries}
    return Image(_json(manifest), INDEX_TYPE, children=tuple(children.values()))


def push(client: httpx.Client, repository: str, reference: str, image: Image) -> None:
    """Push an image under a tag or its own digest; `client` has the registry as its base URL.

    Raises PushError, and httpx.TransportError.
    """
    for blob in image.blobs:
        opened = _accepted(client.post(f"/v2/{repository}/blobs/uploads/"), 202)
        place = httpx.URL(opened.headers["Location"])
        _accepted(
            client.put(
                place.copy_merge_params({"digest": digest(blob)}),
                content=blob,
                headers={"Content-Type": "application/octet-stream"},
            ),
            201,
        )
    for child in image.children:
        push(client, repository, child.digest, child)
    _accepted(
        client.put(
            f"/v2/{repository}/manifests/{reference}",
            content=image.manifest,
            headers={"Content-Type": image.media_type},
        ),
        201,
    )


def push_all(
    host: str,
    references: Iterable[tuple[str, str]],
    *,
    login: tuple[str, str] | None = None,
    made_by: Callable[[str], Image] = tiny_image,
) -> dict[tuple[str, str], Image]:
    """Push an image of its own to each (repository, tag) of a registry without TLS.

    `made_by` makes one of a text. Returns them by (repository, tag). Raises PushError, and httpx.TransportError.
    """
    images = {pair: made_by(f"{pair[0]}:{pair[1]}") for pair in references}
    with (
        httpx.Client(base_url=f"http://{host}", auth=login, timeout=60, trust_env=False) as client,
        ThreadPoolExecutor(_WRITERS) as pool,
    ):
        pushing = [pool.submit(push, client, *pair, image) for pair, image in images.items()]
        for one in pushing:
            one.result()
    return images


def _layer(name: str, content: bytes, mode: int) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), mode
        archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _platform(architecture: str | None) -> dict[str, Any]:
    machine = platform.machine().lower()
    return {"architecture": architecture or _ARCHITECTURES.get(machine, machine), "os": "linux"}


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(content), "size": len(content)}


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _accepted(answer: httpx.Response, status: int) -> httpx.Response:
    if answer.status_code != status:
        request = f"{answer.request.method} {answer.request.url.path}"
        raise PushError(f"{request}: {answer.status_code} {answer.text[:300]}")
    return answer
