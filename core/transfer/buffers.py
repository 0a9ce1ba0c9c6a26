"""The memory that parts are read into: bounded, and used again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: Smaller ones are made faster than they are found.
_WORTH_KEEPING = 1024 * 1024

#: Megabytes that Python, its libraries and what they have loaded take of a process, with some room.
_PYTHON = 128


def room_for_parts(megabytes: int) -> int:
    """Bytes for parts in a process of so many megabytes: half of what Python leaves."""
    return max(16, (megabytes - _PYTHON) // 2) * 1024 * 1024


class Buffers:
    """Buffers of `budget` bytes together, for several threads; one that is larger than the budget is alone."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._taken = 0
        self._free: list[bytearray] = []
        self._changed = threading.Condition()

    @contextmanager
    def take(self, size: int) -> Iterator[memoryview]:
        """Lend a buffer of `size` bytes; waits while too much is taken."""
        with self._changed:
            self._changed.wait_for(lambda: self._taken == 0 or self._taken + size <= self._budget)
            self._taken += size
            buffer = self._fitting(size)
        try:
            with memoryview(buffer) as view:
                yield view
        finally:
            with self._changed:
                self._taken -= size
                if size >= _WORTH_KEEPING:
                    self._free.append(buffer)
                self._changed.notify_all()

    def _fitting(self, size: int) -> bytearray:
        sizes = [len(buffer) for buffer in self._free]
        if size in sizes:
            return self._free.pop(sizes.index(size))
        # What is kept for another size makes room.
        while self._free and self._taken + sum(map(len, self._free)) > self._budget:
            self._free.pop(0)
        return bytearray(size)
