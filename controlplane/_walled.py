"""Run as a script: `_walled.py PARENT NAME FILES PROGRAM…`: containerd and a kubelet behind walls of their own.

They get process ids and mounts of their own, and a root that shows the machine's files and keeps what is written in
memory, so that nothing is left on the machine. `FILES`, the folder of their configuration, is `/node/files` to them,
each PROGRAM is `/node/bin/<its name>`. One signal ends everything, and so does the death of PARENT. Without a PROGRAM
the walls are only tried. Exit status 3 with a line on standard error: the machine allows no such walls.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import NoReturn

NOT_HERE = 3
_ENDING = (signal.SIGTERM, signal.SIGINT)

_NEW_MOUNTS, _NEW_PIDS = 0x00020000, 0x20000000
_BIND, _RECURSIVE, _PRIVATE = 0x1000, 0x4000, 0x40000
_DETACH = 2
_PR_SET_PDEATHSIG = 1
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

_GROUP = "remediator-node"
_CGROUPS = "/sys/fs/cgroup"
# Where the machine may have parts of its system on file systems of their own.
_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/nix", "/gnu")
# What the kubelet would set on the machine, and dies if it cannot: it finds it set already.
_SYSCTLS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1000000,
    "kernel/keys/root_maxbytes": 25000000,
}
_RUNTIME = ("/node/bin/containerd", "--config=/node/files/containerd.toml")
_KUBELET = (
    "/node/bin/kubelet",
    "--config=/node/files/kubelet.json",
    "--kubeconfig=/node/files/kubeconfig",
    "--root-dir=/node/state/kubelet",
    "--cert-dir=/node/state/pki",
)
_PATIENCE = 60.0

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Build the walls, run the node behind them until a signal, tidy up."""
    parent, name, files, programs = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
    for number in _ENDING:
        signal.signal(number, _end)
    # Not SIGKILL: there is something to tidy up after the death of the parent too.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before the tie was made
        sys.exit(1)
    group = f"{_GROUP}-{os.getpid()}"
    groups: list[str] = []
    children: list[int] = []
    try:
        _make_groups(group, groups)
        _called("unshare", _libc.unshare(_NEW_PIDS))
        _fork(children, [name, group, files, *programs])
        status = os.waitpid(children[0], 0)[1]
        children.clear()
        sys.exit(os.waitstatus_to_exitcode(status))
    except OSError as error:
        sys.exit(_not_here(error))
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        for child in children:
            # The first of its process ids: all others end with it, before it is gone.
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        for group in groups:
            _remove_group(group)


def _fork(children: list[int], told: list[str]) -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    child = os.fork()
    if child == 0:
        os.close(writer)
        _inside(reader, *told)
    children.append(child)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


def _inside(parent: int, name: str, group: str, files: str, *programs: str) -> NoReturn:
    """Be the first process behind the walls."""
    try:
        for number in _ENDING:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if not _is_there(parent):
            os._exit(1)
        try:
            _build_walls(files, programs)
        except OSError as error:
            os._exit(_not_here(error))
        if not programs:
            os._exit(0)
        _run(name, group)
    finally:
        os._exit(1)


def _is_there(parent: int) -> bool:
    """Whether the parent, seen through a pipe that it writes nothing to, still lives."""
    try:
        os.read(parent, 1)
    except BlockingIOError:
        return True
    return False


def _build_walls(files: str, programs: Sequence[str]) -> None:
    _called("unshare", _libc.unshare(_NEW_MOUNTS))
    _mount(None, "/", None, _RECURSIVE | _PRIVATE)
    mounted = _mount_points()
    # Relative paths: those of the machine may hold what separates overlayfs's options.
    os.chdir(files)
    os.makedirs("walls", exist_ok=True)
    _mount("tmpfs", "walls", "tmpfs", 0, "mode=0700")
    os.chdir("walls")
    for folder in ("upper", "work", "root", "state", "sysctls"):
        os.mkdir(folder)
    # The content of a system that lies in memory itself can be above, but not below.
    _mount("overlay", "root", "overlay", 0, "lowerdir=/,upperdir=upper,workdir=work")
    for point in mounted:
        if point.startswith(tuple(f"{one}/" for one in _SYSTEM)) or point in _SYSTEM:
            _mount(point, f"root{point}", None, _BIND | _RECURSIVE)
    for tree in ("/dev", "/sys"):
        _mount(tree, f"root{tree}", None, _BIND | _RECURSIVE)
    _mount("proc", "root/proc", "proc", 0)
    _mount("tmpfs", "root/run", "tmpfs", 0)
    for path, value in _SYSCTLS.items():
        file = f"sysctls/{path.replace('/', '-')}"
        _write(file, f"{value}\n")
        _mount(file, f"root/proc/sys/{path}", None, _BIND)
    for folder in ("bin", "files", "state"):
        os.makedirs(f"root/node/{folder}")
    _mount(files, "root/node/files", None, _BIND)
    # Not on the overlay: containerd puts overlays of its own there.
    _mount("state", "root/node/state", None, _BIND)
    for number, program in enumerate(programs):
        folder, name = os.path.split(program)
        # By their folders: runc seals itself by an overlay of the folder it lies in, and sees no file bound into that.
        os.makedirs(f"root/node/programs/{number}")
        _mount(folder, f"root/node/programs/{number}", None, _BIND)
        os.symlink(f"../programs/{number}/{name}", f"root/node/bin/{name}")
    os.chdir("root")
    call = _PIVOT_ROOT.get(os.uname().machine)
    if call is None:
        raise OSError(0, f"no known way to change the root on {os.uname().machine}")
    _called("pivot_root", _libc.syscall(call, b".", b"."))
    _called("umount", _libc.umount2(b".", _DETACH))
    os.chdir("/")


def _run(name: str, group: str) -> None:
    """Run the two, and be the parent of whatever loses its own, until one of them ends."""
    environment = {"PATH": f"/node/bin:{os.environ.get('PATH', os.defpath)}", "HOME": "/root"}
    runtime = _start("containerd", _RUNTIME, environment)
    deadline = time.monotonic() + _PATIENCE
    while not os.path.exists("/node/state/containerd.sock"):
        if time.monotonic() > deadline or os.waitpid(runtime, os.WNOHANG)[0]:
            return
        time.sleep(0.02)
    kubelet = _start(
        "kubelet",
        (*_KUBELET, f"--hostname-override={name}", f"--cgroup-root=/{group}"),
        environment,
    )
    while os.wait()[0] not in (runtime, kubelet):
        pass


def _start(name: str, command: tuple[str, ...], environment: dict[str, str]) -> int:
    with open(f"/node/files/{name}.log", "ab") as log:
        return subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        ).pid


def _make_groups(mine: str, made: list[str]) -> None:
    """Make a control group of our own in each hierarchy, and remove those of nodes that were killed."""
    for hierarchy in _hierarchies():
        for other in os.listdir(hierarchy):
            kind, _, number = other.rpartition("-")
            if kind == _GROUP and not os.path.exists(f"/proc/{number}"):
                _remove_group(f"{hierarchy}/{other}")
        made.append(f"{hierarchy}/{mine}")
        os.mkdir(made[-1])


def _hierarchies() -> list[str]:
    """Return where control groups are mounted, each place once."""
    if os.path.exists(f"{_CGROUPS}/cgroup.controllers"):
        return [_CGROUPS]
    places = [f"{_CGROUPS}/{one}" for one in os.listdir(_CGROUPS)]
    return [one for one in places if os.path.ismount(one) and not os.path.islink(one)]


def _remove_group(group: str) -> None:
    for folder, _, _ in os.walk(group, topdown=False):
        for _ in range(50):  # the kernel may still be taking leave of its last process
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.02)
            else:
                break


def _mount_points() -> list[str]:
    with open("/proc/self/mountinfo") as file:
        return [line.split()[4] for line in file]


def _mount(
    source: "str | None", target: str, kind: "str | None", flags: int, options: str = ""
) -> None:
    told = [one.encode() if one is not None else None for one in (source, target, kind)]
    _called(f"mount {target}", _libc.mount(*told, ctypes.c_ulong(flags), options.encode() or None))


def _called(what: str, result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def _not_here(error: OSError) -> int:
    place = f" {error.filename}" if error.filename else ""
    sys.stderr.write(f"{error.strerror}{place}\n")
    sys.stderr.flush()
    return NOT_HERE


def _end(number: int, frame: object) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
