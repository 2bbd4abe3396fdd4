"""Workloads with their pod templates, decoded straight from JSON into small structs."""

from collections.abc import Iterator

import msgspec

from remediation.drift.signals import Described, tools_of
from remediation.readiness.manifests import Applier, switch_of, waker_by_manifest, writers_of
from remediation.readiness.observation import Rollout, Sleeper, Waker, Workload
from remediation.readiness.old_templates import CONTROLLER_REVISION, REVISION_KINDS
from remediation.readiness.wakers import likelier, waker_by_marks
from worker.readiness.wire_meta import WireMeta
from worker.readiness.wire_pod import WirePodSpec, containers
from worker.signals import WireManager, references


class WireTemplate(msgspec.Struct, gc=False):
    """A pod template."""

    metadata: WireMeta = msgspec.field(default_factory=WireMeta)
    spec: WirePodSpec = msgspec.field(default_factory=WirePodSpec)


class WireJobTemplate(msgspec.Struct, gc=False):
    """The template of a CronJob's Jobs."""

    spec: "WireWorkloadSpec"
    metadata: WireMeta = msgspec.field(default_factory=WireMeta)


class WireRollingUpdate(msgspec.Struct, gc=False):
    """How a StatefulSet is rolled out: ordinals below the partition keep the older template."""

    partition: int | None = None


class WireUpdateStrategy(msgspec.Struct, gc=False):
    """How a workload is rolled out; a Deployment's is named otherwise, and not read."""

    type: str = ""
    rollingUpdate: WireRollingUpdate | None = None


class WireWorkloadSpec(msgspec.Struct, gc=False):
    """The spec of any built-in workload."""

    replicas: int | None = None
    suspend: bool | None = None
    managedBy: str = ""
    paused: bool | None = None
    updateStrategy: WireUpdateStrategy | None = None
    template: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"{}"))
    jobTemplate: WireJobTemplate | None = None
    volumeClaimTemplates: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))

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

    observedGeneration: int = 0
    conditions: list[WireCondition] | None = None
    currentRevision: str = ""
    updateRevision: str = ""


class WireWorkloadMeta(WireMeta, gc=False):
    """Metadata of a workload; who manages it stays text: only of what wants no pods is that asked."""

    managedFields: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))

    def appliers(self, kind: str) -> Iterator[Applier]:
        """Yield its managers by what of the spec they own. The scale subresource writes the main object's field."""
        template = "f:jobTemplate" if kind == "CronJob" else "f:template"
        for entry in _MANAGERS.decode(self.managedFields) or ():
            yield Applier(
                entry.manager,
                entry.operation == "Apply",
                entry.owns("f:spec", template),
                entry.owns("f:spec", f"f:{switch_of(kind)}"),
            )


class WireWorkload(msgspec.Struct, gc=False):
    """A Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController, Job or CronJob."""

    metadata: WireWorkloadMeta
    spec: WireWorkloadSpec = msgspec.field(default_factory=WireWorkloadSpec)
    status: WireWorkloadStatus = msgspec.field(default_factory=WireWorkloadStatus)

    def to_domain(self, kind: str) -> Workload:
        """Return what the judgement wants to know."""
        meta, spec, template = self.metadata, self.spec, _TEMPLATE.decode(self.spec.pods)
        replicas = 1 if spec.replicas is None else spec.replicas
        dormant = replicas == 0 or bool(spec.suspend)
        # Of a ReplicaSet its controller is what is woken, and copies its own annotations to it.
        sleeps = dormant and not (kind in REVISION_KINDS and meta.controller)
        return Workload(
            namespace=meta.namespace,
            kind=kind,
            name=meta.name,
            containers=tuple(containers(template.spec, {})),
            pull_secrets=template.spec.pull_secrets,
            account=template.spec.account,
            controller=meta.controller,
            dormant=dormant,
            waker=self._waker(kind, template) if sleeps else None,
            finished=kind == "Job" and self._has_finished(),
            held=self._held() if kind == "StatefulSet" else "",
            revision=revision_of(meta) if kind in REVISION_KINDS else 0,
            replicas=replicas,
            generation=meta.generation,
            labels=template.metadata.labels or {},
            deleting=meta.deletionTimestamp is not None,
            rollout=self._rollout(),
            sleeper=self._sleeper(kind, template) if sleeps else None,
        )

    def _sleeper(self, kind: str, template: WireTemplate) -> Sleeper:
        """Return what tells whether something else may set it again; only workloads that want no pods are asked."""
        meta = self.metadata
        labels = meta.labels or {}
        texts = (*labels.values(), *(meta.annotations or {}).values())
        return Sleeper(
            meta.uid,
            labels | (template.metadata.labels or {}),
            frozenset(text for text in texts if len(text) < _LONGEST_NAME),
            writers_of(meta.appliers(kind)),
        )

    def _rollout(self) -> Rollout:
        if self.spec.paused:
            return Rollout.PAUSED
        strategy = self.spec.updateStrategy or WireUpdateStrategy()
        held = strategy.rollingUpdate and strategy.rollingUpdate.partition
        return Rollout.BY_HAND if strategy.type == "OnDelete" or held else Rollout.ROLLS

    def _held(self) -> str:
        """Return the revision that the pods below the partition are made from, "" if that is the template.

        newVersionedStatefulSetPod of Kubernetes 1.36: without a partition, and with OnDelete, every new pod is made
        from the template, also in the middle of a rollout. A partition counts from the first ordinal, wherever that
        starts, so any partition holds the first pod. Until the controller has seen a new template, both revisions of
        the status are those of the one before.
        """
        status, strategy = self.status, self.spec.updateStrategy
        rolling = strategy.rollingUpdate if strategy else None  # OnDelete has none
        if not (rolling and rolling.partition):
            return ""
        seen = status.observedGeneration >= self.metadata.generation
        same = seen and status.currentRevision == status.updateRevision
        return "" if same else status.currentRevision

    def _waker(self, kind: str, template: WireTemplate) -> Waker | None:
        meta = self.metadata
        annotations = meta.annotations or {}
        marks = (meta.labels or {}) | annotations
        of_pods = template.metadata.labels or {}
        # Of several tools each is named by the next: Flux has Helm write, and says so by a label of its own.
        tools = tuple(tools_of(Described(meta.labels or {}, annotations, references(meta))))[:1]
        return likelier(
            waker_by_marks(kind, marks, meta.maker, self.spec.managedBy, of_pods),
            waker_by_manifest(kind, annotations, meta.appliers(kind), tools),
        )

    def _has_finished(self) -> bool:
        return any(
            condition.type in ("Complete", "Failed") and condition.status == "True"
            for condition in self.status.conditions or ()
        )


class WireRevisionSpec(msgspec.Struct, gc=False):
    """The part of a workload's spec that a revision keeps."""

    template: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"{}"))


class WireRevisionData(msgspec.Struct, gc=False):
    """What a ControllerRevision of a StatefulSet or a DaemonSet keeps: a patch with the whole template."""

    spec: WireRevisionSpec = msgspec.field(default_factory=WireRevisionSpec)


class WireRevision(msgspec.Struct, gc=False):
    """A ControllerRevision; other controllers keep data of another form in theirs."""

    metadata: WireMeta
    revision: int = 0
    data: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"{}"))

    @property
    def template(self) -> msgspec.Raw:
        """The pod template as it stands, an empty one where there is none."""
        try:
            return _DATA.decode(self.data).spec.template
        except msgspec.ValidationError:
            return msgspec.Raw(b"{}")

    def to_domain(self) -> Workload:
        """Return what the judgement wants to know."""
        meta = self.metadata
        try:
            template = _TEMPLATE.decode(self.template)
        except msgspec.ValidationError:
            template = WireTemplate()
        return Workload(
            namespace=meta.namespace,
            kind=CONTROLLER_REVISION,
            name=meta.name,
            containers=tuple(containers(template.spec, {})),
            pull_secrets=template.spec.pull_secrets,
            account=template.spec.account,
            controller=meta.controller,
            revision=self.revision,
            labels=template.metadata.labels or {},
        )


_REVISIONS = (
    "deployment.kubernetes.io/revision",
    "rollout.argoproj.io/revision",
    "openshift.io/deployment-config.latest-version",
)


def revision_of(meta: WireMeta) -> int:
    """Return the number that a controller gave a ReplicaSet or ReplicationController, 0 for none."""
    marks = meta.annotations or {}
    text = next((marks[name] for name in _REVISIONS if name in marks), "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


_LONGEST_NAME = 254  # of an object, or namespace_name as Argo CD writes it
_MANAGERS = msgspec.json.Decoder(list[WireManager] | None)
_DATA = msgspec.json.Decoder(WireRevisionData)
_TEMPLATE = msgspec.json.Decoder(WireTemplate)
