"""In which ways a pod, or a template, names a Secret."""

from typing import Any

import msgspec
import pytest

from worker.wire_pod import WirePod, WirePodSpec
from worker.wire_template import WireNamer

CONTAINER = {"name": "build", "image": "kaniko"}
WAYS: tuple[dict[str, Any], ...] = (
    {"imagePullSecrets": [{}, {"name": "docker"}]},
    {"volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "secret": {"secretName": "docker"}}]},
    {"volumes": [{"projected": {"sources": [{"configMap": {}}, {"secret": {"name": "docker"}}]}}]},
    {
        "containers": [
            CONTAINER
            | {"env": [{"name": "A"}, {"valueFrom": {"secretKeyRef": {"name": "docker"}}}]}
        ]
    },
    {"initContainers": [CONTAINER | {"envFrom": [{}, {"secretRef": {"name": "docker"}}]}]},
)


@pytest.mark.parametrize("spec", WAYS)
def test_a_secret_is_named_to_pull_with_as_a_volume_or_for_variables(spec: dict[str, Any]):
    pod = msgspec.convert(spec, WirePodSpec)
    job = {"metadata": {"name": "x"}, "spec": {"template": {"spec": spec}}}
    cron = {"metadata": {"name": "x"}, "spec": {"jobTemplate": {"spec": job["spec"]}}}

    assert pod.names("docker")
    assert msgspec.convert(job, WireNamer).names("docker")
    assert msgspec.convert(cron, WireNamer).names("docker")
    assert not pod.names("other")


def test_null_lists_name_nothing():
    nothing = dict.fromkeys(("imagePullSecrets", "volumes", "containers", "initContainers"))

    assert not msgspec.convert(nothing, WirePodSpec).names("docker")


@pytest.mark.parametrize(
    ("status", "runtimes"),
    [
        ({"containerStatuses": [{"containerID": "cri-o://0123"}, {}]}, ["cri-o"]),
        ({"containerStatuses": [{"name": "a", "containerID": ""}]}, []),
        ({"containerStatuses": None}, []),
        ({"phase": "Pending"}, []),
        ({"initContainerStatuses": [{"containerID": "cri-o://0123"}]}, ["cri-o"]),
    ],
)
def test_the_ids_of_containers_name_the_runtime(status: dict[str, Any], runtimes: list[str]):
    pod = msgspec.convert({"metadata": {"name": "x"}, "status": status}, WirePod)

    assert list(pod.runtimes()) == runtimes
