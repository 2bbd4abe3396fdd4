"""A live progress bar per cluster, on standard error."""

from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress_bar import ProgressBar

from cli import colour
from cli.request import JsonObject
from cli.text import clean
from cli.views import changed, changed_word, count

MANY = 20  # clusters; beyond, only those at work have a bar, and all together have one
_COLOURS = {"succeeded": "green", "partial": "yellow", "running": "cyan", "queued": "dim"}


class _Bar(BarColumn):
    """A bar that pulses only while the namespaces are being counted; those that wait are still."""

    def render(self, task: Task) -> ProgressBar:
        counting = task.fields["status"] == "running" and not task.total
        return ProgressBar(
            total=task.total or 1,
            completed=task.completed,
            width=self.bar_width,
            pulse=counting,
            animation_time=task.get_time(),
        )


class FleetBars:
    """A bar for each cluster of one remediation; a context manager."""

    def __init__(self, console: Console | None = None) -> None:
        console = console or colour.console(stderr=True)
        self._tasks: dict[str, TaskID] = {}
        self._total: TaskID | None = None
        self._word = ""
        self._room = max(3, min(MANY, console.height - 4))
        self._progress = Progress(
            TextColumn("{task.fields[name]}", markup=False),
            TextColumn("[{task.fields[colour]}]{task.fields[status]}"),
            _Bar(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[changed]} {task.fields[word]}", style="green"),
            TextColumn("[{task.fields[alarm]}]{task.fields[failed]} failed"),
            TimeElapsedColumn(),
            console=console,
            refresh_per_second=8,
            expand=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> "FleetBars":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def show(self, remediation: JsonObject) -> None:
        """Move the bars to where the remediation is."""
        clusters = remediation.get("clusters") or []
        many = len(clusters) > self._room
        room = self._room
        self._word = changed_word(remediation)
        for cluster in clusters:
            visible = not many or (cluster.get("status") == "running" and room > 0)
            room -= visible
            self._move(cluster, visible)
        if many:
            self._show_total(remediation, clusters)
        # Only now: every bar that is added to a display that is on is drawn at once.
        self._progress.start()

    def _move(self, cluster: JsonObject, visible: bool) -> None:
        name, status = clean(cluster.get("name")), clean(cluster.get("status"))
        if name not in self._tasks:
            self._tasks[name] = self._add(name)
        task = self._tasks[name]
        if status != "queued":
            self._progress.start_task(task)
        ended = status not in ("queued", "running")
        self._update(task, cluster, status, visible)
        if ended:
            self._progress.stop_task(task)

    def _show_total(self, remediation: JsonObject, clusters: list[JsonObject]) -> None:
        if self._total is None:
            self._total = self._add("all")
            self._progress.start_task(self._total)
        ended = sum(cluster.get("status") not in ("queued", "running") for cluster in clusters)
        status = f"{ended} of {len(clusters)} clusters"
        self._update(self._total, remediation, status, True)

    def _add(self, name: str) -> TaskID:
        return self._progress.add_task(
            name,
            start=False,
            total=0,
            visible=False,
            name=name,
            status="",
            colour="none",
            changed=0,
            word=self._word,
            failed=0,
            alarm="dim",
        )

    def _update(self, task: TaskID, item: JsonObject, status: str, visible: bool) -> None:
        done, total = count(item, "namespaces", "done"), count(item, "namespaces", "total")
        failed = count(item, "namespaces", "failed")
        self._progress.update(
            task,
            completed=done,
            total=total,
            visible=visible,
            status=status,
            colour=_COLOURS.get(status, "none" if "clusters" in status else "red"),
            changed=changed(item),
            failed=failed,
            alarm="red" if failed else "dim",
        )
