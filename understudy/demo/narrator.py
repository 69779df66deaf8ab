"""The demo's voice at the terminal: acts, lines, tables, progress. It knows how to say things, not what they mean."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.rule import Rule
from rich.table import Table
from rich.text import Text
from rich.traceback import Traceback

from understudy.demo.promises import Promise


class Narrator:
    def __init__(self, console: Console) -> None:
        self._console = console

    def title(self, title: str, text: str) -> None:
        self._console.print(Panel(text, title=f"[bold]{title}", border_style="cyan", padding=(0, 2)))

    def act(self, title: str) -> None:
        self._console.print()
        self._console.print(Rule(f"[bold cyan]{title}", align="left", style="cyan"))

    def say(self, text: str) -> None:
        self._console.print(Padding(Text.from_markup(text), (0, 0, 0, 2)))

    def event(self, when: str, text: str) -> None:
        self._console.print(Padding(_hung(f"[dim]{when:>10}[/]", Text.from_markup(text), gap=2), (0, 0, 0, 2)))

    def gap(self) -> None:
        self._console.print()

    def promise(self, promise: Promise) -> None:
        """The promise on a line, its evidence below it; both keep their indentation when they wrap."""
        mark = "[bold green]kept  [/]" if promise.kept else "[bold red]BROKEN[/]"
        self._console.print(Padding(_hung(mark, Text(promise.text)), (0, 0, 0, 2)))
        evidence = Text(promise.evidence, style="dim" if promise.kept else "red")
        self._console.print(Padding(evidence, (0, 0, 0, 9)))

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: int = 1) -> None:
        """`right`: from which column on figures are right-aligned."""
        self._console.print()
        self._console.print(Padding(f"[bold]{title}[/]", (0, 0, 0, 2)))
        table = Table(box=box.SIMPLE_HEAD, header_style="dim", border_style="dim", padding=(0, 1), show_edge=False)
        for number, column in enumerate(columns):
            table.add_column(column, justify="right" if number >= right else "left")
        for row in rows:
            table.add_row(*(str(cell) for cell in row))
        self._console.print(Padding(table, (0, 0, 0, 1), expand=False))

    def trouble(self, text: str) -> None:
        self._console.print(Text(text, style="bold red"))

    def traceback(self, error: Exception) -> None:
        self._console.print(Traceback.from_exception(type(error), error, error.__traceback__, max_frames=8))

    @contextmanager
    def progress(self, text: str, total: int) -> Iterator["Step"]:
        columns = (
            TextColumn("  {task.description}"),
            BarColumn(28),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console, transient=True, disable=not self._console.is_terminal) as bar:
            task = bar.add_task(text, total=total, note="")
            yield Step(bar, task)


def _hung(mark: str, text: Text, *, gap: int = 1) -> Table:
    """`text` beside `mark`, wrapping within its own column."""
    grid = Table.grid(padding=(0, gap))
    grid.add_column(no_wrap=True)
    grid.add_column()
    grid.add_row(Text.from_markup(mark), text)
    return grid


class Step:
    """One running progress bar."""

    def __init__(self, bar: Progress, task: object) -> None:
        self._bar, self._task = bar, task

    def forward(self, note: str, by: int = 1) -> None:
        self._bar.update(self._task, advance=by, note=note)  # type: ignore[arg-type]
