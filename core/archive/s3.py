"""The archive as an S3 bucket. Each part goes with its SHA-256, which S3 refuses if it differs and keeps if not."""

from __future__ import annotations

import io
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import BotoCoreError, ClientError

from core.archive.base import Label, PartLimits, Shape
from core.errors import CloudSyncError, IntegrityError, InvalidInput, TransientError
from core.model import Stored

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, TagTypeDef

MIB = 1024 * 1024

#: Smallest part in use, also the largest object that is put at once; S3 would take 5 MiB.
PART_SIZE = 8 * MIB

#: Largest part and most parts of an upload (Amazon S3 user guide, multipart upload limits).
LARGEST_PART = 5 * 1024 * MIB
MOST_PARTS = 10_000

_BAD_BYTES = frozenset({"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "IncompleteBody"})
_PASSING = frozenset({"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "ThrottlingException"})
_CONTENT_TYPES = {
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
}


class S3Archive:
    """Originals and documents in `bucket`. `storage_class` is for originals; documents are always in S3 Standard."""

    def __init__(
        self, client: S3Client, bucket: str, *, storage_class: str | None = None, part_size: int = PART_SIZE
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._storage_class = storage_class
        self.limits = PartLimits(part_size, LARGEST_PART, MOST_PARTS)

    def find(self, key: str) -> Stored | None:
        """What S3 holds at `key` with a checksum, which is that of the bytes that were sent where that is known."""
        with _asking_s3(key):
            try:
                stored = self._head(key)
            except ClientError as error:
                if _code(error) in ("404", "NoSuchKey", "NotFound"):
                    return None
                raise
        return stored if _is_confirmed(stored) else None

    def adopt(self, known: Stored, label: Label) -> Stored | None:
        """Nothing: what S3 knows of an object is never apart from it."""
        return None

    def put(self, key: str, body: memoryview, label: Label, sha256: str, *, replaces: bool = False) -> Stored:
        """Store a whole original in one request; S3's answer holds the checksum that it has found itself."""
        checksum = b64encode(bytes.fromhex(sha256)).decode()
        with _asking_s3(key):
            try:
                answer = self._client.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=_sendable(body),
                    ChecksumSHA256=checksum,
                    Metadata={**label.metadata(), "sha256": sha256},
                    Tagging=urlencode(label.tags),
                    **self._class(),
                    **_condition(replaces),
                )
            except ClientError as error:
                if theirs := self._theirs(error, key, len(body), f"SHA256:{checksum}"):
                    return theirs
                return self.put(key, body, label, sha256, replaces=True)
        if answer.get("ChecksumSHA256") != checksum:
            return self._confirmed(key, len(body), checksum)
        return Stored(
            key=key,
            length=len(body),
            sha256=sha256,
            store_checksum=f"SHA256:{checksum}",
            version_id=answer.get("VersionId"),
            run_id=label.run_id,
            source_version=label.source_version,
            damage=label.damage,
        )

    def start(self, key: str, label: Label, shape: Shape, *, replaces: bool = False) -> S3Upload:
        """Begin an original that comes in parts."""
        with _asking_s3(key):
            begun = self._client.create_multipart_upload(
                Bucket=self._bucket,
                Key=key,
                ChecksumAlgorithm="SHA256",
                Metadata={**label.metadata(), "part-size": str(shape.part_size)},
                Tagging=urlencode(label.tags),
                **self._class(),
            )
        return S3Upload(self, self._client, self._bucket, key, begun["UploadId"], label, replaces)

    def resume(
        self, key: str, label: Label, shape: Shape, upload_id: str, *, replaces: bool = False
    ) -> S3Upload | None:
        """Go on with a multipart upload of which S3 holds some parts; it has its label and shape already."""
        upload = S3Upload(self, self._client, self._bucket, key, upload_id, label, replaces)
        return upload if upload.list_parts() else None

    def discard(self, key: str, upload_id: str) -> None:
        """End a multipart upload; its parts are billed and invisible."""
        with _asking_s3(key):
            try:
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)
            except ClientError as error:
                if _code(error) != "NoSuchUpload":
                    raise

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
            yield from body.iter_lines(chunk_size=MIB, keepends=True)

    def document_keys(self, prefix: str) -> Iterator[str]:
        """The keys of the documents under `prefix`, a thousand a call."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        with _asking_s3(prefix):
            for page in pages:
                yield from (one["Key"] for one in page.get("Contents", []))

    def location(self, key: str) -> str:
        """The `s3://` address of `key`."""
        return f"s3://{self._bucket}/{key}"

    def _class(self) -> dict[str, Any]:
        return {"StorageClass": self._storage_class} if self._storage_class else {}

    def _head(self, key: str) -> Stored:
        head = self._client.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
        metadata = head["Metadata"]
        checksum = head.get("ChecksumSHA256", "")
        part_size = metadata.get("part-size", "")
        return Stored(
            key=key,
            length=head["ContentLength"],
            sha256=metadata.get("sha256"),
            store_checksum=f"SHA256:{checksum}" if checksum else "",
            version_id=head.get("VersionId"),
            run_id=metadata.get("run-id"),
            part_size=int(part_size) if part_size.isdecimal() else None,
            source_version=metadata.get("source-version", ""),
            damage=metadata.get("damage", ""),
        )

    def _confirmed(self, key: str, length: int, checksum: str) -> Stored:
        """What S3 itself now says of the object; `IntegrityError` unless it is this length and this checksum."""
        with _asking_s3(key):
            found = self._head(key)
        if found.length != length or found.store_checksum != f"SHA256:{checksum}":
            raise IntegrityError(
                f"S3 does not confirm {key}: it holds {found.length:,} bytes or another checksum. It is tried again."
            )
        return found

    def _theirs(self, error: ClientError, key: str, length: int, checksum: str) -> Stored | None:
        """What another worker has stored at `key` in the meantime, if it is the same; else the error.

        None if what is there is not confirmed by S3, so that it may be replaced; its version stays.
        """
        if _code(error) not in ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchUpload"):
            raise error
        found = self.find(key)
        if found is None and _code(error) == "PreconditionFailed":
            return None
        if found and (found.length, found.store_checksum) == (length, checksum):
            return found
        raise TransientError(f"Another worker has stored something at {key}. It is looked at again.") from None


@dataclass(frozen=True, slots=True)
class _Part:
    etag: str
    digest: bytes
    length: int


class S3Upload:
    """A multipart upload."""

    def __init__(
        self,
        archive: S3Archive,
        client: S3Client,
        bucket: str,
        key: str,
        upload_id: str,
        label: Label,
        replaces: bool,
    ) -> None:
        self._archive = archive
        self._client = client
        self._bucket = bucket
        self._key = key
        self.upload_id = upload_id
        self._tags = label.tags
        self._replaces = replaces
        self._parts: dict[int, _Part] = {}

    def list_parts(self) -> bool:
        """Learn which parts S3 holds; False if it no longer knows of the upload."""
        pages = self._client.get_paginator("list_parts")
        with _asking_s3(self._key):
            try:
                for page in pages.paginate(Bucket=self._bucket, Key=self._key, UploadId=self.upload_id):
                    for told in page.get("Parts", []):
                        if checksum := told.get("ChecksumSHA256"):
                            part = _Part(told["ETag"], b64decode(checksum), told["Size"])
                            self._parts[told["PartNumber"]] = part
            except ClientError as error:
                if _code(error) == "NoSuchUpload":
                    return False
                raise
        return True

    def parts(self) -> Mapping[int, int]:
        """The lengths of the parts that S3 holds with a checksum."""
        return {number: part.length for number, part in self._parts.copy().items()}

    def write_part(self, number: int, part: memoryview, digest: bytes) -> None:
        """Send a part with its checksum, which S3 refuses if it differs."""
        with _asking_s3(self._key):
            answer = self._client.upload_part(
                Bucket=self._bucket,
                Key=self._key,
                UploadId=self.upload_id,
                PartNumber=number,
                Body=_sendable(part),
                ChecksumSHA256=b64encode(digest).decode(),
            )
        self._parts[number] = _Part(answer["ETag"], digest, len(part))

    def complete(self, length: int, sha256: str | None = None) -> Stored:
        """Make the object and have S3 confirm its length and the checksum over those of its parts."""
        numbers = sorted(self._parts)
        if sum(self.parts().values()) != length or numbers != list(range(1, len(numbers) + 1)):
            raise IntegrityError(f"The parts of {self._key} do not add up to {length:,} bytes. It is tried again.")
        parts: list[CompletedPartTypeDef] = [
            {
                "PartNumber": number,
                "ETag": self._parts[number].etag,
                "ChecksumSHA256": b64encode(self._parts[number].digest).decode(),
            }
            for number in numbers
        ]
        checksum = self._composite(numbers)
        with _asking_s3(self._key):
            try:
                self._make(parts, replaces=self._replaces)
            except ClientError as error:
                if stored := self._archive._theirs(error, self._key, length, f"SHA256:{checksum}"):
                    self.abort()
                    return stored
                self._make(parts, replaces=True)
            # Not every store keeps the tags that an upload was begun with.
            tags: list[TagTypeDef] = [{"Key": name, "Value": value} for name, value in self._tags.items()]
            self._client.put_object_tagging(Bucket=self._bucket, Key=self._key, Tagging={"TagSet": tags})
        return self._archive._confirmed(self._key, length, checksum)

    def _make(self, parts: Sequence[CompletedPartTypeDef], *, replaces: bool) -> None:
        self._client.complete_multipart_upload(
            Bucket=self._bucket,
            Key=self._key,
            UploadId=self.upload_id,
            MultipartUpload={"Parts": parts},
            **_condition(replaces),
        )

    def _composite(self, numbers: list[int]) -> str:
        """S3's checksum of a multipart object: the digest of the parts' digests, and how many they are."""
        whole = sha256(b"".join(self._parts[number].digest for number in numbers)).digest()
        return f"{b64encode(whole).decode()}-{len(numbers)}"

    def abort(self) -> None:
        """Throw the parts away; the bucket's lifecycle does it if this fails."""
        with suppress(CloudSyncError, ClientError, BotoCoreError):
            self._archive.discard(self._key, self.upload_id)


def _is_confirmed(stored: Stored) -> bool:
    """Whether S3 tells a checksum, and it is that of the bytes that were sent, where one over all of them is known."""
    checksum = stored.store_checksum.removeprefix("SHA256:")
    if not checksum or "-" in checksum or not stored.sha256:
        return bool(checksum)
    return b64decode(checksum).hex() == stored.sha256


def _condition(replaces: bool) -> dict[str, Any]:
    """That nothing is at the key unless it is to be replaced: of two workers at once, one stores the object."""
    return {} if replaces else {"IfNoneMatch": "*"}


def _sendable(view: memoryview) -> Any:  # botocore takes a bytearray, its stubs do not
    """A buffer as botocore takes it, without a copy: whole as it is, a piece of it as a file."""
    whole = view.obj
    if isinstance(whole, bytearray) and len(whole) == len(view):
        return whole
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
    if code == "NoSuchUpload":
        return TransientError(f"The upload of {key} has been ended elsewhere. It is looked at again.")
    operation = error.operation_name
    return CloudSyncError(
        f"S3 refuses {operation} for {key} ({code}). Look at the bucket, its key and the role's policy."
    )


def _code(error: ClientError) -> str:
    return str(error.response["Error"].get("Code", ""))
