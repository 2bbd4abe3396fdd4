"""What the service says of the registry's flip, and how the demo shows it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from rich.table import Table

from cli.client import ApiClient
from cli.demo.service import CREDENTIAL
from cli.demo.teller import plain
from cli.errors import ClientError
from cli.request import JsonObject, get, post
from cli.text import clean

EVIDENCE = "L2"
WAIT_SECONDS = 30
DEADLINE_SECONDS = 120
_SHOWN_NAMES = 3
_COLOURS = {"blocking": "red", "warning": "yellow", "info": "green"}
_VERDICT_COLOURS = {"safe": "green", "not_safe": "red"}


@dataclass(frozen=True, slots=True)
class Judged:
    """A readiness check that has ended, and all its findings."""

    id: str
    verdict: str
    findings: tuple[JsonObject, ...]

    @property
    def blocking(self) -> list[JsonObject]:
        """What keeps the verdict from being safe."""
        return [found for found in self.findings if found.get("severity") == "blocking"]

    @property
    def headline(self) -> str:
        """The verdict in words, with its id."""
        colour = _VERDICT_COLOURS.get(self.verdict, "yellow")
        return f"[bold {colour}]{self.verdict.replace('_', ' ').upper()}[/]  [dim]{self.id}[/]"

    def named(self, prefix: str) -> set[tuple[str, str, str]]:
        """Return (cluster, namespace, name) of what needs somebody's attention in classes of a prefix."""
        return {
            (found["cluster"], found["namespace"], found["name"])
            for found in self.findings
            if found["class"].startswith(prefix) and found["severity"] != "info"
        }


def command(registry: str) -> str:
    """Return the command that asks the same."""
    return f"remediator readiness --clusters '*' --registry {registry} --credential {CREDENTIAL} --evidence {EVIDENCE}"


def judge(client: ApiClient, registry: str) -> Judged:
    """Ask, wait, and return what was found. The check has a deadline of its own."""
    body = {
        "clusters": ["*"],
        "registry": registry,
        "credential": CREDENTIAL,
        "evidence": EVIDENCE,
        "timeout_seconds": DEADLINE_SECONDS,
    }
    check = client.send(replace(post("/readiness-checks", body), wait_seconds=WAIT_SECONDS)).body
    path = f"/readiness-checks/{check['id']}"
    while not check["terminal"]:
        check = client.send(get(path, wait=WAIT_SECONDS)).body
    pages = client.pages(get(f"{path}/findings", {"limit": "1000"}))
    findings = tuple(found for page in pages for found in page)
    return Judged(str(check["id"]), str(check["verdict"]), findings)


def gate(client: ApiClient, check: str) -> str:
    """Pass the gate of a check; return why it is closed, "" if it is open."""
    try:
        client.send(get(f"/readiness-checks/{check}/gate", wait=WAIT_SECONDS))
    except ClientError as error:
        if error.status != 412:
            raise
        return str(error)
    return ""


def restart_plan(client: ApiClient, check: str) -> list[JsonObject]:
    """Return the restart plan of a check: one entry for each cluster."""
    found: list[JsonObject] = client.send(get(f"/readiness-checks/{check}/restart-plan")).body[
        "clusters"
    ]
    return found


def by_class(findings: Iterable[JsonObject]) -> Table:
    """Return a table with a line for each class; what is well has none."""
    table = Table("finding", "severity", "objects", "for example", box=None, padding=(0, 2, 0, 0))
    alike: dict[tuple[str, str], list[JsonObject]] = {}
    for found in findings:
        if found["severity"] != "info":
            alike.setdefault((found["severity"], found["class"]), []).append(found)
    for (severity, name), rows in sorted(alike.items()):
        places = sorted({_place(row) for row in rows})
        shown = ", ".join(places[:_SHOWN_NAMES]) + (", …" if len(places) > _SHOWN_NAMES else "")
        table.add_row(name, f"[{_COLOURS[severity]}]{severity}[/]", str(len(rows)), shown)
    return table


def in_words(findings: Iterable[JsonObject]) -> Table:
    """Return findings with explanation and fix; what clusters have in common is told of the first one."""
    table = Table.grid(padding=(0, 2, 0, 0))
    alike: dict[tuple[str, str], list[JsonObject]] = {}
    for found in findings:
        alike.setdefault((found["class"], _place(found)), []).append(found)
    for (name, place), rows in alike.items():
        clusters = ", ".join(clean(row["cluster"]) for row in rows)
        table.add_row("[dim]what[/]", f"[red]{name}[/]  {place}, on {clusters}")
        table.add_row("[dim]why[/]", plain(clean(rows[0]["explanation"])))
        table.add_row("[dim]fix[/]", plain(clean(rows[0]["fix"])))
    return table


def _place(finding: JsonObject) -> str:
    return f"{clean(finding['namespace'])}/{clean(finding['name'])}"
