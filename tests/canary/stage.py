"""The service that the canary runs on: a bad way to one cluster, real registries, people with keys, a wiretap."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from controlplane.cluster import Cluster, ContextSpec, write_kubeconfig
from remediation.api_key import ENTROPY_BYTES, ApiKey, digest, new_api_key
from tests.canary.canaries import Canary, Haul
from tests.canary.wiretap import Watch, Wiretap
from tests.e2e.conftest import write_login
from tests.e2e.fleet import Space, docker_config, grant_least_privilege
from tests.e2e.gate import Gate
from tests.e2e.service import ROOT, Service, own_environment
from tests.leaks import files_in, typed_values_in
from tests.worker.registry_lab import Lab, Reply, Request, Server, push

REPOSITORY = "team/app"
READS_MORE = ("remediator-readiness-secrets", "remediator-readiness-admission")
# Whose passwords lie in the credentials folder, and whose the private registry knows besides.
NAMED = ("named", "wrong", "packed", "rotated", "echoed")
KNOWN = ("named", "packed", "rotated", "inline", "crashed", "cancelled", "approved", "rejected")
ELSEWHERE = (
    "again",
    "paused",
    "chaos",
    "mistaken",
    "broken",
    "foreign",
    "denied",
    "stray",
    "misplaced",
    "mentioned",
)
EVERYWHERE = {name: ["*"] for name in ("clusters", "namespaces", "credentials")}


@dataclass
class Stage:
    """All parts, and what was seen of them."""

    service: Service
    gate: Gate
    space: Space
    tap: Wiretap
    watch: Watch
    registry: str
    echo: Server
    credentials: Path
    canaries: dict[str, Canary]
    keys: dict[str, ApiKey]
    haul: Haul = field(default_factory=Haul)

    def cli(self, *arguments: str, canary: Canary | None = None) -> int:
        """Run `remediator`, with a login of one's own or without; keep what it says and return its exit code."""
        login = (
            ("--server", self.registry, "--username", canary.username, "--password-stdin")
            if canary
            else ()
        )
        own = {
            "REMEDIATOR_URL": self.tap.url,
            "REMEDIATOR_TOKEN": self.service.token,
            "NO_COLOR": "1",
        }
        ended = subprocess.run(
            [sys.executable, "-m", "cli", *arguments, *login],
            cwd=ROOT,
            env=own_environment(own | {"REMEDIATOR_DATA_DIR": str(self.service.directory)}),
            input=f"{canary.password}\n".encode() if canary else b"",
            capture_output=True,
            timeout=180,
            check=False,
        )
        self.haul.add("command line", [ended.stdout, ended.stderr])
        return ended.returncode

    def ask(self, method: str, path: str, who: str | None = None, **more: Any) -> httpx.Response:
        """Send a request, as the owner or with the key of somebody else."""
        if who:
            more["headers"] = {"Authorization": f"Bearer {self.keys[who].token}"} | more.get(
                "headers", {}
            )
        return self.service.http.request(method, path, **more)

    def collect(self) -> None:
        """Look into what is only there while the service runs."""
        with self.service.redis() as redis:
            for database in redis.info("keyspace"):
                redis.select(int(database.removeprefix("db")))
                for kind, value in typed_values_in(redis):
                    self.haul.add(f"Redis {kind}", [value])
            told = (redis.slowlog_get(1000), redis.client_list(), redis.info(), redis.config_get())
            self.haul.add("Redis itself", [repr(told).encode()])
        self.haul.add("arguments", self.watch.arguments)
        self.haul.add("environments", self.watch.environments)

    def collect_remains(self) -> None:
        """Look into what is there when the service has ended."""
        for path, content in files_in(self.service.directory):
            kind = next((k for k, part in FILES.items() if part in str(path)), "other files")
            self.haul.add(kind, [content])
        self.haul.add("standard output", [self.service.printed.encode()])
        self.haul.add("HTTP answers", self.tap.answers)


FILES = {"append-only file": "/data/redis/", "audit file": "/audit", "log": "up.log"}


@contextmanager
def stage(directory: Path, clusters: tuple[Cluster, ...]) -> Iterator[Stage]:
    """Put everything up; the credentials and kubeconfigs are outside of the service's directory."""
    canaries = {name: Canary(name) for name in dict.fromkeys((*NAMED, *KNOWN, *ELSEWHERE))}
    with ExitStack() as stack:
        lab = Lab(directory)
        with lab.registry() as public:
            push(public, REPOSITORY)
        logins = {canaries[name].username: canaries[name].password for name in KNOWN}
        registry = stack.enter_context(lab.registry(**lab.htpasswd(**logins)))
        echo = stack.enter_context(Server(_echo))
        gate = Gate(clusters[0])
        stack.enter_context(gate)
        stack.callback(gate.open.set)
        credentials = directory / "credentials"
        _fill(credentials, canaries, registry, echo.host)
        rules = directory / "registries.yaml"
        plain = {host: {"plain_http": True} for host in (registry, echo.host)}
        rules.write_text(yaml.safe_dump({"registries": plain}))
        kubeconfig = directory / "kubeconfig"
        servers = {"alpha": gate.server, "beta": clusters[1].server}
        write_kubeconfig(
            kubeconfig,
            {
                each.name: ContextSpec(
                    servers[each.name], each.ca_file, grant_least_privilege(each, *READS_MORE)
                )
                for each in clusters
            },
        )
        service = Service(
            directory / "service",
            [kubeconfig],
            credentials,
            {
                "REMEDIATOR_REGISTRIES_FILE": str(rules),
                "REMEDIATOR_LOG_LEVEL": "debug",  # all that can be said
                "TMPDIR": str(_made(directory / "service" / "tmp")),
            },
        )
        stack.callback(service.stop)
        tap = stack.enter_context(Wiretap(service.url))
        service.http.close()
        service.http = httpx.Client(
            base_url=f"{tap.url}/api/v1",
            headers=service.http.headers,
            timeout=90,
            trust_env=False,
            # One that the API has just closed looks open for a moment on this side of the wiretap.
            limits=httpx.Limits(max_keepalive_connections=0),
        )
        keys = {name: new_api_key(os.urandom(ENTROPY_BYTES)) for name in ("bob", "eve")}
        _let_in(service.directory / "data" / "access.yaml", keys)
        watch = stack.enter_context(Watch(service.directory))
        yield Stage(
            service, gate, Space(clusters), tap, watch, registry, echo, credentials, canaries, keys
        )


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True)
    return directory


def _fill(folder: Path, canaries: dict[str, Canary], registry: str, echo: str) -> None:
    """Write credentials as three files, as one, a wrong one, a broken one, and one for the registry that echoes."""
    folder.mkdir()
    for name, host in (("named", registry), ("wrong", registry), ("echoed", echo)):
        write_login(folder / name, host, canaries[name].username, canaries[name].password)
    packed, broken = canaries["packed"], canaries["broken"]
    document = json.dumps(docker_config(registry, packed.username, packed.password))
    _made(folder / "packed").joinpath(".dockerconfigjson").write_text(document)
    document = json.dumps(docker_config(registry, broken.username, broken.password))
    _made(folder / "broken").joinpath(".dockerconfigjson").write_text(document[:-3] + "}")
    _made(folder / "odd")
    for name in ("registry", "username", "password"):
        (folder / "odd" / name).write_text(f"https://x:{broken.password}@y\n:")


def _echo(request: Request) -> Reply:
    """Refuse, and say back all that was sent."""
    said = json.dumps({"errors": [{"code": "DENIED", "message": request.everything}]}).encode()
    challenge = [
        ("WWW-Authenticate", f'Basic realm="{request.headers.get("Authorization", "none")}"')
    ]
    return Reply(401, challenge, said)


def _let_in(path: Path, keys: dict[str, ApiKey]) -> None:
    """Let bob agree to what is done to beta, and eve look."""
    document = yaml.safe_load(path.read_text())
    roles = {"bob": "operator", "eve": "viewer"}
    document["keys"] += [
        {"id": key.id, "subject": name, "sha256": digest(key.token), "expires_at": "never"}
        for name, key in keys.items()
    ]
    document["bindings"] += [
        {"subjects": [f"client:{name}"], "role": role, **EVERYWHERE} for name, role in roles.items()
    ]
    document["protected_clusters"] = ["beta"]
    path.write_text(yaml.safe_dump(document))
