"""Workloads, by the pull Secrets that their templates name; decoded straight from JSON into small structs."""

import msgspec

from worker.wire import OwnerMeta, WireReference


class WirePodPart(msgspec.Struct, gc=False):
    """The part of a template's pod that names pull Secrets."""

    imagePullSecrets: list[WireReference] | None = None


class WirePodTemplate(msgspec.Struct, gc=False):
    """A pod template."""

    spec: WirePodPart = msgspec.field(default_factory=WirePodPart)


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
        named = spec.template.spec.imagePullSecrets if spec.template else None
        controlled = any(owner.controller for owner in self.metadata.ownerReferences or ())
        return not controlled and any(entry.name == secret_name for entry in named or ())
