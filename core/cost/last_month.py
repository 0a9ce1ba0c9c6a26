"""What the last month has cost, as far as the tracker can tell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from core.cost.design import DESIGN, Design
from core.cost.estimate import estimate
from core.cost.library import library_of
from core.cost.workload import ASSUMED, Workload
from core.model import Record, Status
from core.prices import DAYS_OF_A_MONTH


def last_month(records: Iterable[Record], now: datetime, design: Design = DESIGN) -> float:
    """Estimate in USD what the 30 days before `now` have cost: what was archived in them, and keeping all the rest.

    What was recorded as completed within these days counts as transferred in them, evenly.
    """
    since = now - timedelta(days=DAYS_OF_A_MONTH)
    completed = [one for one in records if one.status is Status.COMPLETED]
    older = library_of(one for one in completed if one.updated_at < since)
    recent = library_of(one for one in completed if one.updated_at >= since)
    workload = Workload(recent.archived.videos, recent.mean_length or 0.0, months=1, archived=older.archived)
    assumptions = replace(ASSUMED, originals=library_of(completed).originals_a_medium)
    return round(estimate(workload, design, assumptions).usd(0), 2)
