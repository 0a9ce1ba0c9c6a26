"""Originals out of a folder: they lie there, and cost nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from core.archive.retrieval import Document, Held, Reader, State
from core.errors import CloudSyncError, InvalidInput
from core.model import Stored


class FolderRetrieval:
    """What lies under `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def documents(self, prefix: str) -> Iterator[Document]:
        """The files under `prefix`, which ends with a slash."""
        for path in sorted((self._root / prefix).rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                told = path.stat()
                modified_at = datetime.fromtimestamp(told.st_mtime, UTC)
                tag = f"{told.st_mtime_ns}-{told.st_size}"
                yield Document(path.relative_to(self._root).as_posix(), tag, modified_at)

    def look(self, originals: Sequence[Stored]) -> list[Held]:
        """Each is there or not."""
        return [self._held(one) for one in originals]

    def request(self, held: Held, tier: str, days: int) -> None:
        """Nothing in a folder has to be asked for."""

    @contextmanager
    def open(self, held: Held, start: int) -> Iterator[Reader]:
        """The file from `start` on."""
        path = self._path(held.stored.key)
        try:
            with path.open("rb") as file:
                file.seek(start)
                yield file
        except OSError as error:
            raise CloudSyncError(f"{path} cannot be read ({error.strerror}).") from error

    def _held(self, one: Stored) -> Held:
        try:
            path = self._path(one.key)
            return Held(one, State.READY, length=path.stat().st_size) if path.is_file() else Held(one, State.MISSING)
        except OSError as error:
            return Held(one, State.MISSING, trouble=f"{self._root / one.key} cannot be read ({error.strerror}).")
        except InvalidInput as error:
            return Held(one, State.MISSING, trouble=str(error))

    def _path(self, key: str) -> Path:
        segments = key.split("/")
        if any(segment in ("", ".", "..") or "\\" in segment or "\0" in segment for segment in segments):
            raise InvalidInput(f"The catalog names {key!r}, which is no key of an archive.")
        return self._root.joinpath(*segments)
