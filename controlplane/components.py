"""The command lines of a control plane's processes; all run in the cluster's directory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

# Sockets in the working directory: no port to collide on, no long path, no other users.
_ETCD_CLIENT = "unix://etcd:0"
_ETCD_PEER = "unix://peer:0"
STAGES = Path(__file__).with_name("stages.yaml")
TOKENS = "tokens.csv"
SIGNING_KEY = "service-account.key"
CERTIFICATES = "certificates"
KUBECONFIG = "kubeconfig"


def etcd(binary: Path) -> list[str]:
    """Return the command of an etcd that does not wait for the disk."""
    return [
        str(binary),
        "--name=etcd",
        "--data-dir=etcd-data",
        f"--listen-client-urls={_ETCD_CLIENT}",
        f"--advertise-client-urls={_ETCD_CLIENT}",
        f"--listen-peer-urls={_ETCD_PEER}",
        f"--initial-advertise-peer-urls={_ETCD_PEER}",
        f"--initial-cluster=etcd={_ETCD_PEER}",
        "--unsafe-no-fsync",
    ]


def api_server(binary: Path, port: int, flags: Sequence[str]) -> list[str]:
    """Return the command of the API server; `flags` come last and win."""
    return [
        str(binary),
        f"--etcd-servers={_ETCD_CLIENT}",
        "--bind-address=127.0.0.1",
        # Otherwise it looks for an outside address, and fails on a machine without network.
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        f"--secure-port={port}",
        # The launcher holds the port with the same option, see Cluster.
        "--permit-port-sharing",
        f"--cert-dir={CERTIFICATES}",
        f"--token-auth-file={TOKENS}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={SIGNING_KEY}",
        f"--service-account-key-file={SIGNING_KEY}",
        "--service-cluster-ip-range=10.0.0.0/24",
        *flags,
    ]


def controller_manager(binary: Path) -> list[str]:
    """Return the command of the controllers: namespaces and workloads live as in production."""
    return [
        *_with_kubeconfig(binary),
        f"--service-account-private-key-file={SIGNING_KEY}",
        # A thousand namespaces get their ServiceAccounts in seconds.
        "--kube-api-qps=1000",
        "--kube-api-burst=2000",
    ]


def scheduler(binary: Path) -> list[str]:
    """Return the command of the scheduler."""
    return [*_with_kubeconfig(binary), "--kube-api-qps=1000", "--kube-api-burst=2000"]


def kwok(binary: Path) -> list[str]:
    """Return the command of the fake kubelet of all nodes."""
    return [
        str(binary),
        f"--kubeconfig={KUBECONFIG}",
        f"--config={STAGES}",
        "--manage-all-nodes=true",
        "--cidr=10.128.0.0/9",
        # Without leases the nodes become NotReady after 50 s, and stay so.
        "--node-lease-duration-seconds=40",
    ]


def _with_kubeconfig(binary: Path) -> list[str]:
    return [str(binary), f"--kubeconfig={KUBECONFIG}", "--leader-elect=false", "--secure-port=0"]
