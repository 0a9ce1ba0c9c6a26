"""The ledger of a provider's archive: what each month holds, and how size and price have grown.

It is a small document that each run writes anew, so that nobody has to list the archive to know how large it is.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import date, datetime, timedelta
from typing import TypeVar

from core.errors import InvalidInput
from core.model import Json

#: Days whose figures are all kept; of earlier months the last one is.
_DAYS = 400

#: Runs that are kept, the latest.
_RUNS = 60

_MONTH = re.compile(r"\d{4}-(0\d|1[0-2])")


@dataclass(frozen=True, slots=True)
class Month:
    """What a month of capture holds. `cover` is the id, as in keys, of a medium with a picture, "" if there is none."""

    media: int = 0
    originals: int = 0
    length: int = 0
    pictures: int = 0
    cover: str = ""


#: Says what an archive of this size costs (USD a month), of which so many media and bytes came within 30 days.
Price = Callable[[Month, tuple[int, int]], float]


@dataclass(frozen=True, slots=True)
class Day:
    """The archive at the end of a day (`2026-03-01`, UTC); `usd` is its price a month, None where nothing is paid."""

    date: str
    media: int
    length: int
    usd: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A run in one line; `at` is when it ended."""

    run_id: str
    at: str
    status: str
    came: int
    failed: int
    waiting: int
    bytes_moved: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """Months by name, days and runs in their order."""

    months: Mapping[str, Month]
    days: Sequence[Day] = ()
    runs: Sequence[Line] = ()

    @property
    def total(self) -> Month:
        """All months together."""
        months = self.months.values()
        return Month(
            sum(one.media for one in months),
            sum(one.originals for one in months),
            sum(one.length for one in months),
            sum(one.pictures for one in months),
        )

    def with_day(self, date: str, total: Month, price: Price | None) -> Ledger:
        """With the figures of a day in place of those that it had."""
        others = [one for one in self.days if one.date != date]
        usd = price(total, _came(others, date, total)) if price else None
        days = sorted([*others, Day(date, total.media, total.length, usd)], key=lambda one: one.date)
        return replace(self, days=_thinned(days))

    def with_run(self, line: Line) -> Ledger:
        """With a run, once however often it is told."""
        runs = sorted([*(one for one in self.runs if one.run_id != line.run_id), line], key=lambda one: one.at)
        return replace(self, runs=runs[-_RUNS:])

    def to_bytes(self) -> bytes:
        """The ledger as the archive keeps it."""
        document = {
            "months": {name: asdict(month) for name, month in sorted(self.months.items())},
            "days": [asdict(one) for one in self.days],
            "runs": [asdict(one) for one in self.runs],
        }
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")

    @classmethod
    def from_lines(cls, lines: Iterable[bytes]) -> Ledger:
        """The ledger of a stored document; `InvalidInput` if it cannot be read."""
        try:
            told: Json = json.loads(b"".join(lines))
            return cls(
                {_month(name): _read(Month, month) for name, month in told["months"].items()},
                [_read(Day, one) for one in told["days"]],
                [_read(Line, one) for one in told["runs"]],
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InvalidInput(
                f"The ledger of the gallery cannot be read ({type(error).__name__}). cloud-sync report makes it anew."
            ) from None


Part = TypeVar("Part", Month, Day, Line)


def _read(kind: type[Part], told: Json) -> Part:
    """A part of the ledger; `TypeError` if a value of it is not of its kind, `ValueError` if a day is none."""
    part = kind(**told)
    for one in fields(part):
        if not _is_a(getattr(part, one.name), str(one.type)):
            raise TypeError(one.name)
    if isinstance(part, Day):
        date.fromisoformat(part.date)
    return part


def _is_a(value: Json, kind: str) -> bool:
    match kind:
        case "str":
            return isinstance(value, str)
        case "int":
            return isinstance(value, int) and 0 <= value < 2**63
        case _:
            return value is None or (isinstance(value, int | float) and 0 <= value < math.inf)


def _month(name: str) -> str:
    if not _MONTH.fullmatch(name):
        raise ValueError("not a month")
    return name


def _came(days: Sequence[Day], date: str, total: Month) -> tuple[int, int]:
    """Media and bytes that have come within the 30 days before `date`."""
    before = (datetime.fromisoformat(date) - timedelta(days=30)).strftime("%Y-%m-%d")
    start = next((one for one in reversed(days) if one.date <= before), Day(before, 0, 0))
    return max(0, total.media - start.media), max(0, total.length - start.length)


def _thinned(days: Sequence[Day]) -> list[Day]:
    """The last of each month among all but the latest 400 days, and those."""
    old, recent = days[:-_DAYS], days[-_DAYS:]
    return [*{one.date[:7]: one for one in old}.values(), *recent]
