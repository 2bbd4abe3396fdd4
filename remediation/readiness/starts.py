"""Which containers of a running pod the kubelet may start again, by restart policies and restart rules.

Rules: ContainerShouldRestart, computePodActions and ShouldAllContainersRestart of Kubernetes 1.36. Each start of a
container makes sure of its image first, and of the pod's image volumes.
"""

from collections.abc import Iterable

from remediation.readiness.observation import (
    Container,
    ContainerKind,
    ContainerState,
    Pod,
    RestartRule,
)

STARTED = (ContainerState.RUNNING, ContainerState.TERMINATED)
# They are restarted with all others by a rule; ephemeral containers are not, and volumes are no containers.
_RULED = (ContainerKind.CONTAINER, ContainerKind.INIT, ContainerKind.SIDECAR)


def starts_again(pod: Pod, container: Container) -> bool:
    """Tell whether the kubelet may start it again, with a new sandbox included.

    An image volume is looked after before any container of the pod is started, the first time or again.
    """
    if container.kind is ContainerKind.VOLUME:
        others = [other for other in pod.containers if other.kind is not ContainerKind.VOLUME]
        return any(other.state not in STARTED or starts_again(pod, other) for other in others)
    if container.kind is ContainerKind.EPHEMERAL:
        return False
    return _by_itself(pod, container) or any(
        _restarts_all(pod, other) for other in pod.containers if other.restart_rules
    )


def _by_itself(pod: Pod, container: Container) -> bool:
    if container.kind is ContainerKind.SIDECAR:
        return True
    if container.state is not ContainerState.TERMINATED:
        return (
            _policy(pod, container) != "Never" or _new_sandbox(pod, container) or _fires(container)
        )
    if container.kind is ContainerKind.INIT:
        failed = container.exit_code != 0
        return _new_sandbox(pod, container) or (failed and _after_exit(pod, container))
    return _after_exit(pod, container) or _new_sandbox(pod, container)


def _restarts_all(pod: Pod, source: Container) -> bool:
    """Tell whether a rule of this container may restart the whole pod: not if the container has ended for good."""
    if source.kind not in _RULED or not any(rule.everything for rule in source.restart_rules):
        return False
    if source.state is ContainerState.TERMINATED and not _by_itself(pod, source):
        rule = _matching(source, source.exit_code)
        return rule is not None and rule.everything  # the kubelet is about to
    return _fires(source, everything=True)


def _policy(pod: Pod, container: Container) -> str:
    return container.restart_policy or pod.restart_policy


def _after_exit(pod: Pod, container: Container) -> bool:
    if _matching(container, container.exit_code):
        return True
    policy = _policy(pod, container)
    return policy == "Always" or (policy == "OnFailure" and container.exit_code != 0)


def _new_sandbox(pod: Pod, container: Container) -> bool:
    """Tell whether a new sandbox (a node's reboot) starts it; what succeeded under OnFailure is left alone then.

    Whether there is a new sandbox is up to the pod's own policy, whatever those of its containers are.
    """
    if pod.restart_policy == "Never":
        return False
    succeeded = container.state is ContainerState.TERMINATED and container.exit_code == 0
    done = succeeded and _policy(pod, container) == "OnFailure"
    return container.kind is ContainerKind.INIT or not done


def _matching(container: Container, code: int) -> RestartRule | None:
    hits = (rule for rule in container.restart_rules if (code in rule.codes) is not rule.negated)
    return next(hits, None)


def _fires(container: Container, *, everything: bool = False) -> bool:
    """Tell whether some exit code leads to a rule that restarts it (`everything`: that restarts all)."""
    rules = container.restart_rules
    # The first rule that matches decides, and all codes that no rule names are alike.
    named = frozenset[int]().union(*(rule.codes for rule in rules))
    unnamed = next(code for code in range(len(named) + 1) if code not in named)
    found = (_matching(container, code) for code in _codes(named, unnamed))
    return any(rule and (rule.everything or not everything) for rule in found)


def _codes(named: Iterable[int], unnamed: int) -> Iterable[int]:
    yield unnamed
    yield from named
