"""How a backup stands, from the tracker and the last run's report."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from core.archive.base import Archive
from core.archive.keys import catalog_prefix
from core.archive.retrieval import Retrieval
from core.errors import CloudSyncError
from core.model import Json, Record, Status, format_time
from core.tracker.base import SyncTracker


@dataclass(frozen=True, slots=True)
class LastRun:
    """The newest report of a run, at `key`; `report` is None if it cannot be read."""

    key: str
    ended_at: datetime
    report: dict[str, Json] | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Media by status, originals and bytes in the archive, what failed, waits or can no longer be had, the last run.

    `is_lost` says that the tracker knows of no medium, though some are in the catalog.
    """

    provider: str
    media: dict[str, int]
    originals: int
    length: int
    failed: tuple[Record, ...]
    waiting: tuple[Record, ...]
    gone: tuple[Record, ...]
    last_run: LastRun | None
    is_lost: bool

    def to_json(self) -> dict[str, Json]:
        """For scripts."""
        return {
            "provider": self.provider,
            "media": self.media,
            "originals": self.originals,
            "bytes": self.length,
            "failed": [_told(one) for one in self.failed],
            "waiting": [_told(one) for one in self.waiting],
            "gone": [_told(one) for one in self.gone],
            "tracker_lost": self.is_lost,
            "last_run": self.last_run
            and {
                "key": self.last_run.key,
                "ended_at": format_time(self.last_run.ended_at),
                "report": self.last_run.report,
            },
        }


def tracker_is_lost(tracker: SyncTracker, archive: Archive, provider: str) -> bool:
    """Whether the tracker knows of no medium, though some are in the catalog."""
    if any(True for _ in tracker.records(provider)):
        return False
    return any(True for _ in archive.document_keys(catalog_prefix(provider)))


def standing(tracker: SyncTracker, archive: Archive, retrieval: Retrieval, provider: str) -> Standing:
    """How the backup of one provider stands now."""
    counts = Counter({status.value: 0 for status in Status})
    originals = length = 0
    failed: list[Record] = []
    waiting: list[Record] = []
    gone: list[Record] = []
    for record in tracker.records(provider):
        counts[record.status.value] += 1
        originals += record.originals
        length += record.length
        if record.status is Status.FAILED:
            failed.append(record)
        elif record.status is Status.SOURCE_GONE:
            gone.append(record)
        elif not record.status.is_final:
            waiting.append(record)
    is_lost = not counts.total() and tracker_is_lost(tracker, archive, provider)
    last_run = _last_run(archive, retrieval)
    return Standing(
        provider, dict(counts), originals, length, tuple(failed), tuple(waiting), tuple(gone), last_run, is_lost
    )


def _last_run(archive: Archive, retrieval: Retrieval) -> LastRun | None:
    reports = (one for one in retrieval.documents("runs/") if one.key.endswith("/report.json"))
    newest = max(reports, key=lambda one: one.modified_at, default=None)
    if newest is None:
        return None
    report: Json = None
    with suppress(CloudSyncError, OSError, ValueError, RecursionError):
        report = json.loads(b"".join(archive.read_document(newest.key)))
    return LastRun(newest.key, newest.modified_at, report if isinstance(report, dict) else None)


def _told(record: Record) -> dict[str, Json]:
    return {
        "media_id": record.media_id,
        "filename": record.filename,
        "status": record.status.value,
        "reason": record.reason,
        "error_type": record.error_type,
        "error": record.error,
        "updated_at": format_time(record.updated_at),
    }
