"""Tokens of Kubernetes ServiceAccounts, judged by a real API server."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.access_file import Kubernetes
from api.app import create_app
from api.identity import IdentityUnavailable
from api.oidc import TokenRefused
from api.settings import Settings
from api.token_review import KEPT_SECONDS, TokenReviewer
from controlplane.cluster import Cluster
from store.store import Store
from tests.e2e.fleet import until_allowed

AUDIENCE = "remediator"
REVIEWER = {"name": "reviewer", "namespace": "default"}


@pytest.fixture(scope="session")
def cluster(clusters: tuple[Cluster, ...]) -> Cluster:
    """Return a cluster with an account that may ask, one that calls, and one that may not ask."""
    cluster = clusters[0]
    cluster.apply(
        *(
            {"kind": "ServiceAccount", "metadata": {"name": name, "namespace": "default"}}
            for name in ("reviewer", "deployer", "curious")
        ),
        {
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "reviewer"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "system:auth-delegator",
            },
            "subjects": [{"kind": "ServiceAccount", **REVIEWER}],
        },
    )
    reviews = {
        "apiGroups": ["authentication.k8s.io"],
        "resources": ["tokenreviews"],
        "verbs": ["create"],
    }
    until_allowed(cluster, REVIEWER["name"], reviews)
    return cluster


def token_of(cluster: Cluster, name: str, *audiences: str) -> str:
    """Return a token of an account, as `kubectl create token` makes it."""
    spec: dict[str, Any] = {"expirationSeconds": 600}
    answer = cluster.http.post(
        f"/api/v1/namespaces/default/serviceaccounts/{name}/token",
        json={"spec": spec | ({"audiences": list(audiences)} if audiences else {})},
    )
    answer.raise_for_status()
    return str(answer.json()["status"]["token"])


@pytest.fixture
def settings(cluster: Cluster, tmp_path: Path) -> Kubernetes:
    """Return how the API reaches the cluster, with a token of the reviewer."""
    token_file = tmp_path / "token"
    token_file.write_text(token_of(cluster, "reviewer"))
    return Kubernetes(
        audience=AUDIENCE, server=cluster.server, ca_file=cluster.ca_file, token_file=token_file
    )


class _Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def client(settings: Kubernetes, tmp_path: Path, store: Store) -> FlaskClient:
    """Return a client of a service that asks the cluster."""
    access_file = tmp_path / "access.yaml"
    document = {
        "kubernetes": {
            "audience": AUDIENCE,
            "server": settings.server,
            "ca_file": str(settings.ca_file),
            "token_file": settings.token_file.name,  # beside the access file
        },
        "bindings": [
            {
                "subjects": ["serviceaccount:default/*"],
                "role": "requester",
                "clusters": ["alpha"],
                "namespaces": ["*"],
                "credentials": ["*"],
            },
            {
                "subjects": ["group:system:*"],
                "role": "admin",
                "clusters": ["*"],
                "namespaces": ["*"],
                "credentials": ["*"],
            },
        ],
    }
    access_file.write_text(json.dumps(document))
    return create_app(Settings(access_file=access_file), store).test_client()


def whoami(client: FlaskClient, token: str) -> TestResponse:
    """Ask who the service takes the bearer of a token for."""
    return client.get("/api/v1/whoami", headers={"Authorization": f"Bearer {token}"})


def test_a_service_account_gets_in_with_our_audience(cluster: Cluster, client: FlaskClient) -> None:
    for audiences in ((AUDIENCE,), ("other", AUDIENCE)):
        body = whoami(client, token_of(cluster, "deployer", *audiences)).get_json()

        assert body["subject"] == "serviceaccount:default/deployer"
        assert body["method"] == "kubernetes"
        # Every account is in system:serviceaccounts; that is no group of the access file.
        assert (body["groups"], body["roles"]) == ([], ["requester"])


@pytest.mark.parametrize(
    "other",
    [
        lambda cluster: token_of(cluster, "deployer"),  # for the API server itself
        lambda cluster: token_of(cluster, "deployer", "vault"),
        lambda cluster: token_of(cluster, "deployer", AUDIENCE + "-test"),
        lambda cluster: token_of(cluster, "deployer", AUDIENCE)[:-4] + "AAAA",
        lambda cluster: cluster.admin_token,
        lambda cluster: "a.b.c",
    ],
)
def test_no_other_token_gets_in(
    cluster: Cluster, client: FlaskClient, other: Callable[[Cluster], str]
) -> None:
    assert whoami(client, other(cluster)).status_code == 401


def test_a_token_bound_to_an_account_that_is_gone_is_good_for_seconds_at_most(
    cluster: Cluster, settings: Kubernetes
) -> None:
    cluster.apply({"kind": "ServiceAccount", "metadata": {"name": "leaving"}})
    token = token_of(cluster, "leaving", AUDIENCE)
    clock = _Clock()
    reviewer = TokenReviewer(settings, clock)
    assert reviewer.identify(token).requester.subject == "serviceaccount:default/leaving"

    cluster.http.delete("/api/v1/namespaces/default/serviceaccounts/leaving").raise_for_status()

    clock.seconds += KEPT_SECONDS - 1
    reviewer.identify(token)
    for _ in range(120):  # the API server remembers its own verdicts for a while, too
        clock.seconds += KEPT_SECONDS
        try:
            reviewer.identify(token)
        except TokenRefused:
            return
        time.sleep(0.5)
    pytest.fail("the token is still taken")


def test_its_own_token_is_read_anew_for_each_question(
    cluster: Cluster, settings: Kubernetes
) -> None:
    reviewer = TokenReviewer(settings)
    good = settings.token_file.read_text()
    asked = [token_of(cluster, "deployer", AUDIENCE, str(number)) for number in range(3)]

    for own in ("expired", token_of(cluster, "curious")):  # 401, 403
        settings.token_file.write_text(own)
        with pytest.raises(IdentityUnavailable) as caught:
            reviewer.identify(asked[0])
        assert own not in str(caught.value)
        assert asked[0] not in str(caught.value)

    settings.token_file.write_text(f"{good}\n")
    assert reviewer.identify(asked[0]).requester.subject == "serviceaccount:default/deployer"


def test_a_server_that_nobody_vouches_for_is_not_asked(
    cluster: Cluster, settings: Kubernetes, clusters: tuple[Cluster, ...], client: FlaskClient
) -> None:
    other = Kubernetes(
        audience=AUDIENCE,
        server=settings.server,
        ca_file=clusters[1].ca_file,
        token_file=settings.token_file,
    )

    with pytest.raises(IdentityUnavailable):
        TokenReviewer(other).identify(token_of(cluster, "deployer", AUDIENCE))


def test_an_api_server_that_is_away_is_no_refusal(
    cluster: Cluster, settings: Kubernetes, client: FlaskClient
) -> None:
    settings.token_file.unlink()

    answer = whoami(client, token_of(cluster, "deployer", AUDIENCE))

    assert answer.status_code == 503
    assert answer.get_json()["code"] == "identity-unavailable"
