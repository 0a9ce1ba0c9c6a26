"""Moves one original from its source into the archive with memory of one part, hashing the bytes on their way.

The seam for a parallel and resumable engine is `move`: it alone decides how a source is read and how parts are written;
`Source.open(start)` and `Upload.write_part(number, …)` already take any range and any order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from core.archive.base import Archive, Label, Upload
from core.errors import IntegrityError
from core.model import Stored
from core.providers.base import ByteSource
from core.transfer.source import Source

#: Bytes asked for at once: between two reads a user's wish to stop is heard and progress is told.
READ_SIZE = 1024 * 1024

Advance = Callable[[int], None]


def move(source: Source, archive: Archive, key: str, label: Label, advance: Advance = lambda _: None) -> Stored:
    """Store the source at `key` and return what the archive confirmed.

    `advance` is told the bytes of each read; what it raises stops the transfer. An empty, short or long body raises
    `IntegrityError` and leaves no object; a multipart upload that fails is aborted.
    """
    with source.open() as body:
        digest = hashlib.sha256()
        size = archive.part_size(body.total)
        buffer = memoryview(bytearray(size if body.total is None else max(1, min(size, body.total))))
        filled = _fill(body, buffer, advance)
        digest.update(buffer[:filled])
        if filled < len(buffer) or filled == body.total:
            _require_whole(key, filled, body)
            return archive.put(key, buffer[:filled], label, digest.hexdigest())
        upload = archive.start(key, label)
        try:
            length = _move_parts(body, upload, buffer, digest.update, advance)
            _require_whole(key, length, body)
            return upload.complete(length, digest.hexdigest())
        except BaseException:
            upload.abort()
            raise


def _move_parts(
    body: ByteSource, upload: Upload, buffer: memoryview, hash_bytes: Callable[[memoryview], None], advance: Advance
) -> int:
    """Write the full buffer as part 1, then the rest of the body part by part; the length in bytes."""
    length, number, filled = 0, 1, len(buffer)
    while filled:
        upload.write_part(number, buffer[:filled])
        length += filled
        number += 1
        filled = _fill(body, buffer, advance)
        hash_bytes(buffer[:filled])
    return length


def _fill(body: ByteSource, buffer: memoryview, advance: Advance) -> int:
    filled = 0
    while filled < len(buffer):
        count = body.readinto(buffer[filled : filled + READ_SIZE])
        if count == 0:
            break
        filled += count
        advance(count)
    return filled


def _require_whole(key: str, length: int, body: ByteSource) -> None:
    if length == 0:
        raise IntegrityError(f"The source of {key} is empty. It is tried again.")
    surplus = body.readinto(memoryview(bytearray(1)))
    if surplus or body.total not in (None, length):
        told = f"{length:,} bytes{' and more' if surplus else ''}"
        raise IntegrityError(f"The source of {key} gave {told} where it declares {body.total:,}. It is tried again.")
