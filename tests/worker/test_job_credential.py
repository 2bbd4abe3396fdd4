"""Which credential a run works with, before it says a word to its cluster."""

import logging
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from nacl.public import PrivateKey

from api.sealing import SealingKey
from remediation.docker_config import Login
from remediation.outcome import ErrorCode
from remediation.permission import Binding, Grant, Policy, Role
from remediation.registry.rules import Registries
from remediation.request import InlineCredential, RemediationRequest
from remediation.sealing import InlineLogin, KeyKind, format_key
from remediation.status import RemediationStatus, RunStatus
from store import keys
from store.records import Origin, Run
from store.store import Store
from tests.conftest import STORE_DATABASE
from tests.store.values import a_claim
from worker import preparation
from worker.job import execute
from worker.kubeconfigs import Context, Contexts
from worker.settings import Settings

ID = "rem_01JD0000000000000000000001"
OTHER = "rem_01JD0000000000000000000002"
PASSWORD = "hunter2-7f3a"
EVERYTHING = Grant(role=Role.REQUESTER, clusters=("*",), namespaces=("*",), credentials=("*",))
LOGIN = InlineLogin("r.example.com", Login("robot", PASSWORD))
BY_NAME = RemediationRequest(clusters=("eu-1",), credential="harbor", timeout_seconds=60)
INLINE = replace(BY_NAME, credential=None, inline_credential=LOGIN.recorded)


@pytest.fixture
def cluster() -> Iterator[socket.socket]:
    """Return the place where the cluster would be: it notices who calls, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


@pytest.fixture
def private() -> PrivateKey:
    return PrivateKey.generate()


@pytest.fixture
def settings(redis_server: str, tmp_path: Path, private: PrivateKey) -> Settings:
    """Return the settings of a worker with a key and without any credential."""
    (tmp_path / "credentials").mkdir()
    (tmp_path / "sealing.key").write_text(format_key(KeyKind.PRIVATE, bytes(private)))
    return Settings(
        f"{redis_server}?db={STORE_DATABASE}",
        (),
        pool="main",
        credentials_dir=tmp_path / "credentials",
        sealing_key_file=tmp_path / "sealing.key",
    )


def sealed_for(private: PrivateKey, remediation_id: str = ID, login: InlineLogin = LOGIN) -> str:
    return SealingKey(bytes(private.public_key)).seal(remediation_id, login)


def carried_out(
    store: Store,
    settings: Settings,
    cluster: socket.socket,
    request: RemediationRequest,
    sealed: str | None = None,
) -> Run:
    """Have the worker carry a run out; return it as it has ended."""
    store.intake.remediation(ID, request, "alice", [("eu-1", "main")], sealed=sealed)
    server = f"http://127.0.0.1:{cluster.getsockname()[1]}"
    context = Context("eu-1", server, {"server": server}, {"token": "t"})
    store.policies.publish(Policy((Binding(("alice",), EVERYTHING),)))
    execute(settings, Contexts({"eu-1": context}, {}, ()), Registries(), f"{ID}-0")
    run = store.runs.get(f"{ID}-0")
    assert run
    assert run.status.terminal
    return run


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a cluster that says nothing up sooner."""
    monkeypatch.setattr("worker.planning.REACH_SECONDS", 2.0)


def called(cluster: socket.socket) -> bool:
    """Tell whether anybody has connected."""
    try:
        cluster.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def refused(store: Store, settings: Settings, cluster: socket.socket, *asked: object) -> str:
    """Return why a run ended that has no credential; nobody called its cluster."""
    run = carried_out(store, settings, cluster, *asked)  # type: ignore[arg-type]
    assert run.error
    assert (run.status, run.error.code) == (RunStatus.FAILED, ErrorCode.CREDENTIAL_UNAVAILABLE)
    assert run.error.hint
    assert PASSWORD not in f"{run.error}"
    assert not called(cluster)
    remediation = store.remediations.get(ID)
    assert remediation
    assert remediation.status is RemediationStatus.FAILED
    assert not store.redis.exists(keys.sealed(ID))
    return run.error.detail


def test_what_the_worker_does_not_hold_ends_the_run(store, settings, cluster):
    assert "holds no credential 'harbor'" in refused(store, settings, cluster, BY_NAME)


def test_what_cannot_be_used_ends_the_run(store, settings, cluster):
    (settings.credentials_dir / "harbor").mkdir()
    (settings.credentials_dir / "harbor" / ".dockerconfigjson").write_text(PASSWORD)

    assert "is not JSON" in refused(store, settings, cluster, BY_NAME)


def test_a_login_that_is_not_kept_ends_the_run(store, settings, cluster):
    assert "not kept any more" in refused(store, settings, cluster, INLINE)


def test_a_login_for_another_key_ends_the_run(store, settings, cluster):
    sealed = sealed_for(PrivateKey.generate())

    assert sealed.partition(":")[0] in refused(store, settings, cluster, INLINE, sealed)


@pytest.mark.parametrize("path", [None, Path("/nowhere/sealing.key")])
def test_a_worker_without_a_key_opens_none(store, settings, cluster, private, path):
    keyless = replace(settings, sealing_key_file=path)

    detail = refused(store, keyless, cluster, INLINE, sealed_for(private))

    assert "holds none" in detail or "cannot be read" in detail


def test_a_login_of_another_remediation_ends_the_run(store, settings, cluster, private):
    """Who may write to Redis could put it there."""
    sealed = sealed_for(private, OTHER)

    assert "belongs to another request" in refused(store, settings, cluster, INLINE, sealed)


def test_a_request_whose_login_was_changed_ends_the_run(store, settings, cluster, private):
    changed = replace(INLINE, inline_credential=InlineCredential("evil.example.com", "robot"))

    detail = refused(store, settings, cluster, changed, sealed_for(private))

    assert "belongs to another request" in detail


@pytest.mark.usefixtures("_impatient")
def test_a_login_that_opens_goes_on_to_the_cluster(store, settings, cluster, private, caplog):
    run = carried_out(store, settings, cluster, INLINE, sealed_for(private))

    assert called(cluster)
    assert run.credential_fingerprint
    assert PASSWORD not in caplog.text


@pytest.mark.usefixtures("_impatient")
def test_a_key_that_broke_later_does_not_touch_named_credentials(store, settings, cluster):
    folder = settings.credentials_dir / "harbor"
    folder.mkdir()
    for part, value in (("registry", "r.io"), ("username", "u"), ("password", PASSWORD)):
        (folder / part).write_text(value)
    settings.sealing_key_file.write_text("broken")

    run = carried_out(store, settings, cluster, BY_NAME)

    assert called(cluster)
    assert run.credential_fingerprint is None


def test_the_text_of_a_foreign_exception_is_repeated_nowhere(
    store, settings, cluster, private, monkeypatch, caplog
):
    def broken(*_: object) -> None:
        raise RuntimeError(f"cannot make anything of {PASSWORD}")

    monkeypatch.setattr(preparation, "credential_from_login", broken)
    caplog.set_level(logging.DEBUG)

    run = carried_out(store, settings, cluster, INLINE, sealed_for(private))

    assert run.error
    assert run.error.code is ErrorCode.INTERNAL
    assert "RuntimeError" in run.error.detail
    assert "RuntimeError" in caplog.text
    assert PASSWORD not in f"{run.error}"
    assert PASSWORD not in caplog.text


def test_a_retry_whose_parent_is_no_longer_recorded_touches_nothing(store, settings, cluster):
    """Taken for a new request it would be about every namespace that the patterns match."""
    request = RemediationRequest(clusters=("*",), credential="harbor")
    (parent,) = store.intake.remediation(OTHER, request, "alice", [("eu-1", "main")])
    origin = Origin(retry_of=OTHER, parents={"eu-1": (parent.id,)})
    store.intake.remediation(ID, request, "alice", [("eu-1", "main")], origin=origin)
    store.claims.finish(a_claim(store, parent.id))
    store.redis.delete(keys.run(parent.id))

    run = carried_out(store, settings, cluster, request)

    assert run.error
    assert (run.status, run.error.code) == (RunStatus.FAILED, ErrorCode.INTERNAL)
    assert "gone" in run.error.detail
    assert not called(cluster)
