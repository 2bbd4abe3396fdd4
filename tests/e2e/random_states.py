"""States of built-in objects: on their way out, suspended, half rolled out, at zero, written by others as well."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.e2e.random_acts import Act, Verb, named, with_finalizer, without_finalizers
from tests.e2e.random_parts import Manifest
from tests.e2e.random_state import (
    FOREIGN,
    OUR_SECRET,
    Coming,
    Living,
    Setting,
    State,
    references,
)

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
# Who applies, with the marks that it leaves on the object.
_APPLIERS: tuple[tuple[str, Manifest], ...] = (
    ("kustomize-controller", {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}),
    ("argocd-controller", {"annotations": {"argocd.argoproj.io/tracking-id": "apps:/x"}}),
    ("argocd-controller", {"labels": {"app.kubernetes.io/instance": "shop"}}),
    ("fleetagent", {"labels": {"objectset.rio.cattle.io/hash": "e5"}}),
    ("terraform", {}),
    ("platform-operator", {}),
)
_SUSPENDED = {"suspend": True}


def applied_list(setting: Setting) -> State:
    """A ServiceAccount's list that somebody applies again: with our name or without, before our write or after it."""
    rng = setting.rng
    name = "default" if rng.random() < 0.3 else "applied"
    forms = ["with", "later with", "lost", "silent"]
    form = rng.choice([*forms, *["without"] * 6] if setting.remediated else forms)
    # Who applied nothing but the list, and lost it to another writer than the service, leaves no trace.
    traced = [one for one in _APPLIERS if one[1]] if form == "lost" else _APPLIERS
    manager, marks = rng.choice(traced)
    bare = setting.account(name, **marks)
    without = setting.account(name, FOREIGN, **marks)
    with_ours = setting.account(name, OUR_SECRET, **marks)
    edited = Act(Verb.MERGE, named(without, imagePullSecrets=with_ours["imagePullSecrets"]), "edit")
    before: list[Act] = []
    after: list[Act] = []
    itself: list[Act] = []
    person: list[Act] = []
    match form:
        case "without":
            before, itself = [_apply(without, manager)], [_apply(without, manager)]
        case "lost":  # from what remains it is not known whether its manifest has the list
            before, person = [_apply(without, manager), edited], [_apply(without, manager)]
        case "with":
            before, itself = [_apply(with_ours, manager)], [_apply(with_ours, manager)]
        case "later with":
            before, after = [_apply(bare, manager), edited], [_apply(with_ours, manager)]
            itself = after
        case "silent":
            before, itself = [_apply(bare, manager), edited], [_apply(bare, manager)]
    job = setting.workload("CronJob", "applied", setting.spec(name))
    return State(
        f"H1 applied list, {form}",
        setting.namespace,
        before=(setting.docker(), *before),
        after=tuple(after),
        itself=tuple(itself),
        person=tuple(person),
        accounts=frozenset({name}),
        templates=(job,),
        sources=(setting.source("ServiceAccount", name),),
        recorded=form == "without",
    )


def written_list(setting: Setting) -> State:
    """A list that kubectl applies from a manifest, or Terraform updates."""
    rng = setting.rng
    kind = rng.choice(["manifest without", "manifest with", "manifest silent", "Terraform"])
    names = (OUR_SECRET,) if kind == "manifest with" else (FOREIGN,)
    body = setting.account("written", *names)
    ours = references((OUR_SECRET,))
    if kind == "Terraform":
        # An object that is created without any field of its own has no managedFields, and never will: nothing tells
        # who wrote it. This one has a label.
        made = setting.account("written", labels={"app": "written"})
        update = Act(Verb.MERGE, named(body, imagePullSecrets=references(names)), "Terraform")
        before = [Act(Verb.CREATE, made), update]
        # Of what was done by an update nothing tells that it will be done again.
        again, person = [], [update]
    else:
        manifest = setting.account("written") if kind == "manifest silent" else body
        told = json.dumps({"apiVersion": "v1", **manifest})
        marked = setting.account("written", annotations={_LAST_APPLIED: told})
        kept = {} if kind == "manifest silent" else {"imagePullSecrets": body["imagePullSecrets"]}
        made = marked | kept
        edited = (
            []
            if setting.remediated
            else [Act(Verb.MERGE, named(body, imagePullSecrets=ours), "edit")]
        )
        before = [Act(Verb.CREATE, made, "kubectl-client-side-apply"), *edited]
        again = [Act(Verb.MERGE, named(body, **kept), "kubectl-client-side-apply")] if kept else []
        person = []
    return State(
        f"H1 written list, {kind}",
        setting.namespace,
        before=(setting.docker(), *before),
        itself=tuple(again),
        person=tuple(person),
        accounts=frozenset({"written"}),
        templates=(setting.workload("Deployment", "written", setting.spec("written")),),
        sources=(setting.source("ServiceAccount", "written"),),
        recorded=kind == "Terraform",
    )


def _apply(body: Manifest, manager: str) -> Act:
    return Act(Verb.APPLY, body, manager)


def synchronised_secret(setting: Setting) -> State:
    """Our Secret is one that External Secrets or the like writes: with other logins, or with the right one."""
    rng = setting.rng
    kind = rng.choice(["ExternalSecret", "SealedSecret"])
    right = not setting.remediated or rng.random() < 0.25
    owner = {
        "kind": kind,
        "metadata": setting.metadata("docker-login"),
        "spec": {"target": OUR_SECRET},
    }
    key = setting.ground.host if right else "quay.io"
    body = setting.secret(OUR_SECRET, key, ownerReferences=[{"kind": kind, "name": "docker-login"}])
    manager = {"ExternalSecret": "externalsecrets.external-secrets.io/docker-login"}.get(
        kind, "controller"
    )
    applied = _apply(body, manager)
    return State(
        "M4 Secret of a synchroniser" + (", the right login" if right else ""),
        setting.namespace,
        before=(
            Act(Verb.CREATE, owner),
            Act(Verb.DELETE, named(body)),
            applied,
            setting.in_line("synced"),
        ),
        itself=(applied,),
        secrets=frozenset({OUR_SECRET}),
        templates=(setting.workload("Deployment", "synced", setting.spec("synced")),),
        sources=(setting.source("Secret", OUR_SECRET), setting.source(kind, "docker-login")),
        recorded=True,
    )


def secret_going(setting: Setting) -> State:
    """A Secret that is being deleted, and is there until its finalizer is gone."""
    ours = setting.rng.random() < 0.6
    name = OUR_SECRET if ours else "own-pull"
    made = setting.docker() if ours else Act(Verb.CREATE, setting.secret(name, setting.ground.host))
    going = with_finalizer(made.body)
    early = setting.rng.random() < 0.5
    kind = setting.rng.choice(["Deployment", "CronJob", "DaemonSet"])
    spec = setting.spec("kept") if ours else setting.spec("kept", name)
    running = setting.pod(
        "kept-1", setting.spec("", name, policy="Always", nodeName=setting.node())
    )
    return State(
        "H2 Secret on its way out",
        setting.namespace,
        before=(made, setting.in_line("kept"), *(going if early else ())),
        after=() if early else going,
        pods=(Living(running),),
        itself=(without_finalizers(made.body),),
        secrets=frozenset({name}),
        templates=(setting.workload(kind, "kept", spec),),
        sources=(setting.source("Secret", name),),
    )


def account_going(setting: Setting) -> State:
    """ServiceAccount `default` is being deleted: its controller makes it again, without a list."""
    body = setting.account("default")
    return State(
        "H2 ServiceAccount on its way out",
        setting.namespace,
        before=(setting.docker(),),
        after=with_finalizer(body),
        itself=(without_finalizers(body), Act(Verb.CREATE, body)),
        accounts=frozenset({"default"}),
        templates=(setting.workload("CronJob", "of-default", setting.spec()),),
        sources=(setting.source("ServiceAccount", "default"),),
    )


def workload_going(setting: Setting) -> State:
    """A Deployment that is being deleted makes no pods any more."""
    body = setting.workload("Deployment", "going", setting.spec("", FOREIGN))
    return State(
        "D workload on its way out",
        setting.namespace,
        after=with_finalizer(body),
        templates=(body,),
        ended=frozenset({"Deployment/going"}),
    )


def job_of_cron_job(setting: Setting) -> State:
    """A suspended Job of a CronJob, with another template than that; a queue or a person resumes it."""
    queued = setting.rng.random() < 0.5
    spec = setting.spec("timed", FOREIGN)
    job = setting.workload("Job", "timed-1", spec, **_SUSPENDED)
    job["metadata"]["ownerReferences"] = [{"kind": "CronJob", "name": "timed"}]
    job["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "team"} if queued else {}
    coming = Coming(
        setting.new_pod("timed-1", spec | {"restartPolicy": "Never"}),
        "Job",
        "timed-1",
        (setting.source("CronJob", "timed"),),
        by_person=not queued,
    )
    return State(
        "H3 suspended Job of a CronJob" + (", queued" if queued else ""),
        setting.namespace,
        before=(setting.docker(), setting.in_line("timed")),
        after=(Act(Verb.CREATE, job),),
        templates=(setting.workload("CronJob", "timed", setting.spec("timed")),),
        coming=(coming,),
    )


def queued_job(setting: Setting) -> State:
    """A Job that nothing controls, suspended until a queue lets it run."""
    spec = setting.spec("", FOREIGN)
    job = setting.workload("Job", "queued", spec, **_SUSPENDED)
    job["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "team"}
    pod = setting.new_pod("queued", spec | {"restartPolicy": "Never"})
    return State(
        "H3 queued Job",
        setting.namespace,
        after=(Act(Verb.CREATE, job),),
        coming=(Coming(pod, "Job", "queued"),),
    )


def partition(setting: Setting) -> State:
    """A StatefulSet whose partition keeps pods at an older revision, whether such a pod is there or not."""
    rng = setting.rng
    old = setting.spec("ordered", FOREIGN)
    now = setting.spec("ordered", image=old["containers"][0]["image"])
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": rng.choice([1, 2, 3])}}
    body = setting.workload("StatefulSet", "ordered", now, updateStrategy=strategy, replicas=2)
    there = rng.random() < 0.3
    pod = setting.pod(
        "ordered-0", old | {"nodeName": setting.node()}, owner=("StatefulSet", "ordered")
    )
    return State(
        "M1 partition" + (", with a pod" if there else ", without a pod"),
        setting.namespace,
        before=(setting.docker(), setting.in_line("ordered")),
        after=(
            *_revisions(setting, "StatefulSet", "ordered", old, now),
            Act(Verb.STATUS, _rolled(body)),
        ),
        pods=(Living(pod),) if there else (),
        templates=(body,),
        coming=(Coming(setting.new_pod("ordered", old), "StatefulSet", "ordered"),),
        sources=(setting.source("ControllerRevision", "ordered-1"),),
    )


def older_revision(setting: Setting) -> State:
    """What `kubectl rollout undo` brings back: an older revision, or a ReplicaSet at zero."""
    kind = setting.rng.choice(["Deployment", "StatefulSet", "DaemonSet"])
    old = setting.spec("rolled", FOREIGN)
    now = setting.spec("rolled")
    body = setting.workload(kind, "rolled", now)
    after = (
        [Act(Verb.CREATE, _replica_set(setting, "rolled", "rolled-old", old, 0))]
        if kind == "Deployment"
        else [*_revisions(setting, kind, "rolled", old, now)]
    )
    if kind == "StatefulSet":
        after.append(Act(Verb.STATUS, _rolled(body, current="rolled-2")))
    sources = (
        setting.source("ReplicaSet", "rolled-old"),
        setting.source("ControllerRevision", "rolled-1"),
    )
    return State(
        f"D1 older revision of a {kind}",
        setting.namespace,
        before=(setting.docker(), setting.in_line("rolled")),
        after=tuple(after),
        templates=(body,),
        coming=(Coming(setting.new_pod("rolled", old), kind, "rolled", sources, by_person=True),),
    )


def stuck_rollout(setting: Setting) -> State:
    """A rollout that does not come to its end: the older ReplicaSet makes pods by its own template."""
    old = setting.spec("stuck", FOREIGN)
    body = setting.workload("Deployment", "stuck", setting.spec("stuck"))
    body["spec"]["paused"] = setting.rng.random() < 0.5
    there = setting.rng.random() < 0.5
    pod = setting.pod(
        "stuck-old-1", old | {"nodeName": setting.node()}, owner=("ReplicaSet", "stuck-old")
    )
    return State(
        "D stuck rollout",
        setting.namespace,
        before=(setting.docker(), setting.in_line("stuck")),
        after=(Act(Verb.CREATE, _replica_set(setting, "stuck", "stuck-old", old, 1)),),
        pods=(Living(pod),) if there else (),
        templates=(body,),
        coming=(
            Coming(
                setting.new_pod("stuck-old", old),
                "ReplicaSet",
                "stuck-old",
                (setting.source("Deployment", "stuck"),),
            ),
        ),
    )


def _replica_set(
    setting: Setting, above: str, name: str, spec: Manifest, replicas: int
) -> Manifest:
    body = setting.workload("ReplicaSet", name, spec, replicas=replicas)
    body["metadata"]["ownerReferences"] = [{"kind": "Deployment", "name": above}]
    body["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "1"}
    return body


def _revisions(
    setting: Setting, kind: str, name: str, old: Manifest, now: Manifest
) -> tuple[Act, ...]:
    """Return what the controller keeps of an older template and the present one."""
    return tuple(
        Act(
            Verb.CREATE,
            {
                "kind": "ControllerRevision",
                "metadata": setting.metadata(
                    f"{name}-{number}",
                    labels={"app": name, "controller-revision-hash": f"{name}-{number}"},
                    ownerReferences=[{"kind": kind, "name": name}],
                ),
                "revision": number,
                "data": {
                    "spec": {
                        "template": {
                            "$patch": "replace",
                            "metadata": {"labels": {"app": name}},
                            "spec": spec,
                        }
                    }
                },
            },
        )
        for number, spec in ((1, old), (2, now))
    )


def _rolled(body: Manifest, current: str = "") -> Manifest:
    name = body["metadata"]["name"]
    status = {
        "replicas": 0,
        "observedGeneration": 1,
        "currentRevision": current or f"{name}-1",
        "updateRevision": f"{name}-2",
    }
    return named(body, status=status)


def at_zero(setting: Setting) -> State:
    """A Deployment at zero: KEDA or Knative scales it up by itself, an HPA does not as long as it is at zero."""
    scaler = setting.rng.choice(["ScaledObject", "PodAutoscaler", "HorizontalPodAutoscaler", ""])
    spec = setting.spec("", FOREIGN)
    reference: Manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "scaled"}
    more: dict[str, Any] = {
        "ScaledObject": {"scaleTargetRef": {"name": "scaled"}, "triggers": [{"type": "cron"}]},
        "PodAutoscaler": {"scaleTargetRef": reference},
        "HorizontalPodAutoscaler": {
            "scaleTargetRef": reference,
            "minReplicas": 1,
            "maxReplicas": 3,
        },
    }
    made = (
        [
            Act(
                Verb.CREATE,
                {"kind": scaler, "metadata": setting.metadata("scaled"), "spec": more[scaler]},
            )
        ]
        if scaler
        else []
    )
    by_itself = scaler in ("ScaledObject", "PodAutoscaler")
    body = setting.workload("Deployment", "scaled", spec, replicas=0)
    sources = (setting.source(scaler, "scaled"),) if scaler else ()
    pod = setting.new_pod("scaled", spec)
    return State(
        f"D2 at zero, {scaler or 'nothing scales it'}",
        setting.namespace,
        before=(Act(Verb.CREATE, body), *made),
        coming=(Coming(pod, "Deployment", "scaled", sources, by_person=not by_itself),),
        sources=sources,
    )


def strict_account(setting: Setting) -> State:
    """A ServiceAccount that allows no Secret but its own, in each spelling of "true" that the API server reads."""
    spelled = setting.rng.choice(["True", "1", "t", "TRUE", "T"])
    marked = {"kubernetes.io/enforce-mountable-secrets": spelled}
    own = setting.secret("own-pull", setting.ground.host)
    return State(
        "L1 spelling of enforce-mountable-secrets",
        setting.namespace,
        before=(
            Act(Verb.CREATE, own),
            Act(Verb.CREATE, setting.account("strict", "team", annotations=marked)),
        ),
        templates=(setting.workload("CronJob", "strict", setting.spec("strict", "own-pull")),),
    )


def zeros_in_port(setting: Setting) -> State:
    """A port with leading zeros: dialled it is the same registry, and no key of a Secret is for it."""
    image = setting.image()
    host, _, port = setting.ground.host.rpartition(":")
    image = image.replace(f"{host}:{port}", f"{host}:0{port}", 1)
    kind = setting.rng.choice(["Deployment", "CronJob"])
    spec = setting.spec("padded", image=image)
    return State(
        "L4 port with leading zeros",
        setting.namespace,
        before=(setting.docker(), setting.in_line("padded")),
        templates=(setting.workload(kind, "padded", spec),),
    )


def full_quota(setting: Setting) -> State:
    """A quota keeps pods away for now: what is missing comes as soon as it is lifted."""
    quota = {"kind": "ResourceQuota", "metadata": setting.metadata("full")}
    return State("full quota", setting.namespace, quota=quota | {"spec": {"hard": {"pods": "0"}}})


def restart_all(setting: Setting) -> State:
    """A container's rule restarts the whole pod, whatever the policies of the others."""
    rng = setting.rng
    rule = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}
    spec = setting.spec("", FOREIGN, policy=rng.choice(["Always", "Always", "IfNotPresent"]))
    helper = {
        "name": "helper",
        "image": "nginx:1",
        "restartPolicy": "Never",
        "restartPolicyRules": [rule],
    }
    spec["containers"].append(helper)
    if rng.random() < 0.4:
        spec["initContainers"] = [
            {"name": "first", "image": setting.image(), "imagePullPolicy": "Always"}
        ]
    spec |= {"restartPolicy": "Never", "nodeName": setting.node()}
    return State(
        "M5 restart of all containers",
        setting.namespace,
        pods=(Living(setting.pod("ruled", spec)),),
    )


def changed_image(setting: Setting) -> State:
    """Another image for a container that runs: the node still has to pull it."""
    image = setting.image()
    spec = setting.spec("", FOREIGN, image="quay.io/other/app:1", policy="IfNotPresent")
    spec |= {"nodeName": setting.node(), "restartPolicy": setting.rng.choice(["Always", "Never"])}
    body = setting.pod("changed", spec)
    return State(
        "M7 image changed in a running pod",
        setting.namespace,
        pods=(Living(body, then=(Act(Verb.IMAGE, named(body, image=image)),)),),
    )


def pulled_with_login(setting: Setting) -> State:
    """Two pods with one image on one node: one pulled it with a login, the other has none and found it there."""
    rng = setting.rng
    new = rng.random() < 0.7
    node = f"{setting.namespace}-{'new' if new else 'old'}"
    image = setting.image()
    covered = setting.spec("", OUR_SECRET, image=image, policy="Always", nodeName=node)
    policy = rng.choice(["IfNotPresent", "IfNotPresent", "IfNotPresent", "Never"])
    found = setting.spec("", FOREIGN, image=image, policy=policy, nodeName=node)
    return State(
        f"one image on one node, kubelet 1.{36 if new else 34}",
        setting.namespace,
        before=(setting.docker(),),
        pods=(
            Living(setting.pod("with-login", covered)),
            Living(setting.pod("found-it-there", found)),
        ),
    )


# How often each comes, among those of a namespace.
STATES: tuple[tuple[Callable[[Setting], State], int], ...] = (
    (applied_list, 6),
    (written_list, 3),
    (synchronised_secret, 3),
    (secret_going, 3),
    (account_going, 2),
    (workload_going, 1),
    (job_of_cron_job, 2),
    (queued_job, 1),
    (partition, 3),
    (older_revision, 2),
    (stuck_rollout, 1),
    (at_zero, 2),
    (strict_account, 1),
    (zeros_in_port, 1),
    (full_quota, 1),
    (restart_all, 2),
    (changed_image, 2),
    (pulled_with_login, 2),
)
