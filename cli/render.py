"""Answers on standard output: table for people, json, yaml, csv and names for programs."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import click

from cli.request import JsonObject
from cli.text import clean


class Output(StrEnum):
    """The values of `-o`."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Column:
    """A heading and how to find the cell's value in an item."""

    title: str
    value: Callable[[JsonObject], object]


@dataclass(frozen=True, slots=True)
class View:
    """How items of one kind look: columns, and the name that `-o name` prints."""

    columns: tuple[Column, ...]
    name: Callable[[JsonObject], str]

    @classmethod
    def of_fields(cls, *paths: str) -> "View":
        """Return the columns that the service's own csv has: `a.b` is member b of member a, headed `a_b`."""
        return cls(tuple(map(_field, paths)), name=str)

    def header(self) -> list[str]:
        """Return the headings."""
        return [column.title for column in self.columns]

    def row(self, item: JsonObject) -> list[str]:
        """Return the cells of one item."""
        return [clean(column.value(item)) for column in self.columns]


def _field(path: str) -> Column:
    def value(item: JsonObject) -> object:
        found: Any = item
        for name in path.split("."):
            found = (found or {}).get(name)
        if isinstance(found, bool):
            return str(found).lower()
        return " ".join(map(str, found)) if isinstance(found, list) else found

    return Column(path.upper().replace(".", "_"), value)


def print_pages(view: View, pages: Iterable[list[JsonObject]], output: Output) -> None:
    """Print a collection while its pages come in."""
    _PAGES[output](view, pages)


def print_one(
    item: JsonObject, output: Output, *, table: Callable[[], None], view: View, rows: str = ""
) -> None:
    """Print one resource; `table` prints it for people, `rows` names the list in it that makes csv rows and names."""
    if output is Output.TABLE:
        table()
    elif output is Output.JSON:
        click.echo(json.dumps(item, indent=2, ensure_ascii=False))
    elif output is Output.YAML:
        click.echo(_yaml(item), nl=False)
    else:
        _PAGES[output](view, [(item.get(rows) or []) if rows else [item]])


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print aligned columns; every cell is one line."""
    for line in _aligned(header, [list(row) for row in rows]):
        click.echo(line)


def _table_pages(view: View, pages: Iterable[list[JsonObject]]) -> None:
    widths: list[int] | None = None
    for page in pages:
        rows = [view.row(item) for item in page]
        if widths is None:
            if not rows:
                continue
            widths = _widths([view.header(), *rows])
            click.echo(_line(view.header(), widths))
        # Later pages keep the columns where they are, and only ever widen them.
        widths = [max(pair) for pair in zip(widths, _widths([view.header(), *rows]), strict=True)]
        for row in rows:
            click.echo(_line(row, widths))
    if widths is None:
        click.echo("nothing found", err=True)


def _json_pages(_: View, pages: Iterable[list[JsonObject]]) -> None:
    separator = ""
    click.echo('{"items": [', nl=False)
    for item in _items(pages):
        click.echo(f"{separator}\n  {json.dumps(item, ensure_ascii=False)}", nl=False)
        separator = ","
    click.echo("\n]}")


def _yaml_pages(_: View, pages: Iterable[list[JsonObject]]) -> None:
    empty = True
    for item in _items(pages):
        if empty:
            click.echo("items:")
        empty = False
        click.echo(_yaml([item]), nl=False)
    if empty:
        click.echo("items: []")


def _csv_pages(view: View, pages: Iterable[list[JsonObject]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(title.lower().replace(" ", "_") for title in view.header())
    for item in _items(pages):
        writer.writerow(_harmless(cell) for cell in view.row(item))


def _name_pages(view: View, pages: Iterable[list[JsonObject]]) -> None:
    for item in _items(pages):
        click.echo(clean(view.name(item)))


_PAGES: dict[Output, Callable[[View, Iterable[list[JsonObject]]], None]] = {
    Output.TABLE: _table_pages,
    Output.JSON: _json_pages,
    Output.YAML: _yaml_pages,
    Output.CSV: _csv_pages,
    Output.NAME: _name_pages,
}


def _items(pages: Iterable[list[JsonObject]]) -> Iterator[JsonObject]:
    for page in pages:
        yield from page


def _yaml(value: Any) -> str:
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(yaml.dump(value, Dumper=dumper, sort_keys=False, allow_unicode=True))


def _harmless(cell: str) -> str:
    if cell == "-":  # for people; for a program nothing is nothing
        return ""
    # A spreadsheet takes these for a formula.
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@")) else cell


def _aligned(header: Sequence[str], rows: list[list[str]]) -> Iterator[str]:
    widths = _widths([header, *rows])
    for row in [list(header), *rows]:
        yield _line(row, widths)


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
