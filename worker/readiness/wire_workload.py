"""Workloads with their pod templates, decoded straight from JSON into small structs."""

import msgspec

from remediation.readiness.observation import Workload
from worker.readiness.wire_meta import WireMeta
from worker.readiness.wire_pod import WirePodSpec, containers


class WireTemplate(msgspec.Struct, gc=False):
    """A pod template."""

    metadata: WireMeta = msgspec.field(default_factory=WireMeta)
    spec: WirePodSpec = msgspec.field(default_factory=WirePodSpec)


class WireJobTemplate(msgspec.Struct, gc=False):
    """The template of a CronJob's Jobs."""

    spec: "WireWorkloadSpec"


class WireRollingUpdate(msgspec.Struct, gc=False):
    """How a StatefulSet is rolled out: ordinals below the partition keep the older template."""

    partition: int | None = None


class WireUpdateStrategy(msgspec.Struct, gc=False):
    """How a workload is rolled out; of other kinds nothing is read."""

    rollingUpdate: WireRollingUpdate | None = None


class WireWorkloadSpec(msgspec.Struct, gc=False):
    """The spec of any built-in workload."""

    replicas: int | None = None
    suspend: bool | None = None
    updateStrategy: WireUpdateStrategy | None = None
    template: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"{}"))
    jobTemplate: WireJobTemplate | None = None

    @property
    def pods(self) -> msgspec.Raw:
        """The template that pods are made from in the end, as it stands."""
        return self.jobTemplate.spec.template if self.jobTemplate else self.template


class WireCondition(msgspec.Struct, gc=False):
    """A condition."""

    type: str = ""
    status: str = ""


class WireWorkloadStatus(msgspec.Struct, gc=False):
    """The conditions of a Job, and the revisions of a StatefulSet."""

    conditions: list[WireCondition] | None = None
    currentRevision: str = ""
    updateRevision: str = ""


class WireWorkload(msgspec.Struct, gc=False):
    """A Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController, Job or CronJob."""

    metadata: WireMeta
    spec: WireWorkloadSpec = msgspec.field(default_factory=WireWorkloadSpec)
    status: WireWorkloadStatus = msgspec.field(default_factory=WireWorkloadStatus)

    def to_domain(self, kind: str) -> Workload:
        """Return what the judgement wants to know."""
        meta, spec, template = self.metadata, self.spec, _TEMPLATE.decode(self.spec.pods)
        replicas = 1 if spec.replicas is None else spec.replicas
        return Workload(
            namespace=meta.namespace,
            kind=kind,
            name=meta.name,
            containers=tuple(containers(template.spec, {})),
            pull_secrets=template.spec.pull_secrets,
            account=template.spec.account,
            controller=meta.controller,
            dormant=replicas == 0 or bool(spec.suspend),
            finished=kind == "Job" and self._has_finished(),
            partial=kind == "StatefulSet" and self._has_two_templates(),
            replicas=replicas,
            generation=meta.generation,
            labels=template.metadata.labels or {},
            deleting=meta.deletionTimestamp is not None,
        )

    def _has_two_templates(self) -> bool:
        status, strategy = self.status, self.spec.updateStrategy
        rolling = strategy.rollingUpdate if strategy else None
        held = bool(rolling and rolling.partition)
        return held or status.currentRevision != status.updateRevision

    def _has_finished(self) -> bool:
        return any(
            condition.type in ("Complete", "Failed") and condition.status == "True"
            for condition in self.status.conditions or ()
        )


_TEMPLATE = msgspec.json.Decoder(WireTemplate)
