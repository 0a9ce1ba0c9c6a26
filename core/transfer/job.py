"""One file on its way, and how it is cut into parts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from core.archive.base import Label, PartLimits, Shape, Upload
from core.errors import IntegrityError
from core.transfer.source import Source
from core.transfer.watch import Watch

MIB = 1024 * 1024

#: Bytes of an original at most: no camera records so much, and a declared length decides how large a part is.
LONGEST = 5 * 1024**4

#: Seconds before the end of an invocation, beside twice the time that a part has taken, from which on none is begun.
LAST_START = 5.0


@dataclass(frozen=True, slots=True)
class Task:
    """One file to move; `replaces` says that something else is there, which it takes the place of."""

    source: Source
    key: str
    label: Label
    watch: Watch
    replaces: bool


@dataclass
class Reading:
    """A file that is being read: of which version, whether to stop, and how often something was tried again."""

    task: Task
    version: str
    length: int
    stop: threading.Event = field(default_factory=threading.Event)
    retries: int = 0


@dataclass
class Job(Reading):
    """A file that is moved in parts; `arrived` is counted from the beginning of this attempt (bytes)."""

    upload: Upload = field(kw_only=True)
    shape: Shape = field(kw_only=True)
    began: float = field(kw_only=True)
    arrived: int = 0
    slowest: float = 0.0
    told: float = 0.0

    @property
    def is_late(self) -> bool:
        """Whether a part that is begun now may not arrive in time."""
        return self.task.watch.remaining() < LAST_START + 2 * self.slowest

    def span(self, number: int) -> tuple[int, int]:
        """Where part `number` begins and ends."""
        start = (number - 1) * self.shape.part_size
        return start, min(self.length, start + self.shape.part_size)

    def missing(self) -> Iterator[int]:
        """The parts that the archive does not have whole."""
        confirmed = self.upload.parts()
        for number in range(1, -(-self.length // self.shape.part_size) + 1):
            start, end = self.span(number)
            if confirmed.get(number) != end - start:
                yield number


def part_size(length: int, limits: PartLimits, connections: int, memory: int) -> int:
    """Bytes of a part of a file of `length` bytes: small enough to share it out, large enough for the store.

    `IntegrityError` if it is longer than `LONGEST`.
    """
    if length > LONGEST:
        raise IntegrityError(f"A source declares {length:,} bytes, more than can be moved.")
    shared_out = -(-length // connections)
    size = max(limits.smallest, min(shared_out, memory // connections), -(-length // limits.most))
    return min(limits.largest, -(-size // MIB) * MIB if size > limits.smallest else size)
