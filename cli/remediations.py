"""`remediator status`, `results`, `wait`, `cancel` and `list`."""

from collections.abc import Iterable, Iterator

import click

from cli.call import Call, client_command
from cli.errors import CliError
from cli.exit_codes import ExitCode, exit_code
from cli.follow import follow
from cli.render import Output, print_pages
from cli.request import JsonObject, get, post
from cli.run import print_outcome
from cli.summary import print_as, print_remediation
from cli.text import clean, is_id
from cli.views import REMEDIATION_VIEW, RESULT_FIELDS, RESULT_VIEW
from remediation.patterns import matcher
from remediation.selection import nearest

RESULTS_PAGE = 1000  # the most the service gives
LIST_PAGE = 200
_STREAMED = (Output.TABLE, Output.CSV)  # forms that the service has too, without pages


def remediation_id(text: str) -> str:
    """Check an id, so that a slip of the keyboard does not become another address."""
    if not is_id("rem_", text):
        known = f"; `remediator gate {text}` asks whether that readiness check holds"
        other = known if is_id("chk_", text) else ""
        raise click.BadParameter(f"'{text}' is not the id of a remediation (rem_…){other}")
    return text


id_argument = click.argument("remediation_id", metavar="ID", type=remediation_id)


@click.command("status")
@id_argument
@client_command
def status_command(call: Call, remediation_id: str) -> None:
    """Show one remediation. The exit code says how it ended, 6 that it has not ended yet."""
    remediation = call.send(get(f"/remediations/{remediation_id}")).body
    print_as(remediation, call.output, lambda: _print_status(remediation))
    raise click.exceptions.Exit(exit_code(remediation))


def _print_status(remediation: JsonObject) -> None:
    print_remediation(remediation)
    if (remediation.get("summary") or {}).get("namespaces", {}).get("failed"):
        click.echo(f"\nfailures: remediator results {remediation['id']} --outcome failed")


@click.command("wait")
@id_argument
@click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Give up after this time."
)
@client_command
def wait_command(call: Call, remediation_id: str, timeout: float | None) -> None:
    """Wait until a remediation ends. The exit code says how it ended, 5 that it did not in time."""
    request = get(f"/remediations/{remediation_id}", wait=60 if call.curl else 0)
    call.show(request)
    with call.connect() as client:
        remediation = follow(client, client.send(request).body, timeout)
        print_outcome(client, remediation, call.output)
    raise click.exceptions.Exit(exit_code(remediation))


@click.command("cancel")
@id_argument
@client_command
def cancel_command(call: Call, remediation_id: str) -> None:
    """Stop a remediation: no write is begun any more, what was done stays and is reported."""
    remediation = call.send(post(f"/remediations/{remediation_id}/cancel")).body

    def table() -> None:
        click.echo(f"{remediation_id} is {remediation['status']}")
        if not remediation["terminal"]:
            click.echo(f"to see it end: remediator wait {remediation_id}", err=True)

    print_as(remediation, call.output, table)


@click.command("results")
@id_argument
@click.option("--outcome", help="Only these outcomes, comma-separated; for example failed.")
@click.option("--cluster", help="Only this cluster.")
@click.option("--namespace", help="Only this namespace.")
@click.option("--limit", type=click.IntRange(min=1), help="At most this many rows.")
@client_command
def results_command(call: Call, remediation_id: str, limit: int | None, **filters: str) -> None:
    """Show what came of each namespace, also while the remediation runs."""
    path = f"/remediations/{remediation_id}/results"
    if call.curl and call.output in _STREAMED:
        wanted = str(limit) if limit else None
        call.show(get(path, {**filters, "limit": wanted, "format": call.output}))
    request = get(path, {**filters, "limit": _page(limit, RESULTS_PAGE)})
    view = RESULT_FIELDS if call.output is Output.CSV else RESULT_VIEW
    seen = _Seen(call.pages(request, limit))
    print_pages(view, seen, call.output)
    if filters.get("cluster") and not seen.anything:
        _refuse_unknown(call, remediation_id, filters["cluster"].split(","))


class _Seen:
    """Pages, and whether there was anything on them."""

    def __init__(self, pages: Iterable[list[JsonObject]]) -> None:
        self._pages = pages
        self.anything = False

    def __iter__(self) -> Iterator[list[JsonObject]]:
        for page in self._pages:
            self.anything = self.anything or bool(page)
            yield page


def _refuse_unknown(call: Call, remediation_id: str, patterns: list[str]) -> None:
    """Raise CliError where a pattern is no cluster of the remediation: no rows would look like no failures."""
    remediation = call.send(get(f"/remediations/{remediation_id}")).body
    names = [str(each["name"]) for each in remediation.get("clusters") or ()]
    for pattern in patterns:
        if not any(matcher((pattern,))(name) for name in names):
            near = nearest(pattern, names)
            meant = f"; did you mean '{clean(near)}'?" if near else ""
            raise CliError(
                f"{remediation_id} has no cluster '{clean(pattern)}'{meant}", ExitCode.INVALID
            )


@click.command("list")
@click.option("--status", help="Only these statuses, comma-separated; for example running,queued.")
@click.option("--cluster", help="Only those that touch this cluster.")
@click.option("--kind", help="Only these kinds, comma-separated: run, retry, undo.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
@client_command
def list_command(call: Call, limit: int, **filters: str) -> None:
    """List remediations, newest first."""
    request = get("/remediations", {**filters, "limit": _page(limit, LIST_PAGE)})
    print_pages(REMEDIATION_VIEW, call.pages(request, limit), call.output)


def _page(limit: int | None, most: int) -> str:
    return str(min(limit or most, most))
