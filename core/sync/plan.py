"""The step that finds out what is there and what is new, and writes the new as a manifest (one JSON line a medium)."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO

from core.archive.base import Archive
from core.archive.keys import manifest_key
from core.errors import InvalidInput
from core.model import Json, Medium, Reason, Record, Status, utc_now
from core.providers.base import ListingReport, Provider
from core.sync.request import Run, SyncRequest
from core.tracker.base import SyncTracker

_BATCH = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run has to do. Counts are media; `length_hint` is bytes as the provider tells them, a hint.

    `discovered` is what the library holds, `new` what the manifest lists, `pending` what is still being uploaded there,
    `unseen` how many media the provider counts but did not list or that could not be read.
    """

    provider: str
    discovered: int
    new: int
    pending: int
    gone: int
    length_hint: int
    without_length: int
    unseen: int
    novelties: tuple[str, ...]
    manifest_key: str

    def to_json(self) -> dict[str, Json]:
        """The plan as it travels to the summary."""
        return asdict(self) | {"novelties": list(self.novelties)}

    @classmethod
    def from_json(cls, document: Json) -> Plan:
        """The plan of a step's input."""
        fields = {name: document[name] for name in cls.__dataclass_fields__}
        return cls(**fields | {"novelties": tuple(document["novelties"])})


def is_due(medium: Medium, record: Record | None, request: SyncRequest) -> bool:
    """Whether a medium is to be transferred: wanted, wholly in the cloud, and not known to be in the archive."""
    done = record is not None and record.status is Status.COMPLETED
    return request.wants(medium.media_id) and not medium.arriving and not done


class _Tally:
    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.new = self.pending = self.length_hint = self.without_length = 0
        #: Media that had no original at the last look: where the number is bounded, they come when there is room left.
        self.deferred: list[Medium] = []

    def add_new(self, medium: Medium) -> None:
        self.new += 1
        self.length_hint += medium.length_hint or 0
        self.without_length += medium.length_hint is None


def make_plan(
    request: SyncRequest,
    run: Run,
    provider: Provider,
    tracker: SyncTracker,
    archive: Archive,
    clock: Callable[[], datetime] = utc_now,
) -> Plan:
    """List the library, compare it with the tracker and store the manifest of what is new.

    A dry run stores nothing. Memory holds the ids of the library and no more.
    """
    report = ListingReport()
    tally = _Tally()
    gone = 0
    key = manifest_key(run.run_id)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "manifest.jsonl")
        with path.open("w", encoding="utf-8") as manifest:
            listed = provider.list_media(report)
            while media := list(islice(listed, _BATCH)):
                _plan_batch(media, request, run, tracker, manifest, tally, clock)
            _write(_bounded(tally.deferred, request, tally), manifest, tally)
        if not request.dry_run:
            gone = _mark_gone(provider.name, report, tally.seen, run, tracker, clock)
            archive.put_document(key, path)
    return Plan(
        provider=provider.name,
        discovered=len(tally.seen),
        new=tally.new,
        pending=tally.pending,
        gone=gone,
        length_hint=tally.length_hint,
        without_length=tally.without_length,
        unseen=_unseen(report),
        novelties=tuple(sorted(report.novelties)[:20]),
        manifest_key=key,
    )


def _plan_batch(
    media: Sequence[Medium],
    request: SyncRequest,
    run: Run,
    tracker: SyncTracker,
    manifest: IO[str],
    tally: _Tally,
    clock: Callable[[], datetime],
) -> None:
    records = tracker.get(media[0].provider, [medium.media_id for medium in media])
    tally.seen.update(medium.media_id for medium in media)
    arriving = [medium for medium in media if medium.arriving]
    tally.pending += len(arriving)
    due = [medium for medium in media if is_due(medium, records.get(medium.media_id), request)]
    if request.max_items is not None:
        waiting = [one for one in due if (known := records.get(one.media_id)) and known.reason == Reason.NOT_READY]
        tally.deferred += waiting[: request.max_items]
        due = [medium for medium in due if medium not in waiting]
    _write(_bounded(due, request, tally), manifest, tally)
    if not request.dry_run:
        unknown = [medium for medium in media if medium.media_id not in records]
        tracker.add(_pending(medium, run, clock()) for medium in unknown)


def _bounded(media: Sequence[Medium], request: SyncRequest, tally: _Tally) -> Sequence[Medium]:
    return media if request.max_items is None else media[: max(0, request.max_items - tally.new)]


def _write(media: Iterable[Medium], manifest: IO[str], tally: _Tally) -> None:
    for medium in media:
        tally.add_new(medium)
        manifest.write(json.dumps(medium.to_json(), separators=(",", ":")) + "\n")


def _pending(medium: Medium, run: Run, now: datetime) -> Record:
    return Record(
        provider=medium.provider,
        media_id=medium.media_id,
        status=Status.PENDING,
        run_id=run.run_id,
        updated_at=now,
        filename=medium.filename,
        reason=Reason.NOT_READY if medium.arriving else Reason.PLANNED,
    )


def _mark_gone(
    provider: str,
    report: ListingReport,
    seen: set[str],
    run: Run,
    tracker: SyncTracker,
    clock: Callable[[], datetime],
) -> int:
    """Media that were never completed and that a proved listing no longer holds have gone at the source."""
    if not report.proved:
        return 0
    lost = [record for record in tracker.unfinished(provider) if record.media_id not in seen]
    for record in lost:
        tracker.save(
            replace(
                record,
                status=Status.SOURCE_GONE,
                run_id=run.run_id,
                updated_at=clock(),
                reason="no longer listed",
            )
        )
    return len(lost)


def _unseen(report: ListingReport) -> int:
    missing = 0 if report.expected is None else max(0, report.expected - report.found - report.unreadable)
    return max(missing + report.unreadable, 0 if report.proved else 1)


def read_manifest(archive: Archive, key: str) -> Iterator[Medium]:
    """The media of a stored manifest."""
    return parse_manifest(archive.read_document(key))


def parse_manifest(lines: Iterable[bytes | str]) -> Iterator[Medium]:
    """The media of manifest lines."""
    return (Medium.from_json(_parsed(line)) for line in lines if line.strip())


def _parsed(line: bytes | str) -> Json:
    try:
        return json.loads(line)
    except ValueError:
        raise InvalidInput("A line of the manifest is not JSON. Plan the sync again.") from None
