"""The step that brings one medium home: every original, then its catalog entry, then COMPLETED."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime

from core.archive.base import Archive, Label, same_bytes
from core.archive.catalog import Archived, Entry
from core.archive.keys import catalog_key, key_beside, original_keys, thumbnail_key
from core.errors import (
    Cancelled,
    CloudSyncError,
    CredentialsRejected,
    InvalidInput,
    SourceGone,
    TransientError,
    public_text,
)
from core.model import Medium, Offer, Original, Reason, Record, Status, Stored, printable, utc_now
from core.providers.base import Provider
from core.sync.outcomes import Busy, CredentialsDied, Gone, NotReady, TransferOutcome, Transferred, Unfinished
from core.tracker.base import Leases, Tracker
from core.transfer import UNWATCHED, Engine, Source, Watch
from core.transfer.checkpoint import end_uploads
from core.transfer.job import LAST_START

_log = logging.getLogger(__name__)

#: Type of the error on the record of a medium that is archived, but was damaged at its source already.
DAMAGED = "DamagedAtSource"

#: Seconds for which a medium is one run's, and after which that run says that it is still at it.
LEASE_SECONDS = 300.0
_RENEW_AFTER = 60.0

#: Originals of one medium on their way at once: the frames of a burst are many and small.
_AT_ONCE = 8


def medium_lease(provider: str, media_id: str) -> str:
    """The lease that a run holds while it transfers a medium."""
    return f"{provider}#medium-{media_id}"


@dataclass(frozen=True, slots=True)
class Transfer:
    """What the transfer of any medium of one run needs."""

    provider: Provider
    archive: Archive
    tracker: Tracker
    engine: Engine
    run_id: str
    clock: Callable[[], datetime] = field(default=utc_now)

    def __call__(self, medium: Medium, watch: Watch = UNWATCHED) -> TransferOutcome:
        """Transfer one medium and record where it stands.

        Faults are raised with the medium IN_PROGRESS: the caller tries again as `retry.TRANSFER` says, then calls
        `mark_failed`. What an earlier attempt had confirmed, originals and parts of them, is not moved again.
        """
        lease = medium_lease(medium.provider, medium.media_id)
        if not self.tracker.acquire(lease, self.run_id, LEASE_SECONDS):
            return Busy(medium.media_id)
        try:
            outcome = self._transfer(medium, _Attempt(self.tracker, lease, self.run_id, watch))
        except Cancelled:
            self.tracker.release(lease, self.run_id)
            raise
        if not isinstance(outcome, Unfinished):
            self.tracker.release(lease, self.run_id)
        return outcome

    def _transfer(self, medium: Medium, attempt: _Attempt) -> TransferOutcome:
        record = self.tracker.get(medium.provider, [medium.media_id]).get(medium.media_id)
        if record and record.status is Status.COMPLETED:  # since this run was planned
            return Transferred(medium.media_id, record.originals, record.length, 0, attempt.seconds)
        attempt.is_first = record is None or record.is_untried
        attempt.moved = record.moved if record and record.run_id == self.run_id else 0
        self._save(medium, Status.IN_PROGRESS, attempt)
        attempt.before = None if attempt.is_first else self._entry(medium)
        try:
            offer = self.provider.resolve(medium)
            stored = self._bring(medium, offer, attempt)
        except SourceGone as error:
            end_uploads(self.archive, self.tracker, medium.provider, medium.media_id)
            self._save(medium, Status.SOURCE_GONE, attempt, str(error))
            return Gone(medium.media_id)
        except CredentialsRejected as error:
            self._save(medium, Status.PENDING, attempt, Reason.CREDENTIALS)
            return CredentialsDied(medium.media_id, str(error))
        except Cancelled:
            self._save(medium, Status.PENDING, attempt, Reason.CANCELLED)
            raise
        except Exception:
            if attempt.confirmed and attempt.still_has_lease():
                self._save(medium, Status.IN_PROGRESS, attempt)
            raise
        if None not in stored:
            return self._conclude(medium, offer, [one for one in stored if one], attempt)
        if not attempt.confirmed:
            raise TransientError(f"Nothing of {medium.media_id} arrived within the time of one invocation.")
        self._save(medium, Status.IN_PROGRESS, attempt)
        return Unfinished(medium.media_id, attempt.confirmed)

    def _bring(self, medium: Medium, offer: Offer, attempt: _Attempt) -> Sequence[Stored | None]:
        """What the archive confirmed of each original, None where the time did not suffice. An error is raised last."""
        stored, error = self._archive_all(medium, offer.originals, attempt)
        if None in stored:
            self._note_arrived(medium, offer, stored, attempt)
        if error:
            raise error
        return stored

    def _archive_all(
        self, medium: Medium, originals: Sequence[Original], attempt: _Attempt
    ) -> tuple[list[Stored | None], Exception | None]:
        """What the archive confirmed of each original, None where the time did not suffice; the first error."""
        keys = _keys(medium, originals, attempt.originals_before)
        if len(originals) <= 1:
            return [self._archived(medium, *pair, attempt) for pair in zip(originals, keys, strict=True)], None
        with ThreadPoolExecutor(min(_AT_ONCE, len(originals)), thread_name_prefix="original") as pool:
            futures = [
                pool.submit(self._archived, medium, original, key, attempt)
                for original, key in zip(originals, keys, strict=True)
            ]
        # One that fails does not keep the others from arriving: what they bring need not be brought again.
        stored, errors = list[Stored | None](), list[Exception]()
        for future in futures:
            try:
                stored.append(future.result())
            except Exception as error:
                errors.append(error)
                stored.append(None)
        return stored, next(iter(errors), None)

    def _archived(self, medium: Medium, original: Original, key: str, attempt: _Attempt) -> Stored | None:
        if attempt.confirmed and attempt.watch.remaining() < LAST_START:
            return None
        label = self._label(medium, original.item_number, original.role)
        watch = replace(attempt.watch, advance=attempt.advance, confirmed=attempt.confirm)
        source = Source(self.provider, medium, original)
        found, known = self._there(key, label, attempt)
        if found and known and same_bytes(found, known) and attempt.has_grown(medium):
            length = self.engine.length(source, key, label, watch)
            if length not in (None, found.length):
                # Told apart by their order alone, originals have changed places: rather one twice than one missing.
                key = key_beside(key, f"{length}")
                found, known = self._there(key, label, attempt)
        if found and known and same_bytes(found, known):
            return found  # confirmed once and still there: whatever the source has by now, it is not replaced
        distrusts = not attempt.is_first and self._is_damaged(found, known)
        return self.engine.move(source, key, label, watch, is_new=attempt.is_first, distrusts=distrusts)

    def _there(self, key: str, label: Label, attempt: _Attempt) -> tuple[Stored | None, Stored | None]:
        """What the archive confirms at a key, and what is known of it since its medium was whole."""
        known = next((one.stored for one in attempt.originals_before if one.stored.key == key), None)
        found = None if attempt.is_first else self.archive.find(key)
        if known and not found:
            found = self.archive.adopt(known, label)
        # While a medium is brought home, what is there may be newer than its entry.
        return found, known if attempt.was_whole or not found else None

    def _label(self, medium: Medium, item_number: int, role: str) -> Label:
        return Label(
            provider=medium.provider,
            media_id=medium.media_id,
            item_number=item_number,
            role=role,
            captured_at=medium.captured_at,
            run_id=self.run_id,
            tags={"Source": self.provider.title, "AutoSync": "True"},
        )

    def _entry(self, medium: Medium) -> Entry | None:
        """What an earlier run has archived of the medium."""
        try:
            entry = Entry.from_lines(self.archive.read_document(catalog_key(medium.provider, medium.media_id)))
        except InvalidInput:
            return None
        return entry if entry.medium.media_id == medium.media_id else None

    def _is_damaged(self, found: Stored | None, known: Stored | None) -> bool:
        """Whether what is there is not what was once confirmed, or was not stored by any run at all."""
        if found is None:
            return known is not None  # gone, or replaced by something that nobody can confirm
        if found.run_id == self.run_id:
            return False
        return not found.run_id or (known is not None and not same_bytes(found, known))

    def _conclude(self, medium: Medium, offer: Offer, stored: Sequence[Stored], attempt: _Attempt) -> TransferOutcome:
        if attempt.is_first and any(one.run_id != self.run_id for one in stored):
            attempt.before = self._entry(medium)  # the tracker is lost
        if not stored or (offer.missing and attempt.was_whole):
            # The entry of a medium that was whole stays as it is until it is whole again: it says what is final.
            missing = offer.missing or "no original is offered yet"
            record = self._record(medium, Status.PENDING, attempt, Reason.NOT_READY)
            self.tracker.save(replace(record, error=missing))
            return NotReady(medium.media_id, missing, attempt.confirmed)
        entry = self._write_catalog(medium, offer.originals, stored, offer.missing, attempt)
        self.tracker.save(replace(record_of(entry, self.run_id, self.clock()), moved=attempt.moved))
        self._keep_thumbnail(medium, offer, attempt)
        if entry.missing:
            return NotReady(medium.media_id, entry.missing, attempt.confirmed)
        count = len(entry.originals)
        return Transferred(medium.media_id, count, entry.length, attempt.confirmed, attempt.seconds, entry.damage)

    def _note_arrived(self, medium: Medium, offer: Offer, stored: Sequence[Stored | None], attempt: _Attempt) -> None:
        """Have the catalog tell of the originals that are there, though others are not: they can be had back."""
        arrived = [(one, found) for one, found in zip(offer.originals, stored, strict=True) if found]
        if not arrived or not attempt.still_has_lease():
            return
        attempt.before = self._entry(medium)  # as it is now: another run may have been faster, or the tracker is lost
        record = self.tracker.get(medium.provider, [medium.media_id]).get(medium.media_id)
        if attempt.was_whole or (record and record.status is Status.COMPLETED):
            return
        missing = f"{len(arrived)} of {len(offer.originals)} originals have arrived so far"
        originals, there = zip(*arrived, strict=True)
        try:
            self._write_catalog(medium, originals, there, missing, attempt)
        except CloudSyncError as error:
            _log.warning("What has arrived of %s is not noted: %s", printable(medium.media_id), public_text(error))

    def _write_catalog(
        self,
        medium: Medium,
        originals: Sequence[Original],
        stored: Sequence[Stored],
        missing: str,
        attempt: _Attempt,
    ) -> Entry:
        """Write the medium's entry, unless it tells so already; what is there and no longer offered stays in it."""
        pairs = zip(originals, stored, strict=True)
        archived = [Archived(one.item_number, one.role, one.camera_position, found) for one, found in pairs]
        keys = {one.stored.key for one in archived}
        folders = {key.rpartition("/")[0] for key in keys}
        archived += [
            one
            for one in attempt.originals_before
            if one.stored.key not in keys
            and one.stored.key.rpartition("/")[0] in folders
            and self._is_there(medium, one)
        ]
        entry = Entry(medium, self.clock(), missing, tuple(archived))
        if attempt.before is None or entry != replace(attempt.before, archived_at=entry.archived_at):
            self.archive.put_document(catalog_key(medium.provider, medium.media_id), entry.to_bytes())
        return entry

    def _is_there(self, medium: Medium, archived: Archived) -> bool:
        known = archived.stored
        label = self._label(medium, archived.item_number, archived.role)
        found = self.archive.find(known.key) or self.archive.adopt(known, label)
        return found is not None and same_bytes(found, known)

    def _keep_thumbnail(self, medium: Medium, offer: Offer, attempt: _Attempt) -> None:
        """Keep a small picture if there is one and time for it. It is worth nothing beside an original: no matter."""
        if attempt.watch.remaining() < LAST_START:
            return
        try:
            if picture := self.provider.thumbnail(offer):
                self.archive.put_document(thumbnail_key(medium), picture)
        except Exception as error:
            _log.warning("No small picture of medium %s: %s", printable(medium.media_id), public_text(error))

    def _record(self, medium: Medium, status: Status, attempt: _Attempt, reason: str = "") -> Record:
        return Record(
            provider=medium.provider,
            media_id=medium.media_id,
            status=status,
            run_id=self.run_id,
            updated_at=self.clock(),
            filename=medium.filename,
            reason=reason,
            moved=attempt.moved,
            medium=None if status.is_final else medium,
        )

    def _save(self, medium: Medium, status: Status, attempt: _Attempt, reason: str = "") -> None:
        self.tracker.save(self._record(medium, status, attempt, reason))


def _keys(medium: Medium, originals: Sequence[Original], before: Sequence[Archived]) -> list[str]:
    """The key of each original: the one at which it lies, though a medium that has grown gives it another name."""
    had = {(one.item_number, one.role, one.camera_position, *_place(one.stored.key)): one.stored.key for one in before}
    named, known = original_keys(medium, originals), set(had.values())
    keys = [
        key if key in known else had.get((one.item_number, one.role, one.camera_position, *_place(key)), key)
        for one, key in zip(originals, named, strict=True)
    ]
    return keys if len(set(keys)) == len(keys) else named


def _place(key: str) -> tuple[str, str]:
    """Folder and extension."""
    return key.rpartition("/")[0], key.rpartition(".")[2].lower()


def record_of(entry: Entry, run_id: str, now: datetime) -> Record:
    """The tracker's record of a medium of which everything that its catalog entry tells is in the archive."""
    error = entry.missing or entry.damage
    return Record(
        provider=entry.medium.provider,
        media_id=entry.medium.media_id,
        status=Status.PENDING if entry.missing else Status.COMPLETED,
        run_id=run_id,
        updated_at=now,
        filename=entry.medium.filename,
        reason=Reason.NOT_READY if entry.missing else "",
        error_type=DAMAGED if error and not entry.missing else "",
        error=error,
        originals=len(entry.originals),
        length=entry.length,
        items=entry.medium.item_count or 0,
        medium=entry.medium if entry.missing else None,
    )


class _Attempt:
    """One attempt at a medium: it keeps the lease and counts the bytes.

    `confirmed` are those that the archive has confirmed in this attempt, `moved` those of the whole run. `before` is
    the medium's entry in the catalog, if it has one.
    """

    def __init__(self, leases: Leases, lease: str, owner: str, watch: Watch) -> None:
        self.watch = watch
        self.confirmed = self.moved = 0
        self.is_first = False
        self.before: Entry | None = None
        self._counting = threading.Lock()
        self._leases = leases
        self._lease = lease
        self._owner = owner
        self._began = self._renewed = time.monotonic()

    @property
    def originals_before(self) -> tuple[Archived, ...]:
        return self.before.originals if self.before else ()

    @property
    def was_whole(self) -> bool:
        """Whether everything that the medium had was once archived."""
        return self.before is not None and not self.before.missing

    def has_grown(self, medium: Medium) -> bool:
        """Whether the listing counts more of a medium than when everything of it was archived."""
        return (
            self.before is not None
            and self.was_whole
            and (medium.item_count or 0) > (self.before.medium.item_count or 0)
        )

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def confirm(self, count: int) -> None:
        with self._counting:
            self.confirmed += count
            self.moved += count

    def still_has_lease(self) -> bool:
        return self._leases.acquire(self._lease, self._owner, LEASE_SECONDS)

    def advance(self, count: int) -> None:
        now = time.monotonic()
        if now - self._renewed > _RENEW_AFTER:
            if not self.still_has_lease():
                raise TransientError("Another run has taken the medium over, because this one was silent for too long.")
            self._renewed = now
        self.watch.advance(count)


def mark_failed(
    medium: Medium,
    run_id: str,
    error_type: str,
    error: str,
    tracker: Tracker,
    clock: Callable[[], datetime] = utc_now,
) -> bool:
    """Record that a medium could not be transferred in this run; the next run tries it again.

    False if it is COMPLETED after all: a confirmed medium never becomes failed.
    """
    tracker.release(medium_lease(medium.provider, medium.media_id), run_id)
    before = tracker.get(medium.provider, [medium.media_id]).get(medium.media_id)
    return tracker.save(
        Record(
            provider=medium.provider,
            media_id=medium.media_id,
            status=Status.FAILED,
            run_id=run_id,
            updated_at=clock(),
            filename=medium.filename,
            error_type=error_type,
            error=public_text(error)[:500],
            moved=before.moved if before and before.run_id == run_id else 0,
            medium=medium,
        )
    )
