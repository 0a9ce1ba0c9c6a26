"""The emulated AWS of a load run: it counts its calls, and its processes tell their peak memory."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.emulator import COMMAND, Emulator

#: The name of the emulator's own process among the functions'.
EMULATOR = "emulated AWS"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Counts:
    """Calls by service and operation, DynamoDB's read and write units, and states entered by children of maps.

    All since the emulator was started.
    """

    calls: Mapping[str, int]
    reads: float
    writes: float
    transitions: int

    def since(self, before: Counts) -> Counts:
        """What came after `before`."""
        calls = {name: count - before.calls.get(name, 0) for name, count in self.calls.items()}
        return Counts(
            {name: count for name, count in sorted(calls.items()) if count},
            self.reads - before.reads,
            self.writes - before.writes,
            self.transitions - before.transitions,
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """Peak memory (bytes) of the largest of some processes, and the CPU seconds of all of them."""

    peak_memory: int
    cpu_seconds: float


class CountingEmulator(Emulator):
    """An emulator with a look into it."""

    command: Sequence[str] = (
        str(COMMAND.with_name("python")),
        str(Path(__file__).with_name("counting_ministack.py")),
    )

    def counts(self) -> Counts:
        """What it was asked so far."""
        with urllib.request.urlopen(f"{self.endpoint}/_load/counts", timeout=30) as answer:
            told = json.load(answer)
        units = told["units"]
        return Counts(told["calls"], units.get("read", 0.0), units.get("write", 0.0), units.get("transition", 0))

    def forget_peaks(self) -> None:
        """Let each process's peak memory begin anew."""
        for folder in self._processes():
            (folder / "clear_refs").write_text("5")

    def usage(self) -> dict[str, Usage]:
        """What the processes of each function have used, by its name, and the emulator itself."""
        found: dict[str, Usage] = {}
        for folder in self._processes():
            try:
                variables = (folder / "environ").read_bytes().split(b"\0")
                status = (folder / "status").read_text()
                ticks = (folder / "stat").read_text().rpartition(")")[2].split()[11:13]
            except OSError:
                continue
            name = next((one[25:].decode() for one in variables if one.startswith(b"AWS_LAMBDA_FUNCTION_NAME=")), "")
            peak = next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)
            used = found.get(name or EMULATOR, Usage(0, 0.0))
            seconds = used.cpu_seconds + sum(map(int, ticks)) / _TICKS
            found[name or EMULATOR] = Usage(max(used.peak_memory, peak), seconds)
        return found

    def _processes(self) -> list[Path]:
        return [folder for folder in Path("/proc").glob("[0-9]*") if _group(int(folder.name)) == self.pid]


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0
