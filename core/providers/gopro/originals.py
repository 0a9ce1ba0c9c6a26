"""Which entries of a download answer are originals: where other clients lose data.

Pure functions; the rules are as observed by independent clients.

| medium | originals |
| --- | --- |
| video | every variation labelled `source`, one a chapter; never `concat` (a join), never a proxy |
| time lapse, burst, continuous photos | every entry of `files`; a lone `source` is only the cover |
| photo | `source`, else `files`; the RAW is a sidecar labelled `raw_photo`, one a frame |
| edit | `baked_source` |
| anything else | `source`, else `baked_source`, else `files`, marked `unmarked` |
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from core.model import Json, Medium, Offer, Original
from core.providers.gopro.parse import EDITS, FRAME_SETS, KINDS, VIDEOS, impersonal, read_count

NOTHING_YET = "no original is offered yet"

_NUMBER_IN_PATH = re.compile(r"/(\d{1,5})\.[A-Za-z0-9]{1,8}$")
_LOOKS_ORIGINAL = re.compile(r"source|original|raw", re.IGNORECASE)
_KNOWN_ORIGINALS = frozenset({"source", "baked_source", "raw_photo"})
_SANE_EXTENSION = re.compile(r"[a-z0-9]{1,8}")
_LARGEST_NUMBER = 1_000_000


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of the answer; `extension` is its `type`, `camera` its position, "" for the usual one."""

    url: str
    label: str
    extension: str
    told_number: int | None
    camera: str
    width: int | None
    height: int | None
    available: bool

    @property
    def place(self) -> str:
        """The address without its signature, by which the same file is known under two of them."""
        parts = _split(self.url)
        return f"{parts[0]}{parts[1]}" if len(parts[1]) > 1 else self.url

    @property
    def number_in_path(self) -> int | None:
        """The N of `…/source/default/N.mp4`."""
        found = _NUMBER_IN_PATH.search(_split(self.url)[1])
        return int(found[1]) if found else None


@dataclass(frozen=True, slots=True)
class _Shelf:
    """The entries of an answer that may be originals."""

    files: tuple[_Entry, ...]
    sources: tuple[_Entry, ...]
    baked: tuple[_Entry, ...]
    raws: tuple[_Entry, ...]


@dataclass(frozen=True, slots=True)
class _Choice:
    """The entries taken as originals, by role; `why_not` says why there are none where that is known."""

    by_role: tuple[tuple[str, tuple[_Entry, ...]], ...] = ()
    why_not: str = NOTHING_YET


def offer(medium: Medium, answer: Mapping[str, Json]) -> tuple[Offer, frozenset[str]]:
    """The originals of a medium in a download answer, and what in it this version does not know.

    Item numbers are unique within role and camera position and stay the same when an original that is missing
    today arrives later, as far as the answer tells numbers at all.
    """
    novelties: set[str] = set()
    shelf = _shelf(answer, novelties)
    if medium.kind not in KINDS:
        novelties.add(f"type {medium.kind}"[:100])
    choice = _choose(medium, shelf)
    names = (medium.filename, _text(medium.facts.get("file_extension")), _text(answer.get("filename")))
    originals: list[Original] = []
    listed = 0
    for role, entries in (*choice.by_role, ("raw_photo", shelf.raws)):
        numbered = _numbered(entries)
        listed += len(numbered)
        originals += [
            Original(medium.media_id, number, role, _extension(entry, role, names), entry.camera, entry.url)
            for number, entry in numbered
            if entry.available
        ]
    missing = _missing(medium, choice, originals, listed)
    return Offer(tuple(originals), missing, _sprite(answer)), frozenset(novelties)


def promised(medium: Medium) -> int:
    """How many originals the listing says that a medium has, 0 if what it counts are not originals."""
    return 0 if medium.kind in EDITS or medium.kind == "Session" else medium.item_count or 0


def _sprite(answer: Mapping[str, Json]) -> str:
    """The address of the first strip of small frames, "" if there is none."""
    embedded = answer.get("_embedded")
    strips = embedded.get("sprites") if isinstance(embedded, dict) else None
    for strip in strips if isinstance(strips, list) else ():
        urls = strip.get("urls") if isinstance(strip, dict) and strip.get("type") == "jpg" else None
        if isinstance(urls, list) and urls and (url := _text(urls[0])):
            return url
    return ""


def _choose(medium: Medium, shelf: _Shelf) -> _Choice:
    if medium.kind in FRAME_SETS:
        return _first(("file", shelf.files))
    if medium.kind == "Photo":
        return _choose_for_photo(medium, shelf)
    if medium.kind in EDITS:
        found = _first(("baked_source", shelf.baked), ("source", shelf.sources))
    else:
        found = _first(("source", shelf.sources), ("baked_source", shelf.baked))
    if not found.by_role:
        return _unmarked(medium, shelf.files)
    if medium.kind not in KINDS and len(shelf.files) > max(1, len(shelf.sources)):
        # Nobody knows yet what this type is: its source may be the cover of a set. Rather too much than a
        # loss.
        places = {entry.place for entry in shelf.sources}
        return _Choice((*found.by_role, ("unmarked", tuple(one for one in shelf.files if one.place not in places))))
    return found


def _choose_for_photo(medium: Medium, shelf: _Shelf) -> _Choice:
    wanted = max(1, medium.item_count or 1)
    is_cover = len(shelf.sources) < min(wanted, len(shelf.files))
    return _first(("file", shelf.files)) if is_cover else _first(("source", shelf.sources), ("file", shelf.files))


def _first(*candidates: tuple[str, tuple[_Entry, ...]]) -> _Choice:
    return next((_Choice((candidate,)) for candidate in candidates if candidate[1]), _Choice())


def _unmarked(medium: Medium, files: Sequence[_Entry]) -> _Choice:
    """Entries of `files`, for want of a labelled original: once it is ready, and none that is too small."""
    if medium.state != "ready" or not files:
        return _Choice()
    whole = tuple(entry for entry in files if _is_full_size(entry, medium))
    return (
        _Choice((("unmarked", whole),))
        if whole
        else _Choice(why_not="only smaller copies are offered, not the original")
    )


def _is_full_size(entry: _Entry, medium: Medium) -> bool:
    wanted = sorted(read_count(medium.facts.get(name)) or 0 for name in ("width", "height"))
    found = sorted((entry.width or 0, entry.height or 0))
    return found[0] >= wanted[0] and found[1] >= wanted[1]


def _missing(medium: Medium, choice: _Choice, originals: Sequence[Original], listed: int) -> str:
    if not any(entries for _, entries in choice.by_role):
        return choice.why_not
    if len(originals) < listed:
        return f"{listed - len(originals)} of {listed} originals are not available yet"
    counts_raw = medium.kind not in VIDEOS | FRAME_SETS
    count = sum(counts_raw or original.role != "raw_photo" for original in originals)
    expected = promised(medium)
    return f"{count} of {expected} originals are offered so far" if count < expected else ""


def _numbered(entries: Sequence[_Entry]) -> list[tuple[int, _Entry]]:
    """The distinct entries with their item numbers, by camera position and number."""
    numbered: list[tuple[int, _Entry]] = []
    for camera in sorted({entry.camera for entry in entries}):
        distinct = _distinct(entry for entry in entries if entry.camera == camera)
        numbered += sorted(zip(_numbers(distinct), distinct, strict=True), key=lambda pair: pair[0])
    return numbered


def _numbers(entries: Sequence[_Entry]) -> list[int]:
    """Item numbers from 1: as told, else as addresses tell, else by order. Gaps stay, for the late ones."""
    told = [entry.told_number for entry in entries]
    in_path = [entry.number_in_path for entry in entries]
    mixed = [path if one is None else one for one, path in zip(told, in_path, strict=True)]
    for numbers in (told, in_path, mixed):
        known = [number for number in numbers if number is not None]
        if len(set(known)) == len(entries):
            shift = 1 if 0 in known else 0
            return [number + shift for number in known]
    return list(range(1, len(entries) + 1))


def _distinct(entries: Iterable[_Entry]) -> list[_Entry]:
    """Without what is listed twice: the same file under the same number; an available entry is preferred."""
    found: dict[tuple[str, int | None], _Entry] = {}
    for position, entry in enumerate(entries):
        number = entry.number_in_path if entry.told_number is None else entry.told_number
        key = (entry.place or f"no address {position}", number)
        if key not in found or (entry.available and not found[key].available):
            found[key] = entry
    return list(found.values())


def _shelf(answer: Mapping[str, Json], novelties: set[str]) -> _Shelf:
    embedded = answer.get("_embedded")
    if not isinstance(embedded, dict):
        novelties.add("a download answer without _embedded")
        embedded = {}
    files = tuple(_entries(embedded, "files", novelties))
    variations = tuple(_entries(embedded, "variations", novelties))
    sidecars = tuple(_entries(embedded, "sidecar_files", novelties))
    for entry in (*variations, *sidecars):
        if _LOOKS_ORIGINAL.search(entry.label) and entry.label not in _KNOWN_ORIGINALS:
            novelties.add(f"label {entry.label}"[:100])
    return _Shelf(
        files=tuple(entry for entry in files if entry.label != "concat"),
        sources=tuple(entry for entry in variations if entry.label == "source"),
        baked=tuple(entry for entry in variations if entry.label == "baked_source"),
        raws=tuple(entry for entry in sidecars if entry.label == "raw_photo"),
    )


def _entries(embedded: Mapping[str, Json], name: str, novelties: set[str]) -> Iterator[_Entry]:
    rows = embedded.get(name)
    if rows is not None and not isinstance(rows, list):
        novelties.add(f"{name} is not a list")
        return
    for row in rows or ():
        if not isinstance(row, dict):
            novelties.add(f"an entry of {name} that is not an object")
            continue
        url, label = _text(row.get("url")), impersonal(row.get("label"))
        if row.get("label") and not label:
            novelties.add(f"an entry of {name} whose label is no name")
        number = read_count(row.get("item_number"))
        yield _Entry(
            url=url,
            label=label.strip().lower(),
            extension=_text(row.get("type")),
            told_number=number if number is None or number <= _LARGEST_NUMBER else None,
            camera=_camera(row.get("camera_position")),
            width=read_count(row.get("width")),
            height=read_count(row.get("height")),
            available=bool(url) and row.get("available") is not False,
        )


def _camera(value: Json) -> str:
    """The camera position as part of a name; the usual `default` is the same as none."""
    text = re.sub(r"[^A-Za-z0-9_-]", "", _text(value))[:20]
    return "" if text == "default" else text


def _extension(entry: _Entry, role: str, names: Sequence[str]) -> str:
    """The extension without dot, in lower case: the entry's, the names' or the address's, if one is sane."""
    path = _split(entry.url)[1].rpartition("/")[2]
    in_path = path if "." in path else ""
    spoken = [name for name in names if "." in name or name == names[1]]
    candidates = {
        "raw_photo": [entry.extension, in_path, "gpr"],
        "baked_source": [entry.extension, in_path, *spoken],
    }.get(role, [entry.extension, *spoken, in_path])
    for candidate in candidates:
        extension = candidate.rpartition(".")[2].lower()
        # An edit's file name ends in json: that is its list of cuts, not the film.
        if _SANE_EXTENSION.fullmatch(extension) and extension != "json":
            return extension
    return ""


def _split(url: str) -> tuple[str, str]:
    """Host and path of an address, empty if it is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    return parts.netloc, parts.path


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""
