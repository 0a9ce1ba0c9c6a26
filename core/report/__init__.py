"""What people look at: a page a run, curves over time, and a gallery of what the archive holds, month by month."""

from core.report.gallery import Gallery, Spool
from core.report.ledger import Price
from core.report.model import Item, Note, Told
from core.report.pages import MOST_ROWS

__all__ = ["MOST_ROWS", "Gallery", "Item", "Note", "Price", "Spool", "Told"]
