"""`remediator run` and `remediator plan`."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from cli.call import Call, client_command
from cli.client import ApiClient
from cli.exit_codes import exit_code
from cli.follow import follow
from cli.login import Login, login_options, take_login
from cli.render import Output
from cli.request import JsonObject, post
from cli.summary import print_as, print_failures, print_remediation
from cli.text import clean

_PATTERNS = "names or globs, comma-separated"


def name_list(text: str) -> tuple[str, ...]:
    """Split a comma-separated list.

    An empty entry is refused: a shell variable that is not set must not widen or narrow the scope.
    """
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise click.BadParameter("a name is empty; leave the option out, or name something")
    return names


def label(text: str) -> tuple[str, str]:
    """Split `key=value`."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise click.BadParameter(f"'{text}' is not of the form key=value")
    return key, value


def _names(option: str, help: str, **more: Any) -> Callable[[Callable[..., Any]], Any]:
    return click.option(option, type=name_list, multiple=True, metavar="a,b", help=help, **more)


_OPTIONS = (
    _names("--clusters", f"Clusters: {_PATTERNS}; '*' for all.", required=True),
    _names("--namespaces", f"Only these namespaces: {_PATTERNS}."),
    _names("--ignore", f"Leave these namespaces alone: {_PATTERNS}."),
    _names("--service-accounts", "Only these: NAME or NAMESPACE/NAME, globs."),
    _names("--ignore-service-accounts", "Leave these alone: NAME or NAMESPACE/NAME, globs."),
    click.option(
        "--credential", metavar="NAME", help="Registry login, as `remediator credentials` lists it."
    ),
    click.option("--secret-name", metavar="NAME", help="Name of the Secret.  [default: docker]"),
    click.option(
        "--on-conflict",
        type=click.Choice(["fail", "merge", "replace"]),
        help="What to do with somebody else's Secret of that name.  [default: fail]",
    ),
    click.option(
        "--registry-check",
        type=click.Choice(["require", "warn", "skip"]),
        help="Prove the login at its registry before the first write.  [default: require]",
    ),
    click.option(
        "--namespace-selector",
        metavar="SELECTOR",
        help="Only namespaces with these labels: a Kubernetes label selector.",
    ),
    click.option(
        "--timeout-seconds",
        type=click.IntRange(1),
        metavar="N",
        help="Deadline of the whole remediation.  [default: 3600]",
    ),
    click.option("--reason", metavar="TEXT", help="Why; kept in the record."),
    click.option(
        "--label",
        "labels",
        type=label,
        multiple=True,
        metavar="K=V",
        help="Label for the record; repeatable.",
    ),
    click.option(
        "--no-wait", is_flag=True, help="Do not wait for the outcome: print the id and end."
    ),
)


def _request_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command("run")
@_request_options
@login_options
@click.option("--dry-run", is_flag=True, help="Show what would be done; write nothing.")
@click.option("--no-readiness", is_flag=True, help="Have no readiness check follow.")
@client_command
def run_command(call: Call, no_wait: bool, no_readiness: bool, **options: Any) -> None:
    """Put the pull Secret in place and wait for the outcome."""
    login, others = take_login(options)
    unfollowed: JsonObject = {"readiness": False} if no_readiness else {}
    body = request_body(others) | unfollowed
    remediate(call, "/remediations", body, login, no_wait=no_wait)


@click.command("plan")
@_request_options
@login_options
@client_command
def plan_command(call: Call, no_wait: bool, **options: Any) -> None:
    """Show what `run` with the same options would do; write nothing."""
    login, others = take_login(options)
    body = request_body({**others, "dry_run": True})
    remediate(call, "/remediations", body, login, no_wait=no_wait)


def request_body(options: dict[str, Any]) -> JsonObject:
    """Return the request for what was given; what was not is left to the service's defaults."""
    body: JsonObject = {}
    for name, value in options.items():
        if name == "labels":
            value = dict(value)
        elif isinstance(value, tuple):
            value = [entry for entries in value for entry in entries]
        if value not in (None, False, [], {}):
            body[name] = value
    return body


def remediate(
    call: Call,
    path: str,
    body: JsonObject,
    login: Login | None = None,
    *,
    no_wait: bool,
    ask: Callable[[ApiClient], None] | None = None,
) -> None:
    """Send a request that makes a remediation; follow that to its end unless `no_wait`, and exit by its status.

    `ask` comes first, and may end the command.
    """
    request = post(path, body)
    if login:
        request = replace(request, body={**body, "inline_credential": login.to_member()})
    call.show(request)
    if login:
        request = replace(request, password=login.read_password())
    with call.connect() as client:
        if ask:
            ask(client)
        remediation = client.send(request).body
        if no_wait:
            _print_accepted(call, remediation)
            _say_why_it_waits(remediation)
            return
        click.echo(f"{remediation['id']} accepted, {_clusters(remediation)}", err=True)
        _say_why_it_waits(remediation)
        remediation = follow(client, remediation)
        print_outcome(client, remediation, call.output)
    raise click.exceptions.Exit(exit_code(remediation))


def print_outcome(client: ApiClient, remediation: JsonObject, output: Output) -> None:
    """Print a remediation that has ended."""

    def table() -> None:
        print_remediation(remediation)
        print_failures(client, remediation)

    print_as(remediation, output, table)


def _print_accepted(call: Call, remediation: JsonObject) -> None:
    def table() -> None:
        click.echo(clean(remediation["id"]))
        for name, link in (remediation.get("links") or {}).items():
            click.echo(f"  {clean(name)}: {clean(link)}", err=True)
        click.echo(f"to follow it: remediator wait {clean(remediation['id'])}", err=True)

    print_as(remediation, call.output, table)


def _say_why_it_waits(remediation: JsonObject) -> None:
    """Say on standard error what somebody has to do before it begins."""
    for reason in {clean(each.get("reason")) for each in remediation.get("clusters") or ()} - {""}:
        click.echo(f"it {reason}" if reason.startswith("waits") else reason, err=True)
    approval = remediation.get("approval") or {}
    if approval.get("state") == "pending":
        click.echo(f"they run: remediator approve {remediation['id']}", err=True)


def _clusters(remediation: JsonObject) -> str:
    number = len(remediation.get("clusters") or ())
    return "1 cluster" if number == 1 else f"{number} clusters"
