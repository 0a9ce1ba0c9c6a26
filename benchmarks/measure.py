"""One measured run of one command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_LAUNCHER = Path(__file__).with_name("launcher.py")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a command and its children used. Memory in bytes; `samples` are of the command itself, five a second."""

    exit_code: int
    seconds: float
    cpu_seconds: float
    peak_memory: int
    samples: tuple[int, ...]
    told: str


def run(command: Sequence[str], environment: Mapping[str, str], work: Path, timeout: float) -> Usage:
    """Run `command` to its end, at most `timeout` seconds; `told` is the end of what it wrote."""
    report, log = work / "usage.json", work / "run.log"
    report.unlink(missing_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_LAUNCHER), str(report), *command],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=Path(__file__).parent.parent,
            start_new_session=True,
        )
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            pass
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    told = log.read_text(errors="replace")[-2000:]
    if not report.exists():
        return Usage(-1, timeout, 0.0, 0, (), f"{told}\nended after {timeout:.0f} s")
    found = json.loads(report.read_text())
    return Usage(
        found["exit_code"],
        found["seconds"],
        found["cpu_seconds"],
        found["peak_memory"],
        tuple(found["samples"]),
        told,
    )
