"""A run whose requester has lost the right to it does not begin."""

from dataclasses import replace

import pytest
from ulid import ULID

from remediation.outcome import ErrorCode
from remediation.permission import Binding, Grant, Policy, Role
from remediation.registry.rules import Registries
from remediation.request import RemediationRequest
from remediation.status import RemediationStatus
from store.ids import run_id
from store.store import Store
from tests.conftest import STORE_DATABASE
from worker.job import execute
from worker.kubeconfigs import Contexts
from worker.settings import Settings


def policy_for(cluster: str) -> Policy:
    """Return a policy that lets the group 'apps' work on one cluster."""
    everything = ("*",)
    grant = Grant(
        role=Role.REQUESTER, clusters=(cluster,), namespaces=everything, credentials=everything
    )
    return Policy((Binding(("group:apps",), grant),))


def carried_out(store: Store, redis_server: str, policy: Policy | None) -> ErrorCode:
    """Have a worker take up a run; return why it failed."""
    identity = f"rem_{ULID()}"
    request = RemediationRequest(clusters=("eu-1",), credential="harbor")
    store.intake.remediation(
        identity, request, "user:mia", [("eu-1", "default")], groups=("apps", "eu")
    )
    if policy:
        store.policies.publish(policy)
    settings = Settings(f"{redis_server}?db={STORE_DATABASE}", ())
    execute(settings, Contexts({}, {}, ()), Registries(), run_id(identity, 0))
    remediation = store.remediations.get(identity)
    assert remediation is not None
    assert remediation.status is RemediationStatus.FAILED
    (run,) = remediation.runs
    assert run.error is not None
    return run.error.code


@pytest.mark.parametrize("policy", [None, Policy(), policy_for("us-1")])
def test_it_ends_and_says_why(store: Store, redis_server: str, policy: Policy | None) -> None:
    assert carried_out(store, redis_server, policy) is ErrorCode.NOT_PERMITTED


def test_with_the_right_it_goes_on(store: Store, redis_server: str) -> None:
    # As far as the cluster, which this worker does not serve.
    assert carried_out(store, redis_server, policy_for("eu-*")) is ErrorCode.UNREACHABLE


def test_it_ends_on_a_cluster_that_became_protected(store: Store, redis_server: str) -> None:
    policy = replace(policy_for("eu-*"), protected=("eu-1",))

    assert carried_out(store, redis_server, policy) is ErrorCode.NOT_PERMITTED
