"""How far a plan looks: over the whole library, or from its newest media down to known ground.

The rule and what it rests on are written down in docs/decisions/0005-known-ground.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.model import Medium, format_time, parse_time
from core.providers.base import ListingReport

#: A week, less half a day, so that a nightly run that starts a little earlier than the last does not put it off.
FULL_SCAN_AFTER = timedelta(days=6, hours=12)

#: So many media in a row that the tracker knows are known ground.
KNOWN_IN_A_ROW = 100

#: A medium whose upload has not finished is looked for beyond known ground for so long, and so many media deep.
AWAITED_FOR = timedelta(days=7)
AWAITED_WITHIN = 1000


@dataclass(frozen=True, slots=True)
class LastScan:
    """What earlier listings proved: the whole library was seen at `at`, and held `count` media at the last look."""

    at: datetime
    count: int

    def is_recent(self, now: datetime) -> bool:
        """Whether a short walk may build on it; not if the clock says that it lies ahead."""
        return timedelta(0) <= now - self.at < FULL_SCAN_AFTER

    def to_text(self) -> str:
        """The form in which the tracker keeps it."""
        return json.dumps({"at": format_time(self.at), "count": self.count})

    @classmethod
    def from_text(cls, text: str) -> LastScan | None:
        """What the tracker kept, None if that is nothing, or nothing that can be read."""
        try:
            kept = json.loads(text)
            at, count = parse_time(kept["at"]), kept["count"]
        except (ValueError, KeyError, TypeError):
            return None
        return cls(at, count) if at and isinstance(count, int) else None


class ShortWalk:
    """A walk from the newest medium downwards, and whether it may end. `awaited` are ids that it should still meet."""

    def __init__(self, last: LastScan, awaited: Iterable[str]) -> None:
        self._last = last
        self._awaited = set(awaited)
        self._in_a_row = self._walked = self._unknown = 0

    def pass_by(self, medium: Medium, *, is_known: bool) -> None:
        """Go on by one medium; `is_known` says that the tracker has had a record of it."""
        self._walked += 1
        self._unknown += not is_known
        self._in_a_row = self._in_a_row + 1 if is_known else 0
        self._awaited.discard(medium.media_id)

    def may_end(self, report: ListingReport) -> bool:
        """Whether nothing new can lie behind: known ground, and the provider counts no medium that nobody knows of."""
        if self._in_a_row < KNOWN_IN_A_ROW or (self._awaited and self._walked < AWAITED_WITHIN):
            return False
        known = self._last.count + self._unknown
        return report.steady and report.expected is not None and report.expected <= known
