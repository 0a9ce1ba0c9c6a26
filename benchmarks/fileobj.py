"""What most scripts do: boto3's `upload_fileobj` of the raw response."""

from __future__ import annotations

import sys
from typing import IO, cast

import boto3
import requests

from benchmarks.peers import BUCKET, key_of

if __name__ == "__main__":
    client = boto3.client("s3")
    for url in sys.argv[1:]:
        with requests.get(url, stream=True, timeout=60) as response:
            response.raise_for_status()
            client.upload_fileobj(cast(IO[bytes], response.raw), BUCKET, key_of(url))
