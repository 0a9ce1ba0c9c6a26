"""The step that finds out what is there and what is new, and writes the new as a manifest (one JSON line a medium)."""

from __future__ import annotations

import json
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import IO

from core.archive.base import Archive
from core.archive.keys import manifest_key
from core.errors import InvalidInput
from core.model import Json, Medium, Reason, Record, Status, printable, utc_now
from core.providers.base import ListingReport, Provider
from core.sync.request import Run, SyncRequest
from core.sync.scan import AWAITED_FOR, LastScan, ShortWalk
from core.sync.transfer import LEASE_SECONDS, medium_lease
from core.tracker.base import Tracker
from core.transfer.checkpoint import end_uploads

_BATCH = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run has to do. Counts are media; `length_hint` is bytes as the provider tells them, a hint.

    `full_scan` says that the whole library was listed, `listed` how many media were. `discovered` is what the library
    holds, as listed or as the provider counts, `new` what the manifest lists, `pending` what was met and is still being
    uploaded there, `unseen` how many media the provider counts but did not list or that could not be read.
    """

    provider: str
    full_scan: bool
    discovered: int
    listed: int
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


def is_due(medium: Medium, record: Record | None, request: SyncRequest, promised: int = 0) -> bool:
    """Whether a medium is to be transferred: wanted, wholly in the cloud, and not known to be in the archive.

    `promised` are the originals that it has at least.
    """
    return request.wants(medium.media_id) and not medium.arriving and not _is_archived(record, promised)


def _is_archived(record: Record | None, promised: int) -> bool:
    """Whether everything that the listing counts of a medium is known to be in the archive."""
    return record is not None and record.status is Status.COMPLETED and not _has_grown(record, promised)


def _has_grown(record: Record, promised: int) -> bool:
    """Whether the listing counts more of a medium than when it was archived."""
    return record.status is Status.COMPLETED and (record.items or record.originals) < promised


def _was_tried(record: Record) -> bool:
    return record.status in (Status.FAILED, Status.SOURCE_GONE) or record.reason in (Reason.NOT_READY, Reason.AGAIN)


def make_plan(
    request: SyncRequest,
    run: Run,
    provider: Provider,
    tracker: Tracker,
    archive: Archive,
    clock: Callable[[], datetime] = utc_now,
) -> Plan:
    """List what may be new, compare it with the tracker and store the manifest of what is to be transferred.

    The whole library is listed where that is asked for or due; else the walk ends on known ground, and what is
    unfinished behind it comes from the tracker. A dry run stores nothing. Memory holds ids and no more.
    """
    key = manifest_key(run.run_id)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "manifest.jsonl")
        with path.open("w", encoding="utf-8") as manifest:
            planner = _Planner(request, run, provider, tracker, archive, clock, manifest)
            planner.plan()
        if not request.dry_run:
            archive.put_document(key, path)
            planner.remember()
    return planner.result(key)


class _Planner:
    """The making of one plan."""

    def __init__(
        self,
        request: SyncRequest,
        run: Run,
        provider: Provider,
        tracker: Tracker,
        archive: Archive,
        clock: Callable[[], datetime],
        manifest: IO[str],
    ) -> None:
        self._request = request
        self._run = run
        self._listed_by = provider
        self._provider = provider.name
        self._tracker = tracker
        self._archive = archive
        self._clock = clock
        self._manifest = manifest
        self._report = ListingReport()
        self._scan_name = f"{provider.name}#last-scan"
        self._last = LastScan.from_text(tracker.recall(self._scan_name))
        self._is_full = True
        self._unknown: set[str] = set()
        self._seen: set[str] = set()
        self._new = self._pending = self._gone = self._length_hint = self._without_length = 0
        #: Media that were tried before, and when: where the number is bounded, they come when there is room left, those
        #: first whose turn was longest ago.
        self._deferred: list[tuple[datetime, Medium]] = []

    def plan(self) -> None:
        """Walk, then see to what is unfinished and was not met, then to what was deferred.

        Raises `InvalidInput` if a medium is asked for that neither the library nor the tracker has, or that has gone.
        """
        unfinished, walk = self._prepare()
        records = self._look_at(self._listed_by.list_media(self._report), walk)
        if self._request.dry_run:
            deque(records, maxlen=0)
        else:
            self._tracker.add(records)
        strangers = sorted(self._unknown - self._seen)
        if strangers and self._report.proved:
            raise InvalidInput(f"The library has no medium {printable(', '.join(strangers)[:200])}. Look at the id.")
        self._see_to(sorted(unfinished - self._seen))
        self._write(self._bounded([medium for _, medium in self._deferred]))

    def _prepare(self) -> tuple[set[str], ShortWalk | None]:
        """The ids of what is unfinished, and the short walk if there may be one."""
        now = self._clock()
        unfinished: set[str] = set()
        awaited: set[str] = set()
        is_told = True
        for record in self._tracker.unfinished(self._provider):
            unfinished.add(record.media_id)
            is_told = is_told and record.medium is not None
            if record.medium and record.medium.arriving and now - record.updated_at < AWAITED_FOR:
                awaited.add(record.media_id)
        asked = self._request.media_ids or ()
        known = self._tracker.get(self._provider, asked)
        self._unknown = {one for one in asked if one not in known or known[one].status is Status.SOURCE_GONE}
        if self._request.full_scan or not (is_told and not self._unknown and self._last and self._last.is_recent(now)):
            return unfinished, None
        return unfinished, ShortWalk(self._last, awaited)

    def _look_at(self, listed: Iterator[Medium], walk: ShortWalk | None) -> Iterator[Record]:
        """Plan what is listed, as far as needed; the records of what is not known yet are yielded."""
        while media := list(islice(listed, _BATCH)):
            records = self._tracker.get(self._provider, [medium.media_id for medium in media])
            self._seen.update(medium.media_id for medium in media)
            self._plan_batch(media, records)
            for medium in media:
                record = records.get(medium.media_id)
                if record is None:
                    yield self._planned(medium)
                else:
                    self._refresh(record, medium)
                if walk:
                    walk.pass_by(medium, is_known=record is not None)
            if walk and walk.may_end(self._report):
                self._is_full = False
                return

    def _plan_batch(self, media: Sequence[Medium], records: Mapping[str, Record]) -> None:
        self._pending += sum(
            one.arriving and not _is_archived(records.get(one.media_id), self._promised(one)) for one in media
        )
        due = [one for one in media if is_due(one, records.get(one.media_id), self._request, self._promised(one))]
        if self._request.max_items is not None:
            tried = {key: one.updated_at for key, one in records.items() if _was_tried(one)}
            self._deferred += [(tried[medium.media_id], medium) for medium in due if medium.media_id in tried]
            self._deferred = sorted(self._deferred, key=itemgetter(0))[: self._request.max_items]
            due = [medium for medium in due if medium.media_id not in tried]
        self._write(self._bounded(due))

    def _promised(self, medium: Medium) -> int:
        return self._listed_by.promised(medium)

    def _planned(self, medium: Medium, reason: str = Reason.PLANNED) -> Record:
        return Record(
            provider=medium.provider,
            media_id=medium.media_id,
            status=Status.PENDING,
            run_id=self._run.run_id,
            updated_at=self._clock(),
            filename=medium.filename,
            reason=Reason.NOT_READY if medium.arriving else reason,
            medium=medium,
        )

    def _refresh(self, record: Record, medium: Medium) -> None:
        """Keep what the provider says now of a medium that is still to come, also of one that had gone or has grown.

        What another run has written meanwhile stays.
        """
        if self._request.dry_run:
            return
        if record.status is Status.SOURCE_GONE or _has_grown(record, self._promised(medium)):
            self._tracker.reopen(self._planned(medium, Reason.AGAIN), record)
        elif not record.status.is_final and record.medium != medium:
            self._tracker.reopen(replace(record, medium=medium), record)

    def _see_to(self, unmet: Sequence[str]) -> None:
        """What is unfinished and was not met has gone if the whole library was, and else is planned as last listed."""
        has_gone = self._is_full and self._report.proved
        for start in range(0, len(unmet), _BATCH):
            records = self._tracker.get(self._provider, unmet[start : start + _BATCH])
            left = {key: record for key, record in records.items() if not record.status.is_final}
            if has_gone and self._request.dry_run:
                continue
            if has_gone:
                left = {key: record for key, record in left.items() if not self._has_gone(record)}
            self._plan_batch([record.medium for record in left.values() if record.medium], left)

    def _has_gone(self, record: Record) -> bool:
        """Record that a medium has gone, and end what was begun of it; False if another run is at it and will tell."""
        if record.is_untried:
            self._mark_gone(record)
            return True
        lease = medium_lease(record.provider, record.media_id)
        if not self._tracker.acquire(lease, self._run.run_id, LEASE_SECONDS):
            return False
        try:
            end_uploads(self._archive, self._tracker, record.provider, record.media_id)
            self._mark_gone(record)
        finally:
            self._tracker.release(lease, self._run.run_id)
        return True

    def _mark_gone(self, record: Record) -> None:
        self._gone += 1
        self._tracker.save(
            replace(
                record,
                status=Status.SOURCE_GONE,
                run_id=self._run.run_id,
                updated_at=self._clock(),
                reason="no longer listed",
                medium=None,
            )
        )

    def _bounded(self, media: Sequence[Medium]) -> Sequence[Medium]:
        bound = self._request.max_items
        return media if bound is None else media[: max(0, bound - self._new)]

    def _write(self, media: Iterable[Medium]) -> None:
        for medium in media:
            self._new += 1
            self._length_hint += medium.length_hint or 0
            self._without_length += medium.length_hint is None
            self._manifest.write(json.dumps(medium.to_json(), separators=(",", ":")) + "\n")

    def remember(self) -> None:
        """Keep what this listing proved, for the next plan to build on; a whole listing without proof ends that."""
        count = self._report.expected
        if self._is_full and (count is None or not self._report.proved):
            self._tracker.drop(self._scan_name)
        elif count is not None:
            at = self._clock() if self._is_full or self._last is None else self._last.at
            self._tracker.keep(self._scan_name, LastScan(at, count).to_text())

    def result(self, key: str) -> Plan:
        """The plan."""
        return Plan(
            provider=self._provider,
            full_scan=self._is_full,
            discovered=len(self._seen) if self._is_full else self._report.expected or 0,
            listed=len(self._seen),
            new=self._new,
            pending=self._pending,
            gone=self._gone,
            length_hint=self._length_hint,
            without_length=self._without_length,
            unseen=_unseen(self._report) if self._is_full else 0,
            novelties=tuple(sorted(self._report.novelties)[:20]),
            manifest_key=key,
        )


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
