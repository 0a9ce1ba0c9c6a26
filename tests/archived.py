"""A backup as transfers would have left it, made without a cloud: originals, their catalog, records of the tracker."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

from core.archive.base import Archive, Label, Shape
from core.archive.catalog import Archived, Entry
from core.archive.keys import catalog_key, original_keys
from core.model import Json, Medium, Original, Stored, utc_now


@dataclass(frozen=True)
class Film:
    """A medium with originals of these lengths (bytes), each of random bytes."""

    media_id: str
    filename: str = "GX010001.MP4"
    captured_at: datetime | None = datetime(2026, 3, 1, 9, 15, tzinfo=UTC)
    lengths: tuple[int, ...] = (100_000,)
    facts: Mapping[str, Json] = field(default_factory=lambda: {"camera_model": "HERO12 Black"})
    part_size: int | None = None


def content(film: Film, number: int) -> bytes:
    """The bytes of an original, always the same."""
    return Random(f"{film.media_id}/{number}").randbytes(film.lengths[number - 1])


def store(archive: Archive, film: Film) -> Entry:
    """Archive a film as a transfer does."""
    medium = Medium("gopro", film.media_id, film.filename, "Video", "ready", film.captured_at, None, 1, film.facts)
    if len(film.lengths) > 1:
        medium = Medium(
            "gopro", film.media_id, film.filename, "Chaptered", "ready", film.captured_at, None, len(film.lengths),
            film.facts,
        )  # fmt: skip
    originals = [Original(film.media_id, number, "source", "mp4") for number in range(1, len(film.lengths) + 1)]
    archived = [
        Archived(one.item_number, one.role, "", _stored(archive, film, one, key))
        for one, key in zip(originals, original_keys(medium, originals), strict=True)
    ]
    entry = Entry(medium, utc_now(), "", tuple(archived))
    archive.put_document(catalog_key("gopro", film.media_id), entry.to_bytes())
    return entry


def store_all(archive: Archive, films: Iterable[Film], workers: int = 16) -> list[Entry]:
    """Archive many at once."""
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda film: store(archive, film), films))


def _stored(archive: Archive, film: Film, original: Original, key: str) -> Stored:
    body = content(film, original.item_number)
    label = Label("gopro", film.media_id, original.item_number, original.role, film.captured_at, "filled")
    if not film.part_size:
        return archive.put(key, memoryview(bytearray(body)), label, hashlib.sha256(body).hexdigest())
    upload = archive.start(key, label, Shape(film.part_size, len(body)))
    for number, start in enumerate(range(0, len(body), film.part_size), start=1):
        part = bytearray(body[start : start + film.part_size])
        upload.write_part(number, memoryview(part), hashlib.sha256(part).digest())
    return upload.complete(len(body))
