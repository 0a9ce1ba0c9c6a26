"""Getting it back: what is selected from the catalog, what that costs, and the way home of every byte."""

from core.restore.cache import Cache
from core.restore.completeness import untold
from core.restore.quote import TIERS, Quote, duration, quote
from core.restore.restore import Outcome, Report, Restore, Result, Situation, Watcher
from core.restore.select import (
    HOW_TO_MEND,
    Catalog,
    Selected,
    Selection,
    camera_of,
    first_day,
    last_day,
    moment_of,
    wanted,
)
from core.restore.standing import LastRun, Standing, standing, tracker_is_lost
from core.restore.target import Target

__all__ = [
    "HOW_TO_MEND",
    "TIERS",
    "Cache",
    "Catalog",
    "LastRun",
    "Outcome",
    "Quote",
    "Report",
    "Restore",
    "Result",
    "Selected",
    "Selection",
    "Situation",
    "Standing",
    "Target",
    "Watcher",
    "camera_of",
    "duration",
    "first_day",
    "last_day",
    "moment_of",
    "quote",
    "standing",
    "tracker_is_lost",
    "untold",
    "wanted",
]
