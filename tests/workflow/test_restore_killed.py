"""Two hundred originals come back from Deep Archive although the command is killed twice; nothing is paid for twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.archive.s3 import S3Archive
from core.model import Stored
from tests import restoring
from tests.archived import Film, content, store_all
from tests.aws_front import AwsFront
from tests.emulator import Emulator

MIB = 1024 * 1024
STACK = "restore-killed"
WORKERS = 4

#: A few went to S3 in parts.
FILMS = [
    Film(
        f"film{number:04}",
        f"GX01{number:04}.MP4",
        datetime(2026, 1 + number % 6, 1, tzinfo=UTC) + timedelta(minutes=number),
        (11 * MIB + 17 * number,) if number % 50 == 0 else (100_000 + 1_000 * number,),
        part_size=5 * MIB if number % 50 == 0 else None,
    )
    for number in range(200)
]
#: What a killed reader may leave behind in the buffers of a connection (bytes), and has to be sent again.
ON_ITS_WAY = 8 * MIB


@pytest.fixture(scope="module")
def archived(emulator: Emulator) -> dict[str, tuple[Film, Stored]]:
    outputs = restoring.make_stack(emulator, STACK)
    archive = S3Archive(emulator.client("s3"), outputs["ArchiveBucketName"], storage_class="DEEP_ARCHIVE")
    entries = store_all(archive, FILMS)
    return {
        entry.originals[0].stored.key: (film, entry.originals[0].stored)
        for film, entry in zip(FILMS, entries, strict=True)
    }


@pytest.fixture
def front(emulator: Emulator) -> Iterator[AwsFront]:
    with AwsFront(emulator.endpoint, bytes_per_second=8 * MIB) as running:
        yield running


def whole(folder: Path) -> set[str]:
    """The keys of the files that have their name."""
    return {path.relative_to(folder).as_posix() for path in folder.glob("gopro-videos/*/*/*/*")}


def test_two_hundred_originals_come_back_although_the_command_is_killed_twice(
    tmp_path: Path, archived: dict[str, tuple[Film, Stored]], front: AwsFront
) -> None:
    into = tmp_path / "restored"
    command: list[str | Path] = ["restore", "--stack", STACK, "--into", into, "--all", "--yes", "--wait"]
    command += ["--every", "0.02", "--workers", str(WORKERS)]
    shell = restoring.Shell(tmp_path, front.url)
    length = sum(stored.length for _, stored in archived.values())
    interrupted: set[str] = set()
    for share in (0.25, 0.6):
        process = shell.begin(*command)
        deadline = time.monotonic() + 120
        while front.total() < share * length:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "it did not get so far"
            time.sleep(0.02)
        process.kill()
        process.communicate()
        time.sleep(1)  # what is on its way to nobody is counted
        done = whole(into)
        interrupted |= {key for key in front.served if key not in done}
        assert 0 < len(done) < len(archived)
        assert len(interrupted) <= 2 * WORKERS
    told = shell.told(*command)
    assert told["restored"] + told["already_here"] == 200
    assert told["bytes_restored"] < length
    assert whole(into) == set(archived)
    for key, (film, stored) in archived.items():
        path = into / key
        assert path.read_bytes() == content(film, 1)
        assert film.captured_at
        assert path.stat().st_mtime == film.captured_at.timestamp()
        if key in interrupted:
            assert front.served[key] <= stored.length + 2 * ON_ITS_WAY
        else:
            assert front.served[key] == stored.length, "fetched twice"
    assert set(front.asked.values()) == {1}, "a restore was asked for twice"
    assert front.asked.keys() == archived.keys()
    assert not list((into / ".cloud-sync/restore").glob("*.partial"))

    before = front.total(), front.asked.total()
    again = shell.told(*command)
    assert (again["already_here"], again["restored"]) == (200, 0)
    assert (front.total(), front.asked.total()) == before
