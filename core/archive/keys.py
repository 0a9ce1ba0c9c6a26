"""Under which keys originals, catalog entries, manifests and reports are kept. Pure, and the same for the same input."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime

from core.model import Medium, Original, parse_time

#: UTF-8 bytes of a name: file systems and backup tools take 255, and a suffix may come on top.
LONGEST_NAME = 200

_FORBIDDEN = re.compile(r'[\\/<>:"|?*]')
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_CHAPTERED = re.compile(r"(G[A-Z])01(\d{4})")
_SANE_EXTENSION = re.compile(r"[A-Za-z0-9]{1,8}")


def safe_name(name: str) -> str:
    """A name that is one segment of a key and one file name on any system, and stays readable; "" if nothing is left."""
    text = unicodedata.normalize("NFC", name)
    text = "".join(c for c in text if unicodedata.category(c)[0] != "C" and unicodedata.category(c) not in ("Zl", "Zp"))
    text = _FORBIDDEN.sub("_", text).strip().rstrip(". ")
    if _DEVICE.fullmatch(text):
        text = f"_{text}"
    return _cut(text, LONGEST_NAME)


def safe_id(identifier: str) -> str:
    """An id as one segment of a key. Where it had to be changed, a digest keeps it apart from every other id."""
    text = re.sub(r"[^A-Za-z0-9._=-]", "_", identifier).strip(".")[:100]
    if text and text == identifier and not _DEVICE.fullmatch(text):
        return text
    return f"{text or 'id'}~{hashlib.sha256(identifier.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def original_keys(medium: Medium, originals: Sequence[Original]) -> list[str]:
    """The key of each original, in their order; no two are equal, not even where case is ignored."""
    folder = f"{safe_id(medium.provider)}-videos/{_month(medium)}/{safe_id(medium.media_id)}"
    taken: set[str] = set()
    return [f"{folder}/{_unused(_name(medium, one, originals), taken)}" for one in originals]


def catalog_key(provider: str, media_id: str) -> str:
    """Where the catalog keeps what the provider said of a medium and what was archived."""
    return f"catalog/{safe_id(provider)}/{safe_id(media_id)}.json"


def manifest_key(run_id: str) -> str:
    """Where a run keeps the list of what it is to transfer."""
    return f"runs/{safe_id(run_id)}/manifest.jsonl"


def report_key(run_id: str) -> str:
    """Where a run keeps what it came to."""
    return f"runs/{safe_id(run_id)}/report.json"


def _month(medium: Medium) -> str:
    """Year and month of capture, else of upload, in UTC; `0000/00` where neither is told."""
    moment: datetime | None = medium.captured_at or parse_time(medium.facts.get("created_at"))
    return f"{moment.year:04}/{moment.month:02}" if moment else "0000/00"


def _name(medium: Medium, original: Original, originals: Sequence[Original]) -> str:
    stem, extension = _parts(medium, original)
    alike = [one for one in originals if one.role == original.role and one.extension == original.extension]
    in_position = [one for one in alike if one.camera_position == original.camera_position]
    if len(in_position) > 1 or original.item_number > 1:
        chapter = _CHAPTERED.fullmatch(stem)
        if chapter and original.role == "source" and original.item_number <= 99:
            stem = f"{chapter[1]}{original.item_number:02}{chapter[2]}"
        else:
            stem = f"{stem}_{original.item_number:04}"
    if original.camera_position:
        stem = f"{stem}_{safe_name(original.camera_position)}"
    return _joined(stem, extension)


def _parts(medium: Medium, original: Original) -> tuple[str, str]:
    """Stem and extension; the extension is that of the original, in the file name's own case where it agrees."""
    name = safe_name(medium.filename) or safe_id(medium.media_id)
    stem, dot, extension = name.rpartition(".")
    if not dot or not stem or not _SANE_EXTENSION.fullmatch(extension):
        stem, extension = name, ""
    wanted = original.extension if _SANE_EXTENSION.fullmatch(original.extension) else ""
    if not wanted or wanted.lower() == extension.lower():
        return stem, extension or wanted
    return stem, wanted.upper() if extension.isupper() or original.role == "raw_photo" else wanted


def _joined(stem: str, extension: str) -> str:
    if not extension:
        return _cut(stem, LONGEST_NAME) or "original"
    return f"{_cut(stem, LONGEST_NAME - len(extension) - 1) or 'original'}.{extension}"


def _unused(name: str, taken: set[str]) -> str:
    """The name, with a number behind its stem where another original of the medium has it already."""
    stem, dot, extension = name.rpartition(".")
    if not dot:
        stem, extension = name, ""
    candidate, number = name, 1
    while candidate.casefold() in taken:
        number += 1
        suffix = f"-{number}"
        candidate = f"{_cut(stem, LONGEST_NAME - len(suffix) - len(extension) - 1)}{suffix}{dot}{extension}"
    taken.add(candidate.casefold())
    return candidate


def _cut(text: str, most: int) -> str:
    """At most `most` UTF-8 bytes of a name, its extension kept."""
    if len(text.encode()) <= most:
        return text
    stem, dot, extension = text.rpartition(".")
    if not dot or not _SANE_EXTENSION.fullmatch(extension):
        stem, dot, extension = text, "", ""
    room = most - len(dot) - len(extension)
    return f"{stem.encode()[:room].decode('utf-8', 'ignore').rstrip('. ')}{dot}{extension}"
