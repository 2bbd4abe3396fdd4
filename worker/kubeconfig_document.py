"""A context as the Kubernetes client cannot misread it: settled, with all that its files and its plugin say."""

import logging
import ssl
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from network.trust import system_roots
from worker import exec_plugin
from worker.kubeconfig_rules import Unusable, authority, client_identity, read_token
from worker.kubeconfigs import Context
from worker.renewal import NotNow

# Where a cluster entry keeps what its exec plugins are told.
_PLUGIN_EXTENSION = "client.authentication.k8s.io/exec"

log = logging.getLogger(__name__)


async def document_of(context: Context) -> dict[str, Any]:
    """Return the context as a kubeconfig that the client cannot misread. Raises Unusable."""
    cluster: dict[str, Any] = {"server": context.server}
    if name := context.cluster.get("tls-server-name"):
        cluster["tls-server-name"] = name.removesuffix(".")
    vouched = authority(context.cluster, Path())
    if context.insecure:
        cluster["insecure-skip-tls-verify"] = True
    elif trusted := vouched or _machine_authorities():
        cluster["certificate-authority-data"] = _base64(trusted)
    given = dict(context.user)
    if plugin := given.get("exec"):
        given = dict(await _asked(plugin, context, vouched))
    user = {}
    if path := given.get("tokenFile"):
        user["token"] = _token(Path(path), given.get("token"))
    elif token := given.get("token"):
        user["token"] = token
    if found := client_identity(given, Path()):
        user["client-certificate-data"], user["client-key-data"] = map(_base64, found)
    name = context.name
    return {
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }


async def _asked(
    plugin: Mapping[str, Any], context: Context, vouched: str | None
) -> dict[str, str]:
    try:
        return await exec_plugin.run(plugin, _told(context, vouched))
    except Unusable as error:
        log.warning("context '%s': %s", context.name, error)
        raise


def _told(context: Context, vouched: str | None) -> dict[str, Any]:
    """Return what a plugin with provideClusterInfo is told of the cluster, as kubectl tells it."""
    told: dict[str, Any] = {"server": context.server}
    for name in ("tls-server-name", "proxy-url"):
        if value := context.cluster.get(name):
            told[name] = value
    if vouched is not None:
        told["certificate-authority-data"] = _base64(vouched)
    if context.insecure:
        told["insecure-skip-tls-verify"] = True
    if context.cluster.get("disable-compression"):
        told["disable-compression"] = True
    extensions = context.cluster.get("extensions")
    for item in extensions if isinstance(extensions, list) else ():
        if isinstance(item, dict) and item.get("name") == _PLUGIN_EXTENSION:
            told["config"] = item.get("extension")
    return told


def _token(path: Path, otherwise: str | None) -> str:
    """Return the token in the file; one that stands beside it counts while the file cannot be read, as with kubectl."""
    try:
        return read_token(path)
    except Unusable as error:
        if not otherwise:
            raise NotNow(str(error)) from None  # what renews it may be writing it
        return otherwise


def _machine_authorities() -> str:
    return "".join(ssl.DER_cert_to_PEM_cert(der) for der in system_roots())


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()
