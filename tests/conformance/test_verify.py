"""One suite of disasters for a folder with SQLite and a bucket with DynamoDB: what is found, and how it is mended."""

from __future__ import annotations

import errno
import json
import math
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from core.archive.base import Inventory, Label, Shape
from core.archive.folder_inventory import FolderInventory
from core.archive.s3 import S3Archive
from core.archive.s3_inventory import S3Inventory
from core.errors import CloudSyncError
from core.model import Reason, Record, Status, Stored, utc_now
from core.sync.request import Run
from core.sync.summarize import Summary
from core.tracker.dynamodb import DynamoTracker
from core.tracker.sqlite import SqliteTracker
from core.verify import Finding, Kind, Repair, Report, Verification, Verifier
from core.verify.notify import about_findings
from tests.cloud_sync import Backup, wanted
from tests.emulator import Emulator
from tests.gopro_cloud import GoProCloud, many_small, sample_library
from tests.refusing import refuse

#: Every call that gives bytes of an object, or asks for a restore.
READING = {"GetObject", "RestoreObject", "SelectObjectContent", "CopyObject"}


class Place(Backup):
    """A backup whose archive can be damaged behind the back of the tracker."""

    tracker: Any
    archive: Any
    inventory: Inventory
    calls: list[tuple[str, str]]

    def delete(self, key: str) -> None:
        """Take an object away."""
        raise NotImplementedError

    def write(self, key: str, content: bytes) -> None:
        """Put other bytes in the place of an object."""
        raise NotImplementedError

    def content(self, key: str) -> bytes:
        """What is there now."""
        raise NotImplementedError

    def identity(self, key: str) -> object:
        """What changes whenever an object is written, even with the same bytes."""
        raise NotImplementedError

    def lose_tracker(self) -> None:
        """Throw the tracker away and begin with an empty one."""
        raise NotImplementedError

    def keys(self, prefix: str) -> list[str]:
        return sorted(one.key for one in self.inventory.objects(prefix))

    def verify(self, **request: Any) -> tuple[Report, list[Finding]]:
        self.calls.clear()
        verifier = Verifier(self.tracker, self.archive, self.inventory)
        return verifier.verify(Verification(**request), Run("verify-1", utc_now()))

    def found(self, **request: Any) -> dict[str, int]:
        return dict(self.verify(**request)[0].found)

    def moved(self, summary: Summary) -> int:
        return summary.bytes_transferred

    def entry(self, media_id: str) -> Any:
        return json.loads(self.content(f"catalog/gopro/{media_id}.json"))

    def rewrite_entry(self, name: str, **changes: Any) -> None:
        changed = self.entry(name) | changes
        self.write(f"catalog/gopro/{name}.json", json.dumps(changed).encode())


class InFolder(Place):
    def __init__(self, folder: Path, cloud: GoProCloud) -> None:
        super().__init__(folder, cloud)
        self.inventory = FolderInventory(self.folder, self.archive)
        self.calls = []
        self._home = folder

    def delete(self, key: str) -> None:
        (self.folder / key).unlink()

    def write(self, key: str, content: bytes) -> None:
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def content(self, key: str) -> bytes:
        return (self.folder / key).read_bytes()

    def identity(self, key: str) -> object:
        return (self.folder / key).stat().st_ino

    def lose_tracker(self) -> None:
        self.tracker = SqliteTracker(self._home / f"tracker-{uuid4().hex[:8]}.sqlite3")


class InBucket(Place):
    def __init__(self, folder: Path, cloud: GoProCloud, emulator: Emulator) -> None:
        super().__init__(folder, cloud)
        self._emulator = emulator
        self.client = emulator.client("s3")
        self.bucket = f"archive-{uuid4().hex[:12]}"
        self.client.create_bucket(Bucket=self.bucket)
        self.client.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        self.archive = S3Archive(self.client, self.bucket)
        self.inventory = S3Inventory(self.client, self.bucket, self.archive)
        self.calls = []
        self.client.meta.events.register("provide-client-params.s3.*", self._note)
        self.lose_tracker()

    def _note(self, params: Any, model: Any, **_: Any) -> None:
        self.calls.append((model.name, params.get("Key", "")))

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=key)

    def write(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=content, ChecksumAlgorithm="SHA256")

    def content(self, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def identity(self, key: str) -> object:
        return self.client.head_object(Bucket=self.bucket, Key=key)["VersionId"]

    def lose_tracker(self) -> None:
        table = self._emulator.tracker_table(f"tracker-{uuid4().hex[:8]}")
        self.tracker = DynamoTracker(self._emulator.client("dynamodb"), table)

    def archived(self) -> dict[str, set[tuple[int, str]]]:
        from hashlib import sha256

        found: dict[str, set[tuple[int, str]]] = {}
        for key in self.keys("gopro-videos/"):
            content = self.content(key)
            found.setdefault(key.split("/")[3], set()).add((len(content), sha256(content).hexdigest()))
        return found


@pytest.fixture(scope="module")
def cloud() -> Iterator[GoProCloud]:
    with GoProCloud([]) as running:
        yield running


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path, cloud: GoProCloud) -> Place:
    """A backup of one of everything, that is all right."""
    cloud.media = sample_library(scale=0.02)
    found: Place
    if request.param == "folder":
        found = InFolder(tmp_path, cloud)
    else:
        found = InBucket(tmp_path, cloud, request.getfixturevalue("emulator"))
    found.sign_in(cloud.pasted())
    assert found.run().status == "SUCCEEDED"
    return found


VIDEO = "gopro-videos/2026/03/62NzWRrpPXm7o/GX010327.MP4"
CHAPTER = "gopro-videos/2026/03/chapters-told3/GX020411.MP4"
OTHER = "gopro-videos/2026/03/second-camera1/GX010327.MP4"


def altered(content: bytes) -> bytes:
    """As many bytes, of which one is another."""
    return bytes([content[0] ^ 1]) + content[1:]


def mended(place: Place, moved: int) -> None:
    """The next sync moves exactly so many bytes, and then everything is as it should be."""
    summary = place.run()
    assert (summary.failed, summary.bytes_transferred) == (0, moved)
    assert place.archived() == wanted(place.cloud.media)
    assert place.found(checksums=True) == {}


# --------------------------------------------------------------------------- nothing is wrong
def test_a_backup_that_is_all_right_is_sound(place: Place) -> None:
    report, findings = place.verify()
    assert (report.status, findings, report.cursor) == ("SOUND", [], "")
    assert report.originals == sum(map(len, wanted(place.cloud.media).values()))
    assert report.length == sum(length for files in wanted(place.cloud.media).values() for length, _ in files)
    assert place.found(checksums=True) == {}
    assert place.found(repair=True) == {}


def test_no_original_is_read_and_listings_are_not_one_call_an_object(place: Place) -> None:
    place.verify(repair=True)
    assert not [key for name, key in place.calls if name in READING and "-videos/" in key]
    assert not [name for name, _ in place.calls if name.startswith("Head")]
    place.verify(checksums=True, repair=True)
    assert not [key for name, key in place.calls if name in READING and "-videos/" in key]


def test_a_medium_that_waits_for_its_source_is_no_finding(place: Place) -> None:
    place.tracker.save(replace(place.tracker.get("gopro", ["still-uploading"])["still-uploading"], originals=0))
    assert place.found() == {}


# ------------------------------------------------------------------------------------ objects
def test_a_missing_original_is_found_queued_and_brought_again(place: Place) -> None:
    length = len(place.content(CHAPTER))
    place.delete(CHAPTER)
    assert place.run().bytes_transferred == 0, "a sync trusts its own record: only a verification sees it"
    assert place.found() == {"missing": 1}
    assert place.status("chapters-told3") == "COMPLETED", "without repair nothing is changed"
    _, (finding,) = place.verify(repair=True)
    assert (finding.kind, finding.key, finding.repair) == (Kind.MISSING, CHAPTER, Repair.QUEUED)
    record = place.tracker.get("gopro", ["chapters-told3"])["chapters-told3"]
    assert (record.status, record.reason) == (Status.PENDING, Reason.NOT_VERIFIED)
    assert "GX020411.MP4" in record.error
    mended(place, moved=length)


def test_a_short_original_is_found_and_brought_again(place: Place) -> None:
    content = place.content(VIDEO)
    place.write(VIDEO, content[:-1])
    _, (finding,) = place.verify(repair=True)
    assert (finding.kind, finding.media_id) == (Kind.DAMAGED, "62NzWRrpPXm7o")
    mended(place, moved=len(content))


def test_an_original_with_other_bytes_of_the_same_length_is_brought_again(place: Place) -> None:
    content = place.content(VIDEO)
    place.write(VIDEO, altered(content))
    _, (finding,) = place.verify(repair=True, checksums=True)
    assert (finding.kind, finding.key, finding.repair) == (Kind.DAMAGED, VIDEO, Repair.QUEUED)
    mended(place, moved=len(content))


def test_a_bucket_tells_other_bytes_of_the_same_length_by_its_listing(place: Place) -> None:
    place.write(VIDEO, altered(place.content(VIDEO)))
    assert place.found() == ({} if isinstance(place, InFolder) else {"damaged": 1})


def test_an_object_that_pretends_to_be_the_archived_one_is_seen_through(place: Place) -> None:
    if not isinstance(place, InBucket):
        pytest.skip("a folder's files carry nothing")
    content = place.content(VIDEO)
    told = place.client.head_object(Bucket=place.bucket, Key=VIDEO)["Metadata"]
    place.client.put_object(
        Bucket=place.bucket, Key=VIDEO, Body=altered(content), Metadata=told, ChecksumAlgorithm="SHA256"
    )
    assert place.found(repair=True) == {"damaged": 1}
    mended(place, moved=len(content))


def test_an_object_of_which_the_store_has_no_checksum_of_ours_is_brought_again(place: Place) -> None:
    if not isinstance(place, InBucket):
        pytest.skip("a folder keeps no checksums")
    content = place.content(VIDEO)
    place.client.put_object(Bucket=place.bucket, Key=VIDEO, Body=altered(content))
    assert place.found(repair=True) == {"damaged": 1}
    mended(place, moved=len(content))


def test_only_what_is_damaged_is_written_anew(place: Place) -> None:
    before = {key: place.identity(key) for key in place.keys("gopro-videos/")}
    place.write(CHAPTER, b"short")
    place.verify(repair=True)
    place.run()
    after = {key: place.identity(key) for key in place.keys("gopro-videos/")}
    assert [key for key in before if before[key] != after[key]] == [CHAPTER]


def test_what_is_missing_and_gone_at_its_source_stays_a_finding(place: Place) -> None:
    place.delete(VIDEO)
    place.verify(repair=True)
    place.cloud.media = [one for one in place.cloud.media if one.media_id != "62NzWRrpPXm7o"]
    place.run()
    assert place.status("62NzWRrpPXm7o") == "SOURCE_GONE"
    _, (finding,) = place.verify(repair=True)
    assert (finding.kind, finding.repair) == (Kind.MISSING, Repair.NONE)
    assert "the provider no longer has it" in finding.detail


def test_objects_that_nobody_knows_are_told_and_left_alone(place: Place) -> None:
    strangers = [
        "gopro-videos/2026/03/62NzWRrpPXm7o/GX990327.MP4",
        "gopro-videos/2026/03/nobody-s-medium/GX010001.MP4",
        "gopro-videos/readme.txt",
        "catalog/gopro/old/x.json",
    ]
    for key in strangers:
        place.write(key, b"whose is it?")
    _, findings = place.verify(repair=True)
    assert {one.kind for one in findings} == {Kind.UNKNOWN_OBJECT}
    assert sorted(one.key for one in findings) == sorted(strangers)
    assert {one.repair for one in findings} == {Repair.NONE}
    assert [place.content(key) for key in strangers] == [b"whose is it?"] * 4


def test_what_systems_leave_in_folders_is_no_finding(place: Place) -> None:
    place.write("gopro-videos/2026/03/62NzWRrpPXm7o/.DS_Store", b"x")
    place.write("gopro-videos/Thumbs.db", b"x")
    assert place.found() == {}


# ------------------------------------------------------------------------------------ catalog
UNREADABLE = (b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"provider": "gopro"}', b"[" * 100_000, b'{"originals": 3}')


def test_an_unreadable_catalog_entry_is_made_anew_and_nothing_moves(place: Place) -> None:
    media = sorted(wanted(place.cloud.media))[: len(UNREADABLE)]
    before = {media_id: place.entry(media_id) for media_id in media}
    for media_id, content in zip(media, UNREADABLE, strict=True):
        place.write(f"catalog/gopro/{media_id}.json", content)
    _, findings = place.verify(repair=True)
    assert [(one.kind, one.media_id, one.repair) for one in findings] == [
        (Kind.CATALOG_UNREADABLE, media_id, Repair.REBUILT) for media_id in media
    ]
    for media_id in media:
        after = place.entry(media_id)
        for name in ("provider", "media_id", "filename", "captured_at", "missing"):
            assert after[name] == before[media_id][name]
        assert by_key(after["originals"]) == by_key(before[media_id]["originals"])
        assert place.status(media_id) == "COMPLETED"
    mended(place, moved=0)


OTHER_CHECKSUM = f"SHA256:{b64encode(bytes(32)).decode()}"


def by_key(originals: list[Any]) -> list[Any]:
    return sorted(originals, key=lambda one: str(one["key"]))


def test_a_lost_catalog_entry_is_made_anew_even_if_the_source_has_gone(place: Place) -> None:
    place.delete("catalog/gopro/62NzWRrpPXm7o.json")
    everything, place.cloud.media = place.cloud.media, place.cloud.media[1:]
    _, (finding,) = place.verify(repair=True)
    assert (finding.kind, finding.repair) == (Kind.CATALOG_MISSING, Repair.REBUILT)
    place.run()
    assert place.status("62NzWRrpPXm7o") == "COMPLETED"
    place.cloud.media = everything
    mended(place, moved=0)


def test_a_catalog_entry_that_contradicts_the_archive_is_corrected_and_the_object_is_left(place: Place) -> None:
    identity = place.identity(VIDEO)
    entry = place.entry("62NzWRrpPXm7o")
    (original,) = entry["originals"]
    place.rewrite_entry("62NzWRrpPXm7o", originals=[original | {"sha256": "0" * 64, "store_checksum": OTHER_CHECKSUM}])
    _, (finding,) = place.verify(repair=True, checksums=True)
    assert (finding.kind, finding.repair) == (Kind.CATALOG_CONTRADICTS, Repair.REBUILT)
    assert place.entry("62NzWRrpPXm7o")["originals"] == [original]
    assert place.entry("62NzWRrpPXm7o")["facts"] == entry["facts"]
    assert place.identity(VIDEO) == identity
    mended(place, moved=0)


def test_a_catalog_entry_with_another_length_is_corrected_and_the_object_is_left(place: Place) -> None:
    identity = place.identity(VIDEO)
    (original,) = place.entry("62NzWRrpPXm7o")["originals"]
    place.rewrite_entry("62NzWRrpPXm7o", originals=[original | {"length": original["length"] + 1}])
    report, _ = place.verify(repair=True)
    assert set(report.found) == {"catalog_contradicts"}
    assert place.entry("62NzWRrpPXm7o")["originals"] == [original]
    assert place.identity(VIDEO) == identity
    mended(place, moved=0)


def test_a_catalog_entry_with_wrong_keys_is_corrected_though_the_objects_seem_to_be_missing(place: Place) -> None:
    before = place.entry("chapters-told3")["originals"]
    place.rewrite_entry("chapters-told3", originals=[one | {"key": f"{one['key']}.bak"} for one in before])
    report, _ = place.verify(repair=True)
    assert report.found["missing"] == 3
    assert set(report.repaired) == {"rebuilt"}
    assert place.entry("chapters-told3")["originals"] == before
    mended(place, moved=0)


def test_a_catalog_entry_that_cannot_be_true_is_corrected(place: Place) -> None:
    before = place.entry("chapters-told3")["originals"]
    elsewhere = before[0] | {"key": "gopro-videos/2026/03/../../../secret"}
    changes: list[dict[str, Any]] = [
        {"media_id": "second-camera1"},
        {"provider": "dropbox"},
        {"missing": "chapter 4"},
        {"originals": []},
        {"originals": before[:-1]},
        {"originals": [*before[:-1], before[0]]},
        {"originals": [elsewhere, *before[1:]]},
    ]
    for change in changes:
        place.rewrite_entry("chapters-told3", **change)
        report, findings = place.verify(repair=True)
        assert (set(report.found), set(report.repaired)) == ({"catalog_contradicts"}, {"rebuilt"}), (change, findings)
        assert place.entry("chapters-told3")["originals"] == before
    mended(place, moved=0)


def test_a_lost_entry_of_a_medium_of_which_an_original_is_lost_too_is_queued(place: Place) -> None:
    length = len(place.content(CHAPTER))
    place.delete(CHAPTER)
    place.delete("catalog/gopro/chapters-told3.json")
    report, findings = place.verify(repair=True)
    assert report.found == {"catalog_missing": 1, "missing": 1}
    assert {one.repair for one in findings} == {Repair.QUEUED}
    mended(place, moved=length)


@pytest.mark.parametrize(
    "change",
    [{"store_checksum": "SHA256:A"}, {"sha256": "0"}, {"part_size": 0}, {"length": 10**400}],
    ids=lambda change: next(iter(change)),
)
def test_an_original_of_which_the_catalog_tells_what_cannot_be_is_told_anew_and_nothing_moves(
    place: Place, change: dict[str, Any]
) -> None:
    before = place.entry("chapters-told3")["originals"]
    place.rewrite_entry("chapters-told3", originals=[before[0] | change, *before[1:]])
    _, (finding,) = place.verify(repair=True)
    assert (finding.kind, finding.repair) == (Kind.CATALOG_UNREADABLE, Repair.REBUILT)
    assert place.entry("chapters-told3")["originals"] == before
    mended(place, moved=0)


def test_facts_that_are_none_are_told_anew_too(place: Place) -> None:
    place.rewrite_entry("chapters-told3", facts=["x"])
    assert place.found(repair=True) == {"catalog_unreadable": 1}
    mended(place, moved=0)


def test_a_stray_document_in_the_catalog_is_a_finding_and_makes_no_medium(place: Place) -> None:
    place.write("catalog/gopro/chapters-told3 copy.json", place.content("catalog/gopro/chapters-told3.json"))
    place.write("catalog/gopro/junk.json", b"{")
    records = {one.media_id for one in place.tracker.records("gopro")}
    _, findings = place.verify(repair=True)
    assert [(one.kind, one.media_id, one.repair) for one in findings] == [
        (Kind.CATALOG_CONTRADICTS, "chapters-told3 copy", Repair.NONE),
        (Kind.CATALOG_UNREADABLE, "junk", Repair.NONE),
    ]
    assert {one.media_id for one in place.tracker.records("gopro")} == records


# --------------------------------------------------------------------- what the store does not tell
def unread(place: Place, monkeypatch: pytest.MonkeyPatch, key: str, error: Exception) -> None:
    """From now on `key` cannot be read."""
    real = place.archive.read_document

    def read(wanted_key: str) -> Iterator[bytes]:
        if wanted_key == key:
            raise error
        return iter(real(wanted_key))

    monkeypatch.setattr(place.archive, "read_document", read)


def test_an_entry_that_the_store_does_not_give_is_told_and_neither_rewritten_nor_queued(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "catalog/gopro/62NzWRrpPXm7o.json"
    identity = place.identity(key)
    unread(place, monkeypatch, key, CloudSyncError("S3 refuses GetObject for it (AccessDenied)."))
    place.delete(CHAPTER)
    _, findings = place.verify(repair=True)
    assert [(one.kind, one.media_id, one.repair) for one in findings] == [
        (Kind.NOT_CHECKED, "62NzWRrpPXm7o", Repair.NONE),
        (Kind.MISSING, "chapters-told3", Repair.QUEUED),
    ]
    assert "AccessDenied" in findings[0].detail
    assert place.status("62NzWRrpPXm7o") == "COMPLETED"
    assert place.identity(key) == identity


def test_an_entry_that_the_disk_cannot_read_is_made_anew(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "catalog/gopro/62NzWRrpPXm7o.json"
    with monkeypatch.context() as broken:
        unread(place, broken, key, OSError(errno.EIO, "Input/output error"))
        _, (finding,) = place.verify(repair=True)
    assert (finding.kind, finding.repair) == (Kind.CATALOG_UNREADABLE, Repair.REBUILT)
    mended(place, moved=0)


@pytest.mark.parametrize("error", [CloudSyncError("S3 refuses HeadObject (403)."), PermissionError(13, "not allowed")])
def test_an_object_that_cannot_be_asked_for_is_told_and_neither_queued_nor_recorded(
    place: Place, error: Exception
) -> None:
    class Refusing(type(place.inventory)):  # type: ignore[misc]
        def judge(self, known: Stored, listed: Any, *, checksums: bool) -> Any:
            if known.key == VIDEO:
                raise error
            return super().judge(known, listed, checksums=checksums)

    refusing = Refusing(*(vars(place.inventory)[name] for name in vars(place.inventory)))
    verifier = Verifier(place.tracker, place.archive, refusing)
    report, (finding,) = verifier.verify(Verification(repair=True), Run("v", utc_now()))
    assert (finding.kind, finding.key, finding.repair) == (Kind.NOT_CHECKED, VIDEO, Repair.NONE)
    assert (report.status, place.status("62NzWRrpPXm7o")) == ("FINDINGS", "COMPLETED")
    place.lose_tracker()
    verifier = Verifier(place.tracker, place.archive, refusing)
    report, findings = verifier.verify(Verification(repair=True, untracked=True), Run("v", utc_now()))
    assert {(one.kind, one.repair) for one in findings if one.media_id == "62NzWRrpPXm7o"} == {
        (Kind.NOT_CHECKED, Repair.NONE),
        (Kind.NOT_TRACKED, Repair.NONE),
    }
    assert "62NzWRrpPXm7o" not in place.tracker.get("gopro", ["62NzWRrpPXm7o"])
    assert "could not be looked at" in about_findings(report, Run("v", utc_now())).message


def test_a_403_of_one_object_is_told_and_the_rest_is_verified(place: Place) -> None:
    if not isinstance(place, InBucket):
        pytest.skip("a folder has no such answer")
    refuse(place.client, "HeadObject", VIDEO)
    place.write(OTHER, altered(place.content(OTHER)))
    _, findings = place.verify(repair=True, checksums=True)
    assert [(one.kind, one.key, one.repair) for one in findings] == [
        (Kind.NOT_CHECKED, VIDEO, Repair.NONE),
        (Kind.DAMAGED, OTHER, Repair.QUEUED),
    ]


def test_a_lost_entry_of_an_object_that_cannot_be_asked_for_is_told_and_not_mended(place: Place) -> None:
    if not isinstance(place, InBucket):
        pytest.skip("a folder has no such answer")
    refuse(place.client, "HeadObject", VIDEO)
    place.delete("catalog/gopro/62NzWRrpPXm7o.json")
    _, findings = place.verify(repair=True)
    assert [(one.kind, one.repair) for one in findings] == [
        (Kind.CATALOG_MISSING, Repair.NONE),
        (Kind.NOT_CHECKED, Repair.NONE),
    ]
    assert place.status("62NzWRrpPXm7o") == "COMPLETED"


# ------------------------------------------------------------------------------------ tracker
def test_a_tracker_that_was_lost_is_rebuilt_and_a_sync_moves_not_one_byte(place: Place) -> None:
    before = {one.media_id: one for one in place.tracker.records("gopro") if one.status is Status.COMPLETED}
    place.lose_tracker()
    assert place.found() == {"not_tracked": len(before)}
    report, _ = place.verify(repair=True, untracked=True)
    assert report.repaired == {"tracked": len(before)}
    after = {one.media_id: one for one in place.tracker.records("gopro")}
    for media_id, record in before.items():
        again = after[media_id]
        assert (again.status, again.filename, again.originals, again.length, again.error_type, again.error) == (
            (record.status, record.filename, record.originals, record.length, record.error_type, record.error)
        )
    served = place.cloud.counts.bytes_served.total()
    mended(place, moved=0)
    assert place.cloud.counts.bytes_served.total() == served


def test_rebuilding_a_tracker_leaves_the_records_that_are_there(place: Place) -> None:
    before = sorted(place.tracker.records("gopro"), key=lambda one: one.media_id)
    report, findings = place.verify(repair=True, untracked=True)
    assert (report.media, findings) == (0, [])
    assert sorted(place.tracker.records("gopro"), key=lambda one: one.media_id) == before


def test_rebuilding_a_tracker_records_nothing_as_completed_that_is_not_there(place: Place) -> None:
    length = len(place.content(CHAPTER))
    place.delete(CHAPTER)
    place.lose_tracker()
    report, _ = place.verify(repair=True, untracked=True)
    assert report.found["missing"] == 1
    assert place.status("chapters-told3") == "PENDING"
    mended(place, moved=length)


def test_all_disasters_at_once(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.cloud.media = [*sample_library(scale=0.02), *many_small(100, 2000)]
    place.run()
    keys = place.keys("gopro-videos/")
    lost, damaged = keys[1 :: len(keys) // 2], keys[5]
    bytes_lost = sum(len(place.content(key)) for key in (*lost, damaged))
    for key in lost:
        place.delete(key)
    place.write(damaged, b"short")
    place.write("catalog/gopro/small000050.json", b"{")
    place.lose_tracker()
    report, findings = place.verify(repair=True)
    media = sum(one.originals != () for one in place.cloud.media)
    assert report.found == {
        "missing": len(lost),
        "damaged": 1,
        "catalog_unreadable": 1,
        "not_tracked": media - 1,
    }
    assert [one for one in findings if one.repair is Repair.NONE] == []
    with capsys.disabled():
        print(f"\n{type(place).__name__}: {report.summary() | {'first': '…'}}")
    mended(place, moved=bytes_lost)


# ----------------------------------------------------------------------------- uploads, time
def test_an_upload_of_a_medium_that_went_from_its_source_is_ended_though_it_could_be_gone_on_with(
    place: Place,
) -> None:
    if not isinstance(place, InBucket):
        pytest.skip("each sync into a folder cleans up itself")
    key = "gopro-videos/2026/03/away/GX010001.MP4"
    upload = place.archive.start(key, Label("gopro", "away", 1, "source", None, "r"), Shape(8 << 20, 9 << 20))
    place.tracker.keep(key, json.dumps({"upload_id": upload.upload_id}))
    place.tracker.save(Record("gopro", "away", Status.SOURCE_GONE, "r", utc_now()))
    later = Verifier(place.tracker, place.archive, place.inventory, clock=lambda: utc_now() + timedelta(days=2))
    _, (finding,) = later.verify(Verification(repair=True), Run("v", utc_now()))
    assert (finding.kind, finding.repair) == (Kind.OPEN_UPLOAD, Repair.ENDED)
    assert list(place.inventory.open_uploads("")) == []


def test_an_upload_that_is_older_than_a_run_is_found_and_ended_unless_a_run_can_go_on_with_it(place: Place) -> None:
    if not isinstance(place, InBucket):
        pytest.skip("each sync into a folder cleans up itself")
    label = Label("gopro", "x", 1, "source", None, "run-0")
    orphan, resumable = (place.archive.start(f"gopro-videos/{n}", label, Shape(8 << 20, 9 << 20)) for n in "ab")
    place.tracker.keep("gopro-videos/b", json.dumps({"upload_id": resumable.upload_id}))
    assert place.found(repair=True) == {}, "they may be of a run that is under way"
    later = Verifier(place.tracker, place.archive, place.inventory, clock=lambda: utc_now() + timedelta(days=2))
    _, findings = later.verify(Verification(repair=True), Run("v", utc_now()))
    assert [(one.kind, one.key, one.repair) for one in findings] == [
        (Kind.OPEN_UPLOAD, "gopro-videos/a", Repair.ENDED),
        (Kind.OPEN_UPLOAD, "gopro-videos/b", Repair.NONE),
    ]
    assert [one.upload_id for one in place.inventory.open_uploads("")] == [resumable.upload_id]
    assert orphan.upload_id != resumable.upload_id


def test_a_verification_in_stretches_finds_what_one_at_a_stroke_finds(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.verify.verify._BATCH", 3)
    for media_id in ("chapters-told3", "62NzWRrpPXm7o", "timelapse-set1"):
        place.delete(f"catalog/gopro/{media_id}.json")
    place.write("gopro-videos/readme.txt", b"")
    whole, findings = place.verify()
    verifier = Verifier(place.tracker, place.archive, place.inventory)
    run = Run("in-stretches", utc_now())
    report = Report("gopro")
    while True:
        report = verifier.stretch(Verification(), run, report, lambda: 1.0)
        if not report.cursor:
            break
        report = Report.from_json(json.loads(json.dumps(report.to_json())))
    assert report.stretches > 3
    assert report.summary() == whole.summary()
    kept = [line for key in place.keys("runs/in-stretches/") for line in place.archive.read_document(key)]
    assert sorted(json.loads(line)["detail"] for line in kept) == sorted(one.detail for one in findings)


def test_a_medium_that_is_completed_while_it_is_looked_at_is_no_finding(place: Place) -> None:
    """The listing of the archive was made before, that of the tracker after a sync: as bad as it can be."""

    class Late(type(place.inventory)):  # type: ignore[misc]
        def objects(self, prefix: str) -> Iterator[Any]:
            is_first = prefix == "gopro-videos/"
            return (one for one in super().objects(prefix) if not (is_first and one.key == VIDEO))

    late = Late(*(vars(place.inventory)[name] for name in vars(place.inventory)))
    verifier = Verifier(place.tracker, place.archive, late)
    report, findings = verifier.verify(Verification(repair=True), Run("v", utc_now()), None, lambda: math.inf)
    assert (report.found, findings) == ({}, [])
    assert place.status("62NzWRrpPXm7o") == "COMPLETED"
