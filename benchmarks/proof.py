"""The same engine against an emulated AWS that keeps the bytes: each object is read back and its SHA-256 compared."""

from __future__ import annotations

import sys
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from benchmarks.files import Files
from benchmarks.measure import run
from benchmarks.peers import BUCKET, environment, key_of
from benchmarks.servers import Servers
from tests.emulator import Emulator

#: The ways of serving that are looked at, and how many of the small files are moved too.
_SERVED = ("plain", "delayed", "cut")
_SMALL = 20
_LONGEST = 300.0


def prove(servers: Servers, files: Files, work: Path) -> tuple[float, str]:
    """The share of objects that are in the emulated S3 byte for byte, and what went wrong."""
    paths = (files.odd, *files.small[:_SMALL])
    wanted = {path: _digest(files.folder / path) for path in paths}
    urls = {f"{servers.source_url}/{served}/{path}": path for served in _SERVED for path in paths}
    with Emulator(work / "emulator.log") as emulator:
        s3 = emulator.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        servers.begin_run(1)
        command = [sys.executable, "-m", "benchmarks.ours", *urls]
        usage = run(command, environment(emulator.endpoint, work), work, _LONGEST)
        if usage.exit_code:
            return 0.0, f"exit code {usage.exit_code}: {usage.told.strip()[-500:]}"
        wrong = [url for url, path in urls.items() if _digest_of_object(s3, key_of(url)) != wanted[path]]
        return 1 - len(wrong) / len(urls), f"not the source's bytes: {', '.join(wrong[:5])}" if wrong else ""


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _digest_of_object(s3: Any, key: str) -> str:
    try:
        body = s3.get_object(Bucket=BUCKET, Key=key)["Body"]
    except s3.exceptions.NoSuchKey:
        return ""
    digest = sha256()
    for block in body.iter_chunks(1024 * 1024):
        digest.update(block)
    return digest.hexdigest()
