"""The CNCF registry on loopback, open or with passwords."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import httpx

from controlplane.build import binaries
from controlplane.kubeconfig import write_private
from controlplane.part import Part
from controlplane.process import Process, StartError, wait_for

_CONFIG = "registry.json"
_HTPASSWD = "htpasswd"
_IMAGES = "images"


class Registry(Part):
    """A running registry; a context manager that stops it at the end."""

    def __init__(
        self, directory: Path, port: int, process: Process, shadow_of: Path | None
    ) -> None:
        """Use `Registry.start` instead."""
        self._directory = directory
        self._process = process
        self._shadow_of = shadow_of
        self.host = f"127.0.0.1:{port}"

    @classmethod
    def start(
        cls,
        directory: Path,
        *,
        htpasswd: Mapping[str, str] | None = None,
        port: int = 0,
        shadow_of: Path | None = None,
    ) -> Self:
        """Start a registry with its images in `directory` and return it when it answers.

        `htpasswd` maps users to passwords; without it everyone may pull and push. `port` 0 means
        a free one. With `shadow_of`, the directory of another registry, it serves that one's
        images, read-only.

        Raises BuildError, and StartError with the end of its log, or where passwords are wanted
        and the package bcrypt is missing.
        """
        directory = directory.absolute()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if htpasswd is not None:
            write_private(directory / _HTPASSWD, _hashed(htpasswd))
        # JSON is YAML, and needs no YAML library.
        config = _config(port, private=htpasswd is not None, shadow_of=shadow_of)
        write_private(directory / _CONFIG, json.dumps(config))
        command = [str(binaries("registry")["registry"]), "serve", _CONFIG]
        (directory / "registry.log").unlink(missing_ok=True)
        process = Process.start("registry", command, directory, environment=_environment())
        try:
            # With port 0 only the registry knows which port it was given.
            wait_for(lambda: _port(process.log) is not None, "the registry", [process])
            registry = cls(directory, _port(process.log) or port, process, shadow_of)
            wait_for(registry._answers, "the registry", [process])
        except BaseException:
            process.stop()
            raise
        return registry

    def restart(self, *, htpasswd: Mapping[str, str] | None = None) -> None:
        """Make it private (or open again): same host, same images."""
        self.stop()
        port = int(self.host.rpartition(":")[2])
        again = type(self).start(
            self._directory, htpasswd=htpasswd, port=port, shadow_of=self._shadow_of
        )
        self._process = again._process

    def shadow(self, directory: Path, *, htpasswd: Mapping[str, str] | None = None) -> Self:
        """Start a second registry in `directory`: the same images, read-only.

        With passwords it shows before this one is made private who will be let in; without, how it was before. Raises
        as `start`.
        """
        return self.start(directory, htpasswd=htpasswd, shadow_of=self._directory)

    @property
    def pid(self) -> int:
        """Process id of the registry."""
        return self._process.pid

    def stop(self) -> None:
        """End it; its images stay. Harmless when already stopped."""
        self._process.stop()

    def _answers(self) -> bool:
        try:
            answer = httpx.get(f"http://{self.host}/v2/", timeout=5, trust_env=False)
        except httpx.TransportError:
            return False
        return answer.status_code in (httpx.codes.OK, httpx.codes.UNAUTHORIZED)


def _config(port: int, *, private: bool, shadow_of: Path | None) -> dict[str, Any]:
    images = str(shadow_of.absolute() / _IMAGES) if shadow_of else _IMAGES
    config: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": images}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    if shadow_of:
        config["storage"]["maintenance"] = {"readonly": {"enabled": True}}
    if private:
        config["auth"] = {"htpasswd": {"realm": "registry", "path": _HTPASSWD}}
    return config


def _environment() -> dict[str, str]:
    # Any REGISTRY_* would change the configuration; and nobody here listens for its traces.
    ours = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")}
    return ours | {"OTEL_TRACES_EXPORTER": "none"}


def _hashed(passwords: Mapping[str, str]) -> str:
    # Here, because whoever needs no passwords needs no such package.
    try:
        import bcrypt
    except ImportError as error:
        wanted = "install bcrypt, or this project with its extra 'demo'"
        raise StartError(f"a registry with passwords needs the package bcrypt: {wanted}") from error

    # The cheapest cost: every pull pays it, and nothing here is worth cracking.
    return "".join(
        f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n"
        for user, password in passwords.items()
    )


def _port(log: Path) -> int | None:
    match = re.search(r"listening on 127\.0\.0\.1:(\d+)", log.read_text(errors="replace"))
    return int(match[1]) if match else None
