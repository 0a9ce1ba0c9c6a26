"""What is to be had back: chosen from the catalog, which tells of every medium without a look at its originals."""

from __future__ import annotations

import calendar
import errno
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase

from core.archive.base import Archive
from core.archive.catalog import Archived, Entry
from core.archive.keys import catalog_key, catalog_prefix
from core.archive.retrieval import Retrieval
from core.errors import CloudSyncError, InvalidInput
from core.model import Medium, Stored, parse_time, printable
from core.restore.cache import Cache

#: What to do about a catalog entry that cannot be read.
HOW_TO_MEND = "`cloud-sync verify --repair`, with the same --to or --stack, mends it."

#: Catalog entries that are read at once.
_AT_ONCE = 32

_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")


@dataclass(frozen=True, slots=True)
class Wanted:
    """An original that is wanted, and when it was captured."""

    stored: Stored
    captured_at: datetime | None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which media, of all: those that fit every kind of condition that is given, in any of its values.

    Days are of the capture in UTC, both included. Names and cameras are patterns with `*` and `?`, in any case. A name
    is that of a medium, all of whose originals are then meant, or that of single originals.
    """

    since: date | None = None
    until: date | None = None
    media_ids: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()

    @property
    def is_everything(self) -> bool:
        """Whether nothing is asked for in particular."""
        return self == Selection()

    def of(self, entry: Entry) -> tuple[Archived, ...]:
        """The originals of an entry that are selected."""
        medium = entry.medium
        if self.media_ids and medium.media_id not in self.media_ids:
            return ()
        if self.cameras and not _fits(camera_of(medium), self.cameras):
            return ()
        if not self._is_in_time(medium):
            return ()
        if not self.names or _fits(medium.filename, self.names):
            return entry.originals
        return tuple(one for one in entry.originals if _fits(one.stored.key.rpartition("/")[2], self.names))

    def is_undecided(self, medium: Medium) -> bool:
        """Whether camera or time are asked for, and nobody knows those of a medium."""
        has_no_camera = bool(self.cameras) and not camera_of(medium)
        return has_no_camera or (bool(self.since or self.until) and moment_of(medium) is None)

    def _is_in_time(self, medium: Medium) -> bool:
        if not (self.since or self.until):
            return True
        moment = moment_of(medium)
        if moment is None:
            return False
        day = moment.astimezone(UTC).date()
        return (self.since or day) <= day <= (self.until or day)


def first_day(text: str) -> date:
    """The first day of a year, a month or a day: `2026`, `2026-03`, `2026-03-01`."""
    year, month, day = _parts(text)
    return _date(text, year, month or 1, day or 1)


def last_day(text: str) -> date:
    """The last day of a year, a month or a day."""
    year, month, day = _parts(text)
    month = month or 12
    _date(text, year, month, day or 1)
    return _date(text, year, month, day or calendar.monthrange(year, month)[1])


def moment_of(medium: Medium) -> datetime | None:
    """When a medium was captured, else when it was uploaded; its keys have the same month."""
    return medium.captured_at or parse_time(medium.facts.get("created_at"))


def camera_of(medium: Medium) -> str:
    """The camera as the provider told it, "" if it did not."""
    told = medium.facts.get("camera_model")
    return told if isinstance(told, str) else ""


@dataclass(frozen=True, slots=True)
class Selected:
    """The entries that were selected, the oldest first; why others are left out, by the place where they stand.

    `known` are the ids of all media that were looked at.
    """

    entries: list[Entry]
    unreadable: dict[str, str]
    undecided: int = 0
    known: frozenset[str] = frozenset()


class Catalog:
    """The catalog of one provider in an archive. `cache` keeps what was read of it."""

    def __init__(self, archive: Archive, retrieval: Retrieval, provider: str, cache: Cache | None = None) -> None:
        self._archive = archive
        self._retrieval = retrieval
        self._provider = provider
        self._cache = cache

    def select(self, selection: Selection) -> Selected:
        """The entries that are selected, each with those originals alone that are.

        What cannot be read, or is no entry of the medium that it tells of, keeps no other from being had; whether it
        would be selected is unknown.
        `InvalidInput` if that or nothing is there of an id that is asked for.
        """
        unreadable: dict[str, str] = {}
        if selection.media_ids:
            entries = [self.entry(one) for one in dict.fromkeys(selection.media_ids)]
        else:
            entries = list(self._readable(unreadable))
        found = [Entry(one.medium, one.archived_at, one.missing, selection.of(one)) for one in entries]
        chosen = sorted((one for one in found if one.originals), key=_order)
        undecided = sum(selection.is_undecided(one.medium) for one in entries)
        known = frozenset(one.medium.media_id for one in entries)
        return Selected(chosen, dict(sorted(unreadable.items())), undecided, known)

    def entry(self, media_id: str) -> Entry:
        """The entry of one medium; `InvalidInput` if there is none."""
        key = catalog_key(self._provider, media_id)
        try:
            text = self._text(key)
        except InvalidInput:
            raise InvalidInput(
                f"The catalog has no entry of {printable(media_id)}. What is archived: cloud-sync ls; what waits or "
                f"failed: cloud-sync status. If it was archived: {HOW_TO_MEND}"
            ) from None
        try:
            return _entry(key, text)
        except InvalidInput as error:
            raise InvalidInput(f"{self._archive.location(key)}: {error}") from None

    def _readable(self, unreadable: dict[str, str]) -> Iterator[Entry]:
        for key, text in self._texts(unreadable).items():
            try:
                yield _entry(key, text)
            except InvalidInput as error:
                unreadable[self._place(key)] = str(error)

    def _texts(self, unreadable: dict[str, str]) -> dict[str, str]:
        listed = self._retrieval.documents(catalog_prefix(self._provider))
        tags = {one.key: one.tag for one in listed if one.key.endswith(".json")}
        kept = self._cache.load() if self._cache else {}
        texts = {key: kept[key][1] for key, tag in tags.items() if key in kept and kept[key][0] == tag}
        unread = [key for key in tags if key not in texts]
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="catalog") as pool:
            read = pool.map(lambda key: self._text_or_none(key, unreadable), unread)
            texts |= {key: text for key, text in zip(unread, read, strict=True) if text is not None}
        if self._cache and (unread or kept.keys() != tags.keys()):
            self._cache.save({key: (tags[key], text) for key, text in texts.items()})
        return texts

    def _text_or_none(self, key: str, unreadable: dict[str, str]) -> str | None:
        try:
            return self._text(key)
        except CloudSyncError as error:
            why = str(error)
        except OSError as error:
            mended = f" {HOW_TO_MEND}" if error.errno == errno.EIO else ""
            why = f"The disk cannot read it ({error.strerror}).{mended}"
        unreadable[self._place(key)] = why
        return None

    def _place(self, key: str) -> str:
        try:
            return self._archive.location(key)
        except InvalidInput:  # a file may have a name that is no key
            return key

    def _text(self, key: str) -> str:
        return b"".join(self._archive.read_document(key)).decode("utf-8", "replace")


def _entry(key: str, text: str) -> Entry:
    """The entry that `text` at `key` is; `InvalidInput` says why it is none, and what to do."""
    try:
        entry = Entry.from_lines([text.encode()])
    except InvalidInput as error:
        raise InvalidInput(f"{error} {HOW_TO_MEND}") from None
    if entry.key != key:
        raise InvalidInput(f"It is the entry of another medium. {HOW_TO_MEND} Move a stray copy away yourself.")
    return entry


def wanted(entries: Sequence[Entry]) -> list[Wanted]:
    """The originals of entries."""
    return [Wanted(one.stored, entry.medium.captured_at) for entry in entries for one in entry.originals]


def _order(entry: Entry) -> tuple[bool, datetime, str]:
    moment = moment_of(entry.medium)
    return moment is None, moment or datetime.min.replace(tzinfo=UTC), entry.medium.media_id


def _fits(text: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(text.casefold(), pattern.casefold()) for pattern in patterns)


def _parts(text: str) -> tuple[int, int, int]:
    found = _DATE.fullmatch(text.strip())
    if not found:
        raise InvalidInput(f"{text} is no date. Give a year, a month or a day: 2026, 2026-03 or 2026-03-01.")
    year, month, day = (int(part or 0) for part in found.groups())
    return year, month, day


def _date(text: str, year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        raise InvalidInput(f"There is no day {text}.") from None
