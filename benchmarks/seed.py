"""The seed's algorithm: one GET with requests, chunks of 100 MB, each sent with `upload_part` in turn."""

from __future__ import annotations

import sys
from itertools import chain
from typing import TYPE_CHECKING

import boto3
import requests

from benchmarks.peers import BUCKET, key_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

CHUNK = 100 * 1024 * 1024


def move(client: S3Client, url: str) -> None:
    """Move one file; what fits into one chunk is put at once."""
    key = key_of(url)
    with requests.get(url, stream=True, timeout=60) as response:
        response.raise_for_status()
        chunks = response.iter_content(CHUNK)
        first = next(chunks)
        if len(first) < CHUNK:
            client.put_object(Bucket=BUCKET, Key=key, Body=first)
            return
        upload_id = client.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
        parts: list[CompletedPartTypeDef] = []
        for number, chunk in enumerate(chain([first], chunks), 1):
            part = client.upload_part(Bucket=BUCKET, Key=key, UploadId=upload_id, PartNumber=number, Body=chunk)
            parts.append({"PartNumber": number, "ETag": part["ETag"]})
        client.complete_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts})


if __name__ == "__main__":
    s3 = boto3.client("s3")
    for address in sys.argv[1:]:
        move(s3, address)
