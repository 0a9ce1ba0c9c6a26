"""The programs that serve or are measured: nginx from Debian, rclone and aws from an environment of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import NotReady

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv-bench"
_UNPACKED = VENV / "nginx"
_NO_NGINX = "nginx is missing. Install it (on Debian and Ubuntu: apt-get install nginx-light), then `make bench` again."


@dataclass(frozen=True, slots=True)
class Tools:
    """Where each program is."""

    nginx: Path
    rclone: Path
    aws: Path
    curl: Path

    def versions(self) -> dict[str, str]:
        """The version that each program tells."""
        return {
            "nginx": _first_line([str(self.nginx), "-v"]).rpartition("/")[2],
            "rclone": _first_line([str(self.rclone), "version"]).removeprefix("rclone v"),
            "aws": _first_line([str(self.aws), "--version"]).partition(" ")[0].removeprefix("aws-cli/"),
            "curl": _first_line([str(self.curl), "--version"]).split(" ")[1],
        }


def find() -> Tools:
    """All programs. `NotReady` says what to install."""
    rclone, aws, curl = _of_venv("rclone"), _of_venv("aws"), _on_path("curl")
    return Tools(_nginx(), rclone, aws, curl)


def _of_venv(name: str) -> Path:
    path = VENV / "bin" / name
    if not path.exists():
        raise NotReady(f"{name} is missing from {VENV.name}. `make bench` installs it from requirements-bench.txt.")
    return path


def _on_path(name: str) -> Path:
    found = shutil.which(name)
    if not found:
        raise NotReady(f"{name} is missing. Install it (on Debian and Ubuntu: apt-get install {name}).")
    return Path(found)


def _nginx() -> Path:
    found = shutil.which("nginx", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")))
    return Path(found) if found else _unpacked_nginx()


def _unpacked_nginx() -> Path:
    """Debian's nginx, unpacked and not installed, so that no service begins to listen."""
    program = _UNPACKED / "usr" / "sbin" / "nginx"
    if not program.exists():
        if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
            raise NotReady(_NO_NGINX)
        with tempfile.TemporaryDirectory() as folder:
            if os.geteuid() == 0:
                _quietly(["apt-get", "update"], folder)
            _quietly(["apt-get", "download", "nginx"], folder)
            for package in Path(folder).glob("*.deb"):
                _quietly(["dpkg-deb", "-x", str(package), str(_UNPACKED)], folder)
    try:
        _first_line([str(program), "-v"])
    except OSError:
        raise NotReady(_NO_NGINX) from None
    return program


def _quietly(command: list[str], folder: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise NotReady(f"{_NO_NGINX} ({' '.join(command[:2])}: {done.stderr.strip()[-200:]})")


def _first_line(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    return (done.stdout or done.stderr).splitlines()[0].strip()
