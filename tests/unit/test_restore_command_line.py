"""Restores, listings and the standing of a local backup, through the command itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.archive.folder import FolderArchive
from core.model import Record, Status
from core.tracker.sqlite import SqliteTracker
from tests.archived import Film, content, store, store_all
from tests.restoring import Shell

FILMS = [
    Film("spring", "GX010001.MP4", datetime(2026, 3, 1, 9, 15, tzinfo=UTC), (400_000, 300_000)),
    Film("autumn", "[bold]x[/]\x1b[31m.MP4", datetime(2026, 9, 1, 9, 15, tzinfo=UTC), (200_000,)),
]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    root = tmp_path / "backup"
    store_all(FolderArchive(root), FILMS, workers=1)
    return root


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("gopro-videos/*/*/*/*")}


def test_a_local_backup_is_restored_by_copy_without_a_question(tmp_path: Path, shell: Shell, backup: Path) -> None:
    code, printed, said = shell.run("restore", "--to", backup, "--into", tmp_path / "back", "--all")
    assert code == 0
    assert "$" not in printed + said
    assert "3 objects" in printed
    assert len(files(tmp_path / "back")) == 3
    (film,) = (tmp_path / "back").glob("gopro-videos/2026/03/spring/GX010001.MP4")
    assert film.read_bytes() == content(FILMS[0], 1)
    told = shell.told("restore", "--to", backup, "--into", tmp_path / "back", "--all")
    assert (told["already_here"], told["restored"]) == (3, 0)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--since", "2026-09"], {"_bold_x__][31m.MP4"}),
        (["--until", "2026-03"], {"GX010001.MP4", "GX020001.MP4"}),
        (["--name", "gx02*"], {"GX020001.MP4"}),
        (["--media-id", "spring"], {"GX010001.MP4", "GX020001.MP4"}),
        (["--camera", "HERO12*", "--until", "2026-04"], {"GX010001.MP4", "GX020001.MP4"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_selected_comes_and_nothing_else(
    tmp_path: Path, shell: Shell, backup: Path, arguments: list[str], names: set[str]
) -> None:
    shell.told("restore", "--to", backup, "--into", tmp_path / "back", *arguments)
    came = files(tmp_path / "back")
    assert len(came) == len(names)
    if "--since" not in arguments:
        assert came == names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Say what to restore: --all, or some of --since"),
        (["--all", "--name", "x"], "Say what to restore: --all, or some of --since"),
        (["--name", "nothing*"], "is selected. See what there is: cloud-sync ls"),
        (["--since", "soon"], "soon is no date. Give a year, a month or a day"),
        (["--media-id", "nobody"], "The catalog has no entry of nobody. What is archived: cloud-sync ls"),
        (["--all", "--tier", "Fast"], "--tier is one of Bulk, Standard, Expedited."),
        (["--all", "--stack", "both"], "Name one backup: a folder with --to, or a deployed stack with --stack."),
    ],
)
def test_a_request_that_cannot_be_meant_is_told(
    tmp_path: Path, shell: Shell, backup: Path, arguments: list[str], message: str
) -> None:
    code, printed, said = shell.run("restore", "--to", backup, "--into", tmp_path / "back", *arguments)
    assert (code, printed) == (2, "")
    assert message in said
    assert not (tmp_path / "back").exists()


def test_a_folder_without_a_backup_is_told(tmp_path: Path, shell: Shell) -> None:
    code, _, said = shell.run("ls", "--to", tmp_path)
    assert (code, said.strip()) == (
        2,
        f"There is no backup in {tmp_path}. Name its folder with --to; is its disk mounted?",
    )


def track(backup: Path) -> None:
    """Let the tracker know what is archived."""
    now = datetime(2026, 11, 1, tzinfo=UTC)
    tracker = SqliteTracker(backup / ".cloud-sync/tracker.sqlite3")
    tracker.save(Record("gopro", "spring", Status.COMPLETED, "r", now, "GX010001.MP4", originals=2, length=700_000))
    tracker.save(Record("gopro", "autumn", Status.COMPLETED, "r", now, originals=1, length=200_000))


@pytest.mark.parametrize("arguments", [["--since", "2026-03", "--until", "2026-03"], ["--name", "GX010001.MP4"]])
def test_a_lost_entry_is_told_whatever_is_selected(shell: Shell, backup: Path, arguments: list[str]) -> None:
    track(backup)
    (backup / "catalog/gopro/spring.json").unlink()
    code, _, said = shell.run("ls", "--to", backup, *arguments)
    assert code == 1
    assert "GX010001.MP4 (spring): 2 originals with 700,000 bytes were archived" in said
    assert "cloud-sync verify --repair" in said
    code, _, said = shell.run("show", "spring", "--to", backup)
    assert code == 2
    assert "cloud-sync verify --repair" in said


def test_a_backup_whose_catalog_is_lost_is_a_backup(tmp_path: Path, shell: Shell, backup: Path) -> None:
    track(backup)
    shutil.rmtree(backup / "catalog")
    code, _, said = shell.run("restore", "--to", backup, "--into", tmp_path / "back", "--all")
    assert code != 0
    assert "cloud-sync verify --repair" in said
    assert shell.told("status", "--to", backup)["media"]


@pytest.mark.parametrize("command", ["verify", "reindex", "status", "report"])
def test_a_provider_that_nobody_has_is_told(shell: Shell, backup: Path, command: str) -> None:
    before = files(backup)
    code, printed, said = shell.run(command, "--to", backup, "--provider", "gorpo")
    assert (code, printed) == (2, "")
    assert "There is no provider called 'gorpo'. Known: gopro." in " ".join(said.replace("│", "").split())
    assert files(backup) == before


def test_a_tracker_that_is_broken_keeps_nobody_from_what_is_archived(
    tmp_path: Path, shell: Shell, backup: Path
) -> None:
    (backup / ".cloud-sync/tracker.sqlite3").write_bytes(b"no database")
    assert len(shell.told("ls", "--to", backup)) == 2
    assert shell.told("restore", "--to", backup, "--into", tmp_path / "back", "--all")["restored"] == 3


def test_a_damaged_file_of_the_backup_is_told_by_name_and_exit_code(tmp_path: Path, shell: Shell, backup: Path) -> None:
    (backup / "gopro-videos/2026/03/spring/GX020001.MP4").write_bytes(bytes(300_000))
    code, printed, _ = shell.run("restore", "--to", backup, "--into", tmp_path / "back", "--all")
    assert code == 1
    assert "damaged: gopro-videos/2026/03/spring/GX020001.MP4: its bytes are not those that were archived" in printed
    told = shell.told("restore", "--to", backup, "--into", tmp_path / "back", "--all", code=1)
    assert [(one["key"], one["outcome"]) for one in told["troubles"]] == [
        ("gopro-videos/2026/03/spring/GX020001.MP4", "damaged")
    ]


def test_a_broken_entry_of_the_catalog_keeps_no_other_medium_from_coming_back(
    tmp_path: Path, shell: Shell, backup: Path
) -> None:
    (backup / "catalog/gopro/spring.json").write_text("{")
    code, printed, said = shell.run("ls", "--to", backup)
    assert (code, "autumn" in printed, "spring" in printed) == (1, True, False)
    assert "catalog/gopro/spring.json is left out: The catalog entry cannot be read" in said
    assert "`cloud-sync verify --repair`, with the same --to or --stack, mends it." in said
    told = shell.told("restore", "--to", backup, "--into", tmp_path / "back", "--all", code=1)
    assert (told["restored"], told["troubles"]) == (1, [])
    assert told["catalog_unreadable"] == [str(backup / "catalog/gopro/spring.json")]
    assert shell.told("report", "--to", backup, code=1)["media"] == 1


def test_a_file_in_the_catalog_whose_name_is_no_key_is_told(shell: Shell, backup: Path) -> None:
    (backup / "catalog/gopro/spring\\1.json").write_text("{}")
    code, printed, said = shell.run("ls", "--to", backup)
    assert (code, "spring" in printed, "spring\\1.json is left out" in said) == (1, True, True)


def test_a_key_that_can_be_no_file_costs_its_own_original_and_is_told(
    tmp_path: Path, shell: Shell, backup: Path
) -> None:
    path = backup / "catalog/gopro/spring.json"
    document = json.loads(path.read_text())
    document["originals"][0]["key"] = "gopro-videos//x"
    path.write_text(json.dumps(document))
    arguments = ("restore", "--to", backup, "--into", tmp_path / "back", "--all")
    assert shell.told(*arguments, "--status")["objects"]["failed"] == 1
    told = shell.told(*arguments, code=1)
    assert (told["restored"], told["failed"]) == (2, 1)
    assert (
        "no key of an archive. `cloud-sync verify --repair`, with the same --to or --stack, mends it."
        in told["troubles"][0]["text"]
    )


def test_a_medium_that_may_be_meant_and_whose_camera_or_time_nobody_knows_is_told(shell: Shell, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    nameless = Film("nameless", captured_at=None, lengths=(10,), facts={})
    store_all(FolderArchive(backup), [*FILMS, nameless], workers=1)
    for condition in (["--camera", "HERO*"], ["--since", "2026-01"]):
        code, printed, said = shell.run("ls", "--to", backup, *condition)
        assert (code, "nameless" in printed) == (0, False)
        assert "Of unknown camera or time, so maybe meant and left out: 1 medium." in said
    assert "Of unknown" not in shell.run("ls", "--to", backup, "--name", "GX*")[2]


def test_what_was_archived_and_is_not_in_the_catalog_is_named_before_anybody_trusts_a_restore(
    tmp_path: Path, shell: Shell, backup: Path
) -> None:
    track(backup)
    assert shell.run("ls", "--to", backup)[0] == 0
    (backup / "catalog/gopro/spring.json").unlink()
    code, printed, said = shell.run("ls", "--to", backup)
    assert (code, "1 medium, 1 original" in printed) == (1, True)
    assert "GX010001.MP4 (spring): 2 originals with 700,000 bytes were archived" in said
    assert "cloud-sync verify --repair" in said
    told = shell.told("restore", "--to", backup, "--into", tmp_path / "back", "--all", code=1)
    assert (told["restored"], len(told["left_out"])) == (1, 1)
    assert shell.run("restore", "--to", backup, "--into", tmp_path / "back", "--media-id", "autumn")[0] == 0


def test_a_restore_that_is_interrupted_says_so_and_goes_on(tmp_path: Path, shell: Shell) -> None:
    backup, into = tmp_path / "backup", tmp_path / "back"
    store_all(FolderArchive(backup), [Film(f"film{number}", lengths=(3_000_000,)) for number in range(80)], workers=1)
    process = shell.begin("restore", "--to", backup, "--into", into, "--all", "--workers", "1")
    deadline = time.monotonic() + 60
    while not files(into) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.strip().endswith("Stopped as asked. What has arrived stays; the same command goes on from here.")
    told = shell.told("restore", "--to", backup, "--into", into, "--all")
    assert told["already_here"] > 0
    assert told["restored"] > 0
    assert told["already_here"] + told["restored"] == 80


def test_a_second_restore_into_the_same_folder_waits_for_no_one(tmp_path: Path, shell: Shell, backup: Path) -> None:
    from filelock import FileLock

    into = tmp_path / "back"
    (into / ".cloud-sync").mkdir(parents=True)
    with FileLock(into / ".cloud-sync/lock"):
        code, _, said = shell.run("restore", "--to", backup, "--into", into, "--all")
    assert code == 2
    assert f"into {into} is running" in said


def test_a_listing_is_one_line_a_medium_and_its_names_steer_no_terminal(shell: Shell, backup: Path) -> None:
    code, printed, _ = shell.run("ls", "--to", backup)
    lines = printed.splitlines()
    assert code == 0
    assert len(lines) == 4
    told = "2026-03-01 09:15 spring GX010001.MP4 Chaptered HERO12 Black 2 700,000"
    assert lines[1].split() == told.split()
    assert "[bold]x[/]" in lines[2]
    assert "\x1b" not in printed
    assert lines[3] == "2 media, 3 originals, 900,000 bytes"


def test_thousands_are_listed_within_seconds(tmp_path: Path, shell: Shell) -> None:
    backup = tmp_path / "backup"
    archive = FolderArchive(backup)
    entry = store(archive, Film("one", lengths=(1,)))
    document = json.loads(entry.to_bytes())
    for number in range(5_000):
        captured = datetime(2016, 1, 1, tzinfo=UTC) + timedelta(hours=number)
        text = json.dumps(document | {"media_id": f"m{number:05}", "captured_at": captured.isoformat()})
        (backup / f"catalog/gopro/m{number:05}.json").write_text(text)
    began = time.monotonic()
    listed = shell.told("ls", "--to", backup)
    assert len(listed) == 5_001
    assert time.monotonic() - began < 15 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def test_one_medium_is_shown_with_every_original(shell: Shell, backup: Path) -> None:
    shown = shell.told("show", "spring", "--to", backup)
    assert [one["state"] for one in shown["originals"]] == ["ready", "ready"]
    (backup / "gopro-videos/2026/03/spring/GX020001.MP4").unlink()
    code, printed, _ = shell.run("show", "spring", "--to", backup)
    assert code == 0
    assert "300,000 bytes, NOT THERE" in printed
    (backup / "gopro-videos/2026/03/spring/GX020001.MP4").write_bytes(b"cut")
    assert "300,000 bytes, can be read now, DAMAGED: it has 3 bytes" in shell.run("show", "spring", "--to", backup)[1]
    assert str(backup / "gopro-videos/2026/03/spring/GX010001.MP4") in printed


def test_the_standing_names_what_failed_and_what_waits(shell: Shell, backup: Path) -> None:
    (backup / ".cloud-sync").mkdir(exist_ok=True)
    tracker = SqliteTracker(backup / ".cloud-sync/tracker.sqlite3")
    now = datetime(2026, 11, 1, tzinfo=UTC)
    tracker.save(Record("gopro", "spring", Status.COMPLETED, "r", now, originals=2, length=700_000))
    tracker.save(Record("gopro", "lost", Status.FAILED, "r", now, "GX010009.MP4", error="it broke off"))
    tracker.save(Record("gopro", "slow", Status.PENDING, "r", now, "GX010010.MP4", reason="not_ready"))
    (backup / "runs/old").mkdir(parents=True)
    (backup / "runs/old/report.json").write_text('{"run_id": "old", "status": "SUCCEEDED"}')
    code, printed, _ = shell.run("status", "--to", backup)
    assert code == 0
    for line in ("2 originals, 700,000 bytes", "old: SUCCEEDED", "failed: GX010009.MP4 (lost): it broke off"):
        assert line in printed
    assert "waiting: GX010010.MP4 (slow): not ready" in printed
    told = shell.told("status", "--to", backup)
    assert told["media"] == {"PENDING": 1, "IN_PROGRESS": 0, "COMPLETED": 1, "FAILED": 1, "SOURCE_GONE": 0}
    assert told["last_run"]["report"] == {"run_id": "old", "status": "SUCCEEDED"}
    assert "reindex" not in printed


@pytest.mark.parametrize("text", ["", "[1", "[]", "[" * 100_000])
def test_a_report_of_a_run_that_cannot_be_read_is_told_and_the_rest_of_the_standing_too(
    shell: Shell, backup: Path, text: str
) -> None:
    (backup / "runs/old").mkdir(parents=True)
    (backup / "runs/old/report.json").write_text(text)
    code, printed, _ = shell.run("status", "--to", backup)
    assert code == 0
    assert "runs/old/report.json cannot be read" in printed
    assert "Rebuild it: cloud-sync reindex" in printed
    told = shell.told("status", "--to", backup)
    assert (told["last_run"]["key"], told["last_run"]["report"]) == ("runs/old/report.json", None)


def test_the_standing_names_what_can_no_longer_be_had(shell: Shell, backup: Path) -> None:
    (backup / ".cloud-sync").mkdir(exist_ok=True)
    tracker = SqliteTracker(backup / ".cloud-sync/tracker.sqlite3")
    now = datetime(2026, 11, 1, tzinfo=UTC)
    tracker.save(Record("gopro", "away", Status.SOURCE_GONE, "r", now, "GX010011.MP4", reason="no longer listed"))
    _, printed, _ = shell.run("status", "--to", backup)
    assert "can no longer be had: GX010011.MP4 (away): no longer listed" in printed


def test_a_lost_tracker_is_not_taken_for_an_empty_backup(shell: Shell, backup: Path) -> None:
    _, printed, _ = shell.run("status", "--to", backup)
    assert "The tracker knows nothing of what is archived. Rebuild it: cloud-sync reindex" in printed
    assert shell.told("status", "--to", backup)["tracker_lost"] is True


def test_nothing_is_restored_below_a_folder_that_is_not_there(shell: Shell, backup: Path, tmp_path: Path) -> None:
    code, _, said = shell.run("restore", "--to", backup, "--into", tmp_path / "disk/back", "--all")
    assert code == 2
    assert "Mount the disk that it is on" in said
    assert not (tmp_path / "disk").exists()


def test_a_time_that_ends_before_it_begins_is_refused(shell: Shell, backup: Path) -> None:
    code, _, said = shell.run("ls", "--to", backup, "--since", "2026-05", "--until", "2026-03")
    assert code == 2
    assert "--since is to be the earlier" in said
