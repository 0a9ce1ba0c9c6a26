"""A provider's gallery in the archive: a document and a page a month, and the ledger over all of them.

A run writes anew what it has touched: the months of what came, the ledger, the page of all months, its own page. Media
are known by their ids, so that what is told twice is there once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from core.archive.base import Archive
from core.archive.keys import LATEST_PAGE, gallery_prefix, report_page_key, safe_id, thumbnails_prefix
from core.errors import InvalidInput
from core.model import Json, format_time
from core.report.ledger import Ledger, Line, Month, Price
from core.report.model import Item, Told
from core.report.pages import gallery_page, month_page, run_page

#: Pictures within a run's page, and their bytes together.
_PICTURES = 48
_BYTES_OF_PICTURES = 3_000_000


class Spool:
    """What came, on the disk and by month, so that memory holds no more than one month."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._months: set[str] = set()

    @classmethod
    @contextmanager
    def new(cls) -> Iterator[Spool]:
        """A spool that is gone at the end."""
        with TemporaryDirectory() as folder:
            yield cls(Path(folder))

    def add(self, items: Iterable[Item]) -> None:
        """Keep some items."""
        by_month: dict[str, list[str]] = {}
        for item in items:
            by_month.setdefault(item.month, []).append(json.dumps(item.to_json()) + "\n")
        for month, lines in by_month.items():
            self._months.add(month)
            with (self._folder / month).open("a", encoding="utf-8") as file:
                file.writelines(lines)

    def months(self) -> list[str]:
        """The months of which there is something, the newest first."""
        return sorted(self._months, reverse=True)

    def of(self, month: str) -> Iterator[Item]:
        """What was kept of a month."""
        with (self._folder / month).open(encoding="utf-8") as file:
            for line in file:
                yield Item.from_json(json.loads(line))


class Gallery:
    """The gallery of one provider. Only one process at a time may write it: the caller sees to that.

    `price` is None where nothing is paid.
    """

    def __init__(self, archive: Archive, provider: str, price: Price | None = None) -> None:
        self._archive = archive
        self._provider = provider
        self._price = price
        self._prefix = gallery_prefix(provider)

    def add(self, month: str, items: Iterable[Item]) -> Month:
        """Add what came to a month and write it anew."""
        known = self._known(month) | {item.media_id: item for item in items}
        return self._write_month(month, known.values())

    def replace(self, month: str, items: Iterable[Item]) -> Month:
        """Write a month that holds these and nothing else."""
        return self._write_month(month, items)

    def ledger(self) -> Ledger:
        """The ledger; an empty one if there is none yet. `InvalidInput` if it cannot be read."""
        return Ledger.from_lines(lines) if (lines := self._lines("index.json")) else Ledger({})

    def regrown(self, months: Mapping[str, Month], came: Mapping[str, tuple[int, int]]) -> Ledger:
        """A ledger of these months, whose media and bytes `came` on these days; of an earlier one the runs stay."""
        try:
            ledger = Ledger(months, runs=self.ledger().runs)
        except (InvalidInput, OSError):
            ledger = Ledger(months)
        media = length = 0
        for date in sorted(came):
            media, length = media + came[date][0], length + came[date][1]
            ledger = ledger.with_day(date, Month(media=media, length=length), self._price)
        return ledger

    def conclude(self, told: Told, ledger: Ledger) -> str:
        """Write the ledger with this run or look, and its pages; the key of the page for people."""
        at = format_time(told.at) or ""
        if told.run_id:
            ledger = ledger.with_run(
                Line(
                    told.run_id,
                    at,
                    "FAILED" if told.cause else told.status,
                    told.came_count,
                    told.failed_count,
                    told.waiting_count,
                    told.bytes_moved,
                )
            )
        ledger = ledger.with_day(told.at.strftime("%Y-%m-%d"), ledger.total, self._price)
        self._archive.put_document(f"{self._prefix}index.json", ledger.to_bytes())
        self._archive.put_document(f"{self._prefix}index.html", gallery_page(self._provider, ledger))
        told = replace(told, pictures=self._pictures(told.came))
        self._archive.put_document(LATEST_PAGE, run_page(told, ledger, "../"))
        if not told.run_id:
            return LATEST_PAGE
        self._archive.put_document(report_page_key(told.run_id), run_page(told, ledger, "../../"))
        return report_page_key(told.run_id)

    def _known(self, month: str) -> dict[str, Item]:
        try:
            told: Json = json.loads(b"".join(self._lines(f"{month}.json")) or b"[]")
            items = [Item.from_json(one) for one in told]
        except (ValueError, TypeError) as error:
            raise InvalidInput(
                f"{self._prefix}{month}.json cannot be read ({type(error).__name__}). cloud-sync report makes it anew."
            ) from None
        return {one.media_id: one for one in items}

    def _write_month(self, month: str, items: Iterable[Item]) -> Month:
        shown = sorted(items, key=lambda one: (format_time(one.moment) or "9", one.media_id))
        pictures = self._thumbnails(month)
        lines = json.dumps([one.to_json() for one in shown], ensure_ascii=False, separators=(",", ":"))
        self._archive.put_document(f"{self._prefix}{month}.json", lines.encode("utf-8", "replace"))
        self._archive.put_document(f"{self._prefix}{month}.html", month_page(self._provider, month, shown, pictures))
        seen = [name for name in (safe_id(one.media_id) for one in shown) if name in pictures]
        return Month(
            media=len(shown),
            originals=sum(one.originals for one in shown),
            length=sum(one.length for one in shown),
            pictures=len(seen),
            cover=seen[-1] if seen else "",
        )

    def _thumbnails(self, month: str) -> set[str]:
        """The media of a month, by their ids as in keys, of which there is a thumbnail."""
        prefix = thumbnails_prefix(self._provider, month)
        keys = self._archive.document_keys(prefix)
        return {key.removeprefix(prefix).removesuffix(".jpg") for key in keys if key.endswith(".jpg")}

    def _pictures(self, came: Iterable[Item]) -> dict[str, bytes]:
        """The thumbnails of what came, as many as a page can hold."""
        found: dict[str, bytes] = {}
        names: dict[str, set[str]] = {}
        left = _BYTES_OF_PICTURES
        for item in came:
            if item.month not in names:
                names[item.month] = self._thumbnails(item.month)
            if safe_id(item.media_id) not in names[item.month]:
                continue
            key = f"{thumbnails_prefix(self._provider, item.month)}{safe_id(item.media_id)}.jpg"
            picture = b"".join(self._archive.read_document(key))
            left -= len(picture)
            if left < 0 or len(found) == _PICTURES:
                break
            found[item.media_id] = picture
        return found

    def _lines(self, name: str) -> list[bytes]:
        key = f"{self._prefix}{name}"
        try:
            return list(self._archive.read_document(key))
        except InvalidInput:  # there is none yet
            return []
