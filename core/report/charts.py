"""Curves over time as inline SVG; what there is to read stands beside them, so that it keeps its size on any screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

from core.report.html import Element, el

_WIDTH, _HEIGHT = 1000.0, 300.0

#: Months that are told as numbers.
_MONTHS = 24


def curve(title: str, dates: Sequence[str], values: Sequence[float], tell: Callable[[float], str]) -> Element:
    """A chart of `values` at `dates` (ISO days, ascending, at least one), its axis from zero."""
    top = max(values) or 1.0
    points = list(zip(_positions(dates), (_HEIGHT * (1 - value / top) for value in values), strict=True))
    if len(points) == 1:
        points = [(0.0, points[0][1]), (_WIDTH, points[0][1])]
    line = " L".join(f"{x:.1f},{y:.1f}" for x, y in points)
    svg = el(
        "svg",
        el("path", class_="area", d=f"M{points[0][0]:.1f},{_HEIGHT} L{line} L{points[-1][0]:.1f},{_HEIGHT} Z"),
        el("path", class_="curve", d=f"M{line}", vector_effect="non-scaling-stroke"),
        viewBox=f"0 0 {_WIDTH:.0f} {_HEIGHT:.0f}",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"{title}: from {tell(values[0])} on {dates[0]} to {tell(values[-1])} on {dates[-1]}",
    )
    first = dates[0] if dates[0] != dates[-1] else ""
    return el(
        "figure",
        el("figcaption", el("h2", title), el("b", tell(values[-1]))),
        el("div", el("span", tell(top), class_="most"), svg, class_="plot"),
        el("div", el("span", first), el("span", dates[-1]), class_="axis"),
        _numbers(dates, values, tell),
    )


def _positions(dates: Sequence[str]) -> list[float]:
    days = [date.fromisoformat(one).toordinal() for one in dates]
    length = max(1, days[-1] - days[0])
    return [(one - days[0]) / length * _WIDTH for one in days]


def _numbers(dates: Sequence[str], values: Sequence[float], tell: Callable[[float], str]) -> Element:
    ends = {day[:7]: (day, value) for day, value in zip(dates, values, strict=True)}
    rows = [el("tr", el("td", day), el("td", tell(value))) for day, value in list(ends.values())[-_MONTHS:]]
    return el("details", el("summary", "As numbers"), el("table", el("tbody", *reversed(rows))))
