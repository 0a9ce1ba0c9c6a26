"""Where originals go. Confirmed means: the store itself reported this length and this checksum for the object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from core.model import Stored, format_time


@dataclass(frozen=True, slots=True)
class Label:
    """What an object carries about itself."""

    provider: str
    media_id: str
    item_number: int
    role: str
    captured_at: datetime | None
    run_id: str
    tags: Mapping[str, str] = field(default_factory=dict)

    def metadata(self) -> dict[str, str]:
        """The label as flat ASCII text pairs, as object metadata takes them."""
        pairs = {
            "provider": self.provider,
            "media-id": self.media_id,
            "item-number": str(self.item_number),
            "role": self.role,
            "captured-at": format_time(self.captured_at) or "",
            "run-id": self.run_id,
        }
        return {name: value.encode("ascii", "backslashreplace").decode() for name, value in pairs.items() if value}


class Upload(Protocol):
    """An object on its way in parts; it is not there before `complete` returns."""

    def write_part(self, number: int, part: memoryview) -> None:
        """Store part `number` (from 1). All but the last have the archive's part size."""
        ...

    def complete(self, length: int, sha256: str) -> Stored:
        """Make the object from its parts and have it confirmed. `IntegrityError` if the store does not confirm it."""
        ...

    def abort(self) -> None:
        """Throw the parts away."""
        ...


class Archive(Protocol):
    """A store of originals and of small documents beside them. Keys have `/` between segments."""

    def part_size(self, length: int | None) -> int:
        """Bytes of a part for an object of `length` bytes (None: unknown); what fits into one goes through `put`."""
        ...

    def find(self, key: str) -> Stored | None:
        """What is stored and confirmed at `key`, or None."""
        ...

    def put(self, key: str, body: memoryview, label: Label, sha256: str) -> Stored:
        """Store a whole original at once and have it confirmed. `IntegrityError` if the store does not confirm it."""
        ...

    def start(self, key: str, label: Label) -> Upload:
        """Begin an original that comes in parts."""
        ...

    def put_document(self, key: str, source: bytes | Path) -> None:
        """Store a document of the product's own (catalog, manifest, report)."""
        ...

    def read_document(self, key: str) -> Iterator[bytes]:
        """The lines of a document, one after the other. `InvalidInput` if there is none at `key`."""
        ...

    def location(self, key: str) -> str:
        """Where a person finds `key`: an `s3://` address or a path."""
        ...
