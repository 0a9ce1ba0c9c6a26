"""The figures as JSON, as a table and as a chart."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.chart import Bar, document, panel, text
from benchmarks.load.cases import CONCURRENCY, LATENCY, LENGTH, NEW_A_DAY, Figures
from benchmarks.report import table

_HEAD = ("run", "s", "ListMedia s", "GoPro API calls", "DynamoDB reads", "writes", "AWS calls", "transitions")
_A_MEDIUM = ("run", "ms", "GoPro API calls", "DynamoDB reads", "writes", "AWS calls", "transitions")
_TERMS = f"""\
Each run has a fresh emulated AWS and a fresh deployment of the template by SAM, MaxConcurrency {CONCURRENCY}, and an
emulated cloud that takes {LATENCY * 1000:.0f} ms for each call of its API. A medium is one file of {LENGTH:,} bytes.
`sync N`: the whole workflow over a new library of N media. `plan N`: the function of ListMedia alone, over the same.
`day beside N`: the whole workflow over {NEW_A_DAY} new media beside N that are archived. Reads and writes are
DynamoDB's units as billed, the index included. AWS calls are those of the functions, over HTTP; transitions are
the states that the execution and its children entered. Emulated AWS, emulated cloud and functions share the machine's
cores: the seconds are this machine's, the counts are not."""


def write(machine: Mapping[str, str], figures: Sequence[Figures], folder: Path) -> list[Path]:
    """Write load.json, load.md and load.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"machine": dict(machine), "runs": [asdict(one) for one in figures]}
    texts = {".json": json.dumps(told, indent=1), ".md": markdown(machine, figures), ".svg": draw(machine, figures)}
    paths = []
    for ending, content in texts.items():
        path = folder / f"load{ending}"
        path.write_text(content.rstrip() + "\n")
        paths.append(path)
    return paths


def markdown(machine: Mapping[str, str], figures: Sequence[Figures]) -> str:
    """The whole report, readable in a terminal too."""
    return "\n".join(_lines(machine, figures))


def _lines(machine: Mapping[str, str], figures: Sequence[Figures]) -> Iterator[str]:
    yield from ("# Load", "", "## Each run", "")
    yield from table(_HEAD, [_row(one) for one in figures])
    yield from ("", "## A medium", "", "Of what the run had to do: N media, or the new ones of a day.", "")
    yield from table(_A_MEDIUM, [_row_a_medium(one) for one in figures])
    yield from (
        "",
        "## Peak memory, MB",
        "",
        "Of each function's largest process, Python and libraries included.",
        "",
    )
    functions = list(dict.fromkeys(name for one in figures for name in one.memory))
    rows = [(one.case, *(f"{one.memory.get(name, 0) / 1e6:.0f}" for name in functions)) for one in figures]
    yield from table(("run", *functions), rows)
    yield from (
        "",
        "## CPU seconds",
        "",
        "Of all processes of each function, and of the emulator that serves them.",
        "",
    )
    rows = [(one.case, *(f"{one.cpu.get(name, 0):.1f}" for name in functions)) for one in figures]
    yield from table(("run", *functions), rows)
    yield from ("", "## Seconds in each state", "")
    states = list(dict.fromkeys(name for one in figures for name in one.parts))
    rows = [(one.case, *(f"{one.parts[name]:.1f}" if name in one.parts else "" for name in states)) for one in figures]
    yield from table(("run", *states), rows)
    yield from ("", "## Machine and terms", "")
    yield from table(("what", "value"), list(machine.items()))
    yield from ("", _TERMS)


def _row(one: Figures) -> tuple[str, ...]:
    calls = f"{sum(one.aws_calls.values()):,}"
    listed = f"{sum(one.api_calls.values()):,}"
    units = (f"{one.reads:,.0f}", f"{one.writes:,.0f}")
    return (one.case, f"{one.seconds:.1f}", f"{one.planning:.1f}", listed, *units, calls, f"{one.transitions:,}")


def _row_a_medium(one: Figures) -> tuple[str, ...]:
    values = (sum(one.api_calls.values()), one.reads, one.writes, sum(one.aws_calls.values()), one.transitions)
    return (one.case, f"{one.seconds / one.media * 1000:,.1f}", *(f"{value / one.media:,.2f}" for value in values))


def draw(machine: Mapping[str, str], figures: Sequence[Figures]) -> str:
    """Plans that list everything grow with the library, a day's run does not; below it the cost of each medium."""
    left, right, names = 150.0, 570.0, 330.0
    plans = [one for one in figures if one.case.startswith(("plan", "day"))]
    syncs = [one for one in figures if one.case.startswith("sync")]
    body: list[str] = []
    y = 64.0
    for title, runs, first, second in (
        (
            "The first plan of a library, and the day after",
            plans,
            ("seconds of ListMedia", [_bar(one.planning, "s") for one in plans]),
            ("calls of GoPro's API", [_bar(sum(one.api_calls.values()), "") for one in plans]),
        ),
        (
            "A whole sync, for each medium",
            syncs,
            ("milliseconds", [_bar(one.seconds / one.media * 1000, "ms") for one in syncs]),
            ("DynamoDB's units, reads and writes", [_bar((one.reads + one.writes) / one.media, "") for one in syncs]),
        ),
    ):
        if not runs:
            continue
        body.append(text(20, y, title, size=15, weight="bold"))
        is_daily = [not one.case.startswith("plan") for one in runs]
        for row, one in enumerate(runs):
            body.append(text(left - 8, y + 30 + row * 24, one.case, anchor="end"))
        body += panel(left, y + 14, first[1], first[0], is_daily, width=names)
        body += panel(right, y + 14, second[1], second[0], is_daily, width=names)
        y += 24 * len(runs) + 84
    return document("Cloud Sync under load", f"{machine['processor']}, {machine['when']}", y, body)


def _bar(value: float, unit: str) -> Bar:
    return Bar(value, value, value, f"{value:,.1f} {unit}".strip() if value < 100 else f"{value:,.0f} {unit}".strip())
