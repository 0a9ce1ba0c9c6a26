"""An S3 front that costs almost nothing, in a process of its own: `python -m benchmarks.sink PORT`.

It reads every byte of every body and keeps none: the kernel counts and drops them without a copy (`MSG_TRUNC`).
What it remembers is what `s3_front` needs to answer as S3 does: lengths, ETags and the checksums that came in headers.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

from benchmarks.s3_front import Answer, Request, S3Front

_HEAD_END = b"\r\n\r\n"
_READ = 64 * 1024
_DROP = 4 * 1024 * 1024
_WAKE = 256 * 1024


class Connection:
    """One client: a request's head, then its body, counted and dropped or kept where the front has to read it."""

    def __init__(self, client: socket.socket, front: S3Front) -> None:
        self._client = client
        self._front = front
        self._pending = b""
        self._request: Request | None = None
        self._left = 0
        self._nowhere = bytearray(_DROP)

    def readable(self) -> bool:
        """Take what has come; whether the connection is still open."""
        try:
            if self._request and not self._request.keeps_body and self._left:
                return self._drop()
            block = self._client.recv(_READ)
            self._pending += block
            self._advance()
        except BlockingIOError:
            return True
        except OSError:
            return False
        return bool(block)

    def _drop(self) -> bool:
        while self._left:
            self._wake_at(min(self._left, _WAKE))
            count = self._client.recv_into(self._nowhere, min(self._left, _DROP), socket.MSG_TRUNC)
            if not count:
                return False
            self._left -= count
        self._wake_at(1)
        self._advance()
        return True

    def _wake_at(self, count: int) -> None:
        """Be woken only once `count` bytes have come, or the client has gone."""
        self._client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)

    def _advance(self) -> None:
        while True:
            if self._request is None and not self._begin():
                return
            if not self._take_body():
                return
            self._answer()

    def _begin(self) -> bool:
        end = self._pending.find(_HEAD_END)
        if end < 0:
            return False
        self._request = parse(self._pending[:end])
        self._pending = self._pending[end + len(_HEAD_END) :]
        self._left = int(self._request.headers.get("content-length", "0"))
        if self._left and "100-continue" in self._request.headers.get("expect", "").lower():
            self._send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def _take_body(self) -> bool:
        assert self._request
        came = self._pending[: self._left]
        self._pending = self._pending[len(came) :]
        self._left -= len(came)
        if self._request.keeps_body:
            self._request.body += came
        return not self._left

    def _answer(self) -> None:
        assert self._request
        head_only = self._request.method == "HEAD"
        self._send(encode(self._front.answer(self._request), head_only))
        self._request = None

    def _send(self, block: bytes) -> None:
        self._client.settimeout(30)
        self._client.sendall(block)
        self._client.setblocking(False)


def parse(head: bytes) -> Request:
    """A request's head, its header names in lower case."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    parts = urlsplit(target)
    query: Mapping[str, str] = dict(_pairs(parts.query))
    return Request(method, unquote(parts.path).lstrip("/"), query, headers)


def _pairs(query: str) -> list[tuple[str, str]]:
    pairs = [field.partition("=") for field in query.split("&") if field]
    return [(unquote(name), unquote(value)) for name, _, value in pairs]


def encode(answer: Answer, head_only: bool) -> bytes:
    """An answer as it goes over the wire; the answer to HEAD tells the object's length itself."""
    headers = dict(answer.headers)
    if not head_only or "Content-Length" not in headers:
        headers["Content-Length"] = str(len(answer.body))
    lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (b"" if head_only else answer.body)


def serve(listener: socket.socket) -> None:
    """Serve until the process is ended."""
    front = S3Front()
    listener.setblocking(False)
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.data is None:
                    client, _ = listener.accept()
                    client.setblocking(False)
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    selector.register(client, selectors.EVENT_READ, (client, Connection(client, front)))
                    continue
                client, connection = key.data
                if not connection.readable():
                    selector.unregister(client)
                    client.close()


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024) as listener:
        print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
        serve(listener)
