"""`remediator clusters`, `credentials`, `whoami` and `system`."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from cli.call import Call, client_command
from cli.render import Column, Output, View, print_one, print_pages, print_table
from cli.request import JsonObject, get
from cli.text import clean, readable

# `warning` says of `same_as` and `insecure` what there is to say.
_FOR_PROGRAMS = ("links", "holders", "uid", "same_as", "insecure")


@click.command("clusters")
@client_command
def clusters_command(call: Call) -> None:
    """List the clusters that can be named."""
    _print_items(call, "/clusters")


@click.command("credentials")
@client_command
def credentials_command(call: Call) -> None:
    """List the registry credentials that can be named; never what is in them."""
    _print_items(call, "/credentials")


@click.command("whoami")
@client_command
def whoami_command(call: Call) -> None:
    """Show who the service takes you for and what you may do."""
    _print_object(call, "/whoami", "subject")


@click.command("system")
@client_command
def system_command(call: Call) -> None:
    """Show how the service is."""
    _print_object(call, "/system", "version")


def _print_items(call: Call, path: str) -> None:
    body = call.send(get(path)).body
    items = body.get("items") or []
    view = _view_of(items)
    print_one(
        body,
        call.output,
        table=lambda: print_pages(view, [items], Output.TABLE),
        view=view,
        rows="items",
    )
    for problem in body.get("problems") or []:
        where = f"{clean(problem.get('host'))} ({clean(problem.get('pool'))})"
        click.echo(f"worker {where}: {clean(problem.get('detail'))}", err=True)


def _view_of(items: list[JsonObject]) -> View:
    """Return a view with what the service says of the items, its name first; details are for programs."""
    named = (name for item in items for name in item if name not in _FOR_PROGRAMS)
    names = dict.fromkeys(["name", *named])
    return View(tuple(map(_field, names)), name=lambda item: str(item.get("name")))


def _field(name: str) -> Column:
    return Column(name.upper().replace("_", " "), lambda item: readable(item.get(name)))


def _print_object(call: Call, path: str, name: str) -> None:
    body = call.send(get(path)).body
    pairs = list(_flat(body))
    view = View(
        tuple(_leaf(key) for key, _ in pairs),
        name=lambda item: str(item.get(name)),
    )
    print_one(body, call.output, table=lambda: print_table(("NAME", "VALUE"), pairs), view=view)


def _leaf(key: str) -> Column:
    return Column(key, lambda item: dict(_flat(item))[key])


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _flat(inner, f"{prefix}{name}.")
        elif isinstance(inner, list) and any(isinstance(entry, Mapping) for entry in inner):
            for number, entry in enumerate(inner):
                entry = entry if isinstance(entry, Mapping) else {"": entry}
                yield from _flat(entry, f"{prefix}{name}[{number}].")
        else:
            yield clean(prefix + name), readable(inner)
