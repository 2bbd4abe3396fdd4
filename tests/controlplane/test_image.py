"""Tiny images in the real registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from controlplane.image import (
    INDEX_TYPE,
    MANIFEST_TYPE,
    PushError,
    index_of,
    push,
    push_all,
    tiny_image,
)
from controlplane.registry import Registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry.start(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def client(registry: Registry) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{registry.host}", trust_env=False) as opened:
        yield opened


def test_the_same_text_is_the_same_image() -> None:
    assert tiny_image("one").digest == tiny_image("one").digest
    assert tiny_image("one").digest != tiny_image("two").digest


def test_a_pushed_image_has_the_digest_that_was_said(client: httpx.Client) -> None:
    image = tiny_image("web")

    push(client, "team/web", "1", image)

    answer = client.head("/v2/team/web/manifests/1", headers={"Accept": MANIFEST_TYPE})
    assert answer.headers["Docker-Content-Digest"] == image.digest


def test_an_index_brings_its_images(client: httpx.Client) -> None:
    index = index_of("everywhere")

    push(client, "team/index", "1", index)

    answer = client.get("/v2/team/index/manifests/1", headers={"Accept": INDEX_TYPE})
    named = [entry["digest"] for entry in answer.json()["manifests"]]
    assert named == [child.digest for child in index.children]


def test_pushes_many_with_an_image_for_each(registry: Registry, client: httpx.Client) -> None:
    references = [(f"many/app-{number}", "1.0") for number in range(20)]

    images = push_all(registry.host, references)

    assert list(images) == references
    found = {
        client.head(f"/v2/{name}/manifests/{tag}", headers={"Accept": MANIFEST_TYPE}).headers[
            "Docker-Content-Digest"
        ]
        for name, tag in references
    }
    assert found == {image.digest for image in images.values()}
    assert len(found) == 20


def test_pushes_with_a_login(tmp_path: Path) -> None:
    with Registry.start(tmp_path, htpasswd={"robot": "made-up"}) as private:
        with pytest.raises(PushError, match="401"):
            push_all(private.host, [("team/app", "1")])

        push_all(private.host, [("team/app", "1")], login=("robot", "made-up"))
