"""Object metadata, as much of it as a readiness check reads."""

from datetime import datetime

import msgspec

from remediation.readiness.observation import STAYS, WORKLOAD_KINDS, Going, Owner

_BUILT_IN_GROUPS = ("", "apps", "batch", "extensions")


def kind_of(kind: str, group: str) -> str:
    """Return a kind as findings name it; one that only shares its name with a built-in workload bears its group."""
    strange = kind in WORKLOAD_KINDS and group not in _BUILT_IN_GROUPS
    return f"{kind}.{group}" if strange else kind


def strange_group(group: str) -> str:
    """Return the API group of a kind, "" for the groups of the built-in workloads."""
    return "" if group in _BUILT_IN_GROUPS else group


class WireOwner(msgspec.Struct, gc=False):
    """An owner reference."""

    apiVersion: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None


class WireMeta(msgspec.Struct, gc=False):
    """Object metadata, without managedFields."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resourceVersion: str = ""
    generation: int = 0
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    creationTimestamp: str | None = None
    deletionTimestamp: str | None = None
    finalizers: list[str] | None = None
    ownerReferences: list[WireOwner] | None = None

    @property
    def controller(self) -> Owner | None:
        """The owner that controls the object."""
        for owner in self.ownerReferences or ():
            if owner.controller:
                group = owner.apiVersion.rpartition("/")[0]
                return Owner(kind_of(owner.kind, group), owner.name, strange_group(group))
        return None

    @property
    def maker(self) -> Owner | None:
        """The owner that may create the object again: its controller, else the first owner that is not built in.

        An operator may leave out `controller: true`, and still replaces what it owns.
        """
        strange = (
            Owner(kind_of(owner.kind, group), owner.name, group)
            for owner in self.ownerReferences or ()
            if (group := strange_group(owner.apiVersion.rpartition("/")[0]))
        )
        return self.controller or next(strange, None)

    @property
    def going(self) -> Going:
        """Whether it is on its way out."""
        if not (self.deletionTimestamp or self.ownerReferences):
            return STAYS
        owners = tuple(owner.uid for owner in self.ownerReferences or ())
        return Going(bool(self.deletionTimestamp), tuple(self.finalizers or ()), owners)

    @property
    def created_at(self) -> datetime | None:
        """When it was made."""
        return datetime.fromisoformat(self.creationTimestamp) if self.creationTimestamp else None
