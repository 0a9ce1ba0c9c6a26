"""A whole local backup of an emulated cloud, as a test or an example sets it up."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.archive.base import Archive, Label
from core.archive.catalog import Archived, Entry
from core.archive.folder import FolderArchive
from core.archive.keys import catalog_key, original_keys
from core.credentials.base import Credentials
from core.credentials.file import FileCredentials
from core.model import Medium, Original, utc_now
from core.providers.base import Provider, ProviderSettings
from core.providers.registry import create
from core.sync.local import LocalSync, Observer
from core.sync.request import Run, SyncRequest
from core.sync.summarize import Summary
from core.sync.transfer import record_of
from core.tracker.base import SyncTracker
from core.tracker.sqlite import SqliteTracker
from tests.gopro_cloud import CloudMedium, GoProCloud, expected_originals


class Backup:
    """A folder with its tracker, and runs of it. Retries do not wait."""

    def __init__(self, folder: Path, cloud: GoProCloud) -> None:
        self.cloud = cloud
        self.folder = folder / "backup"
        self.credentials = FileCredentials(folder / "credentials.json")
        self.tracker = SqliteTracker(folder / "tracker.sqlite3")
        self.archive = FolderArchive(self.folder)
        self.runs = 0

    def sign_in(self, document: Mapping[str, str]) -> None:
        """Store credentials as `cloud-sync auth set` does."""
        self.credentials.save(Credentials.from_json(dict(document), ""))

    def provider(self) -> Provider:
        """A new provider, as each process has its own."""
        return create("gopro", ProviderSettings(self.credentials, leases=self.tracker, base_url=self.cloud.url))

    def driver(self, observer: Observer | None = None, workers: int = 4) -> LocalSync:
        """The local driver, without pauses between attempts."""
        return LocalSync(
            self.provider(), self.tracker, self.archive, workers=workers, observer=observer, sleep=lambda _: None
        )

    def run(self, observer: Observer | None = None, workers: int = 4, **request: Any) -> Summary:
        """One run."""
        self.runs += 1
        run = Run(f"run-{self.runs}", utc_now())
        return self.driver(observer, workers).run(SyncRequest(**request), run)

    def archived(self) -> dict[str, set[tuple[int, str]]]:
        """Length and SHA-256 of every file that is there, by media id."""
        found: dict[str, set[tuple[int, str]]] = {}
        for path in self.folder.glob("gopro-videos/*/*/*/*"):
            content = path.read_bytes()
            found.setdefault(path.parent.name, set()).add((len(content), hashlib.sha256(content).hexdigest()))
        return found

    def status(self, media_id: str) -> str:
        """The tracker's status of a medium."""
        return self.tracker.get("gopro", [media_id])[media_id].status.value


def fill(archive: Archive, tracker: SyncTracker, count: int, workers: int = 16) -> list[str]:
    """Make a backup of `count` small photos without a cloud, as transfers would have left it; the keys."""
    content, now = b"a small photo", utc_now()
    digest = hashlib.sha256(content).hexdigest()

    def store(number: int) -> Entry:
        captured_at = datetime(2015 + number % 10, number % 12 + 1, number % 28 + 1, tzinfo=UTC)
        medium = Medium("gopro", f"photo{number:07}", "GOPR0001.JPG", "Photo", "ready", captured_at, len(content), 1)
        original = Original(medium.media_id, 1, "source", "jpg")
        (key,) = original_keys(medium, [original])
        label = Label("gopro", medium.media_id, 1, "source", captured_at, "filled")
        stored = archive.put(key, memoryview(content), label, digest, replaces=True)
        entry = Entry(medium, now, "", (Archived(1, "source", "", stored),))
        archive.put_document(catalog_key("gopro", medium.media_id), entry.to_bytes())
        return entry

    with ThreadPoolExecutor(workers) as pool:
        entries = list(pool.map(store, range(count)))
    tracker.add(record_of(entry, "filled", now) for entry in entries)
    return [entry.originals[0].stored.key for entry in entries]


def wanted(library: Iterable[CloudMedium]) -> dict[str, set[tuple[int, str]]]:
    """What `Backup.archived` must be for a library."""
    told = expected_originals(library)
    return {media_id: {(one.length, one.sha256) for one in originals} for media_id, originals in told.items()}
