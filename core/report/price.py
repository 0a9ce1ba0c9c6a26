"""What an archive of a size costs a month, for the curve over time."""

from __future__ import annotations

from core.cost import DESIGN, Design, Holding, Workload, estimate
from core.report.ledger import Month, Price


def monthly_price(design: Design = DESIGN) -> Price:
    """The price, storage and all, of an archive in S3 to which as much comes each month as came in the last."""

    def price(total: Month, came: tuple[int, int]) -> float:
        media, length = came
        held = Holding(max(0, total.media - media), max(0, total.length - length))
        workload = Workload(media, length / media if media else 0.0, months=1, archived=held)
        return round(estimate(workload, design).usd(0), 4)

    return price
