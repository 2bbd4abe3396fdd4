"""A caller with a narrow role, from the command that makes its key to the namespaces that it may have changed."""

import re
from collections.abc import Iterator

import httpx
import pytest
import yaml

from tests.e2e.fleet import Space
from tests.e2e.service import Service


@pytest.fixture
def token(service: Service, space: Space) -> Iterator[str]:
    """Return the key of a requester for the namespaces of this test on one cluster."""
    made = service.cli("token", "create", "portal", "--expires-in-days", "1")
    (entry,) = yaml.safe_load(made.stdout)
    found = re.search(r"rmd_\S+", made.stderr)
    assert found
    binding = {
        "subjects": ["client:portal"],
        "role": "requester",
        "clusters": ["alpha"],
        "namespaces": [space.pattern],
        "credentials": ["harbor"],
    }
    file = service.directory / "data" / "access.yaml"
    before = file.read_text()
    access = yaml.safe_load(before)
    access["keys"].append(entry)
    access["bindings"].append(binding)
    file.write_text(yaml.safe_dump(access))
    yield found[0]
    file.write_text(before)


def test_it_does_what_it_may_and_is_told_what_it_may_not(
    service: Service, space: Space, token: str
) -> None:
    namespace = space.namespace("mine")
    other = space.namespace("mine", cluster=1)
    run = ("run", "--credential", "harbor")

    def as_portal(*arguments: str) -> tuple[int, str]:
        ended = service.cli(*arguments, REMEDIATOR_TOKEN=token)
        return ended.returncode, ended.stdout + ended.stderr

    code, said = as_portal(*run, "--clusters", "*", "--namespaces", space.pattern)
    assert (code, "'*'" in said, "'alpha'" in said) == (4, True, True)
    assert as_portal(*run, "--clusters", "alpha")[0] == 4
    assert as_portal(*run, "--clusters", "beta", "--namespaces", space.pattern)[0] == 4
    code, said = as_portal(*run, "--clusters", "alpha", "--namespaces", space.pattern)
    assert code == 0, said

    assert space.pull_secrets(namespace, "default") == ["docker"]
    assert space.pull_secrets(other, "default", cluster=1) == []
    code, said = as_portal("whoami")
    assert code == 0
    assert "client:portal" in said
    assert "requester" in said
    assert space.pattern in said
    code, said = as_portal("clusters", "-o", "name")
    assert said.split() == ["alpha"]


def test_what_others_did_is_seen_in_part_and_cannot_be_undone(
    service: Service, space: Space, token: str
) -> None:
    namespace = space.namespace("theirs")
    theirs = service.remediate(clusters=["*"], namespaces=[f"{space.prefix}*", "default"])
    with httpx.Client(
        base_url=service.http.base_url,
        headers={"Authorization": f"Bearer {token}"},
        timeout=90,
        trust_env=False,
    ) as portal:
        path = f"/remediations/{theirs.body['id']}"
        seen = portal.get(path).json()
        rows = portal.get(f"{path}/results").json()["items"]
        refused = portal.post(f"{path}/undo")

    assert [cluster["name"] for cluster in seen["clusters"]] == ["alpha"]
    assert [(row["cluster"], row["namespace"]) for row in rows] == [("alpha", namespace)]
    assert seen["summary"]["namespaces"]["total"] == 1
    assert refused.status_code == 403
    assert space.pull_secrets(namespace, "default") == ["docker"]
