"""The rules that hold for every file of the repository, whoever writes it."""

import ast
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))
GO_MODULES = sorted((ROOT / "controlplane").rglob("go.mod"))

# In parts, so that this file keeps the rule too. Where packages come from is the machine's affair.
PACKAGE_REGISTRIES = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("anaconda", "org"),
        ("proxy", "golang", "org"),
        ("sum", "golang", "org"),
        ("goproxy", "io"),
        ("goproxy", "cn"),
        ("registry", "npmjs", "org"),
        ("registry", "yarnpkg", "com"),
        ("crates", "io"),
        ("rubygems", "org"),
        ("repo", "maven", "apache", "org"),
    )
)

NOT_OURS = {"__pycache__", "build", "dist", "node_modules"}
HIDDEN_BUT_OURS = {".ci", ".github"}
PIN = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>[^ ;\\]+)")


def _text_files() -> Iterator[tuple[Path, str]]:
    """Yield every text file a commit could hold, with what is in it."""
    for folder, subfolders, names in os.walk(ROOT):
        subfolders[:] = [
            name
            for name in subfolders
            if name not in NOT_OURS and (not name.startswith(".") or name in HIDDEN_BUT_OURS)
        ]
        for name in names:
            path = Path(folder, name)
            try:
                yield path.relative_to(ROOT), path.read_text("utf-8")
            except (UnicodeDecodeError, FileNotFoundError):
                continue


def _pins(requirements: Path) -> dict[str, list[str]]:
    """Return the lines of each pin: the pin itself, then its hashes."""
    pins: dict[str, list[str]] = {}
    for line in requirements.read_text().splitlines():
        if match := PIN.match(line):
            pins[f"{match['name']}=={match['version']}"] = lines = []
        elif line.lstrip().startswith("--hash="):
            lines.append(line)
    return pins


def test_no_file_names_a_package_registry() -> None:
    found = [
        f"{path} names {host}"
        for path, text in _text_files()
        for host in PACKAGE_REGISTRIES
        if host in text
    ]

    assert found == []


def test_there_are_requirements_for_each_purpose() -> None:
    assert [path.name for path in REQUIREMENTS] == ["dev.txt", "embedded.txt", "runtime.txt"]


@pytest.mark.parametrize("requirements", REQUIREMENTS, ids=lambda path: path.name)
def test_every_pin_has_its_hashes(requirements: Path) -> None:
    pins = _pins(requirements)

    assert len(pins) > 20
    assert [pin for pin, hashes in pins.items() if not hashes] == []


@pytest.mark.parametrize("requirements", REQUIREMENTS, ids=lambda path: path.name)
def test_requirements_hold_pins_and_nothing_else(requirements: Path) -> None:
    strange = [
        line
        for line in requirements.read_text().splitlines()
        if not PIN.match(line) and not line.startswith(("    --hash=sha256:", "    #", "#"))
    ]

    assert strange == []
    assert "://" not in requirements.read_text()


def test_production_runs_the_versions_that_were_tested() -> None:
    tested = _pins(ROOT / "requirements" / "dev.txt")

    for name in ("runtime.txt", "embedded.txt"):
        assert _pins(ROOT / "requirements" / name).items() <= tested.items()


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {pin.partition("==")[0] for pin in _pins(ROOT / "requirements" / "runtime.txt")}

    wanted = {re.split(r"[<>=!~; \[]", line)[0].lower() for line in project["dependencies"]}

    assert wanted <= pinned


def test_the_changelog_starts_with_what_is_not_released_or_with_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    sections = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert sections
    assert sections[0].startswith("[Unreleased]") or sections[0].startswith(f"[{version}]")


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = {
        target
        for names in re.findall(r"^\.PHONY:(.+)$", makefile, re.MULTILINE)
        for target in names.split()
    }
    # What an outer make tells an inner one would change what this one prints.
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    shown = subprocess.run(
        ["make", "help"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )

    assert targets
    assert {line.split()[0] for line in shown.stdout.splitlines()} == targets


@pytest.mark.parametrize("go_mod", GO_MODULES, ids=lambda path: path.parent.name)
def test_every_go_module_has_its_checksums(go_mod: Path) -> None:
    assert go_mod.with_name("go.sum").stat().st_size > 0


CLOCKS = {"monotonic", "perf_counter", "time", "process_time", "thread_time"}


def _is_timed(node: ast.AST) -> bool:
    """Tell whether a clock is read and something taken from it, or it from something."""
    return any(
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in CLOCKS
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "time"
        for part in ast.walk(node)
        if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Sub)
        for call in ast.walk(part)
    )


def _asserts_on_a_clock(text: str) -> list[int]:
    """Return the lines whose claim is about how long something took; a deadline that was set before is none."""
    nodes = list(ast.walk(ast.parse(text)))
    timed = {
        target.id
        for node in nodes
        if isinstance(node, ast.Assign) and _is_timed(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return [
        node.lineno
        for node in nodes
        if isinstance(node, ast.Assert)
        and (
            _is_timed(node.test)
            or any(isinstance(part, ast.Name) and part.id in timed for part in ast.walk(node.test))
        )
    ]


def test_no_test_asserts_on_a_clock() -> None:
    """A loaded machine is late for all of them."""
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for line in _asserts_on_a_clock(path.read_text())
    ]

    assert found == []


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("assert time.monotonic() - began < 5", [1]),
        ("assert 1 <= time.time() - began", [1]),
        ("took = time.perf_counter() - began\nassert other\nassert took < 8", [3]),
        ("deadline = time.monotonic() + 5\nassert time.monotonic() < deadline", []),
        ("took = time.monotonic() - began\nprint(took)", []),
    ],
)
def test_an_assertion_on_a_clock_would_be_noticed(text: str, lines: list[int]) -> None:
    assert _asserts_on_a_clock(text) == lines


@pytest.mark.parametrize("script", [".ci/run", "tools/setup"])
def test_scripts_can_be_run(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)


def test_no_file_holds_both_sides_of_a_merge():
    begins, ends = "<" * 7 + " ", ">" * 7 + " "
    assert not [
        f"{path}:{number}"
        for path, text in _text_files()
        for number, line in enumerate(text.splitlines(), 1)
        if line.startswith((begins, ends))
    ]
