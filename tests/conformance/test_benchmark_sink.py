"""The S3 that the benchmark measures against answers as the emulated one does, and counts what it is given."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError

from core.archive.base import Label, Shape
from core.archive.s3 import S3Archive
from core.errors import TransientError
from tests.emulator import REGION, ROOT, Emulator

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PART = 5 * 1024 * 1024
CONTENT = memoryview(Random(5).randbytes(2 * PART + 999))
PHOTO = CONTENT[:30_000]
LABEL = Label("gopro", "abc", 1, "source", None, "run-1", {"Source": "GoPro"})
KEY = "a folder/ü.mp4"


@pytest.fixture(scope="module")
def sink() -> Iterator[str]:
    """The address of a running sink."""
    command = [sys.executable, "-m", "benchmarks.sink", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}"
        process.terminate()


def client_of(sink: str) -> S3Client:
    session = boto3.Session("test", "test", region_name=REGION)
    return session.client("s3", endpoint_url=sink)


@pytest.fixture(params=["sink", "emulator"])
def store(request: pytest.FixtureRequest, emulator: Emulator) -> tuple[S3Client, str]:
    """A client and a bucket that is empty."""
    client = emulator.client("s3") if request.param == "emulator" else client_of(request.getfixturevalue("sink"))
    bucket = f"bench-{uuid4().hex[:8]}"
    client.create_bucket(Bucket=bucket)
    return client, bucket


def whole(part: memoryview) -> tuple[memoryview, bytes]:
    return part, hashlib.sha256(part).digest()


def test_an_object_in_parts_has_its_length_its_checksum_and_its_label(store: tuple[S3Client, str]) -> None:
    archive = S3Archive(*store, part_size=PART)
    upload = archive.start(KEY, LABEL, Shape(PART, len(CONTENT)))
    for number, start in ((3, 2 * PART), (1, 0)):
        upload.write_part(number, *whole(CONTENT[start : start + PART]))
    resumed = archive.resume(KEY, LABEL, Shape(PART, len(CONTENT)), upload.upload_id)
    assert resumed
    assert resumed.parts() == {1: PART, 3: 999}
    resumed.write_part(2, *whole(CONTENT[PART : 2 * PART]))
    stored = resumed.complete(len(CONTENT))
    assert stored == archive.find(KEY)
    assert (stored.length, stored.run_id, stored.part_size) == (len(CONTENT), "run-1", PART)
    assert stored.store_checksum.endswith("-3")


def test_a_photo_is_stored_at_once_and_never_over_another(store: tuple[S3Client, str]) -> None:
    archive = S3Archive(*store, part_size=PART)
    digest = hashlib.sha256(PHOTO).hexdigest()
    assert archive.find(KEY) is None
    stored = archive.put(KEY, memoryview(bytearray(PHOTO)), LABEL, digest)
    assert archive.find(KEY) == stored
    other = bytearray(10)
    with pytest.raises(TransientError, match="Another worker"):
        archive.put(KEY, memoryview(other), LABEL, hashlib.sha256(other).hexdigest())


def refusal(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return str(refused.value.response["Error"]["Code"])


def begun(client: Any, bucket: str) -> dict[str, str]:
    at = {"Bucket": bucket, "Key": "k"}
    return at | {"UploadId": client.create_multipart_upload(**at)["UploadId"]}


def test_a_part_that_is_missing_is_refused(store: tuple[S3Client, str]) -> None:
    client: Any = store[0]
    upload = begun(*store)
    parts = [{"PartNumber": 7, "ETag": '"x"'}]
    assert refusal(client.complete_multipart_upload, MultipartUpload={"Parts": parts}, **upload) == "InvalidPart"
    upload["UploadId"] = "unknown"
    assert refusal(client.upload_part, PartNumber=1, Body=b"", **upload) == "NoSuchUpload"


def test_the_sink_refuses_parts_that_s3_would_find_too_small(sink: str) -> None:
    client: Any = client_of(sink)
    upload = begun(client, "small")
    tags = [client.upload_part(PartNumber=number, Body=b"short", **upload)["ETag"] for number in (1, 2)]
    parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
    assert refusal(client.complete_multipart_upload, MultipartUpload={"Parts": parts}, **upload) == "EntityTooSmall"


def test_the_sink_counts_what_it_was_given_since_it_was_asked_to_forget(sink: str) -> None:
    archive = S3Archive(client_of(sink), "counted", part_size=PART)
    with urllib.request.urlopen(f"{sink}/_bench/reset", timeout=10):
        archive.put(KEY, memoryview(bytearray(PHOTO)), LABEL, hashlib.sha256(PHOTO).hexdigest())
        archive.start("other", LABEL, Shape(PART, None)).write_part(1, *whole(PHOTO))
    with urllib.request.urlopen(f"{sink}/_bench/report", timeout=10) as answer:
        report = json.load(answer)
    told = {name: report[name] for name in ("objects", "stored", "open_uploads", "received")}
    assert told == {"objects": 1, "stored": len(PHOTO), "open_uploads": 1, "received": 2 * len(PHOTO)}
