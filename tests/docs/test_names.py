"""Names in the documentation are names in the code: commands, variables, codes, keys, addresses, pages."""

import inspect
import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import click
import pytest

from api.app import create_app
from api.problems import PROBLEM_TYPES
from api.settings import Settings as ApiSettings
from api.settings import open_store
from cli.exit_codes import ExitCode, exit_code
from cli.main import remediator
from remediation.outcome import ErrorCode, Outcome, SecretAction
from remediation.readiness.finding import Coverage, FindingClass
from remediation.readiness.proof import Level
from remediation.readiness.verdict import Verdict as ReadinessVerdict
from remediation.status import RemediationStatus, RunStatus
from store import keys
from tests.docs.pages import (
    PAGES,
    PROSE,
    ROOT,
    anchors,
    codes,
    examples_of,
    links,
    name_of,
    spans,
    table,
)
from worker.settings import Settings as WorkerSettings

README = ROOT / "README.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
CONFIGURATION = ROOT / "docs" / "configuration.md"
ERRORS = ROOT / "docs" / "errors.md"
READINESS = ROOT / "docs" / "readiness.md"
API = ROOT / "docs" / "api.md"
VARIABLE = re.compile(r"\b(?:REMEDIATOR_[A-Z_]*[A-Z]|REDIS_URL|KUBECONFIG|KUBEBUILDER_ASSETS)\b")
SETTINGS = re.compile(r"^(?:REMEDIATOR_\w+|REDIS_URL)$")
# Calls of our own; pages name some of Kubernetes, too.
CALL = re.compile(r"^(GET|POST) (/(?:api/v1/|problems/|livez|readyz)\S*)$")
PLACEHOLDERS = {
    "run_id": "RUN",
    "remediation_id": "ID",
    "worker_id": "WORKER",
    "outcome": "OUTCOME",
    "place": "PLACE",
    "server": "SERVER",
    "digest": "DIGEST",
    "caller": "CALLER",
    "cluster": "CLUSTER",
    "trail": "TRAIL",
    "line_key": "rmd:line:PLACE",
}


def sources(*packages: str) -> Iterator[str]:
    """Yield the source of every module of some packages."""
    for package in packages:
        for module in sorted((ROOT / package).rglob("*.py")):
            yield module.read_text()


def told(page: Path) -> Iterator[str]:
    """Yield each command line of a page, in its examples and in its sentences."""
    for example in examples_of(page):
        if example.kind == "sh":
            yield from (" ".join(words) for words in example.commands())
    yield from spans(page)


def context() -> click.Context:
    """Return what click wants to be asked with."""
    return click.Context(remediator)


def options_of(name: str) -> set[str]:
    """Return the options of a command, and of those below it."""
    command = remediator.get_command(context(), name)
    assert command, f"there is no command '{name}'"
    below = command.commands.values() if isinstance(command, click.Group) else ()
    parameters = (parameter for each in (command, *below) for parameter in each.params)
    return {option for parameter in parameters for option in parameter.opts} | {"--help"}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_and_their_options_exist(page: Path) -> None:
    for line in told(page):
        for found in re.finditer(r"\bremediator ([a-z]+)((?: [^|;&]+)?)", line):
            if not line.startswith("remediator ") and " " in line.partition("remediator ")[0]:
                continue
            known = options_of(found[1])
            assert set(re.findall(r"(?<= )--?[a-z][a-z-]*", found[2])) <= known, line


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_options_in_sentences_exist(page: Path) -> None:
    known = {option for name in remediator.list_commands(context()) for option in options_of(name)}

    named = {span.split()[0] for span in spans(page) if span.startswith("--")}

    assert named <= known


@pytest.mark.parametrize("page", PROSE, ids=name_of)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    named = {found for line in told(page) for found in re.findall(r"^make ([a-z][a-z-]*)", line)}

    assert named <= targets


def test_the_readme_lists_every_command() -> None:
    listed = {
        span.removeprefix("remediator ")
        for cells in table(README, "command", "does")
        for span in re.findall(r"`(remediator [a-z]+)`", cells[0])
    }

    assert listed == set(remediator.list_commands(context()))


def test_the_readme_lists_every_exit_code() -> None:
    listed = [int(cells[0]) for cells in table(README, "exit code", "meaning")]

    assert listed == sorted(ExitCode)


@pytest.mark.parametrize("page", PROSE, ids=name_of)
def test_variables_exist(page: Path) -> None:
    known = set(VARIABLE.findall("\n".join(sources("api", "worker", "cli", "controlplane"))))

    assert set(VARIABLE.findall(page.read_text())) <= known


def test_every_variable_is_documented() -> None:
    known = set(VARIABLE.findall("\n".join(sources("api", "worker", "cli"))))

    assert known <= set(VARIABLE.findall(CONFIGURATION.read_text()))


@pytest.mark.parametrize("cells", table(CONFIGURATION, "variable", "default", "example"), ids=str)
def test_defaults_and_examples_of_variables_are_right(cells: list[str]) -> None:
    name, default, example = (cell.strip("`") for cell in cells[:3])
    readers: list[Callable[[dict[str, str]], object]] = [
        reader.from_environment
        for package, reader in (("api", ApiSettings), ("worker", WorkerSettings))
        if any(f'"{name}"' in source for source in sources(package))
    ]

    assert readers
    for read in readers:
        assert read({name: example}) != read({})
        if cells[1] == f"`{default}`" and "`" not in default:
            assert read({name: default}) == read({})


def listed(page: Path, *titles: str) -> set[str]:
    """Return the code in the first column of a table."""
    return {code for cells in table(page, *titles) for code in codes(cells[:1])}


@pytest.mark.parametrize(
    ("titles", "kind"),
    [
        (("outcome of a namespace", "means"), Outcome),
        (("`secret.action`", "means (in a dry run: would be)"), SecretAction),
        (("status of a cluster", "means"), RunStatus),
        (("status of a remediation", "means", "exit code"), RemediationStatus),
        (("code", "means", "what to do"), ErrorCode),
    ],
)
def test_outcomes_statuses_and_codes_are_those_of_the_code(
    titles: tuple[str, ...], kind: type[StrEnum]
) -> None:
    assert listed(ERRORS, *titles) == set(kind)


@pytest.mark.parametrize(
    ("titles", "kind"),
    [
        (("verdict", "means"), ReadinessVerdict),
        (("coverage", "means"), Coverage),
        (("class", "severity", "example"), FindingClass),
        (("level", "shows"), Level),
    ],
)
def test_what_readiness_answers_is_that_of_the_code(
    titles: tuple[str, ...], kind: type[StrEnum]
) -> None:
    assert listed(READINESS, *titles) == {member for member in kind if member}


def test_exit_codes_of_statuses_are_those_of_the_code() -> None:
    rows = table(ERRORS, "status of a remediation", "means", "exit code")

    assert {codes(cells)[0]: int(cells[2]) for cells in rows} == {
        status.value: exit_code({"status": status}).value for status in RemediationStatus
    }


def test_problems_are_those_of_the_code() -> None:
    rows = table(ERRORS, "code", "status", "means", "what to do")

    assert {codes(cells)[0]: int(cells[1]) for cells in rows} == {
        slug: kind.status for slug, kind in PROBLEM_TYPES.items()
    }


def test_codes_of_findings_are_in_the_code() -> None:
    written = "\n".join(sources("api"))
    findings = listed(ERRORS, "code", "means") - listed(ERRORS, "code", "means", "what to do")

    assert findings
    assert {code for code in findings if f'"{code}"' not in written} == set()


def test_the_keys_are_those_of_the_store() -> None:
    fixed = {
        value
        for name, value in vars(keys).items()
        if name.isupper() and name != "PREFIX" and isinstance(value, str)
    }
    made = {
        function(*(PLACEHOLDERS[parameter] for parameter in inspect.signature(function).parameters))
        for name, function in inspect.getmembers(keys, inspect.isfunction)
        if name not in {"all_rows", "of_run"}  # lists of others
    }

    assert listed(ARCHITECTURE, "key", "type", "holds") == fixed | made


def test_addresses_are_served() -> None:
    settings = ApiSettings()
    addresses = create_app(settings, open_store(settings)).url_map.bind("localhost")

    calls = [found for page in PAGES for span in spans(page) if (found := CALL.match(span))]

    assert calls
    for method, path in (call.groups() for call in calls):
        addresses.match(re.sub(r"\{id\}|CODE", "x", path), method)


def test_the_reference_has_every_call() -> None:
    settings = ApiSettings()
    rules: Any = create_app(settings, open_store(settings)).url_map.iter_rules()
    served = {
        f"{method} {re.sub('<[^>]+>', '{id}', rule.rule)}"
        for rule in rules
        for method in rule.methods & {"GET", "POST"}
        if not re.search(r"/docs|/openapi|/problems/", rule.rule)
    }

    listed_calls = {
        span for cells in table(API, "call", "answers") for span in re.findall(r"`(.+?)`", cells[0])
    }

    assert listed_calls == served


@pytest.mark.parametrize("page", PROSE, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_linked_to() -> None:
    linked = {
        (page.parent / link.partition("#")[0]).resolve()
        for page in PAGES
        for link in links(page)
        if not link.startswith(("https://", "#"))
    }

    assert set(PAGES) - linked - {README} == set()
