"""Kubeconfig files, readable by their owner alone."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ContextSpec:
    """One context: the https URL of its API server, the CA that vouches for it, a token."""

    server: str
    ca_file: Path
    token: str = field(repr=False)


def write_kubeconfig(path: Path, contexts: Mapping[str, ContextSpec]) -> None:
    """Write a kubeconfig with mode 0600; the first context is the current one.

    The CA is embedded, so the file works wherever it is copied to.
    """
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": name, "cluster": {"server": spec.server, **_authority(spec)}}
            for name, spec in contexts.items()
        ],
        "users": [{"name": name, "user": {"token": spec.token}} for name, spec in contexts.items()],
        "contexts": [
            {"name": name, "context": {"cluster": name, "user": name}} for name in contexts
        ],
        "current-context": next(iter(contexts), ""),
    }
    # JSON is YAML, and needs no YAML library.
    write_private(path, json.dumps(content, indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Write a file with mode 0600, without a moment in which others could read it."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _authority(spec: ContextSpec) -> dict[str, str]:
    encoded = base64.b64encode(spec.ca_file.read_bytes()).decode()
    return {"certificate-authority-data": encoded}
