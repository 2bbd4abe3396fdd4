"""Finding the binaries: the assets folder, the cache, the lock, a failing build."""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
from pathlib import Path

import pytest

from controlplane import build, toolchain

_FAKE_GO = """#!/bin/sh
if [ "$1" = env ]; then echo go1.26.0; exit; fi
echo started >> "$(dirname "$0")/builds"
case "$*" in *registry*) echo "main.go:7: no such thing" >&2; exit 1;; esac
sleep 0.3
while [ "$1" != -o ]; do shift; done
echo built > "$2"; chmod +x "$2"
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty cache, no assets and a go of our own."""
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    _executable(tmp_path / "bin" / "go", _FAKE_GO)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tmp_path


def test_takes_what_the_assets_have_and_builds_the_rest(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _executable(machine / "assets" / "etcd", "#!/bin/sh\n")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(machine / "assets"))
    lines: list[str] = []

    found = build.binaries("etcd", "kubectl", progress=lines.append)

    assert found["etcd"] == machine / "assets" / "etcd"
    assert found["kubectl"].read_text() == "built\n"
    assert machine / "cache" in found["kubectl"].parents
    assert lines == ["building kubectl", "built kubectl in 0 s"]


def test_builds_only_once(machine: Path) -> None:
    first = build.binaries("etcd", progress=lambda line: None)

    second = build.binaries("etcd", progress=pytest.fail)

    assert first == second
    assert _builds(machine) == 1


def test_a_change_of_our_own_program_builds_that_one_only(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(build._GO, machine / "go")
    monkeypatch.setattr(build, "_GO", machine / "go")
    before = build.binaries("etcd", "keyring", progress=lambda line: None)
    program = machine / "go" / "kubernetes" / "cmd" / "keyring" / "main.go"
    program.write_text(program.read_text() + "// changed\n")
    lines: list[str] = []

    after = build.binaries("etcd", "keyring", progress=lines.append)

    assert lines == ["building keyring", "built keyring in 0 s"]
    assert after["etcd"] == before["etcd"]
    assert after["keyring"] != before["keyring"]


def test_leaves_nothing_half_made_in_the_cache(machine: Path) -> None:
    cache = build.cache_directory()
    (cache / "building-of-a-killed-run").mkdir(parents=True)

    build.binaries("etcd", progress=lambda line: None)

    assert not list(cache.glob("building-*"))


def test_a_second_build_waits_and_then_uses_the_first(machine: Path) -> None:
    cache = build.cache_directory()
    cache.mkdir(parents=True)
    lines: list[str] = []
    waiting = threading.Event()

    def progress(line: str) -> None:
        lines.append(line)
        waiting.set()

    second = threading.Thread(target=lambda: build.binaries("etcd", progress=progress))
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second.start()
        assert waiting.wait(10)
        _executable(build._cached("etcd"), "#!/bin/sh\n")
    second.join(10)

    assert not second.is_alive()
    assert lines == ["another build of the control plane is running: waiting for it"]
    assert not (machine / "bin" / "builds").exists()


def test_two_builds_at_once_build_once(machine: Path) -> None:
    threads = [
        threading.Thread(target=build.binaries, args=("etcd",), kwargs={"progress": str})
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert _builds(machine) == 1


def test_gives_a_sign_of_life(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_SIGN_OF_LIFE", 0.1)
    lines: list[str] = []

    build.binaries("etcd", progress=lines.append)

    assert "still building etcd: 0 s" in lines


def test_a_failing_build_shows_what_go_said(machine: Path) -> None:
    with pytest.raises(build.BuildError, match=r"building registry failed(.|\n)*no such thing"):
        build.binaries("registry", progress=lambda line: None)


def test_a_cache_that_cannot_be_made_is_said(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(machine / "file"))

    with pytest.raises(build.BuildError, match="no place for the binaries"):
        build.binaries("etcd", progress=lambda line: None)


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(ValueError, match="no binary 'minikube'; there are: etcd,"):
        build.binaries("minikube")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("go1.26.3", (1, 26)), ("go1.27rc1", (1, 27)), ("devel +abc", (0, 0)), ("", (0, 0))],
)
def test_reads_the_version_of_go(tmp_path: Path, answer: str, expected: tuple[int, int]) -> None:
    go = _executable(tmp_path / "go", f'#!/bin/sh\n[ "$GOTOOLCHAIN" = local ] && echo "{answer}"\n')

    assert toolchain.version(go) == expected


def test_a_machine_with_an_old_go_uses_the_fetched_one(machine: Path) -> None:
    _executable(machine / "bin" / "go", "#!/bin/sh\necho go1.21.0\n")
    fetched = _executable(machine / "go" / "bin" / "go", _FAKE_GO)

    assert toolchain.go(machine, pytest.fail) == fetched


def _executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def _builds(machine: Path) -> int:
    return len((machine / "bin" / "builds").read_text().splitlines())
