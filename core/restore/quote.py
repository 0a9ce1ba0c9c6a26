"""What a restore costs and how long it takes, before anything is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from core import prices
from core.archive.retrieval import Held, State
from core.errors import InvalidInput
from core.model import Json

TIERS = ("Bulk", "Standard", "Expedited")


@dataclass(frozen=True, slots=True)
class Quote:
    """Objects and bytes to be requested by storage class, and their price in USD. `hours` is until all is ready.

    `egress` is the most that the download costs: what is free each month may be used up already.
    """

    tier: str
    days: int
    objects: dict[str, int] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    requests: float = 0.0
    retrieval: float = 0.0
    copies: float = 0.0
    egress: float = 0.0
    hours: float = 0.0

    @property
    def total(self) -> float:
        """All of it, at most."""
        return self.requests + self.retrieval + self.copies + self.egress

    def to_json(self) -> dict[str, Json]:
        """For scripts."""
        return {
            "tier": self.tier,
            "days": self.days,
            "objects_to_request": self.objects,
            "bytes_to_request": self.lengths,
            "hours": self.hours,
            "usd_requests": round(self.requests, 6),
            "usd_retrieval": round(self.retrieval, 6),
            "usd_copies": round(self.copies, 6),
            "usd_download_at_most": round(self.egress, 6),
            "usd_total_at_most": round(self.total, 6),
            "prices_as_of": prices.AS_OF.isoformat(),
            "prices_of": prices.REGION,
            "prices_source": prices.SOURCE,
        }


def quote(held: Sequence[Held], tier: str, days: int) -> Quote:
    """The price of what is to be requested and of the download of all that is there; `InvalidInput` for an odd tier."""
    asleep = [one for one in held if one.state is State.ARCHIVED]
    objects = Counter(one.storage_class for one in asleep)
    lengths = Counter[str]()
    for one in asleep:
        lengths[one.storage_class] += one.to_read
    requests = retrieval = hours = 0.0
    for storage_class, count in objects.items():
        rate = tier_of(storage_class, tier)
        requests += count * rate.thousand_requests / 1000
        retrieval += lengths[storage_class] / prices.GB * rate.gb
        hours = max(hours, rate.hours)
    months = days / prices.DAYS_OF_A_MONTH
    coming = sum(one.to_read for one in held if one.state is not State.MISSING)
    return Quote(
        tier=tier,
        days=days,
        objects=dict(objects),
        lengths=dict(lengths),
        requests=requests,
        retrieval=retrieval,
        copies=sum(lengths.values()) / prices.GB * prices.STANDARD_GB_MONTH * months,
        egress=coming / prices.GB * prices.EGRESS_GB,
        hours=hours,
    )


def duration(hours: float) -> str:
    """Hours in words; less than one is told in minutes."""
    return f"{hours:g} hours" if hours >= 1 else f"{hours * 60:.0f} minutes"


def tier_of(storage_class: str, tier: str) -> prices.Tier:
    """What a tier of a storage class costs; `InvalidInput` where there is no such tier."""
    tiers = prices.RESTORE[storage_class]
    if tier not in tiers:
        known = " or ".join(f"{name} ({duration(one.hours)})" for name, one in tiers.items())
        raise InvalidInput(f"{storage_class} cannot be restored as {tier}. Take --tier {known}.")
    return tiers[tier]
