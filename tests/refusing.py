"""S3 that refuses one call of one object: the answer comes in place of the emulator's, the client is the real one."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from urllib.parse import unquote, urlsplit

from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.compat import HTTPHeaders
from urllib3 import HTTPResponse


def refuse(client: Any, operation: str, key: str) -> None:
    """From now on S3 answers this operation (`HeadObject`) with 403 for `key`, to this client."""

    def answer(request: AWSRequest, **_: Any) -> AWSResponse | None:
        if not unquote(urlsplit(request.url).path).endswith(key):
            return None
        return AWSResponse(str(request.url), 403, HTTPHeaders(), HTTPResponse(BytesIO(), preload_content=False))

    client.meta.events.register(f"before-send.s3.{operation}", answer)
