"""How long verify and reindex take, for a folder and a bucket: `python -m scripts.verify_at_scale 100000`."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from botocore.model import OperationModel

from core.archive.base import Archive, Inventory
from core.archive.folder import FolderArchive
from core.archive.folder_inventory import FolderInventory
from core.archive.s3 import S3Archive
from core.archive.s3_inventory import S3Inventory
from core.model import utc_now
from core.sync.request import Run
from core.tracker.base import Tracker
from core.tracker.dynamodb import DynamoTracker
from core.tracker.sqlite import SqliteTracker
from core.verify import Verification, Verifier
from tests.cloud_sync import fill
from tests.emulator import Emulator


def measure(where: str, count: int, archive: Archive, inventory: Inventory, trackers: tuple[Tracker, Tracker]) -> None:
    """Fill an archive, then verify it by its listing, with every checksum, and rebuild its tracker."""
    full, empty = trackers
    timed(f"{where}: fill", lambda: str(len(fill(archive, full, count))))
    for name, tracker, request in (
        ("verify", full, Verification()),
        ("verify --checksums", full, Verification(checksums=True)),
        ("reindex", empty, Verification(repair=True, untracked=True)),
        ("verify", empty, Verification()),
    ):

        def look(tracker: Tracker = tracker, request: Verification = request) -> str:
            report, _ = Verifier(tracker, archive, inventory).verify(request, Run("measured", utc_now()))
            return f"{report.media} media, {report.originals} originals, {report.status}, {dict(report.repaired)}"

        timed(f"{where}: {name}", look)


def timed(name: str, work: Callable[[], str]) -> None:
    CALLS.clear()
    began, busy = time.monotonic(), time.process_time()
    told = work()
    seconds, busy = time.monotonic() - began, time.process_time() - busy
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{name}: {seconds:.1f} s, {busy:.1f} s of CPU, {told}; {dict(CALLS)}; {megabytes} MB at most so far",
        flush=True,
    )


CALLS: Counter[str] = Counter()


def note(model: OperationModel, **_: object) -> None:
    CALLS[model.name] += 1


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    places = sys.argv[2:] or ["folder", "bucket"]
    if "folder" in places:
        in_a_folder(count)
    if "bucket" in places:
        in_a_bucket(count)


def in_a_folder(count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive = FolderArchive(folder / "backup")
        trackers = (SqliteTracker(folder / "full.sqlite3"), SqliteTracker(folder / "empty.sqlite3"))
        measure("folder", count, archive, FolderInventory(folder / "backup", archive), trackers)


def in_a_bucket(count: int) -> None:
    with Emulator() as emulator:
        s3, dynamodb = emulator.client("s3"), emulator.client("dynamodb")
        s3.create_bucket(Bucket="archive")
        s3.put_bucket_versioning(Bucket="archive", VersioningConfiguration={"Status": "Enabled"})
        full, empty = (DynamoTracker(dynamodb, emulator.tracker_table(name)) for name in ("full", "empty"))
        for client in (s3, dynamodb):
            client.meta.events.register("provide-client-params.*", note)
        bucket = S3Archive(s3, "archive")
        measure("bucket", count, bucket, S3Inventory(s3, "archive", bucket), (full, empty))


if __name__ == "__main__":
    main()
