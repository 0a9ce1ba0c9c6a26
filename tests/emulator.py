"""An emulated AWS (ministack) in a process of its own, on a free port of loopback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config

ROOT = Path(__file__).resolve().parent.parent
COMMAND = ROOT / ".venv-emulator" / "bin" / "ministack"
REGION = "us-east-1"


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Emulator:
    """Runs from `start` to `stop`, or within a `with`. `settings` are environment variables for the emulator.

    A `guarded` one enforces IAM, and speaks TLS as the policies of the template demand.
    """

    command: Sequence[str] = (str(COMMAND),)

    def __init__(self, log: Path | None = None, *, guarded: bool = False, **settings: str) -> None:
        self.port = free_port()
        self.endpoint = f"{'https' if guarded else 'http'}://127.0.0.1:{self.port}"
        self._log = log or Path(os.devnull)
        self._settings = settings
        self._guarded = guarded
        self.folder = ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process, which is also its process group."""
        assert self._process
        return self._process.pid

    @property
    def certificate(self) -> str:
        """The file that its clients have to trust, "" without TLS."""
        return f"{self.folder}/ministack-tls/server.crt" if self._guarded else ""

    @property
    def trust(self) -> dict[str, str]:
        """The variables that make an AWS client trust it: those of the emulator reach its functions."""
        return {"AWS_CA_BUNDLE": self.certificate} if self._guarded else {}

    def start(self) -> Self:
        """Start it and wait until it answers."""
        # What it leaves in the temporary folder goes with it.
        self.folder = tempfile.mkdtemp(prefix="cloud-sync-emulator-")
        environment = {
            **os.environ,
            "GATEWAY_PORT": str(self.port),
            "LOG_LEVEL": "WARNING",
            "TMPDIR": self.folder,
            **({"AUTH": "true", "USE_SSL": "1"} if self._guarded else {}),
            **self.trust,
            **self._settings,
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self.command,
                env=environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"the emulator ended at once with {self._process.returncode}")
            try:
                with self._open(f"{self.endpoint}/_ministack/health", timeout=2):
                    return self
            except OSError:
                time.sleep(0.1)
        self.stop()
        raise RuntimeError("the emulator did not come up within 60 s")

    def stop(self) -> None:
        """End it and the function workers that it started."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            try:
                # With TLS it waits for connections that its clients keep open.
                self._process.wait(1 if self._guarded else 15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(15)
        if self._process:
            end_group(self._process.pid)
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def configure(self, **settings: object) -> None:
        """Set the emulator's own settings, such as the scale of a workflow's waits."""
        body = json.dumps({name.replace("__", "."): value for name, value in settings.items()}).encode()
        request = urllib.request.Request(
            f"{self.endpoint}/_ministack/config", body, {"Content-Type": "application/json"}
        )
        with self._open(request, timeout=10):
            pass

    def _open(self, request: str | urllib.request.Request, timeout: float) -> Any:
        context = ssl.create_default_context(cafile=self.certificate) if self._guarded else None
        return urllib.request.urlopen(request, timeout=timeout, context=context)

    def shorten_waits(self, scale: float = 0.02) -> None:
        """Let pauses of workflows take this share of their time."""
        self.configure(stepfunctions___SFN_WAIT_SCALE=scale)

    def tracker_table(self, name: str) -> str:
        """A table as the template makes it; its name."""
        keys = ("provider", "media_id"), ("unfinished", "media_id")
        table, index = (
            [{"AttributeName": n, "KeyType": t} for n, t in zip(k, ("HASH", "RANGE"), strict=True)] for k in keys
        )
        self.client("dynamodb").create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": n, "AttributeType": "S"} for n in ("provider", "media_id", "unfinished")
            ],
            KeySchema=table,
            GlobalSecondaryIndexes=[
                {"IndexName": "unfinished-index", "KeySchema": index, "Projection": {"ProjectionType": "ALL"}}
            ],
        )
        return name

    def client(self, service: Any, **credentials: str) -> Any:
        """A boto3 client of the emulated AWS, of its owner or with other credentials."""
        signs: dict[str, Any] = credentials or {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            verify=self.certificate or None,
            **signs,
            config=Config(retries={"mode": "standard"}, max_pool_connections=50),
        )


def end_group(group: int) -> None:
    """End what is left of a process group that was started here."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
