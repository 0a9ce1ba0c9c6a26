"""A second cloud is one module: another package joins through the entry points `cloud_sync.providers`."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

#: A whole provider: two media whose bytes are in memory.
OTHER_CLOUD = """
from contextlib import contextmanager
from core.errors import SourceGone
from core.model import Account, Medium, Offer, Original, parse_time

LIBRARY = {"first": b"one" * 5000, "second": b"two" * 7000}


class Bytes:
    version = "1"
    ranged = True

    def __init__(self, content, start, end):
        self.total = len(content)
        self._left = memoryview(content)[start:end]

    def readinto(self, buffer):
        block, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(block)] = block
        return len(block)


class OtherCloud:
    name = "other"
    title = "Other"

    def authenticate(self):
        return Account("me", len(LIBRARY))

    def list_media(self, report):
        report.expected = len(LIBRARY)
        for media_id, content in LIBRARY.items():
            report.found += 1
            captured_at = parse_time("2026-02-03T04:05:06Z")
            yield Medium("other", media_id, f"{media_id}.mov", "film", "there", captured_at, len(content), 1)

    def promised(self, medium):
        return 1

    def resolve(self, medium):
        if medium.media_id not in LIBRARY:
            raise SourceGone("It is not there.")
        return Offer((Original(medium.media_id, 1, "source", "mov"),))

    @contextmanager
    def open(self, original, start=0, end=None, version=""):
        yield Bytes(LIBRARY[original.media_id], start, end)


def create(settings):
    return OtherCloud()
"""

BACKUP = """
import json
from pathlib import Path
from core.archive.folder import FolderArchive
from core.credentials.file import FileCredentials
from core.model import utc_now
from core.providers.base import ProviderSettings
from core.providers.registry import create
from core.sync.local import LocalSync
from core.sync.request import Run, SyncRequest
from core.tracker.sqlite import SqliteTracker

tracker = SqliteTracker(Path("tracker.sqlite3"))
cloud = create("other", ProviderSettings(FileCredentials(Path("none.json")), leases=tracker))
driver = LocalSync(cloud, tracker, FolderArchive(Path("backup")))
runs = [driver.run(SyncRequest("other"), Run(name, utc_now())) for name in ("first", "second")]
print(json.dumps([run.to_json() for run in runs]))
"""

#: `packages` is moved to the front or to the end of where packages are looked for.
NAME_OF_GOPRO = """
import sys
place = next(path for path in sys.path if path.endswith("packages") and not path.endswith("site-packages"))
sys.path.remove(place)
sys.path.insert(0 if sys.argv[1] == "front" else len(sys.path), place)
from pathlib import Path
from core.credentials.file import FileCredentials
from core.providers.base import ProviderSettings
from core.providers.registry import create
from core.tracker.sqlite import SqliteTracker

settings = ProviderSettings(FileCredentials(Path("none.json")), leases=SqliteTracker(Path("tracker.sqlite3")))
print(create("gopro", settings).title)
"""

WANTED = {
    "other-videos/2026/02/first/first.mov": hashlib.sha256(b"one" * 5000).hexdigest(),
    "other-videos/2026/02/second/second.mov": hashlib.sha256(b"two" * 7000).hexdigest(),
}


class Elsewhere:
    """A folder from which the project is used while another package is installed beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.packages = folder / "packages"
        self.packages.mkdir()

    def install(self, module: str, source: str, **entry_points: str) -> None:
        """Install a distribution of one module, as pip leaves it."""
        (self.packages / f"{module}.py").write_text(source)
        told = self.packages / f"{module}-1.0.dist-info"
        told.mkdir()
        (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        lines = [f"{name} = {target}" for name, target in entry_points.items()]
        (told / "entry_points.txt").write_text("\n".join(["[cloud_sync.providers]", *lines, ""]))

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command there."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHONPATH": str(self.packages)}
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60)

    def archived(self) -> dict[str, str]:
        """The SHA-256 of every original in `backup`, by key."""
        root = self.folder / "backup"
        files = [path for path in root.glob("*-videos/**/*") if path.is_file()]
        return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def elsewhere(tmp_path: Path) -> Elsewhere:
    made = Elsewhere(tmp_path)
    made.install("other_cloud", OTHER_CLOUD, other="other_cloud:create")
    return made


def test_another_package_s_cloud_is_backed_up_by_the_library(elsewhere: Elsewhere) -> None:
    done = elsewhere.run(sys.executable, "-c", BACKUP)
    assert done.returncode == 0, done.stderr
    first, second = json.loads(done.stdout)
    assert (first["status"], first["provider"], first["completed"]) == ("SUCCEEDED", "other", 2)
    assert first["bytes_transferred"] == 36_000
    assert (second["status"], second["bytes_transferred"]) == ("NO_NEW_VIDEOS", 0)
    assert elsewhere.archived() == WANTED
    assert (elsewhere.folder / "backup" / "catalog" / "other" / "first.json").is_file()


def test_another_package_s_cloud_is_backed_up_by_the_command_line(elsewhere: Elsewhere) -> None:
    command = str(Path(sys.executable).with_name("cloud-sync"))
    done = elsewhere.run(command, "sync", "--provider", "other", "--to", "backup", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["completed"] == 2
    assert elsewhere.archived() == WANTED


def test_a_name_that_nobody_has_is_refused_with_the_names_of_all_that_are_known(elsewhere: Elsewhere) -> None:
    done = elsewhere.run(sys.executable, "-m", "core", "sync", "--provider", "dropbox", "--to", "backup")
    assert done.returncode == 2
    told = " ".join(done.stderr.replace("│", "").split())
    assert "There is no provider called 'dropbox'. Known: gopro, other." in told


@pytest.mark.parametrize("place", ["front", "end"])
def test_another_package_cannot_take_the_name_of_the_built_in_provider(elsewhere: Elsewhere, place: str) -> None:
    elsewhere.install("impostor", OTHER_CLOUD, gopro="impostor:create")
    done = elsewhere.run(sys.executable, "-c", NAME_OF_GOPRO, place)
    assert (done.stdout, done.stderr) == ("GoPro\n", "")


def test_a_package_that_is_broken_disturbs_nobody_who_does_not_ask_for_it(elsewhere: Elsewhere) -> None:
    elsewhere.install("broken", "raise ImportError('a broken package')\n", broken="broken:create")
    done = elsewhere.run(sys.executable, "-c", BACKUP)
    assert done.returncode == 0, done.stderr
    assert elsewhere.archived() == WANTED
