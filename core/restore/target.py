"""The folder that originals are brought back into.

A file has its name only once every byte of it is verified. Until then it lies aside, so that whatever ends a restore,
the next one goes on with the byte that is missing; what was verified is noted, so that it is not read again each time.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from core.errors import CloudSyncError, InvalidInput, StorageFull
from core.model import Stored
from core.restore.checksum import Checksum
from core.restore.select import HOW_TO_MEND

STATE_FOLDER = ".cloud-sync"
_READ = 1024 * 1024


class Presence(StrEnum):
    """What lies at the place of an original. DAMAGED: it came once, and was not what was archived."""

    ABSENT = "absent"
    WHOLE = "whole"
    OTHER = "other"
    DAMAGED = "damaged"


class Target:
    """Originals under `root` with their keys as paths."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._aside = root / STATE_FOLDER / "restore"
        self._journal = self._aside / "verified.jsonl"
        self._verified: set[tuple[str, str, int, int]] = set()
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Read what was verified before."""
        with suppress(FileNotFoundError, NotADirectoryError):
            for line in self._journal.read_text("utf-8", "replace").splitlines():
                with suppress(ValueError, TypeError):  # the last line may be cut off
                    key, identity, length, changed = json.loads(line)
                    self._verified.add((key, identity, length, changed))

    def presence(self, stored: Stored, hear: Callable[[], None] = lambda: None) -> Presence:
        """What lies there; a file that is not noted as verified is read. `hear` is called between two reads."""
        path = self.path(stored)
        try:
            told = path.stat()
        except FileNotFoundError:
            return Presence.DAMAGED if self.damaged(stored).exists() else Presence.ABSENT
        except NotADirectoryError:
            return Presence.OTHER
        if self._line(stored, told) in self._verified:
            return Presence.WHOLE
        if not path.is_file() or told.st_size != stored.length:
            return Presence.OTHER
        checksum = Checksum(stored)
        with path.open("rb") as file:
            while block := file.read(_READ):
                checksum.update(block)
                hear()
        if checksum.problem():
            return Presence.OTHER
        self._note(stored)
        return Presence.WHOLE

    def arrived(self, stored: Stored) -> int:
        """The bytes that lie aside of an original that is on its way."""
        try:
            return min(self._partial(stored).stat().st_size, stored.length)
        except FileNotFoundError:
            return 0

    def free(self) -> int:
        """The bytes for which there is room."""
        there = next(one for one in (self._root, *self._root.absolute().parents) if one.exists())
        return shutil.disk_usage(there).free

    @contextmanager
    def writing(self, stored: Stored) -> Iterator[Writing]:
        """An original on its way, with what has arrived of it before."""
        partial = self._partial(stored)
        with self._told_by_the_disk():
            self._aside.mkdir(parents=True, exist_ok=True)
            partial.touch()
            file = partial.open("r+b", buffering=0)
        with file:
            yield Writing(file, stored, self._told_by_the_disk)

    def keep(self, stored: Stored, captured_at: datetime | None) -> None:
        """Give an original that is whole its name, and the time of its capture."""
        path, partial = self.path(stored), self._partial(stored)
        with self._told_by_the_disk(stored.key):
            if captured_at:
                with suppress(OSError, OverflowError, ValueError):
                    os.utime(partial, (captured_at.timestamp(), captured_at.timestamp()))
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.replace(path)
        self._note(stored)

    def keep_damaged(self, stored: Stored) -> Path:
        """Lay an original that is not what was archived beside its place: it was paid for, and may still be of use."""
        damaged = self.damaged(stored)
        with self._told_by_the_disk(stored.key):
            damaged.parent.mkdir(parents=True, exist_ok=True)
            self._partial(stored).replace(damaged)
        return damaged

    def path(self, stored: Stored) -> Path:
        """Where an original belongs."""
        segments = stored.key.split("/")
        if any(segment in ("", ".", "..") or "\\" in segment or "\0" in segment for segment in segments):
            raise InvalidInput(f"The catalog names {stored.key!r}, which is no key of an archive. {HOW_TO_MEND}")
        return self._root.joinpath(*segments)

    def damaged(self, stored: Stored) -> Path:
        """Where an original is laid that came damaged."""
        path = self.path(stored)
        return path.with_name(f"{path.name}.damaged")

    def _partial(self, stored: Stored) -> Path:
        name = hashlib.sha256(f"{stored.key}\n{_identity(stored)}\n{stored.length}".encode()).hexdigest()[:32]
        return self._aside / f"{name}.partial"

    def _note(self, stored: Stored) -> None:
        line = self._line(stored, self.path(stored).stat())
        with self._lock, self._told_by_the_disk():
            self._aside.mkdir(parents=True, exist_ok=True)
            with self._journal.open("a", encoding="utf-8") as journal:
                journal.write("\n" + json.dumps(line, ensure_ascii=False) + "\n")  # the line before may be cut off
            self._verified.add(line)

    def _line(self, stored: Stored, told: os.stat_result) -> tuple[str, str, int, int]:
        return stored.key, _identity(stored), told.st_size, told.st_mtime_ns

    @contextmanager
    def _told_by_the_disk(self, what: str = "") -> Iterator[None]:
        try:
            yield
        except (FileExistsError, NotADirectoryError):
            raise CloudSyncError(
                f"A file is in the way of {self._root / what}. Move it, or name another folder."
            ) from None
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StorageFull(
                    f"The disk of {self._root} is full. What has arrived stays: make room and start again."
                ) from error
            if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
                raise CloudSyncError(f"{self._root} cannot be written. Mend its permissions.") from error
            raise


class Writing:
    """A file that is being written, and the checksum of all that is in it."""

    def __init__(
        self, file: BinaryIO, stored: Stored, told_by_the_disk: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._file = file
        self._stored = stored
        self._told_by_the_disk = told_by_the_disk
        self._checksum = Checksum(stored)
        self.length = 0

    def go_on(self, hear: Callable[[int], None]) -> None:
        """Read what has arrived before; `hear` is told of the bytes."""
        while block := self._file.read(_READ):
            self._take(block)
            hear(len(block))
        if self.length > self._stored.length:
            self.begin_again()

    def begin_again(self) -> None:
        """Throw away what has arrived."""
        with self._told_by_the_disk():
            self._file.seek(0)
            self._file.truncate()
        self._checksum, self.length = Checksum(self._stored), 0

    def write(self, block: bytes) -> None:
        """Write the next bytes."""
        with self._told_by_the_disk():
            written = 0
            while written < len(block):
                written += self._file.write(block[written:])
        self._take(block)

    def problem(self) -> str:
        """What is wrong with what is there, now on the disk; "" if it is the original."""
        with self._told_by_the_disk():
            os.fsync(self._file.fileno())
        return self._checksum.problem()

    def _take(self, block: bytes) -> None:
        self._checksum.update(block)
        self.length += len(block)


def _identity(stored: Stored) -> str:
    return stored.store_checksum or stored.sha256 or ""
