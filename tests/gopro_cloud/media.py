"""What the emulated cloud holds: media, their files, and the bytes of those."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Callable, Iterator
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


#: Frames of a strip, and how many pixels each is wide and high, as the real cloud has them.
FRAMES, FRAME_WIDTH, FRAME_HEIGHT = 10, 100, 56


@dataclass(frozen=True)
class Strip:
    """A JPEG of ten small frames side by side: a landscape of its own for each `seed`, over which the sun goes."""

    seed: str

    @property
    def length(self) -> int:
        return len(_strip(self.seed))

    def read(self, start: int, end: int) -> bytes:
        return _strip(self.seed)[start:end]


@lru_cache(maxsize=256)
def _strip(seed: str) -> bytes:
    digest = hashlib.sha256(seed.encode()).digest()
    hue, hills, high = digest[0] - 128, digest[1] / 40, 3.2 + digest[2] / 128

    def colour(column: int, row: int) -> tuple[int, int, int]:
        frame, x = divmod(column * 8, FRAME_WIDTH)
        if row > high + 1.2 * math.sin(x / 18 + hills):
            return 70 - 6 * row + x // 10, 118 - hue // 12, 120 + hue // 10
        if math.hypot(x - 9 * frame - 8, 8 * row - 14 + 2 * frame) < 9:
            return 235, 100, 145
        return 190 - 14 * row + frame * 3, 140 + hue // 10, 122 - hue // 8

    return _mosaic(FRAMES * FRAME_WIDTH, FRAME_HEIGHT, colour)


def _mosaic(width: int, height: int, colour: Callable[[int, int], tuple[int, int, int]]) -> bytes:
    """A JPEG of tiles of 8 by 8 pixels, each of one colour: luma, and blue and red, of which 128 is none."""
    bits = ""
    before = [0, 0, 0]
    for row in range(height // 8):
        for column in range(width // 8):
            for component, value in enumerate(colour(column, row)):
                level = min(255, max(0, value)) - 128
                change, before[component] = level - before[component], level
                category = abs(change).bit_length()
                low = change if change > 0 else change + (1 << category) - 1
                bits += f"{category:04b}" + (f"{low:0{category}b}" if category else "") + "0"
    bits += "1" * (-len(bits) % 8)
    scan = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
    size = struct.pack(">BHHB", 8, height, width, 3) + b"".join(bytes((one, 0x11, 0)) for one in (1, 2, 3))
    # Codes of four bits for the twelve categories, and one of a single bit that ends a tile.
    direct, end_of_tile = bytes(3) + b"\x0c" + bytes(12) + bytes(range(12)), b"\x01" + bytes(15) + b"\0"
    segments = [
        (0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"),
        (0xDB, b"\0" + b"\x08" * 64),
        (0xC0, size),
        (0xC4, b"\0" + direct),
        (0xC4, b"\x10" + end_of_tile),
        (0xDA, b"\x03" + bytes((1, 0, 2, 0, 3, 0)) + b"\0\x3f\0"),
    ]
    head = b"".join(b"\xff" + bytes((kind,)) + struct.pack(">H", len(body) + 2) + body for kind, body in segments)
    return b"\xff\xd8" + head + scan + b"\xff\xd9"


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
    """An entry of a download answer. `original`: a backup must hold it.

    `shelf` is files, variations, sidecar_files or sprites.
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
