"""What disturbs downloads, in a process of its own: `python -m benchmarks.gate PORT FOLDER`.

nginx asks it about each request under `/delayed/` and `/cut/`. It waits 40 ms, or not, and sends nginx back to the file
(`X-Accel-Redirect`): the bytes do not pass through it but go from the page cache to the client as in every other case.
Only a response that is to be cut is served here, up to the byte where it breaks off.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
from collections.abc import Mapping
from email.utils import formatdate
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

DELAY = 0.040
#: One response in so many is cut, the first of them within the first `EARLY`, so that no run goes undisturbed.
ONE_IN = 100
EARLY = 6
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class Cuts:
    """Which responses are cut, and where: the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._asked = 0
        self._next = self._random.randrange(2, EARLY + 1)
        self.made: list[dict[str, int]] = []

    def share_of(self) -> float | None:
        """The share of the next response after which it is cut, None if it is left whole."""
        self._asked += 1
        if self._asked != self._next:
            return None
        window = self._next // ONE_IN + 1
        self._next = window * ONE_IN + self._random.randrange(ONE_IN)
        return self._random.uniform(0.1, 0.9)


class Gate:
    """Answers nginx; `/_gate/reset?seed=N` begins a run and `/_gate/report` tells what was cut in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cuts = Cuts(0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                if not await self._answer(head, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: str, writer: asyncio.StreamWriter) -> bool:
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        _, kind, rest = urlsplit(target).path.split("/", 2)
        if kind == "_gate":
            self._control(rest, target, writer)
            return True
        if kind == "delayed":
            await asyncio.sleep(DELAY)
        share = self._cuts.share_of() if kind == "cut" and method == "GET" else None
        if share is None:
            _write(writer, 200, {"X-Accel-Redirect": f"/files/{rest}", "Content-Length": "0"})
            return True
        await self._cut(self._folder / unquote(rest), share, headers.get("range", ""), writer)
        return False

    def _control(self, word: str, target: str, writer: asyncio.StreamWriter) -> None:
        body = json.dumps(self._cuts.made).encode()
        if word == "reset":
            self._cuts = Cuts(int(parse_qs(urlsplit(target).query)["seed"][0]))
        _write(writer, 200, {"Content-Type": "application/json", "Content-Length": str(len(body))}, body)

    async def _cut(self, path: Path, share: float, asked: str, writer: asyncio.StreamWriter) -> None:
        facts = path.stat()
        match = _RANGE.fullmatch(asked)
        start = int(match[1]) if match else 0
        end = min(int(match[2]), facts.st_size - 1) if match and match[2] else facts.st_size - 1
        length = end - start + 1
        sent = max(1, int(length * share))
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(length),
            "Last-Modified": formatdate(int(facts.st_mtime), usegmt=True),
            "ETag": f'"{int(facts.st_mtime):x}-{facts.st_size:x}"',
            "Accept-Ranges": "bytes",
        }
        if match:
            headers["Content-Range"] = f"bytes {start}-{end}/{facts.st_size}"
        self._cuts.made.append({"start": start, "length": length, "sent": sent})
        _write(writer, 206 if match else 200, headers)
        with path.open("rb") as file:
            await asyncio.get_running_loop().sendfile(writer.transport, file, start, sent)


def _write(writer: asyncio.StreamWriter, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
    lines = [f"HTTP/1.1 {status} OK", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    writer.write("\r\n".join(lines).encode("latin-1") + body)


async def main(port: int, folder: Path) -> None:
    """Serve until the process is ended."""
    server = await asyncio.start_server(Gate(folder).serve, "127.0.0.1", port, backlog=1024)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
