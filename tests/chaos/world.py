"""The world of one schedule: the emulated cloud, what a backup of it must hold, the processes, and the invariants."""

from __future__ import annotations

import json
import logging
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from core.archive.base import Archive
from core.archive.catalog import Entry
from core.archive.keys import catalog_key
from core.credentials.base import CredentialStore
from core.errors import InvalidInput
from core.model import Record, Status, utc_now
from core.providers import gopro
from core.providers.base import ProviderSettings
from core.sync.request import Run
from core.tracker.base import Tracker
from core.transfer import Engine
from core.verify import Verification, Verifier
from tests.chaos.backends import PART, Backend, Held, sign_in
from tests.chaos.faults import Faults, Interposed, Mortal
from tests.gopro_cloud import CloudMedium, GoProCloud, Quirks
from tests.gopro_cloud.library import chaptered, frames, raw, source, video
from tests.gopro_cloud.media import changed, digest
from tests.gopro_cloud.quirks import Fault
from tests.gopro_cloud.server import Counts

#: What the campaign holds, whatever happens.
INVARIANTS = {
    "I1": "COMPLETED implies that the archive holds every original, equal bytes; no object is anything but an original",
    "I2": "every medium listed is COMPLETED, waiting, FAILED with a reason, or gone: none vanishes",
    "I3": "once faults stop, two runs complete all that can be, and a third moves nothing",
    "I4": "a completed byte is not moved again",
    "I5": "no upload is left open that nothing will go on with",
    "I6": "no secret is in any log, record, document, key, message or exception",
    "I7": "the counts of a summary are the truth",
    "I8": "a good object is never overwritten or deleted",
}

#: Bytes that an attempt may read of a file that is there already: a look whether it is still the same.
_LOOK = 200


class Broken(AssertionError):
    """An invariant does not hold."""

    def __init__(self, invariant: str, what: str) -> None:
        super().__init__(f"{invariant} is broken ({INVARIANTS[invariant]}): {what}")
        self.invariant = invariant


class Ledger:
    """What a campaign did: schedules, faults by kind, checks of each invariant."""

    def __init__(self) -> None:
        self.schedules = 0
        self.steps: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.checks: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()


class _Ear(logging.Handler):
    """Hears what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter())

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def a_medium(number: int) -> CloudMedium:
    """One of the kinds of medium, small; films go in parts."""
    media_id = f"m{number:02}"
    moment = f"2026-03-{number % 28 + 1:02}T10:00:00Z"
    match number % 5:
        case 0:
            return video(media_id, f"GX01{number:04}.MP4", moment, 4 * PART + 321)
        case 1:
            return chaptered(media_id, f"GX01{number:04}.MP4", moment, [2 * PART + 77, PART - 5], tells=number % 2 == 0)
        case 2:
            return frames(media_id, "Burst", f"G00{number:05}.JPG", moment, [3000, 4000 + number, 5000], raws=True)
        case 3:
            shot = source(media_id, 7000 + number, extension="jpg", tells=False)
            files = (shot, raw(media_id, 1, 9000))
            name = f"GOPR{number:04}.JPG"
            return CloudMedium(media_id, "Photo", name, moment, files, item_count=2, file_extension="JPG")
        case _:
            return CloudMedium(media_id, "Video", f"GX01{number:04}.MP4", moment, state="transcoding")


def ready(medium: CloudMedium) -> CloudMedium:
    """A medium that was not ready, once it is."""
    film = video(medium.media_id, medium.filename, medium.captured_at, 2 * PART + 9)
    return replace(film, state="ready")


def grown(medium: CloudMedium) -> CloudMedium:
    """A film in chapters with one more."""
    lengths = [file.body.length for file in reversed(medium.originals)]
    tells = any(file.tells_number for file in medium.originals)
    return chaptered(medium.media_id, medium.filename or "", medium.captured_at, [*lengths, PART + 50], tells=tells)


class Process(Mortal):
    """A process: the core as it holds it, with a clock that may be wrong. What it holds dies with it."""

    def __init__(self, world: World, skew: float = 0.0, threads: int = 1) -> None:
        super().__init__(world.faults)
        self._world = world
        self._skew = timedelta(seconds=skew)
        backend = world.backend
        self.tracker = cast(Tracker, Interposed("tracker", backend.tracker(self.clock), self))
        self.archive = cast(Archive, Interposed("archive", backend.archive(), self))
        credentials = cast(CredentialStore, Interposed("credentials", backend.credentials(), self))
        settings = ProviderSettings(credentials, leases=self.tracker, base_url=world.cloud.url)
        self.provider = gopro.create(settings, sleep=self.sleep)
        self.threads = threads

    def clock(self) -> datetime:
        """What this process takes for now."""
        return self._world.now + self._skew

    def sleep(self, seconds: float) -> None:
        """Pauses take no time, but the clock goes on."""
        self.live()
        self._world.passes(seconds)

    def engine(self) -> Engine:
        """An engine of its own, with little memory and without pauses."""
        return Engine(
            self.archive,
            self.tracker,
            connections=self.threads,
            memory=self.threads * PART,
            draw=lambda: 0.0,
        )


@dataclass(frozen=True)
class Seen:
    """How the world looked at a moment."""

    statuses: Mapping[str, Record] = field(default_factory=dict)
    objects: Mapping[str, Held] = field(default_factory=dict)
    confirmed: Set[str] = frozenset()
    versions: Mapping[str, int] = field(default_factory=dict)
    served: Mapping[str, int] = field(default_factory=dict)
    served_files: Mapping[str, int] = field(default_factory=dict)
    #: Media of which the catalog tells that everything is archived, though their record does not (yet).
    catalogued: Set[str] = frozenset()

    def is_completed(self, media_id: str) -> bool:
        """Whether the tracker says that a medium is archived."""
        record = self.statuses.get(media_id)
        return record is not None and record.status is Status.COMPLETED

    def count(self, media_id: str) -> int:
        """How many objects there are of a medium."""
        return sum(key.split("/")[3] == media_id for key in self.objects)


@dataclass(frozen=True)
class Began:
    """What a run found when it began, and how many faults had struck until then; `is_calm` if none waited."""

    objects: Mapping[str, Held]
    served: int
    faults: int
    is_calm: bool


class World:
    """One schedule's world. `cloud` and what lies behind `backend` may serve other schedules after it."""

    def __init__(
        self, cloud: GoProCloud, backend: Backend, ledger: Ledger, disturbances: Callable[[], int] = lambda: 0
    ) -> None:
        self.cloud, self.backend, self.ledger = cloud, backend, ledger
        self.disturbances = disturbances
        self.faults = Faults()
        self.now = utc_now()
        self.lock = threading.RLock()
        self.runs = 0
        self.everything: dict[str, CloudMedium] = {}
        self.listed: set[str] = set()
        self.secrets: set[str] = set()
        self.heard: list[str] = []
        self.told: list[str] = []
        self.can_count_bytes = True
        #: Media that were COMPLETED until they lost or gained an original, and the originals that they had: these stay.
        self.once_whole: set[str] = set()
        self.kept: set[str] = set()
        self._cloud_faults: list[tuple[Fault, int]] = []
        self._throttles = 0
        self._ear = _Ear()
        self._log = logging.getLogger()
        self._log.addHandler(self._ear)
        cloud.media, cloud.held_back, cloud.quirks, cloud.counts = [], [], Quirks(), Counts()
        for memory in (cloud.tokens, cloud.refresh_tokens, cloud.page_fetches, cloud.changes, cloud.url_uses):
            memory.clear()
        self._observer: Tracker | None = None
        self.sign_in(renews=False)
        self.before = self.look()

    # ------------------------------------------------------------ what happens
    def passes(self, seconds: float) -> None:
        """Time goes by."""
        with self.lock:
            self.now += timedelta(seconds=seconds)

    def new_run(self, process: Process) -> Run:
        """A run that begins now."""
        self.runs += 1
        return Run(f"run-{self.runs}", process.clock())

    def sign_in(self, *, renews: bool) -> None:
        """The user stores good credentials."""
        document = self.cloud.renewing() if renews else self.cloud.pasted()
        sign_in(self.backend, document)

    def appears(self, medium: CloudMedium) -> None:
        """A medium is in the cloud, new or in place of what was there under its id."""
        with self.cloud.lock:
            others = [one for one in self.cloud.media if one.media_id != medium.media_id]
            self.cloud.media = [medium, *others]
        self.everything[medium.media_id] = medium

    def vanishes(self, media_id: str) -> None:
        """A medium is deleted at its source."""
        with self.cloud.lock:
            self.cloud.media = [one for one in self.cloud.media if one.media_id != media_id]

    def is_processed_anew(self, media_id: str) -> None:
        """The originals of a medium have other bytes from now on, of the same length."""
        with self.cloud.lock:
            self.cloud.changes[media_id] += 1

    def grows(self, medium: CloudMedium) -> bool:
        """A film gains a chapter; whether it was archived, so that what there is of it stays as it is."""
        archived = self.before.is_completed(medium.media_id)
        if archived:
            self._was_whole(medium.media_id)
        longer = grown(medium)
        with self.cloud.lock:
            # In its place, so that what a schedule does next does not depend on which film it was.
            self.cloud.media = [longer if one is medium else one for one in self.cloud.media]
        self.everything[medium.media_id] = longer
        return archived

    def downloads_go_wrong(self, media_id: str, fault: Fault) -> None:
        """The next downloads of a medium go wrong."""
        self.cloud.quirks.faults[media_id] = fault
        self._cloud_faults.append((fault, fault.times))

    def an_original_is_lost(self, which: int) -> None:
        """An object of a COMPLETED medium is deleted, and `verify --repair` sees to it without touching another."""
        before = self.look()
        whole = {media_id for media_id, one in before.statuses.items() if one.status is Status.COMPLETED}
        keys = sorted(key for key in before.objects if key.split("/")[3] in whole)
        if not keys:
            return
        key = keys[which % len(keys)]
        self.backend.lose(key)
        found = self._verify(Verification(repair=True))
        self._was_whole(key.split("/")[3])
        self._holds("I1", key in found, f"{key} was deleted, and verify does not say so")
        self._only_changes(before, {key})

    def _was_whole(self, media_id: str) -> None:
        self.once_whole.add(media_id)
        self.kept |= {key for key in self.backend.objects() if key.split("/")[3] == media_id}

    def the_tracker_is_lost(self) -> None:
        """The tracker is emptied, and `reindex` rebuilds it from archive and catalog."""
        before = self.look()
        self.backend.lose_tracker()
        self._verify(Verification(repair=True, untracked=True))
        after = self._only_changes(before, set())
        whole = {media_id for media_id, one in before.statuses.items() if one.status is Status.COMPLETED}
        if any(key.split("/")[3] not in whole for key in before.objects):
            self.can_count_bytes = False  # what no catalog entry tells of yet may be fetched to be compared
        for media_id, record in before.statuses.items():
            if record.status is Status.COMPLETED:
                told = after.statuses.get(media_id)
                is_known = told is not None and told.status is Status.COMPLETED
                self._holds("I2", is_known, f"{media_id} was COMPLETED and is {told} after reindex")

    def _verify(self, request: Verification) -> set[str]:
        archive, inventory = self.backend.shelves()
        verifier = Verifier(self.backend.observer(lambda: self.now), archive, inventory, workers=2)
        self.runs += 1
        _, findings = verifier.verify(request, Run(f"verify-{self.runs}", self.now))
        return {one.key for one in findings}

    def _only_changes(self, before: Seen, lost: set[str]) -> Seen:
        self.before = self.look()
        kept = {key: held for key, held in before.objects.items() if key not in lost}
        self._holds("I8", self.before.objects == kept, "a repair touched an object")
        return self.before

    def hears(self, fault: BaseException) -> None:
        """Somebody sees this error."""
        self.heard.append("".join(traceback.format_exception(fault)))

    def calm(self) -> None:
        """All faults stop; the sign-in is good, and so long after that no lease is left."""
        self.faults.clear()
        self._count_faults()
        self.cloud.quirks = Quirks()
        self.sign_in(renews=False)
        self.passes(2 * 24 * 3600)

    def _count_faults(self) -> None:
        """Move what has come to pass into the ledger."""
        for fault, times in self._cloud_faults:
            if struck := times - fault.times:
                self.ledger.faults[f"GoPro's download: {fault.kind}"] += struck
        self._cloud_faults = [(fault, fault.times) for fault, _ in self._cloud_faults if fault.times]
        self.ledger.faults.update(self.faults.struck)
        self.faults.struck.clear()

    def close(self) -> None:
        """Forget it."""
        self._count_faults()
        self._log.removeHandler(self._ear)
        self.cloud.quirks = Quirks()
        self.backend.close()

    # ------------------------------------------------------- what must be held
    def originals(self, media_id: str, versions: Iterable[int]) -> list[set[tuple[int, str]]]:
        """Length and SHA-256 of each original of a medium, in any of these versions."""
        medium = self.everything[media_id]
        return [
            {(file.body.length, digest(changed(file.body, version))) for version in versions}
            for file in medium.originals
        ]

    def records(self) -> dict[str, Record]:
        """The tracker's records of all media that ever were in the cloud."""
        if self._observer is None:
            self._observer = self.backend.observer(utc_now)
        return self._observer.get("gopro", list(self.everything))

    def held_lease(self, name: str) -> bool:
        """Whether anybody has a lease now."""
        return self.backend.observer(lambda: self.now).held(name)

    def look(self) -> Seen:
        """How it looks now."""
        with self.cloud.lock:
            statuses, objects = self.records() if self.everything else {}, self.backend.objects()
            return Seen(
                statuses=statuses,
                objects=objects,
                catalogued=self._catalogued(statuses, objects),
                confirmed=self.backend.confirmed(),
                versions=dict(self.cloud.changes),
                served=dict(self.cloud.counts.bytes_served),
                served_files=dict(self.cloud.counts.file_bytes),
            )

    def _catalogued(self, statuses: Mapping[str, Record], objects: Iterable[str]) -> set[str]:
        archive, _ = self.backend.shelves()
        found = set()
        for media_id in {key.split("/")[3] for key in objects}:
            record = statuses.get(media_id)
            if record is None or record.status is not Status.COMPLETED:
                with suppress(InvalidInput):
                    entry = Entry.from_lines(archive.read_document(catalog_key("gopro", media_id)))
                    found |= {media_id} if not entry.missing else set()
        return found

    # -------------------------------------------------------------- invariants
    def _holds(self, invariant: str, is_true: bool, what: str) -> None:
        self.ledger.checks[invariant] += 1
        if not is_true:
            raise Broken(invariant, what)

    def check(self) -> None:
        """Compare what is with what was at the last look."""
        before, now = self.before, self.look()
        self._completed_is_archived(before, now)
        self._nothing_is_moved_again(before, now)
        self._nothing_good_is_touched(before, now)
        self._count_faults()
        self.before = now

    def _alive(self, media_id: str, before: Seen, now: Seen) -> range:
        return range(before.versions.get(media_id, 0), now.versions.get(media_id, 0) + 1)

    def _completed_is_archived(self, before: Seen, now: Seen) -> None:
        by_medium: dict[str, list[tuple[int, str]]] = {}
        for key, held in now.objects.items():
            media_id = key.split("/")[3]
            by_medium.setdefault(media_id, []).append((held.length, held.sha256))
            if before.objects.get(key) != held:
                every = self.originals(media_id, range(now.versions.get(media_id, 0) + 1))
                is_one = any((held.length, held.sha256) in one for one in every)
                self._holds("I1", is_one, f"{key} is no original of {media_id}")
        for media_id, record in now.statuses.items():
            was = before.statuses.get(media_id)
            if record.status is Status.COMPLETED and (was is None or was.status is not Status.COMPLETED):
                # What was whole once stays as it was, also where its process died before it recorded that.
                was_whole = media_id in self.once_whole | before.catalogued
                since = 0 if was_whole else self._alive(media_id, before, now).start
                wanted = self.originals(media_id, range(since, now.versions.get(media_id, 0) + 1))
                there = by_medium.get(media_id, [])
                missing = [one for one in wanted if not one & set(there)]
                told = f"{media_id} lacks {len(missing)} of {len(wanted)} originals"
                self._holds("I1", bool(wanted) and not missing, told)
            if was is not None and was.status is Status.COMPLETED and not self._has_grown(media_id, before):
                self._holds("I2", record.status is Status.COMPLETED, f"{media_id} was COMPLETED, now {record.status}")

    def _has_grown(self, media_id: str, before: Seen) -> bool:
        """Whether a medium has gained chapters that were not archived, or not listed, with the others."""
        record = before.statuses[media_id]
        known = min(before.count(media_id), record.originals, record.items or record.originals)
        return known < len(self.everything[media_id].originals)

    def _nothing_is_moved_again(self, before: Seen, now: Seen) -> None:
        for media_id, record in before.statuses.items():
            if record.status is Status.COMPLETED and not self._has_grown(media_id, before):
                more = now.served.get(media_id, 0) - before.served.get(media_id, 0)
                self._holds("I4", more == 0, f"{more} bytes of {media_id}, which was COMPLETED, were fetched")
        if self.can_count_bytes:
            self._no_file_is_moved_again(before, now)

    def _no_file_is_moved_again(self, before: Seen, now: Seen) -> None:
        there = {(key.split("/")[3], before.objects[key].sha256): key for key in before.confirmed}
        for media_id in self.everything:
            alive = self._alive(media_id, before, now)
            if len(alive) > 1:
                continue
            for file in self.everything[media_id].originals:
                if key := there.get((media_id, digest(changed(file.body, alive[0])))):
                    name = f"{media_id}/{file.path}"
                    more = now.served_files.get(name, 0) - before.served_files.get(name, 0)
                    self._holds("I4", more <= _LOOK, f"{more} bytes of {key}, which was there, were fetched")

    def _nothing_good_is_touched(self, before: Seen, now: Seen) -> None:
        for key, held in before.objects.items():
            media_id = key.split("/")[3]
            alive = self._alive(media_id, before, now)
            current = self.originals(media_id, alive)
            is_good = len(alive) == 1 and any((held.length, held.sha256) in one for one in current)
            was = before.statuses.get(media_id)
            is_whole = key in self.kept or (was is not None and was.status is Status.COMPLETED)
            if is_whole or (is_good and key in before.confirmed):
                there = now.objects.get(key)
                self._holds("I8", there is not None, f"{key} has gone")
                self._holds("I8", there == held, f"{key} was written again")

    def check_secrets(self) -> None:
        """No secret was written or told anywhere."""
        everything = "\n".join([self.backend.written(), *self.heard, *self.told, *self._ear.lines])
        fixed = {self.cloud.client_secret, self.cloud.user_id, "Signature=", "personal-thumbnail-token"}
        for secret in fixed | set(self.cloud.tokens) | self.cloud.refresh_tokens | self.secrets:
            where = everything.find(secret)
            around = everything[max(0, where - 200) : where + 40] if where >= 0 else ""
            self._holds("I6", where < 0, f"a secret was told: {around}")

    def check_summary(self, run: Run, plan: Mapping[str, Any], summary: Mapping[str, Any], began: Began | None) -> None:
        """A summary tells what manifest, records and archive say; `began` if nothing else ran meanwhile."""
        self.told.append(json.dumps(summary))
        media = self._manifest(str(plan["manifest_key"]))
        told = (
            summary["completed"]
            + summary["failed"]
            + summary["pending"]
            - plan["pending"]
            + summary["source_gone"]
            - plan["gone"]
        )
        self._holds("I7", told == len(media) == plan["new"], f"{run.run_id} tells of {told} of {len(media)} media")
        records = self.records()
        for media_id in media:
            self._is_accounted_for(run, media_id, records.get(media_id), began is not None)
        if began:
            statuses = Counter(records[media_id].status for media_id in media)
            for name, status in (("completed", Status.COMPLETED), ("failed", Status.FAILED)):
                truth = statuses[status]
                self._holds("I7", summary[name] == truth, f"{run.run_id}: {name} {summary[name]}, in truth {truth}")
            self._bytes_are_true(run, began, int(summary["bytes_transferred"]))

    def _bytes_are_true(self, run: Run, began: Began, told: int) -> None:
        """At most what the cloud gave; where nothing went wrong, exactly what has been added."""
        served = self.cloud.counts.bytes_served.total() - began.served
        self._holds("I7", 0 <= told <= served, f"{run.run_id} tells of {told} bytes moved, the cloud gave {served}")
        if began.is_calm and self._is_calm(began.faults):
            added = sum(held.length for key, held in self.backend.objects().items() if began.objects.get(key) != held)
            self._holds("I7", told == added, f"{run.run_id} tells of {told} bytes moved, {added} were added")

    def begins(self) -> Began:
        """What a run finds when it begins."""
        faults = self._faults_so_far()
        is_calm = self._is_calm(faults) and not self.backend.open_uploads()
        return Began(self.backend.objects(), self.cloud.counts.bytes_served.total(), faults, is_calm)

    def _faults_so_far(self) -> int:
        return self.ledger.faults.total() + self.faults.struck.total() + self.disturbances()

    def _is_calm(self, faults: int) -> bool:
        pending = any(fault.times for fault, _ in self._cloud_faults)
        return faults == self._faults_so_far() and not pending and self.cloud.quirks == Quirks()

    def _manifest(self, key: str) -> set[str]:
        return {json.loads(line)["media_id"] for line in self.backend.document(key) if line.strip()}

    def _is_accounted_for(self, run: Run, media_id: str, record: Record | None, is_alone: bool) -> None:
        self._holds("I2", record is not None, f"{media_id} has no record after {run.run_id}")
        assert record
        if record.status is Status.FAILED:
            self._holds("I2", bool(record.error and record.error_type), f"{media_id} FAILED without a reason")
        if is_alone:
            ended = record.status is not Status.IN_PROGRESS or self.held_lease(f"gopro#medium-{media_id}")
            self._holds("I2", ended, f"{media_id} is IN_PROGRESS after {run.run_id}, and nobody is at it")

    def check_listed(self, media_ids: Iterable[str]) -> None:
        """Every medium that was planned has a record."""
        records = self.records()
        for media_id in media_ids:
            self._holds("I2", media_id in records, f"{media_id} was listed and has no record")

    def check_whole(self) -> None:
        """Nothing is missing of what can be had."""
        records = self.records()
        objects = self.backend.objects()
        for medium in self.cloud.media:
            record = records.get(medium.media_id)
            if medium.originals:
                is_done = record is not None and record.status is Status.COMPLETED
                self._holds("I3", is_done, f"{medium.media_id} is {record} after two runs without faults")
            else:
                waits = record is not None and record.status is Status.PENDING
                self._holds("I2", waits, f"{medium.media_id}, which is not ready, is {record}")
        here = {medium.media_id for medium in self.cloud.media}
        for media_id, record in records.items():
            if media_id not in here:
                is_final = record.status in (Status.COMPLETED, Status.SOURCE_GONE)
                self._holds("I2", is_final, f"{media_id} has gone at its source and is {record}")
        for media_id in here:
            if not self.cloud.changes[media_id]:
                there = sorted((h.length, h.sha256) for key, h in objects.items() if key.split("/")[3] == media_id)
                wanted = sorted(next(iter(one)) for one in self.originals(media_id, [0]))
                self._holds("I3", there == wanted, f"{media_id} is not exactly its originals")

    def check_uploads(self) -> None:
        """Every open upload will be gone on with."""
        checkpoints = {key: text for key, text in self.backend.checkpoints().items() if "-videos/" in key}
        records = self.records()
        is_final = {key: (one := records.get(key.split("/")[3])) is None or one.status.is_final for key in checkpoints}
        names = {key: json.loads(text)["upload_id"] for key, text in checkpoints.items()}
        still_open = self.backend.open_uploads()
        forgotten = [key for key, name in names.items() if is_final[key] and name in still_open]
        self._holds("I5", not forgotten, f"uploads are open for ever: {', '.join(forgotten)}")
        orphans = still_open - set(names.values())
        self.ledger.ends["uploads left to the store's own rule"] += len(orphans)


@contextmanager
def zone(name: str) -> Iterator[None]:
    """The machine is in another time zone."""
    import os
    import time

    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


#: Moments at which a clock does something odd: the hour that is left out, the hour that comes twice, a new year.
ODD_MOMENTS = (
    datetime(2026, 3, 29, 0, 58, tzinfo=UTC),
    datetime(2026, 10, 25, 0, 58, tzinfo=UTC),
    datetime(2026, 12, 31, 23, 58, tzinfo=UTC),
)
