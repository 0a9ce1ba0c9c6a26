"""Walks through the pages of a library that moves, and proves that nothing was passed over or says it can't.

Pages come short without a word, and media uploaded or deleted meanwhile shift them; both as observed by
independent clients. One page that cannot be had does not keep the others from being listed.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from core.errors import TransientError
from core.model import Json, Medium
from core.providers.base import ListingReport

_log = logging.getLogger(__name__)

#: Pages asked for at once; the asking is so far ahead of the reading too, and twice as far on a long way: memory stays
#: flat, a short walk asks for little in vain, and a long one never waits for its reader.
AT_ONCE = 4
_LONG_WAY = 16

#: A library that differs from its own count is listed once more, not for ever.
_PASSES = 2

#: So many pages in a row that bring nothing new end a pass, whatever the number of pages is said to be.
_MOST_FRUITLESS = 100

#: So many pages in a row may be missing; more are an outage.
_MOST_MISSING = 2


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the listing: its rows as they came, and the totals and the size of a page told with it, if any."""

    rows: Sequence[Json]
    total_items: int | None
    total_pages: int | None
    size: int | None = None

    def is_whole(self, number: int) -> bool:
        """Whether page `number` has the rows that it should have, by what it tells itself."""
        if self.total_items is None or self.size is None:
            return False
        return len(self.rows) >= min(self.size, self.total_items - (number - 1) * self.size)


_MISSING = Page((), None, None)

Fetch = Callable[[int], Page]
Read = Callable[[Json, ListingReport], Medium | None]


def walk(fetch: Fetch, read: Read, report: ListingReport, *, at_once: int = AT_ONCE) -> Iterator[Medium]:
    """Every medium once, in the order of the pages; `report` is complete when the iterator is exhausted.

    `fetch` is called from up to `at_once` threads. A pass goes on to the first page that is empty or brings
    nothing new behind the last one announced. If fewer distinct media were seen than the highest count told,
    everything is listed once more for those that are missing. A page that `fetch` cannot bring (`TransientError`) is
    passed over, and counts as unreadable; the first one, or more than two in a row, end the listing with the error.
    """
    seen: set[str] = set()
    highest = 0
    with ThreadPoolExecutor(at_once, thread_name_prefix="listing") as pool:
        for _ in range(_PASSES):
            one = _Pass(fetch, read, report, pool, at_once)
            for medium in one.media():
                if medium.media_id not in seen:
                    seen.add(medium.media_id)
                    report.found = len(seen)
                    yield medium
            report.unreadable = one.unreadable
            if one.expected is None:
                continue
            highest = max(highest, one.expected)
            if len(seen) >= highest or len(one.seen) >= one.expected:
                report.expected = one.expected
                return
            report.expected = highest


class _Pass:
    """One way through all pages. `expected` is the highest count of media told on the way."""

    def __init__(self, fetch: Fetch, read: Read, report: ListingReport, pool: ThreadPoolExecutor, at_once: int) -> None:
        self.seen: set[str] = set()
        self.expected: int | None = None
        self.unreadable = 0
        self._fetch = fetch
        self._read = read
        self._report = report
        self._pool = pool
        self._at_once = at_once
        self._last_page = 1
        self._missing_in_a_row = 0

    def media(self) -> Iterator[Medium]:
        """The media of this pass, each once."""
        fruitless = 0
        for number, page in self._pages():
            self._heed(number, page)
            self.unreadable += page is _MISSING and number <= self._last_page
            before = len(self.seen)
            for row in page.rows:
                medium = self._read(row, self._report)
                self.unreadable += medium is None
                if medium and medium.media_id not in self.seen:
                    self.seen.add(medium.media_id)
                    yield medium
            fruitless = fruitless + 1 if len(self.seen) == before else 0
            if fruitless > (_MOST_FRUITLESS if number <= self._last_page else 0):
                return

    def _heed(self, number: int, page: Page) -> None:
        report = self._report
        if report.expected is None:
            report.expected = page.total_items
        if not page.is_whole(number) or (page.total_items or 0) < (report.expected or 0):
            report.steady = False
        if page.total_items is not None:
            self.expected = max(self.expected or 0, page.total_items)
        if page.total_pages is not None:
            self._last_page = max(self._last_page, page.total_pages)

    def _pages(self) -> Iterator[tuple[int, Page]]:
        """Page after page in order: asked for ahead as far as announced, behind that one at a time."""
        waiting: deque[tuple[int, Future[Page]]] = deque()
        following = 1
        try:
            while True:
                ahead = self._at_once * (2 if following > _LONG_WAY else 1)
                while not waiting or (len(waiting) < ahead and following <= self._last_page + 1):
                    waiting.append((following, self._pool.submit(self._fetch, following)))
                    following += 1
                number, page = waiting.popleft()
                yield number, self._had(number, page)
        finally:
            for _, page in waiting:
                page.cancel()

    def _had(self, number: int, page: Future[Page]) -> Page:
        """The page that was asked for, `_MISSING` if it alone cannot be had."""
        try:
            found = page.result()
        except TransientError as fault:
            self._missing_in_a_row += 1
            if number == 1 or self._missing_in_a_row > _MOST_MISSING:
                raise
            _log.warning("%s The listing goes on without it.", fault)
            return _MISSING
        self._missing_in_a_row = 0
        return found
