"""`cloud-sync verify` and `cloud-sync reindex` on a folder, as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from core.cli.app import app
from tests.gopro_cloud import GoProCloud, many_small

COMMAND = str(Path(sys.executable).with_name("cloud-sync"))


class User:
    """Somebody with a backup of five photos."""

    def __init__(self, home: Path, cloud: GoProCloud) -> None:
        self.to = home / "backup"
        self._credentials = home / "credentials.json"
        self._environment = {
            **os.environ,
            "CLOUD_SYNC_API_URL": cloud.url,
            "CLOUD_SYNC_CREDENTIALS": str(self._credentials),
        }
        pasted = json.dumps(cloud.pasted())
        assert self.run("auth", "set", text=pasted).returncode == 0

    def run(self, *words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *words],
            env=self._environment,
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def on_backup(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run(*words, "--to", str(self.to))

    def originals(self) -> list[Path]:
        return sorted(self.to.glob("gopro-videos/*/*/*/*"))


@pytest.fixture(scope="module")
def cloud() -> Iterator[GoProCloud]:
    with GoProCloud(many_small(5, 1000)) as running:
        yield running


@pytest.fixture
def user(tmp_path: Path, cloud: GoProCloud) -> User:
    found = User(tmp_path, cloud)
    assert found.on_backup("sync").returncode == 0
    return found


def test_a_backup_that_is_all_right_exits_with_0(user: User) -> None:
    done = user.on_backup("verify", "--checksums")
    assert (done.returncode, done.stderr) == (0, "")
    assert "SOUND" in done.stdout
    assert "--repair" not in done.stdout


def test_a_file_that_somebody_deleted_is_named_queued_and_brought_by_the_next_sync(user: User) -> None:
    gone = user.originals()[2]
    gone.unlink()
    done = user.on_backup("verify")
    assert done.returncode == 1
    assert gone.name in done.stdout
    assert "--repair queues" in done.stdout
    assert json.loads(user.on_backup("sync", "--json").stdout)["bytes_transferred"] == 0
    told = json.loads(user.on_backup("verify", "--repair", "--json").stdout)
    assert (told["status"], told["found"], told["repaired"]) == ("FINDINGS", {"missing": 1}, {"queued": 1})
    assert told["first"][0]["key"] == gone.relative_to(user.to).as_posix()
    assert json.loads(user.on_backup("sync", "--json").stdout)["bytes_transferred"] == 1000
    assert user.on_backup("verify").returncode == 0


def test_a_file_that_somebody_changed_is_found_by_reading_it(user: User) -> None:
    changed = user.originals()[0]
    content = changed.read_bytes()
    changed.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert user.on_backup("verify").returncode == 0, "its length is as it was"
    assert user.on_backup("verify", "--checksums", "--repair").returncode == 1
    assert user.on_backup("sync").returncode == 0
    assert changed.read_bytes() == content
    assert user.on_backup("verify", "--checksums").returncode == 0


def test_a_lost_tracker_is_rebuilt(user: User, cloud: GoProCloud) -> None:
    for path in (user.to / ".cloud-sync").glob("tracker.sqlite3*"):
        path.unlink()
    done = user.on_backup("reindex")
    assert (done.returncode, done.stderr) == (0, "")
    assert "5 are recorded again" in done.stdout
    served = cloud.counts.bytes_served.total()
    assert json.loads(user.on_backup("sync", "--json").stdout)["bytes_transferred"] == 0
    assert cloud.counts.bytes_served.total() == served


def test_what_cannot_be_recorded_as_archived_is_told(user: User) -> None:
    for path in (user.to / ".cloud-sync").glob("tracker.sqlite3*"):
        path.unlink()
    user.originals()[0].unlink()
    done = user.on_backup("reindex", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["media"], told["recorded"]) == (1, 5, 4)
    assert {one["kind"] for one in told["findings"]} == {"missing", "not_tracked"}


@pytest.mark.parametrize("command", ["verify", "reindex"])
def test_one_backup_must_be_named_and_must_be_there(user: User, command: str, tmp_path: Path) -> None:
    for words in ([], ["--to", str(user.to), "--stack", "cloud-sync-prod"]):
        done = user.run(command, *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert "Name one backup" in done.stderr
    done = user.run(command, "--to", str(tmp_path / "not-mounted"))
    assert done.returncode == 2
    assert "is its disk mounted?" in done.stderr
    assert not (tmp_path / "not-mounted").exists()


def test_a_stray_copy_in_the_catalog_is_told_and_never_queued(user: User) -> None:
    entry = next((user.to / "catalog/gopro").glob("*.json"))
    entry.with_name(f"{entry.stem} copy.json").write_bytes(entry.read_bytes())
    told = json.loads(user.on_backup("verify", "--repair", "--json").stdout)
    assert (told["found"], told["repaired"]) == ({"catalog_contradicts": 1}, {})
    assert json.loads(user.on_backup("sync", "--json").stdout)["failed"] == 0


def test_a_folder_that_a_sync_is_writing_into_is_not_verified(user: User) -> None:
    with FileLock(user.to / ".cloud-sync" / "lock"):
        done = user.on_backup("verify")
    assert done.returncode == 2
    assert "Another sync" in done.stderr


def test_a_disk_that_cannot_be_written_is_verified_and_nothing_is_left_on_it(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    user.on_backup("sync")
    (user.to / ".cloud-sync/lock").unlink()
    user.originals()[0].unlink()
    before = {path: path.stat().st_mtime_ns for path in user.to.rglob("*")}
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.W_OK)
    ended = CliRunner().invoke(app, ["verify", "--to", str(user.to), "--json"])
    assert ended.exit_code == 1
    assert json.loads(ended.stdout)["found"] == {"missing": 1}
    assert {path: path.stat().st_mtime_ns for path in user.to.rglob("*")} == before
