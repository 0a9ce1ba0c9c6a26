"""The step that says what a run came to, from manifest and tracker: what is not proved done counts as failed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice

from core.archive.base import Archive
from core.archive.keys import report_key
from core.credentials.base import HOW_TO_RENEW
from core.model import Json, Medium, Reason, Record, Status, utc_now
from core.sync.outcomes import Failure
from core.sync.plan import Plan, read_manifest
from core.sync.request import Run
from core.sync.transfer import DAMAGED, mark_failed, medium_lease
from core.tracker.base import Tracker

_BATCH = 100
_FAILURES_TOLD = 20

#: Bytes of JSON that such a list may have: a state of the workflow holds 256 KB, and the lists twice.
_ROOM = 40_000

VANISHED = "TransferVanished"
GONE = "It is listed, but the provider no longer has it. The weekly full scan looks again, and each run that meets it."


@dataclass(frozen=True, slots=True)
class FailedMedium:
    """A medium that did not arrive, with the reason; `error_type` is the class of the error."""

    media_id: str
    filename: str
    error: str
    error_type: str

    def to_json(self) -> dict[str, Json]:
        """The failure as the execution's output lists it."""
        return {"media_id": self.media_id, "filename": self.filename, "error": self.error}


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run came to. Counts are media, `bytes_transferred` what this run itself moved, `unseen` as in `Plan`.

    `damaged` are those of the completed that arrived whole, but were damaged recordings at their source already, `gone`
    those of `source_gone` that were still listed, but could not be had any more.
    `failure` is set where the run as a whole failed: rejected credentials, or more failed media than are tolerated.
    `page` is the key of the page for people, "" if there is none, `page_trouble` why it could not be written.
    """

    status: str
    provider: str
    run_id: str
    discovered: int
    new: int
    completed: int
    failed: int
    pending: int
    source_gone: int
    unseen: int
    bytes_transferred: int
    duration_seconds: float
    failures: tuple[FailedMedium, ...] = ()
    damaged: tuple[FailedMedium, ...] = ()
    gone: tuple[FailedMedium, ...] = ()
    novelties: tuple[str, ...] = ()
    failure: Failure | None = None
    page: str = ""
    page_trouble: str = ""

    @property
    def is_success(self) -> bool:
        """Whether the backup works: the run as a whole did not fail, nor did every medium that it tried."""
        return self.failure is None and (self.completed > 0 or not self.failed)

    def to_json(self) -> dict[str, Json]:
        """The execution's output: at most 20 failures are listed, however many there are, and none that is too long."""
        return {
            "status": self.status,
            "provider": self.provider,
            "run_id": self.run_id,
            "discovered": self.discovered,
            "new": self.new,
            "completed": self.completed,
            "failed": self.failed,
            "pending": self.pending,
            "source_gone": self.source_gone,
            "unseen": self.unseen,
            "bytes_transferred": self.bytes_transferred,
            "duration_seconds": self.duration_seconds,
            "failures": _listed(self.failures),
            "damaged": _listed(self.damaged),
            "gone": _listed(self.gone),
            "novelties": list(self.novelties),
        }

    def to_output(self) -> dict[str, Json]:
        """The same with the key of the page for people; null, and why, if it could not be written."""
        return self.to_json() | (
            {"page": self.page} if self.page else {"page": None, "page_trouble": self.page_trouble}
        )

    @classmethod
    def from_json(cls, output: Mapping[str, Json]) -> Summary:
        """The summary in an execution's output, where classes of errors and the failure of a run do not stand."""
        known = {name: output[name] for name in cls.__dataclass_fields__ if output.get(name) is not None}
        media = {name: tuple(FailedMedium(**one, error_type="") for one in output[name]) for name in _LISTS}
        return cls(**known | media | {"novelties": tuple(output["novelties"])})


_LISTS = ("failures", "damaged", "gone")


def _listed(media: Sequence[FailedMedium]) -> list[Json]:
    listed: list[Json] = []
    room = _ROOM
    for one in media[:_FAILURES_TOLD]:
        room -= len(json.dumps(one.to_json()))
        if room >= 0:
            listed.append(one.to_json())
    return listed


@dataclass(slots=True)
class _Count:
    completed: int = 0
    not_ready: int = 0
    waiting: int = 0
    moved: int = 0
    credentials_died: bool = False
    failures: list[FailedMedium] = field(default_factory=list)
    damaged: list[FailedMedium] = field(default_factory=list)
    gone: list[FailedMedium] = field(default_factory=list)
    untouched: list[Medium] = field(default_factory=list)
    vanished: list[Medium] = field(default_factory=list)


def summarize(
    plan: Plan,
    run: Run,
    tracker: Tracker,
    archive: Archive,
    *,
    tolerance_percent: float = 100.0,
    clock: Callable[[], datetime] = utc_now,
) -> Summary:
    """Reconcile manifest and tracker, mark transfers that vanished as failed, and store the run's report."""
    count = _reconcile(read_manifest(archive, plan.manifest_key), plan.provider, run, tracker)
    for medium in count.vanished:
        if tracker.held(medium_lease(medium.provider, medium.media_id)):
            count.waiting += 1  # another run is at it
        else:
            _fail_vanished(medium, run, tracker, count, clock)
    summary = _judge(plan, run, count, tolerance_percent, clock())
    report = summary.to_json() | {"failures": [one.to_json() for one in summary.failures]}
    archive.put_document(report_key(run.run_id), json.dumps(report, ensure_ascii=False, indent=1).encode())
    return summary


def summarize_plan(plan: Plan, run: Run, now: datetime) -> Summary:
    """The summary of a run that has nothing to transfer, or that was only to plan: then `new` is what would come."""
    summary = _judge(plan, run, _Count(), 100.0, now)
    return replace(summary, status="SUCCEEDED") if plan.new and summary.status == "NO_NEW_VIDEOS" else summary


def _reconcile(media: Iterator[Medium], provider: str, run: Run, tracker: Tracker) -> _Count:
    count = _Count()
    while batch := list(islice(media, _BATCH)):
        records = tracker.get(provider, [medium.media_id for medium in batch])
        for medium in batch:
            _count_one(medium, records, run, count)
    if count.credentials_died:
        # They stop a run before all media were tried: those were not lost, they wait.
        count.waiting += len(count.untouched)
    else:
        count.vanished += count.untouched
    return count


def _count_one(medium: Medium, records: Mapping[str, Record], run: Run, count: _Count) -> None:
    record = records.get(medium.media_id)
    is_of_run = record is not None and record.run_id == run.run_id
    count.moved += record.moved if record and is_of_run else 0
    if record is not None and record.status is Status.COMPLETED:
        count.completed += 1
        if is_of_run and record.error_type == DAMAGED:
            count.damaged.append(FailedMedium(medium.media_id, medium.filename, record.error, record.error_type))
    elif record is None or record.reason in (Reason.PLANNED, Reason.AGAIN) or not _is_news(record, run):
        count.untouched.append(medium)
    elif record.status is Status.FAILED:
        count.failures.append(FailedMedium(medium.media_id, medium.filename, record.error, record.error_type))
    elif record.status is Status.SOURCE_GONE:
        count.gone.append(FailedMedium(medium.media_id, medium.filename, record.reason or GONE, "SourceGone"))
    elif record.reason == Reason.NOT_READY:
        count.not_ready += 1
    elif record.reason == Reason.CREDENTIALS:
        count.waiting += 1
        count.credentials_died = True
    elif record.reason == Reason.CANCELLED:
        count.waiting += 1
    else:
        count.vanished.append(medium)


def _is_news(record: Record, run: Run) -> bool:
    """Whether a record was written since the run began: by the run itself, or by another one at the same time."""
    return record.run_id == run.run_id or record.updated_at >= run.started_at


def _fail_vanished(medium: Medium, run: Run, tracker: Tracker, count: _Count, clock: Callable[[], datetime]) -> None:
    error = "The transfer ended without a word: neither success nor failure was recorded. The next run tries it again."
    if mark_failed(medium, run.run_id, VANISHED, error, tracker, clock):
        count.failures.append(FailedMedium(medium.media_id, medium.filename, error, VANISHED))
    else:
        count.completed += 1


def _judge(plan: Plan, run: Run, count: _Count, tolerance_percent: float, now: datetime) -> Summary:
    failed = len(count.failures)
    summary = Summary(
        status="SUCCEEDED",
        provider=plan.provider,
        run_id=run.run_id,
        discovered=plan.discovered,
        new=plan.new,
        completed=count.completed,
        failed=failed,
        pending=plan.pending + count.not_ready + count.waiting,
        source_gone=plan.gone + len(count.gone),
        unseen=plan.unseen,
        bytes_transferred=count.moved,
        duration_seconds=round((now - run.started_at).total_seconds(), 3),
        failures=tuple(count.failures),
        damaged=tuple(count.damaged),
        gone=tuple(count.gone),
        novelties=plan.novelties,
    )
    if failed or plan.unseen or count.credentials_died:
        summary = replace(summary, status="PARTIAL_FAILURE")
    elif not (count.completed or count.moved or count.waiting or count.gone):
        summary = replace(summary, status="NO_NEW_VIDEOS")
    if count.credentials_died:
        return replace(summary, failure=_credentials_died(summary))
    if plan.new and failed * 100 > tolerance_percent * plan.new:
        return replace(summary, failure=_intolerable(summary, tolerance_percent))
    return summary


def _credentials_died(summary: Summary) -> Failure:
    cause = (
        f"The credentials died during the run: {summary.completed} of {summary.new} media were completed, "
        f"the rest wait for the next run. Nothing was lost."
    )
    return Failure("credentials_rejected", "CredentialsRejected", cause, HOW_TO_RENEW)


def _intolerable(summary: Summary, tolerance_percent: float) -> Failure:
    cause = f"{summary.failed} of {summary.new} media failed, more than the {tolerance_percent:g} % that are tolerated."
    remedy = "Look at the failures listed in the run's report; the next run tries each of them again."
    return Failure("too_many_failures", "FailureToleranceExceeded", cause, remedy)


def failures_by_type(failures: Iterable[FailedMedium]) -> dict[str, int]:
    """How many media failed with each class of error."""
    counts: dict[str, int] = {}
    for one in failures:
        counts[one.error_type] = counts.get(one.error_type, 0) + 1
    return counts
