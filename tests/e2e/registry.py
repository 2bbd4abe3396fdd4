"""A real registry behind the name that the credentials of tests and documentation have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from controlplane.registry import Registry
from tests.e2e.fleet import PASSWORD, REGISTRY, USERNAME


@contextmanager
def known_registry(directory: Path) -> Iterator[dict[str, str]]:
    """Run a registry that knows the usual login; yield the variable that has workers ask it as the shadow of REGISTRY.

    Nothing leaves this machine, and nobody has to resolve a name that does not exist.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with Registry.start(directory / "registry", htpasswd={USERNAME: PASSWORD}) as registry:
        rules = {"plain_http": True, "shadow": f"http://{registry.host}"}
        path = directory / "registries.yaml"
        path.write_text(yaml.safe_dump({"registries": {REGISTRY: rules}}))
        yield {"REMEDIATOR_REGISTRIES_FILE": str(path)}
