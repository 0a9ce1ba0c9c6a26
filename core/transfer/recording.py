"""Whether an MP4 or MOV is whole: its top-level boxes must add up to its length, and its index must be there.

The form of a box is that of ISO/IEC 14496-12: length (4 bytes), kind (4), and 8 bytes more of length where that is 1.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

EXTENSIONS = frozenset({"mp4", "mov", "m4v", "360", "lrv"})

_HEADER = 16

#: Boxes that are walked over, each of which may cost a call: what comes behind more of them is not judged.
_MOST_BOXES = 1000
_INDEX = frozenset({b"moov", b"moof"})


class Walk:
    """A walk from box to box: `next_box` is where the next header stands, until `ended`."""

    def __init__(self) -> None:
        self.next_box = 0
        self.ended = False
        self._fault = ""
        self._is_judged = True
        self._kinds = set[bytes]()
        self._boxes = 0
        self._seen = 0
        self._header = bytearray()

    def take(self, header: bytes) -> None:
        """Step over the box that begins with `header`: 16 bytes, or those that are left."""
        size = _size(header)
        self._boxes += 1
        if size is None:
            self._fault = f"what stands at byte {self.next_box:,} is no part of a recording"
        elif self._boxes > _MOST_BOXES:
            self._is_judged = False
        else:
            self._kinds.add(bytes(header[4:8]))
            self.next_box += size
        # A box without a size goes on to the end of the file.
        self.ended = bool(self._fault) or not self._is_judged or size == 0

    def pass_by(self, block: memoryview) -> None:
        """Take the headers out of bytes that come one block after the other."""
        while not self.ended:
            start = self.next_box + len(self._header) - self._seen
            self._header += block[start : start + _HEADER - len(self._header)]
            if len(self._header) < _HEADER:
                break
            self._take_collected()
        self._seen += len(block)

    def damage(self, length: int) -> str:
        """What is wrong with a recording that has ended after `length` bytes, "" if nothing is, or nobody can tell."""
        while self._header and not self.ended:
            self._take_collected()
        if self._fault or not self._is_judged:
            return self._fault
        if not self.ended and self.next_box > length:
            return f"it is cut off: its last part ends {self.next_box - length:,} bytes behind its end"
        return "" if self._kinds & _INDEX else "it has no index (moov), as if the camera had lost power"

    def _take_collected(self) -> None:
        at = self.next_box
        self.take(bytes(self._header))
        del self._header[: self.next_box - at]  # the next box may begin within them


def damage(length: int, read: Callable[[int, int], bytes]) -> str:
    """What is wrong with a recording of `length` bytes, "" if nothing is. `read` gives bytes from a start to an end."""
    walk = Walk()
    while walk.next_box < length and not walk.ended:
        walk.take(read(walk.next_box, min(length, walk.next_box + _HEADER)))
    return walk.damage(length)


def _size(header: bytes) -> int | None:
    """The bytes of the box that begins with `header`, 0 if it goes on to the end; None if that is no header."""
    if len(header) < 8 or not all(0x20 <= byte < 0x7F or byte == 0xA9 for byte in header[4:8]):
        return None
    (size,) = struct.unpack(">I", header[:4])
    if size == 1:
        if len(header) < _HEADER:
            return None
        (size,) = struct.unpack(">Q", header[8:16])
        return size if size >= _HEADER else None
    return size if size == 0 or size >= 8 else None
