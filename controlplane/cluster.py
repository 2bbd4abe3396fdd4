"""A Kubernetes control plane on loopback: etcd, the API server and, if wanted, the rest."""

from __future__ import annotations

import secrets
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

import httpx

from controlplane import components, objects, readiness
from controlplane.build import binaries
from controlplane.keys import signing_key
from controlplane.kubeconfig import ContextSpec, write_kubeconfig, write_private
from controlplane.part import Part
from controlplane.populate import populate
from controlplane.process import Process, StartError, stop_all, wait_for

__all__ = ["ApiError", "Cluster", "ContextSpec", "StartError", "write_kubeconfig"]


class ApiError(Exception):
    """The API server refused a request of the launcher; `status` is the HTTP status."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class Cluster(Part):
    """A running control plane; a context manager that stops it at the end."""

    def __init__(self, name: str, directory: Path) -> None:
        """Use `Cluster.start` instead."""
        self.name = name
        self.directory = directory.absolute()
        self.admin_token = secrets.token_urlsafe(32)
        self.kubeconfig = self.directory / components.KUBECONFIG
        # Self-signed by the API server at its start; the file holds its CA as well.
        self.ca_file = self.directory / components.CERTIFICATES / "apiserver.crt"
        self._port = _hold_port()
        self.server = f"https://127.0.0.1:{self._port.getsockname()[1]}"
        self._running: list[Process] = []
        self._http: httpx.Client | None = None

    @classmethod
    def start(
        cls,
        name: str,
        directory: Path,
        *,
        controllers: bool = False,
        scheduler: bool = False,
        nodes: int = 0,
        flags: Sequence[str] = (),
    ) -> Self:
        """Start a cluster in `directory` (created, must be fresh) and return it when ready.

        Ready means that an ordinary ServiceAccount is let in by its role binding; with
        `controllers`, that namespace `default` has its ServiceAccount; with `nodes`, that all
        are Ready (`node-0`, …). `flags` are added to those of the API server.

        Raises BuildError, and StartError with the end of the log of what did not come up.
        """
        cluster = cls(name, directory)
        try:
            cluster._start(controllers=controllers, scheduler=scheduler, nodes=nodes, flags=flags)
        except BaseException:
            cluster.stop()
            raise
        return cluster

    def stop(self) -> None:
        """End all processes; the directory stays. Harmless when already stopped."""
        if self._http is not None:
            self._http.close()
        # Without its etcd an API server takes many seconds to end.
        stop_all(process for process in self._running if process.name != "etcd")
        stop_all(self._running)
        self._running.clear()
        self._port.close()

    @property
    def processes(self) -> dict[str, int]:
        """Process ids by name of the binary."""
        return {process.name: process.pid for process in self._running}

    @property
    def context(self) -> ContextSpec:
        """What a kubeconfig needs to reach this cluster as admin."""
        return ContextSpec(self.server, self.ca_file, self.admin_token)

    @property
    def http(self) -> httpx.Client:
        """A client with the cluster's CA and the admin's token; safe to share by threads."""
        if self._http is None:
            self._http = self.client(self.admin_token)
        return self._http

    def client(self, token: str) -> httpx.Client:
        """Return a new client for another identity; the caller closes it."""
        return httpx.Client(
            base_url=self.server,
            headers={"Authorization": f"Bearer {token}"},
            verify=self._tls(),
            timeout=60,
            # No proxy of the surroundings between us and our own loopback.
            trust_env=False,
        )

    def apply(self, *bodies: dict[str, Any]) -> None:
        """Create or change objects by server-side apply; `apiVersion` may be left out.

        Raises ApiError, and ValueError for a kind that `objects` has no path for.
        """
        for body in bodies:
            self._answer(
                self.http.patch(
                    objects.path(body),
                    params={"fieldManager": "controlplane", "force": "true"},
                    json=objects.with_api_version(body),
                    headers={"Content-Type": "application/apply-patch+yaml"},
                )
            )

    def create(self, body: dict[str, Any]) -> None:
        """Create an object as somebody does by hand, so that nobody applies it again.

        Raises ApiError, and ValueError for a kind that `objects` has no path for.
        """
        place = objects.path(body).rpartition("/")[0]
        by_hand = {"fieldManager": "kubectl-create"}
        self._answer(self.http.post(place, params=by_hand, json=objects.with_api_version(body)))

    def service_account_token(self, namespace: str, name: str) -> str:
        """Return a token of the ServiceAccount that lasts a day. Raises ApiError."""
        answer = self._answer(
            self.http.post(
                f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token",
                json={"spec": {"expirationSeconds": 86400}},
            )
        )
        return str(answer.json()["status"]["token"])

    def add_nodes(self, count: int) -> None:
        """Play nodes, `node-0` and on, and return when they are Ready; once for a cluster that has none.

        Raises BuildError, and StartError.
        """
        self._play_nodes(count)
        self._wait(partial(readiness.nodes_are_ready, self.http), "Ready nodes")

    def populate(self, count: int, accounts: int, prefix: str) -> list[str]:
        """Create `count` namespaces with `accounts` ServiceAccounts each; return their names.

        The first account is `default`, the others `account-1`, …; existing ones are left.
        Raises PopulateError.
        """
        names = [f"{prefix}{number:04d}" for number in range(count)]
        account_names = ["default", *(f"account-{number}" for number in range(1, accounts))]
        populate(self.context, names, account_names[:accounts])
        return names

    def _answer(self, answer: httpx.Response) -> httpx.Response:
        if answer.is_error:
            request = f"{answer.request.method} {answer.request.url.path}"
            # About a Secret the server may quote the Secret.
            reason = "" if "/secrets/" in request else f": {answer.text[:1000]}"
            raise ApiError(f"{request}: {answer.status_code}{reason}", answer.status_code)
        return answer

    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca_file))

    def _start(
        self, *, controllers: bool, scheduler: bool, nodes: int, flags: Sequence[str]
    ) -> None:
        wanted = ["etcd", "kube-apiserver"]
        wanted += ["kube-controller-manager"] * controllers
        wanted += ["kube-scheduler"] * scheduler
        wanted += ["kwok"] * bool(nodes)
        found = binaries(*wanted)
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self.directory / components.SIGNING_KEY, signing_key())
        tokens = f'{self.admin_token},admin,admin,"system:masters"\n'
        write_private(self.directory / components.TOKENS, tokens)

        self._run("etcd", components.etcd(found["etcd"]))
        self._wait((self.directory / "etcd:0").is_socket, "etcd")
        port = self._port.getsockname()[1]
        self._run("kube-apiserver", components.api_server(found["kube-apiserver"], port, flags))
        self._wait(self._is_up, "the API server")
        write_kubeconfig(self.kubeconfig, {self.name: self.context})
        if controllers:
            name = "kube-controller-manager"
            self._run(name, components.controller_manager(found[name]))
        if scheduler:
            self._run("kube-scheduler", components.scheduler(found["kube-scheduler"]))
        if nodes:
            self._play_nodes(nodes)
        self._wait_for_rbac()
        if controllers:
            account = "/api/v1/namespaces/default/serviceaccounts/default"
            self._wait(partial(readiness.exists, self.http, account), account)
        if nodes:
            self._wait(partial(readiness.nodes_are_ready, self.http), "Ready nodes")

    def _play_nodes(self, count: int) -> None:
        self._run("kwok", components.kwok(binaries("kwok")["kwok"]))
        self.apply(*(objects.node(f"node-{number}") for number in range(count)))

    def _run(self, name: str, command: Sequence[str]) -> None:
        self._running.append(Process.start(name, command, self.directory))

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        wait_for(condition, what, self._running)

    def _is_up(self) -> bool:
        # The file appears before it is whole.
        with suppress(FileNotFoundError, ssl.SSLError, httpx.TransportError):
            return self.http.get("/readyz").is_success
        return False

    def _wait_for_rbac(self) -> None:
        for namespace in ("kube-system", "default"):
            path = f"/api/v1/namespaces/{namespace}"
            self._wait(partial(readiness.exists, self.http, path), path)
        self.apply(*readiness.PROBE)
        token = self.service_account_token("kube-system", readiness.PROBE_NAME)
        with self.client(token) as probe:
            self._wait(partial(readiness.exists, probe, "/api/v1/namespaces"), "a warm RBAC")
        for body in readiness.PROBE:
            self._answer(self.http.delete(objects.path(body)))


def _hold_port() -> socket.socket:
    """Return a bound socket that keeps a free port for us.

    It never listens. With SO_REUSEPORT on both sides the API server of the same user can
    listen on the port, while nothing else on the machine is given it: no race to lose.
    """
    holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    holder.bind(("127.0.0.1", 0))
    return holder
