"""Which containers of a pod start again: restart policies of pod and container, and restart rules of any of them."""

import pytest

from remediation.readiness.observation import (
    Container,
    ContainerKind,
    ContainerState,
    Pod,
    RestartRule,
)
from remediation.readiness.starts import starts_again

ALL = RestartRule(frozenset({42}), everything=True)
SELF = RestartRule(frozenset({42}))
REST_ALL = RestartRule(frozenset({42}), negated=True, everything=True)
NO_CODE = RestartRule(frozenset(), everything=True)
RUNS, ENDED = ContainerState.RUNNING, ContainerState.TERMINATED
INIT, SIDECAR = ContainerKind.INIT, ContainerKind.SIDECAR
EPHEMERAL, VOLUME = ContainerKind.EPHEMERAL, ContainerKind.VOLUME


def main(
    kind: ContainerKind = ContainerKind.CONTAINER,
    state: ContainerState = RUNS,
    code: int = 0,
    policy: str = "",
    *rules: RestartRule,
) -> Container:
    """Return the container that is asked about."""
    return Container(
        "m",
        "i",
        kind,
        state=state,
        exit_code=code,
        restart_policy=policy,
        restart_rules=rules,
    )


def other(
    *rules: RestartRule,
    state: ContainerState = RUNS,
    code: int = 0,
    policy: str = "Never",
    kind: ContainerKind = ContainerKind.CONTAINER,
) -> Container:
    """Return a sibling."""
    return Container(
        "w", "j", kind, state=state, exit_code=code, restart_policy=policy, restart_rules=rules
    )


@pytest.mark.parametrize(
    ("policy", "container", "sibling", "expected"),
    [
        # The pod's policy.
        ("Never", main(), other(), False),
        ("Always", main(), other(), True),
        ("OnFailure", main(), other(), True),
        ("OnFailure", main(state=ENDED), other(), False),
        ("OnFailure", main(state=ENDED, code=1), other(), True),
        ("Always", main(INIT, ENDED), other(), True),  # with a new sandbox
        ("OnFailure", main(INIT, ENDED), other(), True),
        ("Never", main(INIT, ENDED), other(), False),
        ("Never", main(SIDECAR), other(), True),
        ("Always", main(EPHEMERAL), other(), False),
        # The container's own policy comes first; a new sandbox is the pod's affair.
        ("Never", main(policy="OnFailure"), other(), True),
        ("Never", main(state=ENDED, policy="OnFailure"), other(), False),
        ("Never", main(state=ENDED, policy="Always"), other(), True),
        ("Always", main(state=ENDED, policy="OnFailure"), other(), False),
        ("Always", main(policy="Never"), other(), True),
        ("Always", main(state=ENDED, policy="Never"), other(), True),
        ("Never", main(INIT, ENDED, 0, "OnFailure"), other(), False),
        ("Never", main(INIT, ENDED, 1, "OnFailure"), other(), True),
        # Its own rules come before its policy.
        ("Never", main(ContainerKind.CONTAINER, RUNS, 0, "Never", SELF), other(), True),
        ("Never", main(ContainerKind.CONTAINER, RUNS, 0, "Never", NO_CODE), other(), False),
        ("Never", main(ContainerKind.CONTAINER, ENDED, 42, "Never", SELF), other(), True),
        ("Never", main(ContainerKind.CONTAINER, ENDED, 1, "Never", SELF), other(), False),
        # The rules of others, while those can still end with the code.
        ("Never", main(), other(ALL), True),
        ("Never", main(), other(REST_ALL), True),
        ("Never", main(), other(NO_CODE), False),
        ("Never", main(), other(SELF), False),
        ("Never", main(), other(SELF, ALL), False),
        ("Never", main(), other(SELF, REST_ALL), True),
        ("Never", main(INIT, ENDED), other(ALL), True),
        ("Never", main(state=ENDED), other(ALL), True),
        ("Never", main(EPHEMERAL), other(ALL), False),
        ("Never", main(VOLUME), other(ALL), True),
        ("Never", main(), other(ALL, state=ENDED), False),
        ("Never", main(), other(ALL, state=ENDED, code=42), True),
        ("Never", main(), other(ALL, state=ENDED, code=1, policy="OnFailure"), True),
        ("Never", main(), other(ALL, kind=SIDECAR, policy="Always"), True),
        ("Never", main(), other(ALL, kind=INIT, state=ENDED), False),
        ("OnFailure", main(state=ENDED), other(ALL, kind=INIT, state=ENDED), True),
        ("Never", main(), other(ALL, kind=EPHEMERAL), False),
    ],
    ids=str,
)
def test_a_container_starts_again(
    policy: str, container: Container, sibling: Container, expected: bool
) -> None:
    pod = Pod("team", "web", (container, sibling), restart_policy=policy)

    assert starts_again(pod, container) is expected
