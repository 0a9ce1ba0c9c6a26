"""A proxy between the code and the emulated AWS, which disturbs chosen calls in the ways that AWS itself does.

A call is named as the SDK names it where that can be told: `dynamodb.PutItem`, `secretsmanager.GetSecretValue`,
`s3.UploadPart`. A disturbance matches names by their beginning.
"""

from __future__ import annotations

import http.client
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import boto3
from botocore.config import Config

from tests.emulator import REGION, Emulator


class Way(StrEnum):
    """How a call is disturbed."""

    THROTTLED = "AWS throttles"
    SLOW_DOWN = "S3 says 503 SlowDown"
    INTERNAL = "AWS says 500"
    REFUSED = "AWS hangs up before the effect"
    LOST = "AWS hangs up after the effect"
    CUT = "AWS answers half"
    LATE = "AWS answers late"
    CALLED_BACK = "the test does something at a call"


@dataclass
class Disturbance:
    """What happens to the calls whose name begins with `call`: from the `nth` on, to `times` of them (-1: to all).

    With `share` only that share of them is struck, drawn by the proxy's seed. `act` is called with the port from which
    the call comes, before it is passed on, or `after` it was.
    """

    way: Way
    call: str = ""
    nth: int = 1
    times: int = 1
    share: float = 1.0
    seconds: float = 0.2
    after: bool = False
    act: Callable[[int], None] = field(default=lambda _: None, repr=False)

    def matches(self, name: str) -> bool:
        """Whether it is about a call of this name."""
        return name.startswith(self.call) and (self.way is not Way.SLOW_DOWN or name.startswith("s3."))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    proxy: AwsProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""


class AwsProxy:
    """Runs within a `with`, before an emulator. `struck` counts what came to pass, by way; `calls` what was asked."""

    def __init__(self, emulator: Emulator, seed: int = 0) -> None:
        self.upstream = emulator.port
        self.struck: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.lock = threading.RLock()
        self._draw = random.Random(seed)
        self._waiting: list[Disturbance] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def client(self, service: Any, attempts: int = 1) -> Any:
        """A boto3 client that goes through the proxy; with one attempt, every disturbance reaches the code."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(
                retries={"mode": "standard", "total_max_attempts": attempts},
                max_pool_connections=50,
                s3={"payload_signing_enabled": False},
            ),
        )

    def disturb(self, disturbance: Disturbance) -> None:
        """Disturb calls from now on."""
        with self.lock:
            self._waiting.append(disturbance)

    def calm(self) -> None:
        """Disturb no call any more."""
        with self.lock:
            self._waiting.clear()

    def begin_anew(self, seed: int) -> None:
        """Disturb no call any more, and count and draw as from the start."""
        with self.lock:
            self.calm()
            self.struck.clear()
            self.calls.clear()
            self._draw.seed(seed)

    def due(self, name: str) -> Disturbance | None:
        """What happens to the call that has just come, if anything does."""
        with self.lock:
            self.calls[name] += 1
            for one in self._waiting:
                if not one.matches(name):
                    continue
                one.nth -= 1
                if one.nth <= 0 and self._draw.random() < one.share:
                    one.times -= 1
                    if one.times == 0:
                        self._waiting.remove(one)
                    self.struck[one.way] += 1
                    return one
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""

    def handle_expect_100(self) -> bool:
        """Let the client go on at once: it would wait a second for a word that is still in the buffer."""
        self.send_response_only(100)
        self.end_headers()
        self.wfile.flush()
        return True

    def _pass(self) -> None:
        body = self._body()
        name = _name_of(
            self.command, self.path, self.headers.get("X-Amz-Target", ""), "x-amz-copy-source" in self.headers
        )
        disturbance = self.server.proxy.due(name)
        way = disturbance.way if disturbance else None
        port = self.client_address[1]
        if way in _ANSWERS:
            self._say(*_ANSWERS[way](name))
        elif way is Way.REFUSED:
            self.close_connection = True
        else:
            if disturbance and way is Way.LATE:
                time.sleep(disturbance.seconds)
            if disturbance and way is Way.CALLED_BACK and not disturbance.after:
                disturbance.act(port)
            status, headers, answer = self._asked(body)
            if disturbance and way is Way.CALLED_BACK and disturbance.after:
                disturbance.act(port)
            if way is Way.LOST:
                self.close_connection = True
            else:
                self._answer(status, headers, answer, cut=way is Way.CUT)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._pass
        raise AttributeError(name)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = bytearray()
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return bytes(body)

    def _asked(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.proxy.upstream, timeout=120)
        try:
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in ("expect", "transfer-encoding", "content-length", "connection")
            }
            connection.request(self.command, self.path, body, {**headers, "Content-Length": str(len(body))})
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, *, cut: bool) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = next((value for name, value in headers if name.lower() == "content-length"), "")
        self.send_header("Content-Length", length if self.command == "HEAD" and length else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection |= cut

    def _say(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self._answer(status, list(headers.items()), body, cut=False)


_INTERNAL = {"s3": "InternalError", "dynamodb": "InternalServerError", "secretsmanager": "InternalServiceError"}
_TARGETS = re.compile(r"(DynamoDB|secretsmanager)[^.]*\.(\w+)")


def _name_of(method: str, address: str, target: str, is_copy: bool) -> str:
    """The call as the SDK names it."""
    if found := _TARGETS.fullmatch(target):
        return f"{found[1].lower()}.{found[2]}"
    parts = urlsplit(address)
    query = parse_qs(parts.query, keep_blank_values=True)
    has_key = "/" in parts.path.strip("/")
    if "uploadId" in query:
        names = {
            "PUT": "UploadPart",
            "POST": "CompleteMultipartUpload",
            "GET": "ListParts",
            "DELETE": "AbortMultipartUpload",
        }
    elif "uploads" in query:
        names = {"POST": "CreateMultipartUpload", "GET": "ListMultipartUploads"}
    elif "tagging" in query:
        names = {"PUT": "PutObjectTagging", "GET": "GetObjectTagging"}
    elif has_key:
        put = "CopyObject" if is_copy else "PutObject"
        names = {"PUT": put, "GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}
    else:
        names = {"GET": "ListObjects"}
    return f"s3.{names.get(method, method)}"


def _refusal(name: str, status: int, code: str) -> tuple[int, dict[str, str], bytes]:
    """An error as the service words it."""
    if name.startswith("s3."):
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>as a test wants it</Message></Error>"
        return status, {"Content-Type": "application/xml"}, text.encode()
    body = b'{"__type": "com.amazonaws.coral#' + code.encode() + b'", "message": "as a test wants it"}'
    return status, {"Content-Type": "application/x-amz-json-1.0"}, body


def _throttled(name: str) -> tuple[int, dict[str, str], bytes]:
    if name.startswith("s3."):
        return _refusal(name, 503, "SlowDown")
    is_dynamo = name.startswith("dynamodb.")
    return _refusal(name, 400, "ProvisionedThroughputExceededException" if is_dynamo else "ThrottlingException")


def _internal(name: str) -> tuple[int, dict[str, str], bytes]:
    service = name.partition(".")[0]
    return _refusal(name, 500, _INTERNAL[service])


_ANSWERS: dict[Way | None, Callable[[str], tuple[int, dict[str, str], bytes]]] = {
    Way.THROTTLED: _throttled,
    Way.SLOW_DOWN: lambda name: _refusal(name, 503, "SlowDown"),
    Way.INTERNAL: _internal,
}
