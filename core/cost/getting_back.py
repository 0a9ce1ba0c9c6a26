"""What it costs to have everything back once."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from core import prices
from core.cost.workload import Holding
from core.model import Json

#: Days for which the readable copies are kept.
COPY_DAYS = 7


@dataclass(frozen=True, slots=True)
class Way:
    """One tier of retrieval out of Deep Archive; prices in USD, `hours` at most until all is readable."""

    tier: str
    hours: float
    retrieval: float
    copies: float
    download: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.retrieval + self.copies + self.download

    def to_json(self) -> dict[str, Json]:
        """For scripts."""
        return {**asdict(self), "total": self.total}


def getting_back(objects: Holding, *, free_tier: bool = True) -> list[Way]:
    """The ways to restore and download so many objects (not videos), the cheapest first."""
    gb = objects.length / prices.GB
    free = prices.EGRESS_FREE_GB if free_tier else 0
    copies = gb * prices.STANDARD_GB_MONTH * COPY_DAYS / prices.DAYS_OF_A_MONTH
    download = max(0.0, gb - free) * prices.EGRESS_GB
    ways = [
        Way(name, tier.hours, gb * tier.gb + objects.videos * tier.thousand_requests / 1000, copies, download)
        for name, tier in prices.RESTORE["DEEP_ARCHIVE"].items()
    ]
    return sorted(ways, key=lambda way: way.total)
