"""The results as a picture: for each case the throughput and the CPU per GiB of every entrant, as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from xml.sax.saxutils import escape

from benchmarks.cases import OURS
from benchmarks.results import Measured, Results

_WIDTH = 980
_NAMES = 190
_PLOT = 330
_GAP = 90
_ROW = 24
_OURS, _OTHERS, _INK, _FAINT = "#1f6feb", "#9aa4b0", "#1f2328", "#d8dee4"


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with its spread, and what is written beside it."""

    value: float
    low: float
    high: float
    text: str


_FAILED = Bar(0.0, 0.0, 0.0, "failed")


def draw(results: Results) -> str:
    """The chart."""
    y, body = 64.0, []
    for case, measured in results.cases.items():
        body.append(text(20, y, f"{case}: {measured.title}", size=15, weight="bold"))
        height = _ROW * len(measured.runs)
        left, right = _NAMES + 20, _NAMES + 20 + _PLOT + _GAP
        body += _names(measured, y + 14)
        mine = [entrant == OURS for entrant in measured.runs]
        body += panel(left, y + 14, _throughputs(measured), "MiB/s, more is better (line: slowest to fastest)", mine)
        body += panel(right, y + 14, _cpus(measured), "CPU seconds per GiB, less is better", mine)
        y += height + 84
    machine = ", ".join(f"{results.machine[name]}" for name in ("processor", "when") if name in results.machine)
    cores = f"{results.machine.get('cores', '?')} cores, {results.options.get('runs', '?')} runs, medians"
    return document("Cloud Sync's transfer engine beside its peers", f"{machine}, {cores}", y, body)


def document(title: str, machine: str, height: float, body: Sequence[str]) -> str:
    """The whole picture: title and machine above `body`."""
    frame = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height:.0f}"'
    style = f' viewBox="0 0 {_WIDTH} {height:.0f}" font-family="system-ui, sans-serif">'
    background = f'<rect width="{_WIDTH}" height="{height:.0f}" fill="#ffffff"/>'
    head = [text(20, 28, title, size=18, weight="bold"), text(_WIDTH - 20, 28, machine, size=11, anchor="end")]
    return "\n".join([frame + style, background, *head, *body, "</svg>"])


def _names(measured: Measured, top: float) -> Iterator[str]:
    for row, entrant in enumerate(measured.runs):
        weight = "bold" if entrant == OURS else "normal"
        yield text(_NAMES + 12, top + row * _ROW + 16, entrant, anchor="end", weight=weight)


def _throughputs(measured: Measured) -> list[Bar]:
    return [
        Bar(found.throughput, found.slowest, found.fastest, f"{found.throughput:.0f}") if found else _FAILED
        for found in map(measured.figures, measured.runs)
    ]


def _cpus(measured: Measured) -> list[Bar]:
    return [
        Bar(found.cpu, found.cpu, found.cpu, f"{found.cpu:.2f}") if found else _FAILED
        for found in map(measured.figures, measured.runs)
    ]


def panel(
    left: float, top: float, bars: Sequence[Bar], title: str, is_ours: Sequence[bool], width: float = _PLOT
) -> Iterator[str]:
    """Bars beside each other's scale, those of ours in colour."""
    bottom = top + _ROW * len(bars)
    step, end = _scale(max((bar.high for bar in bars), default=0.0))
    for mark in range(round(end / step) + 1):
        x = left + mark * step / end * width
        yield f'<line x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}" stroke="{_FAINT}"/>'
        yield text(x, bottom + 14, f"{mark * step:g}", size=10, anchor="middle")
    yield text(left + width / 2, bottom + 30, title, size=11, anchor="middle")
    for row, (bar, mine) in enumerate(zip(bars, is_ours, strict=True)):
        y = top + row * _ROW
        reach = bar.value / end * width
        colour = _OURS if mine else _OTHERS
        yield f'<rect x="{left:.1f}" y="{y + 4:.1f}" width="{reach:.1f}" height="{_ROW - 8}" fill="{colour}"/>'
        x1, x2, middle = left + bar.low / end * width, left + bar.high / end * width, y + _ROW / 2
        if bar.high > bar.low:
            yield f'<line x1="{x1:.1f}" y1="{middle:.1f}" x2="{x2:.1f}" y2="{middle:.1f}" stroke="{_INK}"/>'
        yield text(max(x2, left + reach) + 6, y + 16, bar.text)


def _scale(most: float) -> tuple[float, float]:
    """The distance of two marks, a round number, and the end of the axis."""
    if most <= 0:
        return 1.0, 1.0
    rough = most / 4
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    return step, step * ceil(most / step)


def text(x: float, y: float, words: str, *, size: int = 12, anchor: str = "start", weight: str = "normal") -> str:
    """A line of text at a place."""
    style = f'font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" fill="{_INK}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}</text>'
