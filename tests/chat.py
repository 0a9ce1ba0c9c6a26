"""A chat with an incoming webhook, on loopback: it keeps what is posted, and answers as it is told."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tests.emulator import Emulator

#: Part of the address, by which it would be known where it must not be.
SECRET = "T0SECRET-hook"


class Chat:
    """Runs inside `with`; `statuses` are answered one by one before the lasting 200."""

    def __init__(self) -> None:
        self.posted: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.statuses: list[int] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def url(self) -> str:
        """The address that would be in the secret."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/services/{SECRET}"

    def stored_in(self, emulator: Emulator) -> str:
        """The ARN of a new secret that holds the address, as somebody would paste it."""
        secrets = emulator.client("secretsmanager")
        return str(secrets.create_secret(Name="chat", SecretString=f"{self.url}\n")["ARN"])

    def texts(self, at_least: int = 1, beginning: str = "", timeout: float = 20) -> list[str]:
        """The texts with this beginning, as soon as there are so many; all are then forgotten."""
        deadline = time.monotonic() + timeout
        while True:
            found = [one["text"] for one in list(self.posted) if one["text"].startswith(beginning)]
            if len(found) >= at_least or time.monotonic() > deadline:
                self.posted.clear()
                return found
            time.sleep(0.1)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        chat = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = chat.statuses.pop(0) if chat.statuses else 200
                if status == 200:
                    chat.headers.append(dict(self.headers))
                    chat.posted.append(json.loads(body))
                self.send_response(status)
                if status in (301, 307):
                    self.send_header("Location", chat.url)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing is printed."""

        return Handler

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
