"""What custom resources and annotations say about the login of tools that ask the registry by themselves."""

from typing import Any

import pytest

from remediation.readiness.observation import Asks, Container, Workload
from worker.readiness.askers import asks_of, polls
from worker.readiness.traces import Traces
from worker.readiness.wire_meta import WireMeta

HOST = "registry.example.com"
IMAGE = f"{HOST}/team/app:1"
UPDATER = "argocd-image-updater.argoproj.io"


@pytest.mark.parametrize(
    ("group", "spec", "secrets", "account"),
    [
        ("image.toolkit.fluxcd.io", {"secretRef": {"name": "flux"}}, ("flux",), ""),
        ("source.toolkit.fluxcd.io", {"serviceAccountName": "robot"}, (), "robot"),
        ("image.toolkit.fluxcd.io", {"secretRef": "odd", "serviceAccountName": 1}, (), ""),
        ("image.toolkit.fluxcd.io", [], (), ""),
        ("kuik.enix.io", {"pullSecretNames": ["a", "b"]}, ("a", "b"), ""),
        ("kuik.enix.io", {"pullSecretNames": "a"}, (), ""),
    ],
)
def test_what_an_object_names_is_read(
    group: str, spec: Any, secrets: tuple[str, ...], account: str
) -> None:
    asks = asks_of("team", group, {"spec": spec}, "spec.image", IMAGE)

    assert asks
    assert (asks.secrets, asks.account, asks.namespace) == (secrets, account, "team")


def test_other_objects_say_nothing() -> None:
    assert asks_of("team", "db.example.com", {"spec": {}}, "spec.image", IMAGE) is None


@pytest.mark.parametrize(
    ("notes", "text", "named"),
    [
        ({"pull-secret": "pullsecret:team/a"}, IMAGE, ("team", ("a",))),
        ({"app.pull-secret": "pullsecret:team/a"}, f"app={IMAGE}", ("team", ("a",))),
        ({"app.pull-secret": "pullsecret:team/a"}, IMAGE, ("", ())),
        ({"app.pull-secret": "pullsecret:team/a"}, f"app={IMAGE}, b={IMAGE}", ("", ())),
        ({"pull-secret": "secret:team/a#field"}, IMAGE, ("", ())),
        ({"pull-secret": "env:LOGIN"}, IMAGE, ("", ())),
        ({}, IMAGE, ("", ())),
    ],
)
def test_the_secret_of_an_image_list_counts_if_all_its_images_have_it(
    notes: dict[str, str], text: str, named: tuple[str, tuple[str, ...]]
) -> None:
    annotations = {f"{UPDATER}/{name}": value for name, value in notes.items()}
    place = f"metadata.annotations[{UPDATER}/image-list]"
    document = {"metadata": {"annotations": annotations}}

    asks = asks_of("argocd", "argoproj.io", document, place, text)

    assert asks
    assert (asks.namespace, asks.secrets) == named


def polled(marks: dict[str, str], own: tuple[str, ...] = ()) -> list[Asks | None]:
    """Return with what keel asks for the image of a workload with these annotations."""
    meta = WireMeta("web", "team", annotations={f"keel.sh/{key}": marks[key] for key in marks})
    containers = (Container("main", IMAGE), Container("other", "quay.io/other/app:1"))
    workload = Workload("team", "Deployment", "web", containers, own)
    return [mention.asks for mention in polls(workload, meta, Traces([HOST]))]


def test_keel_asks_with_what_its_annotation_or_the_pods_name() -> None:
    (named,) = polled({"policy": "all", "trigger": "poll", "imagePullSecret": "keel"})
    (own,) = polled({"policy": "all", "pollSchedule": "@every 1m"}, ("mine",))
    (silent,) = polled({"policy": "all", "trigger": "poll"})

    assert named
    assert own
    assert silent
    assert (named.secrets, named.account) == (("keel",), "")
    assert (own.secrets, own.account) == (("mine",), "")
    assert (silent.secrets, silent.account) == ((), "default")


@pytest.mark.parametrize(
    "marks",
    [{"policy": "all"}, {"trigger": "poll"}, {"policy": "never", "trigger": "poll"}],
    ids=["by webhooks", "without a policy", "never"],
)
def test_keel_asks_for_nothing_that_it_is_not_told_to_poll(marks: dict[str, str]) -> None:
    assert polled(marks) == []
