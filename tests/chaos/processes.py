"""Which process has a connection of this machine, to end it at the moment of its call."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from tests.emulator import Emulator


def kill_caller(emulator: Emulator, port: int) -> None:
    """End the process that calls from this port of loopback at once: a function's worker that `emulator` started."""
    inode = _inode(port)
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(str(handle.readlink()) == f"socket:[{inode}]" for handle in (process / "fd").iterdir()):
                pid = int(process.name)
                assert os.getpgid(pid) == emulator.pid, "no process of the emulator's"
                os.kill(pid, signal.SIGKILL)
                return
    raise ProcessLookupError(f"nobody calls from port {port}")


def _inode(port: int) -> str:
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}") and fields[3] == "01":
            return fields[9]
    raise ProcessLookupError(f"no connection from port {port}")
