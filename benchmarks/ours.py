"""The project's engine as a command: `python -m benchmarks.ours [--deadline SECONDS --state FILE] URL...`.

With a deadline it exits with `CONTINUE` where it has to go on in another invocation, as DownloadVideo does.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory

# Where the functions run there is no awscrt, which signs more slowly: it copies each body.
os.environ["BOTO_DISABLE_CRT"] = "true"

import boto3
from botocore.config import Config

from benchmarks.peers import BUCKET, key_of
from core.archive.base import Label
from core.archive.s3 import S3Archive
from core.model import Account, Medium, Offer, Original
from core.providers.base import ByteSource, ListingReport
from core.providers.http import new_session, open_download
from core.tracker.sqlite import SqliteTracker
from core.transfer import Engine, Source, Watch

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

    def thumbnail(self, offer: Offer) -> bytes | None:
        """There is none."""

    def promised(self, medium: Medium) -> int:
        """Nobody tells."""
        return 0

    def resolve(self, medium: Medium) -> Offer:
        """The address, which is the medium's id."""
        return Offer((Original(medium.media_id, 1, "source", "", locator=medium.media_id),))

    def open(
        self, original: Original, start: int = 0, end: int | None = None, version: str = ""
    ) -> AbstractContextManager[ByteSource]:
        """Open a range of the address."""
        return open_download(self._session, original.locator, original.locator, start=start, end=end, version=version)


def main() -> int:
    """Move all addresses; the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--deadline", type=float, help="seconds that this invocation has")
    parser.add_argument("--state", type=Path, help="what the next invocation needs to go on")
    parser.add_argument("urls", nargs="+")
    given = parser.parse_args()
    if given.state:
        return move_all(given.urls, given.state, given.deadline)
    with TemporaryDirectory() as folder:
        return move_all(given.urls, Path(folder, "state"), given.deadline)


def move_all(urls: Sequence[str], state: Path, deadline: float | None) -> int:
    """Move them as the two drivers of the product do; the exit code."""
    is_new = not state.exists()
    web = Web()
    # As the functions of the product are set up: a body has a checksum of its own and is not hashed for the signature.
    config = Config(max_pool_connections=32, s3={"payload_signing_enabled": False})
    archive = S3Archive(boto3.client("s3", config=config), BUCKET)
    engine = Engine(archive, SqliteTracker(state), connections=CONNECTIONS)
    began = time.monotonic()
    watch = Watch(remaining=lambda: began + deadline - time.monotonic() if deadline else float("inf"))

    def transfer(url: str) -> bool:
        medium = Medium("web", url, "", "Video", "ready", None, None, 1)
        label = Label("web", "medium", 1, "source", None, "run")
        source = Source(web, medium, web.resolve(medium).originals[0])
        return engine.move(source, key_of(url), label, watch, is_new=is_new) is not None

    with ThreadPoolExecutor(MEDIA_AT_ONCE) as pool:
        return 0 if all(pool.map(transfer, urls)) else CONTINUE


if __name__ == "__main__":
    raise SystemExit(main())
