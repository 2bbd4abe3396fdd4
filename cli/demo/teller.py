"""How the story is told: numbered chapters, sentences, and claims that were checked."""

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table


class Teller:
    """Tells it on a console and remembers whether every claim held."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._chapters = 0
        self.held = True

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self._chapters += 1
        self._console.print(f"\n[bold cyan]{self._chapters}  {title}[/]")

    def say(self, told: RenderableType) -> None:
        """Tell something."""
        self._console.print(Padding(told, (0, 0, 0, 3), expand=False))

    def command(self, line: str) -> None:
        """Show a command line as it is: it will be copied, and must not be folded."""
        self._console.print(f"   [dim]$[/] {plain(line)}", soft_wrap=True)

    def claim(self, text: str, held: bool) -> None:
        """Tell what was checked, and how it came out."""
        self.held = self.held and held
        line = Table.grid(padding=(0, 1, 0, 0))
        line.add_row("[green]✔[/]" if held else "[red]✘[/]", plain(text))
        self.say(line)

    def pause(self) -> None:
        """Leave a line empty."""
        self._console.print()


def plain(text: str) -> str:
    """Return text in which nothing is taken for a style."""
    return text.replace("[", r"\[")
