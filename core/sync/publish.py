"""The last thing that a run does: the page for people, and the months of the gallery that it has touched.

A page is worth less than a run: whatever goes wrong here is told with the summary and changes nothing else.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from secrets import token_hex

from core.archive.base import Archive
from core.archive.catalog import Entry
from core.errors import TransientError, public_text
from core.model import Medium, Reason, Record, Status, utc_now
from core.report import MOST_ROWS, Gallery, Item, Note, Price, Spool, Told
from core.sync.plan import Plan, read_manifest
from core.sync.request import Run
from core.sync.summarize import FailedMedium, Summary
from core.tracker.base import Leases, Tracker

_BATCH = 100

#: Seconds for which one run has the gallery for itself, and for which another waits for it.
_LEASE_SECONDS = 300.0
_PATIENCE = 60.0

#: Seconds that must be left of an invocation to begin with anything here: a call of S3 may take so long.
_MARGIN = 420.0

_TAKEN = "Another run has the gallery. What came is in the catalog: cloud-sync report shows it."

_WHY = {
    Reason.CREDENTIALS: "The credentials died. It comes with the next run after they are renewed.",
    Reason.CANCELLED: "The run was stopped. The next one goes on.",
}
_LATER = "It was not finished. The next run goes on."


def publish(
    summary: Summary,
    plan: Plan,
    run: Run,
    tracker: Tracker,
    archive: Archive,
    *,
    price: Price | None = None,
    remaining: Callable[[], float] = lambda: math.inf,
    clock: Callable[[], datetime] = utc_now,
    sleep: Callable[[float], None] = time.sleep,
) -> Summary:
    """Write the run's page; the summary with its key, or with what went wrong. It raises nothing.

    `remaining` is how many seconds the invocation still has. Of two runs at the same time one waits for the other.
    """
    try:
        with _alone(tracker, gallery_lease(plan.provider), run.run_id, sleep) as go_on:
            page = _Publisher(summary, plan, run, tracker, archive, price, remaining, clock).publish(go_on)
    except Exception as error:
        return replace(summary, page_trouble=f"{type(error).__name__}: {public_text(error)}")
    return replace(summary, page=page)


def publish_anew(
    entries: Iterable[Entry],
    provider: str,
    tracker: Tracker,
    archive: Archive,
    *,
    price: Price | None = None,
    clock: Callable[[], datetime] = utc_now,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Write the whole gallery from the catalog's entries, and a page of how the archive stands; the key of that."""
    gallery = Gallery(archive, provider, price)
    with _alone(tracker, gallery_lease(provider), token_hex(8), sleep) as go_on, Spool.new() as spool:
        came: dict[str, tuple[int, int]] = {}
        newest, last = "", list[Item]()
        for entry in entries:
            if entry.missing:
                continue
            item = Item.of(entry.medium, len(entry.originals), entry.length)
            spool.add([item])
            date = f"{entry.archived_at or clock():%Y-%m-%d}"
            media, length = came.get(date, (0, 0))
            came[date] = (media + 1, length + item.length)
            if date > newest:
                newest, last = date, []
            if date == newest:
                last.append(item)
        months = {}
        for month in spool.months():
            go_on()
            months[month] = gallery.replace(month, spool.of(month))
        go_on()
        failed, waiting = _unfinished(tracker, provider)
        told = Told(
            *(provider, "", "", clock(), last[:MOST_ROWS], len(last), 0),
            *(failed[:MOST_ROWS], len(failed), waiting[:MOST_ROWS], len(waiting)),
        )
        return gallery.conclude(told, gallery.regrown(months, came))


def _unfinished(tracker: Tracker, provider: str) -> tuple[list[Note], list[Note]]:
    failed: list[Note] = []
    waiting: list[Note] = []
    for record in tracker.unfinished(provider):
        note = Note(record.media_id, record.filename, _why(record))
        (failed if record.status is Status.FAILED else waiting).append(note)
    return failed, waiting


def gallery_lease(provider: str) -> str:
    """The lease that a run holds while it writes the gallery."""
    return f"{provider}#gallery"


@contextmanager
def _alone(leases: Leases, name: str, owner: str, sleep: Callable[[float], None]) -> Iterator[Callable[[], None]]:
    """Have the gallery for oneself; what is given renews that or raises `TransientError`."""

    def renew() -> None:
        if not leases.acquire(name, owner, _LEASE_SECONDS):
            raise TransientError(
                "Another run has the gallery. What came is in the catalog: cloud-sync report shows it."
            )

    waited = 0.0
    while not leases.acquire(name, owner, _LEASE_SECONDS):
        if waited >= _PATIENCE:
            raise TransientError(_TAKEN)
        sleep(2.0)
        waited += 2.0
    try:
        yield renew
    finally:
        leases.release(name, owner)


@dataclass(slots=True)
class _Publisher:
    summary: Summary
    plan: Plan
    run: Run
    tracker: Tracker
    archive: Archive
    price: Price | None
    remaining: Callable[[], float]
    clock: Callable[[], datetime]
    came: list[Item] = field(default_factory=list)
    came_count: int = 0
    waiting: list[Note] = field(default_factory=list)

    def publish(self, go_on: Callable[[], None]) -> str:
        """Look through the run's media, write their months, then the pages."""
        gallery = Gallery(self.archive, self.plan.provider, self.price)
        ledger = gallery.ledger()
        with Spool.new() as spool:
            media = read_manifest(self.archive, self.plan.manifest_key)
            while batch := list(islice(media, _BATCH)):
                self._require_time()
                records = self.tracker.get(self.plan.provider, [medium.media_id for medium in batch])
                spool.add(self._look_at(batch, records))
            months = dict(ledger.months)
            for month in spool.months():
                self._require_time()
                go_on()
                months[month] = gallery.add(month, spool.of(month))
        go_on()
        return gallery.conclude(self._told(), replace(ledger, months=months))

    def _require_time(self) -> None:
        if self.remaining() < _MARGIN:
            raise TransientError("There was no time left. What came is in the catalog: cloud-sync report shows it.")

    def _look_at(self, batch: list[Medium], records: Mapping[str, Record]) -> Iterator[Item]:
        for medium in batch:
            record = records.get(medium.media_id)
            if record is None:
                continue
            if record.status is Status.COMPLETED and record.run_id == self.run.run_id:
                item = Item.of(medium, record.originals, record.length)
                self.came_count += 1
                if len(self.came) < MOST_ROWS:
                    self.came.append(item)
                yield item
            elif record.status in (Status.PENDING, Status.IN_PROGRESS) and len(self.waiting) < MOST_ROWS:
                self.waiting.append(Note(medium.media_id, medium.filename, _why(record)))

    def _told(self) -> Told:
        summary, failure = self.summary, self.summary.failure
        return Told(
            provider=summary.provider,
            run_id=self.run.run_id,
            status=summary.status,
            at=self.clock(),
            came=self.came,
            came_count=self.came_count,
            bytes_moved=summary.bytes_transferred,
            failed=_notes(summary.failures),
            failed_count=summary.failed,
            waiting=self.waiting,
            waiting_count=summary.pending,
            damaged=_notes(summary.damaged),
            lost=_notes(summary.gone),
            gone=summary.source_gone,
            unseen=summary.unseen,
            duration=summary.duration_seconds,
            cause=f"{failure.cause} {failure.remedy}" if failure else "",
        )


def _why(record: Record) -> str:
    return record.error or next((text for reason, text in _WHY.items() if reason == record.reason), _LATER)


def _notes(media: tuple[FailedMedium, ...]) -> list[Note]:
    return [Note(one.media_id, one.filename, one.error) for one in media[:MOST_ROWS]]
