"""What the command line draws of an estimate."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from core import prices
from core.cost import Estimate, Way
from core.cost.getting_back import COPY_DAYS


def print_estimate(console: Console, found: Estimate) -> None:
    """Lines, months, the way back, and what was assumed."""
    _print_lines(console, found)
    _print_months(console, found)
    _print_ways(console, found.ways_back())
    if (saved := found.saved_by_archiving_at_once) >= 0.01:
        console.print(f"ArchiveAfterDays=0 would save ${saved:,.2f} of it.", soft_wrap=True, highlight=False)
    console.print(
        f"List prices of {prices.REGION} as of {prices.AS_OF}, to be compared with {prices.SOURCE} and its like. "
        "Assumed:",
        soft_wrap=True,
        highlight=False,
    )
    for sentence in found.assumptions.sentences():
        console.print(f"- {sentence}", soft_wrap=True, markup=False, highlight=False)


def _print_lines(console: Console, found: Estimate) -> None:
    last = found.workload.months
    table = Table(title="What is billed, in USD", title_justify="left")
    table.add_column("service")
    table.add_column("what")
    table.add_column(f"in month {last}", justify="right")
    for name in ("month 1", f"month {last}", f"{last} months"):
        table.add_column(name, justify="right")
    for line in found.lines:
        quantity = f"{_number(line.quantities[-1])} {line.unit}"
        table.add_row(line.service, line.what, quantity, *map(_usd, (line.usd[0], line.usd[-1], line.total)))
    for name, storage in (("storage", True), ("all but storage", False), ("all", None)):
        months = [found.usd(month, storage=storage) for month in range(last)]
        table.add_row(name, "", "", *map(_usd, (months[0], months[-1], sum(months))), style="bold")
    console.print(table)


def _print_months(console: Console, found: Estimate) -> None:
    table = Table(title="By month, in USD", title_justify="left")
    table.add_column("month", justify="right")
    services = [name for name in found.services if any(found.usd(m, service=name) for m in _months(found))]
    for name in (*services, "all but storage", "all"):
        table.add_column(name, justify="right")
    for month in _months(found):
        cells = [found.usd(month, service=name) for name in services]
        table.add_row(str(month + 1), *map(_usd, (*cells, found.usd(month, storage=False), found.usd(month))))
    console.print(table)


def _print_ways(console: Console, ways: Sequence[Way]) -> None:
    table = Table(title=f"Everything back once, in USD; copies for {COPY_DAYS} days", title_justify="left")
    table.add_column("tier")
    for name in ("hours", "restore", "copies", "download", "all"):
        table.add_column(name, justify="right")
    for way in ways:
        prices_of_it = map(_usd, (way.retrieval, way.copies, way.download, way.total))
        table.add_row(way.tier, f"{way.hours:g}", *prices_of_it)
    console.print(table)


def _months(found: Estimate) -> range:
    return range(found.workload.months)


def _usd(value: float) -> str:
    return f"{value:,.2f}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:,.2g}" if value else "0"
