"""The step that brings one medium home: every original, then its catalog entry, then COMPLETED."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from core.archive.base import Archive, Label
from core.archive.keys import catalog_key, original_keys
from core.errors import Cancelled, CredentialsRejected, SourceGone, public_text
from core.model import Medium, Offer, Original, Reason, Record, Status, Stored, format_time, utc_now
from core.providers.base import Provider
from core.sync.outcomes import CredentialsDied, Gone, NotReady, TransferOutcome, Transferred
from core.tracker.base import SyncTracker
from core.transfer import Source, move
from core.transfer.engine import Advance


@dataclass(frozen=True, slots=True)
class Transfer:
    """What the transfer of any medium of one run needs."""

    provider: Provider
    archive: Archive
    tracker: SyncTracker
    run_id: str
    clock: Callable[[], datetime] = field(default=utc_now)

    def __call__(self, medium: Medium, advance: Advance = lambda _: None) -> TransferOutcome:
        """Transfer one medium and record where it stands.

        Faults are raised with the medium IN_PROGRESS: the caller tries again as `retry.TRANSFER` says, then calls
        `mark_failed`. Originals that an earlier attempt had confirmed are not moved again.
        """
        started = time.monotonic()
        self._save(medium, Status.IN_PROGRESS)
        try:
            offer = self.provider.resolve(medium)
            stored = [
                self._archived(medium, original, key, advance)
                for original, key in zip(offer.originals, original_keys(medium, offer.originals), strict=True)
            ]
        except SourceGone as error:
            self._save(medium, Status.SOURCE_GONE, reason=str(error))
            return Gone(medium.media_id)
        except CredentialsRejected as error:
            self._save(medium, Status.PENDING, reason=Reason.CREDENTIALS)
            return CredentialsDied(medium.media_id, str(error))
        except Cancelled:
            self._save(medium, Status.PENDING, reason=Reason.CANCELLED)
            raise
        return self._conclude(medium, offer, stored, time.monotonic() - started)

    def _conclude(self, medium: Medium, offer: Offer, stored: Sequence[Stored], seconds: float) -> TransferOutcome:
        length = sum(one.length for one in stored)
        moved = sum(one.length for one in stored if one.run_id == self.run_id)
        if stored:
            self._write_catalog(medium, offer, stored)
        sums = replace(self._record(medium, Status.COMPLETED), originals=len(stored), length=length, moved=moved)
        if offer.missing or not stored:
            missing = offer.missing or "no original is offered yet"
            self.tracker.save(replace(sums, status=Status.PENDING, reason=Reason.NOT_READY, error=missing))
            return NotReady(medium.media_id, missing, moved)
        self.tracker.save(sums)
        return Transferred(medium.media_id, len(stored), length, moved, seconds)

    def _archived(self, medium: Medium, original: Original, key: str, advance: Advance) -> Stored:
        source = Source(self.provider, medium, original)
        found = self.archive.find(key)
        if found and source.length() in (None, found.length):
            return found
        label = Label(
            provider=medium.provider,
            media_id=medium.media_id,
            item_number=original.item_number,
            role=original.role,
            captured_at=medium.captured_at,
            run_id=self.run_id,
            tags={"Source": self.provider.title, "AutoSync": "True"},
        )
        return move(source, self.archive, key, label, advance)

    def _write_catalog(self, medium: Medium, offer: Offer, stored: Sequence[Stored]) -> None:
        entry = medium.to_json() | {
            "archived_at": format_time(self.clock()),
            "missing": offer.missing,
            "originals": [
                one.to_json()
                | {
                    "item_number": original.item_number,
                    "role": original.role,
                    "camera_position": original.camera_position,
                }
                for original, one in zip(offer.originals, stored, strict=True)
            ],
        }
        document = json.dumps(entry, ensure_ascii=False, indent=1).encode()
        self.archive.put_document(catalog_key(medium.provider, medium.media_id), document)

    def _record(self, medium: Medium, status: Status, reason: str = "") -> Record:
        return Record(
            provider=medium.provider,
            media_id=medium.media_id,
            status=status,
            run_id=self.run_id,
            updated_at=self.clock(),
            filename=medium.filename,
            reason=reason,
        )

    def _save(self, medium: Medium, status: Status, reason: str = "") -> None:
        self.tracker.save(self._record(medium, status, reason))


def mark_failed(
    medium: Medium,
    run_id: str,
    error_type: str,
    error: str,
    tracker: SyncTracker,
    clock: Callable[[], datetime] = utc_now,
) -> bool:
    """Record that a medium could not be transferred in this run; the next run tries it again.

    False if it is COMPLETED after all: a confirmed medium never becomes failed.
    """
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
        )
    )
