"""What a real node reads: the configuration of its kubelet, of containerd and of a network that is none."""

from __future__ import annotations

import json
from pathlib import Path

# As the node's processes see them, see `_walled`.
FILES = "/node/files"
STATE = "/node/state"
_SOCKET = f"unix://{STATE}/containerd.sock"

_CONTAINERD = """\
version = 3
root = "{state}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing"]

[grpc]
address = "{state}/containerd.sock"

[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{sandbox}"

[plugins."io.containerd.cri.v1.images".registry]
config_path = "{files}/certs.d"

[plugins."io.containerd.cri.v1.runtime"]
disable_apparmor = true
tolerate_missing_hugetlb_controller = true
restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{files}/cni/bin"]
conf_dir = "{files}/cni/net.d"

[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "runc"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "/node/bin/runc-unfiltered"
SystemdCgroup = false
"""

# The address is one for documentation: pods get it, and no way to anywhere.
_PLUGIN = """\
#!/bin/sh
cat >/dev/null
[ "$CNI_COMMAND" != VERSION ] || exec echo '{"cniVersion":"1.0.0","supportedVersions":["1.0.0"]}'
[ "$CNI_COMMAND" = ADD ] || exit 0
echo '{"cniVersion":"1.0.0","interfaces":[{"name":"eth0","sandbox":"'"$CNI_NETNS"'"}],
"ips":[{"interface":0,"address":"192.0.2.1/32"}]}'
"""
_NETWORK = {"cniVersion": "1.0.0", "name": "none", "plugins": [{"type": "none"}]}

_KUBELET = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": False}},
    "authorization": {"mode": "AlwaysAllow"},
    "cgroupDriver": "cgroupfs",
    "containerRuntimeEndpoint": _SOCKET,
    "imageServiceEndpoint": _SOCKET,
    "enforceNodeAllocatable": [],
    # Whatever the machine's disk and memory are at, no pod is to go for it.
    "evictionHard": {
        "memory.available": "1Mi",
        "nodefs.available": "0%",
        "imagefs.available": "0%",
    },
    "failCgroupV1": False,
    "failSwapOn": False,
    "localStorageCapacityIsolation": False,
    "makeIPTablesUtilChains": False,
    # No port of its own, so that several are at peace on one machine.
    "enableServer": False,
    "healthzPort": 0,
    "readOnlyPort": 0,
    "podLogsDir": f"{STATE}/logs",
    "volumePluginDir": f"{STATE}/volume-plugins",
    "resolvConf": "",
    "clusterDNS": ["192.0.2.53"],
    # As quick as may be: it is asked questions, and pays for no disk and no network.
    "maxPods": 1000,
    "serializeImagePulls": False,
    "registryPullQPS": 0,
    "eventRecordQPS": 0,
    "kubeAPIQPS": 200,
    "kubeAPIBurst": 400,
    "nodeStatusUpdateFrequency": "2s",
}


def write(directory: Path, sandbox: str) -> None:
    """Write all of it; `sandbox` is the image that holds a pod together, of a registry without TLS."""
    text = _CONTAINERD.format(state=STATE, files=FILES, sandbox=sandbox)
    (directory / "containerd.toml").write_text(text)
    (directory / "kubelet.json").write_text(json.dumps(_KUBELET))
    (directory / "certs.d").mkdir()
    host = sandbox.partition("/")[0]
    name_registry(directory, host, f"http://{host}")
    plugins, networks = directory / "cni" / "bin", directory / "cni" / "net.d"
    plugins.mkdir(parents=True)
    networks.mkdir()
    (networks / "none.conflist").write_text(json.dumps(_NETWORK))
    for name in ("none", "loopback"):
        (plugins / name).write_text(_PLUGIN)
        (plugins / name).chmod(0o755)


def name_registry(directory: Path, host: str, url: str) -> None:
    """Have the node find at `url` what images call `host`."""
    folder = directory / "certs.d" / host
    folder.mkdir(exist_ok=True)
    (folder / "hosts.toml").write_text(
        f'server = "{url}"\n\n[host."{url}"]\ncapabilities = ["pull", "resolve"]\n'
    )
