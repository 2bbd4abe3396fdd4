"""States of workloads that want no pods now: what wakes them within the day, told by name, by note or by nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.e2e.random_acts import Act, Verb, named
from tests.e2e.random_parts import Manifest
from tests.e2e.random_state import FOREIGN, Coming, Setting, State

_COVERED = 0.25
_NAME = "asleep"
_OWN_SECRET = "asleep-pull"
_REFERENCE = {"apiVersion": "apps/v1", "kind": "Deployment", "name": _NAME}
_NIGHT = {"weekdays": "1-5", "sleepAt": "20:00", "wakeUpAt": "08:00"}
_PARTS = ("night", "eco", "saver", "kube-off", "tidy", "Original", "was", "keep", "plan", "state")
_VALUES = ("3", "true", "Stopped", '{"replicas": 2}', "0 8 * * 1-5", "two: 2", "")
_KNOWN = {
    "kubernetes.io/change-cause": "scaled to 0 by hand",
    "app.kubernetes.io/version": "1.2.3",
    "deployment.kubernetes.io/revision": "4",
}


@dataclass(frozen=True, slots=True)
class _Asleep:
    """What keeps a workload asleep: marks on it, and others that are made or done. `wakes`: within the day."""

    form: str
    marks: Manifest
    acts: tuple[Act, ...] = ()
    kind: str = "Deployment"
    writer: str = "kubectl-create"
    wakes: bool = True


def asleep(setting: Setting) -> State:
    """A workload that wants no pods, covered or not, and what wakes it, or nothing."""
    form = setting.rng.choice(_FORMS)(setting)
    covered = setting.rng.random() < _COVERED
    # By a Secret of its own: what becomes of ours is the matter of other states.
    spec = setting.spec("", _OWN_SECRET if covered else FOREIGN)
    switch = {"suspend": True} if form.kind == "CronJob" else {"replicas": 0}
    body = setting.workload(form.kind, _NAME, spec, **switch)
    body["metadata"] |= form.marks
    own = (Act(Verb.CREATE, setting.secret(_OWN_SECRET, setting.ground.host)),) if covered else ()
    pod = setting.new_pod(_NAME, spec | _policy(form.kind))
    coming = Coming(pod, form.kind, _NAME, by_person=not form.wakes)
    return State(
        f"asleep, {form.form}{', covered' if covered else ''}",
        setting.namespace,
        before=(*own, Act(Verb.CREATE, body, form.writer), *form.acts),
        coming=(coming,),
        sources=(setting.source(form.kind, _NAME),),
    )


def _policy(kind: str) -> Manifest:
    return {"restartPolicy": "Never"} if kind == "CronJob" else {}


def _named(setting: Setting) -> _Asleep:
    """A custom resource of an unknown kind names it, in one way or another."""
    ways: tuple[Manifest, ...] = (
        {"deployments": [{"name": _NAME}]},
        {"targets": [{"scaleTargetRef": _REFERENCE}]},
        {"target": f"deployment/{_NAME}"},
        {"list": f"api,{_NAME}"},
        {"plan": {"workloads": {_NAME: {"day": 3, "night": 0}}}},
        {"selector": {"matchLabels": {"app": _NAME}}},
    )
    return _Asleep(
        "named by a custom resource", {}, (_made(setting, "Nap", setting.rng.choice(ways)),)
    )


def _noted(setting: Setting) -> _Asleep:
    """A note of an unknown tool."""
    rng = setting.rng
    key = f"{rng.choice(_PARTS).lower()}.example.com/{rng.choice(_PARTS)}-{rng.choice(_PARTS)}"
    kind = rng.choice(["Deployment", "StatefulSet", "CronJob"])
    marks = {"annotations": _KNOWN | {key: rng.choice(_VALUES)}}
    return _Asleep("an unknown annotation", marks, kind=kind)


def _managed(setting: Setting) -> _Asleep:
    """A field manager that wrote nothing but that it wants no pods."""
    rng = setting.rng
    kind = rng.choice(["Deployment", "StatefulSet", "CronJob"])
    on, off = (
        ({"suspend": False}, {"suspend": True})
        if kind == "CronJob"
        else ({"replicas": 1}, {"replicas": 0})
    )
    about = {"kind": kind, "metadata": setting.metadata(_NAME)}
    acts = tuple(
        Act(Verb.MERGE, named(about, spec=spec), manager)
        for spec, manager in ((on, "kubectl-edit"), (off, "night-shift"))
    )
    return _Asleep("a field manager", {}, acts, kind)


def _deployed(setting: Setting) -> _Asleep:
    """What Flux, Argo CD or Helm deploys and a person scaled: the next sync restores it."""
    marks: tuple[Manifest, ...] = (
        {"labels": {"helm.toolkit.fluxcd.io/name": "shop"}},
        {"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}},
        {"annotations": {"argocd.argoproj.io/tracking-id": f"shop:apps/Deployment:shop/{_NAME}"}},
        {"labels": {"argocd.argoproj.io/instance": "shop"}},
    )
    return _Asleep("deployed by a tool", setting.rng.choice(marks))


def _by_application(setting: Setting) -> _Asleep:
    """What an Application has in its status, by a label of its own or none."""
    resources = [{"kind": "Deployment", "namespace": setting.namespace, "name": _NAME}]
    spec = {"syncPolicy": {"automated": {"selfHeal": True}}}
    act = _made(setting, "Application", spec, status={"resources": resources})
    return _Asleep("deployed by an Application", {}, (act,))


def _scripted(setting: Setting) -> _Asleep:
    """What a CronJob scales with kubectl."""
    spec = setting.spec("", image="quay.io/tools/kubectl:1")
    run = setting.rng.choice([f"deployment/{_NAME}", f"deploy {_NAME}"])
    spec["containers"][0]["args"] = ["-c", f"kubectl scale {run} --replicas=2; sleep 0.5"]
    act = Act(Verb.CREATE, setting.workload("CronJob", "morning", spec))
    return _Asleep("scaled by a CronJob", {}, (act,))


def _green(setting: Setting) -> _Asleep:
    """What kube-green put to sleep."""
    kind = setting.rng.choice(["Deployment", "CronJob"])
    spec = _NIGHT | ({"suspendCronJobs": True} if kind == "CronJob" else {})
    return _Asleep(f"kube-green, a {kind}", {}, (_made(setting, "SleepInfo", spec),), kind)


def _paused(setting: Setting) -> _Asleep:
    """What KEDA keeps at a number of replicas, or would scale if it were not paused."""
    marks = setting.rng.choice(
        [{"paused-replicas": "2"}, {"paused": "False"}, {"paused": "0"}, {"paused": "true"}]
    )
    annotations = {f"autoscaling.keda.sh/{key}": value for key, value in marks.items()}
    spec = {"scaleTargetRef": {"name": _NAME}}
    act = _made(setting, "ScaledObject", spec, annotations=annotations)
    wakes = marks != {"paused": "true"}
    return _Asleep("KEDA" if wakes else "KEDA, paused", {}, (act,), wakes=wakes)


def _template_of(setting: Setting) -> _Asleep:
    """A Deployment that is the template of something else."""
    kind, field = setting.rng.choice([("Rollout", "workloadRef"), ("Canary", "targetRef")])
    return _Asleep(f"the template of a {kind}", {}, (_made(setting, kind, {field: _REFERENCE}),))


def _left_alone(setting: Setting) -> _Asleep:
    """What a person scaled away, with marks that say nothing."""
    return _Asleep("by hand", {"annotations": dict(_KNOWN), "labels": {"app": "web2"}}, wakes=False)


def _made(
    setting: Setting,
    kind: str,
    spec: Manifest,
    *,
    status: Manifest | None = None,
    **metadata: Any,
) -> Act:
    body = {"kind": kind, "metadata": setting.metadata("night", **metadata), "spec": spec}
    return Act(Verb.CREATE, body | ({"status": status} if status else {}))


_FORMS: tuple[Callable[[Setting], _Asleep], ...] = (
    _named,
    _noted,
    _managed,
    _deployed,
    _by_application,
    _scripted,
    _green,
    _paused,
    _template_of,
    _left_alone,
)
SLEEPERS: tuple[tuple[Callable[[Setting], State], int], ...] = ((asleep, 8),)
