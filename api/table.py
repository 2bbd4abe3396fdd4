"""Aligned columns for a terminal."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flask import Response

from api.formats import Format

_GAP = "  "


@dataclass(frozen=True, slots=True)
class Table:
    """Titles and the width of each column; the last one has none."""

    titles: tuple[str, ...]
    widths: tuple[int, ...]

    @classmethod
    def fitting(cls, titles: Sequence[str], lines: Iterable[Sequence[str]]) -> "Table":
        """Return a table whose columns are as wide as these lines need."""
        columns = zip(titles, *lines, strict=True)
        widths = [max(map(len, map(_clean, column))) for column in columns]
        return cls(tuple(titles), (*widths[:-1], 0))

    def head(self) -> bytes:
        """Return the line of titles."""
        return self.lines([self.titles])

    def lines(self, lines: Iterable[Sequence[str]]) -> bytes:
        """Return lines below the titles."""
        return "".join(self._line(line) for line in lines).encode()

    def _line(self, cells: Sequence[str]) -> str:
        padded = (_clean(cell).ljust(width) for cell, width in zip(cells, self.widths, strict=True))
        return _GAP.join(padded).rstrip() + "\n"


def table_answer(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> Response:
    """Return an answer that is a small table."""
    table = Table.fitting(titles, lines)
    content_type = f"{Format.TABLE.media_type}; charset=utf-8"
    return Response(table.head() + table.lines(lines), content_type=content_type)


def _clean(cell: str) -> str:
    """What a cluster says must not steer somebody's terminal."""
    return "".join(char if char.isprintable() else " " for char in cell)
