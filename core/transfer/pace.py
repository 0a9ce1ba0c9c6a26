"""How many connections move parts at once: more while throughput grows, fewer when a server asks for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

#: Windows without growth after which more connections are tried again.
_PATIENCE = 16


class Pace:
    """Shared by all transfers of a process. `most` bounds the connections, `limit` is how many are allowed now.

    A window ends when as many parts have arrived as were allowed at once; the limit doubles while that brings at least
    a tenth more throughput than the best window before, and goes back to that window's limit where it does not. After
    `_PATIENCE` windows more are tried once again: a network may have changed.
    """

    def __init__(self, most: int, *, first: int = 4, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._in_use = 0
        self.limit = min(first, most)
        self._grow_from(0.0)
        self._begin_window()

    def enter(self) -> bool:
        """Take a connection; False if all that are allowed now are taken."""
        with self._lock:
            if self._in_use >= self.limit:
                return False
            if self._in_use == 0:
                self._begin_window()
            self._in_use += 1
            return True

    def leave(self, arrived: int) -> None:
        """Give a connection back after `arrived` bytes, 0 if its part did not arrive."""
        with self._lock:
            self._in_use -= 1
            self._parts += 1
            self._bytes += arrived
            if self._parts >= self.limit:
                self._end_window()

    def slow_down(self) -> None:
        """A server asks for less: halve, and grow no more until a window has passed in peace."""
        with self._lock:
            self._halve()

    def broke(self) -> None:
        """A connection broke: the first of a window may be chance, the second is a server that cannot keep up."""
        with self._lock:
            self._broken += 1
            if self._broken > 1:
                self._halve()

    def _halve(self) -> None:
        self.limit = max(1, self.limit // 2)
        self._grow_from(0.0)
        self._begin_window()

    def _grow_from(self, rate: float) -> None:
        self._best = (rate, self.limit)
        self._growing = True
        self._quiet = 0

    def _begin_window(self) -> None:
        self._since = self._clock()
        self._parts = 0
        self._bytes = 0
        self._broken = 0

    def _end_window(self) -> None:
        rate = self._bytes / max(self._clock() - self._since, 1e-6)
        best, limit = self._best
        if rate > 1.1 * best:
            self._best = (rate, self.limit)
            if self._growing:
                self.limit = min(self._most, self.limit * 2)
        elif self._growing:
            self._growing = False
            self.limit = limit
        else:
            self._quiet += 1
            if self._quiet == _PATIENCE:
                self._grow_from(rate)
                self.limit = min(self._most, self.limit * 2)
        self._begin_window()
