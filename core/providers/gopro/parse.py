"""Reads what the API says of media, leniently: what can't be read is noted and left out, the rest goes on."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping

from core.model import Account, Json, Medium, parse_time, printable
from core.providers.base import ListingReport
from core.providers.gopro.api import FIELDS
from core.providers.gopro.listing import Page

PROVIDER = "gopro"

#: Sets of photos: the entries of `files` are the frames, and a lone `source` is only their cover.
FRAME_SETS = frozenset({"TimeLapse", "Burst", "Continuous"})

#: Videos, in one file or in chapters.
VIDEOS = frozenset(
    {
        "Video",
        "TimeLapseVideo",
        "BurstVideo",
        "Chaptered",
        "Livestream",
        "Looped",
        "LoopedVideo",
        "ExternalVideo",
        "Audio",
    }
)

#: What GoPro made out of other media.
EDITS = frozenset({"MultiClipEdit", "Edit"})

KINDS = FRAME_SETS | VIDEOS | EDITS | {"Photo", "Session"}

#: The upload to the cloud has not finished.
ARRIVING = frozenset({"registered", "loading", "uploading"})

STATES = ARRIVING | {
    "pretranscoding",
    "transcoding",
    "rendering",
    "processing",
    "stabilizing",
    "updating",
    "ready",
    "failure",
    "live",
    "unknown",
}

_NEEDED = ("filename", "type", "ready_to_view", "captured_at", "file_size", "item_count")
_SAID_OTHERWISE = frozenset({"id", *_NEEDED})
_PERSONAL_NAME = re.compile(r"token|user|url|href|secret|cookie|e?mail", re.IGNORECASE)
_PERSONAL_TEXT = re.compile(r"://|^\s*//|\beyJ[\w-]{8}|eyJ[\w-]{16}")
_PERSONAL_WORD = re.compile(r"://|eyJ[\w-]{16,}\.[\w-]{8}")
_LONGEST_ID = 200  # bytes: as metadata of an object, which may be 2 KB in all (Amazon S3), they may become 600
_LONGEST_TEXT = 1000
_LONGEST_FACT = 4000
_LONGEST_FACTS = 64_000
_MOST_VALUES = 100
_DEEPEST = 4
_MOST_NOVELTIES = 50
_LARGEST = 2**63


def read_page(answer: Mapping[str, Json]) -> Page:
    """The page that a search answer holds; counts that are not told are None."""
    pages = answer.get("_pages")
    pages = pages if isinstance(pages, dict) else {}
    return Page(
        rows=tuple(answer["_embedded"]["media"]),
        total_items=read_count(pages.get("total_items")),
        total_pages=read_count(pages.get("total_pages")),
        size=read_count(pages.get("per_page")),
    )


def read_account(answer: Mapping[str, Json]) -> Account:
    """The account that the user endpoint describes. `total_count` may include the trash."""
    return Account(
        user_id=_text(answer.get("id")),
        media_count=read_count(answer.get("total_count")),
        total_length=read_count(answer.get("total_storage")),
    )


def read_medium(row: Json, report: ListingReport) -> Medium | None:
    """The medium of a row; what is new about it is noted in `report`. None if not even its id can be read."""
    media_id = _media_id(row)
    if media_id is None:
        note(report, "a medium without a readable id")
        return None
    kind, state = impersonal(row.get("type")), impersonal(row.get("ready_to_view"))
    for name in _NEEDED:
        if name not in row:
            note(report, f"no {name} in a medium")
    if kind and kind not in KINDS:
        note(report, f"type {kind}")
    if state and state not in STATES:
        note(report, f"ready_to_view {state}")
    return Medium(
        provider=PROVIDER,
        media_id=media_id,
        filename=impersonal(row.get("filename")),
        kind=kind,
        state=state,
        captured_at=parse_time(row.get("captured_at")),
        length_hint=read_count(row.get("file_size")),
        item_count=read_count(row.get("item_count")),
        facts=_facts(row),
        arriving=state in ARRIVING,
    )


def note(report: ListingReport, novelty: str) -> None:
    """Add to what this version does not know; a flood of novelties is cut off."""
    if len(report.novelties) < _MOST_NOVELTIES:
        report.novelties.add(printable(novelty[:100]))


def read_count(value: Json) -> int | None:
    """A count or length, which may come as text; None unless it is a whole number from 0."""
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,19}\s*", value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _LARGEST:
        return None
    return value


def _media_id(row: Json) -> str | None:
    """Opaque text, or a number; None if it cannot be part of an address and a key."""
    if not isinstance(row, dict):
        return None
    found = row.get("id")
    if isinstance(found, int) and not isinstance(found, bool):
        found = str(read_count(found) or "")
    if not isinstance(found, str) or found in (".", "..") or not found.isprintable() or " " in found:
        return None
    return found if 0 < len(found.encode()) <= _LONGEST_ID and not _PERSONAL_WORD.search(found) else None


def _text(value: Json) -> str:
    """Text that UTF-8 can hold, cut at a length no name needs; "" for anything else."""
    return value[:_LONGEST_TEXT].encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def impersonal(value: Json) -> str:
    """Text, "" if it holds an address or a token: a name is shown, logged and part of a key."""
    text = _text(value)
    return "" if _PERSONAL_WORD.search(text) else text


def _facts(row: Mapping[str, Json]) -> dict[str, Json]:
    """The listed fields that `Medium` has no place for, without anything personal or fetchable.

    All of them together fit a state of the workflow (256 KB) many times.
    """
    facts: dict[str, Json] = {}
    room = _LONGEST_FACTS
    for name in FIELDS:
        fact = None if name in _SAID_OTHERWISE else _fact(row.get(name), 0)
        if fact is None:
            continue
        told = json.dumps(fact)  # as a manifest holds it
        length = len(told)
        if length <= room and (length <= _LONGEST_FACT or len(json.dumps(fact, ensure_ascii=False)) <= _LONGEST_FACT):
            room -= length
            facts[name] = fact
    return facts


def _fact(value: Json, depth: int) -> Json:
    if isinstance(value, str):
        return None if _PERSONAL_TEXT.search(_text(value)) else _text(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < _LARGEST else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth >= _DEEPEST:
        return None
    if isinstance(value, list):
        return [_fact(one, depth + 1) for one in value[:_MOST_VALUES]]
    if isinstance(value, dict):
        kept = [(_text(name)[:100], one) for name, one in list(value.items())[:_MOST_VALUES]]
        kept = [pair for pair in kept if not (_PERSONAL_NAME.search(pair[0]) or _PERSONAL_TEXT.search(pair[0]))]
        facts = {name: _fact(one, depth + 1) for name, one in kept}
        return {name: fact for name, fact in facts.items() if fact is not None}
    return None
