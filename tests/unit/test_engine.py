"""Moving one original: whatever source, store and clock do, there is a whole and confirmed object, or none.

What has arrived is not fetched again.
"""

from __future__ import annotations

import hashlib
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.archive.base import Label, PartLimits
from core.archive.folder import FolderArchive
from core.archive.s3 import S3Archive
from core.errors import Cancelled, CloudSyncError, IntegrityError, LocatorExpired, SourceChanged, TransientError
from core.model import Account, Medium, Offer, Original, Stored
from core.providers.base import ListingReport
from core.tracker.sqlite import SqliteTracker
from core.transfer import Engine, Progress, Source, Watch
from core.transfer.buffers import Buffers
from core.transfer.engine import GIVE_UP
from core.transfer.job import LAST_START
from tests.emulator import Emulator

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LABEL = Label("gopro", "m1", 1, "source", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "run-1")
MEDIUM = Medium("gopro", "m1", "GX010001.JPG", "Photo", "ready", None, None, 1)
KEY = "gopro-videos/2026/01/m1/GX010001.JPG"
PART = 1000
READ = 300
MIB = 1024 * 1024
S3_PART = 5 * MIB
TEN_PARTS = Random(1).randbytes(10 * PART)
OTHERS = Random(2).randbytes(10 * PART)
FOUR_PARTS_OF_S3 = Random(3).randbytes(3 * S3_PART + 12_345)


class Body:
    """A response body that gives its bytes in small reads. Its bytes are those of the moment when it was opened."""

    def __init__(self, cloud: ScriptedCloud, start: int, end: int | None) -> None:
        self._cloud = cloud
        self._content = cloud.content
        self.version = cloud.version
        self.ranged = cloud.gives_ranges and (start > 0 or end is not None)
        declared = len(self._content) if cloud.declares is None else cloud.declares
        self.total = declared if cloud.tells_length else None
        self._position = start if self.ranged else 0
        self._end = min(len(self._content), end or len(self._content)) if self.ranged else len(self._content)

    def readinto(self, buffer: memoryview) -> int:
        position = self._position
        until = min(position + min(self._cloud.read_size, len(buffer)), self._end)
        with self._cloud.lock:
            breaks = [at for at in self._cloud.breaks if position <= at < until]
            until = min(breaks, default=until)
            if breaks and until == position:
                self._cloud.breaks.remove(until)
                raise IntegrityError(f"broke off at {until}")
        buffer[: until - position] = self._content[position:until]
        self._position = until
        self._cloud.has_delivered(position, until)
        return until - position


class ScriptedCloud:
    """A provider with one original, which does what a test tells it to."""

    name, title = "gopro", "GoPro"

    def __init__(
        self, content: bytes, *, gives_ranges: bool = True, tells_length: bool = True, declares: int | None = None
    ) -> None:
        self.content, self.version = content, '"1"'
        self.gives_ranges, self.tells_length, self.declares = gives_ranges, tells_length, declares
        self.read_size = READ
        self.lock = threading.Lock()
        #: Where bodies break off, each once.
        self.breaks: list[int] = []
        #: Ranges that were asked for and bytes that were read, as start and end.
        self.asked: list[tuple[int, int | None]] = []
        self.delivered: list[tuple[int, int]] = []
        self.on_open: Callable[[int], None] = lambda start: None
        self.on_read: Callable[[int], None] = lambda total: None
        self.locator, self.resolved, self.resolving_takes = "address-0", 0, 0.0

    def original(self) -> Original:
        return Original("m1", 1, "source", "jpg", locator=self.locator)

    def thumbnail(self, offer: Offer) -> bytes | None:
        return None

    def resolve(self, medium: Medium) -> Offer:
        self.resolved += 1
        time.sleep(self.resolving_takes)
        return Offer((self.original(),))

    @contextmanager
    def open(self, original: Original, start: int = 0, end: int | None = None, version: str = "") -> Iterator[Body]:
        if original.locator != self.locator:
            raise LocatorExpired("The address is no longer honoured.")
        self.on_open(start)
        with self.lock:
            self.asked.append((start, end))
        body = Body(self, start, end)
        if version and body.version != version:
            raise SourceChanged("other bytes")
        if start and not body.ranged:
            raise IntegrityError("comes from byte 0")
        yield body

    def has_delivered(self, start: int, end: int) -> None:
        with self.lock:
            self.delivered.append((start, end))
            total = self.served
        self.on_read(total)

    @property
    def served(self) -> int:
        return sum(end - start for start, end in self.delivered)

    def forget(self) -> None:
        self.asked, self.delivered = [], []

    def gave_each_byte_once(self) -> bool:
        position = 0
        for start, end in sorted(span for span in self.delivered if span[0] < span[1]):
            if start != position:
                return False
            position = end
        return position == len(self.content)

    def authenticate(self) -> Account:
        raise NotImplementedError

    def list_media(self, report: ListingReport) -> Iterator[Medium]:
        raise NotImplementedError

    def promised(self, medium: Medium) -> int:
        raise NotImplementedError


class Place:
    """A folder with small parts, its checkpoints, and engines over both."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tracker = SqliteTracker(folder / "tracker.sqlite3")
        self.archive = FolderArchive(folder / "backup")
        self.archive.limits = PartLimits(PART, 1000 * PART, 10_000)

    @contextmanager
    def engine(self, connections: int = 3) -> Iterator[Engine]:
        made = Engine(self.archive, self.tracker, connections=connections, memory=connections * PART, draw=lambda: 0.0)
        try:
            yield made
        finally:
            made.close()

    def move(self, cloud: ScriptedCloud, watch: Watch | None = None, connections: int = 3) -> Stored | None:
        with self.engine(connections) as engine:
            return engine.move(Source(cloud, MEDIUM, cloud.original()), KEY, LABEL, watch or Watch())

    def content(self) -> bytes | None:
        path = self.folder / "backup" / KEY
        return path.read_bytes() if path.exists() else None

    def partials(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "backup/.cloud-sync/partial").glob("*"))

    def is_clean(self) -> bool:
        """Whether nothing is left of any transfer but objects."""
        return not self.partials() and not self.tracker.recall(KEY)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Place]:
    """A new place for each example of a property."""
    return lambda: Place(tmp_path_factory.mktemp("place"))


class Bucket:
    """A bucket with the smallest parts that S3 takes, its checkpoints, and engines over both."""

    def __init__(self, client: S3Client, tracker: SqliteTracker) -> None:
        self.client = client
        self.name = f"archive-{uuid4().hex[:8]}"
        client.create_bucket(Bucket=self.name)
        self.archive = S3Archive(client, self.name, part_size=S3_PART)
        self.tracker = tracker

    def move(self, cloud: ScriptedCloud, watch: Watch | None = None) -> Stored | None:
        cloud.read_size = MIB
        engine = Engine(self.archive, self.tracker, connections=3, memory=3 * S3_PART, draw=lambda: 0.0)
        try:
            return engine.move(Source(cloud, MEDIUM, cloud.original()), KEY, LABEL, watch or Watch())
        finally:
            engine.close()

    def content(self) -> bytes:
        return self.client.get_object(Bucket=self.name, Key=KEY)["Body"].read()

    def is_clean(self) -> bool:
        """Whether nothing is left of any transfer but objects."""
        open_uploads = self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])
        return not open_uploads and not self.tracker.recall(KEY)

    def flip_a_byte(self, operation: str, times: int) -> None:
        """Let a byte of what is sent change on the wire, after its checksum was made; so often, -1: always."""
        left = [times]

        def flip(request: Any, **_: object) -> None:
            if left[0]:
                left[0] -= 1
                content = request.body if isinstance(request.body, bytes | bytearray) else request.body.read()
                request.body = bytes(content[:100]) + bytes([content[100] ^ 1]) + bytes(content[101:])

        self.client.meta.events.register(f"before-send.s3.{operation}", flip)


@pytest.fixture
def bucket(emulator: Emulator, tmp_path: Path) -> Bucket:
    return Bucket(emulator.client("s3"), SqliteTracker(tmp_path / "tracker.sqlite3"))


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# ------------------------------------------------------------------------------ whole, whatever its length

lengths = st.one_of(
    st.integers(1, 12 * PART),
    st.builds(lambda parts, off: max(1, parts * PART + off), st.integers(0, 12), st.integers(-1, 1)),
)


@settings(max_examples=60)
@given(length=lengths, connections=st.integers(1, 6), read=st.integers(1, 3 * PART))
def test_every_length_arrives_whole_and_each_byte_is_read_once(
    places: Callable[[], Place], length: int, connections: int, read: int
) -> None:
    place, cloud = places(), ScriptedCloud(Random(length).randbytes(length))
    cloud.read_size = max(read, 100)
    stored = place.move(cloud, connections=connections)
    assert stored
    assert (stored.length, stored.sha256, stored.source_version) == (length, digest(cloud.content), '"1"')
    assert place.content() == cloud.content
    assert place.archive.find(KEY) == stored
    assert cloud.gave_each_byte_once()
    assert place.is_clean()


@settings(max_examples=40)
@given(length=lengths, gives_ranges=st.booleans(), tells_length=st.booleans())
def test_a_source_that_does_not_tell_all_arrives_whole_too(
    places: Callable[[], Place], length: int, gives_ranges: bool, tells_length: bool
) -> None:
    place = places()
    cloud = ScriptedCloud(Random(length).randbytes(length), gives_ranges=gives_ranges, tells_length=tells_length)
    if gives_ranges and not tells_length:
        cloud.gives_ranges = False  # a range tells the length
    stored = place.move(cloud)
    assert stored
    assert (stored.length, stored.sha256) == (length, digest(cloud.content))
    assert place.content() == cloud.content
    assert cloud.gave_each_byte_once()
    assert place.is_clean()


@settings(max_examples=40)
@given(length=st.integers(0, 4 * PART), declared=st.integers(0, 4 * PART), tells_length=st.booleans())
def test_a_body_that_is_not_as_long_as_declared_is_never_an_object(
    places: Callable[[], Place], length: int, declared: int, tells_length: bool
) -> None:
    place = places()
    cloud = ScriptedCloud(b"x" * length, gives_ranges=False, tells_length=tells_length, declares=declared)
    if length and (length == declared or not tells_length):
        assert place.move(cloud)
        assert place.content() == cloud.content
        return
    with pytest.raises(IntegrityError):
        place.move(cloud)
    assert place.content() is None
    assert place.archive.find(KEY) is None
    assert place.is_clean()


@pytest.mark.parametrize("length", [1, S3_PART, S3_PART + 1, 2 * S3_PART, len(FOUR_PARTS_OF_S3)])
@pytest.mark.parametrize("gives_ranges", [True, False], ids=["ranges", "no ranges"])
def test_every_length_arrives_whole_in_a_bucket(bucket: Bucket, length: int, gives_ranges: bool) -> None:
    cloud = ScriptedCloud(FOUR_PARTS_OF_S3[:length], gives_ranges=gives_ranges)
    stored = bucket.move(cloud)
    assert stored
    assert stored.length == length
    assert bucket.content() == cloud.content
    assert bucket.archive.find(KEY) == stored
    assert cloud.gave_each_byte_once()
    assert bucket.is_clean()


# ------------------------------------------------------------------------------ what breaks is read on


@settings(max_examples=40)
@given(breaks=st.lists(st.integers(0, 10 * PART - 1), min_size=1, max_size=12, unique=True))
def test_a_part_that_breaks_off_is_read_on_from_there(places: Callable[[], Place], breaks: list[int]) -> None:
    place, cloud = places(), ScriptedCloud(TEN_PARTS)
    in_one_part = {number: [at for at in breaks if at // PART == number] for number in range(10)}
    cloud.breaks = [at for part in in_one_part.values() for at in part[:5]]
    place.move(cloud)
    assert place.content() == TEN_PARTS
    assert cloud.gave_each_byte_once()
    assert cloud.breaks == []


def test_a_part_that_always_breaks_off_ends_the_transfer_and_the_next_goes_on(place: Place) -> None:
    cloud = ScriptedCloud(TEN_PARTS)
    cloud.breaks = [9 * PART + 500] * 6
    with pytest.raises(IntegrityError, match="broke off at 9500"):
        place.move(cloud, connections=1)
    assert place.content() is None
    cloud.forget()
    place.move(cloud)
    assert place.content() == TEN_PARTS
    assert cloud.served <= PART + 1
    assert place.is_clean()


@pytest.mark.parametrize("content", [TEN_PARTS, TEN_PARTS[:PART]], ids=["in parts", "at once"])
def test_a_source_that_cannot_be_opened_for_a_moment_is_opened_again(place: Place, content: bytes) -> None:
    cloud = ScriptedCloud(content)
    failures = iter([TransientError("503"), TransientError("503"), None, TransientError("503")])

    def overloaded(_: int) -> None:
        if error := next(failures, None):
            raise error

    cloud.on_open = overloaded
    place.move(cloud)
    assert place.content() == content
    assert cloud.gave_each_byte_once() or len(content) == PART


def test_a_source_that_cannot_be_opened_is_asked_five_times_and_no_more(place: Place) -> None:
    cloud = ScriptedCloud(TEN_PARTS)
    asked: list[int] = []

    def out_of_order(start: int) -> None:
        asked.append(start)
        raise TransientError("503")

    cloud.on_open = out_of_order
    with pytest.raises(TransientError, match="503"):
        place.move(cloud)
    assert asked == [0] * 5


def test_a_pause_that_is_longer_than_the_invocation_is_not_made(place: Place) -> None:
    cloud = ScriptedCloud(TEN_PARTS)

    def overloaded(_: int) -> None:
        raise TransientError("429", retry_after=60.0)

    cloud.on_open = overloaded
    with pytest.raises(TransientError, match="longer pause than this invocation"):
        place.move(cloud, Watch(remaining=lambda: 60.0))


def etag(content: bytes) -> str:
    return f'"{hashlib.md5(content).hexdigest()}"'


def test_a_photo_that_does_not_have_the_md5_that_its_server_tells_is_read_again(place: Place) -> None:
    photo = TEN_PARTS[:PART]
    cloud = ScriptedCloud(OTHERS[:PART])
    cloud.version = etag(photo)
    cloud.on_read = lambda total: setattr(cloud, "content", photo) if total == PART else None
    place.move(cloud)
    assert place.content() == photo
    assert cloud.served == 2 * PART


def test_a_photo_of_which_another_md5_is_told_is_archived_and_told_once_it_has_come_twice_the_same(
    place: Place,
) -> None:
    cloud = ScriptedCloud(TEN_PARTS[:PART])
    cloud.version = etag(OTHERS)
    stored = place.move(cloud)
    assert stored
    assert stored.damage.startswith("its server tells another MD5")
    assert place.content() == TEN_PARTS[:PART]


def test_a_photo_that_comes_different_each_time_is_not_archived(place: Place) -> None:
    cloud = ScriptedCloud(TEN_PARTS[:PART])
    cloud.version = etag(TEN_PARTS)
    cloud.on_read = lambda total: setattr(cloud, "content", OTHERS[:PART])
    with pytest.raises(IntegrityError, match="other bytes each time"):
        place.move(cloud)
    assert place.content() is None
    assert place.is_clean()


@pytest.mark.parametrize(("told", "damage"), [(TEN_PARTS, ""), (OTHERS, "its server tells another MD5")])
def test_a_stream_with_another_md5_than_its_server_tells_is_archived_and_told(
    place: Place, told: bytes, damage: str
) -> None:
    cloud = ScriptedCloud(TEN_PARTS, gives_ranges=False)
    cloud.version = etag(told)
    stored = place.move(cloud)
    assert stored
    assert stored.damage.startswith(damage)
    assert bool(stored.damage) is bool(damage)
    assert place.content() == TEN_PARTS


def test_a_stream_that_breaks_off_leaves_nothing(place: Place) -> None:
    cloud = ScriptedCloud(TEN_PARTS, gives_ranges=False)
    cloud.breaks = [5 * PART]
    with pytest.raises(IntegrityError):
        place.move(cloud)
    assert place.content() is None
    assert place.is_clean()
    place.move(cloud)
    assert place.content() == TEN_PARTS


def test_an_address_that_expires_in_the_middle_is_resolved_again_once(place: Place) -> None:
    cloud = ScriptedCloud(TEN_PARTS)

    cloud.resolving_takes = 0.1

    def expire(total: int) -> None:
        time.sleep(0.005)
        if total >= 4 * PART and cloud.locator == "address-0":
            cloud.locator = "address-1"

    cloud.on_read = expire
    place.move(cloud, connections=6)
    assert place.content() == TEN_PARTS
    assert cloud.resolved == 1
    assert cloud.gave_each_byte_once()


def test_the_first_error_of_a_part_stops_the_others_soon(place: Place) -> None:
    cloud = ScriptedCloud(TEN_PARTS)

    def refuse(start: int) -> None:
        if start == 2 * PART:
            raise CloudSyncError("the third part")

    def slowly(_: int) -> None:
        time.sleep(0.4)  # 1.6 s a part

    cloud.on_open, cloud.on_read = refuse, slowly
    began = time.monotonic()
    with pytest.raises(CloudSyncError, match="the third part"):
        place.move(cloud)
    assert time.monotonic() - began < 1.3
    assert cloud.served < 2 * PART


# ------------------------------------------------------------------------------ a source that is replaced


@settings(max_examples=40)
@given(moment=st.integers(0, 9 * PART), length=st.sampled_from([1, PART, 7 * PART + 3, 10 * PART, 12 * PART]))
def test_a_source_that_is_replaced_in_the_middle_never_yields_a_mixture(
    places: Callable[[], Place], moment: int, length: int
) -> None:
    place, cloud = places(), ScriptedCloud(TEN_PARTS)
    later = Random(length).randbytes(length)

    def be_replaced(total: int) -> None:
        if total >= moment and cloud.content is TEN_PARTS:
            cloud.content, cloud.version = later, '"2"'

    cloud.on_read = be_replaced
    stored = place.move(cloud)
    assert stored
    assert place.content() in (TEN_PARTS, later)
    assert stored.sha256 == digest(place.content() or b"")
    assert stored.source_version == ('"2"' if place.content() == later else '"1"')
    if moment < 6 * PART:
        assert place.content() == later
    assert place.is_clean()


def test_a_source_that_is_replaced_between_two_attempts_is_moved_afresh(place: Place) -> None:
    cloud = ScriptedCloud(TEN_PARTS)
    assert place.move(cloud, late_after(4 * PART, cloud)) is None
    cloud.content, cloud.version = OTHERS, '"2"'
    place.move(cloud)
    assert place.content() == OTHERS
    assert place.is_clean()


def test_a_source_without_a_version_is_never_gone_on_with(place: Place) -> None:
    cloud = ScriptedCloud(TEN_PARTS)
    cloud.version = ""
    assert place.move(cloud, late_after(4 * PART, cloud)) is None
    cloud.content = OTHERS
    place.move(cloud)
    assert place.content() == OTHERS
    assert place.is_clean()


def test_a_source_without_a_version_that_changes_its_length_never_yields_a_mixture(place: Place) -> None:
    cloud = ScriptedCloud(TEN_PARTS)
    cloud.version = ""
    longer = Random(5).randbytes(12 * PART)

    def be_replaced(total: int) -> None:
        if total >= 4 * PART:
            cloud.content = longer

    cloud.on_read = be_replaced
    with suppress(CloudSyncError):
        place.move(cloud)
    assert place.content() in (None, TEN_PARTS, longer)


def test_a_source_that_keeps_changing_is_left_for_later_and_leaves_nothing(place: Place) -> None:
    cloud = ScriptedCloud(TEN_PARTS)

    def be_replaced(start: int) -> None:
        cloud.version = f'"{start}-{len(cloud.asked)}"'

    cloud.on_open = be_replaced
    with pytest.raises(TransientError, match="changes again and again"):
        place.move(cloud)
    assert place.content() is None
    assert place.is_clean()


def test_a_bucket_s_upload_of_a_source_that_was_replaced_is_thrown_away(bucket: Bucket) -> None:
    cloud = ScriptedCloud(FOUR_PARTS_OF_S3)
    later = Random(9).randbytes(len(FOUR_PARTS_OF_S3))

    def be_replaced(total: int) -> None:
        if total >= S3_PART:
            cloud.content, cloud.version = later, '"2"'

    cloud.on_read = be_replaced
    bucket.move(cloud)
    assert bucket.content() == later
    assert bucket.is_clean()


# ------------------------------------------------------------------------------ what is there already


@pytest.mark.parametrize("content", [TEN_PARTS, TEN_PARTS[:10]], ids=["parts", "small"])
def test_an_object_that_is_there_is_not_moved_again(place: Place, content: bytes) -> None:
    cloud = ScriptedCloud(content)
    stored = place.move(cloud)
    cloud.forget()
    assert place.move(cloud) == stored
    assert (cloud.asked, cloud.served) == ([(0, 1)], 0)


@pytest.mark.parametrize("length", [10, PART, PART + 1, 10 * PART])
@pytest.mark.parametrize("gives_ranges", [True, False], ids=["ranges", "no ranges"])
def test_an_object_of_another_version_is_replaced(place: Place, length: int, gives_ranges: bool) -> None:
    cloud = ScriptedCloud(TEN_PARTS[:length], gives_ranges=gives_ranges)
    place.move(cloud)
    cloud.content, cloud.version = OTHERS[:length], '"2"'
    stored = place.move(cloud)
    assert stored
    assert stored.source_version == '"2"'
    assert place.content() == OTHERS[:length]


def test_an_object_of_another_length_is_replaced_in_a_bucket(bucket: Bucket) -> None:
    bucket.move(ScriptedCloud(b"a preview"))
    bucket.move(ScriptedCloud(FOUR_PARTS_OF_S3))
    assert bucket.content() == FOUR_PARTS_OF_S3
    assert bucket.is_clean()


# ------------------------------------------------------------------------------ time, and going on


def late_after(length: int, cloud: ScriptedCloud, left: float = LAST_START - 1) -> Watch:
    """A watch of which only `left` seconds remain once so many bytes were read from now on."""
    before = cloud.served
    return Watch(remaining=lambda: 100.0 if cloud.served - before < length else left)


@pytest.mark.parametrize("connections", [1, 3])
def test_an_invocation_that_is_late_ends_and_the_next_ones_fetch_what_is_missing(
    place: Place, connections: int
) -> None:
    cloud = ScriptedCloud(TEN_PARTS)
    invocations = 1
    while not place.move(cloud, late_after(2 * PART, cloud), connections):
        assert place.content() is None
        assert place.tracker.recall(KEY)
        invocations += 1
    assert 3 <= invocations <= 5
    assert place.content() == TEN_PARTS
    assert cloud.gave_each_byte_once(), "parts on their way were ended, and none was fetched again"
    assert place.is_clean()


@pytest.mark.parametrize("versions", [[""] * 5, [f'"{number}"' for number in range(5)]], ids=["none", "another"])
def test_a_source_that_no_invocation_can_go_on_with_is_given_up_until_the_next_run(
    place: Place, versions: list[str]
) -> None:
    cloud = ScriptedCloud(TEN_PARTS)

    def move(run_id: str) -> Stored | None:
        with place.engine() as engine:
            source, watch = Source(cloud, MEDIUM, cloud.original()), late_after(2 * PART, cloud)
            return engine.move(source, KEY, replace(LABEL, run_id=run_id), watch)

    for cloud.version in versions[:3]:
        assert move("run-1") is None
    served = cloud.served
    for cloud.version in versions[3:]:
        with pytest.raises(TransientError, match="tells no version, or another each time"):
            move("run-1")
    assert cloud.served - served <= 2, "it fetches what it cannot keep"
    assert move("run-2") is None
    assert len(place.partials()) == 2, "the partial file of run-1 and its journal are left behind"


@pytest.mark.parametrize("checkpoint", ["{broken", "[]", '{"upload_id": "u"}', '{"upload_id": "", "part_size": 0}'])
def test_a_checkpoint_that_cannot_be_read_costs_only_what_it_told_of(place: Place, checkpoint: str) -> None:
    place.tracker.keep(KEY, checkpoint)
    place.move(ScriptedCloud(TEN_PARTS))
    assert place.content() == TEN_PARTS
    assert place.is_clean()


def test_parts_that_would_not_end_in_time_are_given_up_and_those_confirmed_are_not_fetched_again(place: Place) -> None:
    cloud = ScriptedCloud(TEN_PARTS)

    def slowly(_: int) -> None:
        time.sleep(0.4)  # 1.6 s a part

    def then_slowly(total: int) -> None:
        if total >= 5 * PART:
            cloud.on_read = slowly

    cloud.on_read = then_slowly
    began = time.monotonic()
    assert place.move(cloud, late_after(5 * PART, cloud, left=GIVE_UP - 1)) is None
    assert time.monotonic() - began < 1.3
    first = sorted(cloud.delivered)
    cloud.forget()
    cloud.on_read = lambda _: None
    place.move(cloud)
    assert place.content() == TEN_PARTS
    whole = [start for start in range(0, 10 * PART, PART) if (start + 900, start + PART) in first]
    assert len(whole) >= 3
    assert not [span for span in cloud.asked if span != (0, 1) and span[0] in whole]


def test_an_invocation_that_is_late_from_the_start_begins_no_more_than_it_has_connections(place: Place) -> None:
    cloud = ScriptedCloud(TEN_PARTS)
    cloud.on_read = lambda _: time.sleep(0.01)
    assert place.move(cloud, Watch(remaining=lambda: LAST_START - 1)) is None
    assert cloud.served <= 3 * PART
    place.move(cloud)
    assert place.content() == TEN_PARTS
    assert cloud.gave_each_byte_once()


def test_a_part_that_takes_long_is_not_begun_when_its_time_does_not_remain(place: Place) -> None:
    cloud = ScriptedCloud(TEN_PARTS)
    cloud.on_read = lambda _: time.sleep(0.05)  # 0.2 s a part
    left = LAST_START + 0.25
    assert place.move(cloud, Watch(remaining=lambda: left), connections=1) is None
    assert cloud.served == PART


def test_a_stream_that_would_not_end_in_time_is_told_as_such(place: Place) -> None:
    cloud = ScriptedCloud(TEN_PARTS, gives_ranges=False)
    with pytest.raises(TransientError, match="gives no ranges"):
        place.move(cloud, late_after(4 * PART, cloud, left=GIVE_UP - 1))
    assert place.content() is None
    assert place.is_clean()


def test_an_upload_to_a_bucket_goes_on_in_the_next_invocation(bucket: Bucket) -> None:
    cloud = ScriptedCloud(FOUR_PARTS_OF_S3)
    cloud.read_size = MIB
    assert bucket.move(cloud, late_after(S3_PART, cloud)) is None
    assert not bucket.is_clean()
    assert bucket.move(cloud)
    assert bucket.content() == FOUR_PARTS_OF_S3
    assert cloud.gave_each_byte_once()
    assert bucket.is_clean()


def test_an_upload_that_the_store_no_longer_knows_is_begun_afresh(bucket: Bucket) -> None:
    cloud = ScriptedCloud(FOUR_PARTS_OF_S3)
    assert bucket.move(cloud, late_after(S3_PART, cloud)) is None
    (upload,) = bucket.client.list_multipart_uploads(Bucket=bucket.name)["Uploads"]
    bucket.client.abort_multipart_upload(Bucket=bucket.name, Key=KEY, UploadId=upload["UploadId"])
    assert bucket.move(cloud)
    assert bucket.content() == FOUR_PARTS_OF_S3
    assert bucket.is_clean()


def test_a_partial_file_that_lost_its_length_is_begun_afresh_and_leaves_nothing(place: Place) -> None:
    cloud = ScriptedCloud(TEN_PARTS)
    assert place.move(cloud, late_after(5 * PART, cloud)) is None
    (partial,) = [name for name in place.partials() if not name.endswith(".journal")]
    with (place.folder / "backup/.cloud-sync/partial" / partial).open("r+b") as file:
        file.truncate(100)
    place.move(cloud)
    assert place.content() == TEN_PARTS
    assert place.is_clean()


@pytest.mark.parametrize("gives_ranges", [True, False], ids=["ranges", "no ranges"])
def test_a_stop_in_the_middle_is_heard_and_the_next_move_goes_on(place: Place, gives_ranges: bool) -> None:
    cloud = ScriptedCloud(TEN_PARTS, gives_ranges=gives_ranges)

    def stop(_: int) -> None:
        if cloud.served >= 5 * PART:
            raise Cancelled("Stopped as asked.")

    with pytest.raises(Cancelled):
        place.move(cloud, Watch(advance=stop))
    assert place.archive.find(KEY) is None
    assert cloud.served < 8 * PART
    assert bool(place.tracker.recall(KEY)) is gives_ranges
    assert bool(place.partials()) is gives_ranges
    before = cloud.served
    place.move(cloud)
    assert place.content() == TEN_PARTS
    if gives_ranges:
        assert cloud.served <= 10 * PART + 3 * PART, "what was on its way comes again, and no more"
        assert cloud.served - before < 9 * PART
    assert place.is_clean()


# ------------------------------------------------------------------------------ bits that flip


def test_a_bit_that_flips_on_the_way_to_the_bucket_is_sent_again_and_not_fetched_again(bucket: Bucket) -> None:
    bucket.flip_a_byte("UploadPart", times=2)
    cloud = ScriptedCloud(FOUR_PARTS_OF_S3)
    bucket.move(cloud)
    assert bucket.content() == FOUR_PARTS_OF_S3
    assert cloud.gave_each_byte_once()


@pytest.mark.parametrize(
    ("length", "operation"), [(len(FOUR_PARTS_OF_S3), "UploadPart"), (70_000, "PutObject")], ids=["parts", "small"]
)
def test_bits_that_always_flip_on_the_way_to_the_bucket_never_become_an_object(
    bucket: Bucket, length: int, operation: str
) -> None:
    bucket.flip_a_byte(operation, times=-1)
    with pytest.raises(IntegrityError, match="damaged on its way"):
        bucket.move(ScriptedCloud(FOUR_PARTS_OF_S3[:length]))
    assert bucket.archive.find(KEY) is None
    assert "Contents" not in bucket.client.list_objects_v2(Bucket=bucket.name)


@pytest.mark.parametrize("gives_ranges", [True, False], ids=["ranges", "no ranges"])
def test_a_bit_that_flips_on_the_disk_never_becomes_an_object(place: Place, gives_ranges: bool) -> None:
    cloud = ScriptedCloud(TEN_PARTS, gives_ranges=gives_ranges)

    def rot(total: int) -> None:
        if total < 10 * PART:
            return
        for name in place.partials():
            if not name.endswith(".journal"):
                with (place.folder / "backup/.cloud-sync/partial" / name).open("r+b") as file:
                    file.seek(10)
                    file.write(bytes([TEN_PARTS[10] ^ 1]))

    cloud.on_read = rot
    with pytest.raises(IntegrityError, match="not what was written"):
        place.move(cloud)
    assert place.content() is None
    assert place.archive.find(KEY) is None
    assert place.is_clean()
    cloud.on_read = lambda _: None
    place.move(cloud)
    assert place.content() == TEN_PARTS


# ------------------------------------------------------------------------------ several at once


def moved_at_once(move: Callable[[], Stored | None]) -> list[Stored | BaseException | None]:
    start = threading.Barrier(2)

    def begin() -> Stored | None:
        start.wait()
        return move()

    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(begin) for _ in range(2)]
        return [future.exception() or future.result() for future in futures]


@settings(max_examples=15)
@given(length=st.sampled_from([10, PART, 2 * PART + 1, 10 * PART]), pause=st.sampled_from([0.0, 0.001]))
def test_two_engines_that_move_one_original_at_once_end_in_one_good_object(
    places: Callable[[], Place], length: int, pause: float
) -> None:
    place, cloud = places(), ScriptedCloud(TEN_PARTS[:length])
    cloud.on_read = lambda _: time.sleep(pause)
    outcomes = moved_at_once(lambda: place.move(cloud))
    assert [one for one in outcomes if isinstance(one, Stored)]
    assert not [one for one in outcomes if isinstance(one, BaseException) and not isinstance(one, CloudSyncError)]
    place.move(cloud)
    assert place.content() == cloud.content
    assert place.is_clean()


@pytest.mark.parametrize("length", [70_000, len(FOUR_PARTS_OF_S3)], ids=["small", "parts"])
def test_two_engines_that_move_one_original_into_a_bucket_at_once_end_in_one_good_object(
    bucket: Bucket, length: int
) -> None:
    cloud = ScriptedCloud(FOUR_PARTS_OF_S3[:length])
    outcomes = moved_at_once(lambda: bucket.move(cloud))
    assert [one for one in outcomes if isinstance(one, Stored)]
    assert not [one for one in outcomes if isinstance(one, BaseException) and not isinstance(one, TransientError)]
    bucket.move(cloud)
    assert bucket.content() == cloud.content
    assert len(bucket.client.list_object_versions(Bucket=bucket.name)["Versions"]) == 1
    assert bucket.is_clean()


def test_many_originals_share_the_connections_of_one_engine(place: Place) -> None:
    clouds = [ScriptedCloud(Random(number).randbytes(5 * PART + number)) for number in range(12)]
    now = peak = 0
    lock = threading.Lock()

    def count(_: int) -> None:
        nonlocal now, peak
        with lock:
            now += 1
            peak = max(peak, now)
        time.sleep(0.001)
        with lock:
            now -= 1

    for cloud in clouds:
        cloud.on_read = count
    with place.engine(connections=3) as engine, ThreadPoolExecutor(6) as pool:
        sources = [Source(cloud, MEDIUM, cloud.original()) for cloud in clouds]
        moved = [pool.submit(engine.move, source, f"many/{n}", LABEL) for n, source in enumerate(sources)]
        stored = [future.result() for future in moved]
    assert [one.sha256 for one in stored if one] == [digest(cloud.content) for cloud in clouds]
    assert all(cloud.gave_each_byte_once() for cloud in clouds)
    assert peak <= 3
    assert place.is_clean()


# ------------------------------------------------------------------------------ memory


def test_the_memory_of_a_transfer_does_not_grow_with_its_length(tmp_path: Path) -> None:
    archive = FolderArchive(tmp_path, part_size=MIB)
    cloud = ScriptedCloud(bytes(48 * MIB))
    cloud.read_size = MIB
    view = memoryview(cloud.content)
    cloud.content = view  # type: ignore[assignment]  # a slice of it is no copy
    engine = Engine(archive, SqliteTracker(tmp_path / "tracker.sqlite3"), connections=4, memory=4 * MIB)
    tracemalloc.start()
    try:
        stored = engine.move(Source(cloud, MEDIUM, cloud.original()), KEY, LABEL)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        engine.close()
    assert stored
    assert stored.length == 48 * MIB
    assert peak < 4 * MIB + 3 * MIB, "four parts, and a megabyte to read them back with"


@given(
    budget=st.integers(1, 20),
    sizes=st.lists(st.integers(1, 25), min_size=1, max_size=40),
    threads=st.integers(1, 12),
)
@settings(max_examples=40)
def test_buffers_never_take_more_than_their_budget(budget: int, sizes: list[int], threads: int) -> None:
    buffers = Buffers(budget * 1000)
    lock = threading.Lock()
    held: list[int] = []
    peaks: list[tuple[int, int]] = []

    def use(size: int) -> None:
        with buffers.take(size * 1000) as view:
            assert len(view) == size * 1000
            with lock:
                held.append(size)
                peaks.append((sum(held), len(held)))
            view[0] = view[-1] = 1
            time.sleep(0.001)
            with lock:
                held.remove(size)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(use, sizes))
    assert all(together <= budget or alone == 1 for together, alone in peaks)


def test_a_large_buffer_is_used_again_and_makes_room_for_another_size() -> None:
    tracemalloc.start()
    try:
        buffers = Buffers(8 * MIB)
        for _ in range(3):
            for size in (8 * MIB, 4 * MIB, 6 * MIB):
                with buffers.take(size):
                    pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 9 * MIB
    with buffers.take(6 * MIB) as first:
        address = first.obj
    with buffers.take(6 * MIB) as second:
        assert second.obj is address


def test_a_buffer_comes_back_after_an_error() -> None:
    buffers = Buffers(1000)
    for _ in range(3):
        with suppress(ValueError), buffers.take(1000):
            raise ValueError
    with buffers.take(1000) as buffer:
        assert len(buffer) == 1000


# ------------------------------------------------------------------------------ progress


@pytest.mark.parametrize("gives_ranges", [True, False], ids=["ranges", "no ranges"])
def test_what_is_read_adds_up_to_the_length(place: Place, gives_ranges: bool) -> None:
    cloud = ScriptedCloud(TEN_PARTS[:9_321], gives_ranges=gives_ranges)
    cloud.breaks = [3_456] if gives_ranges else []
    told: list[int] = []
    place.move(cloud, Watch(advance=told.append))
    assert sum(told) == 9_321


def test_progress_is_told_at_a_bounded_rate_and_never_goes_back(place: Place) -> None:
    cloud = ScriptedCloud(TEN_PARTS)
    cloud.on_read = lambda _: time.sleep(0.01)
    cloud.breaks = [4_321]
    told: list[Progress] = []
    moments: list[float] = []

    def hear(progress: Progress) -> None:
        told.append(progress)
        moments.append(time.monotonic())

    place.move(cloud, Watch(progress=hear, interval=0.05))
    assert len(told) >= 2
    assert all(later - earlier >= 0.045 for earlier, later in pairwise(moments))
    arrived = [one.arrived for one in told]
    assert arrived == sorted(arrived)
    assert all(one.arrived == one.parts * PART for one in told)
    assert {(one.key, one.length) for one in told} == {(KEY, len(TEN_PARTS))}
    assert all(one.eta is None or one.eta >= 0 for one in told)
    assert told[-1].retries == 1


def test_progress_of_what_goes_on_counts_what_was_there(place: Place) -> None:
    cloud = ScriptedCloud(TEN_PARTS)
    assert place.move(cloud, late_after(5 * PART, cloud)) is None
    told: list[Progress] = []
    cloud.on_read = lambda _: time.sleep(0.01)
    place.move(cloud, Watch(progress=told.append, interval=0.0))
    assert told[0].arrived >= 4 * PART
    assert told[-1].arrived == 10 * PART
