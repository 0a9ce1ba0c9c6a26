"""The archive as an S3 bucket. Each part goes with its SHA-256, which S3 refuses if it differs and keeps if not."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import BotoCoreError, ClientError

from core.archive.base import Label
from core.errors import CloudSyncError, IntegrityError, InvalidInput, TransientError
from core.model import Stored

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

MIB = 1024 * 1024

#: Smallest part: also the largest object that is put at once, and what a transfer holds in memory (bytes).
PART_SIZE = 32 * MIB

#: Part size where the length is not known: enough for 640 GB in 10,000 parts.
PART_SIZE_UNKNOWN = 64 * MIB

#: Most parts of an upload (Amazon S3 user guide, multipart upload limits).
MOST_PARTS = 10_000

_DIGEST_TAG = "SHA256"
_BAD_BYTES = frozenset({"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "IncompleteBody"})
_PASSING = frozenset({"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "ThrottlingException"})
_CONTENT_TYPES = {".json": "application/json", ".jsonl": "application/x-ndjson", ".html": "text/html; charset=utf-8"}


class S3Archive:
    """Originals and documents in `bucket`. `storage_class` is for originals; documents are always in S3 Standard."""

    def __init__(
        self, client: S3Client, bucket: str, *, storage_class: str | None = None, part_size: int = PART_SIZE
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._storage_class = storage_class
        self._part_size = part_size

    def part_size(self, length: int | None) -> int:
        """Bytes of a part: the smallest by which an object of `length` bytes stays within 10,000 parts."""
        if length is None:
            return max(PART_SIZE_UNKNOWN, self._part_size)
        needed = -(-length // MOST_PARTS)
        return max(self._part_size, -(-needed // MIB) * MIB)

    def find(self, key: str) -> Stored | None:
        """What S3 holds at `key` with a checksum."""
        with _asking_s3(key):
            try:
                stored, tagged = self._head(key)
            except ClientError as error:
                if _code(error) in ("404", "NoSuchKey", "NotFound"):
                    return None
                raise
        if not stored.store_checksum:
            return None
        if stored.sha256 is None and tagged:
            return self._with_digest_of_tag(stored)
        return stored

    def put(self, key: str, body: memoryview, label: Label, sha256: str) -> Stored:
        """Store a whole original in one request."""
        checksum = b64encode(bytes.fromhex(sha256)).decode()
        with _asking_s3(key):
            self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=_readable(body),
                ChecksumSHA256=checksum,
                Metadata={**label.metadata(), "sha256": sha256},
                Tagging=urlencode(label.tags),
                **self._class(),
            )
            return self._confirmed(key, len(body), checksum, sha256)

    def start(self, key: str, label: Label) -> S3Upload:
        """Begin an original that comes in parts."""
        with _asking_s3(key):
            begun = self._client.create_multipart_upload(
                Bucket=self._bucket,
                Key=key,
                ChecksumAlgorithm="SHA256",
                Metadata=label.metadata(),
                Tagging=urlencode(label.tags),
                **self._class(),
            )
        return S3Upload(self, self._client, self._bucket, key, begun["UploadId"], label)

    def put_document(self, key: str, source: bytes | Path) -> None:
        """Store a document, in parts if it is a large file."""
        kind = _CONTENT_TYPES.get(Path(key).suffix, "application/octet-stream")
        with _asking_s3(key):
            if isinstance(source, bytes):
                self._client.put_object(
                    Bucket=self._bucket, Key=key, Body=source, ContentType=kind, ChecksumAlgorithm="SHA256"
                )
            else:
                extra = {"ContentType": kind, "ChecksumAlgorithm": "SHA256"}
                self._client.upload_file(str(source), self._bucket, key, ExtraArgs=extra)

    def read_document(self, key: str) -> Iterator[bytes]:
        """The lines of a document, read as they are asked for."""
        with _asking_s3(key):
            try:
                body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"]
            except ClientError as error:
                if _code(error) == "NoSuchKey":
                    raise InvalidInput(f"There is no {key} in the archive.") from None
                raise
        with body, _asking_s3(key):
            yield from body.iter_lines(chunk_size=MIB)

    def location(self, key: str) -> str:
        """The `s3://` address of `key`."""
        return f"s3://{self._bucket}/{key}"

    def _class(self) -> dict[str, Any]:
        return {"StorageClass": self._storage_class} if self._storage_class else {}

    def _head(self, key: str) -> tuple[Stored, bool]:
        """What HeadObject tells of an object, and whether it has tags."""
        head = self._client.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
        metadata = head["Metadata"]
        checksum = head.get("ChecksumSHA256", "")
        stored = Stored(
            key=key,
            length=head["ContentLength"],
            sha256=metadata.get("sha256"),
            store_checksum=f"SHA256:{checksum}" if checksum else "",
            version_id=head.get("VersionId"),
            run_id=metadata.get("run-id"),
        )
        return stored, head.get("TagCount", 1) > 0

    def _with_digest_of_tag(self, stored: Stored) -> Stored:
        with _asking_s3(stored.key):
            tags = self._client.get_object_tagging(Bucket=self._bucket, Key=stored.key)["TagSet"]
        digest = next((tag["Value"] for tag in tags if tag["Key"] == _DIGEST_TAG), None)
        return Stored(stored.key, stored.length, digest, stored.store_checksum, stored.version_id, stored.run_id)

    def _confirmed(self, key: str, length: int, checksum: str, digest: str) -> Stored:
        """What S3 itself now says of the object; `IntegrityError` unless it is this length and this checksum."""
        found, _ = self._head(key)
        if found.length != length or found.store_checksum != f"SHA256:{checksum}":
            raise IntegrityError(
                f"S3 does not confirm {key}: it holds {found.length:,} bytes or another checksum. It is tried again."
            )
        return Stored(key, length, digest, found.store_checksum, found.version_id, found.run_id)


class S3Upload:
    """A multipart upload."""

    def __init__(
        self, archive: S3Archive, client: S3Client, bucket: str, key: str, upload_id: str, label: Label
    ) -> None:
        self._archive = archive
        self._client = client
        self._bucket = bucket
        self._key = key
        self._upload_id = upload_id
        self._label = label
        self._parts: dict[int, tuple[str, bytes]] = {}
        self._lengths: dict[int, int] = {}

    def write_part(self, number: int, part: memoryview) -> None:
        """Send a part with its checksum, which S3 refuses if it differs."""
        digest = sha256(part).digest()
        with _asking_s3(self._key):
            answer = self._client.upload_part(
                Bucket=self._bucket,
                Key=self._key,
                UploadId=self._upload_id,
                PartNumber=number,
                Body=_readable(part),
                ChecksumSHA256=b64encode(digest).decode(),
            )
        self._parts[number] = (answer["ETag"], digest)
        self._lengths[number] = len(part)

    def complete(self, length: int, sha256: str) -> Stored:
        """Make the object, have S3 confirm it, and tag it with the SHA-256 of the whole, known only now."""
        numbers = sorted(self._parts)
        if sum(self._lengths.values()) != length or numbers != list(range(1, len(numbers) + 1)):
            raise IntegrityError(f"The parts of {self._key} do not add up to {length:,} bytes. It is tried again.")
        parts: list[CompletedPartTypeDef] = [
            {
                "PartNumber": number,
                "ETag": self._parts[number][0],
                "ChecksumSHA256": b64encode(self._parts[number][1]).decode(),
            }
            for number in numbers
        ]
        with _asking_s3(self._key):
            self._client.complete_multipart_upload(
                Bucket=self._bucket, Key=self._key, UploadId=self._upload_id, MultipartUpload={"Parts": parts}
            )
            stored = self._archive._confirmed(self._key, length, self._composite(numbers), sha256)
            tags = {**self._label.tags, _DIGEST_TAG: sha256}
            self._client.put_object_tagging(
                Bucket=self._bucket,
                Key=self._key,
                Tagging={"TagSet": [{"Key": name, "Value": value} for name, value in tags.items()]},
            )
        return stored

    def _composite(self, numbers: list[int]) -> str:
        """S3's checksum of a multipart object: the digest of the parts' digests, and how many they are."""
        whole = sha256(b"".join(self._parts[number][1] for number in numbers)).digest()
        return f"{b64encode(whole).decode()}-{len(numbers)}"

    def abort(self) -> None:
        """Throw away the parts, which are billed and invisible; the bucket's lifecycle does it if this fails."""
        with suppress(ClientError, BotoCoreError):
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=self._key, UploadId=self._upload_id)


def _readable(view: memoryview) -> io.BufferedReader:
    """A buffer as the file that botocore wants, without a second copy of it."""
    return io.BufferedReader(_View(view), MIB)


class _View(io.RawIOBase):
    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: len(self._view)}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        piece = self._view[self._position : self._position + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)


@contextmanager
def _asking_s3(key: str) -> Iterator[None]:
    try:
        yield
    except S3UploadFailedError as error:
        if isinstance(cause := error.__context__, ClientError):
            raise _told_by_s3(cause, key) from None
        raise
    except (ClientError, BotoCoreError) as error:
        raise _told_by_s3(error, key) from error


def _told_by_s3(error: ClientError | BotoCoreError, key: str) -> CloudSyncError:
    """What S3's error means here: damaged on the way, may pass, or something the owner has to mend."""
    if not isinstance(error, ClientError):
        return TransientError(f"S3 could not be reached for {key} ({type(error).__name__}). It is tried again.")
    code = _code(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _BAD_BYTES:
        return IntegrityError(
            f"S3 refuses what arrived for {key} ({code}): it was damaged on its way. It is tried again."
        )
    if code in _PASSING or status >= 500 or status == 429:
        return TransientError(f"S3 is overloaded or out of order for {key} ({code}). It is tried again.")
    operation = error.operation_name
    return CloudSyncError(
        f"S3 refuses {operation} for {key} ({code}). Look at the bucket, its key and the role's policy."
    )


def _code(error: ClientError) -> str:
    return str(error.response["Error"].get("Code", ""))
