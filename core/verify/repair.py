"""What is done about findings. A good object is never overwritten or deleted, and nothing here moves an original."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from core.archive.base import Archive, Inventory
from core.archive.catalog import Archived, Entry
from core.archive.keys import safe_id
from core.errors import CloudSyncError, public_text
from core.model import Medium, Reason, Record, Status, Stored, parse_time
from core.sync.transfer import record_of
from core.tracker.base import SyncTracker
from core.verify.examine import Case
from core.verify.findings import Finding, Kind, Repair

_BYTES = frozenset({Kind.MISSING, Kind.DAMAGED})

#: Here the catalog may be wrong and the archive right: it is if the archive holds exactly what the tracker tells.
_IN_DOUBT = frozenset({Kind.MISSING, Kind.CATALOG_MISSING, Kind.CATALOG_UNREADABLE, Kind.CATALOG_CONTRADICTS})


@dataclass(frozen=True, slots=True)
class Repairs:
    """Mends media; `run_id` is on the records that it writes."""

    tracker: SyncTracker
    archive: Archive
    inventory: Inventory
    run_id: str
    clock: Callable[[], datetime]

    def mend(self, case: Case, findings: Sequence[Finding]) -> list[Finding]:
        """The findings of one medium, with what was done about each; those that are only not tracked are `track`'s.

        Where the store does not tell what has to be known for it nothing is done, and that is one more finding.
        """
        kinds = {one.kind for one in findings}
        done = Repair.NONE
        if kinds & (_BYTES | _IN_DOUBT):
            try:
                entry = None if Kind.DAMAGED in kinds else self._rebuilt(case)
                media_id = self._media_id(case)
            except (CloudSyncError, OSError) as error:
                return [*findings, Finding(Kind.NOT_CHECKED, case.media_id, "", public_text(error))]
            if entry:
                self.archive.put_document(entry.key, entry.to_bytes())
                done = Repair.REBUILT
            else:
                self._distrust(case, findings)
                done = self._queue(case, media_id, findings)
        elif Kind.NOT_TRACKED in kinds and Kind.NOT_CHECKED not in kinds:
            done = Repair.TRACKED
        stays = {Kind.NOT_CHECKED}
        if done is not Repair.REBUILT:  # which tells of all objects of its medium; nothing else makes one known
            stays.add(Kind.UNKNOWN_OBJECT)
        return [one if one.kind in stays else replace(one, repair=done) for one in findings]

    def track(self, entries: Iterable[Entry]) -> None:
        """Record media that are archived as their entries tell."""
        self.tracker.add(record_of(entry, self.run_id, self.clock()) for entry in entries)

    def _distrust(self, case: Case, findings: Sequence[Finding]) -> None:
        for one in findings:
            if one.kind is Kind.DAMAGED and not case.is_gone:
                self.inventory.distrust(one.key)

    def _queue(self, case: Case, media_id: str, findings: Sequence[Finding]) -> Repair:
        """See to it that the next sync looks after the medium, if the provider still has it.

        A document in the catalog that is of no medium that anything else tells of makes none.
        """
        seen = case.record
        if not (seen or case.objects or case.is_of_medium):
            return Repair.NONE
        if seen and seen.status is not Status.COMPLETED:
            return Repair.NONE if case.is_gone else Repair.QUEUED
        first = next((one for one in findings if one.kind in _BYTES), findings[0])
        name = first.key.rpartition("/")[2]
        record = Record(
            provider=case.provider,
            media_id=media_id,
            status=Status.PENDING,
            run_id=self.run_id,
            updated_at=self.clock(),
            filename=seen.filename if seen else case.filename,
            reason=Reason.NOT_VERIFIED,
            error_type=first.kind.value,
            error=f"{name}: {first.detail}" if name else first.detail,
        )
        if seen is None:
            self.tracker.add([record])
            return Repair.QUEUED
        return Repair.QUEUED if self.tracker.reopen(record, seen) else Repair.NONE

    def _media_id(self, case: Case) -> str:
        """The id of a medium: without a record its objects tell it, as the name of their folder may be changed."""
        for one in () if case.record else case.objects[:1]:
            told = self.inventory.label(one.key).get("media-id", "")
            if safe_id(told) == case.name:
                return told
        return case.media_id

    def _rebuilt(self, case: Case) -> Entry | None:
        """The catalog entry anew, if the archive holds exactly what the tracker has as completed."""
        record = case.record
        if not (record and case.is_completed and case.sums == (record.originals, record.length)):
            return None
        known = {one.stored.key: one for one in case.entry.originals} if case.entry and case.is_of_medium else {}
        originals: list[Archived] = []
        captured = ""
        for listed in sorted(case.objects, key=lambda one: one.key):
            stored, label = self.archive.find(listed.key), self.inventory.label(listed.key)
            number = label.get("item-number", "")
            if not (stored and _is_as_labelled(stored) and safe_id(label.get("media-id", "")) == case.name):
                return None
            if stored.length != listed.length or not number.isdecimal():
                return None
            position = known[listed.key].camera_position if listed.key in known else ""
            originals.append(Archived(int(number), label.get("role", ""), position, stored))
            captured = label.get("captured-at", "")
        medium = case.entry.medium if case.entry and case.is_of_medium else _medium(record, captured)
        return Entry(medium, self.clock(), "", tuple(originals))


def _is_as_labelled(stored: Stored) -> bool:
    """Whether the SHA-256 that an object was sent with, if it carries one, is that which the store tells."""
    if not (stored.sha256 and stored.store_checksum) or "-" in stored.store_checksum:
        return True
    return b64decode(stored.store_checksum.removeprefix("SHA256:")).hex() == stored.sha256


def _medium(record: Record, captured_at: str) -> Medium:
    """What is left to be known of a medium whose catalog entry is lost."""
    return Medium(
        provider=record.provider,
        media_id=record.media_id,
        filename=record.filename,
        kind="",
        state="",
        captured_at=parse_time(captured_at),
        length_hint=None,
        item_count=record.originals,
    )
