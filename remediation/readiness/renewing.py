"""How pods of a controller are made again, as lines to run one after the other.

Built-in controllers roll out, or replace pods that were deleted. What an operator runs (a database, a queue) has a
procedure of its own: to delete a primary is a failover. A known operator's own command comes first; without one, pods
go one at a time and the note says what to heed.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from remediation.readiness import fixes
from remediation.readiness.observation import WORKLOAD_KINDS, Owner, Rollout

_ROLLED = ("Deployment", "StatefulSet", "DaemonSet")
_ONE_BY_ONE = (
    "delete one pod at a time, the next one when the new one is Ready; hand the role of a primary or leader over before"
    " you delete its pod"
)


@dataclass(frozen=True, slots=True)
class Renewer:
    """Who makes pods again: the `owner` above all built-in controllers, or the one that is not built in.

    `operator` is the controller of a built-in `owner`, such as the RabbitmqCluster of a StatefulSet.
    """

    owner: Owner
    operator: Owner | None = None
    rollout: Rollout = Rollout.ROLLS

    @property
    def foreign(self) -> Owner | None:
        """The controller that is not built in, if there is one."""
        built_in = self.owner.kind in WORKLOAD_KINDS or self.owner.kind == "Pod"
        return self.operator if built_in else self.owner


_Line = Callable[[str, str, str], str]  # of cluster, namespace and name


def _plugin(*words: str) -> _Line:
    """Return the line of a kubectl plugin, which takes no options in front of its name."""

    def line(cluster: str, namespace: str, name: str) -> str:
        return " ".join(
            ["kubectl", *words, quote(name), "--context", quote(cluster), "-n", quote(namespace)]
        )

    return line


def _annotate(resource: str, annotation: str) -> _Line:
    def line(cluster: str, namespace: str, name: str) -> str:
        return fixes.kubectl(
            cluster, namespace, "annotate", "--overwrite", resource, name, annotation
        )

    return line


def _restarted(cluster: str, namespace: str, name: str) -> str:
    # The value only has to be another one than before.
    patch = json.dumps({"spec": {"metadata": {"annotations": {"restarted": "for-pull-secret"}}}})
    return fixes.kubectl(
        cluster, namespace, "patch", "postgrescluster", name, "--type", "merge", "-p", patch
    )


def _openshift(cluster: str, namespace: str, name: str) -> str:
    return (
        f"oc --context {quote(cluster)} -n {quote(namespace)} rollout latest {quote(f'dc/{name}')}"
    )


_COMMANDS: Mapping[tuple[str, str], _Line] = {
    ("Cluster", "postgresql.cnpg.io"): _plugin("cnpg", "restart"),
    ("PostgresCluster", "postgres-operator.crunchydata.com"): _restarted,
    ("StrimziPodSet", "core.strimzi.io"): _annotate(
        "strimzipodset", "strimzi.io/manual-rolling-update=true"
    ),
    ("Rollout", "argoproj.io"): _plugin("argo", "rollouts", "restart"),
    ("DeploymentConfig", "apps.openshift.io"): _openshift,
}
# Operators that leave `rollout restart` of their StatefulSet alone, by their own documentation.
_ROLLOUT_IS_FINE = (("RabbitmqCluster", "rabbitmq.com"),)
# What has to be changed in the resource so that the operator restarts pods one at a time, in the right order.
_BY_CHANGE: Mapping[tuple[str, str], str] = {
    ("Elasticsearch", "elasticsearch.k8s.elastic.co"): (
        "give podTemplate.metadata.annotations of each node set a new annotation: the operator then restarts one node"
        " at a time"
    ),
    ("Kibana", "kibana.k8s.elastic.co"): (
        "give podTemplate.metadata.annotations a new annotation: the operator then restarts it"
    ),
}


def lines(
    cluster: str, namespace: str, renewer: Renewer, pods: Sequence[str], portion: int
) -> tuple[str, ...]:
    """Return the lines; `portion` is how many pods of a built-in controller may be deleted at once."""
    owner, foreign = renewer.owner, renewer.foreign
    known = (foreign.kind, foreign.group) if foreign else ("", "")
    if foreign and known in _COMMANDS:
        return (_COMMANDS[known](cluster, namespace, foreign.name),)
    if foreign and known in _BY_CHANGE:
        resource = f"{foreign.kind.lower()}.{foreign.group}"
        return (fixes.kubectl(cluster, namespace, "edit", resource, foreign.name),)
    if owner.kind in _ROLLED and renewer.rollout is not Rollout.BY_HAND:
        return _roll(cluster, namespace, renewer)
    size = 1 if foreign or renewer.rollout is Rollout.BY_HAND else portion
    return tuple(
        fixes.kubectl(cluster, namespace, "delete", "pod", *pods[start : start + size])
        for start in range(0, len(pods), size)
    )


def note(renewer: Renewer) -> str:
    """Return what to heed besides, "" for nothing."""
    foreign = renewer.foreign
    if foreign is None:
        if renewer.rollout is not Rollout.BY_HAND:
            return ""
        named = f"{renewer.owner.kind} {renewer.owner.name}"
        return (
            f"a rollout of {named} does not replace all of its pods (updateStrategy): {_ONE_BY_ONE}"
        )
    known = (foreign.kind, foreign.group)
    who = f"{foreign.kind} {foreign.name}"
    if known in _COMMANDS:
        return f"{who} has a restart of its own, which keeps to its order; do not delete its pods by hand"
    if known in _BY_CHANGE:
        return f"in {who}, {_BY_CHANGE[known]}; do not delete its pods by hand"
    if known in _ROLLOUT_IS_FINE:
        return ""
    group = f" ({foreign.group})" if foreign.group else ""
    if renewer.owner.kind in _ROLLED and renewer.rollout is not Rollout.BY_HAND:
        return f"its {who}{group} may undo the restart: if it does, use the operator's own"
    return f"if the operator of {who}{group} has a restart of its own, use that; else {_ONE_BY_ONE}"


def _roll(cluster: str, namespace: str, renewer: Renewer) -> tuple[str, ...]:
    owner = f"{renewer.owner.kind.lower()}/{renewer.owner.name}"
    first = []
    if renewer.rollout is Rollout.PAUSED:  # kubectl restarts none that is paused
        first = [fixes.kubectl(cluster, namespace, "rollout", "resume", owner)]
    steps = (
        fixes.kubectl(cluster, namespace, "rollout", step, owner) for step in ("restart", "status")
    )
    return (*first, *steps)
