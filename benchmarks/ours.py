"""The project's engine as a command: `python -m benchmarks.ours [--deadline SECONDS --state FILE] URL...`.

With a deadline it exits with `CONTINUE` where it has to go on in another invocation, as DownloadVideo does.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import boto3
from botocore.config import Config

from benchmarks.peers import BUCKET, key_of
from core.archive.base import Label
from core.archive.s3 import S3Archive
from core.model import Account, Medium, Offer, Original
from core.providers.base import ByteSource, ListingReport
from core.providers.http import new_session, open_download
from core.transfer import Source, move

#: Exit code of an invocation that did not get to the end.
CONTINUE = 75
CONNECTIONS = 12
MEDIA_AT_ONCE = 8


class Web:
    """A cloud whose media are addresses."""

    name = title = "web"

    def __init__(self) -> None:
        self._session = new_session(CONNECTIONS * MEDIA_AT_ONCE)

    def authenticate(self) -> Account:
        """Nobody has to sign in."""
        return Account("")

    def list_media(self, report: ListingReport) -> Iterator[Medium]:
        """Nothing is listed: the addresses are given."""
        report.expected = 0
        return iter(())

    def resolve(self, medium: Medium) -> Offer:
        """The address, which is the medium's id."""
        return Offer((Original(medium.media_id, 1, "source", "", locator=medium.media_id),))

    def open(self, original: Original, start: int = 0) -> AbstractContextManager[ByteSource]:
        """Open the address from byte `start` on."""
        return open_download(self._session, original.locator, original.locator, start=start)


def main() -> int:
    """Move all addresses; the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--deadline", type=float, help="seconds that this invocation has")
    parser.add_argument("--state", type=Path, help="what the next invocation needs to go on")
    parser.add_argument("urls", nargs="+")
    given = parser.parse_args()
    web = Web()
    archive = S3Archive(boto3.client("s3", config=Config(max_pool_connections=CONNECTIONS * MEDIA_AT_ONCE)), BUCKET)

    def transfer(url: str) -> None:
        medium = Medium("web", url, "", "Video", "ready", None, None, 1)
        label = Label("web", "medium", 1, "source", None, "run")
        move(Source(web, medium, web.resolve(medium).originals[0]), archive, key_of(url), label)

    with ThreadPoolExecutor(MEDIA_AT_ONCE) as pool:
        list(pool.map(transfer, given.urls))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
