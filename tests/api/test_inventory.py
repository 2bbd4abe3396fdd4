"""What can be named, who the caller is, and how the service is."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from flask.testing import FlaskClient

from remediation.inventory import AnnouncedCluster, AnnouncedCredential
from remediation.short_lived import ShortLived
from store.store import Store
from tests.api.conftest import API, CREDENTIAL, Announce

PLAIN: dict[str, Any] = {"insecure": False, "uid": None, "same_as": [], "warning": None}
BROKEN = AnnouncedCluster("old", problem="its certificate file is missing")


def get(client: FlaskClient, path: str, **headers: str) -> Any:
    """Return the body of an answer."""
    answer = client.get(f"{API}{path}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.get_json() if answer.is_json else answer.text


def test_nobody_announces_anything(client: FlaskClient) -> None:
    assert get(client, "/clusters") == {"items": [], "problems": []}
    assert get(client, "/credentials") == {"items": []}


def test_clusters(client: FlaskClient, announce: Announce) -> None:
    announce(
        AnnouncedCluster("eu-1", "https://user:hunter2@eu-1:6443/path?token=x"),
        BROKEN,
        problems=("/etc/kube/x.yaml is not YAML",),
    )
    announce("eu-1", pool="other")

    assert get(client, "/clusters") == {
        "items": [
            {
                "name": "eu-1",
                "server": "https://eu-1:6443/path",
                "pools": ["default", "other"],
                "status": "ready",
                "reason": None,
                **PLAIN,
            },
            {
                "name": "old",
                "server": None,
                "pools": ["default"],
                "status": "invalid",
                "reason": "its certificate file is missing",
                **PLAIN,
            },
        ],
        "problems": [
            {"pool": "default", "host": "host-1", "detail": "/etc/kube/x.yaml is not YAML"}
        ],
    }


def test_clusters_that_are_insecure_or_one_api_server_are_shown_as_such(
    client: FlaskClient, announce: Announce
) -> None:
    announce(
        AnnouncedCluster("eu", "https://eu", uid="u1"),
        AnnouncedCluster("eu-2", "https://eu", uid="u1", insecure=True),
        AnnouncedCluster("us", "https://us", trouble="unreachable: its exec plugin 'aws' ended"),
    )

    items = {item["name"]: item for item in get(client, "/clusters")["items"]}

    assert (items["eu"]["uid"], items["eu"]["same_as"]) == ("u1", ["eu-2"])
    assert items["eu-2"]["insecure"] is True
    assert items["eu-2"]["warning"] == (
        "insecure: the certificate of its API server is not verified; the same API server as eu; '*' counts it once"
    )
    assert items["us"]["warning"].startswith("a worker could not read it: unreachable: its exec")
    assert "insecure: the cert" in get(client, "/clusters?format=table")


def test_credentials(client: FlaskClient, announce: Announce) -> None:
    announce("eu-1", credentials=[CREDENTIAL, AnnouncedCredential("bad", problem="is not JSON")])

    assert get(client, "/credentials")["items"] == [
        {
            "name": "bad",
            "registries": [],
            "usernames": [],
            "fingerprint": None,
            "pools": ["default"],
            "since": None,
            "status": "invalid",
            "reason": "is not JSON",
            "warning": None,
            "ends_at": None,
            "holders": [
                {"pool": "default", "fingerprint": None, "since": None, "reason": "is not JSON"}
            ],
        },
        {
            "name": CREDENTIAL,
            "registries": ["registry.example.com"],
            "usernames": ["puller"],
            "fingerprint": None,
            "pools": ["default"],
            "since": None,
            "status": "ready",
            "reason": None,
            "warning": None,
            "ends_at": None,
            "holders": [{"pool": "default", "fingerprint": None, "since": None, "reason": None}],
        },
    ]


def test_a_login_that_ends_by_itself_is_told_with_its_time(
    client: FlaskClient, announce: Announce
) -> None:
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    late = soon - timedelta(hours=2)
    ecr = "1.dkr.ecr.eu-west-1.amazonaws.com"

    def credential(
        name: str, *ends: datetime | None, user: str = "AWS", told: bool = True
    ) -> AnnouncedCredential:
        endings = tuple(ShortLived(ecr, user, f"ends ({end})", end) for end in ends)
        return AnnouncedCredential(
            name, (ecr, "r.example.com"), (user,), endings=endings if told else None
        )

    announce(
        "eu-1",
        credentials=[
            credential("a-soon", late + timedelta(hours=3), soon),
            credential("b-over", late),
            credential("c-when", None),
            credential("d-none", user="gitlab-ci-token"),
            credential("e-before", user="gitlab-ci-token", told=False),
        ],
    )
    found = {item["name"]: item for item in get(client, "/credentials")["items"]}

    assert found["a-soon"]["ends_at"] == f"{soon:%Y-%m-%dT%H:%M:%SZ}"
    assert found["a-soon"]["warning"].count("the login 'AWS'") == 2
    assert found["b-over"]["ends_at"] == f"{late:%Y-%m-%dT%H:%M:%SZ}"
    assert found["b-over"]["warning"].endswith("which is over")
    assert found["c-when"]["ends_at"] is None
    assert found["c-when"]["warning"] == f"the login 'AWS' for {ecr} ends (None)"
    # A worker looks at each login; one of before tells names only.
    assert found["d-none"]["warning"] is None
    assert found["e-before"]["warning"].count("CI job") == 2
    assert "ends (" in get(client, "/credentials", Accept="text/plain")


def test_tables(client: FlaskClient, announce: Announce) -> None:
    announce("eu-1", BROKEN)

    assert get(client, "/clusters?format=table") == (
        "NAME  STATUS   POOLS    SERVER             REASON\n"
        "eu-1  ready    default  https://eu-1:6443  -\n"
        "old   invalid  default  -                  its certificate file is missing\n"
    )
    assert get(client, "/credentials", Accept="text/plain") == (
        "NAME               STATUS  REGISTRIES            USERNAMES  FINGERPRINT  POOLS    REASON\n"
        "internal-registry  ready   registry.example.com  puller     -            default  -\n"
    )


def test_system(client: FlaskClient, announce: Announce, start: Callable[..., str]) -> None:
    start("eu-1", "eu-2")
    announce("eu-1", "eu-2", BROKEN)

    body = get(client, "/system")

    assert body["redis"]["ok"] is True
    assert body["redis"]["durable"] is True
    assert body["redis"]["eviction_policy"] == "noeviction"
    assert body["redis"]["warnings"] == []
    assert body["redis"]["version"].count(".") == 2
    assert body["workers"] == [
        {
            "id": "default-1",
            "pool": "default",
            "host": "host-1",
            "pid": 17,
            "version": "0.1.0",
            "processes": 4,
            "started_at": "2026-01-31T12:00:00.000Z",
            "clusters": 2,
        }
    ]
    assert body["queues"] == [{"pool": "default", "waiting": 2}]
    assert body["runs"] == {"active": 2}
    assert body["retention_days"] == 30
    assert body["version"]
    assert body["time"].endswith("Z")


def test_a_redis_that_may_evict_is_told(client: FlaskClient, store: Store) -> None:
    store.redis.config_set("maxmemory-policy", "volatile-lru")
    try:
        body = client.get(f"{API}/system").get_json()
    finally:
        store.redis.config_set("maxmemory-policy", "noeviction")

    assert body["redis"]["eviction_policy"] == "volatile-lru"
    assert ["maxmemory-policy volatile-lru" in each for each in body["redis"]["warnings"]] == [True]
