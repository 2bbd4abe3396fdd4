"""The pages of the documentation, read as their readers do: fenced examples, tables, links, code in sentences."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
PROSE = (*PAGES, *(ROOT / f"{name}.md" for name in ("CONTRIBUTING", "SECURITY", "CHANGELOG")))

_FENCE = re.compile(
    r"(?:^<!-- (?P<mark>not run|check): (?P<note>.+?) -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Example:
    """A fenced block; `mark` is what the comment before it says: "not run", "check" or nothing."""

    page: Path
    line: int
    kind: str
    text: str
    mark: str | None = None
    note: str | None = None

    def __str__(self) -> str:
        return f"{name_of(self.page)}:{self.line}"

    def commands(self) -> Iterator[list[str]]:
        """Yield the words of each command line, without comments."""
        for line in self.text.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                yield words


def name_of(page: Path) -> str:
    """Return the path of a page in the repository."""
    return str(page.relative_to(ROOT))


def examples(*kinds: str, mark: str | None = None) -> list[Example]:
    """Return the blocks of some kinds in all pages that carry the mark."""
    return [
        example
        for page in PAGES
        for example in examples_of(page)
        if example.kind in kinds and example.mark == mark
    ]


def examples_of(page: Path) -> Iterator[Example]:
    """Yield the blocks of a page in order."""
    text = page.read_text()
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Example(page, line, found["kind"], found["text"], found["mark"], found["note"])


def spans(page: Path) -> list[str]:
    """Return what stands in code style in the sentences and tables of a page."""
    return _SPAN.findall(_FENCE.sub("", page.read_text()))


def links(page: Path) -> list[str]:
    """Return the targets of the links of a page."""
    return _LINK.findall(_SPAN.sub("", _FENCE.sub("", page.read_text())))


def anchors(page: Path) -> set[str]:
    """Return the names under which the headings of a page can be linked to."""
    headings = _HEADING.findall(_FENCE.sub("", page.read_text()))
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


def table(page: Path, *titles: str) -> list[list[str]]:
    """Return the rows of the tables of a page whose header begins with these titles."""
    rows: list[list[str]] = []
    reading = False
    for line in page.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not line.startswith("|"):
            reading = False
        elif cells[: len(titles)] == list(titles):
            reading = True
        elif reading and not line.startswith("|---"):
            rows.append(cells)
    return rows


def codes(cells: list[str]) -> list[str]:
    """Return the first code-styled word of each cell."""
    return [found[1] for cell in cells if (found := _SPAN.search(cell))]
