"""States of custom resources and admission policies.

Each custom kind has a controller, decided here: it makes the pods that the fields say.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.e2e.random_acts import Act, Verb
from tests.e2e.random_parts import Manifest
from tests.e2e.random_state import (
    FOREIGN,
    OUR_SECRET,
    Coming,
    Living,
    Setting,
    Source,
    State,
    references,
)

_MANY = 2000
_SHARED = 0.5
_NOT_ASKED = {
    "name": "not-asked",
    "expression": "!has(object.metadata.labels) || !('asked' in object.metadata.labels)",
}
_UNDER_ADMISSION = "docker.io/library/"


def second_image(setting: Setting) -> State:
    """A database whose operator also runs backups, with the same image and an account that has no list."""
    image = setting.image()
    backup = {"schedule": "0 3 * * *", "image": image, "serviceAccountName": "backup"}
    spec = {"image": image, "instances": 1, "backup": backup}
    owned = setting.workload("StatefulSet", "db", setting.spec("db", image=image))
    owned["metadata"]["ownerReferences"] = [{"kind": "Cluster", "name": "db"}]
    pod = setting.new_pod("db-backup", setting.spec("backup", image=image))
    return State(
        "H4 second image field",
        setting.namespace,
        before=(setting.docker(), setting.in_line("db"), _custom(setting, "Cluster", "db", spec)),
        after=(Act(Verb.CREATE, setting.account("backup")),),
        templates=(owned,),
        coming=(_made_by(setting, "Cluster", "db", pod),),
    )


def own_secrets(setting: Setting) -> State:
    """A template in a custom resource with its own Secrets by now; its older pod is covered through its account."""
    kind = setting.rng.choice(["CloneSet", "Rollout"])
    image = setting.image()
    older = setting.spec("cloned", image=image, nodeName=setting.node())
    spec = setting.spec("cloned", FOREIGN, image=image)
    template = {"metadata": {"labels": {"app": "cloned"}}, "spec": spec}
    body = {"replicas": 1, "paused": True, "template": template}
    pod = setting.pod("cloned-1", older, owner=(kind, "cloned"))
    return State(
        f"H4 own Secrets in a {kind}",
        setting.namespace,
        before=(
            setting.docker(),
            setting.in_line("cloned"),
            _custom(setting, kind, "cloned", body),
        ),
        pods=(Living(pod),),
        coming=(_made_by(setting, kind, "cloned", setting.new_pod("cloned", spec)),),
    )


def other_group(setting: Setting) -> State:
    """Two kinds of one name in two groups, of which one has pods that are covered and the other makes others."""
    image = setting.image()
    version, kind = setting.rng.choice(
        [("other.example.com/v1", "Cluster"), ("apps.kruise.io/v1beta1", "StatefulSet")]
    )
    spec = {"image": image, "imagePullSecrets": references((FOREIGN,))}
    other = {
        "apiVersion": version,
        "kind": kind,
        "metadata": setting.metadata("twin"),
        "spec": spec,
    }
    owned = setting.workload("StatefulSet", "twin", setting.spec("twin", image=image))
    first: tuple[Act, ...] = ()
    if kind == "Cluster":
        owned["metadata"]["ownerReferences"] = [{"kind": "Cluster", "name": "twin"}]
        first = (_custom(setting, "Cluster", "twin", {"image": image}),)
    pod = setting.new_pod("twin-other", setting.spec("twin", FOREIGN, image=image))
    named_so = kind if kind == "Cluster" else f"{kind}.{version.partition('/')[0]}"
    return State(
        "H4 other group",
        setting.namespace,
        before=(setting.docker(), setting.in_line("twin"), *first, Act(Verb.CREATE, other)),
        templates=(owned,),
        coming=(_made_by(setting, named_so, "twin", pod),),
    )


def single_image(setting: Setting) -> State:
    """One image, with or without a pull configuration, in one of the forms that charts and operators use."""
    rng = setting.rng
    image = setting.image()
    registry, _, rest = image.partition("/")
    repository, _, tag = rest.rpartition(":")
    host, _, port = registry.rpartition(":")
    form = rng.choice(["image", "image", "parts", "host and port", "annotation"])
    image_fields: dict[str, Manifest] = {
        "image": {"image": image},
        "parts": {"image": {"registry": registry, "repository": repository, "tag": tag}},
        "host and port": {"image": {"host": host, "port": int(port), "path": rest}},
        "annotation": {"mode": "inherit"},
    }
    own = rng.choice([(), (FOREIGN,), (OUR_SECRET,)])
    spec = image_fields[form] | ({"imagePullSecrets": references(own)} if own else {})
    marks = {"annotations": {"tools.example.com/image": image}} if form == "annotation" else {}
    body = {"kind": "Agent", "metadata": setting.metadata("agent", **marks), "spec": spec}
    pod = setting.new_pod("agent", setting.spec("agent", *own, image=image))
    tag_of = "D7" if form in ("host and port", "annotation") else "H4"
    return State(
        f"{tag_of} one image, {form}",
        setting.namespace,
        before=(setting.docker(), setting.in_line("agent"), Act(Verb.CREATE, body)),
        coming=(_made_by(setting, "Agent", "agent", pod),),
    )


def many_images(setting: Setting) -> State:
    """A resource that names so many images that the last of them is past any bound."""
    image = setting.image()
    others = [other for other in _all_images(setting) if other != image]
    used, last = image, setting.rng.choice(others)
    spec = {"caches": [used] * _MANY, "z": {"image": last}}
    owned = setting.workload("StatefulSet", "cache", setting.spec("cache", image=used))
    owned["metadata"]["ownerReferences"] = [{"kind": "Agent", "name": "cache"}]
    pod = setting.new_pod("cache-z", setting.spec("", FOREIGN, image=last))
    return State(
        "L3 many images",
        setting.namespace,
        before=(
            setting.docker(),
            setting.in_line("cache"),
            _custom(setting, "Agent", "cache", spec),
        ),
        templates=(owned,),
        coming=(_made_by(setting, "Agent", "cache", pod),),
    )


def operator_environment(setting: Setting) -> State:
    """An operator that makes pods with an image from its environment, of which there are none yet.

    An application may have the same image; its pods say nothing of the operator's.
    """
    shared = setting.rng.random() < _SHARED
    image = setting.image() if shared else setting.ground.operand
    spec = setting.spec("operator", image="quay.io/operators/one:1")
    spec["containers"][0]["env"] = [{"name": "RELATED_IMAGE_OPERAND", "value": image}]
    templates = [setting.workload("Deployment", "operator", spec)]
    if shared:
        application = setting.spec("operator", image=image)
        templates.append(setting.workload("Deployment", "application", application))
    pod = setting.new_pod("operand", setting.spec("", FOREIGN, image=image))
    also = ", of an application as well" if shared else ""
    return State(
        f"D8 image in the environment{also}",
        setting.namespace,
        before=(setting.docker(), setting.in_line("operator")),
        templates=tuple(templates),
        coming=(Coming(pod, "Deployment", "operator"),),
    )


def pod_template(setting: Setting) -> State:
    """A PodTemplate: a pod is made by whoever uses it."""
    spec = setting.spec("", FOREIGN)
    body = {
        "kind": "PodTemplate",
        "metadata": setting.metadata("stencil"),
        "template": {"metadata": {"labels": {"app": "stencil"}}, "spec": spec},
    }
    pod = setting.new_pod("stencil", spec)
    return State(
        "D8 PodTemplate",
        setting.namespace,
        before=(Act(Verb.CREATE, body),),
        coming=(Coming(pod, "PodTemplate", "stencil", by_person=True),),
    )


def _all_images(setting: Setting) -> list[str]:
    return [f"{setting.ground.host}/{name}:{tag}" for name, tag in setting.ground.digests]


def _custom(setting: Setting, kind: str, name: str, spec: Manifest) -> Act:
    return Act(Verb.CREATE, {"kind": kind, "metadata": setting.metadata(name), "spec": spec})


def _made_by(setting: Setting, kind: str, name: str, pod: Manifest) -> Coming:
    return Coming(pod, kind, name, (setting.source(kind, name),))


def rewritten_image(setting: Setting) -> State:
    """A policy that has images of Docker Hub pulled from the registry; nothing else names it."""
    image = setting.image()
    expression = _replace("/spec/containers/0/image", f'"{image}"')
    condition = f"object.spec.containers[0].image.startsWith('{_UNDER_ADMISSION}')"
    job = setting.workload(
        "CronJob", "hub", setting.spec("hub", image=f"{_UNDER_ADMISSION}busybox:1")
    )
    bare = (Act(Verb.CREATE, setting.account("hub")),)
    return _policy(
        setting, "H5 rewritten image", expression, image, job, condition=condition, after=bare
    )


def added_container(setting: Setting) -> State:
    """A policy that adds a sidecar of the registry to pods that have nothing else of it, or have it covered."""
    rng = setting.rng
    image = setting.image()
    sidecar = f'Object.spec.containers{{name: "proxy", image: "{image}"}}'
    expression = f'[JSONPatch{{op: "add", path: "/spec/containers/-", value: {sidecar}}}]'
    own = setting.image() if rng.random() < 0.5 else "quay.io/other/app:1"
    kind = rng.choice(["CronJob", "Deployment"])
    body = setting.workload(kind, "meshed", setting.spec("hub", FOREIGN, image=own))
    return _policy(
        setting, "H5 added container", expression, "proxy", body, before=(setting.in_line("hub"),)
    )


def replaced_secrets(setting: Setting) -> State:
    """A policy that puts its own Secret in the place of those that the account gives."""
    # As a map: for a list of typed objects the API server 1.36 panics.
    value = f'[{{"name": "{FOREIGN}"}}]'
    expression = f'[JSONPatch{{op: "add", path: "/spec/imagePullSecrets", value: {value}}}]'
    kind = setting.rng.choice(["CronJob", "Deployment"])
    body = setting.workload(kind, "given", setting.spec("given"))
    line = (setting.docker(), setting.in_line("given"))
    return _policy(setting, "H5 replaced Secrets", expression, FOREIGN, body, before=line)


def _replace(path: str, value: str) -> str:
    return f'[JSONPatch{{op: "replace", path: "{path}", value: {value}}}]'


def _policy(
    setting: Setting,
    tag: str,
    expression: str,
    shows: str,
    body: Manifest,
    *,
    condition: str = "",
    before: tuple[Act, ...] = (),
    after: tuple[Act, ...] = (),
) -> State:
    name = f"{setting.namespace}-{body['metadata']['name']}"
    everywhere = setting.rng.random() < 0.3
    app = {"app": body["metadata"]["name"]}
    labels = {"kubernetes.io/metadata.name": setting.namespace}
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["pods"],
    }
    match: Manifest = {"namespaceSelector": {"matchLabels": labels}, "resourceRules": [rule]}
    match |= {} if everywhere else {"objectSelector": {"matchLabels": app}}
    conditions = [_NOT_ASKED]
    conditions += [{"name": "meant", "expression": condition}] if condition else []
    policy = {
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": match,
            "matchConditions": conditions,
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
        },
    }
    binding = {
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name},
    }
    sources: tuple[Source, ...] = (
        ("", "MutatingAdmissionPolicy", name),
        ("", "MutatingAdmissionPolicyBinding", name),
    )
    inner = body["spec"].get("jobTemplate", {}).get("spec", body["spec"])["template"]["spec"]
    given = ("serviceAccountName", "imagePullSecrets")
    plain = {key: value for key, value in inner.items() if key not in given}
    return State(
        tag,
        setting.namespace,
        before=before,
        after=after,
        templates=(body,),
        sources=sources,
        policies=(Act(Verb.CREATE, policy), Act(Verb.CREATE, binding)),
        everywhere=everywhere,
        probe=setting.new_pod("probe", plain, app),
        shows=shows,
    )


def left_out(setting: Setting) -> State:
    """A namespace that the request leaves out, where only a template or a custom resource names the registry."""
    custom = setting.rng.random() < 0.5
    spec = setting.spec("", FOREIGN)
    image = spec["containers"][0]["image"]
    body = setting.workload("CronJob", "apart", spec)
    made = (
        _custom(setting, "Agent", "apart", {"image": image}) if custom else Act(Verb.CREATE, body)
    )
    pod = setting.new_pod("apart", spec)
    space = (setting.namespace, "Namespace", setting.namespace)
    return State(
        "L2 left-out namespace" + (", custom resource" if custom else ""),
        setting.namespace,
        before=(
            Act(Verb.CREATE, {"kind": "Namespace", "metadata": {"name": setting.namespace}}),
            Act(Verb.CREATE, setting.account("default")),
            made,
        ),
        coming=(Coming(pod, "Namespace", setting.namespace, (space,), by_person=True),),
    )


CUSTOM: tuple[tuple[Callable[[Setting], State], int], ...] = (
    (second_image, 3),
    (own_secrets, 3),
    (other_group, 2),
    (single_image, 2),
    (many_images, 1),
    (operator_environment, 1),
    (pod_template, 1),
    (rewritten_image, 2),
    (added_container, 2),
    (replaced_secrets, 1),
)
