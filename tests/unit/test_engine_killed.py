"""A transfer that is killed, whenever that is: the next one goes on, and fetches nothing again that was confirmed."""

from __future__ import annotations

import hashlib
import json
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.archive.folder import FolderArchive
from core.tracker.sqlite import SqliteTracker
from tests.cloud_sync import Backup
from tests.emulator import ROOT
from tests.gopro_cloud import CloudFile, CloudMedium, GoProCloud
from tests.gopro_cloud.media import Generated, digest
from tests.gopro_cloud.quirks import Fault

PART = 100_000
CONNECTIONS = 4
SPEED = 2_000_000  # bytes a second and connection
LENGTH = 30 * PART + 4_321
KEY = "gopro-videos/2026/03/killed/GX010001.MP4"
FILM = Generated("killed/source", LENGTH)
FILE = CloudFile("variations", FILM, "source/default/1.mp4", "source", "mp4", tells_number=False, original=True)
MEDIUM = CloudMedium("killed", "Video", "GX010001.MP4", "2026-03-01T09:15:00Z", (FILE,), told_length=LENGTH)

#: The headers of its three boxes, by which a recording is judged, and a byte to see whether the source is the same.
HEADERS, PROBE = 3 * 16, 1

#: Moves the file, once it is told to on its standard input.
MOVER = """
import sys
from pathlib import Path
from core.archive.base import Label, PartLimits
from core.archive.folder import FolderArchive
from core.credentials.file import FileCredentials
from core.model import Medium
from core.providers.base import ProviderSettings
from core.providers.registry import create
from core.tracker.sqlite import SqliteTracker
from core.transfer import Engine, Source

folder, url, key, part, connections = Path(sys.argv[1]), *sys.argv[2:4], *map(int, sys.argv[4:6])
tracker = SqliteTracker(folder / "tracker.sqlite3")
archive = FolderArchive(folder / "backup")
archive.limits = PartLimits(part, 1000 * part, 10_000)
settings = ProviderSettings(FileCredentials(folder / "credentials.json"), leases=tracker, base_url=url)
provider = create("gopro", settings)
engine = Engine(archive, tracker, connections=connections, memory=connections * part)
medium = Medium("gopro", "killed", "GX010001.MP4", "Video", "ready", None, None, 1)
print("ready", flush=True)
sys.stdin.readline()
(original,) = provider.resolve(medium).originals
stored = engine.move(Source(provider, medium, original), key, Label("gopro", "killed", 1, "source", None, "run-1"))
print(stored.sha256, flush=True)
"""


@pytest.fixture(scope="module")
def cloud() -> Iterator[GoProCloud]:
    with GoProCloud([MEDIUM]) as running:
        running.quirks.faults["killed"] = Fault("slow", times=-1, bytes_per_second=SPEED)
        yield running


class Move:
    """A process that moves the file into a folder; begun when it is asked to be."""

    def __init__(self, folder: Path, cloud: GoProCloud) -> None:
        arguments = [str(folder), cloud.url, KEY, str(PART), str(CONNECTIONS)]
        self._process = subprocess.Popen(
            [sys.executable, "-c", MOVER, *arguments], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def begin(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        assert self._process.stdout.readline() == b"ready\n"
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def kill_after(self, seconds: float) -> bool:
        """Whether it was killed before its end."""
        assert self._process.stdout
        ended, _, _ = select.select([self._process.stdout], [], [], seconds)
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()
        return not ended

    def result(self) -> str:
        told, _ = self._process.communicate(timeout=60)
        assert self._process.returncode == 0
        return told.decode().strip()


def served(cloud: GoProCloud) -> int:
    """The bytes that the cloud has sent, when it sends no more: also into connections whose reader has died."""
    before = -1
    while before != (now := cloud.counts.bytes_served["killed"]):
        before = now
        time.sleep(PART / SPEED + 0.05)
    return now


def confirmed(folder: Path) -> int:
    """The bytes of the whole file, once it has its name; else of the parts in the journal that the checkpoint names."""
    if FolderArchive(folder / "backup").find(KEY):
        return LENGTH
    checkpoint = SqliteTracker(folder / "tracker.sqlite3").recall(KEY)
    if not checkpoint:
        return 0
    journal = folder / "backup/.cloud-sync/partial" / f"{json.loads(checkpoint)['upload_id']}.journal"
    lengths = []
    for line in journal.read_text().splitlines():
        if line.endswith("]"):
            lengths.append(json.loads(line)[1])
    return sum(lengths)


@settings(max_examples=8)
@given(moments=st.lists(st.floats(0, 0.6), min_size=1, max_size=2))
def test_a_transfer_that_is_killed_at_any_moment_goes_on_and_fetches_no_confirmed_part_again(
    tmp_path_factory: pytest.TempPathFactory, cloud: GoProCloud, moments: list[float]
) -> None:
    folder = tmp_path_factory.mktemp("killed")
    Backup(folder, cloud).sign_in(cloud.pasted())
    at_first = served(cloud)
    killed = 0
    moves = [Move(folder, cloud) for _ in moments]
    last = Move(folder, cloud)
    for move, moment in zip(moves, moments, strict=True):
        before, there = served(cloud), confirmed(folder)
        move.begin()
        if move.kill_after(moment):
            killed += 1
            lost = served(cloud) - before - (confirmed(folder) - there)
            assert lost <= CONNECTIONS * PART + PART + HEADERS + PROBE, "more was fetched than what was on its way"
    before, there = served(cloud), confirmed(folder)
    last.begin()
    assert last.result() == digest(FILM)
    fetched = served(cloud) - before
    content = (folder / "backup" / KEY).read_bytes()
    assert hashlib.sha256(content).hexdigest() == digest(FILM)
    if killed == len(moments):
        assert fetched <= LENGTH - there + HEADERS + PROBE, "a confirmed part was fetched again"
        assert served(cloud) - at_first <= LENGTH + (killed + 1) * HEADERS + killed * (CONNECTIONS + 1) * PART + PROBE
    # Killed before the name of its upload was kept, a transfer leaves a file without a confirmed part, swept later.
    left = list((folder / "backup/.cloud-sync/partial").iterdir())
    assert sum(path.suffix != ".journal" for path in left) <= killed
    assert not any("]" in path.read_text() for path in left if path.suffix == ".journal")
    tracker = SqliteTracker(folder / "tracker.sqlite3")
    assert tracker.recall(KEY) == ""
    assert FolderArchive(folder / "backup").find(KEY) is not None
