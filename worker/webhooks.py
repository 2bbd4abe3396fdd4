"""Which configuration an admission webhook is of: the API server names the webhook alone, and that is no object."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

import msgspec

from worker.culprits import FIND_WEBHOOK
from worker.faults import Call, Fault, Gone

_GROUP = "/apis/admissionregistration.k8s.io/v1"
_KINDS = {
    "validatingwebhookconfigurations": "ValidatingWebhookConfiguration",
    "mutatingwebhookconfigurations": "MutatingWebhookConfiguration",
}

Get = Callable[[str, Call], Awaitable[bytes]]


class _Named(msgspec.Struct, gc=False):
    name: str = ""


class _Configuration(msgspec.Struct, gc=False):
    metadata: _Named = msgspec.field(default_factory=_Named)
    webhooks: list[_Named] | None = None


class _List(msgspec.Struct, gc=False):
    items: list[_Configuration]


class Webhooks:
    """The webhooks of a cluster, listed once, when the first of them stands in the way."""

    def __init__(self) -> None:
        self._configurations: dict[str, str] | None = None
        self._listing = asyncio.Lock()

    async def blame(self, fault: Fault, get: Get) -> Fault:
        """Return the fault with the configuration of its webhook in the hint, as far as the account may list them."""
        async with self._listing:
            if self._configurations is None:
                found: dict[str, str] = {}
                for resource, kind in _KINDS.items():
                    await _read(resource, kind, get, found)
                self._configurations = found
        configuration = self._configurations.get(fault.webhook)
        if configuration is None:
            return fault
        hint = fault.error.hint.replace(FIND_WEBHOOK, configuration)
        return Fault(
            replace(fault.error, hint=hint), fault.retry, fault.retry_after, webhook=fault.webhook
        )


async def _read(resource: str, kind: str, get: Get, found: dict[str, str]) -> None:
    # It helps whoever reads the report, and nothing depends on it.
    with suppress(Fault, Gone, msgspec.MsgspecError):
        body = await get(f"{_GROUP}/{resource}", Call("list", resource))
        for each in msgspec.json.decode(body, type=_List).items:
            for webhook in each.webhooks or ():
                found.setdefault(webhook.name, f"{kind} '{each.metadata.name}'")
