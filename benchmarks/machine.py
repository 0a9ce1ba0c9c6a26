"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.tools import Tools

_LIBRARIES = ("boto3", "botocore", "requests", "urllib3")


def describe(tools: Tools | None = None) -> dict[str, str]:
    """The machine and the versions, as a table of two columns."""
    versions = {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}
    versions |= tools.versions() if tools else {}
    return {
        "when": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "processor": _field(Path("/proc/cpuinfo"), "model name"),
        "cores": str(os.cpu_count()),
        "memory": f"{int(_field(Path('/proc/meminfo'), 'MemTotal').split()[0]) / 1024 / 1024:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "load at the start": f"{os.getloadavg()[0]:.1f}",
        "versions": ", ".join(f"{name} {told}" for name, told in versions.items()),
    }


def _field(path: Path, name: str) -> str:
    lines = (line.partition(":") for line in path.read_text().splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), "unknown")
