"""Under which keys originals, catalog entries, manifests and reports are kept.

Pure functions: the same input gives the same key, whatever was asked before.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from datetime import UTC

from core.model import Medium, Original, parse_time

#: UTF-8 bytes of a name: file systems and backup tools take 255, and a suffix may come on top.
LONGEST_NAME = 200

_FORBIDDEN = re.compile(r'[\\/<>:"|?*]')
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])\s*(\..*)?", re.IGNORECASE)
_CHAPTERED = re.compile(r"(G[A-Z])01(\d{4})")
#: Categories of Unicode that a name is freed of: control, format (bidi too), private, surrogate, unassigned, line ends.
_INVISIBLE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_FILMS = frozenset({"mp4", "mov", "m4v", "360", "lrv"})
_SANE_EXTENSION = re.compile(r"[A-Za-z0-9]{1,8}")


def safe_name(name: str) -> str:
    """A name that is one segment of a key and one file name on any system, readable still; "" if nothing is left."""
    text = "".join(c for c in name if unicodedata.category(c) not in _INVISIBLE)
    text = _cut(_trimmed(_FORBIDDEN.sub("_", unicodedata.normalize("NFC", text))), LONGEST_NAME - 1)
    return f"_{text}" if _DEVICE.fullmatch(text) else text


def safe_id(identifier: str) -> str:
    """An id as one segment of a key. Where it had to be changed, a digest keeps it apart from every other id."""
    text = re.sub(r"[^A-Za-z0-9._=-]", "_", identifier).strip(".")[:100]
    is_device = _DEVICE.fullmatch(text) is not None
    if text and text == identifier and not is_device:
        return text
    digest = hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{'_' if is_device else ''}{text or 'id'}~{digest}"


def original_keys(medium: Medium, originals: Sequence[Original]) -> list[str]:
    """The key of each original, in their order; no two are equal, not even where case is ignored."""
    folder = f"{originals_prefix(medium.provider)}{_month(medium)}/{safe_id(medium.media_id)}"
    counts = Counter(map(_kind, originals))
    taken: set[str] = set()
    return [f"{folder}/{_unused(_name(medium, one, counts[_kind(one)]), taken)}" for one in originals]


def key_beside(key: str, what: str) -> str:
    """A key in the same folder, with `what` behind its stem."""
    folder, _, name = key.rpartition("/")
    stem, dot, extension = name.rpartition(".")
    return f"{folder}/{_joined(stem, f'_{what}', extension) if dot else _joined(name, f'_{what}', '')}"


def originals_prefix(provider: str) -> str:
    """What the keys of all originals of a provider begin with."""
    return f"{safe_id(provider)}-videos/"


def catalog_prefix(provider: str) -> str:
    """What the keys of all catalog entries of a provider begin with."""
    return f"catalog/{safe_id(provider)}/"


def catalog_key(provider: str, media_id: str) -> str:
    """Where the catalog keeps what the provider said of a medium and what was archived."""
    return f"{catalog_prefix(provider)}{safe_id(media_id)}.json"


def manifest_key(run_id: str) -> str:
    """Where a run keeps the list of what it is to transfer."""
    return f"runs/{safe_id(run_id)}/manifest.jsonl"


def report_key(run_id: str) -> str:
    """Where a run keeps what it came to."""
    return f"runs/{safe_id(run_id)}/report.json"


def report_page_key(run_id: str) -> str:
    """Where the page of a run lies, for people."""
    return f"runs/{safe_id(run_id)}/report.html"


#: The page of the latest run, with the way to the earlier ones.
LATEST_PAGE = "runs/index.html"


def month_of(medium: Medium) -> str:
    """The month in whose gallery a medium is, that of its originals' keys: `2026-03`, `0000-00` if none is told."""
    return _month(medium).replace("/", "-")


def gallery_prefix(provider: str) -> str:
    """What the keys of the pages and documents of a provider's gallery begin with."""
    return f"gallery/{safe_id(provider)}/"


def thumbnails_prefix(provider: str, month: str) -> str:
    """What the keys of the thumbnails of a month begin with."""
    return f"thumbnails/{safe_id(provider)}/{month}/"


def thumbnail_key(medium: Medium) -> str:
    """Where a small picture of a medium is kept, so that one can see what lies in an archive class."""
    return f"{thumbnails_prefix(medium.provider, month_of(medium))}{safe_id(medium.media_id)}.jpg"


def findings_key(run_id: str, number: int) -> str:
    """Where a verification keeps what stretch `number` of it (from 1) has found, one JSON line a finding."""
    return f"runs/{safe_id(run_id)}/findings-{number:04}.jsonl"


def _month(medium: Medium) -> str:
    """Year and month of capture, else of upload, in UTC; `0000/00` where neither is told."""
    moment = medium.captured_at or parse_time(medium.facts.get("created_at"))
    if moment is None:
        return "0000/00"
    moment = moment.astimezone(UTC)
    return f"{moment.year:04}/{moment.month:02}"


def _kind(original: Original) -> tuple[str, str, str]:
    """What originals share that only their item numbers tell apart."""
    return original.role, original.extension.lower(), _position(original)


def _position(original: Original) -> str:
    return "" if original.camera_position == "default" else safe_name(original.camera_position)


def _name(medium: Medium, original: Original, alike: int) -> str:
    """The name of an original that is one of `alike` which differ by their number alone."""
    stem, extension = _parts(medium, original)
    suffix = ""
    if alike > 1 or original.item_number > 1 or _is_of_a_set(medium, original):
        chapter = _CHAPTERED.fullmatch(stem)
        if chapter and original.role == "source" and original.item_number <= 99:
            stem = f"{chapter[1]}{original.item_number:02}{chapter[2]}"
        else:
            suffix = f"_{original.item_number:04}"
    if position := _position(original):
        suffix += f"_{position}"
    return _joined(stem, suffix, extension)


def _is_of_a_set(medium: Medium, original: Original) -> bool:
    """Whether others of its kind may come later: the first must not change its name when the second arrives.

    A photo with its RAW counts two items and is no set.
    """
    items = medium.item_count or 1
    match original.role:
        case "file":
            return items > 1
        case "raw_photo":
            return items > 2
        case "source":
            return items > 1 and original.extension.lower() in _FILMS
        case _:
            return False


def _parts(medium: Medium, original: Original) -> tuple[str, str]:
    """Stem and extension: that of the original, in the file name's own case where the two agree."""
    name = safe_name(medium.filename) or safe_id(medium.media_id)
    stem, dot, extension = name.rpartition(".")
    if not dot or not stem or not _SANE_EXTENSION.fullmatch(extension):
        stem, extension = name, ""
    wanted = original.extension if _SANE_EXTENSION.fullmatch(original.extension) else ""
    if not wanted or wanted.lower() == extension.lower():
        return stem, extension or wanted
    return stem, wanted.upper() if extension.isupper() or original.role == "raw_photo" else wanted


def _joined(stem: str, suffix: str, extension: str) -> str:
    """Stem, suffix and extension as one name that is not too long: the stem gives way, so that names stay apart."""
    tail = f"{_cut(suffix, LONGEST_NAME // 2)}.{extension}" if extension else _cut(suffix, LONGEST_NAME // 2)
    return f"{_cut(stem, LONGEST_NAME - len(tail.encode())) or 'original'}{tail}"


def _unused(name: str, taken: set[str]) -> str:
    """The name, with a number behind its stem where another original of the medium has it already."""
    stem, dot, extension = name.rpartition(".")
    if not dot:
        stem, extension = name, ""
    candidate, number = name, 1
    while candidate.casefold() in taken:
        number += 1
        candidate = _joined(stem, f"-{number}", extension)
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
    kept = _trimmed(stem.encode()[:room].decode("utf-8", "ignore"))
    return f"{kept}{dot}{extension}" if kept else ""


def _trimmed(text: str) -> str:
    """Without white space around and without dots behind it, which Windows drops."""
    while text != (shorter := text.strip().rstrip(".")):
        text = shorter
    return text
