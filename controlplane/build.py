"""The binaries of the control plane: those the machine has, else built once and cached."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from controlplane import toolchain
from controlplane.toolchain import BuildError

__all__ = ["KNOWN", "BuildError", "Progress", "binaries", "cache_directory", "no_runc", "say"]

Progress = Callable[[str], None]

_GO = Path(__file__).parent / "go"
_SIGN_OF_LIFE = 20.0
_KUBERNETES = "v1.36.3"
_VERSION = "-X k8s.io/component-base/version."
_STRIP = "-s -w"
# Without these a Kubernetes binary calls itself v0.0.0.
_KUBERNETES_FLAGS = (
    f"{_STRIP} {_VERSION}gitVersion={_KUBERNETES} {_VERSION}gitMajor=1 {_VERSION}gitMinor=36"
)


@dataclass(frozen=True)
class _Source:
    """Where a binary comes from: a folder under `go/`, a main package, linker flags, build tags; `cgo` if it has C."""

    module: str
    package: str
    ldflags: str = _KUBERNETES_FLAGS
    tags: str = ""
    cgo: bool = False


_SOURCES = {
    "etcd": _Source("kubernetes", "go.etcd.io/etcd/server/v3"),
    "kube-apiserver": _Source("kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver"),
    "kube-controller-manager": _Source(
        "kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager"
    ),
    "kube-scheduler": _Source("kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler"),
    "kubectl": _Source("kubernetes", "k8s.io/kubernetes/cmd/kubectl"),
    "clientgo-bench": _Source("kubernetes", "./cmd/clientgo-bench"),
    "keyring": _Source("kubernetes", "./cmd/keyring"),
    "kwok": _Source("kwok", "sigs.k8s.io/kwok/cmd/kwok", _STRIP),
    "registry": _Source("registry", "github.com/distribution/distribution/v3/cmd/registry", _STRIP),
    "ctrpull": _Source("puller", "./", _STRIP),
    "kubelet": _Source("kubernetes", "k8s.io/kubernetes/cmd/kubelet"),
    "containerd": _Source(
        "containerd",
        "github.com/containerd/containerd/v2/cmd/containerd",
        _STRIP,
        # Ways to keep layers that nobody here has a disk for.
        tags="no_btrfs,no_devmapper,no_zfs",
    ),
    "containerd-shim-runc-v2": _Source(
        "containerd", "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2", _STRIP
    ),
    "runc": _Source("containerd", "github.com/opencontainers/runc", _STRIP, cgo=True),
    "runc-unfiltered": _Source("containerd", "./cmd/runc-unfiltered", _STRIP),
    "pause": _Source("containerd", "./cmd/pause", _STRIP),
}

KNOWN = tuple(_SOURCES)


def say(line: str) -> None:
    """Tell of a build on standard error."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def binaries(*names: str, progress: Progress = say) -> dict[str, Path]:
    """Return the path of each named binary, building those that neither
    `KUBEBUILDER_ASSETS` nor the cache has. A first build takes minutes.

    Raises BuildError, and ValueError for a name that is not in `KNOWN`.
    """
    if unknown := [name for name in names if name not in _SOURCES]:
        raise ValueError(f"no binary {unknown[0]!r}; there are: {', '.join(KNOWN)}")
    if missing := [name for name in names if _find(name) is None]:
        _build_locked(missing, progress)
    found = {name: _find(name) for name in names}
    return {name: path for name, path in found.items() if path is not None}


def cache_directory() -> Path:
    """Return the folder that holds the built binaries of all versions."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "remediator" / "controlplane"


def no_runc() -> str:
    """Return why there is no runc here and none can be built; "" if there is or it can be."""
    if _find("runc") is None and _compiler() is None:
        return "it needs runc, and to build it a C compiler: there is neither"
    return ""


def _compiler() -> str | None:
    return next(filter(None, map(shutil.which, (os.environ.get("CC") or "gcc", "cc"))), None)


def _find(name: str) -> Path | None:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    candidates = [Path(assets) / name] if assets else []
    candidates.append(_cached(name))
    if _SOURCES[name].cgo and _compiler() is None:
        # That of the machine, as it cannot be built.
        candidates += [Path(found)] if (found := shutil.which(name)) else []
    return next((path for path in candidates if os.access(path, os.X_OK)), None)


def _cached(name: str) -> Path:
    return cache_directory() / _version_key(_SOURCES[name]) / name


def _version_key(source: _Source) -> str:
    module, folder = source.module, _GO / source.module
    sources = [folder / "go.mod", folder / "go.sum"]
    if source.package.startswith("./"):
        # A program of our own; the others do not depend on it, and take minutes to build again.
        sources += sorted((folder / source.package).rglob("*.go"))
    content = hashlib.sha256((_KUBERNETES_FLAGS + source.tags).encode())
    for path in sources:
        content.update(str(path.relative_to(folder)).encode() + b"\0")
        content.update(hashlib.sha256(path.read_bytes()).digest())
    machine = f"{platform.system()}-{platform.machine()}".lower()
    return f"{module}-{machine}-{content.hexdigest()[:16]}"


def _build_locked(names: Sequence[str], progress: Progress) -> None:
    cache = cache_directory()
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BuildError(f"no place for the binaries: {error}") from error
    with _lock(cache / "lock", progress):
        for leftover in cache.glob("building-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        # Another build may have made some while this one waited.
        if missing := [name for name in names if _find(name) is None]:
            go = toolchain.go(cache, progress)
            for name in missing:
                _build(name, go, cache, progress)


@contextmanager
def _lock(path: Path, progress: Progress) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("another build of the control plane is running: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(name: str, go: Path, cache: Path, progress: Progress) -> None:
    target = _cached(name)
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="building-", dir=cache) as temporary:
        built = Path(temporary) / name
        progress(f"building {name}")
        started = time.monotonic()
        _run_go(name, go, built, progress)
        # Renamed only when whole, so that an interrupted build leaves nothing half-made.
        built.rename(target)
    progress(f"built {name} in {time.monotonic() - started:.0f} s")


def _run_go(name: str, go: Path, output: Path, progress: Progress) -> None:
    source = _SOURCES[name]
    command = [str(go), "build", "-o", str(output), "-ldflags", source.ldflags]
    command += ["-tags", source.tags] if source.tags else []
    command.append(source.package)
    environment = os.environ | {
        "CGO_ENABLED": str(int(source.cgo)),
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        # The checkout may belong to another user, which git refuses to read for its version.
        "GOFLAGS": "-mod=readonly -buildvcs=false",
    }
    environment.setdefault("HOME", str(Path.home()))
    log = output.with_suffix(".log")
    started = time.monotonic()
    with (
        log.open("wb") as file,
        subprocess.Popen(
            command, cwd=_GO / source.module, env=environment, stdout=file, stderr=file
        ) as running,
    ):
        try:
            while _still_running(running):
                progress(f"still building {name}: {time.monotonic() - started:.0f} s")
        finally:
            running.terminate()
    if running.returncode:
        last = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise BuildError(f"building {name} failed; the last lines of go:\n{last}")


def _still_running(running: subprocess.Popen[bytes]) -> bool:
    try:
        running.wait(_SIGN_OF_LIFE)
    except subprocess.TimeoutExpired:
        return True
    return False
