"""Workloads, by the Secrets that their templates name; decoded straight from JSON into small structs."""

import msgspec

from worker.wire import OwnerMeta
from worker.wire_pod import WirePodSpec


class WirePodTemplate(msgspec.Struct, gc=False):
    """A pod template."""

    spec: WirePodSpec = msgspec.field(default_factory=WirePodSpec)


class WireNamerSpec(msgspec.Struct, gc=False):
    """The spec of a workload; a CronJob's holds that of its Jobs."""

    template: WirePodTemplate | None = None
    jobTemplate: "WireNamerJob | None" = None


class WireNamerJob(msgspec.Struct, gc=False):
    """The template of a CronJob's Jobs."""

    spec: WireNamerSpec = msgspec.field(default_factory=WireNamerSpec)


class WireNamer(msgspec.Struct, gc=False):
    """A workload of any kind."""

    metadata: OwnerMeta
    spec: WireNamerSpec = msgspec.field(default_factory=WireNamerSpec)

    def names(self, secret_name: str) -> bool:
        """Tell whether its template names a Secret; where another object controls it, that one is the one to change."""
        spec = self.spec.jobTemplate.spec if self.spec.jobTemplate else self.spec
        controlled = any(owner.controller for owner in self.metadata.ownerReferences or ())
        return not controlled and bool(spec.template and spec.template.spec.names(secret_name))
