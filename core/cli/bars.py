"""What every display of progress is made of: bars on a terminal, lines everywhere else."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn, TimeRemainingColumn

from core.model import printable


class Display:
    """Bars that show `measures` and the time that is left. Nothing is shown if `quiet`.

    They come with the first bar, so that a question before it can be read, and go at the end.
    """

    def __init__(self, console: Console, *measures: ProgressColumn, quiet: bool) -> None:
        self._quiet = quiet
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            *measures,
            TimeRemainingColumn(),
            console=console,
            disable=quiet or not console.is_terminal,
            transient=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def _add(self, description: str, total: float | None, completed: int = 0) -> TaskID:
        self._bars.start()
        return self._bars.add_task(description, total=total, completed=completed)

    def _say(self, line: str) -> None:
        if not self._quiet:
            self._bars.console.print(printable(line), markup=False, highlight=False, soft_wrap=True)
