"""What is moved: files made once in a temporary folder."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024
GIB = 1024 * MIB
SMALL_LENGTH = 300_000
_ODD_LENGTH = 96 * MIB + 12_345
_MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True)
class Files:
    """Paths below the served folder, and lengths in bytes; small ones have `SMALL_LENGTH`, `odd` no round number."""

    folder: Path
    big: str
    big_length: int
    odd: str
    small: tuple[str, ...]
    huge: str
    huge_length: int


@contextmanager
def made(folder: Path, *, big_length: int, small_count: int, huge_length: int) -> Iterator[Files]:
    """An incompressible file, many small ones, and a sparse one that takes no room."""
    noise = random.Random(2026)
    for name, length in (("big.bin", big_length), ("odd.bin", _ODD_LENGTH)):
        with (folder / name).open("wb") as file:
            for start in range(0, length, 16 * MIB):
                file.write(noise.randbytes(min(16 * MIB, length - start)))
    (folder / "small").mkdir()
    small = tuple(f"small/{number:04}.jpg" for number in range(small_count))
    for path in small:
        (folder / path).write_bytes(noise.randbytes(SMALL_LENGTH))
    with ExitStack() as stack:
        # Holes of a file in shared memory are read from one page of zeros; on a disk they would fill the page cache.
        place = _MEMORY if os.access(_MEMORY, os.W_OK) else folder
        sparse = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=place, prefix="bench-"))) / "huge.bin"
        with sparse.open("xb") as file:
            file.truncate(huge_length)
        (folder / "huge.bin").symlink_to(sparse)
        # nginx may run its workers as another user.
        for served in (folder, folder.parent, sparse.parent):
            served.chmod(0o755)
        yield Files(folder, "big.bin", big_length, "odd.bin", small, "huge.bin", huge_length)
