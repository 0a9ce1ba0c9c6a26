"""The first success, and each month what it brought: told by the first run that ends in a new month, in UTC.

A ledger in the tracker counts the runs that come to their end. Whatever is due is marked as told after it was sent, so
it is told at least once: a second time only if a run dies between the two.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal, Self

from core import prices
from core.cost import Estimate, Holding, Workload, estimate
from core.errors import TransientError
from core.model import Json, counted, format_time
from core.sync.notify import Notification, compose
from core.sync.request import Run
from core.sync.summarize import Summary
from core.tracker.base import Tracker

_log = logging.getLogger(__name__)

#: Runs whose ids are kept, so that a step that is tried again counts its run once.
_RECENT_RUNS = 8

#: Seconds for which no other run sends what one is sending.
_SENDING = 300.0
_TRIES = 20

_YOU_ARE_TOLD = (
    "From now on silence on ordinary days is normal. You are told",
    "- when media could not be backed up, and when a run as a whole failed,",
    "- when the credentials are dead, or will probably be at the next run,",
    "- when the weekly verification finds something wrong in the archive,",
    "- once a month what came, also if nothing did: if that message fails to come, no run came to its end.",
)


@dataclass(frozen=True, slots=True)
class Month:
    """What the runs that ended in a month came to.

    `troubled` of them failed, or left something behind. `failed`, `pending` and `discovered` are media as the last of
    them, which ended at `ended_at` (ISO 8601), left them. `moved` is bytes.
    """

    runs: int = 0
    nothing_new: int = 0
    troubled: int = 0
    media: int = 0
    moved: int = 0
    failed: int = 0
    pending: int = 0
    discovered: int = 0
    ended_at: str = ""

    def plus(self, summary: Summary, now: datetime) -> Self:
        """With one run more."""
        return replace(
            self,
            runs=self.runs + 1,
            nothing_new=self.nothing_new + (summary.status == "NO_NEW_VIDEOS"),
            troubled=self.troubled + (summary.status == "PARTIAL_FAILURE" or summary.failure is not None),
            media=self.media + summary.completed,
            moved=self.moved + summary.bytes_transferred,
            failed=summary.failed,
            pending=summary.pending,
            discovered=summary.discovered,
            ended_at=format_time(now) or "",
        )


@dataclass(frozen=True, slots=True)
class Ledger:
    """The months (`2026-11`) that were not told yet, and all that runs have brought: media and bytes (`moved`)."""

    first_success: Literal["", "due", "told"] = ""
    media: int = 0
    moved: int = 0
    months: Mapping[str, Month] = field(default_factory=dict)
    recent_runs: tuple[str, ...] = ()

    def plus(self, summary: Summary, now: datetime) -> Self:
        """With one run more, or as it is if that was counted."""
        if summary.run_id in self.recent_runs:
            return self
        is_success = summary.status == "SUCCEEDED" and summary.completed and not summary.failure
        month = _month(now)
        return replace(
            self,
            first_success=self.first_success or ("due" if is_success else ""),
            media=self.media + summary.completed,
            moved=self.moved + summary.bytes_transferred,
            months={**self.months, month: self.months.get(month, Month()).plus(summary, now)},
            recent_runs=(*self.recent_runs, summary.run_id)[-_RECENT_RUNS:],
        )

    def due(self, now: datetime) -> list[str]:
        """The months to be told, "" for the first success."""
        over = sorted(month for month in self.months if month < _month(now))
        return [*([""] if self.first_success == "due" else []), *over]

    def told(self, due: str) -> Self:
        """Without what was told."""
        if not due:
            return replace(self, first_success="told")
        return replace(self, months={name: month for name, month in self.months.items() if name != due})

    def to_text(self) -> str:
        """As the tracker keeps it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """As the tracker kept it, a new one for "" or for what cannot be read.

        What another version keeps beside it is left out.
        """
        try:
            return cls._read(json.loads(text)) if text else cls()
        except (ValueError, TypeError, AttributeError):
            _log.warning("The ledger of the runs cannot be read: it is begun anew.")
            return cls()

    @classmethod
    def _read(cls, document: Json) -> Self:
        told = _known(cls(), document)
        months = {name: Month(**_known(Month(), month)) for name, month in told.get("months", {}).items()}
        for name in months:
            _title(name)
        return cls(**told | {"months": months, "recent_runs": tuple(told.get("recent_runs", ()))})


def _known(empty: Ledger | Month, told: Mapping[str, Json]) -> dict[str, Json]:
    """What is told of the fields that `empty` has; `TypeError` if that is of another kind."""
    known = {name: told[name] for name in empty.__dataclass_fields__ if name in told}
    for name, value in known.items():
        wanted = type(getattr(empty, name))
        if not isinstance(value, list if wanted is tuple else wanted):
            raise TypeError(name)
    return known


def note_run(
    summary: Summary, run: Run, tracker: Tracker, now: datetime, *, place: str, tell: Callable[[Notification], bool]
) -> None:
    """Count a run that came to its end, and tell what is due. `place` is where originals lie, for people's eyes.

    `tell` says whether it could send: what could not be sent is due again at the end of the next run. Two runs that end
    at once tell it once.
    """
    books = _Books(summary.provider, tracker)
    if not books.change(lambda ledger: ledger.plus(summary, now)).due(now):
        return
    if not tracker.acquire(books.name, run.run_id, _SENDING):
        return  # another run is sending it
    try:
        ledger = books.read()
        for due in ledger.due(now):
            notification = (
                about_month(due, ledger, run, now) if due else about_first_success(ledger, summary, run, place)
            )
            if tell(notification):
                books.mark(due)
    finally:
        tracker.release(books.name, run.run_id)


class _Books:
    """The ledger of a provider in the tracker."""

    def __init__(self, provider: str, tracker: Tracker) -> None:
        self.name = f"ledger/{provider}"
        self._tracker = tracker

    def read(self) -> Ledger:
        return Ledger.from_text(self._tracker.recall(self.name))

    def change(self, change: Callable[[Ledger], Ledger]) -> Ledger:
        for _ in range(_TRIES):
            text = self._tracker.recall(self.name)
            changed = change(Ledger.from_text(text)).to_text()
            if changed == text or self._tracker.replace(self.name, changed, text):
                return Ledger.from_text(changed)
        raise TransientError("Too many runs end at once to count them. It is tried again.")

    def mark(self, due: str) -> None:
        self.change(lambda ledger: ledger.told(due))


def about_first_success(ledger: Ledger, summary: Summary, run: Run, place: str) -> Notification:
    """The first run that brought something and left nothing behind."""
    rest = "; what is not here yet comes with the next runs" if ledger.media < summary.discovered else ""
    lines = [
        "What happened: the backup works. The store confirmed length and checksum of each original of these media.",
        f"Archived: {counted(ledger.media, 'medium', 'media')}, {ledger.moved:,} bytes",
        f"In the library: {counted(summary.discovered, 'medium', 'media')}",
        f"Where: {place}",
        f"What to do: nothing{rest}.",
        "",
        *_YOU_ARE_TOLD,
    ]
    details = {
        "provider": summary.provider,
        "media": ledger.media,
        "bytes": ledger.moved,
        "discovered": summary.discovered,
        "place": place,
    }
    headline = f"the first backup is done, {counted(ledger.media, 'medium', 'media')} archived"
    return compose("first_success", headline, lines, details, run)


def about_month(name: str, ledger: Ledger, run: Run, now: datetime) -> Notification:
    """What a month brought, also if that was nothing."""
    month, title = ledger.months[name], _title(name)
    idle = [one for one in _months_between(name, _month(now)) if one not in ledger.months]
    usd = round(_reckoned(month, ledger).usd(0), 2)
    lines = [
        f"What happened: in {title} {counted(month.runs, 'run')} came to the end, {month.nothing_new} of them "
        f"without anything new. {counted(month.media, 'medium', 'media')} came, {month.moved:,} bytes.",
        f"What to do: {_what_to_do(month, idle)}",
        "",
        f"Left by the last of them, {month.ended_at[:16].replace('T', ' ')} UTC: failed {month.failed}, "
        f"waiting {month.pending}, in the library {month.discovered:,}",
        f"Runs that left failures, or failed: {month.troubled}   runs that did not come to their end are not counted",
        f"Archived by all runs together: {counted(ledger.media, 'medium', 'media')}, {ledger.moved:,} bytes",
        f"Estimated cost of the month: ${usd:,.2f}, by list prices of {prices.REGION} ({prices.AS_OF}) and the "
        "template's defaults; `cloud-sync cost` says how that comes about.",
    ]
    numbers = asdict(month)
    details = {
        "month": name,
        "bytes": numbers.pop("moved"),
        **numbers,
        "months_without_a_run": idle,
        "total": {"media": ledger.media, "bytes": ledger.moved},
        "estimated_usd": usd,
    }
    came = f"{counted(month.media, 'medium', 'media')} archived" if month.media else "nothing new"
    failed = f", {month.failed} failed" if month.failed else ""
    return compose("monthly_summary", f"{title}, {came}{failed}", lines, details, run)


def _what_to_do(month: Month, idle: list[str]) -> str:
    if idle:
        return f"look at the schedule: no run came to its end in {', '.join(map(_title, idle))}."
    if month.failed:
        return "look at the report of the last run; each run tries again what failed."
    return "nothing. This message is the proof that the backup runs."


def _reckoned(month: Month, ledger: Ledger) -> Estimate:
    before = Holding(max(0, ledger.media - month.media), max(0, ledger.moved - month.moved))
    length = month.moved / month.media if month.media else 0
    return estimate(Workload(month.media, length, months=1, archived=before))


def _month(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m}"


def _title(month: str) -> str:
    return f"{datetime.strptime(month, '%Y-%m').replace(tzinfo=UTC):%B %Y}"


def _months_between(first: str, last: str) -> Iterator[str]:
    year, month = map(int, first.split("-"))
    while (name := f"{year + month // 12}-{month % 12 + 1:02}") < last:
        yield name
        year, month = year + month // 12, month % 12 + 1
