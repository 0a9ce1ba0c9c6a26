"""How much lies in which storage class on which day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.cost.workload import Workload
from core.prices import DAYS_OF_A_MONTH, DEEP_ARCHIVE_LEAST_DAYS


@dataclass(frozen=True, slots=True)
class Stock:
    """Videos or bytes: `first` arrive on day 0, `daily` on each day from then on. Days count from 0, months from 1.

    What arrives is in S3 Standard for `warm_days`, then in Deep Archive, until it is `keep_days` old.
    """

    first: float
    daily: float
    warm_days: int
    keep_days: int | None

    def warm(self, month: int) -> float:
        """What is in S3 Standard, on average over the month."""
        until = self.warm_days if self.keep_days is None else min(self.warm_days, self.keep_days)
        return self._sum(month, lambda day: self._arrived(day) - self._arrived(day - until)) / DAYS_OF_A_MONTH

    def cold(self, month: int) -> float:
        """What is in Deep Archive, on average over the month."""
        return self._sum(month, lambda day: self._moved(day) - self._deleted(day)) / DAYS_OF_A_MONTH

    def moving(self, month: int) -> float:
        """What goes into Deep Archive in the month."""
        return self._sum(month, lambda day: self._moved(day) - self._moved(day - 1))

    def paid_for_nothing(self, month: int) -> float:
        """What is deleted in the month, times the months for which it is billed all the same."""
        if self.keep_days is None:
            return 0.0
        days = max(0, DEEP_ARCHIVE_LEAST_DAYS - (self.keep_days - self.warm_days))
        deleted = self._sum(month, lambda day: self._deleted(day) - self._deleted(day - 1))
        return deleted * days / DAYS_OF_A_MONTH

    def there(self, month: int) -> float:
        """What is there at the end of the month."""
        day = month * DAYS_OF_A_MONTH - 1
        return self._arrived(day) - (0.0 if self.keep_days is None else self._arrived(day - self.keep_days))

    def _arrived(self, day: int) -> float:
        return self.first + self.daily * (day + 1) if day >= 0 else 0.0

    def _moved(self, day: int) -> float:
        is_moved = self.keep_days is None or self.keep_days > self.warm_days
        return self._arrived(day - self.warm_days) if is_moved else 0.0

    def _deleted(self, day: int) -> float:
        is_cold = self.keep_days is not None and self.keep_days > self.warm_days
        return self._arrived(day - self.keep_days) if is_cold and self.keep_days is not None else 0.0

    def _sum(self, month: int, of_day: Callable[[int], float]) -> float:
        return sum(map(of_day, range((month - 1) * DAYS_OF_A_MONTH, month * DAYS_OF_A_MONTH)))


def stocks(workload: Workload, warm_days: int) -> tuple[Stock, Stock]:
    """The videos and the bytes of what comes."""
    daily = workload.videos_a_month / DAYS_OF_A_MONTH
    return (
        Stock(workload.waiting.videos, daily, warm_days, workload.keep_days),
        Stock(workload.waiting.length, daily * workload.video_length, warm_days, workload.keep_days),
    )
