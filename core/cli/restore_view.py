"""What the command line draws of a backup that is read: restores, listings, one medium, how it stands."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import DownloadColumn, TaskID, TransferSpeedColumn
from rich.table import Table

from core import prices
from core.archive.catalog import Entry
from core.archive.retrieval import Held, State
from core.cli.bars import Display
from core.cli.terminal import say
from core.model import Json, Record, Stored, counted, format_time, printable
from core.restore import (
    LastRun,
    Outcome,
    Quote,
    Report,
    Result,
    Situation,
    Standing,
    Watcher,
    camera_of,
    duration,
    moment_of,
)

if TYPE_CHECKING:
    from core.executions import Execution

_TOLD = 20


class Progress(Display, Watcher):
    """One bar for the restore, one for each file on its way; without a terminal a line for each file."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        super().__init__(console, DownloadColumn(), TransferSpeedColumn(), quiet=quiet)
        self._lock = threading.Lock()
        self._files: dict[str, TaskID] = {}

    def requested(self, count: int) -> None:
        """Say how many."""
        self._say(f"S3 was asked to restore {counted(count, 'object')}")

    def started(self, stored: Stored, arrived: int) -> None:
        """Add the file's bar."""
        with self._lock:
            self._files[stored.key] = self._add(f"  {_name(stored)}", stored.length, arrived)

    def advanced(self, stored: Stored, count: int) -> None:
        """Move the file's bar."""
        self._bars.advance(self._files[stored.key], count)

    def finished(self, result: Result) -> None:
        """Say what became of it and take its bar away."""
        with self._lock:
            if (task := self._files.pop(result.stored.key, None)) is not None:
                self._bars.remove_task(task)
        if result.outcome is Outcome.RESTORED:
            self._say(f"{_name(result.stored)}: {result.stored.length:,} bytes, verified")
        else:
            self._say(_trouble(result))

    def waiting(self, count: int, seconds: float) -> None:
        """Say for how many, and until when."""
        self._bars.stop()
        self._say(f"S3 is restoring {counted(count, 'object')}; the next look is in {seconds / 60:g} minutes")


def print_situation(console: Console, situation: Situation, price: Quote | None, place: str, into: Path) -> None:
    """What a restore would do, and what that costs."""
    table = Table(title=f"From {escape(place)} into {escape(str(into))}", title_justify="left")
    table.add_column("")
    table.add_column("objects", justify="right")
    table.add_column("bytes", justify="right")
    for name, of in situation.groups().items():
        if of or name == "ready":
            table.add_row(_GROUPS[name], f"{len(of):,}", f"{sum(one.length for one in of):,}")
    console.print(table)
    for one in [one for one in situation.settled if one.outcome is not Outcome.ALREADY_HERE][:_TOLD]:
        console.print(_trouble(one), markup=False, highlight=False, soft_wrap=True)
    if price and situation.coming:
        _print_price(console, price)


_GROUPS = {
    "already_here": "already here, verified",
    "ready": "to be brought now",
    "requested": "being restored by S3",
    "archived": "to be requested from S3",
    "missing": "not in the archive",
    "damaged": "came damaged before",
    "in_the_way": "another file in the way",
    "failed": "cannot be looked at",
}


def _print_price(console: Console, price: Quote) -> None:
    lines = []
    if price.objects:
        classes = ", ".join(f"{number:,} of {name}" for name, number in sorted(price.objects.items()))
        lines += [
            f"{price.tier} restore ({classes}): ready within {duration(price.hours)}, kept for {price.days} days",
            f"  ${price.requests:,.2f} requests, ${price.retrieval:,.2f} retrieval, ${price.copies:,.2f} copies",
        ]
    free = prices.EGRESS_FREE_GB
    lines += [
        f"Download to this machine: at most ${price.egress:,.2f} (nothing within AWS; {free} GB a month are free)",
        f"Together at most ${price.total:,.2f} (list prices of {prices.REGION}, {prices.AS_OF:%Y-%m-%d})",
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def print_report(console: Console, report: Report, into: Path) -> None:
    """What a restore came to."""
    table = Table(title=f"Restored into {escape(str(into))}", title_justify="left", show_header=False)
    for outcome in Outcome:
        if number := report.counts[outcome.value]:
            table.add_row(_OUTCOMES[outcome], counted(number, "object"), counted(report.length(outcome), "byte"))
    console.print(table)
    for one in report.troubles[:_TOLD]:
        console.print(_trouble(one), markup=False, highlight=False, soft_wrap=True)
    if len(report.troubles) > _TOLD:
        console.print(f"… and {len(report.troubles) - _TOLD:,} more; --json lists them all.")
    if report.counts["waiting"]:
        console.print("S3 is still restoring. The same command later, or with --wait, brings what is missing.")


_OUTCOMES = {
    Outcome.RESTORED: "restored, verified",
    Outcome.ALREADY_HERE: "were here already",
    Outcome.WAITING: "being restored by S3",
    Outcome.MISSING: "not in the archive",
    Outcome.DAMAGED: "damaged",
    Outcome.IN_THE_WAY: "another file in the way",
    Outcome.FAILED: "failed",
}


def entry_json(entry: Entry) -> dict[str, Json]:
    """A medium as `ls --json` lists it."""
    medium = entry.medium
    return {
        "media_id": medium.media_id,
        "filename": medium.filename,
        "captured_at": format_time(moment_of(medium)),
        "kind": medium.kind,
        "camera": camera_of(medium),
        "originals": len(entry.originals),
        "bytes": entry.length,
        "keys": [one.stored.key for one in entry.originals],
    }


def print_entries(stream: TextIO, entries: Sequence[Entry]) -> None:
    """One line a medium: written plainly, since a table of many thousands takes long to draw."""
    heads = ("captured (UTC)", "id", "name", "kind", "camera", "originals", "bytes")
    rows = [heads, *map(_row, entries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    for row in rows:
        texts = (text.ljust(width) for text, width in zip(row[:5], widths, strict=False))
        numbers = (text.rjust(width) for text, width in zip(row[5:], widths[5:], strict=True))
        stream.write("  ".join((*texts, *numbers)) + "\n")
    total = sum(one.length for one in entries)
    originals = counted(sum(len(one.originals) for one in entries), "original")
    stream.write(f"{counted(len(entries), 'medium', 'media')}, {originals}, {counted(total, 'byte')}\n")


def _row(entry: Entry) -> tuple[str, ...]:
    medium = entry.medium
    moment = moment_of(medium)
    texts = (medium.media_id, medium.filename, medium.kind, camera_of(medium))
    captured = f"{moment:%Y-%m-%d %H:%M}" if moment else "unknown"
    return captured, *map(printable, texts), f"{len(entry.originals):,}", f"{entry.length:,}"


def shown_json(entry: Entry, held: Sequence[Held], record: Record | None) -> dict[str, Json]:
    """A medium as `show --json` tells it."""
    originals = [
        one.stored.to_json()
        | {
            "item_number": one.item_number,
            "role": one.role,
            "camera_position": one.camera_position,
            "state": how.state.value,
            "trouble": how.trouble,
            "length_there": how.length,
            "storage_class": how.storage_class,
            "restored_until": format_time(how.expires_at),
        }
        for one, how in zip(entry.originals, held, strict=True)
    ]
    return entry.medium.to_json() | {
        "archived_at": format_time(entry.archived_at),
        "missing": entry.missing,
        "status": record.status.value if record else None,
        "originals": originals,
    }


def print_medium(
    console: Console, entry: Entry, held: Sequence[Held], record: Record | None, places: Sequence[str]
) -> None:
    """All that is known of one medium."""
    medium = entry.medium
    table = Table(title=escape(printable(medium.filename or medium.media_id)), title_justify="left", show_header=False)
    rows: dict[str, object] = {
        "id": medium.media_id,
        "kind": medium.kind,
        "captured": format_time(medium.captured_at) or "unknown",
        "camera": camera_of(medium),
        "archived": format_time(entry.archived_at) or "unknown",
        "status": record.status.value if record else "not in the tracker",
        "not offered yet": entry.missing,
    }
    told = ("resolution", "width", "height", "source_duration", "firmware_version", "content_title")
    rows |= {name.replace("_", " "): medium.facts.get(name) for name in told}
    for name, value in rows.items():
        if value not in (None, ""):
            table.add_row(name, escape(printable(str(value))))
    console.print(table)
    for one, how, place in zip(entry.originals, held, places, strict=True):
        until = f", readable until {format_time(how.expires_at)}" if how.expires_at else ""
        storage_class = f" in {how.storage_class}" if how.storage_class else ""
        other = "" if how.length in (None, one.stored.length) else f", DAMAGED: it has {how.length:,} bytes"
        checksum = one.stored.store_checksum or f"SHA-256 {one.stored.sha256}"
        lines = [
            place,
            f"  {one.stored.length:,} bytes, {how.trouble or _STATES[how.state]}{storage_class}{until}{other}",
            f"  {checksum}" + (f", parts of {one.stored.part_size:,} bytes" if one.stored.part_size else ""),
        ]
        if one.stored.damage:
            lines.append(f"  damaged at its source: {one.stored.damage}")
        for line in lines:
            console.print(printable(line), markup=False, highlight=False, soft_wrap=True)


_STATES = {
    State.READY: "can be read now",
    State.ARCHIVED: "archived: has to be restored first",
    State.REQUESTED: "being restored by S3",
    State.MISSING: "NOT THERE",
}


def print_standing(console: Console, standing: Standing, newest: Execution | None, place: str) -> None:
    """How a backup stands; `newest` is the run of a stack that began last, whatever it came to."""
    table = Table(title=escape(place), title_justify="left", show_header=False)
    table.add_row("archived", f"{counted(standing.originals, 'original')}, {counted(standing.length, 'byte')}")
    for name, number in standing.media.items():
        if number:
            table.add_row(name, counted(number, "medium", "media"))
    table.add_row("last report", escape(printable(_reported(standing.last_run))))
    if newest:
        table.add_row("last run", escape(printable(_ran(newest))))
    console.print(table)
    if newest and newest.cause:
        _line(console, f"the last run failed: {newest.cause}")
    for one in standing.failed[:_TOLD]:
        _line(console, f"failed: {one.filename or one.media_id} ({one.media_id}): {one.error}")
    for one in standing.waiting[:_TOLD]:
        why = one.error or one.reason.replace("_", " ") or "begun; the next run goes on"
        _line(console, f"waiting: {one.filename or one.media_id} ({one.media_id}): {why}")
    for one in standing.gone[:_TOLD]:
        _line(console, f"can no longer be had: {one.filename or one.media_id} ({one.media_id}): {one.reason}")
    hidden = sum(max(0, len(some) - _TOLD) for some in (standing.failed, standing.waiting, standing.gone))
    if hidden:
        console.print(f"… and {hidden:,} more; --json lists them all.")
    if standing.is_lost:
        _line(console, "The tracker knows nothing of what is archived. Rebuild it: cloud-sync reindex")


def _reported(run: LastRun | None) -> str:
    if run is None:
        return "none yet"
    if run.report is None:
        return f"{run.key} cannot be read, {format_time(run.ended_at)}"
    return f"{run.report.get('run_id')}: {run.report.get('status')}, {format_time(run.ended_at)}"


def _ran(run: Execution) -> str:
    moment = format_time(run.ended_at) or f"since {format_time(run.started_at)}"
    return f"{run.name}: {run.output.get('status') or run.error or run.status}, {moment}"


def say_unreadable(unreadable: Mapping[str, str]) -> None:
    """Name the documents of the catalog that are left out, why, and what to do."""
    say_some([f"{place} is left out: {why}" for place, why in unreadable.items()])


def say_some(lines: Sequence[str], remedy: str = "") -> None:
    """Say the first lines, how many more there are, and what to do about them."""
    for line in lines[:_TOLD]:
        say(printable(line))
    if len(lines) > _TOLD:
        say(f"… and {len(lines) - _TOLD:,} more.")
    if lines and remedy:
        say(remedy)


def _line(console: Console, text: str) -> None:
    console.print(printable(text), markup=False, highlight=False, soft_wrap=True)


def _trouble(result: Result) -> str:
    return printable(f"{_OUTCOMES[result.outcome]}: {result.stored.key}: {result.text}")


def _name(stored: Stored) -> str:
    return printable(stored.key.rpartition("/")[2])
