"""The archive as a local folder.

A folder keeps no checksums, so what was written is read back and compared before it gets its name, and a record of each
object lies under `.cloud-sync/objects`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from core.archive.base import Label
from core.errors import CloudSyncError, IntegrityError, InvalidInput
from core.model import Stored

STATE_FOLDER = ".cloud-sync"
PART_SIZE = 8 * 1024 * 1024

#: How the names of documents end that are still being written.
_ASIDE = ".partial"


class FolderArchive:
    """Originals under `root` with their keys as paths; a file has its name only once it is whole and confirmed."""

    def __init__(self, root: Path, *, part_size: int = PART_SIZE) -> None:
        self._root = root
        self._part_size = part_size
        self._partial = root / STATE_FOLDER / "partial"

    def part_size(self, length: int | None) -> int:
        """Bytes of a part."""
        return self._part_size

    def find(self, key: str) -> Stored | None:
        """What is stored and on record at `key`."""
        path = self._path(key)
        try:
            record = json.loads(self._record_path(key).read_text(encoding="utf-8"))
            stored = Stored(key, record["length"], record["sha256"], run_id=record["label"].get("run-id"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return stored if path.is_file() and path.stat().st_size == stored.length else None

    def put(self, key: str, body: memoryview, label: Label, sha256: str) -> Stored:
        """Store a whole original."""
        upload = self.start(key, label)
        try:
            upload.write_part(1, body)
            return upload.complete(len(body), sha256)
        except BaseException:
            upload.abort()
            raise

    def start(self, key: str, label: Label) -> FolderUpload:
        """Begin an original that comes in parts."""
        with _told_by_the_disk(key):
            self._partial.mkdir(parents=True, exist_ok=True)
            partial = self._partial / token_hex(12)
            return FolderUpload(partial, self._path(key), self._record_path(key), key, label, self._part_size)

    def put_document(self, key: str, source: bytes | Path) -> None:
        """Store a document."""
        path = self._path(key)
        with _told_by_the_disk(key):
            _write_whole(path, source if isinstance(source, bytes) else source.read_bytes())

    def read_document(self, key: str) -> Iterator[bytes]:
        """The lines of a document."""
        try:
            with self._path(key).open("rb") as document:
                yield from document
        except FileNotFoundError:
            raise InvalidInput(f"There is no {key} in the archive.") from None

    def location(self, key: str) -> str:
        """The path of `key`."""
        return str(self._path(key))

    def clean_partials(self) -> None:
        """Remove what a killed process left half-written; for the only process that uses the folder."""
        for leftover in self._partial.glob("*"):
            leftover.unlink()
        for folder in (self._root / STATE_FOLDER / "objects", self._root / "runs", self._root / "catalog"):
            for leftover in folder.rglob(f".*{_ASIDE}"):
                leftover.unlink()

    def _path(self, key: str) -> Path:
        segments = key.split("/")
        if any(segment in ("", ".", "..") or "\\" in segment or "\0" in segment for segment in segments):
            raise InvalidInput("A key of the archive must be a relative path without dot segments.")
        return self._root.joinpath(*segments)

    def _record_path(self, key: str) -> Path:
        path = self._path(key)
        return (self._root / STATE_FOLDER / "objects" / path.relative_to(self._root)).with_name(f"{path.name}.json")


class FolderUpload:
    """A file that is being written aside."""

    def __init__(self, partial: Path, path: Path, record: Path, key: str, label: Label, part_size: int) -> None:
        self._partial = partial
        self._path = path
        self._record = record
        self._key = key
        self._label = label
        self._part_size = part_size
        self._file: BinaryIO = partial.open("xb", buffering=0)

    def write_part(self, number: int, part: memoryview) -> None:
        """Write a part to its place."""
        with _told_by_the_disk(self._key):
            self._file.seek((number - 1) * self._part_size)
            written = 0
            while written < len(part):
                written += self._file.write(part[written:])

    def complete(self, length: int, sha256: str) -> Stored:
        """Flush to the disk, read back, compare, and give the file its name."""
        with _told_by_the_disk(self._key):
            os.fsync(self._file.fileno())
            self._file.close()
            if self._partial.stat().st_size != length or _digest(self._partial) != sha256:
                raise IntegrityError(
                    f"What the disk gives back for {self._key} is not what was written. It is tried again."
                )
            if self._label.captured_at:
                moment = self._label.captured_at.timestamp()
                with suppress(OSError, OverflowError):
                    os.utime(self._partial, (moment, moment))
            if self._path.exists():
                self._record.unlink(missing_ok=True)  # never the new record beside the old file
            record = {"length": length, "sha256": sha256, "label": self._label.metadata()}
            _write_whole(self._record, json.dumps(record).encode())
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._partial.replace(self._path)
            _sync_folder(self._path.parent)
        return Stored(self._key, length, sha256, run_id=self._label.run_id)

    def abort(self) -> None:
        """Throw the partial file away."""
        self._file.close()
        self._partial.unlink(missing_ok=True)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_whole(path: Path, content: bytes) -> None:
    """Write a small file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{token_hex(8)}{_ASIDE}")
    try:
        with aside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a new name in `folder` durable, where the system can (Windows cannot)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _told_by_the_disk(key: str) -> Iterator[None]:
    """Turn a full or read-only disk into an error that says so."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise CloudSyncError(f"The disk is full; {key} was not stored. Make room and start again.") from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise CloudSyncError(
                f"The folder cannot be written; {key} was not stored. Mend its permissions."
            ) from error
        raise
