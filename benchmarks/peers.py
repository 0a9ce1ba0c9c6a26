"""Who moves files, each as a command of its own that is given addresses and moves them into `BUCKET`."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.tools import Tools

BUCKET = "bench"
REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Job:
    """Files below one address. `folder` is the part of the paths that all of them share, "" for a single file."""

    base: str
    paths: tuple[str, ...]
    folder: str = ""

    @property
    def urls(self) -> list[str]:
        """The address of each file."""
        return [f"{self.base}/{path}" for path in self.paths]


Command = Callable[[Job, Tools], list[str]]


def key_of(url: str) -> str:
    """The key at which the file of an address is stored."""
    return urlsplit(url).path.lstrip("/")


def environment(endpoint: str, home: Path) -> dict[str, str]:
    """The environment of every peer: the S3 to talk to, and no settings of this user's."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return kept | {
        "HOME": str(home),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "RCLONE_S3_PROVIDER": "Other",
        "RCLONE_S3_ACCESS_KEY_ID": "test",
        "RCLONE_S3_SECRET_ACCESS_KEY": "test",
        "RCLONE_S3_REGION": REGION,
        "RCLONE_S3_ENDPOINT": endpoint,
        "RCLONE_S3_NO_CHECK_BUCKET": "true",
    }


def ours(job: Job, _: Tools) -> list[str]:
    """The engine of this project."""
    return [sys.executable, "-m", "benchmarks.ours", *job.urls]


def seed(job: Job, _: Tools) -> list[str]:
    """The seed's algorithm."""
    return [sys.executable, "-m", "benchmarks.seed", *job.urls]


def fileobj(job: Job, _: Tools) -> list[str]:
    """boto3's `upload_fileobj`."""
    return [sys.executable, "-m", "benchmarks.fileobj", *job.urls]


def copyurl(job: Job, tools: Tools) -> list[str]:
    """`rclone copyurl`, one connection."""
    (url,) = job.urls
    return [str(tools.rclone), "--config", "", "copyurl", url, f":s3:{BUCKET}/{key_of(url)}"]


def copyto(job: Job, tools: Tools) -> list[str]:
    """`rclone copyto` from its http backend with 8 streams, also below its threshold of 256 MiB; a folder by `copy`."""
    streams = ["--multi-thread-streams", "8", "--multi-thread-cutoff", "16Mi"]
    verb, path = ("copy", job.folder) if job.folder else ("copyto", job.paths[0])
    target = f":s3:{BUCKET}/{key_of(f'{job.base}/{path}')}"
    return [str(tools.rclone), "--config", "", verb, f":http:{path}", target, "--http-url", f"{job.base}/", *streams]


def aws_cp(job: Job, tools: Tools) -> list[str]:
    """`curl | aws s3 cp -`."""
    (url,) = job.urls
    fetch = shlex.join([str(tools.curl), "--silent", "--show-error", "--fail", url])
    store = shlex.join([str(tools.aws), "s3", "cp", "--quiet", "-", f"s3://{BUCKET}/{key_of(url)}"])
    return ["bash", "-c", f"set -o pipefail; {fetch} | {store}"]
