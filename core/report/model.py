"""What the report tells: media of the gallery, what became of others, and one run as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from core.archive.keys import month_of
from core.model import Json, Medium, format_time, parse_time


@dataclass(frozen=True, slots=True)
class Item:
    """A medium that is archived: `length` bytes in so many originals."""

    media_id: str
    name: str
    kind: str
    month: str
    moment: datetime | None
    originals: int
    length: int

    @classmethod
    def of(cls, medium: Medium, originals: int, length: int) -> Item:
        """The item of a medium; its moment is that of capture, else of upload."""
        moment = medium.captured_at or parse_time(medium.facts.get("created_at"))
        return cls(medium.media_id, medium.filename, medium.kind, month_of(medium), moment, originals, length)

    def to_json(self) -> list[Json]:
        """A line of a month's document, or of the manifest of what came."""
        return [
            self.media_id,
            self.name,
            self.kind,
            self.month,
            format_time(self.moment),
            self.originals,
            self.length,
        ]

    @classmethod
    def from_json(cls, told: Json) -> Item:
        """The item of such a line; `ValueError` or `TypeError` if it is none."""
        media_id, name, kind, month, moment, originals, length = told
        return cls(str(media_id), str(name), str(kind), str(month), parse_time(moment), int(originals), int(length))


@dataclass(frozen=True, slots=True)
class Note:
    """A medium that did not come, and why."""

    media_id: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Told:
    """One run, or how the archive stands (`run_id` is "" then).

    The sequences may be shorter than the counts beside them say. `bytes_moved` is what the run transferred, `cause` why
    it failed as a whole, "" if it did not. Ended runs have `duration` in seconds.
    """

    provider: str
    run_id: str
    status: str
    at: datetime
    came: Sequence[Item] = ()
    came_count: int = 0
    bytes_moved: int = 0
    failed: Sequence[Note] = ()
    failed_count: int = 0
    waiting: Sequence[Note] = ()
    waiting_count: int = 0
    damaged: Sequence[Note] = ()
    lost: Sequence[Note] = ()
    gone: int = 0
    unseen: int = 0
    duration: float | None = None
    cause: str = ""
    pictures: dict[str, bytes] = field(default_factory=dict)
