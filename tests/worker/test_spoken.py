"""What pod templates say of the registry besides their images, and where they say it."""

from typing import Any

import pytest

from remediation.readiness.observation import By, Owner
from worker.readiness.spoken import spoken
from worker.readiness.traces import Traces

HOST = "registry.example.com"


def fields(spec: Any, **metadata: Any) -> list[str]:
    """Return the fields in which a template names the registry."""
    template = {"metadata": metadata, "spec": spec}
    found = spoken("team", Owner("Deployment", "web"), template, Traces([HOST]))
    return [mention.field for mention in found]


@pytest.mark.parametrize(
    ("args", "field"),
    [
        (["--image", HOST], "args --image of container a"),
        (["-image", HOST], "args -image of container a"),
        (["-r", HOST], "args -r of container a"),
        (["-phunter2", HOST], "args of container a"),
        (["--password=hunter2", HOST], "args of container a"),
    ],
)
def test_a_flag_is_told_and_no_value(args: list[str], field: str) -> None:
    assert fields({"containers": [{"name": "a", "image": "x", "args": args}]}) == [field]


def test_images_that_are_judged_and_names_of_objects_are_left_out() -> None:
    env = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": HOST, "key": "x"}}}]
    spec = {
        "initContainers": [{"name": "i", "image": f"{HOST}/a"}],
        "containers": [{"name": "a", "image": f"{HOST}/a", "env": env}],
        "volumes": [
            {"name": "v", "image": {"reference": f"{HOST}/a"}},
            {"name": "s", "secret": {"secretName": HOST}},
        ],
        "imagePullSecrets": [{"name": HOST}],
        "serviceAccountName": HOST,
        "nodeName": HOST,
    }

    assert fields(spec) == []


def test_everything_else_of_a_template_is_searched() -> None:
    container = {"name": "a", "lifecycle": {"preStop": {"exec": {"command": [HOST]}}}}
    volumes = [
        {"name": "f", "flexVolume": {"options": {"image": HOST}}},
        {"name": "c", "csi": {"volumeAttributes": {"image": HOST}}},
        {"name": "n", "nfs": {"server": HOST}},
    ]
    spec = {"containers": [container], "volumes": volumes, "hostAliases": [{"hostnames": [HOST]}]}

    assert fields(spec, annotations={"x/image": HOST}, labels={"registry": HOST}) == [
        "metadata.labels[registry] of its pods",
        "metadata.annotations[x/image] of its pods",
        "containers.a.lifecycle.preStop.exec.command[0]",
        "volumes.f.flexVolume.options.image",
        "volumes.c.csi.volumeAttributes.image",
        "volumes.n.nfs.server",
        "hostAliases[0].hostnames[0]",
    ]
    drivers = [
        mention.by
        for mention in spoken("team", Owner("Deployment", "web"), {"spec": spec}, Traces([HOST]))
    ]
    assert drivers.count(By.VOLUME) == 2
