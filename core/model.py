"""The nouns of the domain: frozen, typed, with their JSON form where they cross a process.

Lengths are bytes, times are aware UTC `datetime`s, checksums are lower-case hex SHA-256.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from core.errors import InvalidInput

Json = Any  # a JSON document as `json.loads` gives it


def utc_now() -> datetime:
    """Now, as aware UTC."""
    return datetime.now(UTC)


def parse_time(text: object) -> datetime | None:
    """An ISO 8601 time as aware UTC (UTC is assumed where no offset is told), or None if it cannot be read."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def format_time(moment: datetime | None) -> str | None:
    """A time as ISO 8601 in UTC with `Z`, or None."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else None


def counted(number: int, one: str, more: str | None = None) -> str:
    """A number with its noun: 1 medium, 1,204 media."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def printable(text: str) -> str:
    """Text for people's eyes: without what could steer a terminal or break a line."""
    return "".join(character if character.isprintable() else "�" for character in text)


@dataclass(frozen=True, slots=True)
class Medium:
    """One entry of the library, as listed. `length_hint` (bytes, all originals together) may be wrong or None.

    `state` is the provider's word for how far processing is; `arriving` says that its upload to the cloud has not
    finished, so that there is nothing to fetch yet. `facts` keeps what else the provider said, without tokens, URLs and
    user ids: it goes into the catalog.
    """

    provider: str
    media_id: str
    filename: str
    kind: str
    state: str
    captured_at: datetime | None
    length_hint: int | None
    item_count: int | None
    facts: Mapping[str, Json] = field(default_factory=dict)
    arriving: bool = False

    def to_json(self) -> dict[str, Json]:
        """The medium as a manifest line."""
        return {
            "provider": self.provider,
            "media_id": self.media_id,
            "filename": self.filename,
            "kind": self.kind,
            "state": self.state,
            "captured_at": format_time(self.captured_at),
            "length_hint": self.length_hint,
            "item_count": self.item_count,
            "arriving": self.arriving,
            "facts": dict(self.facts),
        }

    def to_text(self) -> str:
        """The medium as the tracker keeps it with an unfinished record."""
        return json.dumps(self.to_json(), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Medium | None:
        """The medium that the tracker kept, None for ""."""
        return cls.from_json(json.loads(text)) if text else None

    @classmethod
    def from_json(cls, document: Json) -> Medium:
        """The medium of a manifest line; `InvalidInput` names what is missing."""
        try:
            provider, media_id = document["provider"], document["media_id"]
            if not (isinstance(provider, str) and provider and isinstance(media_id, str) and media_id):
                raise InvalidInput("In a manifest line provider and media_id must be text. Plan the sync again.")
            return cls(
                provider=provider,
                media_id=media_id,
                filename=str(document.get("filename") or ""),
                kind=str(document.get("kind") or ""),
                state=str(document.get("state") or ""),
                captured_at=parse_time(document.get("captured_at")),
                length_hint=document.get("length_hint"),
                item_count=document.get("item_count"),
                facts=document.get("facts") or {},
                arriving=bool(document.get("arriving", False)),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidInput(
                f"A manifest line needs provider and media_id; this one has no {error}. Plan the sync again."
            ) from None


@dataclass(frozen=True, slots=True)
class Original:
    """One file of a medium that must be archived. `item_number` counts from 1 within its `role`.

    `role` says what it is: source, file, raw_photo, baked_source; `unmarked` for the only file on offer, which no label
    calls an original. `extension` has no dot. `locator` is a URL that lives an hour: it never reaches a log or a state.
    """

    media_id: str
    item_number: int
    role: str
    extension: str
    camera_position: str = ""
    locator: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Offer:
    """What the provider offers of a medium now. `missing` says what is not there yet, "" if that is every original.

    `thumbnail` is where a small picture can be had, "" if nowhere: a URL that, like a locator, never reaches a log.
    """

    originals: tuple[Original, ...]
    missing: str = ""
    thumbnail: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Account:
    """Whose library it is and how many media it says it has; both only for the user's eyes."""

    user_id: str = field(repr=False)
    media_count: int | None = None
    total_length: int | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """An object that the archive confirmed.

    `sha256` is of the whole object, None where it went to S3 in parts. `store_checksum` is the store's own, such as
    `SHA256:base64-N`: the SHA-256 over the SHA-256 of its N parts, each of `part_size` bytes but the last.
    `source_version` is the validator of the bytes that were read, `damage` what is wrong with them as a recording, both
    "" if unknown or none. `run_id` is the run that moved it, if known.
    """

    key: str
    length: int
    sha256: str | None
    store_checksum: str = ""
    version_id: str | None = None
    run_id: str | None = None
    part_size: int | None = None
    source_version: str = ""
    damage: str = ""

    def to_json(self) -> dict[str, Json]:
        """The object as the catalog keeps it."""
        return asdict(self)


class Status(StrEnum):
    """Where a medium stands. COMPLETED means that every original is in the archive, confirmed by the store."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    SOURCE_GONE = "SOURCE_GONE"

    @property
    def is_final(self) -> bool:
        """Whether no later run has anything to do for it."""
        return self in (Status.COMPLETED, Status.SOURCE_GONE)


class Reason(StrEnum):
    """Why a medium is PENDING. AGAIN: planned, but some of it may be archived: it had gone, or has grown."""

    PLANNED = "planned"
    AGAIN = "planned_again"
    NOT_READY = "not_ready"
    CREDENTIALS = "credentials"
    CANCELLED = "cancelled"
    NOT_VERIFIED = "not_verified"


@dataclass(frozen=True, slots=True)
class Record:
    """The tracker's record of one medium.

    `length` is the sum of its archived originals, `moved` what `run_id` itself transferred of that (bytes). `items` is
    what its listing counted when it was archived, 0 if nothing. `medium` is the medium as last listed, kept while it is
    unfinished, so that it can be planned without being listed again.
    """

    provider: str
    media_id: str
    status: Status
    run_id: str
    updated_at: datetime
    filename: str = ""
    reason: str = ""
    error_type: str = ""
    error: str = ""
    originals: int = 0
    length: int = 0
    moved: int = 0
    items: int = 0
    medium: Medium | None = None

    @property
    def is_untried(self) -> bool:
        """Whether no transfer of the medium was ever begun."""
        return self.status is Status.PENDING and self.reason == Reason.PLANNED
