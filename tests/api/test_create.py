"""POST /remediations."""

import json
import re
import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.app import create_app
from api.remediations import ID_PATTERN
from api.settings import Settings
from remediation.inventory import AnnouncedCluster, AnnouncedCredential
from remediation.request import OnConflict, RegistryCheck
from store.connection import connect
from store.queue import Queue
from store.store import Store
from tests.api.conftest import API, CREDENTIAL, Announce, Work, a_row

GOOD: dict[str, Any] = {"clusters": ["*"], "credential": CREDENTIAL}


def post(client: FlaskClient, body: Any, query: str = "", **headers: str) -> TestResponse:
    """Ask for a remediation."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(f"{API}/remediations{query}", json=body, headers=names)


def errors(answer: TestResponse) -> dict[str, tuple[str, str]]:
    """Return code and detail of everything that is wrong, by pointer."""
    assert answer.status_code == 422, answer.text
    return {
        error["pointer"]: (error["code"], error["detail"])
        for error in json.loads(answer.data)["errors"]
    }


def test_accepts_and_says_where_to_look(client: FlaskClient, announce: Announce) -> None:
    announce("eu-1", "eu-2")

    answer = post(client, GOOD | {"reason": "CHG-1881", "labels": {"team": "sre"}})

    body = answer.get_json()
    assert answer.status_code == 202
    assert re.fullmatch(ID_PATTERN, body["id"])
    assert answer.headers["Location"] == f"{API}/remediations/{body['id']}"
    assert answer.headers["Retry-After"] == "2"
    assert re.fullmatch(r'"\d+-\d+"', answer.headers["ETag"])
    assert body["status"] == "queued"
    assert body["terminal"] is False
    assert body["requested_by"] == "client:ci"
    assert body["reason"] == "CHG-1881"
    assert body["labels"] == {"team": "sre"}
    assert [(run["name"], run["status"]) for run in body["clusters"]] == [
        ("eu-1", "queued"),
        ("eu-2", "queued"),
    ]
    assert client.get(answer.headers["Location"]).get_json() == body


def test_records_the_request_with_its_defaults(
    client: FlaskClient, announce: Announce, store: Store
) -> None:
    announce("eu-1")

    identity = post(client, GOOD).get_json()["id"]

    stored = store.remediations.get(identity)
    assert stored is not None
    assert stored.request.namespaces == ("*",)
    assert stored.request.ignore == ()
    assert stored.request.secret_name == "docker"
    assert stored.request.on_conflict is OnConflict.FAIL
    assert stored.request.registry_check is RegistryCheck.REQUIRE
    assert stored.request.timeout_seconds == 3600


def test_every_field_is_taken(client: FlaskClient, announce: Announce) -> None:
    announce("eu-1")
    body = GOOD | {
        "namespaces": ["team-*", "shop"],
        "ignore": ["team-x"],
        "namespace_selector": "team in (a,b),!legacy",
        "service_accounts": ["default", "shop/*"],
        "ignore_service_accounts": ["kube-system/*"],
        "secret_name": "pull.secret-1",
        "on_conflict": "merge",
        "dry_run": True,
        "readiness": False,
        "registry_check": "warn",
        "timeout_seconds": 60,
        "reason": "x" * 500,
        "labels": {"k" * 63: "v" * 200},
    }

    answer = post(client, body)

    assert answer.status_code == 202, answer.text
    assert answer.get_json()["request"] == body | {"inline_credential": None}
    assert answer.get_json()["dry_run"] is True


def test_wakes_a_worker_for_each_run(client: FlaskClient, announce: Announce, store: Store) -> None:
    announce("eu-1", "eu-2")
    announce("us-1", pool="america")

    identity = post(client, GOOD).get_json()["id"]

    woken = {
        pool: [list(job.args) for job in store.queue.of(pool).get_jobs()]
        for pool in ("default", "america")
    }
    assert woken == {
        "default": [[f"{identity}-0"], [f"{identity}-1"]],
        "america": [[f"{identity}-2"]],
    }


def test_prefers_a_pool_that_holds_the_credential(
    client: FlaskClient, announce: Announce, store: Store
) -> None:
    announce("eu-1", "eu-2", pool="a", credentials=["another"])
    announce("eu-1", pool="b")

    identity = post(client, GOOD).get_json()["id"]

    stored = store.remediations.get(identity)
    assert stored is not None
    assert [(run.cluster, run.pool) for run in stored.runs] == [("eu-1", "b"), ("eu-2", "a")]


def test_a_wake_up_that_fails_does_not_matter(
    client: FlaskClient, announce: Announce, store: Store, settings: Settings
) -> None:
    announce("eu-1")
    lost = Queue(connect("unix:///nowhere/redis.sock", retries=0, text=False))
    other = create_app(settings, replace(store, queue=lost)).test_client()
    other.environ_base.update(client.environ_base)

    answer = post(other, GOOD)

    assert answer.status_code == 202
    assert store.remediations.get(answer.get_json()["id"]) is not None
    lost.close()


def test_waits_for_the_end(
    client: FlaskClient, announce: Announce, store: Store, work: Work
) -> None:
    announce("eu-1")

    def carry_out() -> None:
        while not (ids := store.remediations.open_ids()):
            time.sleep(0.02)
        work.run(ids[0], [a_row("shop")])

    worker = threading.Thread(target=carry_out)
    worker.start()
    answer = post(client, GOOD, "?wait=30")
    worker.join()

    assert answer.status_code == 202
    assert answer.get_json()["status"] == "succeeded"


def test_waits_as_it_is_preferred(
    client: FlaskClient, announce: Announce, waited: list[float]
) -> None:
    announce("eu-1")

    answer = post(client, GOOD, Prefer="respond-async, wait=1")

    assert answer.status_code == 202
    assert answer.headers["Preference-Applied"] == "wait=1"
    assert sum(waited) == 1


def test_an_idempotency_key_is_harmless(client: FlaskClient, announce: Announce) -> None:
    announce("eu-1")

    assert post(client, GOOD, Idempotency_Key='"8e03978e"').status_code == 202


@pytest.mark.parametrize("wait", ["61", "2m", "-1", "soon", "1.5"])
def test_a_wait_that_cannot_be(client: FlaskClient, announce: Announce, wait: str) -> None:
    announce("eu-1")

    assert list(errors(post(client, GOOD, f"?wait={wait}"))) == ["#/wait"]


@pytest.mark.parametrize(
    ("field", "value", "pointer"),
    [
        ("clusters", [], "#/clusters"),
        ("clusters", "eu-1", "#/clusters"),
        ("clusters", None, "#/clusters"),
        ("clusters", ["eu-1", ""], "#/clusters/1"),
        ("clusters", ["eu-1", " eu-1"], "#/clusters/1"),
        ("clusters", ["eu-1", 1], "#/clusters/1"),
        ("clusters", ["eu-1"] * 1001, "#/clusters"),
        ("namespaces", [], "#/namespaces"),
        ("namespaces", ["Team"], "#/namespaces/0"),
        ("namespaces", ["x" * 254], "#/namespaces/0"),
        ("ignore", [], "#/ignore"),
        ("ignore", [""], "#/ignore/0"),
        ("service_accounts", ["a/b/c"], "#/service_accounts/0"),
        ("ignore_service_accounts", ["a/"], "#/ignore_service_accounts/0"),
        ("namespace_selector", "", "#/namespace_selector"),
        ("namespace_selector", "a in b", "#/namespace_selector"),
        ("credential", "", "#/credential"),
        ("credential", 5, "#/credential"),
        ("credential", "a\nb", "#/credential"),
        ("secret_name", "", "#/secret_name"),
        ("secret_name", "-a", "#/secret_name"),
        ("secret_name", "a.", "#/secret_name"),
        ("secret_name", "a" * 254, "#/secret_name"),
        ("secret_name", "docker\n", "#/secret_name"),
        ("on_conflict", "delete", "#/on_conflict"),
        ("dry_run", "true", "#/dry_run"),
        ("dry_run", 1, "#/dry_run"),
        ("dry_run", None, "#/dry_run"),
        ("registry_check", "maybe", "#/registry_check"),
        ("registry_check", None, "#/registry_check"),
        ("readiness", "yes", "#/readiness"),
        ("timeout_seconds", 0, "#/timeout_seconds"),
        ("timeout_seconds", 86401, "#/timeout_seconds"),
        ("timeout_seconds", 1.5, "#/timeout_seconds"),
        ("timeout_seconds", "60", "#/timeout_seconds"),
        ("timeout_seconds", True, "#/timeout_seconds"),
        ("reason", "", "#/reason"),
        ("reason", "a\nb", "#/reason"),
        ("reason", "x" * 501, "#/reason"),
        ("labels", {"": "v"}, "#/labels/"),
        ("labels", {"k": ""}, "#/labels/k"),
        ("labels", {"a/b": 1}, "#/labels/a~1b"),
        ("labels", {"k" * 64: "v"}, f"#/labels/{'k' * 64}"),
        ("labels", {"k": "v" * 201}, "#/labels/k"),
        ("labels", {str(number): "v" for number in range(21)}, "#/labels"),
        ("labels", [], "#/labels"),
        ("namespace", ["team"], "#/namespace"),
        ("notify", ["ops"], "#/notify"),
    ],
)
def test_a_wrong_field_is_pointed_at(
    client: FlaskClient,
    announce: Announce,
    store: Store,
    field: str,
    value: Any,
    pointer: str,
) -> None:
    announce("eu-1")

    answer = post(client, GOOD | {field: value})

    assert list(errors(answer)) == [pointer]
    assert store.remediations.open_ids() == []


@pytest.mark.parametrize("field", ["on_conflict", "registry_check"])
def test_a_wrong_word_is_told_with_the_right_ones(
    client: FlaskClient, announce: Announce, field: str
) -> None:
    """Whoever reads the message need not look up what was sent, nor what could be; a long text is cut."""
    announce("eu-1")

    (wrong,) = errors(post(client, GOOD | {field: "maybe"})).values()
    (long,) = errors(post(client, GOOD | {field: "x" * 5000})).values()
    (number,) = errors(post(client, GOOD | {field: 5})).values()

    words = wrong[1].removeprefix("'maybe' is none of ")
    assert len(words.split(", ")) == 3
    assert long[1] == f"'{'x' * 60}…' is none of {words}"
    assert number[1] == f"must be one of {words}"


@pytest.mark.parametrize("body", [[], "x", 1, None])
def test_a_body_that_is_no_object(client: FlaskClient, announce: Announce, body: Any) -> None:
    announce("eu-1")
    answer = client.post(
        f"{API}/remediations", data=json.dumps(body), content_type="application/json"
    )

    found = json.loads(answer.data)["errors"]
    assert answer.status_code == 422
    assert found[0] == {"pointer": "#", "detail": "must be an object", "code": "invalid"}


def test_where_no_cluster_is_served_it_is_said_why(client: FlaskClient, announce: Announce) -> None:
    announce(problems=("REMEDIATOR_CONTEXTS 'eu-prdo' matches none of: eu-prod",))

    found = errors(post(client, {"clusters": ["*"], "credential": "harbor"}))

    assert found["#/clusters/0"][1] == (
        "unknown cluster '*'. Known clusters: none. A worker says: REMEDIATOR_CONTEXTS 'eu-prdo' matches none of: "
        "eu-prod."
    )


def test_everything_that_is_wrong_is_said_at_once(client: FlaskClient, announce: Announce) -> None:
    announce("eu-stage-1")
    body = {
        "clusters": ["eu-stage-1", "eu-stagng-1"],
        "namespace": ["x"],
        "namespaces": [],
        "credential": "internal-registri",
    }

    found = errors(post(client, body))

    assert found["#/clusters/1"] == (
        "unknown_cluster",
        "unknown cluster 'eu-stagng-1'; did you mean 'eu-stage-1'? Known clusters: eu-stage-1.",
    )
    assert found["#/namespace"] == (
        "unknown_field",
        "there is no field 'namespace'; did you mean 'namespaces'?",
    )
    assert found["#/credential"][0] == "unknown_credential"
    assert f"did you mean '{CREDENTIAL}'?" in found["#/credential"][1]
    assert found["#/namespaces"][0] == "invalid"
    assert len(found) == 4


def test_what_is_needed(client: FlaskClient, announce: Announce) -> None:
    announce("eu-1")

    found = errors(post(client, {}))

    assert found["#/clusters"] == ("required", "is required")
    assert found["#/credential"] == (
        "required",
        f"is required. Known credentials: {CREDENTIAL}.",
    )


def test_a_glob_that_matches_nothing(client: FlaskClient, announce: Announce) -> None:
    announce("eu-1")

    found = errors(post(client, GOOD | {"clusters": ["us-*", "eu-*"]}))

    assert list(found) == ["#/clusters/0"]
    assert found["#/clusters/0"][0] == "unknown_cluster"


def test_long_lists_of_known_names_are_cut(client: FlaskClient, announce: Announce) -> None:
    announce(*(f"eu-{number:02}" for number in range(30)))

    detail = errors(post(client, GOOD | {"clusters": ["x"]}))["#/clusters/0"][1]

    assert "eu-19 and 10 more." in detail
    assert "eu-20" not in detail


@pytest.mark.parametrize("clusters", [["old"], ["eu-1", "old"]])
def test_a_broken_context_that_is_named_is_refused_with_its_reason(
    client: FlaskClient, announce: Announce, clusters: list[str]
) -> None:
    announce("eu-1", AnnouncedCluster("old", problem="its certificate file is missing"))

    found = errors(post(client, GOOD | {"clusters": clusters}))

    ((code, detail),) = found.values()
    assert code == "cluster_unusable"
    assert "'old' cannot be used: its certificate file is missing" in detail


@pytest.mark.parametrize("clusters", [["*"], ["eu-1", "ol?"]])
def test_a_broken_context_that_a_glob_matches_is_not_passed_over_in_silence(
    client: FlaskClient, announce: Announce, clusters: list[str]
) -> None:
    announce("eu-1", AnnouncedCluster("old", problem="its certificate file is missing"))

    answer = post(client, GOOD | {"clusters": clusters})

    assert answer.status_code == 202
    assert [cluster["name"] for cluster in answer.get_json()["clusters"]] == ["eu-1", "old"]


@pytest.mark.parametrize(
    ("clusters", "runs"),
    [(["*"], ["eu-1", "us"]), (["eu-*"], ["eu-1"]), (["*", "eu-2"], ["eu-2", "us"])],
)
def test_a_glob_counts_an_api_server_of_two_names_once_and_says_so(
    client: FlaskClient, announce: Announce, clusters: list[str], runs: list[str]
) -> None:
    announce(*(AnnouncedCluster(name, uid="u1") for name in ("eu-1", "eu-2")), "us")

    body = post(client, GOOD | {"clusters": clusters}).get_json()

    kept, other = (runs[0], "eu-1" if runs[0] == "eu-2" else "eu-2")
    assert [cluster["name"] for cluster in body["clusters"]] == runs
    (warning,) = body["warnings"]
    assert (warning["code"], warning["name"]) == ("same_api_server", kept)
    assert warning["detail"].startswith(f"{other} is the same API server as {kept}")


def test_an_api_server_gets_a_run_by_each_of_its_names_that_is_named(
    client: FlaskClient, announce: Announce
) -> None:
    announce(*(AnnouncedCluster(name, uid="u1") for name in ("eu-1", "eu-2")))

    body = post(client, GOOD | {"clusters": ["eu-1", "eu-2"]}).get_json()

    assert [cluster["name"] for cluster in body["clusters"]] == ["eu-1", "eu-2"]
    assert [cluster["reason"] for cluster in body["clusters"]] == [
        None,
        "waits for its run on eu-1, the same API server",
    ]
    assert body["warnings"] == []


def test_a_plan_and_the_audit_trail_say_which_clusters_are_insecure(
    client: FlaskClient, announce: Announce, capfd: pytest.CaptureFixture[str]
) -> None:
    announce("eu-1", AnnouncedCluster("lab", "https://lab", insecure=True))

    body = post(client, GOOD | {"clusters": ["*"], "dry_run": True}).get_json()

    (warning,) = body["warnings"]
    assert (warning["code"], warning["name"]) == ("insecure_cluster", "lab")
    assert '"insecure_clusters":["lab"]' in capfd.readouterr().out


def test_an_unusable_credential_is_refused_with_its_reason(
    client: FlaskClient, announce: Announce
) -> None:
    announce("eu-1", credentials=[AnnouncedCredential("x", problem="is not JSON")])

    found = errors(post(client, GOOD | {"credential": "x"}))

    assert found["#/credential"] == (
        "credential_unusable",
        "credential 'x' cannot be used: it is not JSON",
    )


def test_without_a_worker_it_is_said_how_to_start_one(client: FlaskClient) -> None:
    found = errors(post(client, GOOD))

    assert "`remediator worker`" in found["#/clusters/0"][1]
    assert "`remediator worker`" in found["#/credential"][1]


LOGIN = {"registry": "registry.example.com", "username": "puller", "password": "hunter2"}


@pytest.mark.parametrize(
    ("login", "pointers"),
    [
        (LOGIN, []),
        (LOGIN | {"registry": "Registry"}, ["#/inline_credential/registry"]),
        (LOGIN | {"username": ""}, ["#/inline_credential/username"]),
        (LOGIN | {"pasword": "hunter2"}, ["#/inline_credential/pasword"]),
        ({"password": "hunter2"}, ["#/inline_credential/registry", "#/inline_credential/username"]),
        (LOGIN | {"password": ["hunter2"]}, ["#/inline_credential/password"]),
        ("hunter2", ["#/inline_credential"]),
        (["hunter2"], ["#/inline_credential"]),
    ],
)
def test_a_password_is_not_taken_and_never_repeated(
    client: FlaskClient,
    announce: Announce,
    caplog: pytest.LogCaptureFixture,
    login: Any,
    pointers: list[str],
) -> None:
    caplog.set_level("DEBUG")
    announce("eu-1")

    answer = post(client, {"clusters": ["*"], "inline_credential": login})

    found = errors(answer)
    assert set(found) == {*pointers, "#/inline_credential"}
    assert found["#/inline_credential"][0] == "not_supported"
    assert CREDENTIAL in found["#/inline_credential"][1]
    assert "hunter2" not in answer.text
    assert "hunter2" not in caplog.text


def test_not_both_ways_to_give_a_credential(client: FlaskClient, announce: Announce) -> None:
    announce("eu-1")

    found = errors(post(client, GOOD | {"inline_credential": LOGIN}))

    assert found["#/credential"][0] == "ambiguous"
    assert found["#/inline_credential"][0] == "not_supported"


def test_the_location_is_absolute_if_the_public_address_is_known(
    client: FlaskClient, announce: Announce, settings: Settings
) -> None:
    announce("eu-1")
    object.__setattr__(settings, "public_url", "https://ops.example")

    answer = post(client, GOOD)

    identity = answer.get_json()["id"]
    assert answer.headers["Location"] == f"https://ops.example{API}/remediations/{identity}"
    assert answer.get_json()["links"]["self"] == answer.headers["Location"]
