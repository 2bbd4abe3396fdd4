"""A Secret of ours whose content another tool has taken over."""

import base64

from tests.e2e.fleet import Space, docker_config
from tests.e2e.service import Service


def test_content_that_another_tool_owns_is_reported_soon_and_taken_over_only_when_asked(
    service: Service, space: Space
):
    name = space.namespace("n")
    assert service.remediate(clusters=["alpha"], namespaces=[name]).status == "succeeded"
    data = {".dockerconfigjson": base64.b64encode(b'{"auths":{}}').decode()}
    space.clusters[0].http.patch(
        f"/api/v1/namespaces/{name}/secrets/docker",
        params={"fieldManager": "kubectl-edit"},
        headers={"Content-Type": "application/merge-patch+json"},
        json={"data": data},
    ).raise_for_status()

    refused = service.remediate(clusters=["alpha"], namespaces=[name])
    replaced = service.remediate(clusters=["alpha"], namespaces=[name], on_conflict="replace")

    assert refused.row(name)["error"]["code"] == "secret_conflict"
    assert "replace" in refused.row(name)["error"]["hint"]
    assert refused.row(name)["attempts"] == 0  # the plan says so already
    assert replaced.row(name)["outcome"] == "changed"
    assert space.content(name) == docker_config()
