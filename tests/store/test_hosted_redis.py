"""What a Redis says of itself, and what it refuses, is told as such. Real servers, with the settings in question."""

import traceback
from collections.abc import Iterator

import pytest
from redis import Redis
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,
    MasterDownError,
    MovedError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from store.condition import Condition
from store.connection import PATIENT, PROMPT, StoreUnavailable
from store.store import Store
from store.trouble import RIGHTS, Trouble, trouble_of
from tests.hosted import ADMIN, HostedRedis

ALL = ("~rmd:*", "~rq:*", "resetchannels", "&rq:*", "+@all", "-@dangerous", "+info")


@pytest.fixture(scope="module")
def server() -> Iterator[HostedRedis]:
    with HostedRedis() as server:
        yield server


@pytest.fixture
def hosted(server: HostedRedis) -> Iterator[HostedRedis]:
    """Return the server; it is as it was after the test."""
    yield server
    server.admin.replicaof("NO", "ONE")
    server.set(maxmemory=0, maxmemory_policy="noeviction", requirepass="")


def check(url: str, retries: int = 0) -> Condition:
    """Look at a Redis as a process does at its start."""
    store = Store.open(url, retries=retries)
    try:
        return store.check()
    finally:
        store.close()


def trouble(url: str, retries: int = 0) -> Trouble:
    """Return why a Redis cannot be used."""
    with pytest.raises(StoreUnavailable) as caught:
        check(url, retries)
    found = trouble_of(caught.value)
    assert "hunter2" not in found.text
    return found


def test_the_rights_that_the_documentation_names_are_enough(hosted: HostedRedis) -> None:
    assert check(hosted.user("remediator", *ALL)).warnings == ()
    assert f"'{' '.join(ALL)}'" == RIGHTS


def test_one_that_evicts_is_told(hosted: HostedRedis) -> None:
    for policy in ("allkeys-lru", "volatile-lru", "volatile-ttl"):
        hosted.set(maxmemory="64mb", maxmemory_policy=policy)

        found = check(hosted.url())

        assert found.eviction_policy == policy
        assert [policy in warning for warning in found.warnings] == [True]


def test_one_that_forgets_is_told() -> None:
    with HostedRedis(appendonly="no") as forgetful:
        found = check(forgetful.url())

    assert found.durable is False
    assert "keeps no append-only file" in found.warnings[0]


def test_one_that_does_not_say_is_used_and_told(hosted: HostedRedis) -> None:
    for rule in ("-info", "-@dangerous"):
        found = check(hosted.user("silent", *ALL, rule))

        assert (found.durable, found.eviction_policy, found.version) == (None, None, "")
        assert len(found.warnings) == 1
        assert "+info" in found.warnings[0]


def test_a_writable_replica_is_told(hosted: HostedRedis) -> None:
    hosted.set(replica_read_only="no")
    try:
        hosted.admin.replicaof("127.0.0.1", "1")
        assert "is a replica" in " ".join(check(hosted.url()).warnings)
    finally:
        hosted.set(replica_read_only="yes")


@pytest.mark.parametrize("retries", [0, PROMPT, PATIENT])
def test_a_login_that_is_refused_is_not_tried_again(hosted: HostedRedis, retries: int) -> None:
    found = trouble(hosted.url("remediator:wrong-hunter2"), retries)

    assert found == Trouble("refuses the login in REDIS_URL (WRONGPASS)", hopeless=True)


def test_a_login_that_is_missing(hosted: HostedRedis) -> None:
    hosted.set(requirepass="hunter2")

    found = trouble(hosted.url())

    assert found.hopeless
    assert "wants a login" in found.text


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ("-xadd", "'xadd'"),
        ("-evalsha", "'evalsha'"),
        ("-blmove", "'blmove'"),
        ("-set", "'set'"),
        ("-multi", "'multi'"),
        ("-@write", "'set'"),
        ("resetkeys", "keys"),
    ],
)
def test_a_right_that_is_missing_is_named(hosted: HostedRedis, rule: str, named: str) -> None:
    found = trouble(hosted.user("limited", *ALL, rule))

    assert found.hopeless
    assert named in found.text
    assert RIGHTS in found.text


def test_the_keys_of_the_queue_are_asked_for(hosted: HostedRedis) -> None:
    found = trouble(hosted.user("limited", "~rmd:*", "+@all"))

    assert found.hopeless
    assert "the keys 'rq:*'" in found.text


def test_nothing_is_left_of_the_look_at_rights(hosted: HostedRedis) -> None:
    hosted.admin.flushall()
    check(hosted.url())

    assert hosted.admin.keys("*") == ["rmd:probe"]
    assert hosted.admin.get("rmd:probe") == "1"


def test_a_replica_and_a_full_one_may_recover(hosted: HostedRedis) -> None:
    hosted.admin.replicaof("127.0.0.1", "1")
    replica = trouble(hosted.url())
    hosted.admin.replicaof("NO", "ONE")
    hosted.set(maxmemory=1)
    full = trouble(hosted.url())

    assert not replica.hopeless
    assert "READONLY" in replica.text
    assert not full.hopeless
    assert "OOM" in full.text


def test_after_a_failover_the_connection_is_made_again(hosted: HostedRedis) -> None:
    """The address leads to the new primary; a connection that is kept leads to the old one for ever."""
    store = Store.open(hosted.url(), retries=PROMPT)
    store.ping()
    before = store.redis.client_id()
    hosted.admin.replicaof("127.0.0.1", "1")
    with pytest.raises(StoreUnavailable):
        store.ping()
    hosted.admin.replicaof("NO", "ONE")

    store.ping()

    assert store.redis.client_id() != before
    store.close()


def test_one_without_hello_repeats_no_login() -> None:
    # As before Redis 6: it answers with the words that it does not know.
    old = HostedRedis(**{"rename-command": "HELLO GONE"})
    old.admin = Redis(port=old.port, username="admin", password=ADMIN, protocol=2)
    with old:
        for login in (":hunter2@", "robot:hunter2@"):
            with pytest.raises(ResponseError) as caught:
                check(old.url(login))
            told = "".join(traceback.format_exception(caught.value))
            assert "HELLO" in told
            assert "hunter2" not in told
            assert "robot" not in told
            assert "6.2 or newer" in trouble_of(caught.value).text


def test_cluster_mode_is_refused() -> None:
    with HostedRedis(**{"cluster-enabled": "yes"}) as cluster:
        without_slots = trouble(cluster.url())
        cluster.admin.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383) if _new(
            cluster
        ) else cluster.admin.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
        while cluster.admin.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
            pass
        with_all = trouble(cluster.url())

    assert "CLUSTERDOWN" in without_slots.text
    assert with_all.hopeless
    assert "cluster mode" in with_all.text


def _new(redis: HostedRedis) -> bool:
    return not str(redis.admin.info("server")["redis_version"]).startswith("6")


def test_a_database_that_is_not_there(hosted: HostedRedis) -> None:
    found = trouble(hosted.url(database="9999"))

    assert found.hopeless
    assert "database" in found.text


@pytest.mark.parametrize(
    ("error", "part", "hopeless"),
    [
        (BusyLoadingError("Redis is loading the dataset in memory"), "LOADING", False),
        (MasterDownError("MASTERDOWN Link with MASTER is down"), "MASTERDOWN", False),
        (ResponseError("MISCONF Redis is configured to save RDB snapshots"), "MISCONF", False),
        (ResponseError("NOREPLICAS Not enough good replicas to write."), "NOREPLICAS", False),
        (ConnectionError("max number of clients reached"), "maxclients", False),
        (ResponseError("DENIED Redis is running in protected mode"), "protected mode", True),
        (ResponseError("unknown command 'BLMOVE', with args"), "'blmove'", True),
        (ResponseError("unknown command `BLMOVE`, with args"), "'blmove'", True),
        (MovedError("1234 10.0.0.7:6379"), "cluster mode", True),
        (ResponseError("CROSSSLOT Keys in request don't hash"), "cluster mode", True),
        (AuthenticationError("invalid username-password pair"), "WRONGPASS", True),
        (TimeoutError("Timeout reading from redis:6379"), "does not answer", False),
        (ConnectionError("Error 111 connecting to redis:6379. refused."), "reached", False),
        (ConnectionError("Connection closed by server."), "rediss://", False),
        (ConnectionError("[SSL: WRONG_VERSION_NUMBER] wrong"), "TLS", False),
        (ConnectionError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), "ssl_ca_certs", False),
        (ResponseError("WEIRD hunter2"), "(WEIRD)", False),
        (ResponseError("hunter2"), "(ResponseError)", False),
    ],
)
def test_what_an_error_means(error: RedisError, part: str, hopeless: bool) -> None:
    found = trouble_of(error)

    assert part in found.text
    assert found.hopeless is hopeless
    assert "hunter2" not in found.text
    assert "10.0.0.7" not in found.text
