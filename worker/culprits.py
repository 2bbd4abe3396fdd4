"""Who is to blame for a refusal, by words of the API server that cannot hold anything of the object.

Texts of Kubernetes 1.36, of GKE Warden, of AKS' managed policies and of OpenShift's managed webhooks.
"""

import re
from dataclasses import dataclass

_CALL = re.compile(r'(?:Internal error occurred: )?failed calling webhook "([^"]{1,253})"')
_HOST = re.compile(r'Post "https://([A-Za-z0-9.:\[\]-]{1,253})[/?"]')
_SERVICE = re.compile(
    r'no endpoints available for service "([a-z0-9.:-]{1,253})"|service "([a-z0-9.:-]{1,253})" not found'
)
_REASONS = (
    ("connection refused", "the connection is refused"),
    ("no such host", "its host name is not known"),
    ("x509: ", "its certificate is not trusted"),
    ("context deadline exceeded", "no answer in time"),
    ("Client.Timeout exceeded", "no answer in time"),
    ("i/o timeout", "no answer in time"),
    ("received invalid webhook response", "its answer is not valid"),
    ("received undecodable patch", "its patch is not valid"),
)
# An API server whose cache of a kind cannot be filled answers so to lists with selectors, and adds why.
_NO_CACHE = "storage is (re)initializing: "
FIND_WEBHOOK = (
    "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations "
    "-o custom-columns='NAME:.metadata.name,WEBHOOKS:.webhooks[*].name'"
)
_QUOTA = re.compile(r"(?:exceeded|failed|status unknown for) quota: ([a-z0-9.-]{1,253})")
_QUOTA_SUMS = re.compile(
    r"(requested: [\w./=,-]{1,200}, used: [\w./=,-]{1,200}, limited: [\w./=,-]{1,200})"
)
_MANAGED = (
    ("GKE", re.compile(r'managed-namespaces-limitation|GKE ?Autopilot authz: the namespace "')),
    ("AKS", re.compile(r"aks-managed-[a-z-]*namespaces")),
    ("OpenShift", re.compile(r'webhook "[a-z0-9-]+\.managed\.openshift\.io"')),
)
_STORED = re.compile(r'unable to (?:transform|decode) key "(/[\w.:/-]{1,600})"')
_ENCRYPTED = (
    "unable to transform key",
    "tried to read encrypted data",
    "no matching prefix found",
    "no matching key was found",
    "failed to decrypt",
)


@dataclass(frozen=True, slots=True)
class FailingWebhook:
    """A webhook that the API server could not call: its `name`, and what is known of `why`."""

    name: str
    why: str

    @property
    def detail(self) -> str:
        """What happened."""
        return f"admission webhook '{self.name}' cannot be called{self.why and f' ({self.why})'}"


def failing_webhook(message: str) -> FailingWebhook | None:
    """Return the webhook that could not be called, None if the message is about something else."""
    found = _CALL.match(message)
    if found is None:
        return None
    rest = message[found.end() :]
    if service := _SERVICE.search(rest):
        name, missing = service.groups()
        why = f"service '{name}' has no endpoints" if name else f"service '{missing}' is not there"
    else:
        why = next((told for words, told in _REASONS if words in rest), "")
    host = _HOST.search(rest)
    return FailingWebhook(found[1], ", ".join(filter(None, (host and f"at {host[1]}", why))))


def quota_of(message: str) -> str:
    """Return the name of the ResourceQuota in a refusal, "" if there is none."""
    found = _QUOTA.search(message)
    return found[1] if found else ""


def quota_sums(message: str) -> str:
    """Return what the quota counted, in parentheses, "" if the message does not say."""
    found = _QUOTA_SUMS.search(message)
    return f" ({found[1]})" if found else ""


def provider_of(message: str) -> str:
    """Return the provider that manages the namespace and refuses everyone, "" if it is none that is known."""
    return next((name for name, words in _MANAGED if words.search(message)), "")


def cache_fails(message: str) -> bool:
    """Tell whether the API server cannot fill its cache of a kind, and has tried."""
    return message.startswith(_NO_CACHE)


def undecryptable(message: str) -> str | None:
    """Return the key in etcd of an object that cannot be decrypted, "" where it is not told; None for another text."""
    found = _STORED.search(message)
    if found:
        return found[1]
    return "" if any(words in message for words in _ENCRYPTED) else None
