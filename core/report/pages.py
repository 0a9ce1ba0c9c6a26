"""The pages: of a run, of a month of the gallery, of all months."""

from __future__ import annotations

import calendar
from base64 import b64encode
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from urllib.parse import quote

from core.archive.keys import LATEST_PAGE, gallery_prefix, report_page_key, safe_id, thumbnails_prefix
from core.model import counted, parse_time
from core.report.charts import curve
from core.report.html import Element, el, name_of, page, reason_of, size, span, when
from core.report.ledger import Ledger, Line, Month
from core.report.model import Item, Note, Told

#: Lines of a list, and tiles of a month, that a page shows; the rest is counted.
MOST_ROWS = 500
MOST_TILES = 2000

_BADGES = {"SUCCEEDED": "good", "NO_NEW_VIDEOS": "good", "PARTIAL_FAILURE": "warn"}
_MONTHS_SHOWN = 12


def run_page(told: Told, ledger: Ledger, up: str) -> bytes:
    """The page of a run, or of how the archive stands; `up` leads to the top of the archive: `../../`."""
    total = ledger.total
    figures = [
        (f"{told.came_count:,}", "came" if told.run_id else "came last"),
        (f"{told.failed_count:,}", "failed"),
        (f"{told.waiting_count:,}", "wait"),
        (f"{total.media:,}", "media archived"),
        (size(total.length), "in the archive"),
    ]
    body = [
        _top(told.provider, up, told.run_id and "Run"),
        el("h1", _headline(told)),
        el("p", *_subtitle(told), class_="soft"),
        el("div", *(_figure(*one) for one in figures), class_="figures"),
        _cause(told),
        _notes("What failed, and why", told.failed, told.failed_count, "bad"),
        _came(told),
        _notes("What waits", told.waiting, told.waiting_count, "warn"),
        _notes("Listed, but no longer to be had", told.lost, len(told.lost), "bad"),
        _notes("Damaged before it came here", told.damaged, len(told.damaged), "warn"),
        _curves(ledger),
        _months(told.provider, ledger, up),
        _runs(ledger, up),
        _foot(),
    ]
    return page(f"{_headline(told)} · Cloud Sync", el("main", *body))


def month_page(provider: str, month: str, items: Sequence[Item], pictures: Collection[str]) -> bytes:
    """The page of a month; `pictures` are the media, by their ids as in keys, of which there is a thumbnail."""
    tiles = [_tile(one, _thumbnail(provider, month, one, pictures)) for one in items[:MOST_TILES]]
    length = sum(one.length for one in items)
    return page(
        f"{month_name(month)} · Cloud Sync",
        el(
            "main",
            _top(provider, "../../", "Gallery"),
            el("h1", month_name(month)),
            el("p", f"{counted(len(items), 'medium', 'media')}, {size(length)}", class_="soft"),
            el("section", el("div", *tiles, class_="tiles"), _rest(len(items) - MOST_TILES)),
            _foot(),
        ),
    )


def gallery_page(provider: str, ledger: Ledger) -> bytes:
    """The page of all months."""
    sections = []
    for year, names in groupby(sorted(ledger.months, reverse=True), key=lambda one: one[:4]):
        cards = [_month_card(provider, name, ledger.months[name]) for name in names]
        heading = year if year != "0000" else "No date"
        sections.append(el("section", el("h2", heading), el("div", *cards, class_="tiles")))
    total = ledger.total
    told = f"{counted(total.media, 'medium', 'media')}, {size(total.length)}, {counted(total.pictures, 'picture')}"
    return page(
        "Gallery · Cloud Sync",
        el("main", _top(provider, "../../", ""), el("h1", "Gallery"), el("p", told, class_="soft"), *sections, _foot()),
    )


def month_name(month: str) -> str:
    """A month for people: March 2026."""
    year, _, number = month.partition("-")
    return f"{calendar.month_name[int(number)]} {year}" if number != "00" else "No date"


# ------------------------------------------------------------------ parts
def _top(provider: str, up: str, where: str) -> Element:
    links = [el("a", "Latest run", href=f"{up}{LATEST_PAGE}")]
    links += [el("a", "Gallery", href=f"{up}{gallery_prefix(provider)}index.html")] if where else []
    return el("div", el("b", "Cloud Sync"), el("span", name_of(provider)), el("nav", *links), class_="top")


def _headline(told: Told) -> str:
    if not told.run_id:
        return "How the archive stands"
    if told.cause:
        return "The run failed"
    parts = [f"{told.came_count:,} came" if told.came_count else "Nothing new came"]
    parts += [f"{told.failed_count:,} failed"] if told.failed_count else []
    return ", ".join(parts)


def _subtitle(told: Told) -> Iterable[Element | str]:
    if told.status:
        badge = _BADGES.get(told.status, "bad") if not told.cause else "bad"
        yield el("span", "FAILED" if told.cause else name_of(told.status.replace("_", " ")), class_=f"badge {badge}")
    yield f" {when(told.at)}"
    if told.duration is not None:
        yield f", after {span(told.duration)}, {size(told.bytes_moved)} moved"
    if told.run_id:
        yield ". Run "
        yield el("span", name_of(told.run_id), class_="id")


def _figure(number: str, label: str) -> Element:
    return el("div", el("b", number), el("span", label), class_="figure")


def _cause(told: Told) -> Element | None:
    lines = [reason_of(told.cause)] if told.cause else []
    if told.unseen:
        lines.append(
            f"{counted(told.unseen, 'medium', 'media')} of the library could not be seen: the listing was not proved "
            "whole. The next run looks again."
        )
    if gone := told.gone - len(told.lost):
        lines.append(f"{counted(gone, 'medium', 'media')} had gone from the library before they came.")
    return el("section", *(el("p", one) for one in lines), class_="alert") if lines else None


def _notes(title: str, notes: Sequence[Note], number: int, badge: str) -> Element | None:
    if not number:
        return None
    rows = [
        el(
            "li",
            el("span", name_of(one.name), class_="name", dir="auto"),
            el("span", name_of(one.media_id), class_="id"),
            el("span", reason_of(one.why), class_="why"),
        )
        for one in notes[:MOST_ROWS]
    ]
    heading = el("h2", f"{title} ", el("span", f"{number:,}", class_=f"badge {badge}"))
    return el("section", heading, el("ul", *rows, class_="rows") if rows else None, _rest(number - len(rows)))


def _came(told: Told) -> Element | None:
    if not told.came_count:
        return None
    seen = [one for one in told.came if one.media_id in told.pictures]
    tiles = [_tile(one, _data(told.pictures[one.media_id])) for one in seen]
    rest = [one for one in told.came if one.media_id not in told.pictures][:MOST_ROWS]
    rows = [
        el(
            "li",
            el("span", name_of(one.name), class_="name", dir="auto"),
            el("span", size(one.length), class_="much"),
            el("span", f"{when(one.moment)}, {counted(one.originals, 'original')}", class_="why"),
        )
        for one in rest
    ]
    return el(
        "section",
        el("h2", "What came"),
        el("div", *tiles, class_="tiles") if tiles else None,
        el("ul", *rows, class_="rows") if rows else None,
        _rest(told.came_count - len(tiles) - len(rows)),
    )


def _rest(number: int) -> Element | None:
    return el("p", f"and {number:,} more", class_="soft") if number > 0 else None


def _tile(item: Item, address: str) -> Element:
    extension = item.name.rpartition(".")[2][:5].upper() if "." in item.name else item.kind[:12]
    frame: Element | str = name_of(extension or "?")
    if address:
        frame = el("img", src=address, alt="", loading="lazy")
    return el(
        "figure",
        el("span", frame, class_="frame"),
        el("span", name_of(item.name), class_="name", dir="auto"),
        el("span", when(item.moment).removesuffix(" UTC"), class_="small"),
        el("span", f"{size(item.length)}, {counted(item.originals, 'original')}", class_="small"),
        class_="tile",
    )


def _thumbnail(provider: str, month: str, item: Item, pictures: Collection[str]) -> str:
    name = safe_id(item.media_id)
    return f"../../{thumbnails_prefix(provider, month)}{quote(name)}.jpg" if name in pictures else ""


def _data(picture: bytes) -> str:
    return "data:image/jpeg;base64," + b64encode(picture).decode()


def _month_card(provider: str, name: str, month: Month) -> Element:
    frame: Element | str = "no picture"
    if month.cover:
        frame = el(
            "img", src=f"../../{thumbnails_prefix(provider, name)}{quote(month.cover)}.jpg", alt="", loading="lazy"
        )
    return el(
        "a",
        el("span", frame, class_="frame"),
        el("span", month_name(name), class_="name"),
        el("span", f"{counted(month.media, 'medium', 'media')}, {size(month.length)}", class_="small"),
        class_="tile",
        href=f"{name}.html",
    )


def _curves(ledger: Ledger) -> Element | None:
    if not ledger.days:
        return None
    dates = [one.date for one in ledger.days]
    charts = [el("section", curve("Size of the archive", dates, [one.length for one in ledger.days], size))]
    priced = [(one.date, one.usd) for one in ledger.days if one.usd is not None]
    if priced:
        chart = curve("Estimated cost a month", [one[0] for one in priced], [one[1] for one in priced], _dollars)
        note = "List prices, what came in the 30 days before counted as coming each month: cloud-sync cost says how."
        charts.append(el("section", chart, el("p", note, class_="soft small")))
    return el("div", *charts, class_="two")


def _dollars(usd: float) -> str:
    return f"${usd:,.2f}"


def _months(provider: str, ledger: Ledger, up: str) -> Element | None:
    if not ledger.months:
        return None
    names = sorted(ledger.months, reverse=True)
    cards = [
        el(
            "a",
            el("b", month_name(name)),
            el("span", f"{counted(ledger.months[name].media, 'medium', 'media')}, {size(ledger.months[name].length)}"),
            href=f"{up}{gallery_prefix(provider)}{name}.html",
        )
        for name in names[:_MONTHS_SHOWN]
    ]
    way = el("a", f"All {counted(len(names), 'month')}", href=f"{up}{gallery_prefix(provider)}index.html")
    return el("section", el("h2", "Gallery"), el("div", *cards, class_="months"), el("p", way))


def _runs(ledger: Ledger, up: str) -> Element | None:
    if not ledger.runs:
        return None
    rows = [_run(one, up) for one in reversed(ledger.runs)]
    return el("section", el("h2", "Runs"), el("ul", *rows, class_="rows"))


def _run(line: Line, up: str) -> Element:
    badge = el("span", name_of(line.status.replace("_", " ")), class_=f"badge {_BADGES.get(line.status, 'bad')}")
    told = f"{line.came:,} came, {line.failed:,} failed, {line.waiting:,} wait, {size(line.bytes_moved)}"
    link = el("a", when(parse_time(line.at)), href=f"{up}{report_page_key(line.run_id)}")
    return el("li", link, badge, el("span", told, class_="why"))


def _foot() -> Element:
    return el("footer", "Times are UTC. Written by Cloud Sync; nothing on this page is loaded from elsewhere.")
