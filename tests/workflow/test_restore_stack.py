"""Stories of a restore from a stack whose originals are in archive classes, through the command itself."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from core.archive.s3 import S3Archive
from core.model import Record, Status
from core.tracker.dynamodb import DynamoTracker
from tests.archived import Film, content, store_all
from tests.aws_front import AwsFront
from tests.emulator import Emulator
from tests.pages import text_of
from tests.restoring import Shell, make_stack
from tests.unit.test_command_line import Terminal

FILMS = [
    Film("spring", "GX010001.MP4", datetime(2026, 3, 1, 9, 15, tzinfo=UTC), (400_000, 300_000)),
    Film("autumn", "GX010002.MP4", datetime(2026, 9, 1, 9, 15, tzinfo=UTC), (200_000,), {"camera_model": "MAX"}),
]
SPRING = [f"gopro-videos/2026/03/spring/GX0{number}0001.MP4" for number in (1, 2)]
(AUTUMN,) = ["gopro-videos/2026/09/autumn/GX010002.MP4"]


class Story:
    """A stack, its bucket, and a user's shell whose AWS is behind a front."""

    def __init__(self, emulator: Emulator, folder: Path, storage_class: str | None) -> None:
        self.stack = f"restore-{uuid4().hex[:8]}"
        outputs = make_stack(emulator, self.stack)
        self.bucket = outputs["ArchiveBucketName"]
        self.tracker = DynamoTracker(emulator.client("dynamodb"), outputs["SyncTrackerTableName"])
        self.s3 = emulator.client("s3")
        self.archive = S3Archive(self.s3, self.bucket, storage_class=storage_class)
        self.entries = store_all(self.archive, FILMS)
        self.into = folder / "restored"
        self.front = AwsFront(emulator.endpoint)
        self.front.holds = True
        self.shell = Shell(folder, self.front.url)

    def restore(self, *arguments: str) -> tuple[int, str, str]:
        return self.shell.run("restore", "--stack", self.stack, "--into", self.into, *arguments)

    def status(self) -> dict[str, int]:
        command = ["restore", "--stack", self.stack, "--into", str(self.into), "--all", "--status"]
        code, printed, _ = self.shell.run(*command, "--json")
        found = {name: count for name, count in json.loads(printed)["objects"].items() if count}
        assert code == (5 if "requested" in found else 0)
        return found

    def end_restores(self) -> None:
        """Wait until S3 has restored what was asked for."""
        time.sleep(2.5)
        self.front.holds = False

    def files(self) -> dict[str, str]:
        found = self.into.glob("gopro-videos/*/*/*/*")
        return {path.relative_to(self.into).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def digest(film: Film, number: int = 1) -> str:
    return hashlib.sha256(content(film, number)).hexdigest()


@pytest.fixture
def cold(emulator: Emulator, tmp_path: Path) -> Iterator[Story]:
    story = Story(emulator, tmp_path, "DEEP_ARCHIVE")
    with story.front:
        yield story


@pytest.fixture
def warm(emulator: Emulator, tmp_path: Path) -> Iterator[Story]:
    story = Story(emulator, tmp_path, None)
    with story.front:
        yield story


def test_what_is_archived_is_requested_once_and_brought_when_it_is_ready(cold: Story) -> None:
    assert cold.status() == {"archived": 3}
    code, printed, said = cold.restore("--since", "2026-03", "--until", "2026-03", "--yes")
    assert code == 5
    assert "S3 was asked to restore 2 objects" in said
    assert "The same command later, or with --wait, brings what is missing." in printed
    assert cold.files() == {}
    assert cold.status() == {"requested": 2, "archived": 1}
    assert cold.restore("--all", "--yes")[0] == 5
    assert cold.front.asked == {**dict.fromkeys(SPRING, 1), AUTUMN: 1}
    cold.end_restores()
    assert cold.status() == {"ready": 3}
    assert cold.restore("--all", "--yes")[0] == 0
    assert cold.files() == {
        SPRING[0]: digest(FILMS[0]),
        SPRING[1]: digest(FILMS[0], 2),
        AUTUMN: digest(FILMS[1]),
    }
    assert cold.front.asked.total() == 3
    assert cold.front.total() == 900_000
    assert cold.status() == {"already_here": 3}


def test_the_price_and_the_hours_are_shown_before_anything_is_asked_for(cold: Story) -> None:
    code, _, said = cold.restore("--all", "--tier", "standard", "--days", "30")
    assert code == 2
    assert "Standard restore (3 of DEEP_ARCHIVE): ready within 12 hours, kept for 30 days" in said
    assert "Together at most $" in said
    assert "there is nobody to ask. Add --yes" in said
    assert not cold.front.asked


def test_a_tier_that_deep_archive_has_not_is_refused(cold: Story) -> None:
    code, _, said = cold.restore("--all", "--tier", "Expedited", "--yes")
    assert code == 2
    assert "DEEP_ARCHIVE cannot be restored as Expedited. Take --tier Bulk (48 hours) or Standard (12 hours)." in said
    assert not cold.front.asked


def test_a_user_is_asked_whether_the_price_is_right_and_bars_are_drawn(cold: Story, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "core", "restore", "--stack", cold.stack, "--into", str(cold.into), "--all"]
    home = {**cold.shell.environment, "TERM": "xterm-256color"}
    refusing = Terminal(command, home, tmp_path)
    refusing.wait_for("Go on? [y/N]")
    assert "Together at most $" in refusing.words
    refusing.type("n\n")
    assert refusing.end() == 130
    assert not cold.front.asked
    cold.front.holds = False
    agreeing = Terminal([*command, "--wait", "--every", "0.02"], home, tmp_path)
    agreeing.wait_for("Go on? [y/N]")
    agreeing.type("y\n")
    assert agreeing.end() == 0
    assert "the next look is in 0.02 minutes" in agreeing.words
    assert len(cold.files()) == cold.front.asked.total() == 3


def test_what_lies_in_glacier_can_be_had_within_minutes(emulator: Emulator, tmp_path: Path) -> None:
    story = Story(emulator, tmp_path, "GLACIER")
    story.front.holds = False
    with story.front:
        code, _, said = story.restore("--all", "--yes", "--tier", "Expedited", "--wait", "--every", "0.02")
    assert code == 0
    assert "Expedited restore (3 of GLACIER): ready within 5 minutes" in said
    assert len(story.files()) == 3


def test_waiting_brings_all_of_it_in_one_command(cold: Story) -> None:
    cold.front.holds = False
    told = cold.shell.told(
        "restore", "--stack", cold.stack, "--into", cold.into, "--all", "--yes", "--wait", "--every", "0.02"
    )
    assert (told["restored"], told["waiting"], told["troubles"]) == (3, 0, [])
    assert len(cold.files()) == 3


def test_where_listings_tell_of_restores_no_object_is_asked_about_while_waiting(cold: Story) -> None:
    cold.front.tells_restores = True
    assert cold.restore("--all", "--yes")[0] == 5
    cold.front.calls.clear()
    assert cold.status() == {"requested": 3}
    cold.end_restores()
    assert cold.status() == {"ready": 3}
    assert cold.front.calls["HEAD original"] == 0
    assert cold.restore("--all", "--yes")[0] == 0
    assert cold.front.asked.total() == 3
    assert len(cold.files()) == 3


def test_an_original_that_was_overwritten_or_deleted_comes_back_in_the_version_that_was_archived(warm: Story) -> None:
    warm.s3.put_object(Bucket=warm.bucket, Key=SPRING[0], Body=b"ransom note")
    warm.s3.delete_object(Bucket=warm.bucket, Key=AUTUMN)
    assert warm.restore("--all", "--yes")[0] == 0
    assert warm.files() == {
        SPRING[0]: digest(FILMS[0]),
        SPRING[1]: digest(FILMS[0], 2),
        AUTUMN: digest(FILMS[1]),
    }


def test_an_original_of_which_no_version_is_left_is_told(warm: Story) -> None:
    for one in warm.s3.list_object_versions(Bucket=warm.bucket, Prefix=AUTUMN)["Versions"]:
        warm.s3.delete_object(Bucket=warm.bucket, Key=AUTUMN, VersionId=one["VersionId"])
    code, printed, _ = warm.restore("--all", "--yes")
    assert code == 1
    assert f"not in the archive: {AUTUMN}" in printed
    assert set(warm.files()) == set(SPRING)


def test_a_listing_shows_what_the_catalog_tells_and_reads_no_original(cold: Story) -> None:
    listed = cold.shell.told("ls", "--stack", cold.stack)
    assert [(one["media_id"], one["originals"], one["bytes"], one["camera"]) for one in listed] == [
        ("spring", 2, 700_000, "HERO12 Black"),
        ("autumn", 1, 200_000, "MAX"),
    ]
    cold.front.calls.clear()
    assert [one["media_id"] for one in cold.shell.told("ls", "--stack", cold.stack, "--camera", "max")] == ["autumn"]
    assert cold.front.calls["GET other"] == 1, "the catalog was read again"
    assert cold.front.calls["GET original"] == cold.front.calls["HEAD original"] == 0


def test_one_medium_is_shown_with_how_its_originals_are_held(cold: Story) -> None:
    cold.restore("--media-id", "autumn", "--yes")
    shown = cold.shell.told("show", "autumn", "--stack", cold.stack)
    (original,) = shown["originals"]
    assert (original["key"], original["state"], original["storage_class"]) == (AUTUMN, "requested", "DEEP_ARCHIVE")
    cold.end_restores()
    (original,) = cold.shell.told("show", "autumn", "--stack", cold.stack)["originals"]
    assert original["state"] == "ready"
    assert datetime.fromisoformat(original["restored_until"]) > datetime.now(UTC)
    code, printed, _ = cold.shell.run("show", "spring", "--stack", cold.stack)
    assert code == 0
    assert "archived: has to be restored first in DEEP_ARCHIVE" in printed


def test_the_standing_of_a_stack_is_that_of_its_tracker(cold: Story) -> None:
    now = datetime(2026, 11, 1, tzinfo=UTC)
    cold.tracker.save(Record("gopro", "spring", Status.COMPLETED, "r", now, originals=2, length=700_000))
    cold.tracker.save(Record("gopro", "lost", Status.FAILED, "r", now, "GX010009.MP4", error="it broke off"))
    cold.archive.put_document("runs/r/report.json", b'{"run_id": "r", "status": "PARTIAL_FAILURE"}')
    told = cold.shell.told("status", "--stack", cold.stack)
    assert (told["media"]["COMPLETED"], told["media"]["FAILED"], told["originals"], told["bytes"]) == (1, 1, 2, 700_000)
    assert told["failed"][0]["error"] == "it broke off"
    assert told["last_run"]["report"]["status"] == "PARTIAL_FAILURE"
    _, printed, _ = cold.shell.run("status", "--stack", cold.stack)
    assert "failed: GX010009.MP4 (lost): it broke off" in printed


def test_the_page_of_a_stack_is_made_from_its_catalog(cold: Story) -> None:
    now = datetime(2026, 11, 1, tzinfo=UTC)
    cold.tracker.save(Record("gopro", "lost", Status.FAILED, "r", now, "GX010009.MP4", error="it broke off"))
    told = cold.shell.told("report", "--stack", cold.stack)
    assert told == {"page": f"s3://{cold.bucket}/runs/index.html", "media": 2}
    text = text_of(b"".join(cold.archive.read_document("runs/index.html")))
    assert "900.0 KB" in text
    assert "GX010009.MP4" in text
    assert "Estimated cost a month$0." in text
    gallery = text_of(b"".join(cold.archive.read_document("gallery/gopro/2026-03.html")))
    assert "GX010001.MP4" in gallery
    assert cold.front.calls["GET original"] == 0


@pytest.mark.parametrize("command", [["ls"], ["status"], ["show", "m"], ["restore", "--into", "x", "--all"]])
def test_a_stack_that_is_not_there_is_told(cold: Story, command: list[str]) -> None:
    code, printed, said = cold.shell.run(*command, "--stack", "nobody")
    assert (code, printed, said.strip()) == (2, "", "There is no stack nobody in this account and region.")


def test_a_stack_of_something_else_is_told(cold: Story, emulator: Emulator) -> None:
    body = '{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}'
    emulator.client("cloudformation").create_stack(StackName=f"{cold.stack}-other", TemplateBody=body)
    code, _, said = cold.shell.run("ls", "--stack", f"{cold.stack}-other")
    assert (code, said.strip()) == (2, f"{cold.stack}-other is a stack, but none of Cloud Sync.")
