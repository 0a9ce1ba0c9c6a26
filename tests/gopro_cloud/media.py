"""What the emulated cloud holds: media, their files, and the bytes of those."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Protocol

BLOCK = 64 * 1024


#: What S3 was given at once, in bytes; longer files came in parts.
_AT_ONCE = 8 * 1024 * 1024


class Body(Protocol):
    """The bytes of a file; any range can be had without the rest."""

    @property
    def length(self) -> int: ...

    def read(self, start: int, end: int) -> bytes: ...

    def __hash__(self) -> int: ...


@dataclass(frozen=True)
class Generated:
    """A deterministic recording of `length` bytes: a valid MP4, JPEG or TIFF shell around bytes made from `seed`."""

    seed: str
    length: int
    extension: str = "mp4"

    def read(self, start: int, end: int) -> bytes:
        head, tail = self._shell()
        payload_end = self.length - len(tail)
        pieces = [head[start:end]] if start < len(head) else []
        first, last = max(start, len(head)), min(end, payload_end)
        for number in range(first // BLOCK, -(-last // BLOCK)) if first < last else ():
            block = _block(self.seed, number)
            pieces.append(block[max(0, first - number * BLOCK) : last - number * BLOCK])
        if end > payload_end:
            pieces.append(tail[max(0, start - payload_end) : end - payload_end])
        return b"".join(pieces)

    def _shell(self) -> tuple[bytes, bytes]:
        match self.extension:
            case "jpg":
                head, tail = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00", b"\xff\xd9"
            case "gpr":
                head, tail = b"II*\x00\x08\x00\x00\x00", b""
            case _:
                head, tail = _mp4_head(self.length), b""
        return (head, tail) if len(head) + len(tail) <= self.length else (b"", b"")


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def _mp4_head(length: int) -> bytes:
    """ftyp, moov with a movie header, and the header of an mdat that takes the rest: the boxes add up to `length`."""
    movie_header = struct.pack(">IIIII", 0, 0, 0, 1000, 1000) + struct.pack(">IH", 0x00010000, 0x0100) + bytes(10)
    movie_header += (
        struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000) + bytes(24) + struct.pack(">I", 2)
    )
    head = _box(b"ftyp", b"mp41" + struct.pack(">I", 0x20131018) + b"mp41") + _box(b"moov", _box(b"mvhd", movie_header))
    return head + struct.pack(">I4sQ", 1, b"mdat", length - len(head))


@lru_cache(maxsize=256)
def _block(seed: str, number: int) -> bytes:
    return hashlib.shake_128(f"{seed}:{number}".encode()).digest(BLOCK)


@dataclass(frozen=True)
class OnDisk:
    """A real file."""

    path: Path

    @property
    def length(self) -> int:
        return self.path.stat().st_size

    def read(self, start: int, end: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(end - start)


def changed(body: Body, times: int) -> Body:
    """What a generated body is after it was replaced so often: as long, with other bytes."""
    return replace(body, seed=f"{body.seed}/changed/{times}") if times and isinstance(body, Generated) else body


def pieces(body: Body, start: int, end: int, size: int = 4 * BLOCK) -> Iterator[bytes]:
    """A range of a body, piece by piece."""
    while start < end:
        stop = min(end, start + size)
        yield body.read(start, stop)
        start = stop


@lru_cache(maxsize=4096)
def etag(body: Body) -> str:
    """The ETag as S3 has it: the MD5 of what was stored at once, else a hash that cannot be told from the bytes."""
    if body.length <= _AT_ONCE:
        return f'"{hashlib.md5(body.read(0, body.length)).hexdigest()}"'
    return f'"{hashlib.md5(repr(body).encode()).hexdigest()}-{-(-body.length // _AT_ONCE)}"'


@lru_cache(maxsize=4096)
def digest(body: Body) -> str:
    """The SHA-256 of a body."""
    found = hashlib.sha256()
    for piece in pieces(body, 0, body.length):
        found.update(piece)
    return found.hexdigest()


@dataclass(frozen=True)
class CloudFile:
    """An entry of a download answer. `shelf` is files, variations or sidecar_files; `original`: a backup must hold it.

    `number` is the item's; `tells_number` whether the entry says so. `path` follows `/cdn/{media_id}/` in its address.
    """

    shelf: str
    body: Body
    path: str
    label: str = ""
    extension: str = "mp4"
    number: int = 1
    tells_number: bool = True
    original: bool = False
    available: bool | None = None
    width: int = 3840
    height: int = 2160


@dataclass(frozen=True)
class CloudMedium:
    """One entry of the library. `told_length` is what the listing says, right or wrong.

    `uploaded_at` is its place in a listing by upload; "" means that it was uploaded when it was captured.
    """

    media_id: str
    kind: str
    filename: str | None
    captured_at: str
    files: tuple[CloudFile, ...] = ()
    state: str = "ready"
    told_length: int | None = None
    item_count: int | None = 1
    file_extension: str | None = "MP4"
    width: int = 3840
    height: int = 2160
    facts: dict[str, object] = field(default_factory=dict, hash=False)
    uploaded_at: str = ""

    @property
    def created_at(self) -> str:
        """When it came into the cloud."""
        return self.uploaded_at or self.captured_at

    @property
    def originals(self) -> tuple[CloudFile, ...]:
        """What a backup must hold."""
        return tuple(file for file in self.files if file.original)
