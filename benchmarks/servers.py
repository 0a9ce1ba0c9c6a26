"""Source and sink: nginx with the files, the gate before the disturbed ones, and the S3 front; all on loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.errors import NotReady
from benchmarks.tools import ROOT
from tests.emulator import free_port

#: Bytes a second that one throttled connection gets.
THROTTLE = 20 * 1024 * 1024
_TICK = os.sysconf("SC_CLK_TCK")

# A throttled response is paced in steps of 512 KiB, 25 ms each: nginx does not hold back after the last step, which
# would favour many short responses if steps were its usual 2 MiB. The log is what the bytes fetched are counted from.
_CONFIGURATION = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 2048; }}
http {{
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  open_file_cache max=2000;
  default_type application/octet-stream;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_max_temp_file_size 0;
  log_format responses '{{"method":"$request_method","uri":"$request_uri","status":"$status",'
    '"sent":$body_bytes_sent,"range":"$http_range","ended":$msec,"took":$request_time}}';
  access_log {folder}/access.log responses;
  upstream gate {{ server 127.0.0.1:{gate}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location /plain/ {{ alias {files}/; autoindex on; }}
    location /throttled/ {{ alias {files}/; limit_rate {throttle}; sendfile_max_chunk 512k; }}
    location /delayed/ {{ proxy_pass http://gate; }}
    location /cut/ {{ proxy_pass http://gate; }}
    location /files/ {{ internal; alias {files}/; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the source sent in one run: body bytes and responses; `first` is when it was first asked (Unix time)."""

    sent: int
    responses: int
    first: float


class Server:
    """A process that is ended by its id."""

    def __init__(self, command: list[str], log: Path) -> None:
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=output, text=True
            )

    def first_line(self) -> str:
        """What it says first, once it is ready."""
        assert self._process.stdout
        return self._process.stdout.readline()

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def cpu_seconds(self) -> float:
        """CPU seconds that it and its children have used."""
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return sum(_cpu_seconds(one) for one in (str(pid), *children))

    def stop(self) -> None:
        """End it."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
        if self._process.stdout:
            self._process.stdout.close()


def _cpu_seconds(pid: str) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


class Servers:
    """Source and sink, from `with` to its end. `work` gets configuration and logs, `files` is what is served."""

    def __init__(self, nginx: Path, work: Path, files: Path) -> None:
        self._nginx = nginx
        self._work = work
        self._files = files
        self._stack = ExitStack()
        self._log = work / "access.log"
        self._read = 0

    def __enter__(self) -> Self:
        with self._stack:
            gate = self._started([sys.executable, "-m", "benchmarks.gate", "0", str(self._files)])
            sink = self._started([sys.executable, "-m", "benchmarks.sink", "0"])
            self._gate_url = f"http://127.0.0.1:{json.loads(gate.first_line())['port']}"
            self.sink_url = f"http://127.0.0.1:{json.loads(sink.first_line())['port']}"
            port = free_port()
            configuration = self._work / "nginx.conf"
            text = _CONFIGURATION.format(
                folder=self._work,
                files=self._files,
                port=port,
                gate=self._gate_url.rpartition(":")[2],
                throttle=THROTTLE,
            )
            configuration.write_text(text)
            nginx = self._started([str(self._nginx), "-p", str(self._work), "-c", str(configuration)])
            self.source_url = f"http://127.0.0.1:{port}"
            self._await(nginx)
            self.all = {"source": (nginx, gate), "sink": (sink,)}
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _started(self, command: list[str]) -> Server:
        server = Server(command, self._work / "servers.log")
        self._stack.callback(server.stop)
        return server

    def _await(self, nginx: Server) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and nginx.running:
            try:
                with urllib.request.urlopen(f"{self.source_url}/plain/", timeout=2):
                    return
            except OSError:
                time.sleep(0.05)
        told = (self._work / "servers.log").read_text() + (self._work / "error.log").read_text()
        raise NotReady(f"nginx does not serve: {told[-500:]}")

    def begin_run(self, seed: int) -> None:
        """Forget what was sent and received so far; plan the cuts of the run."""
        ask(f"{self._gate_url}/_gate/reset?seed={seed}")
        ask(f"{self.sink_url}/_bench/reset")
        self._read = self._log.stat().st_size

    def cuts(self) -> list[dict[str, int]]:
        """The responses that were cut in this run: their range's start and length, and the bytes sent of it."""
        found: list[dict[str, int]] = ask(f"{self._gate_url}/_gate/report")
        return found

    def received(self) -> dict[str, Any]:
        """What the sink received in this run."""
        found: dict[str, Any] = ask(f"{self.sink_url}/_bench/report")
        return found

    def fetched(self) -> Fetched:
        """What the source sent in this run."""
        time.sleep(0.1)
        with self._log.open("rb") as log:
            log.seek(self._read)
            lines = [json.loads(line) for line in log]
        files = [line for line in lines if line["method"] == "GET" and not line["uri"].endswith("/")]
        first = min((line["ended"] - line["took"] for line in lines), default=0.0)
        return Fetched(sum(line["sent"] for line in files), len(files), first)

    def cpu_seconds(self) -> dict[str, float]:
        """CPU seconds that source and sink have used since they were started."""
        return {name: sum(server.cpu_seconds() for server in servers) for name, servers in self.all.items()}


def ask(url: str) -> Any:
    """What a control endpoint on loopback says."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)
