"""The checksum of bytes as they come, held against the one that the store confirmed when they were archived."""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode

from core.model import Stored

_PREFIX = "SHA256:"


class Checksum:
    """SHA-256 of the whole, or, for an object that went to S3 in parts, of the digests of its parts."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self._expected = stored.store_checksum.removeprefix(_PREFIX)
        self._length = 0
        self._digest = hashlib.sha256()
        self._left = self._part_size = stored.part_size if "-" in self._expected else None
        self._parts: list[bytes] = []

    def update(self, block: bytes) -> None:
        """Take the next bytes."""
        self._length += len(block)
        view = memoryview(block)
        while view and self._left is not None and self._part_size is not None:
            piece, view = view[: self._left], view[self._left :]
            self._digest.update(piece)
            self._left -= len(piece)
            if not self._left:
                self._end_part()
                self._left = self._part_size
        self._digest.update(view)

    def problem(self) -> str:
        """What is wrong with all that came, "" if it is what was archived."""
        stored = self._stored
        if self._length != stored.length:
            return f"it has {self._length:,} bytes in place of {stored.length:,}"
        if self._part_size is not None:
            if self._left != self._part_size or not self._parts:
                self._end_part()
            digest = hashlib.sha256(b"".join(self._parts)).digest()
            found = f"{b64encode(digest).decode()}-{len(self._parts)}"
            return "" if found == self._expected else "its bytes are not those that were archived"
        expected = stored.sha256
        if expected is None and stored.store_checksum.startswith(_PREFIX) and "-" not in self._expected:
            expected = b64decode(self._expected).hex()
        if expected is None:
            return "the catalog has no checksum that it could be compared with"
        return "" if self._digest.hexdigest() == expected else "its bytes are not those that were archived"

    def _end_part(self) -> None:
        self._parts.append(self._digest.digest())
        self._digest = hashlib.sha256()
