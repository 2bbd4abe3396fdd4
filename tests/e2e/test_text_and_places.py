"""The registry's host in text on a real API server: wherever an image can hide, its namespace is in doubt."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from controlplane.cluster import Cluster
from tests.e2e.custom import kinds, resource
from tests.e2e.fleet import Space
from tests.e2e.readiness import IMAGE, Place, judged
from tests.e2e.service import Service

HOST = "registry.example.com"
OPERAND = f"{HOST}/team/operand:2"
ELSEWHERE = "elsewhere.example.com/app:1"
KINDS = {
    "agents.tools.example.com": "Agent",
    "policies.kyverno.io": "Policy",
    "assigns.mutations.gatekeeper.sh": "Assign",
    "jspolicybundles.policy.jspolicy.com": "JsPolicyBundle",
}
PATCH = "- op: replace\n  path: /spec/imagePullSecrets\n  value: [{name: other}]"
Make = Callable[[Place], Any]


@pytest.fixture(scope="module", autouse=True)
def custom_kinds(clusters: tuple[Cluster, ...]) -> Iterator[None]:
    with kinds(clusters[0], KINDS):
        yield


def said(**container: Any) -> Make:
    """Have a Deployment of another registry whose container is told something."""
    return lambda place: place.workload(
        containers=[{"name": "main", "image": ELSEWHERE} | container]
    )


def env(**values: str) -> Make:
    """Have a Deployment of another registry with these variables."""
    return said(env=[{"name": name, "value": value} for name, value in values.items()])


def meta(kind: str, **metadata: Any) -> Make:
    """Have an object of the namespace, or a CronJob of another registry, with labels or annotations."""

    def make(place: Place) -> None:
        if kind == "Namespace":
            place.patch("/api/v1/namespaces/{}", {"metadata": metadata})
            return
        if kind == "ServiceAccount":
            place.patch("/api/v1/namespaces/{}/serviceaccounts/default", {"metadata": metadata})
            return
        pod = {"containers": [{"name": "a", "image": ELSEWHERE}], "restartPolicy": "Never"}
        template = {"metadata": metadata if kind == "template" else {}, "spec": pod}
        job = {
            "metadata": metadata if kind == "jobTemplate" else {},
            "spec": {"template": template},
        }
        own = metadata if kind == "CronJob" else {}
        path = f"/apis/batch/v1/namespaces/{place.name}/cronjobs"
        spec = {"schedule": "0 0 1 1 *", "jobTemplate": job}
        place.post(path, {"metadata": {"name": "later"} | own, "spec": spec})

    return make


def claim(place: Place) -> None:
    """Have a claim that a controller fills from an image."""
    marks = {"cdi.kubevirt.io/storage.import.endpoint": f"docker://{OPERAND}"}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    path = f"/api/v1/namespaces/{place.name}/persistentvolumeclaims"
    place.post(path, {"metadata": {"name": "vm", "annotations": marks}, "spec": spec})


def claim_template(place: Place) -> None:
    """Have a StatefulSet whose claims a controller fills from an image."""
    marks = {"cdi.kubevirt.io/storage.import.endpoint": f"docker://{OPERAND}"}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claims = [{"metadata": {"name": "vm", "annotations": marks}, "spec": spec}]
    labels = {"app": "vm"}
    pod = {"containers": [{"name": "a", "image": ELSEWHERE}]}
    body = {
        "selector": {"matchLabels": labels},
        "serviceName": "vm",
        "template": {"metadata": {"labels": labels}, "spec": pod},
        "volumeClaimTemplates": claims,
    }
    path = f"/apis/apps/v1/namespaces/{place.name}/statefulsets"
    place.post(path, {"metadata": {"name": "vm"}, "spec": body})


def flex(place: Place) -> None:
    """Have a volume that an old driver fills from an image."""
    options = {"driver": "x/img", "options": {"image": OPERAND}}
    containers = [{"name": "main", "image": ELSEWHERE}]
    place.workload(containers=containers, volumes=[{"name": "v", "flexVolume": options}])


def ephemeral(place: Place) -> None:
    """Have a claim in a pod that a controller fills from an image."""
    marks = {"cdi.kubevirt.io/storage.import.endpoint": f"docker://{OPERAND}"}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    template = {"metadata": {"annotations": marks}, "spec": spec}
    containers = [{"name": "main", "image": ELSEWHERE}]
    volume = {"name": "v", "ephemeral": {"volumeClaimTemplate": template}}
    place.workload(containers=containers, volumes=[volume])


def agent(spec: Any = None, **metadata: Any) -> Make:
    """Have a custom resource."""
    return lambda place: resource(
        place, "agents.tools.example.com", "Agent", "agent", spec or {"size": 1}, metadata=metadata
    )


WRAPPED = base64.encodebytes(("x" * 70 + f" {OPERAND} " + "y" * 90).encode()).decode()
PACKED = base64.b64encode(gzip.compress(OPERAND.encode())).decode()
DOUBTS: dict[str, Make] = {
    "variable of the kubelet": env(REG=HOST, RELATED_IMAGE_O="$(REG)/team/operand:2"),
    "host in two variables": env(A="registry", B="example.com", OPERAND="$(A).$(B)/team/o:1"),
    "variable in an argument": said(
        env=[{"name": "REG", "value": HOST}], args=["--runner=$(REG)/team/runner:1"]
    ),
    "variable of a shell": said(
        command=["sh", "-c", "R=registry.exa; run --with ${R}mple.com/team/x:1"]
    ),
    "default of a shell": said(command=["sh", "-c", f"op ${{IMG:-{OPERAND}}}"]),
    "registry and repository as flags": said(
        args=[f"--image-registry={HOST}", "--image-repository=team/runner"]
    ),
    "registry and repository as variables": env(IMAGE_REGISTRY=HOST, IMAGE_REPOSITORY="team/x"),
    "flag of Java": said(args=[f"-Dimage.registry={HOST}"]),
    "pull spec": env(OPERAND_PULLSPEC=OPERAND),
    "any name": env(SIDECAR=OPERAND),
    "any flag": said(args=["--sidecar", OPERAND]),
    "scheme": env(SOURCE=f"docker://{OPERAND}"),
    "list": env(LIST=f"[a|{OPERAND}|b]"),
    "base64 in a variable": env(CONFIG=base64.b64encode(OPERAND.encode()).decode()),
    "hook of a container": said(lifecycle={"preStop": {"exec": {"command": ["pull", OPERAND]}}}),
    "annotation of a template": meta(
        "template", annotations={"vault.hashicorp.com/agent-image": OPERAND}
    ),
    "annotation of a Job's template": meta("jobTemplate", annotations={"x/image": OPERAND}),
    "annotation of a workload": meta("CronJob", annotations={"x/sidecar": OPERAND}),
    "annotation of a namespace": meta(
        "Namespace", annotations={"config.linkerd.io/proxy-image": f"{HOST}/team/proxy"}
    ),
    "label of a namespace": meta("Namespace", labels={"registry": HOST}),
    "annotation of an account": meta("ServiceAccount", annotations={"x/image": OPERAND}),
    "claim": claim,
    "template of a claim": claim_template,
    "claim of a pod": ephemeral,
    "flexVolume": flex,
    "wrapped base64": agent({"blob": WRAPPED}),
    "gzip": agent({"source": f"data:;base64,{PACKED}"}),
    "percent": agent({"source": f"data:,image%3A%20{HOST}%2Fteam%2Fx%3A1"}),
    "escaped newline": agent({"script": f"list:\\n{OPERAND}\\n"}),
    "variables of a custom resource": agent(
        {
            "env": [{"name": "A", "value": "registry"}, {"name": "B", "value": "example.com"}],
            "image": "$(A).$(B)/team/x:1",
        }
    ),
    "label": agent(labels={"registry": HOST}),
    "annotation that ends in applied": agent(annotations={"x/image-applied": OPERAND}),
}


def test_an_image_is_in_doubt_wherever_it_is_named(service: Service, space: Space) -> None:
    places = {}
    for name, make in DOUBTS.items():
        place = places[name] = (
            Place(Space(space.clusters), ("docker",)).secret().workload(kind="CronJob")
        )
        make(place)

    check = judged(service, namespaces=[place.name for place in places.values()])

    doubted = {row["namespace"] for row in check["findings"] if row["doubt"]}
    assert [name for name, place in places.items() if place.name not in doubted] == []


WELL: dict[str, Make] = {
    "address that is called": env(API=f"https://{HOST}/api/v2.0/projects"),
    "address of the registry": env(REGISTRY_URL=f"https://{HOST}"),
    "no proxy": env(NO_PROXY=f"localhost,.{HOST},{HOST}"),
    "login": said(args=["sh", "-c", f"docker login {HOST} -u robot"]),
    "path of certificates": said(args=["cat", f"/etc/docker/certs.d/{HOST}/ca.crt"]),
    "other host": env(IMAGE=f"mirror-{HOST}/team/x:1", PROXY=f"*.{HOST}/x"),
    "its own image": meta("CronJob", annotations={"x/image": ELSEWHERE}),
    "named object": agent(name=HOST),
}


def test_what_calls_the_registry_is_worth_a_look_at_most(service: Service, space: Space) -> None:
    places = {}
    for name, make in WELL.items():
        place = places[name] = (
            Place(Space(space.clusters), ("docker",)).secret().workload(kind="CronJob")
        )
        make(place)

    check = judged(service, namespaces=[place.name for place in places.values()])

    blocked = {
        row["namespace"]: row["explanation"]
        for row in check["findings"]
        if row["severity"] == "blocking"
    }
    assert {name: blocked[p.name] for name, p in places.items() if p.name in blocked} == {}
    assert check["verdict"] == "safe"


def test_annotations_with_the_workloads_own_image_say_nothing_new(
    service: Service, space: Space
) -> None:
    place = Place(space, ("docker",)).secret().workload()
    path = f"/apis/apps/v1/namespaces/{place.name}/deployments/web"
    copy = place.cluster.http.get(path).text
    marks = {"x/last": IMAGE, "kubectl.kubernetes.io/last-applied-configuration": copy}
    place.patch(path, {"metadata": {"annotations": marks}})

    assert judged(service, namespaces=[place.name])["verdict"] == "safe"


def operator(place: Place) -> Place:
    """Have an operator that makes pods with an image."""
    return place.workload(
        containers=[
            {
                "name": "main",
                "image": ELSEWHERE,
                "env": [{"name": "RELATED_IMAGE_O", "value": OPERAND}],
            }
        ]
    )


def test_pods_of_one_operator_account_for_one_that_is_told_of_their_image(
    service: Service, space: Space
) -> None:
    first = operator(Place(space, ("docker",)).secret())
    owner = {"apiVersion": "db.example.com/v1", "kind": "Db", "name": "db", "uid": "1"}
    first.pod("docker", image=OPERAND, ownerReferences=[owner | {"controller": True}])
    second = operator(Place(Space(space.clusters), ()))

    alone = judged(service, namespaces=[first.name])
    both = judged(service, namespaces=[first.name, second.name])

    assert alone["verdict"] == "safe"
    rows = {row["namespace"]: row for row in both["findings"] if row["class"] == "W_OTHER"}
    assert (rows[first.name]["severity"], rows[second.name]["doubt"]) == ("info", True)
    assert both["verdict"] == "unknown"


def kyverno(**rule: Any) -> Make:
    """Have a policy of Kyverno."""
    match = {"any": [{"resources": {"kinds": ["Pod"]}}]}
    spec = {"rules": [{"name": "a", "match": match} | rule]}
    return lambda place: resource(place, "policies.kyverno.io", "Policy", "p", spec)


def strategic() -> dict[str, Any]:
    """Return a patch that gives pods another list."""
    return {"spec": {"imagePullSecrets": [{"name": "other"}]}}


def assign(place: Place) -> None:
    """Have Gatekeeper write a list."""
    spec = {
        "location": "spec.imagePullSecrets",
        "match": {"namespaces": [place.name]},
        "parameters": {"assign": {"value": [{"name": "other"}]}},
    }
    resource(place, "assigns.mutations.gatekeeper.sh", "Assign", "a", spec)


def bundle(place: Place) -> None:
    """Have a bundle of jsPolicy, whose code is compressed."""
    code = base64.b64encode(gzip.compress(b"object.spec.imagePullSecrets = []; mutate(object)"))
    resource(
        place,
        "jspolicybundles.policy.jspolicy.com",
        "JsPolicyBundle",
        "a",
        {"bundle": code.decode()},
    )


ENGINES: dict[str, Make] = {
    "JSON patch": kyverno(mutate={"patchesJson6902": PATCH}),
    "strategic merge": kyverno(mutate={"patchStrategicMerge": strategic()}),
    "for each": kyverno(
        mutate={"foreach": [{"list": "request.object.x", "patchesJson6902": PATCH}]}
    ),
    "what is there": kyverno(
        mutate={
            "targets": [{"apiVersion": "apps/v1", "kind": "Deployment"}],
            "patchStrategicMerge": strategic(),
        }
    ),
    "account": kyverno(mutate={"patchStrategicMerge": {"spec": {"serviceAccountName": "other"}}}),
    "Gatekeeper": assign,
    "jsPolicy": bundle,
}


def test_a_policy_of_an_engine_that_writes_lists_leaves_its_namespaces_in_doubt(
    service: Service, deep: Service, space: Space
) -> None:
    places = {}
    for name, make in ENGINES.items():
        place = places[name] = Place(Space(space.clusters), ("docker",)).secret().workload()
        make(place)
    well = Place(Space(space.clusters), ("docker",)).secret().workload()
    kyverno(validate={"pattern": strategic()})(well)
    names = [place.name for place in places.values()]

    below = judged(service, namespaces=[*names, well.name])
    asked = judged(deep, namespaces=names, evidence="L3")

    for check in (below, asked):
        rows = [row for row in check["findings"] if row["class"] == "W_OTHER" and row["doubt"]]
        assert {row["namespace"] for row in rows} == {*names}
        assert all("imagePullSecrets" in row["explanation"] for row in rows)
        assert check["verdict"] == "unknown"
