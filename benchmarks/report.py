"""The results for people: ratios first, then the figures of each case, then the machine."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.cases import OURS
from benchmarks.chart import draw
from benchmarks.files import GIB, MIB
from benchmarks.goals import Goal
from benchmarks.results import Huge, Invocation, Measured, Results

_RATIOS = ("case", "ours over", "throughput", "CPU per GiB", "peak memory")
_FIGURES = (
    "entrant",
    "s",
    "MiB/s",
    "slowest to fastest",
    "CPU s/GiB",
    "peak MB",
    "process s",
    "fetched",
    "source CPU",
    "sink CPU",
)
_TERMS = """\
Medians over alternating runs. Seconds and MiB/s are from the first request that the source saw to the sink's last
answer; process s is the whole life of the process, its start included (curl asks while aws is still starting). CPU is
user and system time of the process and all its children over its whole life; peak memory is that of the largest
process, the most of all runs. Source (nginx and gate) and sink run on the same cores; their CPU is in seconds a GiB
too. Fetched is what the source sent over the files' length, in the worst run. The sink drops the bytes without looking
at them, for everybody; it counts them, and a run is void unless it got each file whole. All goes over plain HTTP on
loopback."""


def write(results: Results, goals: Sequence[Goal], folder: Path, name: str) -> list[Path]:
    """Write JSON, table and chart as `name` with their endings into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    document = asdict(results) | {"goals": [asdict(goal) | {"met": goal.met} for goal in goals]}
    texts = {".json": json.dumps(document, indent=1), ".md": text(results, goals), ".svg": draw(results)}
    paths = []
    for ending, content in texts.items():
        path = folder / f"{name}{ending}"
        path.write_text(content.rstrip() + "\n")
        paths.append(path)
    return paths


def text(results: Results, goals: Sequence[Goal]) -> str:
    """The whole report as Markdown that can also be read in a terminal."""
    return "\n".join(_lines(results, goals))


def _lines(results: Results, goals: Sequence[Goal]) -> Iterator[str]:
    yield "# Benchmark"
    yield ""
    if results.cases:
        yield "## Ratios"
        yield ""
        yield from table(_RATIOS, [row for case, one in results.cases.items() for row in _ratios(case, one)])
        yield ""
    for case, measured in results.cases.items():
        yield f"## {case}: {measured.title}"
        yield ""
        yield from table(_FIGURES, [_figures(measured, entrant) for entrant in measured.runs])
        yield ""
        if measured.note:
            yield measured.note
            yield ""
        for entrant in measured.runs:
            if fault := measured.fault(entrant):
                yield from (f"{entrant} failed:", "", "```", fault, "```", "")
    if results.huge:
        yield from _huge(results.huge)
    if results.proved is not None:
        yield "## proof: read back from the emulated AWS"
        yield ""
        yield f"{results.proved:.0%} of the objects are the source's, byte for byte. {results.proof_fault}".rstrip()
        yield ""
    yield "## Goals"
    yield ""
    yield "```"
    yield from (goal.line() for goal in goals)
    yield "```"
    yield ""
    yield "## Machine and terms"
    yield ""
    yield from table(("what", "value"), [*results.machine.items(), *results.options.items()])
    yield ""
    yield _TERMS


def _ratios(case: str, measured: Measured) -> Iterator[tuple[str, ...]]:
    mine = measured.figures(OURS)
    for entrant in measured.runs:
        theirs = measured.figures(entrant)
        if entrant == OURS or not mine or not theirs:
            continue
        yield (
            case,
            entrant,
            f"{mine.throughput / theirs.throughput:.2f}",
            f"{mine.cpu / theirs.cpu:.2f}",
            f"{mine.peak_memory / theirs.peak_memory:.2f}",
        )


def _figures(measured: Measured, entrant: str) -> tuple[str, ...]:
    found = measured.figures(entrant)
    if not found:
        return (entrant, "failed", *[""] * (len(_FIGURES) - 2))
    fetched = max(run.fetched / run.length for run in measured.runs[entrant])
    return (
        entrant,
        f"{found.seconds:.2f}",
        f"{found.throughput:.0f}",
        f"{found.slowest:.0f} to {found.fastest:.0f}",
        f"{found.cpu:.2f}",
        f"{found.peak_memory / 1e6:.0f}",
        f"{found.process_seconds:.2f}",
        f"{fetched:.3f}",
        f"{found.source_cpu:.2f}",
        f"{found.sink_cpu:.2f}",
    )


def _huge(huge: Huge) -> Iterator[str]:
    yield f"## huge: {huge.length / GIB:.0f} GiB through the deadline loop"
    yield ""
    rows = [_invocation(number, one) for number, one in enumerate(huge.invocations, 1)]
    yield from table(("invocation", "s", "CPU s", "peak MB"), rows)
    yield ""
    parts = f"{len(huge.parts):,} parts of up to {max(huge.parts, default=0) / MIB:.0f} MiB"
    rate = huge.length / MIB / huge.seconds if huge.seconds else 0.0
    yield huge.fault or f"{parts}; {rate:.0f} MiB/s; the source sent {huge.fetched / huge.length:.3f} of its length."
    if not huge.fault:
        yield f"The most memory in the second half of the file is {huge.growth:.2f} of that in the first."
    yield ""


def _invocation(number: int, one: Invocation) -> tuple[str, ...]:
    cells = (f"{one.seconds:.1f}", f"{one.cpu_seconds:.1f}", f"{one.peak_memory / 1e6:.0f}")
    return (str(number), *cells)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a Markdown table, its columns aligned."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, ["-" * width for width in widths], *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"| {' | '.join(cells)} |"
