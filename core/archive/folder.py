"""The archive as a local folder.

A folder keeps no checksums, so what was written is read back and compared before it gets its name, and a record of each
object lies under `.cloud-sync/objects`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from core.archive.base import Label, PartLimits, Shape
from core.archive.keys import safe_id
from core.errors import CloudSyncError, IntegrityError, InvalidInput, StorageFull, TransientError
from core.model import Stored

STATE_FOLDER = ".cloud-sync"
PART_SIZE = 8 * 1024 * 1024
LARGEST_PART = 1024**4
MOST_PARTS = 1_000_000

#: How the names of documents end that are still being written.
_ASIDE = ".partial"

#: How a file or folder is named that somebody else put where an original belongs.
_OTHERS = ".other"

_JOURNAL = ".journal"
_PARTIALS_ARE_KEPT = 7 * 24 * 3600.0
_READ = 1024 * 1024


class FolderArchive:
    """Originals under `root` with their keys as paths; a file has its name only once it is whole and confirmed."""

    def __init__(self, root: Path, *, part_size: int = PART_SIZE) -> None:
        self.limits = PartLimits(part_size, LARGEST_PART, MOST_PARTS)
        self._root = root
        self._partial = root / STATE_FOLDER / "partial"

    def find(self, key: str) -> Stored | None:
        """What is stored and on record at `key`."""
        path = self._path(key)
        try:
            record = json.loads(self._record_path(key).read_text(encoding="utf-8"))
            label = record["label"]
            stored = Stored(
                key=key,
                length=record["length"],
                sha256=record["sha256"],
                run_id=label.get("run-id"),
                source_version=label.get("source-version", ""),
                damage=label.get("damage", ""),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return stored if path.is_file() and path.stat().st_size == stored.length else None

    def adopt(self, known: Stored, label: Label) -> Stored | None:
        """Put a file on record again if every byte of it is what the catalog tells."""
        path = self._path(known.key)
        with _told_by_the_disk(known.key):
            if not path.is_file() or path.stat().st_size != known.length:
                return None
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest != known.sha256:
                return None
            label = replace(label, run_id=known.run_id or "", source_version=known.source_version, damage=known.damage)
            _write_whole(self._record_path(known.key), _record_of(known.length, digest, label))
        return self.find(known.key)

    def put(self, key: str, body: memoryview, label: Label, sha256: str, *, replaces: bool = False) -> Stored:
        """Store a whole original."""
        upload = self.start(key, label, Shape(max(1, len(body)), None), replaces=replaces)
        try:
            upload.write_part(1, body, hashlib.sha256(body).digest())
            return upload.complete(len(body), sha256)
        except BaseException:
            upload.abort()
            raise

    def start(self, key: str, label: Label, shape: Shape, *, replaces: bool = False) -> FolderUpload:
        """Begin an original that comes in parts: a file aside, of its whole length at once if that is known."""
        with _told_by_the_disk(key):
            self._partial.mkdir(parents=True, exist_ok=True)
            upload = FolderUpload(self, token_hex(12), key, label, shape, replaces)
            upload.begin()
        return upload

    def resume(
        self, key: str, label: Label, shape: Shape, upload_id: str, *, replaces: bool = False
    ) -> FolderUpload | None:
        """Go on with an original of which some parts are in the journal beside its partial file."""
        with _told_by_the_disk(key):
            upload = FolderUpload(self, upload_id, key, label, shape, replaces)
            if upload.go_on():
                return upload
            upload.abort()
            return None

    def discard(self, key: str, upload_id: str) -> None:
        """Remove a partial file, and its journal."""
        partial = self._partial_path(upload_id)
        with _told_by_the_disk(key):
            for leftover in (partial, partial.with_suffix(_JOURNAL)):
                leftover.unlink(missing_ok=True)

    def put_document(self, key: str, source: bytes | Path) -> None:
        """Store a document."""
        path = self._path(key)
        with _told_by_the_disk(key):
            _write_whole(path, source)

    def read_document(self, key: str) -> Iterator[bytes]:
        """The lines of a document."""
        try:
            with self._path(key).open("rb") as document:
                yield from document
        except FileNotFoundError:
            raise InvalidInput(f"There is no {key} in the archive.") from None

    def document_keys(self, prefix: str) -> Iterator[str]:
        """The keys of the documents under `prefix`."""
        for path in sorted((self._root / prefix).rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                yield path.relative_to(self._root).as_posix()

    def location(self, key: str) -> str:
        """The path of `key`."""
        return str(self._path(key))

    def clean_partials(self) -> None:
        """Remove what a killed process left half-written; for the only process that uses the folder.

        Partial files with a journal stay for a week, so that their transfer can go on.
        """
        oldest = time.time() - _PARTIALS_ARE_KEPT
        for leftover in self._partial.glob("*"):
            journal = leftover.with_suffix(_JOURNAL)
            if not journal.exists() or journal.stat().st_mtime < oldest:
                leftover.unlink(missing_ok=True)
        documents = (self._root / name for name in ("runs", "catalog", "gallery", "thumbnails"))
        for folder in (self._root / STATE_FOLDER / "objects", *documents):
            for leftover in folder.rglob(f".*{_ASIDE}"):
                leftover.unlink()

    def _path(self, key: str) -> Path:
        segments = key.split("/")
        if any(segment in ("", ".", "..") or "\\" in segment or "\0" in segment for segment in segments):
            raise InvalidInput("A key of the archive must be a relative path without dot segments.")
        return self._root.joinpath(*segments)

    def _partial_path(self, upload_id: str) -> Path:
        return self._partial / safe_id(upload_id)

    def _record_path(self, key: str) -> Path:
        path = self._path(key)
        return (self._root / STATE_FOLDER / "objects" / path.relative_to(self._root)).with_name(f"{path.name}.json")


class FolderUpload:
    """A file that is being written aside; if its length is known, with a journal of the parts that are on the disk."""

    def __init__(
        self, archive: FolderArchive, upload_id: str, key: str, label: Label, shape: Shape, replaces: bool
    ) -> None:
        self._archive = archive
        self._replaces = replaces
        self.upload_id = upload_id
        self._partial = archive._partial_path(upload_id)
        self._journal = self._partial.with_suffix(_JOURNAL) if shape.length is not None else None
        self._path = archive._path(key)
        self._record = archive._record_path(key)
        self._key = key
        self._label = label
        self._shape = shape
        self._lock = threading.Lock()
        self._parts: dict[int, tuple[int, str]] = {}
        self._file: BinaryIO | None = None

    def begin(self) -> None:
        """Make the partial file and its journal."""
        self._file = self._partial.open("xb", buffering=0)
        if self._journal and self._shape.length is not None:
            self._file.truncate(self._shape.length)
            self._journal.touch()

    def go_on(self) -> bool:
        """Read the journal; False if there is none, or the partial file is not what it tells of."""
        try:
            lines = self._journal.read_text("ascii", "replace").splitlines() if self._journal else []
            self._file = self._partial.open("r+b", buffering=0)
        except FileNotFoundError:
            return False
        for line in lines:
            with suppress(ValueError, TypeError):  # the last line may be cut off
                number, length, digest = json.loads(line)
                self._parts[number] = (length, digest)
        return self._partial.stat().st_size == self._shape.length

    def abort(self) -> None:
        """Throw the partial file away, and its journal."""
        if self._file:
            self._file.close()
        self._archive.discard(self._key, self.upload_id)

    def parts(self) -> Mapping[int, int]:
        """The lengths of the parts in the journal."""
        return {number: length for number, (length, _) in self._parts.copy().items()}

    def write_part(self, number: int, part: memoryview, digest: bytes) -> None:
        """Write a part to its place, and then into the journal that it is safe on the disk."""
        with _told_by_the_disk(self._key):
            file = self._opened()
            with self._lock:
                file.seek((number - 1) * self._shape.part_size)
                written = 0
                while written < len(part):
                    written += file.write(part[written:])
            if self._journal:
                os.fsync(file.fileno())
                with self._lock, self._journal.open("r+", encoding="ascii", errors="replace") as journal:
                    journal.seek(0, os.SEEK_END)
                    # The line before may be cut off.
                    journal.write("\n" + json.dumps([number, len(part), digest.hex()]) + "\n")
                    journal.flush()
                    os.fsync(journal.fileno())
            self._parts[number] = (len(part), digest.hex())

    def complete(self, length: int, sha256: str | None = None) -> Stored:
        """Flush to the disk, read back, compare, and give the file its name."""
        numbers = sorted(self._parts)
        if sum(self.parts().values()) != length or numbers != list(range(1, len(numbers) + 1)):
            raise IntegrityError(f"The parts of {self._key} do not add up to {length:,} bytes. It is tried again.")
        with _told_by_the_disk(self._key):
            file = self._opened()
            os.fsync(file.fileno())
            file.close()
            digest = self._read_back()
            if self._partial.stat().st_size != length or digest is None or sha256 not in (None, digest):
                raise IntegrityError(
                    f"What the disk gives back for {self._key} is not what was written. It is tried again."
                )
            found = None if self._replaces else self._archive.find(self._key)
            if found:
                self.abort()
                if (found.length, found.sha256) == (length, digest):
                    return found
                raise TransientError(f"Another worker has stored something at {self._key}. It is looked at again.")
            if self._path.is_dir() or (self._path.exists() and not self._replaces):
                # Not from here: it makes way and stays, and verify names it.
                self._path.rename(self._path.with_name(f"{self._path.name}.{token_hex(4)}{_OTHERS}"))
            if self._label.captured_at:
                moment = self._label.captured_at.timestamp()
                with suppress(OSError, OverflowError):
                    os.utime(self._partial, (moment, moment))
            record = _record_of(length, digest, self._label)
            if self._path.exists():
                # Never a record beside a file that it is not of: both may be of one length.
                self._record.unlink(missing_ok=True)
                self._give_name()
                _write_whole(self._record, record)
            else:
                _write_whole(self._record, record)
                self._give_name()
            if self._journal:
                self._journal.unlink(missing_ok=True)
        label = self._label
        return Stored(
            key=self._key,
            length=length,
            sha256=digest,
            run_id=label.run_id,
            source_version=label.source_version,
            damage=label.damage,
        )

    def _give_name(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._partial.replace(self._path)
        _sync_folder(self._path.parent)

    def _opened(self) -> BinaryIO:
        if self._file is None:
            raise ValueError("an upload is written after it was begun")
        return self._file

    def _read_back(self) -> str | None:
        """The SHA-256 of what the disk holds; None if a part of it is not what was written."""
        whole = hashlib.sha256()
        with self._partial.open("rb") as file:
            for number in sorted(self._parts):
                length, expected = self._parts[number]
                part = hashlib.sha256()
                left = length
                while left and (block := file.read(min(left, _READ))):
                    part.update(block)
                    whole.update(block)
                    left -= len(block)
                if part.hexdigest() != expected:
                    return None
        return whole.hexdigest()


def _record_of(length: int, sha256: str, label: Label) -> bytes:
    return json.dumps({"length": length, "sha256": sha256, "label": label.metadata()}).encode()


def _write_whole(path: Path, content: bytes | Path) -> None:
    """Write a file, or a copy of another, so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{token_hex(8)}{_ASIDE}")
    try:
        with aside.open("xb") as file:
            if isinstance(content, Path):
                with content.open("rb") as source:
                    shutil.copyfileobj(source, file)
            else:
                file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a new name in `folder` durable, where system and file system can (Windows and some shares cannot)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # so say file systems that cannot
            raise
    finally:
        os.close(descriptor)


@contextmanager
def _told_by_the_disk(key: str) -> Iterator[None]:
    """Turn a full or read-only disk into an error that says so."""
    try:
        yield
    except FileNotFoundError as error:
        raise TransientError(f"Another worker has ended the upload of {key}. It is looked at again.") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(
                f"The disk is full; {key} was not stored. What was confirmed stays: make room and start again."
            ) from error
        if error.errno == errno.EFBIG:
            raise IntegrityError(f"The source of {key} declares more bytes than the disk takes in one file.") from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise CloudSyncError(
                f"The folder cannot be written; {key} was not stored. Mend its permissions."
            ) from error
        raise
