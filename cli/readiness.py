"""`remediator readiness` and `gate`: which pods would break if a registry went private."""

import time
from typing import Any

import click

from cli.call import Call, client_command
from cli.client import ApiClient
from cli.errors import MOST_ERRORS, ClientError, CliError, Unreachable
from cli.exit_codes import ExitCode
from cli.render import Column, Output, View, print_one, print_pages, print_table
from cli.request import JsonObject, get, post
from cli.run import name_list, request_body
from cli.summary import hints
from cli.text import clean, is_id
from cli.views import duration, error_text

SHOWN_FINDINGS = 20
WAIT_SECONDS = 30
OUTAGE_SECONDS = 60.0
FINDINGS_PAGE = 1000
_EXIT = {"safe": ExitCode.SUCCEEDED, "not_safe": ExitCode.FAILED}
_COLOURS = {"safe": "green", "not_safe": "red", "unknown": "yellow"}
_PATTERNS = "names or globs, comma-separated"
_UNCOVERED = ("P_BREAKS_ON_FLIP", "P_RISK_RESTART", "P_RISK_LOW")
_KNOWN = ("not_safe", "changed")


def _count(name: str) -> Column:
    return Column(name.upper(), lambda item: (item.get("summary") or {}).get(name))


CLUSTER_VIEW = View(
    (
        Column("CLUSTER", lambda item: item.get("name")),
        Column("STATUS", lambda item: item.get("status")),
        Column("VERDICT", lambda item: item.get("verdict")),
        *map(_count, ("blocking", "warning", "info", "waived")),
        Column("ERROR", error_text),
    ),
    name=lambda item: str(item.get("name")),
)
# As GET …/findings?format=csv has them.
FINDING_FIELDS = View.of_fields(
    *("severity", "class", "cluster", "namespace", "kind", "name", "image", "coverage", "count"),
    *("examples", "doubt", "evidence", "waiver.owner", "waiver.reason", "waiver.expires_at"),
    *("explanation", "fix"),
)


def check_id(text: str) -> str:
    """Check an id, so that a slip of the keyboard does not become another address."""
    if not is_id("chk_", text):
        known = f"; `remediator status {text}` names the check of that remediation"
        other = known if is_id("rem_", text) else ""
        raise click.BadParameter(f"'{text}' is not the id of a readiness check (chk_…){other}")
    return text


@click.command("readiness")
@click.option(
    "--clusters",
    type=name_list,
    multiple=True,
    metavar="a,b",
    required=True,
    help=f"Clusters: {_PATTERNS}; '*' for all.",
)
@click.option(
    "--registry", metavar="HOST[/PATH]", required=True, help="The registry that goes private."
)
@click.option("--credential", metavar="NAME", help="The login that has to be in place.")
@click.option("--secret-name", metavar="NAME", help="Name of the Secret.  [default: docker]")
@click.option(
    "--namespaces",
    type=name_list,
    multiple=True,
    metavar="a,b",
    help=f"Only these namespaces: {_PATTERNS}.",
)
@click.option(
    "--ignore",
    type=name_list,
    multiple=True,
    metavar="a,b",
    help=f"Leave these namespaces out: {_PATTERNS}.",
)
@click.option(
    "--evidence",
    type=click.Choice(["L0", "L1", "L2", "L3"]),
    help="How far it has to be proved.  [default: as far as the registry answers]",
)
@click.option("--no-wait", is_flag=True, help="Do not wait for the verdict: print the id and end.")
@client_command
def readiness_command(call: Call, no_wait: bool, **options: Any) -> None:
    """Judge which pods would break if a registry went private; write nothing.

    The exit code is the verdict: 0 safe, 1 not safe, 6 unknown.
    """
    request = post("/readiness-checks", request_body(options))
    call.show(request)
    with call.connect() as client:
        check = client.send(request).body
        if no_wait:
            _print_accepted(call, check)
            return
        click.echo(f"{check['id']} accepted", err=True)
        try:
            check = until_ended(client, check)
        except KeyboardInterrupt:
            text = f"stopped waiting; {clean(check['id'])} goes on"
            raise CliError(text, ExitCode.INTERRUPTED) from None
        _print(client, check, call.output)
    raise click.exceptions.Exit(_EXIT.get(str(check.get("verdict")), ExitCode.UNKNOWN))


@click.command("gate")
@click.argument("check_id", metavar="ID", type=check_id)
@client_command
def gate_command(call: Call, check_id: str) -> None:
    """Ask, right before the flip, whether a readiness check still holds: the clusters are looked at again.

    The exit code is the answer: 0 flip it, 1 something would break, 6 not known (not ended, run out, not looked at).
    """
    request = get(f"/readiness-checks/{check_id}/gate", wait=WAIT_SECONDS)
    try:
        answer = call.send(request).body
    except ClientError as error:
        if error.status != 412:
            raise
        known = any(code in _KNOWN for code in error.codes)
        _print_closed(error, call.output, check_id)
        code = ExitCode.FAILED if known else ExitCode.UNKNOWN
        raise click.exceptions.Exit(int(code)) from None
    view = View((Column("ID", lambda item: item.get("id")),), name=lambda item: str(item.get("id")))

    def table() -> None:
        names = ", ".join(map(str, answer.get("registries") or ()))
        open_text = click.style("open", fg="green", bold=True)
        click.echo(
            f"{open_text}: {clean(names)} can be flipped until {clean(answer['valid_until'])}"
            f" (evidence {clean(answer.get('evidence'))})"
        )
        if number := answer.get("unproven"):
            _warn_unproven(int(number), check_id)

    print_one(answer, call.output, table=table, view=view)


def _print_closed(error: ClientError, output: Output, check_id: str) -> None:
    """Print a closed gate on standard output, in the form that was asked for: it is an answer, not a failure."""
    problem = {"id": check_id, **error.problem}

    def table() -> None:
        word = click.style("closed", fg="red", bold=True)
        click.echo(f"{word}: {clean(error.problem.get('detail') or error.problem.get('title'))}")
        for reason in error.errors[:MOST_ERRORS]:
            click.echo(f"  {reason.detail}")
        if len(error.errors) > MOST_ERRORS:
            rest = len(error.errors) - MOST_ERRORS
            click.echo(f"  … and {rest} more: remediator gate {check_id} -o yaml")

    view = View(
        (
            Column("ID", lambda item: item.get("id")),
            Column("CODE", lambda item: item.get("code")),
            Column("DETAIL", lambda item: item.get("detail")),
        ),
        name=lambda item: clean(item.get("id")),
    )
    print_one(problem, output, table=table, view=view)


def until_ended(client: ApiClient, check: JsonObject) -> JsonObject:
    """Return the check when it has ended. Raises Unreachable if the service stays away."""
    last_answer = time.monotonic()
    while not check.get("terminal"):
        asked = time.monotonic()
        try:
            request = get(f"/readiness-checks/{check['id']}", wait=WAIT_SECONDS)
            check = client.send(request).body
            last_answer = time.monotonic()
        except (Unreachable, ClientError) as error:
            away = isinstance(error, Unreachable) or error.passing
            if not away or time.monotonic() - last_answer > OUTAGE_SECONDS:
                raise
            time.sleep(0.5)
        else:
            if not check.get("terminal") and time.monotonic() - asked < 1:
                time.sleep(1)  # the service has no room for another waiter
    return check


def _print_accepted(call: Call, check: JsonObject) -> None:
    def table() -> None:
        click.echo(clean(check["id"]))
        for name, link in (check.get("links") or {}).items():
            click.echo(f"  {clean(name)}: {clean(link)}", err=True)

    if call.output is Output.NAME:
        click.echo(clean(check["id"]))
    else:
        print_one(check, call.output, table=table, view=CLUSTER_VIEW, rows="clusters")


def _print(client: ApiClient, check: JsonObject, output: Output) -> None:
    if output is Output.NAME:
        click.echo(clean(check["id"]))
    elif output is Output.CSV:
        request = get(f"/readiness-checks/{check['id']}/findings", {"limit": str(FINDINGS_PAGE)})
        print_pages(FINDING_FIELDS, client.pages(request), output)
    else:
        print_one(
            check,
            output,
            table=lambda: _print_verdict(client, check),
            view=CLUSTER_VIEW,
            rows="clusters",
        )


def _print_verdict(client: ApiClient, check: JsonObject) -> None:
    verdict = clean(check.get("verdict"))
    took = duration(check)
    styled = click.style(verdict.replace("_", " "), fg=_COLOURS.get(verdict), bold=True)
    click.echo(f"{clean(check['id'])}  {styled}{f'  in {took}' if took else ''}")
    if verdict == "safe":
        until = clean(check.get("valid_until"))
        click.echo(f"valid until {until}; before the flip: remediator gate {clean(check['id'])}")
    clusters = check.get("clusters") or []
    classes = (check.get("summary") or {}).get("classes") or {}
    if classes.get("C_UNUSED") == len(clusters):
        word = click.style("nothing uses it", fg="yellow", bold=True)
        names = ", ".join(map(clean, check.get("registries") or ()))
        click.echo(f"{word}: no pod and no template; is the name right? {names}")
    if number := classes.get("R_UNPROVEN"):
        _warn_unproven(int(number), clean(check["id"]))
        _print_unproven(client, check)
    if number := sum(int(classes.get(name) or 0) for name in _UNCOVERED):
        word = click.style("uncovered", fg="yellow", bold=True)
        pods = "1 pod that runs" if number == 1 else f"{number} pods that run"
        click.echo(f"{word}: {pods}; which to make anew, and in which order:")
        click.echo(f"  see: GET /api/v1/readiness-checks/{clean(check['id'])}/restart-plan")
    click.echo()
    print_table(CLUSTER_VIEW.header(), [CLUSTER_VIEW.row(cluster) for cluster in clusters])
    if classes:
        click.echo()
        print_table(("CLASS", "OBJECTS"), [(clean(name), clean(n)) for name, n in classes.items()])
    _print_blocking(client, check)
    for hint, where in hints(clusters).items():
        click.echo(f"\n{', '.join(where)}: {hint}")


def _warn_unproven(number: int, identity: str) -> None:
    """Say, next to a verdict, that it takes the credential for granted."""
    word = click.style("not proven", fg="yellow", bold=True)
    repositories = "1 repository" if number == 1 else f"{number} repositories"
    click.echo(f"{word}: that the credential can pull after the flip, for {repositories}")
    click.echo(
        f"  see: GET /api/v1/readiness-checks/{identity}/findings?class=R_UNPROVEN&format=table"
    )


def _print_unproven(client: ApiClient, check: JsonObject) -> None:
    """Print why, and what to do; what blocks is told with the rest of what does."""
    path = f"/readiness-checks/{check['id']}/findings"
    request = get(
        path, {"class": "R_UNPROVEN", "severity": "warning", "limit": str(SHOWN_FINDINGS)}
    )
    for item in client.send(request).body.get("items") or []:
        examples = ", ".join(map(clean, item.get("examples") or (item.get("name"),)))
        click.echo(f"  {clean(item.get('cluster'))}: {examples}: {clean(item.get('explanation'))}")
        if fix := clean(item.get("fix")):
            click.echo(f"    fix: {fix}")


def _print_blocking(client: ApiClient, check: JsonObject) -> None:
    path = f"/readiness-checks/{check['id']}/findings"
    request = get(path, {"severity": "blocking", "limit": str(FINDINGS_PAGE)})
    found = [
        item for item in client.send(request).body.get("items") or [] if not item.get("waiver")
    ]
    for item in found[:SHOWN_FINDINGS]:
        many = f" ({item.get('count')} pods)" if (item.get("count") or 1) > 1 else ""
        parts = (item.get(name) for name in ("cluster", "namespace", "kind", "name"))
        place = "/".join(clean(part) for part in parts if part)
        click.echo(f"\n{click.style(clean(item.get('class')), fg='red')}  {place}{many}")
        click.echo(f"  {clean(item.get('explanation'))}")
        if fix := clean(item.get("fix")):
            click.echo(f"  fix: {fix}")
    if len(found) > SHOWN_FINDINGS:
        rest = f"{len(found) - SHOWN_FINDINGS} more"
        click.echo(f"\n{rest}: GET /api/v1{path}?severity=blocking&format=table")
