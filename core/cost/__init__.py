"""What the workflow and the archive cost: numbers in, a table out. Nothing is asked of AWS."""

from core.cost.design import DESIGN, Design, Function
from core.cost.estimate import Estimate, Line, Transfer, estimate, transfer
from core.cost.getting_back import Way, getting_back
from core.cost.last_month import last_month
from core.cost.library import Library, library_of
from core.cost.workload import ASSUMED, Assumptions, Holding, Workload

__all__ = [
    "ASSUMED",
    "DESIGN",
    "Assumptions",
    "Design",
    "Estimate",
    "Function",
    "Holding",
    "Library",
    "Line",
    "Transfer",
    "Way",
    "Workload",
    "estimate",
    "getting_back",
    "last_month",
    "library_of",
    "transfer",
]
