"""Lists of running pods that are not what Kubernetes gives, and what may explain them."""

from datetime import UTC, datetime, timedelta

import pytest

from remediation.readiness.giveaway import given_away
from remediation.readiness.observation import Account, Pod, Workload

THEN = datetime(2026, 11, 25, 12, tzinfo=UTC)
LATER = THEN + timedelta(hours=1)
EARLIER = THEN - timedelta(hours=1)


def account(*names: str, **times: datetime) -> Account:
    """Return a ServiceAccount that is older than the pod unless told otherwise."""
    times.setdefault("created_at", EARLIER)
    return Account("team", "default", "uid", "1", names, **times)  # type: ignore[arg-type]


def strange(
    listed: tuple[str, ...],
    of: Account | None,
    own: tuple[str, ...] = (),
    kind: str = "ReplicaSet",
    *,
    held: str = "",
) -> bool:
    """Tell whether a pod with these Secrets gives something away."""
    pod = Pod("team", "web-1", (), listed, created_at=THEN)
    return bool(given_away(pod, Workload("team", kind, "web", (), own, held=held), of))


def test_a_name_that_neither_the_template_nor_the_account_has_came_from_elsewhere() -> None:
    assert strange(("policy-cred",), account("docker"))
    # Our own write of the list, after the pod was made, explains a missing name and no strange one.
    assert strange(("policy-cred",), account("docker", listed_at=LATER))


def test_a_pod_that_is_older_than_an_entry_has_less() -> None:
    assert not strange((), account("docker", listed_at=LATER))
    assert not strange(("team",), account("team", "docker", listed_at=LATER))


def test_a_pod_that_was_made_after_the_entry_and_lacks_it_was_changed() -> None:
    assert strange((), account("docker", listed_at=EARLIER))
    assert not strange((), account("docker", listed_at=THEN - timedelta(seconds=2)))
    assert not strange((), account("docker"))


@pytest.mark.parametrize(
    "of",
    [
        account("docker", listed_by_others_at=LATER),
        account("docker", created_at=LATER),
        account("docker", "default-dockercfg-x8k2p"),
        None,
    ],
)
def test_what_stood_there_before_is_no_sign(of: Account | None) -> None:
    assert not strange(("docker", "default-dockercfg-ab12c"), of)


def test_a_template_with_names_of_its_own_is_compared_with_them() -> None:
    assert strange(("policy-cred",), account("docker"), own=("team",))
    assert not strange(("team",), account("docker"), own=("team",))


def test_pods_that_may_be_of_another_template_give_nothing_away() -> None:
    assert not strange(("x",), account("docker"), kind="Deployment")
    assert not strange(("x",), account("docker"), kind="DaemonSet")
    assert not strange(("x",), account("docker"), kind="StatefulSet", held="web-1")
