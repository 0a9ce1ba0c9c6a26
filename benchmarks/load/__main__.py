"""`make load`: the cases one after the other, printed as a table and written as JSON, table and chart."""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.errors import NotReady
from benchmarks.load import cases, report
from benchmarks.machine import describe
from tests.stack import build

console = Console(highlight=False, soft_wrap=True)
RESULTS = Path(__file__).parent.parent / "results"

Counts = Annotated[str, typer.Option(help="Numbers with commas between them, or none.")]


def load(
    sizes: Counts = "100,500,1000,10000",
    libraries: Counts = "1000,10000,100000",
    results: Annotated[Path, typer.Option("--results", help="Where JSON, table and chart go.")] = RESULTS,
) -> None:
    """The first plan, and a day's five new media, of libraries of `libraries`; whole syncs of `sizes` media."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console.print("sam build", style="dim")
    build()
    machine = describe()
    figures: list[cases.Figures] = []

    def say(line: str) -> None:
        console.print(line, style="dim", markup=False)

    try:
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder, "emulator.log")
            for count in _numbers(libraries):
                figures += cases.first_plan_and_day(count, log, say)
                say(_line(figures[-2]))
                say(_line(figures[-1]))
            for count in _numbers(sizes):
                figures.append(cases.whole_sync(count, log, say))
                say(_line(figures[-1]))
    except NotReady as failed:
        console.print(str(failed), style="red", markup=False)
        sys.exit(1)
    console.print(report.markdown(machine, figures), markup=False)
    console.print(f"\nwritten: {', '.join(str(path) for path in report.write(machine, figures, results))}")


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part.strip()]


def _line(one: cases.Figures) -> str:
    return f"{one.case}: {one.seconds:.1f} s, {sum(one.api_calls.values()):,} calls of GoPro's API"


if __name__ == "__main__":
    typer.run(load)
