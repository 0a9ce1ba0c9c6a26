"""What is kept beside the archive of an upload in parts that was begun, so that it can be gone on with, or ended."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Self

from core.archive.base import Archive
from core.archive.keys import originals_prefix, safe_id
from core.tracker.base import Checkpoints


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An upload in parts that was begun, and of what source. `starts`: how often the run has begun the file so far."""

    upload_id: str
    part_size: int
    length: int
    version: str
    damage: str = ""
    run_id: str = ""
    starts: int = 1

    @classmethod
    def read(cls, text: str) -> Self | None:
        """The checkpoint as it was kept; None if there is none that can be read."""
        try:
            known = cls(**json.loads(text))
        except (ValueError, TypeError):
            return None
        numbers = (known.part_size, known.length, known.starts)
        return known if known.upload_id and all(isinstance(one, int) and one > 0 for one in numbers) else None

    def to_text(self) -> str:
        """The checkpoint as it is kept."""
        return json.dumps(asdict(self))


def end_upload(archive: Archive, checkpoints: Checkpoints, key: str) -> None:
    """Throw away what has arrived in parts for `key`, if an upload of it was begun."""
    kept = checkpoints.recall(key)
    if not kept:
        return
    if known := Checkpoint.read(kept):
        archive.discard(key, known.upload_id)
    checkpoints.drop(key)


def end_uploads(archive: Archive, checkpoints: Checkpoints, provider: str, media_id: str) -> None:
    """Throw away what has arrived in parts of a medium that no run will go on with; nobody may be at it."""
    name = safe_id(media_id)
    for key in list(checkpoints.names(originals_prefix(provider))):
        if key.split("/")[-2] == name:
            end_upload(archive, checkpoints, key)
