"""A library as its tracker knows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from core.cost.workload import Holding
from core.model import Record, Status


@dataclass(frozen=True, slots=True)
class Library:
    """What is archived, of how many originals, and how many media are still to come."""

    archived: Holding
    originals: int
    waiting: int

    @property
    def mean_length(self) -> float | None:
        """Bytes of an archived medium, None if there is none."""
        return self.archived.length / self.archived.videos if self.archived.videos else None

    @property
    def originals_a_medium(self) -> float:
        """How many originals an archived medium has."""
        return self.originals / self.archived.videos if self.originals else 1.0


def library_of(records: Iterable[Record]) -> Library:
    """The sums over all records of a provider."""
    videos = length = originals = waiting = 0
    for record in records:
        if record.status is Status.COMPLETED:
            videos += 1
            length += record.length
            originals += record.originals
        elif not record.status.is_final:
            waiting += 1
    return Library(Holding(videos, length), originals, waiting)
