"""Whether an MP4 or MOV is whole: its top-level boxes must add up to its length, and its index must be there.

The form of a box is that of ISO/IEC 14496-12: length (4 bytes), kind (4), and 8 bytes more of length where that is 1.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

EXTENSIONS = frozenset({"mp4", "mov", "m4v", "360", "lrv"})

_HEADER = 16
_MOST_BOXES = 1000
_INDEX = frozenset({b"moov", b"moof"})


def damage(length: int, read: Callable[[int, int], bytes]) -> str:
    """What is wrong with a recording of `length` bytes, "" if nothing is. `read` gives bytes from a start to an end."""
    position, kinds = 0, set[bytes]()
    for _ in range(_MOST_BOXES + 1):
        if position == length:
            return "" if kinds & _INDEX else "it has no index (moov), as if the camera had lost power"
        header = read(position, min(length, position + _HEADER))
        size = _size(header, length - position)
        if size is None:
            return f"what stands at byte {position:,} is no part of a recording"
        if position + size > length:
            return f"it is cut off: its last part ends {position + size - length:,} bytes behind its end"
        kinds.add(header[4:8])
        position += size
    return f"it has more than {_MOST_BOXES} parts"


def _size(header: bytes, left: int) -> int | None:
    """The bytes of the box that begins with `header`; None if that is no header."""
    if len(header) < 8 or not all(0x20 <= byte < 0x7F or byte == 0xA9 for byte in header[4:8]):
        return None
    (size,) = struct.unpack(">I", header[:4])
    if size == 0:
        return left
    if size == 1:
        if len(header) < _HEADER:
            return None
        (size,) = struct.unpack(">Q", header[8:16])
        return size if size >= _HEADER else None
    return size if size >= 8 else None
