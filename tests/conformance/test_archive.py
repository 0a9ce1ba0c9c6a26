"""One suite for every archive, and what only the bucket or only the folder has to do."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st

from core.archive.base import Archive, Label, PartLimits, Shape, Upload
from core.archive.folder import FolderArchive
from core.archive.s3 import S3Archive
from core.errors import CloudSyncError, IntegrityError, InvalidInput, TransientError
from core.model import Stored
from core.transfer.engine import CONNECTIONS, MEMORY
from core.transfer.job import part_size
from tests.emulator import REGION, ROOT, Emulator, free_port

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MIB = 1024**2
GIB = 1024**3
TIB = 1024**4

#: The smallest part that S3 takes.
PART = 5 * MIB

THREE_PARTS = Random(7).randbytes(2 * PART + 12_345)
SMALL = THREE_PARTS[:70_000]
SHAPE = Shape(PART, len(THREE_PARTS))
KEY = "gopro-videos/2026/03/abc/GX010327.MP4"
DOCUMENT = "catalog/gopro/abc.json"
LABEL = Label(
    provider="gopro",
    media_id="abc",
    item_number=1,
    role="source",
    captured_at=datetime(2026, 3, 1, 12, 30, tzinfo=UTC),
    run_id="run-1",
    tags={"Source": "GoPro", "AutoSync": "True"},
    source_version='"v1"',
    damage="it is cut off",
)


class Place(Protocol):
    """A fresh archive, and what a person can see of it without the product."""

    @property
    def archive(self) -> Archive: ...

    def content(self, key: str) -> bytes | None:
        """The bytes at the location that the archive tells for `key`."""

    def label(self, key: str) -> dict[str, str]:
        """What the object carries about itself."""

    def unfinished(self) -> list[str]:
        """What is left of writing that never ended."""

    def leave(self, key: str, content: bytes) -> None:
        """Put a file there that the product knows nothing of."""

    def anew(self) -> Archive:
        """The same archive, as another process sees it."""


@dataclass(frozen=True)
class Bucket:
    archive: S3Archive
    client: S3Client
    name: str

    def content(self, key: str) -> bytes | None:
        bucket, _, found = self.archive.location(key).removeprefix("s3://").partition("/")
        try:
            return self.client.get_object(Bucket=bucket, Key=found)["Body"].read()
        except self.client.exceptions.NoSuchKey:
            return None

    def label(self, key: str) -> dict[str, str]:
        metadata = self.client.head_object(Bucket=self.name, Key=key)["Metadata"]
        return {name: value for name, value in metadata.items() if name not in ("sha256", "part-size")}

    def unfinished(self) -> list[str]:
        return [one["Key"] for one in self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])]

    def leave(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=content)

    def anew(self) -> S3Archive:
        return S3Archive(self.client, self.name, part_size=PART)

    def tags(self, key: str) -> dict[str, str]:
        found = self.client.get_object_tagging(Bucket=self.name, Key=key)["TagSet"]
        return {tag["Key"]: tag["Value"] for tag in found}

    def versions(self, key: str) -> list[str]:
        found = self.client.list_object_versions(Bucket=self.name, Prefix=key)
        return [version["VersionId"] for version in found["Versions"]]

    def storage_class(self, key: str) -> str:
        return self.client.head_object(Bucket=self.name, Key=key).get("StorageClass", "STANDARD")


@dataclass(frozen=True)
class Folder:
    archive: FolderArchive
    root: Path

    def content(self, key: str) -> bytes | None:
        path = Path(self.archive.location(key))
        return path.read_bytes() if path.exists() else None

    def label(self, key: str) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.record(key).read_text())["label"]
        return found

    def unfinished(self) -> list[str]:
        files = [path for path in self.root.rglob("*") if path.is_file()]
        return [str(path) for path in files if path.parent.name == "partial" or path.suffix == ".partial"]

    def leave(self, key: str, content: bytes) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True)
        path.write_bytes(content)

    def anew(self) -> FolderArchive:
        return FolderArchive(self.root, part_size=PART)

    def journal(self) -> Path:
        return next(self.root.glob(".cloud-sync/partial/*.journal"))

    def partial(self) -> Path:
        return next(path for path in self.root.glob(".cloud-sync/partial/*") if path.suffix != ".journal")

    def record(self, key: str) -> Path:
        return self.root / ".cloud-sync/objects" / f"{key}.json"


@pytest.fixture(scope="session")
def encryption_key(emulator: Emulator) -> str:
    return str(emulator.client("kms").create_key()["KeyMetadata"]["Arn"])


@pytest.fixture
def bucket(emulator: Emulator, encryption_key: str) -> Bucket:
    """A bucket as the template makes it: versioned, encrypted by a key of the customer's."""
    client: S3Client = emulator.client("s3")
    name = f"archive-{uuid4().hex[:8]}"
    client.create_bucket(Bucket=name)
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    client.put_bucket_encryption(
        Bucket=name,
        ServerSideEncryptionConfiguration={
            "Rules": [
                {
                    "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": encryption_key},
                    "BucketKeyEnabled": True,
                }
            ]
        },
    )
    return Bucket(S3Archive(client, name, part_size=PART), client, name)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(FolderArchive(tmp_path / "backup", part_size=PART), tmp_path / "backup")


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


def put(
    archive: Archive, content: bytes = SMALL, key: str = KEY, label: Label = LABEL, *, replaces: bool = False
) -> Stored:
    return archive.put(key, memoryview(content), label, sha256(content).hexdigest(), replaces=replaces)


def part_of(number: int, content: bytes = THREE_PARTS) -> memoryview:
    return memoryview(content)[(number - 1) * PART : number * PART]


def write(upload: Upload, numbers: Sequence[int], content: bytes = THREE_PARTS) -> None:
    for number in numbers:
        upload.write_part(number, part_of(number, content), sha256(part_of(number, content)).digest())


def begun(
    archive: Archive,
    numbers: Sequence[int] = (1, 2, 3),
    label: Label = LABEL,
    *,
    shape: Shape = SHAPE,
    replaces: bool = False,
) -> Upload:
    """An upload of which those parts were written, in that order."""
    upload = archive.start(KEY, label, shape, replaces=replaces)
    write(upload, numbers)
    return upload


def put_in_parts(
    archive: Archive, numbers: Sequence[int] = (1, 2, 3), label: Label = LABEL, *, replaces: bool = False
) -> Stored:
    return begun(archive, numbers, label, replaces=replaces).complete(len(THREE_PARTS))


def lines(archive: Archive, key: str = DOCUMENT) -> list[bytes]:
    return [line.rstrip(b"\n") for line in archive.read_document(key)]


def test_an_original_comes_back_byte_for_byte_with_what_is_known_of_it(place: Place) -> None:
    stored = put(place.archive)
    assert place.content(KEY) == SMALL
    assert (stored.key, stored.length, stored.sha256) == (KEY, len(SMALL), sha256(SMALL).hexdigest())
    assert (stored.run_id, stored.source_version, stored.damage) == ("run-1", '"v1"', "it is cut off")
    assert place.label(KEY) == {
        "provider": "gopro",
        "media-id": "abc",
        "item-number": "1",
        "role": "source",
        "captured-at": "2026-03-01T12:30:00Z",
        "run-id": "run-1",
        "source-version": '"v1"',
        "damage": "it is cut off",
    }


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2), (2, 3, 1)], ids=str)
def test_parts_written_in_any_order_make_the_original(place: Place, order: Sequence[int]) -> None:
    stored = put_in_parts(place.archive, order)
    assert place.content(KEY) == THREE_PARTS
    assert (stored.length, stored.run_id) == (len(THREE_PARTS), "run-1")
    assert stored.sha256 in (None, sha256(THREE_PARTS).hexdigest())
    assert place.label(KEY) == LABEL.metadata()
    assert place.unfinished() == []


def test_a_part_written_again_takes_the_place_of_its_first_copy(place: Place) -> None:
    upload = place.archive.start(KEY, LABEL, SHAPE)
    write(upload, [1], bytes(PART))
    write(upload, [2, 1, 3])
    upload.complete(len(THREE_PARTS))
    assert place.content(KEY) == THREE_PARTS


def test_an_original_of_unknown_length_is_made_of_its_parts(place: Place) -> None:
    begun(place.archive, shape=Shape(PART, None)).complete(len(THREE_PARTS))
    assert place.content(KEY) == THREE_PARTS
    assert place.unfinished() == []


def test_nothing_is_found_where_nothing_was_put(place: Place) -> None:
    assert place.archive.find(KEY) is None


def test_what_is_found_is_what_put_gave_back(place: Place) -> None:
    stored = put(place.archive)
    assert place.archive.find(KEY) == stored


def test_what_is_found_is_what_complete_gave_back(place: Place) -> None:
    stored = put_in_parts(place.archive)
    assert place.archive.find(KEY) == stored


def test_an_original_put_again_is_the_later_one(place: Place) -> None:
    put_in_parts(place.archive)
    later = put(place.archive, label=replace(LABEL, run_id="run-2"), replaces=True)
    assert place.content(KEY) == SMALL
    assert place.archive.find(KEY) == later
    assert later.run_id == "run-2"
    latest = put_in_parts(place.archive, label=replace(LABEL, run_id="run-3"), replaces=True)
    assert place.content(KEY) == THREE_PARTS
    assert place.archive.find(KEY) == latest


@pytest.mark.parametrize(
    "name", ["Ünïcode + 100% #1 & more.MP4", "🏔️ Gipfel.mp4", "a=b;c@d,e'(f)!~.jpg", "GX010327 (1).MP4", ".hidden"]
)
def test_any_name_that_a_key_may_have_is_stored_and_found(place: Place, name: str) -> None:
    key = f"gopro-videos/2026/03/abc~0123456789ab/{name}"
    stored = put(place.archive, key=key)
    assert stored.key == key
    assert place.content(key) == SMALL
    assert place.archive.find(key) == stored


def test_a_file_that_the_product_did_not_put_there_is_not_taken_for_confirmed(place: Place) -> None:
    place.leave(KEY, SMALL)
    assert place.content(KEY) == SMALL
    assert place.archive.find(KEY) is None


def test_bytes_that_are_not_those_of_the_digest_are_not_stored(place: Place) -> None:
    with pytest.raises(IntegrityError, match=KEY):
        place.archive.put(KEY, memoryview(SMALL), LABEL, sha256(b"others").hexdigest())
    assert place.content(KEY) is None
    assert place.archive.find(KEY) is None
    assert place.unfinished() == []


def test_damaged_bytes_leave_what_was_there(place: Place) -> None:
    stored = put(place.archive)
    with pytest.raises(IntegrityError):
        place.archive.put(KEY, memoryview(SMALL[1:]), LABEL, sha256(SMALL).hexdigest(), replaces=True)
    assert place.content(KEY) == SMALL
    assert place.archive.find(KEY) == stored


NOT_WHOLE = pytest.mark.parametrize(
    ("numbers", "length"),
    [
        ((1, 2, 3), len(THREE_PARTS) - 1),
        ((1, 2, 3), len(THREE_PARTS) + 1),
        ((1, 3), len(THREE_PARTS)),
        ((2, 3), len(THREE_PARTS)),
        ((1, 2), len(THREE_PARTS)),
        ((), len(THREE_PARTS)),
    ],
    ids=["shorter", "longer", "without the middle", "without the first part", "without the last part", "nothing"],
)
LENGTH_IS_TOLD = pytest.mark.parametrize("shape", [SHAPE, Shape(PART, None)], ids=["told length", "untold length"])


@LENGTH_IS_TOLD
@NOT_WHOLE
def test_an_original_whose_parts_do_not_add_up_is_never_there(
    place: Place, shape: Shape, numbers: Sequence[int], length: int
) -> None:
    upload = begun(place.archive, numbers, shape=shape)
    with pytest.raises(IntegrityError, match=KEY):
        upload.complete(length)
    upload.abort()
    assert place.content(KEY) is None
    assert place.archive.find(KEY) is None
    assert place.unfinished() == []


def test_an_original_in_parts_is_not_there_before_it_is_complete(place: Place) -> None:
    upload = begun(place.archive)
    assert place.unfinished() != []
    assert place.content(KEY) is None
    assert place.archive.find(KEY) is None
    upload.abort()


def test_an_upload_that_is_aborted_leaves_nothing(place: Place) -> None:
    begun(place.archive, (2, 1)).abort()
    assert place.unfinished() == []
    assert place.content(KEY) is None
    assert place.archive.find(KEY) is None


def test_an_upload_that_is_aborted_leaves_the_original_that_was_there(place: Place) -> None:
    stored = put(place.archive)
    begun(place.archive, (1,)).abort()
    assert place.content(KEY) == SMALL
    assert place.archive.find(KEY) == stored


def test_an_upload_may_be_aborted_twice_and_after_its_end(place: Place) -> None:
    begun(place.archive, (1,)).abort()
    upload = begun(place.archive)
    upload.complete(len(THREE_PARTS))
    upload.abort()
    upload.abort()
    assert place.content(KEY) == THREE_PARTS


def test_an_upload_is_discarded_by_its_name_alone_and_another_of_the_same_original_stays(place: Place) -> None:
    gone, going_on = begun(place.archive), begun(place.archive)
    place.archive.discard(KEY, gone.upload_id)
    place.archive.discard(KEY, gone.upload_id)
    assert place.archive.resume(KEY, LABEL, SHAPE, gone.upload_id) is None
    going_on.complete(len(THREE_PARTS))
    assert place.content(KEY) == THREE_PARTS
    assert place.unfinished() == []


# ---------------------------------------------------------------------------------------------------- going on


def test_a_store_says_which_parts_it_takes(place: Place) -> None:
    limits = place.archive.limits
    assert limits.smallest == PART
    assert limits.largest >= 5 * GIB
    assert limits.most >= 10_000


def test_what_was_written_before_an_interruption_is_not_lost(place: Place) -> None:
    upload_id = begun(place.archive, (3, 1)).upload_id
    upload = place.anew().resume(KEY, LABEL, SHAPE, upload_id)
    assert upload
    assert upload.parts() == {1: PART, 3: 12_345}
    assert place.content(KEY) is None
    write(upload, [2])
    assert upload.parts() == {1: PART, 2: PART, 3: 12_345}
    stored = upload.complete(len(THREE_PARTS))
    assert place.content(KEY) == THREE_PARTS
    assert place.archive.find(KEY) == stored
    assert place.label(KEY) == LABEL.metadata()
    assert place.unfinished() == []


def test_every_interruption_keeps_what_was_written_until_then(place: Place) -> None:
    upload_id = begun(place.archive, ()).upload_id
    for number in (2, 3, 1):
        upload = place.anew().resume(KEY, LABEL, SHAPE, upload_id)
        assert upload
        assert number not in upload.parts()
        write(upload, [number])
    upload = place.anew().resume(KEY, LABEL, SHAPE, upload_id)
    assert upload
    assert set(upload.parts()) == {1, 2, 3}
    upload.complete(len(THREE_PARTS))
    assert place.content(KEY) == THREE_PARTS


def test_an_upload_that_goes_on_takes_a_part_again_in_place_of_what_it_has(place: Place) -> None:
    upload = place.archive.start(KEY, LABEL, SHAPE)
    write(upload, [1, 2], bytes(2 * PART))
    again = place.anew().resume(KEY, LABEL, SHAPE, upload.upload_id)
    assert again
    write(again, [2, 3, 1])
    again.complete(len(THREE_PARTS))
    assert place.content(KEY) == THREE_PARTS


@pytest.mark.parametrize("ending", ["complete", "abort"])
def test_an_upload_that_has_ended_cannot_go_on(place: Place, ending: str) -> None:
    upload = begun(place.archive)
    if ending == "complete":
        upload.complete(len(THREE_PARTS))
    else:
        upload.abort()
    assert place.anew().resume(KEY, LABEL, SHAPE, upload.upload_id) is None


@pytest.mark.parametrize("upload_id", ["0123456789abcdef01234567", "../../outside", "ü", ""], ids=ascii)
def test_an_upload_that_never_was_cannot_go_on(place: Place, upload_id: str) -> None:
    assert place.archive.resume(KEY, LABEL, SHAPE, upload_id) is None
    assert place.unfinished() == []


def test_an_upload_that_goes_on_can_be_given_up(place: Place) -> None:
    upload = place.anew().resume(KEY, LABEL, SHAPE, begun(place.archive, (1, 2)).upload_id)
    assert upload
    upload.abort()
    assert place.unfinished() == []
    assert place.content(KEY) is None


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads that take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty_threads")
def test_parts_are_told_while_others_write_them(folder: Folder) -> None:
    upload = folder.archive.start(KEY, LABEL, Shape(1, None))
    digest = sha256(b"x").digest()
    with ThreadPoolExecutor(4) as pool:
        written = [pool.submit(upload.write_part, number, memoryview(b"x"), digest) for number in range(1, 1001)]
        while not all(future.done() for future in written):
            upload.parts()
        for future in written:
            future.result()
    assert upload.parts() == dict.fromkeys(range(1, 1001), 1)
    upload.abort()


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (b'{"a": 1}\n{"b": 2}\n', [b'{"a": 1}', b'{"b": 2}']),
        (b'{"a": 1}\n{"b": 2}', [b'{"a": 1}', b'{"b": 2}']),
        ('{"a": "\u2028 \x85 ü 🏔"}\n'.encode(), ['{"a": "\u2028 \x85 ü 🏔"}'.encode()]),
        (b"one\n\ntwo\n", [b"one", b"", b"two"]),
        (b"", []),
    ],
    ids=["whole lines", "no end of line at the end", "other line separators", "an empty line", "empty"],
)
def test_a_document_is_read_line_by_line(place: Place, document: bytes, expected: list[bytes]) -> None:
    place.archive.put_document(DOCUMENT, document)
    assert place.content(DOCUMENT) == document
    assert lines(place.archive) == expected


def test_a_large_document_is_stored_from_a_file_and_read_line_by_line(place: Place, tmp_path: Path) -> None:
    expected = [f'{{"number":{number},"name":"{"ü" * (number % 977)}"}}'.encode() for number in range(12_000)]
    source = tmp_path / "manifest.jsonl"
    source.write_bytes(b"".join(line + b"\n" for line in expected))
    assert source.stat().st_size > 8 * MIB, "smaller than what goes in parts"
    place.archive.put_document("runs/r1/manifest.jsonl", source)
    assert lines(place.archive, "runs/r1/manifest.jsonl") == expected
    assert source.exists()
    assert place.unfinished() == []


def test_a_document_comes_back_byte_for_byte_whatever_it_holds(place: Place) -> None:
    document = bytes(range(256)) * 3 + b"\r\n\r\r\n\n\x0b\x0c\x1c"
    place.archive.put_document("thumbnails/gopro/2026-03/a.jpg", document)
    assert b"".join(place.archive.read_document("thumbnails/gopro/2026-03/a.jpg")) == document


def test_the_documents_under_a_prefix_are_listed(place: Place) -> None:
    keys = ["gallery/gopro/2026-03.json", "gallery/gopro/index.html"]
    for key in (*keys, "gallery/other/index.html", "gallery/index.html"):
        place.archive.put_document(key, b"{}")
    assert sorted(place.archive.document_keys("gallery/gopro/")) == keys
    assert list(place.archive.document_keys("gallery/nobody/")) == []


def test_a_document_put_again_is_the_later_one(place: Place) -> None:
    place.archive.put_document(DOCUMENT, b"a longer first\nof two lines\n")
    place.archive.put_document(DOCUMENT, b"second\n")
    assert lines(place.archive) == [b"second"]


def test_a_document_that_is_not_there_is_a_mistake_that_names_it(place: Place) -> None:
    with pytest.raises(InvalidInput, match=DOCUMENT):
        lines(place.archive)


@pytest.mark.parametrize("media_id", ["müller", "🏔️-7", "視頻"])
def test_what_an_object_says_of_itself_is_plain_ascii(place: Place, media_id: str) -> None:
    label = replace(LABEL, media_id=media_id)
    stored = put(place.archive, label=label)
    assert place.archive.find(KEY) == stored
    assert all(value.isascii() for value in place.label(KEY).values())
    assert place.label(KEY)["media-id"].encode().decode("unicode_escape") == media_id


def test_a_medium_without_a_time_of_capture_is_stored_without_one(place: Place) -> None:
    put(place.archive, label=replace(LABEL, captured_at=None))
    assert "captured-at" not in place.label(KEY)


# ---------------------------------------------------------------------------------------------------- the bucket


#: What S3 takes, and what a folder does.
S3_LIMITS = PartLimits(8 * MIB, 5 * GIB, 10_000)
ANY_LIMITS = st.builds(
    PartLimits, smallest=st.sampled_from([5 * MIB, 8 * MIB]), largest=st.just(5 * GIB), most=st.just(10_000)
)
connections = st.integers(1, 64)
memory = st.integers(64, 4096).map(lambda mib: mib * MIB)

lengths = st.one_of(
    st.integers(0, 5 * TIB),
    st.builds(
        lambda parts, size, off: parts * size * MIB + off,
        st.integers(1, 10_000),
        st.integers(1, 524),
        st.integers(-1, 1),
    ),
    st.sampled_from([0, 1, PART, 32 * MIB, 10_000 * 32 * MIB, 10_000 * 32 * MIB + 1, 5 * TIB]),
)


@given(lengths, ANY_LIMITS, connections, memory)
def test_parts_are_legal_for_every_length_that_s3_can_hold(
    length: int, limits: PartLimits, connections: int, memory: int
) -> None:
    size = part_size(length, limits, connections, memory)
    assert limits.smallest <= size <= limits.largest
    assert -(-length // size) <= limits.most


@given(lengths, lengths, connections, memory)
def test_parts_never_shrink_as_originals_grow(one: int, other: int, connections: int, memory: int) -> None:
    smaller, larger = sorted([one, other])
    assert part_size(smaller, S3_LIMITS, connections, memory) <= part_size(larger, S3_LIMITS, connections, memory)


@given(st.integers(1, 10_000 * 12 * MIB))
def test_the_parts_of_all_connections_fit_into_the_memory(length: int) -> None:
    assert part_size(length, S3_LIMITS, CONNECTIONS, MEMORY) * CONNECTIONS <= MEMORY


@given(st.integers(CONNECTIONS * 8 * MIB, TIB))
def test_every_connection_has_a_part_of_a_large_original(length: int) -> None:
    assert -(-length // part_size(length, S3_LIMITS, CONNECTIONS, MEMORY)) >= CONNECTIONS - 1


def test_originals_are_tagged(bucket: Bucket) -> None:
    put(bucket.archive)
    assert bucket.tags(KEY) == {"Source": "GoPro", "AutoSync": "True"}
    put_in_parts(bucket.archive, replaces=True)
    assert bucket.tags(KEY) == {"Source": "GoPro", "AutoSync": "True"}


@pytest.mark.parametrize(
    ("asked", "expected"), [(None, "STANDARD"), ("DEEP_ARCHIVE", "DEEP_ARCHIVE")], ids=["by default", "deep"]
)
def test_originals_go_into_the_storage_class_that_was_asked_for(
    bucket: Bucket, asked: str | None, expected: str
) -> None:
    archive = S3Archive(bucket.client, bucket.name, storage_class=asked, part_size=PART)
    stored = put(archive)
    assert bucket.storage_class(KEY) == expected
    assert archive.find(KEY) == stored
    stored = put_in_parts(archive, replaces=True)
    assert bucket.storage_class(KEY) == expected
    assert archive.find(KEY) == stored


def test_documents_are_always_in_standard(bucket: Bucket, tmp_path: Path) -> None:
    archive = S3Archive(bucket.client, bucket.name, storage_class="DEEP_ARCHIVE")
    manifest = tmp_path / "manifest"
    manifest.write_bytes(b"{}\n")
    archive.put_document(DOCUMENT, b"{}")
    archive.put_document("runs/r1/manifest.jsonl", manifest)
    assert bucket.storage_class(DOCUMENT) == "STANDARD"
    assert bucket.storage_class("runs/r1/manifest.jsonl") == "STANDARD"
    assert lines(archive) == [b"{}"]


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("catalog/gopro/abc.json", "application/json"),
        ("runs/r1/manifest.jsonl", "application/x-ndjson"),
        ("runs/r1/report.html", "text/html; charset=utf-8"),
        ("thumbnails/gopro/2026-03/a.jpg", "image/jpeg"),
        ("runs/r1/report", "application/octet-stream"),
    ],
)
def test_documents_say_of_what_kind_they_are(bucket: Bucket, tmp_path: Path, key: str, kind: str) -> None:
    source = tmp_path / "document"
    source.write_bytes(b"{}")
    for given_as in (b"{}", source):
        bucket.archive.put_document(key, given_as)
        assert bucket.client.head_object(Bucket=bucket.name, Key=key)["ContentType"] == kind


def composite(content: bytes) -> str:
    """S3's checksum of an object in parts, as its documentation has it."""
    parts = [content[start : start + PART] for start in range(0, len(content), PART)]
    whole = sha256(b"".join(sha256(part).digest() for part in parts)).digest()
    return f"SHA256:{b64encode(whole).decode()}-{len(parts)}"


def test_the_bucket_s_own_checksum_is_that_of_the_whole_or_of_the_parts(bucket: Bucket) -> None:
    stored = put(bucket.archive)
    assert stored.store_checksum == f"SHA256:{b64encode(sha256(SMALL).digest()).decode()}"
    assert stored.part_size is None
    in_parts = put_in_parts(bucket.archive, replaces=True)
    assert in_parts.store_checksum == composite(THREE_PARTS)
    assert (in_parts.sha256, in_parts.part_size) == (None, PART)
    assert in_parts.version_id == bucket.client.head_object(Bucket=bucket.name, Key=KEY)["VersionId"]


def flip_a_byte(bucket: Bucket, operation: str, times: int = -1) -> None:
    """Let a byte of what is sent change on the wire, after it was signed and its checksum was made."""
    left = [times]

    def flip(request: Any, **_: object) -> None:
        if left[0] == 0:
            return
        left[0] -= 1
        content = request.body if isinstance(request.body, bytes | bytearray) else request.body.read()
        request.body = bytes(content[:100]) + bytes([content[100] ^ 1]) + bytes(content[101:])

    bucket.client.meta.events.register(f"before-send.s3.{operation}", flip)


def test_a_bit_that_flips_on_the_way_of_a_part_is_refused(bucket: Bucket) -> None:
    upload = begun(bucket.archive, (1,))
    flip_a_byte(bucket, "UploadPart", times=1)
    with pytest.raises(IntegrityError, match="damaged on its way"):
        write(upload, [2])
    assert upload.parts() == {1: PART}
    write(upload, [2, 3])
    upload.complete(len(THREE_PARTS))
    assert bucket.content(KEY) == THREE_PARTS


def test_a_part_that_is_not_that_of_its_digest_is_refused_at_once(bucket: Bucket) -> None:
    upload = begun(bucket.archive, (1,))
    with pytest.raises(IntegrityError, match="damaged on its way"):
        upload.write_part(2, part_of(2), sha256(b"what was read").digest())
    assert upload.parts() == {1: PART}


def test_a_bit_that_flips_on_the_way_of_a_whole_original_is_refused(bucket: Bucket) -> None:
    flip_a_byte(bucket, "PutObject", times=1)
    with pytest.raises(IntegrityError, match="damaged on its way"):
        put(bucket.archive)
    assert bucket.content(KEY) is None


@pytest.mark.parametrize("store", [put, put_in_parts])
def test_what_another_worker_has_stored_is_given_back_if_it_is_the_same(
    bucket: Bucket, store: Callable[..., Stored]
) -> None:
    theirs = store(bucket.archive)
    versions = bucket.versions(KEY)
    ours = store(bucket.archive, label=replace(LABEL, run_id="run-2"))
    assert ours == theirs
    assert ours.run_id == "run-1"
    assert bucket.versions(KEY) == versions
    assert bucket.unfinished() == []


@pytest.mark.parametrize("store", [put, put_in_parts])
def test_what_another_worker_has_stored_is_not_replaced(place: Place, store: Callable[..., Stored]) -> None:
    put(place.archive, b"something else")
    theirs = place.archive.find(KEY)
    with pytest.raises(TransientError, match="Another worker"):
        store(place.archive)
    assert place.archive.find(KEY) == theirs
    assert place.content(KEY) == b"something else"
    store(place.archive, replaces=True)
    assert place.archive.find(KEY) != theirs


@pytest.mark.parametrize("store", [put, put_in_parts])
def test_what_s3_has_no_checksum_of_makes_way_and_stays_as_a_version(
    bucket: Bucket, store: Callable[..., Stored]
) -> None:
    bucket.leave(KEY, SMALL)
    assert store(bucket.archive) == bucket.archive.find(KEY)
    assert len(bucket.versions(KEY)) == 2
    assert bucket.unfinished() == []


def test_an_object_that_is_not_what_was_sent_is_not_taken_for_confirmed(bucket: Bucket) -> None:
    put(bucket.archive)
    metadata = bucket.client.head_object(Bucket=bucket.name, Key=KEY)["Metadata"]
    bucket.client.put_object(
        Bucket=bucket.name, Key=KEY, Body=b"!" + SMALL[1:], Metadata=metadata, ChecksumAlgorithm="SHA256"
    )
    assert bucket.archive.find(KEY) is None
    put(bucket.archive)
    assert bucket.content(KEY) == SMALL


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_somebody_else_put_where_an_original_belongs_makes_way_and_stays(folder: Folder, kind: str) -> None:
    place = folder.root / KEY
    if kind == "file":
        folder.leave(KEY, b"holiday")
    else:
        place.mkdir(parents=True)
    put(folder.archive)
    assert folder.content(KEY) == SMALL
    (other,) = set(place.parent.iterdir()) - {place}
    assert other.name.endswith(".other")
    assert kind == "folder" or other.read_bytes() == b"holiday"


def test_a_file_system_that_cannot_make_a_name_durable_is_told_so_by_nobody(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    assert put(folder.archive) == folder.archive.find(KEY)


def test_an_upload_that_another_worker_has_ended_is_no_fault_of_the_owner(bucket: Bucket) -> None:
    upload = begun(bucket.archive)
    theirs = bucket.anew().resume(KEY, LABEL, SHAPE, upload.upload_id)
    assert theirs
    stored = theirs.complete(len(THREE_PARTS))
    with suppress(TransientError):
        assert upload.complete(len(THREE_PARTS)) == stored
    with pytest.raises(TransientError):
        write(upload, [1])
    assert bucket.archive.find(KEY) == stored


def test_the_location_in_a_bucket_is_its_address(bucket: Bucket) -> None:
    assert bucket.archive.location(KEY) == f"s3://{bucket.name}/{KEY}"


def test_a_bucket_that_is_not_there_is_for_the_owner_to_mend(bucket: Bucket, tmp_path: Path) -> None:
    archive = S3Archive(bucket.client, f"{bucket.name}-gone")
    report = tmp_path / "report.json"
    report.write_bytes(b"{}")
    for attempt in (
        lambda: put(archive),
        lambda: archive.start(KEY, LABEL, SHAPE),
        lambda: archive.put_document(DOCUMENT, b"{}"),
        lambda: archive.put_document(DOCUMENT, report),
        lambda: lines(archive),
    ):
        with pytest.raises(CloudSyncError, match="bucket") as caught:
            attempt()
        assert not isinstance(caught.value, TransientError)


@pytest.fixture(scope="session")
def unreachable() -> S3Archive:
    """An archive whose S3 does not answer."""
    settings = Config(retries={"total_max_attempts": 1}, connect_timeout=2)
    client: S3Client = boto3.client(
        "s3", endpoint_url=f"http://127.0.0.1:{free_port()}", region_name=REGION, config=settings
    )
    return S3Archive(client, "unreachable")


@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param(put, id="put"),
        pytest.param(lambda archive: archive.start(KEY, LABEL, SHAPE), id="start"),
        pytest.param(lambda archive: archive.put_document(DOCUMENT, b"{}"), id="put_document"),
        pytest.param(lambda archive: archive.find(KEY), id="find"),
        pytest.param(lines, id="read_document"),
    ],
)
def test_a_bucket_that_cannot_be_reached_is_tried_again(
    unreachable: S3Archive, attempt: Callable[[Archive], object]
) -> None:
    with pytest.raises(TransientError, match="tried again"):
        attempt(unreachable)


# ---------------------------------------------------------------------------------------------------- the folder


def test_the_location_in_a_folder_is_the_path(folder: Folder) -> None:
    assert folder.archive.location(KEY) == str(folder.root / KEY)


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../outside", "a/../../outside", "a/./b", "a//b", "a/", "..", "a\\..\\b", "a/b\0c"]
)
def test_a_key_that_leaves_the_folder_is_refused_by_everything(folder: Folder, tmp_path: Path, key: str) -> None:
    for attempt in (
        lambda: folder.archive.find(key),
        lambda: put(folder.archive, key=key),
        lambda: folder.archive.start(key, LABEL, SHAPE),
        lambda: folder.archive.put_document(key, b"{}"),
        lambda: lines(folder.archive, key),
        lambda: folder.archive.location(key),
    ):
        with pytest.raises(InvalidInput, match="relative path"):
            attempt()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("store", [put, put_in_parts])
def test_a_file_s_time_is_that_of_its_capture(folder: Folder, store: Callable[[Archive], Stored]) -> None:
    store(folder.archive)
    assert (folder.root / KEY).stat().st_mtime == datetime(2026, 3, 1, 12, 30, tzinfo=UTC).timestamp()


def test_bytes_on_disk_that_are_not_those_of_the_digest_are_not_stored(folder: Folder) -> None:
    upload = begun(folder.archive)
    with pytest.raises(IntegrityError, match=KEY):
        upload.complete(len(THREE_PARTS), sha256(b"others").hexdigest())
    upload.abort()
    assert folder.content(KEY) is None
    assert folder.archive.find(KEY) is None
    assert folder.unfinished() == []


def rot(partial: Path, place: int = PART) -> None:
    """Let the disk change a byte."""
    with partial.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 1]))


@LENGTH_IS_TOLD
@pytest.mark.parametrize("byte", [0, PART, len(THREE_PARTS) - 1])
def test_a_file_that_the_disk_gives_back_otherwise_is_not_stored(folder: Folder, shape: Shape, byte: int) -> None:
    upload = begun(folder.archive, shape=shape)
    rot(folder.partial(), byte)
    with pytest.raises(IntegrityError, match=KEY):
        upload.complete(len(THREE_PARTS))
    upload.abort()
    assert folder.content(KEY) is None
    assert folder.unfinished() == []


def test_a_file_that_has_changed_since_it_was_interrupted_is_not_stored(folder: Folder) -> None:
    upload_id = begun(folder.archive, (1, 2)).upload_id
    rot(folder.partial())
    upload = folder.anew().resume(KEY, LABEL, SHAPE, upload_id)
    assert upload
    write(upload, [3])
    with pytest.raises(IntegrityError, match=KEY):
        upload.complete(len(THREE_PARTS))
    assert folder.content(KEY) is None


@pytest.mark.parametrize("kept", [0, 1, 2, 20, 70, 75, 76])
def test_a_journal_whose_last_line_is_cut_off_tells_of_the_parts_before_it(folder: Folder, kept: int) -> None:
    interrupted = begun(folder.archive, (1,))
    length = folder.journal().stat().st_size
    write(interrupted, [3])
    assert folder.journal().stat().st_size - length > kept + 2
    os.truncate(folder.journal(), length + kept)
    upload = folder.anew().resume(KEY, LABEL, SHAPE, interrupted.upload_id)
    assert upload
    assert upload.parts() == {1: PART}
    write(upload, [3, 2])
    upload.complete(len(THREE_PARTS))
    assert folder.content(KEY) == THREE_PARTS


def test_parts_written_after_a_line_that_was_cut_off_are_not_lost_either(folder: Folder) -> None:
    upload_id = begun(folder.archive, (1, 3)).upload_id
    folder.journal().write_bytes(folder.journal().read_bytes()[:-20])
    upload = folder.anew().resume(KEY, LABEL, SHAPE, upload_id)
    assert upload
    write(upload, [2])
    again = folder.anew().resume(KEY, LABEL, SHAPE, upload_id)
    assert again
    assert again.parts() == {1: PART, 2: PART}


@pytest.mark.parametrize("garbage", [b"\0" * 64, b"\xff\xfe\n", b"null\n", b"[]\n", b"{}\n", b"[1, 2]\n"], ids=repr)
def test_a_journal_that_a_power_cut_has_spoiled_tells_of_what_can_be_read(folder: Folder, garbage: bytes) -> None:
    upload_id = begun(folder.archive, (1,)).upload_id
    with folder.journal().open("ab") as journal:
        journal.write(garbage)
    upload = folder.anew().resume(KEY, LABEL, SHAPE, upload_id)
    assert upload
    assert upload.parts() == {1: PART}


@pytest.mark.parametrize("missing", ["journal", "file"])
def test_an_upload_of_which_a_half_is_missing_cannot_go_on(folder: Folder, missing: str) -> None:
    upload_id = begun(folder.archive, (1,)).upload_id
    (folder.journal() if missing == "journal" else folder.partial()).unlink()
    assert folder.anew().resume(KEY, LABEL, SHAPE, upload_id) is None


def test_a_partial_file_of_another_length_cannot_go_on(folder: Folder) -> None:
    upload_id = begun(folder.archive, (1,)).upload_id
    os.truncate(folder.partial(), PART)
    assert folder.anew().resume(KEY, LABEL, SHAPE, upload_id) is None


def test_what_can_go_on_is_kept_for_a_week(folder: Folder) -> None:
    upload_id = begun(folder.archive, (1,)).upload_id
    begun(folder.archive, (1,), shape=Shape(PART, None))
    folder.anew().clean_partials()
    assert len(folder.unfinished()) == 2, "the file and its journal"
    assert folder.anew().resume(KEY, LABEL, SHAPE, upload_id)
    week_ago = time.time() - 7 * 24 * 3600 - 60
    os.utime(folder.journal(), (week_ago, week_ago))
    folder.anew().clean_partials()
    assert folder.unfinished() == []


@pytest.mark.parametrize("content", [SMALL + b"more", SMALL[:-1], b""], ids=["longer", "shorter", "empty"])
def test_a_file_whose_length_has_changed_is_not_found(folder: Folder, content: bytes) -> None:
    put(folder.archive)
    (folder.root / KEY).write_bytes(content)
    assert folder.archive.find(KEY) is None


def test_a_file_that_was_removed_is_not_found(folder: Folder) -> None:
    put(folder.archive)
    (folder.root / KEY).unlink()
    assert folder.archive.find(KEY) is None


@pytest.mark.parametrize("record", ["", "{", "[]", "null", "{}", '{"length": 70000, "sha256": "00", "label": null}'])
def test_a_file_without_a_readable_record_is_not_found(folder: Folder, record: str) -> None:
    put(folder.archive)
    folder.record(KEY).write_text(record)
    assert folder.archive.find(KEY) is None


KILLED = """
import hashlib, os, signal, sys
from pathlib import Path
from core.archive.base import Label, Shape
from core.archive.folder import FolderArchive

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

archive = FolderArchive(Path(sys.argv[1]))
label = Label("gopro", "xyz", 1, "source", None, "run-1")
if sys.argv[2] == "document":
    os.fsync = die
    archive.put_document("catalog/gopro/xyz.json", b"{}")
upload = archive.start("gopro-videos/2026/03/xyz/GX010001.MP4", label, Shape(4, None))
upload.write_part(1, memoryview(b"half"), hashlib.sha256(b"half").digest())
if sys.argv[2] == "record":
    sync, synced = os.fsync, []
    os.fsync = lambda file: die() if synced else synced.append(sync(file))
    upload.complete(4, hashlib.sha256(b"half").hexdigest())
die()
"""


@pytest.mark.parametrize("moment", ["part", "record", "document"])
def test_what_a_killed_process_left_is_not_found_and_is_cleaned_away(folder: Folder, moment: str) -> None:
    stored = put(folder.archive)
    folder.archive.put_document(DOCUMENT, b"{}\n")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(folder.root), moment], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert folder.unfinished() != []
    assert folder.archive.find("gopro-videos/2026/03/xyz/GX010001.MP4") is None
    FolderArchive(folder.root).clean_partials()
    assert folder.unfinished() == []
    assert folder.archive.find(KEY) == stored
    assert lines(folder.archive) == [b"{}"]


def test_cleaning_a_folder_in_which_nothing_was_ever_written_is_no_fault(folder: Folder) -> None:
    folder.archive.clean_partials()
    assert folder.unfinished() == []


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full when it comes to it."""

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_told_as_such_and_leaves_nothing(folder: Folder) -> None:
    with pytest.raises(CloudSyncError, match=f"disk is full; {KEY} was not stored") as caught:
        put(folder.archive)
    assert not isinstance(caught.value, TransientError)
    assert folder.content(KEY) is None
    assert folder.archive.find(KEY) is None
    assert folder.unfinished() == []


def test_a_full_disk_leaves_the_document_that_was_there(folder: Folder, request: pytest.FixtureRequest) -> None:
    folder.archive.put_document(DOCUMENT, b"first\n")
    request.getfixturevalue("full_disk")
    with pytest.raises(CloudSyncError, match="disk is full"):
        folder.archive.put_document(DOCUMENT, b"second\n")
    assert lines(folder.archive) == [b"first"]
    assert folder.unfinished() == []


@contextmanager
def somebody_without_privileges() -> Iterator[None]:
    """Root writes anywhere, so that another user has to try."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    """A folder that nobody may write into, in a place that everybody can reach."""
    with tempfile.TemporaryDirectory() as path:
        root = Path(path)
        root.chmod(stat.S_IRUSR | stat.S_IXUSR | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)
        yield root
        root.chmod(stat.S_IRWXU)


def test_a_folder_that_cannot_be_written_is_told_as_such(read_only_folder: Path) -> None:
    archive = FolderArchive(read_only_folder)
    with somebody_without_privileges():
        for attempt in (lambda: put(archive), lambda: archive.put_document(KEY, b"{}")):
            with pytest.raises(CloudSyncError, match=f"cannot be written; {KEY} was not stored") as caught:
                attempt()
            assert not isinstance(caught.value, TransientError)
    assert list(read_only_folder.iterdir()) == []
