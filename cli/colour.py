"""Whether output may hold escape sequences: one rule for styles, bars and the story of the demo."""

import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

_NO_ESCAPES = ("dumb", "unknown")


def wanted() -> bool:
    """Tell whether the environment allows escape sequences: NO_COLOR (no-color.org) and TERM=dumb do not."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM", "").lower() not in _NO_ESCAPES


def escapes(stream: TextIO) -> bool:
    """Tell whether a stream may get escape sequences: only a terminal may."""
    return wanted() and stream.isatty()


def console(*, stderr: bool = False) -> "Console":
    """Return a console that follows the rule, and tells of a closed pipe as `print` does."""
    from rich.console import Console

    class Ours(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    allowed = escapes(sys.stderr if stderr else sys.stdout)
    return Ours(stderr=stderr, force_terminal=allowed, no_color=not allowed, highlight=False)
