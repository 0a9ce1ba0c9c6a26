"""What three places tell of one medium, and where they do not agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from core.archive.base import Listed, Verdict
from core.archive.catalog import Entry
from core.archive.keys import originals_prefix, safe_id
from core.errors import CloudSyncError, public_text
from core.model import Record, Status, Stored
from core.verify.findings import Finding, Kind

#: Files that systems leave in folders by themselves.
_LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})

Judge = Callable[[Stored, Listed], tuple[Verdict, str]]


class Catalogued(StrEnum):
    """Whether the catalog has an entry. UNKNOWN: the store would not tell."""

    ABSENT = "absent"
    UNREADABLE = "unreadable"
    UNKNOWN = "unknown"
    READABLE = "readable"


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that is known of the medium whose id is `name` within keys; `trouble` is why its entry is UNKNOWN."""

    provider: str
    name: str
    record: Record | None
    catalogued: Catalogued
    entry: Entry | None
    objects: tuple[Listed, ...]
    trouble: str = ""

    @property
    def media_id(self) -> str:
        """The id of the medium as far as it is known."""
        if self.record:
            return self.record.media_id
        return self.entry.medium.media_id if self.entry and self.is_of_medium else self.name

    @property
    def filename(self) -> str:
        """The name that its catalog entry tells, "" if none does."""
        return self.entry.medium.filename if self.entry and self.is_of_medium else ""

    @property
    def is_completed(self) -> bool:
        """Whether the tracker says that every original is there."""
        return self.record is not None and self.record.status is Status.COMPLETED

    @property
    def is_gone(self) -> bool:
        """Whether the provider no longer has it."""
        return self.record is not None and self.record.status is Status.SOURCE_GONE

    @property
    def is_of_medium(self) -> bool:
        """Whether there is an entry that is of this medium at all."""
        medium = self.entry.medium if self.entry else None
        return medium is not None and (medium.provider, safe_id(medium.media_id)) == (self.provider, self.name)

    @property
    def is_possible(self) -> bool:
        """Whether the entry is of this medium and tells of originals that can be: some, each once, in its folders."""
        keys = [one.stored.key for one in self.entry.originals] if self.entry and self.is_of_medium else []
        return bool(keys) and len(set(keys)) == len(keys) and all(map(self._is_own_key, keys))

    def _is_own_key(self, key: str) -> bool:
        prefix = originals_prefix(self.provider)
        segments = key.removeprefix(prefix).split("/")
        is_plain = not {"", ".", ".."} & set(segments)
        return key.startswith(prefix) and len(segments) == 4 and segments[2] == self.name and is_plain

    @property
    def sums(self) -> tuple[int, int]:
        """How many objects there are, and how many bytes together."""
        return len(self.objects), sum(one.length for one in self.objects)


def examine(case: Case, judge: Judge) -> list[Finding]:
    """What is wrong with a medium."""
    if case.entry is None:
        return list(_without_entry(case))
    if not case.is_possible:
        return [_finding(case, Kind.CATALOG_CONTRADICTS, "its catalog entry tells of another medium or of other keys")]
    problem = _contradiction(case, case.entry)
    findings = list(_originals(case, case.entry, judge))
    if problem:
        findings.insert(0, _finding(case, Kind.CATALOG_CONTRADICTS, problem))
    elif case.record is None or case.is_completed:
        known = {one.stored.key for one in case.entry.originals}
        surplus = tuple(one for one in case.objects if one.key not in known)
        findings += unknown(case.media_id, surplus, "the catalog entry of its medium does not tell of it")
    if case.record is None:
        findings.append(_finding(case, Kind.NOT_TRACKED, "the tracker has no record of it"))
    return findings


def unknown(media_id: str, objects: tuple[Listed, ...], detail: str) -> list[Finding]:
    """Objects that nobody knows of."""
    keys = (one.key for one in objects if one.key.rpartition("/")[2] not in _LITTER)
    return [Finding(Kind.UNKNOWN_OBJECT, media_id, key, detail) for key in keys]


def _without_entry(case: Case) -> Iterator[Finding]:
    if case.catalogued is Catalogued.UNKNOWN:
        yield _finding(case, Kind.NOT_CHECKED, f"its catalog entry could not be read: {case.trouble}")
    elif case.catalogued is Catalogued.UNREADABLE:
        yield _finding(case, Kind.CATALOG_UNREADABLE, "its catalog entry cannot be read")
    elif case.is_completed:
        yield _finding(case, Kind.CATALOG_MISSING, "it has no catalog entry")
    elif case.record is None:
        yield from unknown(case.name, case.objects, "neither catalog nor tracker know it")
    if case.record and case.is_completed:
        count, length = case.sums
        if count < case.record.originals or length < case.record.length:
            yield _finding(
                case,
                Kind.MISSING,
                f"the archive holds {count} of its {case.record.originals} originals, "
                f"{length:,} of {case.record.length:,} bytes",
            )


def _originals(case: Case, entry: Entry, judge: Judge) -> Iterator[Finding]:
    listed = {one.key: one for one in case.objects}
    lost = ", and the provider no longer has it" if case.is_gone else ""
    for one in entry.originals:
        key = one.stored.key
        there = listed.get(key)
        try:
            verdict, detail = judge(one.stored, there) if there else (Verdict.MISSING, "it is not in the archive")
        except (CloudSyncError, OSError) as error:
            yield Finding(Kind.NOT_CHECKED, case.media_id, key, public_text(error))
            continue
        if verdict is Verdict.MISTOLD:
            yield Finding(Kind.CATALOG_CONTRADICTS, case.media_id, key, detail)
        elif verdict is not Verdict.SOUND:
            yield Finding(Kind(verdict.value), case.media_id, key, detail + lost)


def _contradiction(case: Case, entry: Entry) -> str:
    """What an entry and the tracker's record do not agree about."""
    if not (case.record and case.is_completed):
        return ""
    if entry.missing:
        return "its catalog entry tells that originals are missing, the tracker that it is completed"
    if (len(entry.originals), entry.length) != (case.record.originals, case.record.length):
        return (
            f"its catalog entry tells of {len(entry.originals)} originals with {entry.length:,} bytes, "
            f"the tracker of {case.record.originals} with {case.record.length:,}"
        )
    return ""


def _finding(case: Case, kind: Kind, detail: str) -> Finding:
    return Finding(kind, case.media_id, "", detail)
