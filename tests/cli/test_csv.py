"""The csv of the command line and that of the service are one file."""

import csv
import io
from collections.abc import Sequence
from typing import Any

import pytest

from api import check_findings, result_formats
from cli.readiness import FINDING_FIELDS
from cli.render import Output, View, print_pages
from cli.views import RESULT_FIELDS
from tests.cli.bodies import failed_row, row, warning

WARNED = row("c", warnings=[warning("app", "Flux removes it"), warning("own", "Flux does")])
FINDING = {
    **dict.fromkeys(("cluster", "namespace", "kind", "name", "image", "class", "severity"), "x"),
    "coverage": "NO_REFS",
    "explanation": "it names none",
    "fix": "-o json",
    "count": 3,
    "examples": ["a", "b"],
    "evidence": ["L0", "L1"],
    "doubt": True,
    "waiver": {"owner": "=sre", "reason": "known", "expires_at": "2027-01-31T00:00:00Z"},
}


@pytest.mark.parametrize(
    ("view", "items", "header", "cells"),
    [
        (
            RESULT_FIELDS,
            [row("a", changed_service_accounts=["x", "y"], reason="+1"), failed_row("b"), WARNED],
            result_formats._COLUMNS,
            result_formats._cells,
        ),
        (
            FINDING_FIELDS,
            [FINDING, FINDING | {"waiver": None, "doubt": False}],
            check_findings._COLUMNS,
            check_findings._cells,
        ),
    ],
)
def test_the_command_line_writes_what_the_service_does(
    capsys: pytest.CaptureFixture[str],
    view: View,
    items: list[dict[str, Any]],
    header: Sequence[str],
    cells: Any,
) -> None:
    """Whoever reads the file need not know which of the two made it; `--curl` prints the other way to it."""
    print_pages(view, [items], Output.CSV)

    ours = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    theirs = [["" if value is None else str(value) for value in cells(item)] for item in items]
    assert ours == [list(header), *theirs]
