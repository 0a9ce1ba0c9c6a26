"""Where originals go. Confirmed means: the store itself reported this length and this checksum for the object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from core.model import Stored, format_time, printable


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
    source_version: str = ""
    damage: str = ""

    def metadata(self) -> dict[str, str]:
        """The label as flat ASCII text pairs, as object metadata takes them."""
        pairs = {
            "provider": self.provider,
            "media-id": self.media_id,
            "item-number": str(self.item_number),
            "role": self.role,
            "captured-at": format_time(self.captured_at) or "",
            "run-id": self.run_id,
            "source-version": self.source_version,
            "damage": self.damage,
        }
        return {
            name: printable(value).encode("ascii", "backslashreplace").decode()
            for name, value in pairs.items()
            if value
        }


@dataclass(frozen=True, slots=True)
class PartLimits:
    """Bytes that a part must and may have (the last may be shorter), and how many parts an object may have."""

    smallest: int
    largest: int
    most: int


@dataclass(frozen=True, slots=True)
class Shape:
    """How an object is cut: `part_size` bytes a part but the last, `length` bytes in all, None if that is not known."""

    part_size: int
    length: int | None


class Upload(Protocol):
    """An object on its way in parts; it is not there before `complete` returns. Several threads may write parts.

    `upload_id` is the store's name for it, by which it can be resumed if its length is known.
    """

    upload_id: str

    def parts(self) -> Mapping[int, int]:
        """The lengths of the parts that the store has confirmed, by number."""
        ...

    def write_part(self, number: int, part: memoryview, digest: bytes) -> None:
        """Store part `number` (from 1), of which `digest` is the SHA-256."""
        ...

    def complete(self, length: int, sha256: str | None = None) -> Stored:
        """Make the object from its parts and have it confirmed. `IntegrityError` if the store does not confirm it."""
        ...

    def abort(self) -> None:
        """Throw the parts away."""
        ...


class Archive(Protocol):
    """A store of originals and of small documents beside them. Keys have `/` between segments."""

    limits: PartLimits

    def find(self, key: str) -> Stored | None:
        """What is stored and confirmed at `key`, or None."""
        ...

    def adopt(self, known: Stored, label: Label) -> Stored | None:
        """Confirm again what the catalog knows, where the store has lost its own record of it; None if it cannot.

        Run, version and damage of `label` are those that are known.
        """
        ...

    def put(self, key: str, body: memoryview, label: Label, sha256: str, *, replaces: bool = False) -> Stored:
        """Store a whole original at once and have it confirmed. `IntegrityError` if the store does not confirm it.

        What another worker has stored in the meantime is not replaced unless that is wanted: it is returned if it is
        the same, else `TransientError` is raised. So it is when an upload is completed.
        """
        ...

    def start(self, key: str, label: Label, shape: Shape, *, replaces: bool = False) -> Upload:
        """Begin an original that comes in parts."""
        ...

    def resume(self, key: str, label: Label, shape: Shape, upload_id: str, *, replaces: bool = False) -> Upload | None:
        """Go on with an original that was begun with the same shape; None if the store no longer knows of it."""
        ...

    def discard(self, key: str, upload_id: str) -> None:
        """Throw away the parts of an upload that will not be completed; none is left if the store knows of none."""
        ...

    def put_document(self, key: str, source: bytes | Path) -> None:
        """Store a document of the product's own (catalog, manifest, report)."""
        ...

    def read_document(self, key: str) -> Iterator[bytes]:
        """The lines of a document with their ends, one after the other. `InvalidInput` if there is none at `key`."""
        ...

    def document_keys(self, prefix: str) -> Iterator[str]:
        """The keys of the documents under `prefix`, which ends with a slash."""
        ...

    def location(self, key: str) -> str:
        """Where a person finds `key`: an `s3://` address or a path."""
        ...


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing tells it. `version_id` names these very bytes, "" where the store has no versions."""

    key: str
    length: int
    version_id: str = ""


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """An upload in parts that was begun and neither completed nor aborted."""

    key: str
    upload_id: str
    begun_at: datetime


def same_bytes(found: Stored, known: Stored) -> bool:
    """Whether what the store says of an object proves that it is still the one that is known; its version, or checksum.

    Two checksums over parts of different lengths prove nothing.
    """
    if known.version_id and known.version_id != "null" and found.version_id == known.version_id:
        return True
    if known.store_checksum:
        return (found.length, found.store_checksum) == (known.length, known.store_checksum)
    return found.sha256 is not None and (found.length, found.sha256) == (known.length, known.sha256)


class Verdict(StrEnum):
    """What an object is, held against what the catalog tells of it.

    MISTOLD: the object is the one that was confirmed once, and the catalog tells something else of it.
    """

    SOUND = "sound"
    MISSING = "missing"
    DAMAGED = "damaged"
    MISTOLD = "mistold"


class Inventory(Protocol):
    """What an archive really holds; nothing here moves, restores or, unless that is asked for, reads an original."""

    def objects(self, prefix: str) -> Iterator[Listed]:
        """Every object whose key begins with `prefix`, from listings alone."""
        ...

    def judge(self, known: Stored, listed: Listed, *, checksums: bool) -> tuple[Verdict, str]:
        """Whether `listed` is what the catalog knows, and what is wrong; `checksums` asks for every one of them."""
        ...

    def label(self, key: str) -> Mapping[str, str]:
        """What the object carries about itself (`Label.metadata`), empty if nothing."""
        ...

    def distrust(self, key: str) -> None:
        """See to it that a damaged object is not taken for confirmed by the next transfer; it stays where it is."""
        ...

    def open_uploads(self, prefix: str) -> Iterator[OpenUpload]:
        """The uploads in parts that are open."""
        ...
