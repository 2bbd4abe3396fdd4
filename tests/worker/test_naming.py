"""Which custom resources name a workload that wants no pods now."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from remediation.readiness.observation import Owner, Sleeper
from worker.readiness.naming import Names, is_schedule, scales_nothing, scripts_in, texts_of

WEB = ("team", "Deployment", "web")
NIGHTLY = ("team", "CronJob", "nightly")
SLEEPER = Sleeper("uid-web", {"app": "web", "tier": "shop"}, frozenset({"shop", "argocd_shop"}))
REFERENCE = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}


def named(
    document: dict[str, Any],
    *,
    namespace: str = "team",
    me: Owner | None = None,
    sleeper: Sleeper = SLEEPER,
) -> set[str]:
    """Return the names of the workloads that a custom resource names."""
    me = me or Owner("Sleeper", "night", "example.com")
    found = Names({WEB: sleeper, NIGHTLY: Sleeper()}).named_in(me, namespace, document)
    return {name for _, _, name in found}


@pytest.mark.parametrize(
    "spec",
    [
        {"workloadRef": REFERENCE},
        {"targetRef": REFERENCE},
        {"targets": [{"scaleTargetRef": {"name": "web"}}]},
        {"deployments": [{"name": "web"}]},
        {"deployments": ["api", "web"]},
        {"deployments": {"web": {"replicas": 2}}},
        {"target": "deployment/web"},
        {"target": "deployment.apps/web"},
        {"target": "team/web"},
        {"run": "kubectl scale deploy web --replicas=2; sleep 0.5"},
        {"target": {"labels": {"tier": "shop"}}},
        {"targets": "api, web"},
        {"names": ["we*"]},
        {"script": "set -e; " * 30 + "kubectl scale deployment web --replicas=3"},
        {"selector": {"matchLabels": {"app": "web"}}},
        {"workloadLabels": {"tier": "shop"}},
    ],
)
def test_it_is_named_in_any_field(spec: dict[str, Any]) -> None:
    assert named({"spec": spec}) == {"web"}
    assert named({"status": {"managed": [spec]}}) == {"web"}


@pytest.mark.parametrize(
    "spec",
    [
        {"targetRef": {"kind": "StatefulSet", "name": "web"}},
        {"target": {"kind": "Service", "name": "web"}},
        {"serviceName": "web"},
        {"service": {"name": "web"}},
        {"containers": [{"name": "web", "image": "registry.example.com/team/web:1"}]},
        {"source": "registry.example.com/team/web:1"},
        {"page": "http://web/ready"},
        {"file": "./apps/web"},
        {"web": {"port": 80}},
        {"targets": ["website"]},
        {"names": ["*"]},
        {"selector": {"matchLabels": {"app": "api"}}},
        {"selector": {}},
        {"text": "a web of lies " * 30},
        {"description": "the web of the shop"},
        {"commonLabels": {"tier": "shop"}},
        {"template": {"metadata": {"labels": {"tier": "shop"}}}},
    ],
)
def test_what_names_something_else_is_no_hint(spec: dict[str, Any]) -> None:
    assert named({"spec": spec}) == set()


@pytest.mark.parametrize("namespace", ["", "platform"])
def test_from_elsewhere_it_has_to_name_the_namespace_as_well(namespace: str) -> None:
    spec = {"targets": ["web"]}

    assert named({"spec": spec}, namespace=namespace) == set()
    for more in ({"namespace": "team"}, {"namespaces": ["team"]}, {"matchNames": ["team"]}):
        assert named({"spec": spec | more}, namespace=namespace) == {"web"}


def test_what_it_owns_is_about_it() -> None:
    document = {"metadata": {"ownerReferences": [{"kind": "Deployment", "uid": "uid-web"}]}}

    assert named(document) == {"web"}


def test_what_made_it_is_not_named_by_itself() -> None:
    me = Owner("Deployment", "web")

    assert named({"spec": {"name": "web"}}, me=me) == set()


APPLICATION = {
    "spec": {"destination": {"namespace": "team"}},
    "status": {"resources": [{"kind": "Deployment", "namespace": "team", "name": "web"}]},
}


@pytest.mark.parametrize(
    ("application", "name"), [(APPLICATION, "any"), ({"spec": APPLICATION["spec"]}, "shop")]
)
def test_what_deploys_it_names_it_unless_it_wants_no_pods_itself(
    application: dict[str, Any], name: str
) -> None:
    me = Owner("Application", name, "argoproj.io")
    own, by_hand = (
        Sleeper("uid-web", SLEEPER.labels, SLEEPER.texts, frozenset({writer}))
        for writer in ("argocd-controller", "kubectl-create")
    )

    assert named(application, namespace="argocd", me=me) == {"web"}
    assert named(application, namespace="argocd", me=me, sleeper=by_hand) == {"web"}
    assert named(application, namespace="argocd", me=me, sleeper=own) == set()


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("monitoring.coreos.com", True),
        ("networking.istio.io", True),
        ("acme.cert-manager.io", True),
        ("autoscaling.k8s.io", True),
        ("argoproj.io", False),
        ("example.com", False),
    ],
)
def test_groups_that_scale_nothing_are_known(group: str, expected: bool) -> None:
    assert scales_nothing(group) is expected


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ("sleepschedules.drowzee.challengr.io", True),
        ("namespacehibernations.example.com", True),
        ("k8s.kubecloudscaler.cloud", True),
        ("podautoscalers.autoscaling.internal.knative.dev", False),
        ("scheduledbackups.postgresql.cnpg.io", False),
        ("rollouts.argoproj.io", False),
    ],
)
def test_a_schedule_for_a_namespace_is_known_by_its_name(resource: str, expected: bool) -> None:
    assert is_schedule(resource) is expected


def test_all_texts_of_a_status_count() -> None:
    assert texts_of({"a": ["b", {"c": "d"}], "e": 1}) == {"b", "d"}
    assert texts_of(None) == frozenset()


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({"command": ["kubectl", "scale", "deployment", "web", "--replicas=3"]}, {"web"}),
        ({"args": ["-c", "oc scale deployment/web --replicas=3 && sleep 0.5"]}, {"web"}),
        (
            {"args": ["-c", 'kubectl patch cronjob nightly -p \'{"spec":{"suspend":false}}\'']},
            {"nightly"},
        ),
        ({"args": ["scaler"], "env": [{"name": "TARGET", "value": "web"}]}, {"web"}),
        ({"args": ["-c", "kubectl scale deployment api --replicas=3"]}, set()),
        ({"args": ["serve"], "env": [{"name": "UPSTREAM", "value": "web"}]}, set()),
    ],
)
def test_commands_that_scale_name_what_they_scale(
    container: dict[str, Any], expected: set[str]
) -> None:
    template = {"spec": {"containers": [{"name": "web", "image": "tools:1"} | container]}}
    raw = msgspec.Raw(msgspec.json.encode(template))
    scripts = [msgspec.json.decode(each) for each in scripts_in(raw)]

    assert named({"scripts": scripts}, me=Owner("CronJob", "morning")) == expected
