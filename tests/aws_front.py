"""A front before the emulated AWS: it forwards every request, counts what originals cost, and can slow them down."""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

_BLOCK = 64 * 1024
_ONGOING = 'ongoing-request="true"'
_PER_HOP = frozenset({"connection", "keep-alive", "transfer-encoding"})


class AwsFront:
    """`served` counts the bytes of originals that were sent, `asked` the restores that were asked for, by key.

    `bytes_per_second` is for each connection. With `tells_restores` a listing tells of restores as that of AWS does.
    While it `holds`, restores that have ended seem to go on: the emulated AWS takes two seconds for each.
    """

    def __init__(self, endpoint: str, *, bytes_per_second: int | None = None, tells_restores: bool = False) -> None:
        self.backend = urlsplit(endpoint).netloc
        self.bytes_per_second = bytes_per_second
        self.tells_restores = tells_restores
        self.holds = False
        self.served = Counter[str]()
        self.asked = Counter[str]()
        self.calls = Counter[str]()
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.front = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def total(self) -> int:
        """The bytes of originals that were sent in all."""
        with self.lock:
            return sum(self.served.values())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    front: AwsFront

    def handle_error(self, request: object, client_address: object) -> None:
        """A reader that has been killed is nothing to tell of."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_any(self) -> None:
        front = self.server.front
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        backend = http.client.HTTPConnection(front.backend, timeout=60)
        try:
            backend.request(self.command, self.path, body, dict(self.headers))
            answer = backend.getresponse()
            key = self._key()
            listing = self._listing(answer) if front.tells_restores and "versions" in self._query() else None
            with front.lock:
                front.calls[f"{self.command} {'original' if key else 'other'}"] += 1
                if key and self.command == "POST" and "restore" in self._query():
                    front.asked[key] += 1
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _PER_HOP and not (listing and name.lower() == "content-length"):
                    is_held = front.holds and name.lower() == "x-amz-restore"
                    self.send_header(name, _ONGOING if is_held else value)
            if listing:
                self.send_header("Content-Length", str(len(listing)))
            self.end_headers()
            self.wfile.write(listing or b"")
            is_original = bool(key) and self.command == "GET" and answer.status in (200, 206)
            while self.command != "HEAD" and (block := answer.read(_BLOCK)):
                self.wfile.write(block)
                if is_original:
                    with front.lock:
                        front.served[key] += len(block)
                    if front.bytes_per_second:
                        time.sleep(len(block) / front.bytes_per_second)
        finally:
            backend.close()

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_any  # noqa: N815

    def _listing(self, answer: http.client.HTTPResponse) -> bytes:
        """The listing with a word on every restore, which the emulated AWS tells only of single objects."""
        return re.sub(rb"<Version>.*?</Version>", self._with_restore, answer.read(), flags=re.DOTALL)

    def _with_restore(self, found: re.Match[bytes]) -> bytes:
        key = re.search(rb"<Key>(.*?)</Key>", found[0])
        assert key
        backend = http.client.HTTPConnection(self.server.front.backend, timeout=60)
        bucket = urlsplit(self.path).path.strip("/")
        backend.request("HEAD", f"/{bucket}/{key[1].decode()}")
        told = backend.getresponse().getheader("x-amz-restore", "")
        backend.close()
        if not told:
            return found[0]
        is_ongoing = b"true" if self.server.front.holds or told == _ONGOING else b"false"
        status = b"<RestoreStatus><IsRestoreInProgress>" + is_ongoing + b"</IsRestoreInProgress>"
        if is_ongoing == b"false":
            status += b"<RestoreExpiryDate>2030-01-01T00:00:00.000Z</RestoreExpiryDate>"
        return found[0].replace(b"</Version>", status + b"</RestoreStatus></Version>")

    def _key(self) -> str:
        """The key of the original that is asked for, "" if none is."""
        _, _, key = unquote(urlsplit(self.path).path).lstrip("/").partition("/")
        return key if "-videos/" in key else ""

    def _query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.path).query, keep_blank_values=True)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""
