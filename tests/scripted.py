"""A server that answers each path with the very bytes it was given, however odd they are."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, BinaryIO, Self

#: The bytes of an answer, or who writes them.
Answer = bytes | Callable[[BinaryIO], object]


def raw(status: str, *headers: str, body: bytes = b"") -> bytes:
    """An answer whose body ends with the connection."""
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "Connection: close", "", ""]).encode() + body


def whole(status: str, body: bytes, *headers: str) -> bytes:
    """An answer that declares its length."""
    return raw(status, f"Content-Length: {len(body)}", *headers, body=body)


class Scripted:
    """Runs within a `with`. It gives the answers of a path in turn, the last one for ever, and keeps the requests."""

    def __init__(self) -> None:
        script = self
        self.answers: dict[str, list[Answer]] = {}
        self.requests: list[str] = []

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    line = self.rfile.readline()
                    if not line:
                        return
                    head += line
                length = next(
                    (int(one[15:]) for one in head.lower().split(b"\r\n") if one.startswith(b"content-length:")),
                    0,
                )
                script.requests.append((head + self.rfile.read(length)).decode())
                path = head.split()[1].decode().partition("?")[0]
                answers = script.answers.get(path, [whole("404 Not Found", b"{}")])
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                if isinstance(answer, bytes):
                    self.wfile.write(answer)
                else:
                    answer(self.wfile)  # type: ignore[arg-type]

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 64

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that goes away is no news."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, *answers: Answer) -> str:
        """Give these answers at `path` from now on; its address."""
        self.answers[path] = list(answers)
        return self.url + path
