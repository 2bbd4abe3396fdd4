"""What a remediation came to, for people: a line, a table per cluster, the first failures, what to do next."""

from collections.abc import Callable

import click

from cli.client import ApiClient
from cli.render import Output, View, print_one, print_table
from cli.request import JsonObject, get
from cli.text import as_options, clean
from cli.views import cluster_view, count, duration, kind

SHOWN_FAILURES = 10
_OF_NAMES = " (all of them: `names`)"
_OF_ROWS = " (see `warnings` of the rows)"
_VERDICTS = {"safe": "green", "not safe": "red", "unknown": "yellow"}
_COLOURS = {"succeeded": "green", "partial": "yellow", "failed": "red"}


def print_as(remediation: JsonObject, output: Output, table: Callable[[], None]) -> None:
    """Print a remediation in a form: its name is its id, its csv rows are its clusters."""
    if output is Output.NAME:
        click.echo(clean(remediation.get("id")))
    else:
        print_one(remediation, output, table=table, view=_view(remediation), rows="clusters")


def print_remediation(remediation: JsonObject) -> None:
    """Print the headline and the table of clusters."""
    status = clean(remediation.get("status"))
    took = duration(remediation)
    what = kind(remediation)
    what = "" if what == "run" else f"  {what}"
    click.echo(
        f"{clean(remediation.get('id'))}{what}  {click.style(status, fg=_COLOURS.get(status), bold=True)}"
        f"{f'  in {took}' if took else ''}{'  (dry run: nothing was written)' if remediation.get('dry_run') else ''}"
    )
    if reason := clean(remediation.get("reason")):
        click.echo(f"reason: {reason}")
    clusters = remediation.get("clusters") or []
    click.echo()
    view = _view(remediation)
    print_table(view.header(), [view.row(cluster) for cluster in clusters])
    for line in _registry_lines(clusters):
        click.echo(f"\n{line}")
    for hint, names in hints(clusters).items():
        click.echo(f"\n{', '.join(names)}: {hint}")
    _print_warnings(remediation)
    _print_readiness(remediation)


def print_failures(client: ApiClient, remediation: JsonObject) -> None:
    """Print the first failed namespaces with their hints, those that failed alike together; nothing if none failed."""
    told = hints(remediation.get("clusters") or [])
    failed = count(remediation, "namespaces", "failed")
    if not failed:
        return
    remediation_id = clean(remediation.get("id"))
    request = get(
        f"/remediations/{remediation_id}/results",
        {"outcome": "failed", "limit": str(SHOWN_FAILURES)},
    )
    rows = (client.send(request).body.get("items") or [])[:SHOWN_FAILURES]
    word = "would fail" if remediation.get("dry_run") else "failed"
    click.echo(f"\n{failed} {word}{f', the first {len(rows)}' if failed > len(rows) else ''}:")
    for (code, detail, hint), places in _alike(rows).items():
        click.echo(f"  {', '.join(places)}  {click.style(code, fg='red')}: {detail}")
        if hint and hint not in told:
            click.echo(f"      {hint}")
    click.echo(f"\nmore: remediator results {remediation_id} --outcome failed")


def hints(clusters: list[JsonObject]) -> dict[str, list[str]]:
    """Return what to do about the errors of clusters, each once, with the clusters it is for."""
    found: dict[str, list[str]] = {}
    for cluster in clusters:
        if hint := clean((cluster.get("error") or {}).get("hint")):
            found.setdefault(as_options(hint), []).append(clean(cluster.get("name")))
    return found


def _view(remediation: JsonObject) -> View:
    return cluster_view(dry_run=bool(remediation.get("dry_run")))


def _registry_lines(clusters: list[JsonObject]) -> list[str]:
    """Return what the registries said of the login, the same of several clusters once."""
    places: dict[str, list[str]] = {}
    for cluster in clusters:
        for report in (cluster.get("registry_check") or {}).get("registries") or []:
            shadow = ", by its shadow" if report.get("via_shadow") else ""
            said = f"{clean(report.get('registry'))}: {clean(report.get('verdict'))}{shadow}"
            text = f"{said} ({clean(report.get('detail'))})"
            places.setdefault(text, []).append(clean(cluster.get("name")))
    return [f"login at {text} [{', '.join(names)}]" for text, names in places.items()]


def _print_warnings(remediation: JsonObject) -> None:
    """Print what the service warns of, and how to see which objects its rows name."""
    warnings = [clean(each.get("detail")) for each in remediation.get("warnings") or []]
    for warning in warnings:
        said = warning.removesuffix(_OF_NAMES).removesuffix(_OF_ROWS)
        click.echo(f"\n{click.style('warning:', fg='yellow')} {said}")
    if any(warning.endswith(_OF_NAMES) for warning in warnings):
        click.echo(f"\nall names: remediator status {clean(remediation.get('id'))} -o yaml")
    if any(_OF_ROWS in warning for warning in warnings):
        click.echo(
            f"\neach object with a hint: remediator results {clean(remediation.get('id'))} -o yaml"
        )


def _print_readiness(remediation: JsonObject) -> None:
    """Print what the check that followed came to: that all is written does not mean that no pod breaks."""
    check = remediation.get("readiness")
    if not check:
        return
    identity = clean(check.get("check_id"))
    verdict = clean(check.get("verdict") or "").replace("_", " ")
    if not verdict:
        again = f"remediator status {clean(remediation.get('id'))}"
        click.echo(f"\nreadiness: {identity} judges now which pods would break; then: {again}")
        return
    colour = _VERDICTS.get(verdict)
    click.echo(f"\nreadiness: {click.style(verdict, fg=colour, bold=True)} ({identity})")
    if verdict != "safe":
        path = f"/api/v1/readiness-checks/{identity}/findings?severity=blocking&format=table"
        click.echo(f"  see: GET {path}")


def _alike(rows: list[JsonObject]) -> dict[tuple[str, str, str], list[str]]:
    """Return where something failed, by code, detail and hint."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        error = row.get("error") or {}
        key = (
            clean(error.get("code")),
            clean(error.get("detail")),
            as_options(clean(error.get("hint"))),
        )
        found.setdefault(key, []).append(
            f"{clean(row.get('cluster'))}/{clean(row.get('namespace'))}"
        )
    return found
