"""The catalog's entry of a medium: what the provider said of it and what was archived. One JSON document a medium."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from core.archive.keys import catalog_key
from core.errors import InvalidInput
from core.model import Json, Medium, Stored, format_time, parse_time

_SHA256 = re.compile(r"[0-9a-f]{64}")
_STORE_CHECKSUM = re.compile(r"(SHA256:[A-Za-z0-9+/]{43}=(-\d+)?)?")

#: What lengths and numbers stay below, so that every disk and database takes them.
_MOST = 2**63

#: Nothing was archived before this year.
_FIRST_YEAR = 1970


@dataclass(frozen=True, slots=True)
class Archived:
    """One original of an entry: where it stands among the others, and what the store confirmed of it."""

    item_number: int
    role: str
    camera_position: str
    stored: Stored


@dataclass(frozen=True, slots=True)
class Entry:
    """What the catalog keeps of a medium. `missing` says which originals were not offered yet, "" if none is."""

    medium: Medium
    archived_at: datetime | None
    missing: str
    originals: tuple[Archived, ...]

    @property
    def key(self) -> str:
        """Where the catalog keeps it; a document at another key is no entry."""
        return catalog_key(self.medium.provider, self.medium.media_id)

    @property
    def length(self) -> int:
        """Bytes of all originals together."""
        return sum(one.stored.length for one in self.originals)

    @property
    def damage(self) -> str:
        """What is wrong with recordings that were damaged at their source already, "" if nothing is."""
        stored = (one.stored for one in self.originals)
        return "; ".join(f"{one.key.rpartition('/')[2]}: {one.damage}" for one in stored if one.damage)

    def to_bytes(self) -> bytes:
        """The entry as the archive keeps it."""
        document = self.medium.to_json() | {
            "archived_at": format_time(self.archived_at),
            "missing": self.missing,
            "originals": [
                one.stored.to_json()
                | {
                    "item_number": one.item_number,
                    "role": one.role,
                    "camera_position": one.camera_position,
                }
                for one in self.originals
            ],
        }
        return json.dumps(document, ensure_ascii=False, indent=1).encode()

    @classmethod
    def from_lines(cls, lines: Iterable[bytes]) -> Entry:
        """The entry of a stored document; `InvalidInput` if it cannot be read, or tells what no entry can tell.

        The keys of its originals are taken as they are: whether they can be is asked where they are used.
        """
        try:
            document = json.loads(b"".join(lines))
            json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair can be written nowhere
            medium, archived_at = Medium.from_json(document), parse_time(document["archived_at"])
            if not isinstance(medium.facts, Mapping):
                raise TypeError("facts")
            return cls(
                medium=medium,
                archived_at=archived_at if archived_at and archived_at.year >= _FIRST_YEAR else None,
                missing=_text(document, "missing"),
                originals=tuple(map(_archived, document["originals"])),
            )
        except (InvalidInput, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InvalidInput(f"The catalog entry cannot be read ({type(error).__name__}).") from None


def _archived(told: Mapping[str, Json]) -> Archived:
    sha256, store_checksum, part_size = told["sha256"], _text(told, "store_checksum"), told.get("part_size")
    if not ((sha256 is None or _SHA256.fullmatch(sha256)) and _STORE_CHECKSUM.fullmatch(store_checksum)):
        raise ValueError("not a checksum")
    if part_size is not None and not _count(part_size):
        raise ValueError("parts without a byte")
    stored = Stored(
        key=_text(told, "key"),
        length=_count(told["length"]),
        sha256=sha256,
        store_checksum=store_checksum,
        version_id=told["version_id"] and _text(told, "version_id"),
        run_id=told["run_id"] and _text(told, "run_id"),
        part_size=part_size,
        source_version=_text(told, "source_version"),
        damage=_text(told, "damage"),
    )
    return Archived(_count(told["item_number"]), _text(told, "role"), _text(told, "camera_position"), stored)


def _text(told: Mapping[str, Json], name: str) -> str:
    if not isinstance(told[name], str):
        raise TypeError(name)
    return str(told[name])


def _count(value: Json) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _MOST:
        raise TypeError("not a count")
    return value
