"""What a look at one part came to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.model import Json


class Level(StrEnum):
    """How it stands with a part. What could not be looked at is never well."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Check:
    """One part: what was seen there, and what to do about it, "" if nothing."""

    part: str
    level: Level
    saw: str
    remedy: str = ""

    def to_json(self) -> dict[str, Json]:
        """For scripts."""
        return {"part": self.part, "level": self.level.value, "saw": self.saw, "remedy": self.remedy}
