"""Moving one original: whatever the source does, there is a whole and confirmed object, or none."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.archive.base import Label
from core.archive.folder import FolderArchive
from core.errors import Cancelled, IntegrityError
from core.transfer import engine

LABEL = Label("gopro", "m1", 1, "source", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "run-1")
KEY = "gopro-videos/2026/01/m1/GX010001.MP4"
PART = 1000


class Body:
    """A response body that gives its bytes in small reads."""

    version = ""

    def __init__(self, content: bytes, declared: int | None, read: int = 300) -> None:
        self.total = declared
        self._rest = content
        self._read = read

    def readinto(self, buffer: memoryview) -> int:
        piece = self._rest[: min(self._read, len(buffer))]
        buffer[: len(piece)] = piece
        self._rest = self._rest[len(piece) :]
        return len(piece)


class Opened:
    """A source that is one body."""

    def __init__(self, body: Body) -> None:
        self._body = body

    @contextmanager
    def open(self, start: int = 0) -> Iterator[Body]:
        assert start == 0
        yield self._body


def archive_in(folder: Path) -> FolderArchive:
    return FolderArchive(folder, part_size=PART)


def move(content: bytes, declared: int | None, archive: FolderArchive) -> str | None:
    return engine.move(Opened(Body(content, declared)), archive, KEY, LABEL).sha256  # type: ignore[arg-type]


@pytest.mark.parametrize("length", [1, PART - 1, PART, PART + 1, 3 * PART, 3 * PART + 17])
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "undeclared"])
def test_every_length_arrives_whole(tmp_path: Path, length: int, declared: bool) -> None:
    content = bytes(number % 251 for number in range(length))
    digest = move(content, length if declared else None, archive_in(tmp_path))
    assert digest == hashlib.sha256(content).hexdigest()
    assert (tmp_path / KEY).read_bytes() == content


@given(length=st.integers(0, 4 * PART), declared=st.integers(0, 4 * PART))
def test_a_body_that_is_not_as_long_as_declared_is_never_an_object(
    tmp_path_factory: pytest.TempPathFactory, length: int, declared: int
) -> None:
    folder = tmp_path_factory.mktemp("archive")
    if length == declared and length > 0:
        move(b"x" * length, declared, archive_in(folder))
        assert (folder / KEY).stat().st_size == length
        return
    with pytest.raises(IntegrityError):
        move(b"x" * length, declared, archive_in(folder))
    assert archive_in(folder).find(KEY) is None
    assert not list(folder.glob(".cloud-sync/partial/*"))


def test_an_empty_body_is_an_error_also_where_no_length_is_declared(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="empty"):
        move(b"", None, archive_in(tmp_path))
    assert archive_in(tmp_path).find(KEY) is None


def test_a_stop_in_the_middle_leaves_nothing_behind(tmp_path: Path) -> None:
    def stop(_: int) -> None:
        raise Cancelled("Stopped as asked.")

    with pytest.raises(Cancelled):
        engine.move(Opened(Body(b"x" * 5000, 5000)), archive_in(tmp_path), KEY, LABEL, stop)  # type: ignore[arg-type]
    assert archive_in(tmp_path).find(KEY) is None
    assert not list(tmp_path.glob(".cloud-sync/partial/*"))


def test_progress_adds_up_to_the_length(tmp_path: Path) -> None:
    told: list[int] = []
    engine.move(Opened(Body(b"x" * 4321, 4321)), archive_in(tmp_path), KEY, LABEL, told.append)  # type: ignore[arg-type]
    assert sum(told) == 4321
