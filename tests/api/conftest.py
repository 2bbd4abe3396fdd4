"""An application on a real Redis, a caller, and workers that only pretend."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api.app import create_app
from api.settings import Settings
from remediation.api_key import ENTROPY_BYTES, ApiKey, digest, new_api_key
from remediation.inventory import AnnouncedCluster, AnnouncedCredential, Announcement
from remediation.outcome import AccountCounts, Error, NamespaceResult, Outcome, SecretAction
from remediation.readiness.finding import Coverage, Finding, FindingClass, Severity
from remediation.readiness.verdict import verdict_of
from remediation.status import RunStatus
from store.events import Events
from store.records import Judged
from store.store import Store

API = "/api/v1"
CREDENTIAL = "internal-registry"


@pytest.fixture
def key() -> ApiKey:
    """Return the API key of the caller 'ci'."""
    return new_api_key(os.urandom(ENTROPY_BYTES))


@pytest.fixture
def access_file(tmp_path: Path, key: ApiKey) -> Path:
    """Return an access file that lets 'ci' in, and lets everybody in it do everything."""
    path = tmp_path / "access.yaml"
    path.write_text(
        json.dumps(
            {
                "keys": [an_entry(key, "ci")],
                "bindings": [
                    {
                        "subjects": ["*"],
                        "role": "admin",
                        "clusters": ["*"],
                        "namespaces": ["*"],
                        "credentials": ["*"],
                    }
                ],
            }
        )
    )
    return path


def an_entry(key: ApiKey, subject: str, **more: Any) -> dict[str, Any]:
    """Return the entry of a key for an access file."""
    entry = {"id": key.id, "subject": subject, "sha256": digest(key.token), "expires_at": "never"}
    return entry | more


@pytest.fixture
def settings(access_file: Path) -> Settings:
    """Return the settings of the application."""
    # Tests come from one address, and many of them without a valid token.
    return Settings(access_file=access_file, failures_per_minute=1_000_000)


@pytest.fixture
def app(settings: Settings, store: Store) -> Flask:
    """Return the application."""
    return create_app(settings, store)


@pytest.fixture
def anonymous(app: Flask) -> FlaskClient:
    """Return a client without an API key."""
    return app.test_client()


@pytest.fixture
def client(app: Flask, key: ApiKey) -> FlaskClient:
    """Return the client of 'ci'."""
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key.token}"
    return client


Announce = Callable[..., Announcement]


@pytest.fixture
def announce(store: Store, monkeypatch: pytest.MonkeyPatch) -> Announce:
    """Return a function that pretends that a worker lives, for as long as a test takes on any machine."""
    monkeypatch.setattr("store.inventory.LIFE_SECONDS", 3600)

    def announce(
        *clusters: str | AnnouncedCluster,
        pool: str = "default",
        credentials: Sequence[str | AnnouncedCredential] = (CREDENTIAL,),
        **more: Any,
    ) -> Announcement:
        announcement = Announcement(
            worker_id=f"{pool}-1",
            pool=pool,
            version="0.1.0",
            host="host-1",
            pid=17,
            started_at="2026-01-31T12:00:00.000Z",
            processes=4,
            clusters=tuple(
                AnnouncedCluster(known, f"https://{known}:6443")
                if isinstance(known, str)
                else known
                for known in clusters
            ),
            credentials=tuple(
                AnnouncedCredential(known, ("registry.example.com",), ("puller",))
                if isinstance(known, str)
                else known
                for known in credentials
            ),
            **more,
        )
        store.inventory.announce(announcement)
        return announcement

    return announce


@dataclass(frozen=True)
class Work:
    """Pretends to carry out the runs of a remediation."""

    store: Store
    missing: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def run(
        self,
        remediation_id: str,
        rows: Sequence[NamespaceResult],
        *,
        clusters: Sequence[str] | None = None,
    ) -> None:
        """End the runs on these clusters (all of them) with these rows, and with the last one the remediation."""
        remediation = self.store.remediations.get(remediation_id)
        assert remediation is not None
        for run in remediation.runs:
            if clusters is not None and run.cluster not in clusters:
                continue
            claim = self.store.claims.take(run.id)
            assert claim is not None
            self.store.claims.observed(claim, len(rows), self.missing.get(run.cluster, ()))
            self.store.claims.report(claim, rows)
            self.store.claims.finish(claim)
        self.store.closing.close(remediation_id)

    def fail(self, remediation_id: str, cluster: str, error: Error) -> None:
        """End the run on a cluster that does not answer."""
        remediation = self.store.remediations.get(remediation_id)
        assert remediation is not None
        run = next(run for run in remediation.runs if run.cluster == cluster)
        claim = self.store.claims.take(run.id)
        assert claim is not None
        self.store.claims.finish(claim, error, RunStatus.UNREACHABLE)
        self.store.closing.close(remediation_id)

    def judge(
        self,
        check_id: str,
        *findings: Finding,
        basis: str = "sha256:1",
        uid: str = "",
        valid_for: timedelta = timedelta(minutes=10),
        fingerprint: str = "",
    ) -> None:
        """End the runs of a readiness check with these findings, and the check."""
        check = self.store.checks.get(check_id)
        assert check is not None
        for run in check.runs:
            claim = self.store.claims.take(run.id)
            assert claim is not None
            if fingerprint:
                self.store.claims.uses_credential(claim, fingerprint)
            now = datetime.now(UTC)
            certificate = {
                "cluster_uid": uid or f"uid-of-{run.cluster}",
                "kubernetes_version": "v1.36.3",
                "judged_at": now.isoformat(),
                "valid_until": (now + valid_for).isoformat(),
                "resource_versions": {"pods": "17"},
                "digest": "sha256:0",
                "basis": basis,
            }
            judged = Judged(
                verdict_of(findings),
                {str(found.finding_class): found.count for found in findings},
                {"blocking": sum(found.blocks for found in findings)},
                ("registry.example.com",),
                certificate,
            )
            rows = [found.to_row() for found in findings]
            self.store.findings.report(claim, rows, {"steps": []}, judged)
            self.store.claims.finish(claim)
        self.store.closing.close(check_id)


def a_finding(name: str = "web", **more: Any) -> Finding:
    """Return a finding that blocks."""
    usual = {
        "cluster": "eu-1",
        "namespace": "shop",
        "kind": "Deployment",
        "name": name,
        "image": "registry.example.com/shop/web:1",
        "finding_class": FindingClass.W_SA_UNPATCHED,
        "severity": Severity.BLOCKING,
        "coverage": Coverage.NO_REFS,
        "explanation": "it names no Secret",
        "fix": "remediate",
    }
    return Finding(**{**usual, **more})


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Have time pass only where an answer is held back; the value grows by the seconds of each look."""
    seconds: list[float] = []

    def wait(events: Events, remediation_id: str, last_id: str, most: float) -> bool:
        seconds.append(most)
        return False

    monkeypatch.setattr(Events, "wait", wait)
    monkeypatch.setattr("api.waiting.time", SimpleNamespace(monotonic=lambda: sum(seconds)))
    return seconds


@pytest.fixture
def work(store: Store) -> Work:
    """Return somebody who carries out runs."""
    return Work(store)


def a_row(namespace: str, outcome: Outcome = Outcome.CHANGED, **more: Any) -> NamespaceResult:
    """Return a row; a changed one created the Secret and changed one of two ServiceAccounts."""
    if outcome is Outcome.CHANGED:
        more = {
            "secret_action": SecretAction.CREATED,
            "accounts": AccountCounts(changed=1, unchanged=1),
            "changed_accounts": ("default",),
            "attempts": 1,
            "duration_ms": 412,
            **more,
        }
    return NamespaceResult(namespace, outcome, **more)


@pytest.fixture
def row() -> Callable[..., NamespaceResult]:
    """Return the factory of result rows."""
    return a_row


@pytest.fixture
def ask(client: FlaskClient, announce: Announce) -> Callable[..., str]:
    """Return a function that has a readiness check accepted and returns its id."""

    def ask(*clusters: str, **body: Any) -> str:
        names = clusters or ("eu-1",)
        announce(*names)
        usual = {"registry": "registry.example.com", "credential": CREDENTIAL}
        answer = client.post(
            f"{API}/readiness-checks", json={"clusters": list(names)} | usual | body
        )
        assert answer.status_code == 202, answer.text
        return str(answer.get_json()["id"])

    return ask


@pytest.fixture
def start(client: FlaskClient, announce: Announce) -> Callable[..., str]:
    """Return a function that has a remediation accepted and returns its id."""

    def start(*clusters: str, **body: Any) -> str:
        names = clusters or ("eu-1",)
        announce(*names)
        answer = client.post(
            f"{API}/remediations",
            json={"clusters": list(names), "credential": CREDENTIAL, **body},
        )
        assert answer.status_code == 202, answer.text
        return str(answer.get_json()["id"])

    return start
