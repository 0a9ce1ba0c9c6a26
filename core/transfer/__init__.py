"""Moving the bytes of one original."""

from core.transfer.engine import move
from core.transfer.source import Source

__all__ = ["Source", "move"]
