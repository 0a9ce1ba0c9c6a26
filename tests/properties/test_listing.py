"""Listing a library that moves and pages that come short: nothing is passed over in silence."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from math import ceil
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import TransientError
from core.model import Medium
from core.providers.base import ListingReport
from core.providers.gopro.listing import Page, walk
from core.providers.gopro.parse import read_medium

PER_PAGE = 5


class Library:
    """A library, newest first, to which changes happen after so many page requests.

    The pages `broken` never come, and the requests `refused` bring none.
    """

    def __init__(
        self,
        ids: list[str],
        changes: dict[int, list[tuple[str, str]]],
        short: dict[int, int],
        *,
        broken: AbstractSet[int] = frozenset(),
        refused: AbstractSet[int] = frozenset(),
    ) -> None:
        self.ids = list(ids)
        self.ever = set(ids)
        self.asked = 0
        self._broken = broken
        self._refused = refused
        self._changes = changes
        self._short = short
        self._lock = threading.Lock()

    def page(self, number: int) -> Page:
        with self._lock:
            self.asked += 1
            if number in self._broken or self.asked in self._refused:
                raise TransientError(f"Page {number} could not be had (500).")
            for action, media_id in self._changes.get(self.asked, ()):
                if action == "upload":
                    self.ids.insert(0, media_id)
                    self.ever.add(media_id)
                elif media_id in self.ids:
                    self.ids.remove(media_id)
            rows = self.ids[(number - 1) * PER_PAGE : number * PER_PAGE]
            rows = rows[: self._short.get(self.asked, PER_PAGE)]
            total = len(self.ids)
            return Page([row(media_id) for media_id in rows], total, ceil(total / PER_PAGE), PER_PAGE)


def row(media_id: str) -> dict[str, Any]:
    return {"id": media_id, "type": "Video", "ready_to_view": "ready", "filename": None}


def listed(library: Library, at_once: int = 1) -> tuple[list[str], ListingReport]:
    report = ListingReport()
    media: Iterator[Medium] = walk(library.page, read_medium, report, at_once=at_once)
    return [medium.media_id for medium in media], report


libraries = st.integers(0, 60).map(lambda count: [f"m{number}" for number in range(count)])
changes = st.dictionaries(
    st.integers(1, 40),
    st.lists(
        st.one_of(
            st.tuples(st.just("upload"), st.integers(0, 999).map(lambda number: f"new{number}")),
            st.tuples(st.just("delete"), st.integers(0, 60).map(lambda number: f"m{number}")),
        ),
        max_size=3,
    ),
    max_size=6,
)
short_pages = st.dictionaries(st.integers(1, 40), st.integers(0, PER_PAGE), max_size=6)


@given(libraries, st.integers(1, 4))
def test_a_library_at_rest_is_listed_whole_in_order_and_proved(ids: list[str], at_once: int) -> None:
    found, report = listed(Library(ids, {}, {}), at_once)
    assert found == ids
    assert (report.proved, report.expected, report.found) == (True, len(ids), len(ids))


@settings(max_examples=300)
@given(libraries, changes, short_pages, st.integers(1, 4))
def test_every_medium_comes_once_and_none_that_never_was(
    ids: list[str],
    moves: dict[int, list[tuple[str, str]]],
    short: dict[int, int],
    at_once: int,
) -> None:
    library = Library(ids, moves, short)
    found, report = listed(library, at_once)
    assert len(set(found)) == len(found) == report.found
    assert set(found) <= library.ever


@settings(max_examples=300)
@given(libraries, short_pages, st.integers(1, 4))
def test_a_listing_that_is_proved_has_seen_everything_however_short_its_pages(
    ids: list[str], short: dict[int, int], at_once: int
) -> None:
    found, report = listed(Library(ids, {}, short), at_once)
    assert report.proved == (set(found) == set(ids))


@settings(max_examples=300)
@given(libraries, st.integers(0, 60), st.integers(1, 14))
def test_a_deletion_in_the_middle_makes_nobody_be_passed_over(ids: list[str], victim: int, moment: int) -> None:
    library = Library(ids, {moment: [("delete", f"m{victim}")]}, {})
    found, report = listed(library)
    assert report.proved
    assert set(found) >= set(library.ids)


@given(libraries, st.integers(1, 14))
def test_an_upload_in_the_middle_is_seen_too(ids: list[str], moment: int) -> None:
    library = Library(ids, {moment: [("upload", "new")]}, {})
    found, report = listed(library)
    assert report.proved
    assert set(found) >= set(library.ids)


def test_one_short_page_is_made_up_for_by_listing_again() -> None:
    ids = [f"m{number}" for number in range(23)]
    found, report = listed(Library(ids, {}, {2: 1}))
    assert sorted(found) == sorted(ids)
    assert report.proved


def test_pages_that_stay_short_are_told() -> None:
    library = Library([f"m{number}" for number in range(212)], {}, dict.fromkeys(range(1, 500), 2))
    found, report = listed(library)
    assert len(found) < 212
    assert (report.proved, report.expected, report.found) == (False, 212, len(found))


@settings(max_examples=300)
@given(libraries, st.sets(st.integers(2, 14), max_size=6), st.integers(1, 4))
def test_a_page_that_never_comes_keeps_no_other_from_being_listed_and_three_in_a_row_are_an_outage(
    ids: list[str], broken: set[int], at_once: int
) -> None:
    library, last = Library(ids, {}, {}, broken=broken), max(1, ceil(len(ids) / PER_PAGE))
    if any({page, page + 1, page + 2} <= broken for page in range(2, last)):
        with pytest.raises(TransientError):
            listed(library, at_once)
        return
    found, report = listed(library, at_once)
    assert found == [one for place, one in enumerate(ids) if place // PER_PAGE + 1 not in broken]
    assert report.proved == (found == ids)
    assert report.steady == (not broken & set(range(2, last + 2)))


def test_a_page_that_fails_once_is_made_up_for_by_listing_again() -> None:
    ids = [f"m{number}" for number in range(23)]
    found, report = listed(Library(ids, {}, {}, refused={3}))
    assert sorted(found) == sorted(ids)
    assert report.proved


def test_pages_missing_in_turn_prove_nothing_even_if_the_count_agrees() -> None:
    ids = [f"m{number}" for number in range(23)]
    found, report = listed(Library(ids, {}, {}, refused={2, 9}))
    assert sorted(found) == sorted(ids)
    assert not report.proved


@pytest.mark.parametrize("request_number", [1, 7])
def test_a_first_page_that_cannot_be_had_ends_the_listing(request_number: int) -> None:
    library = Library([f"m{number}" for number in range(23)], {}, {2: 1}, refused={request_number})
    with pytest.raises(TransientError, match="Page 1"):
        listed(library)


def test_a_page_that_is_missing_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    listed(Library([f"m{number}" for number in range(23)], {}, {}, refused={3}))
    assert "Page 3 could not be had (500). The listing goes on without it." in caplog.messages


def test_rows_behind_the_last_announced_page_are_found() -> None:
    ids = [f"m{number}" for number in range(20)]

    def page(number: int) -> Page:
        return Page([row(media_id) for media_id in ids[(number - 1) * 2 : number * 2]], len(ids), 4)

    report = ListingReport()
    assert [medium.media_id for medium in walk(page, read_medium, report)] == ids
    assert report.proved


def test_a_server_that_repeats_its_first_page_for_ever_is_left() -> None:
    report = ListingReport()
    endless = walk(lambda _: Page([row("a"), row("b")], 10**9, 10**9), read_medium, report)
    assert [medium.media_id for medium in endless] == ["a", "b"]
    assert not report.proved


def test_a_listing_without_totals_ends_and_is_not_proved() -> None:
    pages = {1: [row("a")], 2: [row("b")]}
    report = ListingReport()
    media = walk(lambda number: Page(pages.get(number, []), None, None), read_medium, report)
    assert [medium.media_id for medium in media] == ["a", "b"]
    assert (report.expected, report.proved) == (None, False)


def test_a_row_that_cannot_be_read_is_counted_once_and_the_rest_goes_on() -> None:
    rows = [row("a"), {"type": "Video"}, "nonsense", row("b")]
    report = ListingReport()
    media = walk(lambda number: Page(rows if number == 1 else [], 4, 1), read_medium, report)
    assert [medium.media_id for medium in media] == ["a", "b"]
    assert (report.unreadable, report.proved) == (2, False)


def test_pages_are_asked_for_ahead_but_never_more_than_four() -> None:
    asked: list[int] = []

    def page(number: int) -> Page:
        asked.append(number)
        return Page([row(f"m{number}")] if number <= 1000 else [], 1000, 1000)

    media = walk(page, read_medium, ListingReport())
    for _ in range(10):
        next(media)
    assert max(asked) <= 15
