"""What the bucket holds, page by page, and what S3 says of single objects; nothing is restored and no original is read.

In a bucket with versions, as the template makes it, a version never changes: an object whose current version is the one
that S3 confirmed when it was archived still has that checksum, and a listing proves it, a thousand objects a call.
Only where the version is another, or there are none, S3 is asked for the object's checksum (HeadObject).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from core.archive.base import Archive, Listed, OpenUpload, Verdict
from core.errors import CloudSyncError, TransientError
from core.model import Stored

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class S3Inventory:
    """What `bucket` holds; `archive` is the same bucket, as that which says what is confirmed."""

    def __init__(self, client: S3Client, bucket: str, archive: Archive) -> None:
        self._client = client
        self._bucket = bucket
        self._archive = archive

    def objects(self, prefix: str) -> Iterator[Listed]:
        """Every object whose key begins with `prefix`."""
        pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=prefix)
        try:
            for page in pages:
                for one in page.get("Versions", []):
                    if one["IsLatest"]:
                        version = one.get("VersionId", "")
                        yield Listed(one["Key"], one["Size"], "" if version == "null" else version)
        except (ClientError, BotoCoreError) as error:
            raise _told_by_s3(error, "list") from error

    def judge(self, known: Stored, listed: Listed, *, checksums: bool) -> tuple[Verdict, str]:
        """Whether `listed` is what the catalog knows."""
        same_version = bool(listed.version_id) and listed.version_id == known.version_id
        if same_version and listed.length == known.length and not checksums:
            return Verdict.SOUND, ""
        found = self._archive.find(known.key)
        if found is None:
            return Verdict.DAMAGED, "S3 has no SHA-256 of it: it is not the object that was archived"
        if (found.length, found.store_checksum) == (known.length, known.store_checksum):
            return Verdict.SOUND, ""
        if same_version and found.version_id == known.version_id:
            return Verdict.MISTOLD, "the catalog tells another length or checksum than S3 of the same version"
        if found.length != known.length:
            return Verdict.DAMAGED, f"it has {found.length:,} bytes in place of {known.length:,}"
        return Verdict.DAMAGED, "its checksum is not the one that was confirmed"

    def label(self, key: str) -> Mapping[str, str]:
        """The object's metadata."""
        try:
            return dict(self._client.head_object(Bucket=self._bucket, Key=key)["Metadata"])
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
                return {}
            raise _told_by_s3(error, "look at") from error
        except BotoCoreError as error:
            raise _told_by_s3(error, "look at") from error

    def distrust(self, key: str) -> None:
        """Nothing to do: S3 tells the checksum of what it holds, so that a transfer sees the difference itself."""

    def open_uploads(self, prefix: str) -> Iterator[OpenUpload]:
        """The multipart uploads that are open."""
        pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket, Prefix=prefix)
        try:
            for page in pages:
                for one in page.get("Uploads", []):
                    yield OpenUpload(one["Key"], one["UploadId"], one["Initiated"])
        except (ClientError, BotoCoreError) as error:
            raise _told_by_s3(error, "list the uploads of") from error


def _told_by_s3(error: ClientError | BotoCoreError, what: str) -> CloudSyncError:
    if not isinstance(error, ClientError):
        return TransientError(f"S3 could not be reached to {what} the bucket ({type(error).__name__}). Try it again.")
    code = error.response["Error"].get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status >= 500 or status == 429:
        return TransientError(f"S3 is overloaded or out of order ({code}). Try it again.")
    return CloudSyncError(
        f"S3 refuses to {what} the bucket ({code}). Look at its name and at what the caller is allowed."
    )
