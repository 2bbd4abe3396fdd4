"""What the exec entry of a kubeconfig may hold."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from remediation.patterns import matcher
from remediation.redaction import redacted
from worker.kubeconfig_unusable import Unusable

_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_MOST_HINT = 400
_MODES = ("Never", "IfAvailable")


def check_plugin(plugin: object, folder: Path, plugins: tuple[str, ...]) -> Mapping[str, Any]:
    """Return the entry with its command as it is to be started; `plugins` are globs of those that may be.

    Raises Unusable.
    """
    if (
        not isinstance(plugin, dict)
        or not isinstance(plugin.get("command"), str)
        or not plugin["command"]
    ):
        raise Unusable("exec names no command")
    command = plugin["command"]
    if not matcher(plugins)(command):
        raise Unusable(
            "exec runs a command that this worker does not allow: name it in REMEDIATOR_EXEC_PLUGINS, or use a token "
            "or a certificate"
        )
    version, mode = plugin.get("apiVersion"), plugin.get("interactiveMode")
    if mode == "Always":
        raise Unusable("exec with interactiveMode Always cannot run in a service")
    if version not in _VERSIONS:
        raise Unusable(f"the apiVersion of exec must be {' or '.join(_VERSIONS)}")
    if mode not in _MODES and (mode or version == _VERSIONS[0]):
        raise Unusable("the interactiveMode of exec must be Never or IfAvailable")
    own = _environment(plugin.get("env"))
    # As kubectl: a command with a slash is relative to its kubeconfig, a bare one is looked up on PATH.
    path = str(folder / command) if "/" in command else command
    if shutil.which(path) is None:
        where = "on the worker's PATH" if path == command else "where the kubeconfig says"
        raise Unusable(
            f"its exec plugin '{Path(command).name}' is not {where}, or may not be run; install it where the worker "
            f"runs{install_hint(plugin)}"
        )
    return plugin | {"command": path, "env": own}


def install_hint(plugin: Mapping[str, Any]) -> str:
    """Return what the kubeconfig says of how to get the plugin, as an end of a sentence; "" if it says nothing."""
    hint = plugin.get("installHint")
    if not isinstance(hint, str) or not (words := " ".join(redacted(hint).split())):
        return ""
    shown = "".join(char if char.isprintable() else " " for char in words)
    return f"; its hint: {shown[:_MOST_HINT]}"


def _environment(entries: object) -> list[dict[str, str]]:
    found = []
    for entry in entries if isinstance(entries, list) else [] if not entries else [None]:
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not name:
            raise Unusable("the env of exec must be a list of name and value")
        value = entry.get("value")
        found.append({"name": str(name), "value": "" if value is None else str(value)})
    return found
