"""ServiceAccounts, Secrets, nodes and budgets, decoded straight from JSON into small structs."""

import base64
import binascii
from datetime import datetime
from typing import Any

import msgspec

from remediation.docker_config import SECRET_KEY, SECRET_TYPE
from remediation.footprint import OUR_MANAGER
from remediation.go_values import is_true
from remediation.readiness.observation import Account, DisruptionBudget, Node, PullSecret
from remediation.state import MANAGED_BY, MANAGED_BY_LABEL
from worker.readiness.wire_meta import WireMeta
from worker.signals import WireManager, account_signals, manifest_content, secret_signals
from worker.wire import WireReference, runtime_of

LEGACY_TYPE = "kubernetes.io/dockercfg"
LEGACY_KEY = ".dockercfg"
ENFORCE_ANNOTATION = "kubernetes.io/enforce-mountable-secrets"
_KEYS = {SECRET_TYPE: SECRET_KEY, LEGACY_TYPE: LEGACY_KEY}


class WireOwnedMeta(WireMeta, gc=False):
    """Metadata with managedFields."""

    managedFields: list[WireManager] | None = None

    def listed_at(self, but: str = "") -> datetime | None:
        """Return when a manager that owns `imagePullSecrets` last wrote the object, one manager left out."""
        times = (
            datetime.fromisoformat(entry.time)
            for entry in self.managedFields or ()
            if entry.time and entry.manager != but and entry.owns("f:imagePullSecrets")
        )
        return max(times, default=None)


class WireAccount(msgspec.Struct, gc=False):
    """A ServiceAccount."""

    metadata: WireOwnedMeta
    imagePullSecrets: list[WireReference] | None = None

    def to_domain(self) -> Account:
        """Return what the judgement wants to know."""
        meta = self.metadata
        annotations = meta.annotations or {}
        return Account(
            namespace=meta.namespace,
            name=meta.name,
            uid=meta.uid,
            resource_version=meta.resourceVersion,
            pull_secrets=tuple(entry.name for entry in self.imagePullSecrets or ()),
            enforces_mountable=is_true(annotations.get(ENFORCE_ANNOTATION)),
            created_at=meta.created_at,
            signals=account_signals(meta),
            going=meta.going,
            listed_at=meta.listed_at(),
            listed_by_others_at=meta.listed_at(but=OUR_MANAGER),
        )


class WirePullSecret(msgspec.Struct, gc=False):
    """A Secret."""

    metadata: WireOwnedMeta
    type: str = "Opaque"
    data: dict[str, str] | None = None
    immutable: bool | None = None

    def to_domain(self) -> PullSecret:
        """Return what the judgement wants to know."""
        key = _KEYS.get(self.type, "")
        encoded = (self.data or {}).get(key)
        return PullSecret(
            self.metadata.namespace,
            self.metadata.name,
            self.type,
            None if encoded is None else _decoded(encoded),
            immutable=bool(self.immutable),
            going=self.metadata.going,
            uid=self.metadata.uid,
            signals=secret_signals(self.metadata, key),
            manifest=manifest_content(self.metadata, key),
            ours=(self.metadata.labels or {}).get(MANAGED_BY_LABEL) == MANAGED_BY,
        )


class WireNodeInfo(msgspec.Struct, gc=False):
    """What a node says of itself."""

    kubeletVersion: str = ""
    containerRuntimeVersion: str = ""


class WireNodeStatus(msgspec.Struct, gc=False):
    """The status of a node."""

    nodeInfo: WireNodeInfo = msgspec.field(default_factory=WireNodeInfo)


class WireNode(msgspec.Struct, gc=False):
    """A Node."""

    metadata: WireMeta
    status: WireNodeStatus = msgspec.field(default_factory=WireNodeStatus)

    @property
    def runtime(self) -> str:
        """Its runtime, "" if it does not say."""
        return runtime_of(self.status.nodeInfo.containerRuntimeVersion)

    def to_domain(self) -> Node:
        """Return what the judgement wants to know."""
        version = self.status.nodeInfo.kubeletVersion
        return Node(self.metadata.name, self.metadata.labels or {}, version)


class WireBudgetSpec(msgspec.Struct, gc=False):
    """Whose disruption is bounded."""

    selector: dict[str, Any] | None = None


class WireBudgetStatus(msgspec.Struct, gc=False):
    """How many may be disrupted now."""

    disruptionsAllowed: int = 0


class WireBudget(msgspec.Struct, gc=False):
    """A PodDisruptionBudget."""

    metadata: WireMeta
    spec: WireBudgetSpec = msgspec.field(default_factory=WireBudgetSpec)
    status: WireBudgetStatus = msgspec.field(default_factory=WireBudgetStatus)

    def to_domain(self) -> DisruptionBudget:
        """Return what the restart plan wants to know."""
        meta = self.metadata
        return DisruptionBudget(
            meta.namespace, meta.name, self.spec.selector, self.status.disruptionsAllowed
        )


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
