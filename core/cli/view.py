"""What the command line draws: progress bars while a sync runs, and the tables at its end."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import DownloadColumn, MofNCompleteColumn, TaskID, TransferSpeedColumn
from rich.table import Table

from core.cli.bars import Display
from core.model import Medium, counted, printable
from core.sync.local import Observer
from core.sync.outcomes import NotReady, TransferOutcome, Transferred
from core.sync.plan import Plan
from core.sync.summarize import Summary
from core.verify import Finding, Report
from core.verify.notify import tell

if TYPE_CHECKING:
    from core.executions import Media

#: Where there is no terminal, lines that count media are so many seconds apart.
_SECONDS_BETWEEN_LINES = 30


class PlanKeeper(Observer):
    """Keeps the plan that a dry run made."""

    plan: Plan

    def planned(self, plan: Plan) -> None:
        """Keep it."""
        self.plan = plan


class Progress(Display, Observer):
    """One bar for the run, one for each medium on its way; without a terminal a line for each medium."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        super().__init__(console, DownloadColumn(), TransferSpeedColumn(), quiet=quiet)
        self._lock = threading.Lock()
        self._media: dict[str, TaskID] = {}
        self._whole: TaskID | None = None
        self._done = 0
        self._new = 0

    def planned(self, plan: Plan) -> None:
        """Show what lies ahead; hinted lengths may be wrong, so the total is a guide."""
        self._new = plan.new
        self._say(
            f"{plan.discovered} media in the library, {plan.new} to transfer, {plan.pending} still being uploaded there"
        )
        self._whole = self._add(f"0/{plan.new} media", plan.length_hint or None)

    def started(self, medium: Medium) -> None:
        """Add the medium's bar."""
        with self._lock:
            self._media[medium.media_id] = self._add(f"  {_name(medium)}", medium.length_hint)

    def advanced(self, medium: Medium, count: int) -> None:
        """Move the medium's bar and the run's."""
        self._bars.advance(self._media[medium.media_id], count)
        if self._whole is not None:
            self._bars.advance(self._whole, count)

    def waiting(self, error: BaseException, seconds: float) -> None:
        """Say why the run waits."""
        self._say(f"{error} Next attempt in {seconds:.0f} s.")

    def retrying(self, medium: Medium, error: BaseException, seconds: float) -> None:
        """Say why it waits."""
        self._say(f"{_name(medium)}: {error} Next attempt in {seconds:.0f} s.")

    def finished(self, medium: Medium, outcome: TransferOutcome | Exception) -> None:
        """Say what became of the medium and take its bar away."""
        with self._lock:
            self._bars.remove_task(self._media.pop(medium.media_id))
            self._done += 1
            if self._whole is not None:
                self._bars.update(self._whole, description=f"{self._done}/{self._new} media")
        match outcome:
            case Transferred():
                what = f"{counted(outcome.originals, 'original')}, {counted(outcome.length, 'byte')}"
                self._say(f"{_name(medium)}: {what}, verified")
                if outcome.damage:
                    self._say(f"{_name(medium)}: damaged before it came here: {outcome.damage}")
            case NotReady():
                self._say(f"{_name(medium)}: waiting, {outcome.missing}")
            case Exception():
                self._say(f"{_name(medium)}: failed, {outcome}")
            case _:
                self._say(f"{_name(medium)}: {outcome.outcome.replace('_', ' ')}")


class RunProgress(Display):
    """A line for each state of a deployed run, and one bar for its media; without a terminal lines that count them."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        super().__init__(console, MofNCompleteColumn(), quiet=quiet)
        self._states = 0
        self._told = ""
        self._told_at = 0.0
        self._task: TaskID | None = None

    def __call__(self, states: Sequence[str], media: Media | None) -> None:
        """Say what is new since the last look."""
        if media and media.total:
            self._count(media, is_over=states[-1:] != ["DownloadVideos"])
        for state in states[self._states :]:
            self._say(state)
        self._states = len(states)

    def _count(self, media: Media, *, is_over: bool) -> None:
        told = f"  {media.ended} of {media.total} media dealt with, {media.running} on their way"
        if self._bars.console.is_terminal:
            self._task = self._add("media", media.total) if self._task is None else self._task
            self._bars.update(self._task, completed=media.ended, total=media.total, description=told.strip())
        elif told != self._told and (is_over or monotonic() - self._told_at >= _SECONDS_BETWEEN_LINES):
            self._told, self._told_at = told, monotonic()
            self._say(told)


class Counter(Display):
    """One bar that counts media; nothing without a terminal."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        super().__init__(console, MofNCompleteColumn(), quiet=quiet)
        self._task = self._add("media", None)

    def __call__(self, done: int, of: int) -> None:
        """Say how many are done, and of how many."""
        self._bars.update(self._task, completed=done, total=of)


def print_plan(console: Console, plan: Plan, to: Path) -> None:
    """What a sync would do."""
    table = Table(title=f"A sync of {plan.provider} into {escape(str(to))} would bring", title_justify="left")
    table.add_column("")
    table.add_column("media", justify="right")
    table.add_column("bytes, as the provider tells", justify="right")
    unknown = f" and {plan.without_length} of unknown length" if plan.without_length else ""
    table.add_row("to transfer", str(plan.new), f"{plan.length_hint:,}{unknown}")
    table.add_row("still being uploaded to the cloud", str(plan.pending), "")
    table.add_row("in the library", str(plan.discovered), "")
    if not plan.full_scan:
        table.add_row("looked at, newest first, down to known ground", str(plan.listed), "")
    console.print(table)
    _warn(console, plan.unseen, plan.novelties)


def print_summary(console: Console, summary: Summary, to: Path | str) -> None:
    """What a sync came to."""
    table = Table(title=f"Run {summary.run_id}: {summary.status}", title_justify="left", show_header=False)
    rows = [
        ("in the library", counted(summary.discovered, "medium", "media")),
        ("new", counted(summary.new, "medium", "media")),
        (
            "completed",
            counted(summary.completed, "medium", "media") + (", every byte verified" if summary.completed else ""),
        ),
        ("failed", counted(summary.failed, "medium", "media")),
        ("waiting", counted(summary.pending, "medium", "media")),
        *([("gone", counted(summary.source_gone, "medium", "media"))] if summary.source_gone else []),
        ("transferred", f"{summary.bytes_transferred:,} bytes in {summary.duration_seconds:,.1f} s"),
        ("archive", str(to)),
    ]
    if summary.page or summary.page_trouble:
        rows.append(("page", f"{to}/{summary.page}" if summary.page else f"not written: {summary.page_trouble}"))
    for name, value in rows:
        table.add_row(name, escape(value))
    console.print(table)
    for one in summary.failures[:20]:
        told = f"failed: {one.filename or one.media_id} ({one.media_id}): {one.error}"
        console.print(printable(told), markup=False, soft_wrap=True)
    for one in summary.damaged[:20]:
        told = f"archived, but damaged at its source: {one.filename or one.media_id} ({one.media_id}): {one.error}"
        console.print(printable(told), markup=False, soft_wrap=True)
    for one in summary.gone[:20]:
        told = f"not archived, no longer to be had: {one.filename or one.media_id} ({one.media_id}): {one.error}"
        console.print(printable(told), markup=False, soft_wrap=True)
    print_failure(console, summary)
    _warn(console, summary.unseen, summary.novelties)


def print_findings(console: Console, report: Report, findings: Sequence[Finding], place: str) -> None:
    """What a verification came to."""
    table = Table(title=f"{escape(place)}: {report.status}", title_justify="left", show_header=False)
    rows = {"media": report.media, "originals": report.originals, "bytes": report.length, "findings": report.findings}
    rows |= {f"  {kind.replace('_', ' ')}": count for kind, count in sorted(report.found.items())}
    rows |= {f"{done} by --repair": count for done, count in sorted(report.repaired.items())}
    for name, count in rows.items():
        table.add_row(name, f"{count:,}")
    console.print(table)
    _list(console, findings)
    if report.findings and not report.repaired:
        console.print("--repair queues what is missing or damaged for the next sync, and mends catalog and tracker.")


def print_reindexed(console: Console, report: Report, left: Sequence[Finding]) -> None:
    """What a tracker was rebuilt from."""
    recorded = report.repaired.get("tracked", 0)
    console.print(f"{report.media:,} media that the tracker did not know: {recorded:,} are recorded again.")
    _list(console, left)


def _list(console: Console, findings: Sequence[Finding]) -> None:
    for one in findings[:20]:
        console.print(tell(one), markup=False, highlight=False, soft_wrap=True)
    if len(findings) > 20:
        console.print(f"… and {len(findings) - 20:,} more; --json lists them all.")


def print_failure(console: Console, summary: Summary) -> None:
    """Why the run as a whole failed, if it did, and what to do."""
    if summary.failure:
        console.print(f"{summary.failure.cause} {summary.failure.remedy}", markup=False, soft_wrap=True)


def _warn(console: Console, unseen: int, novelties: tuple[str, ...]) -> None:
    if unseen:
        console.print(
            f"Not proved whole: {unseen} media that the provider counts were not listed or could not be read."
        )
    if novelties:
        console.print(f"New in the provider's answers: {'; '.join(novelties)}", markup=False, soft_wrap=True)


def _name(medium: Medium) -> str:
    return printable(medium.filename or medium.media_id)
