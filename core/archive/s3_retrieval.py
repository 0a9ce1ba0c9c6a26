"""Originals out of a bucket.

How thousands of them are held is learned from listings, a thousand objects a call. Only of those that a listing shows
in an archive class without a word on a restore S3 is asked one by one, before anything is paid for.
"""

from __future__ import annotations

import io
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from core.archive.retrieval import Document, Held, Reader, State
from core.archive.s3 import _asking_s3
from core.errors import CloudSyncError, TransientError
from core.model import Stored

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectVersionTypeDef

#: Threads that ask S3 at once.
WORKERS = 16

#: Classes whose objects cannot be read before they are restored (Amazon S3 user guide, archived objects).
_ARCHIVE_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})

_RESTORE = re.compile(r'ongoing-request="(true|false)"(?:,\s*expiry-date="([^"]*)")?')


@dataclass(frozen=True, slots=True)
class _Version:
    version_id: str
    length: int
    is_latest: bool
    storage_class: str
    is_ongoing: bool | None
    expires_at: datetime | None


class S3Retrieval:
    """What `bucket` holds."""

    def __init__(self, client: S3Client, bucket: str, *, workers: int = WORKERS) -> None:
        self._client = client
        self._bucket = bucket
        self._workers = workers

    def documents(self, prefix: str) -> Iterator[Document]:
        """The objects under `prefix`."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        with _asking_s3(prefix):
            for page in pages:
                for one in page.get("Contents", []):
                    yield Document(one["Key"], one["ETag"].strip('"'), one["LastModified"].astimezone(UTC))

    def look(self, originals: Sequence[Stored]) -> list[Held]:
        """How each is held: the version that the catalog names, wherever it is still there, else the current one."""
        months = sorted({_month(one.key) for one in originals})
        with ThreadPoolExecutor(self._workers, thread_name_prefix="look") as pool:
            listed: dict[str, list[_Version]] = {}
            for found in pool.map(self._versions, months):
                listed |= found
            held = [_held(one, listed.get(one.key, [])) for one in originals]
            return list(pool.map(self._certain, held))

    def request(self, held: Held, tier: str, days: int) -> None:
        """Ask S3 for a readable copy."""
        key = held.stored.key
        with _asking_s3(key):
            try:
                self._client.restore_object(
                    Bucket=self._bucket,
                    Key=key,
                    RestoreRequest={"Days": days, "GlacierJobParameters": {"Tier": tier}},  # type: ignore[typeddict-item]
                    **_version(held),
                )
            except ClientError as error:
                code = error.response["Error"].get("Code")
                if code in ("RestoreAlreadyInProgress", "ObjectAlreadyInActiveTierError"):
                    return
                if code == "GlacierExpeditedRetrievalNotAvailable":
                    raise CloudSyncError(f"S3 has no Expedited capacity for {key} now. Take Standard.") from None
                raise

    @contextmanager
    def open(self, held: Held, start: int) -> Iterator[Reader]:
        """The object's bytes."""
        key = held.stored.key
        span: dict[str, Any] = {"Range": f"bytes={start}-"} if start else {}
        with _asking_s3(key):
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=key, **_version(held), **span)
            except ClientError as error:
                code = error.response["Error"].get("Code")
                if code == "InvalidObjectState":
                    raise CloudSyncError(f"The readable copy of {key} has expired. Restore it again.") from None
                if code != "InvalidRange":
                    raise
                yield io.BytesIO()
                return
            with answer["Body"] as body:
                yield body

    def _versions(self, prefix: str) -> dict[str, list[_Version]]:
        pages = self._client.get_paginator("list_object_versions").paginate(
            Bucket=self._bucket, Prefix=prefix, OptionalObjectAttributes=["RestoreStatus"]
        )
        found: defaultdict[str, list[_Version]] = defaultdict(list)
        with _asking_s3(prefix):
            for page in pages:
                for one in page.get("Versions", []):
                    found[one["Key"]].append(_listed(one))
        return found

    def _certain(self, held: Held) -> Held:
        """The same, asked of S3 itself if the listing had no word on a restore."""
        if held.state is not State.ARCHIVED:
            return held
        try:
            with _asking_s3(held.stored.key):
                head = self._client.head_object(Bucket=self._bucket, Key=held.stored.key, **_version(held))
        except TransientError:
            raise
        except CloudSyncError as error:
            return replace(held, trouble=str(error))
        told = _RESTORE.fullmatch(head.get("Restore", ""))
        if not told:
            return held
        expires_at = parsedate_to_datetime(told[2]) if told[2] else None
        return replace(held, state=_state(told[1] == "true"), expires_at=expires_at)


def _month(key: str) -> str:
    """What the keys of a month begin with: `{provider}-videos/{YYYY}/{MM}/`."""
    return "".join(f"{segment}/" for segment in key.split("/")[:3])


def _listed(told: ObjectVersionTypeDef) -> _Version:
    status: Mapping[str, Any] = told.get("RestoreStatus", {})
    return _Version(
        version_id=told.get("VersionId", ""),
        length=told["Size"],
        is_latest=told["IsLatest"],
        storage_class=told.get("StorageClass", "STANDARD"),
        is_ongoing=status.get("IsRestoreInProgress"),
        expires_at=status.get("RestoreExpiryDate"),
    )


def _held(stored: Stored, versions: Sequence[_Version]) -> Held:
    known = [one for one in versions if stored.version_id and one.version_id == stored.version_id]
    for one in known or [one for one in versions if one.is_latest]:
        state = State.READY
        if one.storage_class in _ARCHIVE_CLASSES:
            state = State.ARCHIVED if one.is_ongoing is None else _state(one.is_ongoing)
        version_id = "" if one.is_latest else one.version_id
        return Held(stored, state, one.storage_class, version_id, one.expires_at, length=one.length)
    return Held(stored, State.MISSING)


def _state(is_ongoing: bool) -> State:
    return State.REQUESTED if is_ongoing else State.READY


def _version(held: Held) -> dict[str, Any]:
    return {"VersionId": held.version_id} if held.version_id else {}
