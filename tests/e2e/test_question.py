"""A question with a slip is never answered "safe": what it names and no cluster has is told, on real API servers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import write_login
from tests.e2e.fleet import REGISTRY, Space, docker_config
from tests.e2e.readiness import Place, found, judged
from tests.e2e.service import Service


def covered(space: Space) -> Place:
    """Make a namespace that uses the registry and is in line."""
    return Place(space, ("docker",)).secret().workload()


@pytest.fixture
def place(space: Space) -> Place:
    return covered(space)


def blocking(check: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return class, kind and name of what blocks."""
    rows = [row for row in check["findings"] if row["severity"] == "blocking"]
    return [(row["class"], row["kind"], row["name"]) for row in rows]


def slips(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the warnings about the question; others are about what stands on the clusters."""
    codes = (
        *("namespace_not_found", "namespace_selector_not_matched"),
        *("service_account_not_found", "credential_short_lived"),
    )
    return [each for each in body["warnings"] if each["code"] in codes]


def gate(service: Service, check: dict[str, Any]) -> Any:
    return service.http.get(f"/readiness-checks/{check['id']}/gate")


def test_a_namespace_that_no_cluster_has_is_unknown_and_the_gate_names_it(
    service: Service, place: Place
) -> None:
    slip = f"{place.name}x"

    check = judged(service, namespaces=[slip])

    assert check["verdict"] == "unknown"
    row = found(check, "C_UNMATCHED")
    assert (row["severity"], row["doubt"], row["name"]) == ("blocking", True, slip)
    assert f"Did you mean '{place.name}'?" in row["explanation"]
    closed = gate(service, check)
    assert closed.status_code == 412
    assert slip in closed.text


def test_a_slip_beside_a_namespace_that_is_in_line_is_unknown(
    service: Service, place: Place
) -> None:
    assert judged(service, namespaces=[place.name])["verdict"] == "safe"

    check = judged(service, namespaces=[place.name, f"{place.name}x"])

    assert check["verdict"] == "unknown"
    assert blocking(check) == [("C_UNMATCHED", "Namespace", f"{place.name}x")]


@pytest.mark.parametrize(
    ("slip", "kind"),
    [
        ({"namespaces": ["no-such-*"]}, "Namespace"),
        ({"namespace_selector": "team=nowhere"}, "NamespaceSelector"),
    ],
)
def test_a_glob_or_selector_that_matches_no_namespace_is_unknown(
    service: Service, place: Place, slip: dict[str, Any], kind: str
) -> None:
    check = judged(service, **({"namespaces": [place.name]} | slip))

    assert check["verdict"] == "unknown"
    assert [each[1] for each in blocking(check)] == [kind]


def test_namespaces_that_are_all_left_out_are_unknown(service: Service, place: Place) -> None:
    check = judged(service, namespaces=[place.name], ignore=[place.name])

    assert check["verdict"] == "unknown"
    assert blocking(check) == [("C_UNMATCHED", "Namespaces", "all")]


def test_a_slip_in_ignore_is_a_warning(service: Service, place: Place) -> None:
    check = judged(service, namespaces=[place.name], ignore=[f"{place.name}-x"])

    assert check["verdict"] == "safe"
    row = found(check, "C_UNMATCHED")
    assert (row["severity"], row["name"]) == ("warning", f"{place.name}-x")


def test_a_namespace_that_one_of_two_clusters_has_is_no_slip(
    service: Service, place: Place
) -> None:
    check = judged(service, clusters=["alpha", "beta"], namespaces=[place.name])

    assert check["verdict"] == "safe"
    assert [cluster["verdict"] for cluster in check["clusters"]] == ["safe", "safe"]
    row = found(check, "C_UNMATCHED")
    assert (row["cluster"], row["severity"], row["doubt"]) == ("beta", "info", False)
    assert check["summary"]["blocking"] == 0
    assert gate(service, check).status_code == 200


def test_a_namespace_that_no_cluster_of_two_has_is_a_slip(service: Service, place: Place) -> None:
    wanted = [place.name, f"{place.name}x"]

    check = judged(service, clusters=["alpha", "beta"], namespaces=wanted)

    assert check["verdict"] == "unknown"
    assert {name for _, _, name in blocking(check)} == {f"{place.name}x"}
    assert gate(service, check).status_code == 412


def test_a_registry_that_nothing_uses_is_unknown(service: Service, place: Place) -> None:
    wrong = "registry.exmaple.com"

    check = judged(service, namespaces=[place.name], registry=wrong, credential=None)

    assert check["verdict"] == "unknown"
    row = found(check, "C_UNUSED")
    assert (row["severity"], row["kind"], row["name"]) == ("blocking", "Registry", wrong)
    assert "did you mean that?" in row["explanation"]
    assert REGISTRY in row["explanation"]


def test_a_registry_that_one_of_two_clusters_uses_is_no_slip(
    service: Service, place: Place
) -> None:
    check = judged(service, clusters=["alpha", "beta"], namespaces=[place.name])

    assert check["verdict"] == "safe"
    unused = [row for row in check["findings"] if row["class"] == "C_UNUSED"]
    assert [row["severity"] for row in unused] in ([], ["info"])


@pytest.mark.parametrize("spelled", [f"{REGISTRY}:0443", f"{REGISTRY}:443", REGISTRY.upper()])
def test_an_image_of_another_spelling_comes_from_the_registry_and_needs_a_key_of_its_own(
    service: Service, space: Space, spelled: str
) -> None:
    place = Place(space, ("docker",)).secret().workload(image=f"{spelled}/team/app:1")

    check = judged(service, namespaces=[place.name])

    assert check["verdict"] == "not_safe"
    assert found(check, "W_KEY")["image"] == f"{spelled}/team/app:1"


def test_a_registry_that_the_credential_is_not_for_is_refused(service: Service) -> None:
    answer = service.http.post(
        "/readiness-checks",
        json={"clusters": ["*"], "registry": "registry.exmaple.com", "credential": "harbor"},
    )

    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["code"] == "no_login"
    assert f"it is for: {REGISTRY}" in error["detail"]


@pytest.mark.parametrize("value", ["True", "1", "t", "TRUE"])
def test_an_annotation_of_the_api_server_is_read_as_go_does(
    service: Service, space: Space, value: str
) -> None:
    place = Place(space).secret().workload("docker")
    annotations = {"kubernetes.io/enforce-mountable-secrets": value}
    place.patch(
        "/api/v1/namespaces/{}/serviceaccounts/default",
        {"metadata": {"annotations": annotations}},
    )

    check = judged(service, namespaces=[place.name])

    assert check["verdict"] == "not_safe"
    assert found(check, "W_ENFORCED")


def test_a_namespace_that_excludes_itself_is_doubt_until_the_request_leaves_it_out(
    service: Service, place: Place
) -> None:
    """Its owners keep the remediation away; whoever asks about the flip did not say that its pods may break."""
    annotations = {"remediator.dev/exclude": "true"}
    own = Place.at(place.space, place.space.namespace("own", annotations=annotations)).workload()

    by_glob = judged(service, namespaces=[place.space.pattern])
    by_name = judged(service, namespaces=[place.name, own.name])
    accepted = judged(service, namespaces=[place.space.pattern], ignore=[own.name])

    assert by_glob["verdict"] == by_name["verdict"] == "unknown"
    assert blocking(by_glob) == blocking(by_name) == [("N_IGNORED", "Namespace", own.name)]
    assert gate(service, by_glob).status_code == 412
    assert accepted["verdict"] == "safe"


def test_a_namespace_that_excludes_itself_and_is_covered_is_safe(
    service: Service, place: Place
) -> None:
    annotations = {"remediator.dev/exclude": "true"}
    own = Place.at(place.space, place.space.namespace("own", (), annotations=annotations))
    own.space.account(own.name, "default", "docker")
    own.secret().workload()

    assert judged(service, namespaces=[place.space.pattern])["verdict"] == "safe"


@pytest.mark.parametrize("value", ["True", "1"])
def test_a_namespace_that_excludes_itself_in_another_spelling_is_not_written_to(
    service: Service, space: Space, value: str
) -> None:
    name = space.namespace("out", annotations={"remediator.dev/exclude": value})

    outcome = service.remediate(clusters=["alpha"], namespaces=[name])

    assert outcome.row(name)["outcome"] == "ignored"


ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


@pytest.fixture
def ecr(service: Service, credentials: Path) -> Iterator[str]:
    """A credential whose login is right now and ends within hours."""
    entry = credentials / "ecr"
    write_login(entry, ECR, "AWS", "made-up-token")
    service.wait_for_credential("ecr")
    yield entry.name
    shutil.rmtree(entry)


def test_a_login_that_ends_within_hours_is_told_and_not_safe(
    service: Service, space: Space, ecr: str
) -> None:
    content = docker_config(ECR, "AWS", "made-up-token")
    place = Place(space, ("docker",)).secret(content).workload(image=f"{ECR}/team/app:1")

    check = judged(service, namespaces=[place.name], registry=ECR, credential=ecr)
    plan = service.remediate(
        clusters=["alpha"], namespaces=[place.name], credential=ecr, dry_run=True
    )
    listed = service.http.get("/credentials").json()["items"]

    assert check["verdict"] == "unknown"
    assert blocking(check) == [("R_SHORT_LIVED", "Credential", ecr)]
    assert "ends 12 hours after it was made" in found(check, "R_SHORT_LIVED")["explanation"]
    assert gate(service, check).status_code == 412
    (warning,) = slips(plan.body)
    assert (warning["code"], warning["name"]) == ("credential_short_lived", ecr)
    (known,) = [each for each in listed if each["name"] == ecr]
    assert "ends 12 hours after it was made" in known["warning"]
    assert "made-up-token" not in json.dumps([check, plan.body, listed])


def test_a_remediation_names_patterns_that_match_nothing(service: Service, place: Place) -> None:
    plan = service.remediate(
        clusters=["alpha"],
        namespaces=[place.name, "no-such-*"],
        service_accounts=["default", "nobody", f"{place.name}/defualt"],
        ignore_service_accounts=["builder-*"],
        ignore=[f"{place.name}-x"],
        dry_run=True,
    )

    warned = {(each["code"], each["name"]): each["detail"] for each in slips(plan.body)}
    assert set(warned) == {
        ("namespace_not_found", "no-such-*"),
        ("namespace_not_found", f"{place.name}-x"),
        ("service_account_not_found", "nobody"),
        ("service_account_not_found", f"{place.name}/defualt"),
        ("service_account_not_found", "builder-*"),
    }
    assert (
        f"did you mean '{place.name}/default'?"
        in warned["service_account_not_found", f"{place.name}/defualt"]
    )


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_remediation_whose_accounts_match_nothing_warns(
    service: Service, space: Space, dry_run: bool
) -> None:
    place = Place(space)

    outcome = service.remediate(
        clusters=["alpha", "beta"],
        namespaces=[place.name],
        service_accounts=["nobody"],
        dry_run=dry_run,
    )

    (warning,) = slips(outcome.body)
    assert (warning["code"], warning["name"]) == ("service_account_not_found", "nobody")
    written = "would be written" if dry_run else "is written"
    assert f"the Secret {written} all the same" in warning["detail"]


def test_a_slip_in_ignore_beside_named_namespaces_is_told(service: Service, space: Space) -> None:
    name, other = Place(space).name, space.namespace("main2")
    asked = {"clusters": ["alpha"], "namespaces": [name], "dry_run": True}

    wrong = service.remediate(**asked, ignore=[f"{name}x", "kube-system"])
    right = service.remediate(**asked, ignore=[other, "kube-system"])

    (warning,) = slips(wrong.body)
    assert (warning["code"], warning["name"]) == ("namespace_not_found", f"{name}x")
    assert warning["detail"].endswith(f"did you mean '{name}'?")
    assert slips(right.body) == []


def test_a_remediation_whose_selector_matches_nothing_warns(service: Service, place: Place) -> None:
    outcome = service.remediate(
        clusters=["alpha"], namespaces=[place.name], namespace_selector="team=nowhere"
    )

    (warning,) = slips(outcome.body)
    assert warning["code"] == "namespace_selector_not_matched"


def test_a_misspelt_namespace_of_a_remediation_is_told_with_the_nearest(
    service: Service, place: Place
) -> None:
    outcome = service.remediate(clusters=["alpha"], namespaces=[f"{place.name}x"])

    (warning,) = slips(outcome.body)
    assert warning["detail"].endswith(f"did you mean '{place.name}'?")
