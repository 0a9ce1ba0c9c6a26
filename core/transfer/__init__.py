"""Moving the bytes of one original."""

from core.transfer.buffers import room_for_parts
from core.transfer.engine import Engine
from core.transfer.source import Source
from core.transfer.watch import UNWATCHED, Progress, Watch

__all__ = ["UNWATCHED", "Engine", "Progress", "Source", "Watch", "room_for_parts"]
