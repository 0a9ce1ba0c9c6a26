"""`cloud-sync` as a user runs it: a process of its own, on a terminal or in a pipe, against the emulated cloud."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import termios
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import tests.gopro_cloud.server as cloud_server
from core.tracker.sqlite import SqliteTracker
from tests.cloud_sync import Backup, wanted
from tests.emulator import free_port
from tests.gopro_cloud import GoProCloud, from_folder, many_small, sample_library
from tests.gopro_cloud.quirks import Fault
from tests.pages import text_of

REAL_RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "data"

COMMAND = (str(Path(sys.executable).with_name("cloud-sync")),)
MODULE = (sys.executable, "-m", "core")

#: The command with all pauses between attempts a thousandth of what they are.
IMPATIENT = (
    sys.executable,
    "-c",
    """
from dataclasses import replace
from core import retry
for name, policy in list(vars(retry).items()):
    if isinstance(policy, retry.RetryPolicy):
        setattr(retry, name, replace(policy, first_delay=policy.first_delay / 1000))
from core.cli import main
main()
""",
)

#: The command, killed as by `kill -9` when it asks the disk for the n-th time to keep something; n comes first.
KILLED_AT_FSYNC = (
    sys.executable,
    "-c",
    """
import os, signal, sys
left, fsync = int(sys.argv.pop(1)), os.fsync
def counted(descriptor):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(descriptor)
os.fsync = counted
from core.cli import main
main()
""",
)

_JOIN_TERMINAL = "import os, sys; os.login_tty(int(sys.argv[1])); os.execv(sys.argv[2], sys.argv[2:])"
_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def until(condition: Callable[[], bool], timeout: float = 30) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.005)


@dataclass(frozen=True)
class Ended:
    """A command that has ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def told(self) -> str:
        """All that it printed, whatever the width of the lines."""
        return " ".join(f"{self.out} {self.err}".split())


class Terminal:
    """A command on a terminal of its own, and all that is shown there."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (40, 120))
        self.shown = ""
        self.process = subprocess.Popen(
            [sys.executable, "-c", _JOIN_TERMINAL, str(slave), *command],
            pass_fds=(slave,),
            env=environment,
            cwd=folder,
        )
        os.close(slave)

    @property
    def words(self) -> str:
        """What is shown, without colours and without the movements of the cursor."""
        return _SEQUENCE.sub("", self.shown)

    def wait_for(self, text: str, timeout: float = 30) -> None:
        """Wait until a text is shown; what was waited for before does not count."""
        start = len(self.shown)
        deadline = time.monotonic() + timeout
        while text not in self.shown[start:]:
            assert self._read(deadline - time.monotonic()), f"{text!r} is not shown, but {self.shown!r}"

    def type(self, keys: str) -> None:
        """Type, as on the keyboard."""
        os.write(self._master, keys.encode())

    def answer(self, question: str, text: str) -> None:
        """Wait for a question and answer it."""
        self.wait_for(f"{question}: ")
        self.type(f"{text}\n")

    def end(self, timeout: float = 60) -> int:
        """Wait for the end of the command; its exit code."""
        deadline = time.monotonic() + timeout
        while self._read(deadline - time.monotonic()):
            pass
        os.close(self._master)
        return self.process.wait(max(0.1, deadline - time.monotonic()))

    def _read(self, timeout: float) -> bool:
        if timeout <= 0 or not select.select([self._master], [], [], timeout)[0]:
            return False
        try:
            block = os.read(self._master, 65536)
        except OSError:  # how Linux tells that nobody has the terminal open any more
            return False
        self.shown += block.decode(errors="replace")
        return bool(block)


class CommandLine:
    """Runs `cloud-sync` in a home of its own, where `backup` is to become the backup. No secret may come out of it."""

    def __init__(self, home: Path, cloud: GoProCloud) -> None:
        self.home = home
        self.cloud = cloud
        self.backup = Backup(home, cloud)
        self.folder = self.backup.folder
        self.credentials = home / "credentials.json"
        self.secrets = {"Signature=", "personal-thumbnail-token", cloud.client_secret, cloud_server.PASSWORD}
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "CLOUD_SYNC_CREDENTIALS": str(self.credentials),
        }

    def start(
        self, *arguments: str, program: Sequence[str] = COMMAND, umask: int = -1, **environment: str
    ) -> subprocess.Popen[str]:
        """Start the command."""
        return subprocess.Popen(
            [*program, *arguments],
            env={**self.environment, **environment},
            cwd=self.home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            umask=umask,
        )

    def end(self, process: subprocess.Popen[str], typed: str = "", timeout: float = 60) -> Ended:
        """Wait for the end of a command."""
        try:
            out, err = process.communicate(typed, timeout)
        finally:
            process.kill()
        self.require_discretion(out + err)
        return Ended(process.returncode, out, err)

    def run(self, *arguments: str, typed: str = "", **options: Any) -> Ended:
        """Run the command to its end."""
        return self.end(self.start(*arguments, **options), typed)

    def start_sync(self, *arguments: str, command: str = "sync", **options: Any) -> subprocess.Popen[str]:
        """Start `cloud-sync sync` into `backup`."""
        return self.start(*self._synchronise(command, arguments), **options)

    def sync(self, *arguments: str, **options: Any) -> Ended:
        """Run `cloud-sync sync` into `backup`."""
        return self.end(self.start_sync(*arguments, **options))

    def plan(self, *arguments: str) -> Ended:
        """Run `cloud-sync plan` for `backup`."""
        return self.sync(*arguments, command="plan")

    def killed_at_fsync(self, number: int) -> None:
        """Run a sync of one medium at a time that is killed when it makes something durable."""
        program = (*KILLED_AT_FSYNC, str(number))
        assert self.sync("--workers", "1", program=program).code == -signal.SIGKILL

    def on_terminal(self, *arguments: str) -> Terminal:
        """Start the command on a terminal."""
        return Terminal([*COMMAND, *arguments], self.environment, self.home)

    def sync_on_terminal(self, *arguments: str) -> Terminal:
        """Start `cloud-sync sync` into `backup` on a terminal."""
        return self.on_terminal(*self._synchronise("sync", arguments))

    def end_terminal(self, terminal: Terminal) -> int:
        """Wait for the end of a command on a terminal; its exit code."""
        try:
            code = terminal.end()
        finally:
            terminal.process.kill()
        self.require_discretion(terminal.shown)
        return code

    def require_discretion(self, text: str) -> None:
        """No secret may be in a text."""
        for secret in (*self.secrets, *self.cloud.tokens, *self.cloud.refresh_tokens):
            assert secret not in text, "a secret is told"

    def statuses(self) -> dict[str, str]:
        """The status of every medium, by its id, as the backup's own tracker has it."""
        tracker = SqliteTracker(self.folder / ".cloud-sync" / "tracker.sqlite3")
        records = tracker.get("gopro", [medium.media_id for medium in self.cloud.media])
        return {media_id: record.status.value for media_id, record in records.items()}

    def completed(self) -> set[str]:
        """The ids of the media that are COMPLETED."""
        return {media_id for media_id, status in self.statuses().items() if status == "COMPLETED"}

    def fetched_since(self, downloads: Counter[str]) -> set[str]:
        """The ids of the media of which anything was asked for since these downloads were counted."""
        return {path.split("/")[0] for path in (self.cloud.counts.downloads - downloads)}

    def leftovers(self) -> list[Path]:
        """Files that were never finished."""
        half = {*self.folder.rglob("*.partial"), *self.folder.glob(".cloud-sync/partial/*")}
        return sorted(path.relative_to(self.folder) for path in half)

    def _synchronise(self, command: str, arguments: Sequence[str]) -> list[str]:
        return [command, "--to", "backup", "--api-url", self.cloud.url, *arguments]


@pytest.fixture
def cloud() -> Iterator[GoProCloud]:
    with GoProCloud(many_small(6, 20_000)) as running:
        yield running
        assert running.counts.credentials_at_cdn == 0, "credentials were sent to the CDN"


@pytest.fixture
def cli(tmp_path: Path, cloud: GoProCloud) -> CommandLine:
    made = CommandLine(tmp_path, cloud)
    made.backup.sign_in(cloud.pasted())
    return made


def slow(cloud: GoProCloud, bytes_per_second: int, *, media: int) -> None:
    """Let the last so many media of a library take their time: a sync comes to them at the end."""
    for medium in cloud.media[:media]:
        cloud.quirks.faults[medium.media_id] = Fault("slow", times=-1, bytes_per_second=bytes_per_second)


# ------------------------------------------------------------------------------ what a sync brings and says


@pytest.mark.parametrize("program", [COMMAND, MODULE], ids=["cloud-sync", "python -m core"])
def test_a_sync_brings_every_original_and_a_second_run_moves_nothing(
    cli: CommandLine, cloud: GoProCloud, program: tuple[str, ...]
) -> None:
    cloud.media = sample_library(scale=0.05)
    first = cli.sync(program=program)
    assert first.code == 0, first.told
    assert cli.backup.archived() == wanted(cloud.media)
    moved = sum(length for files in cli.backup.archived().values() for length, _ in files)
    for expected in ("SUCCEEDED", "18 media", "16 media, every byte verified", f"{moved:,} bytes in", "backup"):
        assert expected in first.out
    assert re.search(r"holiday ü.2026\.mov: 1 original", first.err)

    served = cloud.counts.bytes_served.total()
    second = cli.sync(program=program)
    assert second.code == 0
    assert "NO_NEW_VIDEOS" in second.out
    assert "0 bytes in" in second.out
    assert cloud.counts.bytes_served.total() == served


@pytest.mark.skipif(not REAL_RECORDINGS.is_dir(), reason="the real recordings are not beside this checkout")
def test_real_recordings_arrive_byte_for_byte_and_a_second_run_moves_nothing(
    cli: CommandLine, cloud: GoProCloud
) -> None:
    cloud.media = from_folder(REAL_RECORDINGS)
    assert cli.sync().code == 0
    assert cli.backup.archived() == wanted(cloud.media)
    served = cloud.counts.bytes_served.total()
    assert cli.sync().code == 0
    assert cloud.counts.bytes_served.total() == served


def test_json_is_the_contract_s_summary_and_all_that_is_printed(cli: CommandLine, cloud: GoProCloud) -> None:
    ended = cli.sync("--json")
    summary = json.loads(ended.out)
    duration, run_id = summary.pop("duration_seconds"), summary.pop("run_id")
    assert duration > 0
    assert run_id.startswith("local-")
    contract = {
        "status": "SUCCEEDED",
        "provider": "gopro",
        "discovered": 6,
        "new": 6,
        "completed": 6,
        "failed": 0,
        "bytes_transferred": 120_000,
        "failures": [],
    }
    assert contract.items() <= summary.items()
    assert ended.err == ""
    assert (cli.folder / "runs" / run_id / "report.json").is_file()


def test_only_so_many_media_or_only_those_asked_for_are_brought(cli: CommandLine, cloud: GoProCloud) -> None:
    assert json.loads(cli.sync("--json", "--max-items", "2").out)["completed"] == 2
    assert cli.backup.archived().keys() == {"small000005", "small000004"}
    cli.sync("--media-id", "small000000", "--media-id", "small000002")
    assert cli.backup.archived().keys() == {"small000005", "small000004", "small000002", "small000000"}
    assert cli.sync().code == 0
    assert cli.backup.archived() == wanted(cloud.media)


def test_a_sync_names_its_page_and_report_makes_it_anew(cli: CommandLine, cloud: GoProCloud) -> None:
    cloud.media = sample_library(0.01)
    summary = json.loads(cli.sync("--json").out)
    gallery, page = cli.backup.folder / "gallery", cli.backup.folder / "runs/index.html"
    assert (cli.backup.folder / summary["page"]).is_file()
    made = {path: path.read_bytes() for path in gallery.rglob("*.html")}
    shutil.rmtree(gallery)
    page.unlink()
    ended = cli.run("report", "--to", str(cli.backup.folder))
    assert (ended.code, ended.out.strip()) == (0, str(page))
    assert {path: path.read_bytes() for path in gallery.rglob("*.html")} == made
    assert f"{summary['completed']:,}media archived" in text_of(page.read_bytes())
    assert cli.run("report", "--to", str(cli.backup.folder / "nowhere")).code == 2


def test_a_plan_says_how_many_media_and_bytes_and_leaves_nothing_behind(cli: CommandLine, cloud: GoProCloud) -> None:
    before = sorted(cli.home.rglob("*"))
    told = cli.plan()
    assert told.code == 0
    for expected in (r"to transfer\D+6\D+120,000\b", r"in the library\D+6\b"):
        assert re.search(expected, told.out), told.out
    assert (json.loads(cli.plan("--json").out)["new"], cloud.counts.bytes_served.total()) == (6, 0)
    assert sorted(cli.home.rglob("*")) == before


def test_a_plan_for_a_backup_tells_what_it_lacks_and_adds_nothing_to_it(cli: CommandLine) -> None:
    cli.sync("--max-items", "4")
    before = sorted(cli.folder.rglob("*"))
    plan = json.loads(cli.plan("--json").out)
    assert (plan["discovered"], plan["new"], plan["length_hint"]) == (6, 2, 40_000)
    assert sorted(cli.folder.rglob("*")) == before
    assert sorted(cli.statuses().values()) == ["COMPLETED"] * 4 + ["PENDING"] * 2


def test_a_plan_says_what_the_library_would_cost_when_it_is_asked_to(cli: CommandLine) -> None:
    cli.sync("--max-items", "4")
    plan = json.loads(cli.plan("--cost", "--json").out)
    moved = next(line for line in plan["cost"]["lines"] if line["what"] == "moved to Deep Archive")
    assert plan["new"] == 2
    assert sum(moved["quantity_by_month"]) == 6
    tags = next(line for line in plan["cost"]["lines"] if line["what"] == "tags of originals")
    assert tags["quantity_by_month"][-1] == 6 * 2
    assert "What is billed, in USD" in cli.plan("--cost").out
    assert "What is billed" not in cli.plan().out


def test_the_cost_of_a_backup_is_that_of_bringing_all_of_it_into_s3(cli: CommandLine) -> None:
    cli.sync("--max-items", "4")
    told = json.loads(cli.run("cost", "--to", str(cli.folder), "--json").out)
    lines = {line["what"]: line["quantity_by_month"] for line in told["lines"]}
    assert lines["tags of originals"][-1] == 6 * 2
    assert sum(lines["moved to Deep Archive"]) == 6
    bytes_at_the_end = round(lines["originals in Deep Archive"][-1] * 2**30)
    assert bytes_at_the_end == pytest.approx(6 * 20_000, abs=600)


# ------------------------------------------------------------------------------ exit codes


class UnsafeCloud(GoProCloud):
    """Hands out an address for one medium to which nothing may be sent, again and again."""

    def sign(self, path: str) -> str:
        address = super().sign(path)
        return address.replace("http://", "ftp://") if "small000003" in path else address


def test_exit_code_1_says_that_a_medium_failed_while_all_others_arrived(tmp_path: Path) -> None:
    with UnsafeCloud(many_small(6, 20_000)) as cloud:
        cli = CommandLine(tmp_path, cloud)
        cli.backup.sign_in(cloud.pasted())
        ended = cli.sync()
        assert ended.code == 1
        assert "PARTIAL_FAILURE" in ended.out
        assert "failed: GOPR0003.JPG (small000003): The download address of" in ended.out
        assert cli.completed() == wanted(cloud.media).keys() - {"small000003"} == cli.backup.archived().keys()
        (failure,) = json.loads(cli.sync("--json").out)["failures"]
        assert (failure["media_id"], failure["filename"]) == ("small000003", "GOPR0003.JPG")


def test_a_medium_that_is_tried_again_is_told_and_comes_with_the_next_run(cli: CommandLine, cloud: GoProCloud) -> None:
    cloud.quirks.faults["small000003"] = Fault("empty", times=-1)
    ended = cli.sync(program=IMPATIENT)
    assert ended.code == 1
    assert ended.err.count("Next attempt in") == 3
    assert re.search(r"GOPR0003.JPG: failed, .*empty", ended.err)
    cloud.quirks.faults.clear()
    assert cli.sync().code == 0
    assert cli.backup.archived() == wanted(cloud.media)


def test_exit_code_1_says_that_the_listing_was_not_proved_whole(cli: CommandLine, cloud: GoProCloud) -> None:
    cloud.quirks.total_items_lie = 2
    ended = cli.sync()
    assert ended.code == 1
    assert "Not proved whole: 2 media" in ended.told
    assert cli.backup.archived() == wanted(cloud.media)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sync",), "Missing option '--to'"),
        (("sync", "--to", "new", "--max-items", "0"), "'--max-items'"),
        (("sync", "--to", "a-file"), "is a file"),
        (("plan", "--to", "a-file"), "is a file"),
        (("sync", "--to", "new", "--provider", "dropbox"), "Known: gopro"),
        (("sync", "--to", "new", "--api-url", "http://example.com"), "must begin with https://"),
        (("backup",), "No such command"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_exit_code_2_says_that_it_was_asked_for_wrongly(
    cli: CommandLine, cloud: GoProCloud, arguments: tuple[str, ...], said: str
) -> None:
    (cli.home / "a-file").write_text("not a folder")
    ended = cli.run(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.told
    assert (cli.home / "a-file").read_text() == "not a folder"
    assert cloud.counts.requests.total() == 0


@pytest.mark.parametrize("command", ["sync", "plan"])
def test_exit_code_2_says_that_the_tracker_s_place_is_taken_by_another_program(cli: CommandLine, command: str) -> None:
    state = cli.folder / ".cloud-sync"
    state.mkdir(parents=True)
    with sqlite3.connect(state / "tracker.sqlite3") as database:
        database.execute("CREATE TABLE shopping (item TEXT)")
    database.close()
    before = (state / "tracker.sqlite3").read_bytes()
    ended = cli.sync(command=command)
    assert ended.code == 2
    assert "another program's" in ended.err
    assert (state / "tracker.sqlite3").read_bytes() == before


def test_exit_code_2_says_that_others_can_read_the_credentials(cli: CommandLine, cloud: GoProCloud) -> None:
    cli.credentials.chmod(0o644)
    ended = cli.sync()
    assert ended.code == 2
    assert f"Run: chmod 600 {cli.credentials}" in ended.err
    assert cloud.counts.requests.total() == 0


def test_exit_code_3_says_that_the_credentials_are_rejected_and_nothing_is_archived(
    cli: CommandLine, cloud: GoProCloud
) -> None:
    cli.secrets |= cloud.tokens.keys()
    cloud.tokens.clear()
    for ended in (cli.sync(), cli.sync("--json"), cli.plan()):
        assert (ended.code, ended.out) == (3, "")
        for expected in ("refused", "gp_access_token", "`cloud-sync auth set`"):
            assert expected in ended.err
    assert [path.name for path in cli.folder.iterdir()] == [".cloud-sync"]
    assert cli.statuses() == {}
    assert cloud.counts.bytes_served.total() == 0

    assert cli.run("auth", "set", "--api-url", cloud.url, typed=json.dumps(cloud.pasted())).code == 0
    assert cli.sync().code == 0
    assert cli.backup.archived() == wanted(cloud.media)


def test_exit_code_3_says_that_there_are_no_credentials(cli: CommandLine, cloud: GoProCloud) -> None:
    cli.credentials.unlink()
    ended = cli.plan()
    assert ended.code == 3
    assert f"There are no credentials in {cli.credentials}" in ended.err
    assert not cli.folder.exists()


def test_exit_code_3_says_that_the_credentials_died_on_the_way_and_the_next_run_goes_on(
    cli: CommandLine, cloud: GoProCloud
) -> None:
    cloud.quirks.token_lifetime_requests = 6
    ended = cli.sync("--workers", "1")
    assert ended.code == 3
    assert "The credentials died during the run" in ended.told
    assert set(cli.statuses().values()) == {"COMPLETED", "PENDING"}

    cloud.quirks.token_lifetime_requests = None
    assert cli.run("auth", "set", "--api-url", cloud.url, typed=json.dumps(cloud.pasted())).code == 0
    require_that_the_next_run_goes_on(cli)


def test_exit_code_4_says_that_the_api_has_changed(
    cli: CommandLine, cloud: GoProCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloud_server, "ACCEPT", "another version")
    ended = cli.sync()
    assert (ended.code, ended.out) == (4, "")
    assert "Look for an update of Cloud Sync" in ended.err


def test_exit_code_4_says_that_the_api_cannot_be_reached(cli: CommandLine) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    ended = cli.sync("--api-url", nowhere, program=IMPATIENT)
    assert (ended.code, ended.out) == (4, "")
    assert "could not be asked for: the connection failed" in ended.err


# ------------------------------------------------------------------------------ stopped, killed, started twice


@pytest.mark.parametrize("word", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_exit_code_130_says_that_it_was_stopped_and_the_next_run_goes_on(
    cli: CommandLine, cloud: GoProCloud, word: signal.Signals
) -> None:
    slow(cloud, 30_000, media=4)
    running = cli.start_sync("--workers", "1")
    until(lambda: cloud.counts.downloads["small000003/source/default/1.jpg"] > 0)
    running.send_signal(word)
    ended = cli.end(running)
    assert (ended.code, ended.out) == (130, "")
    assert "What was confirmed stays; the next run goes on from here." in ended.err
    assert set(cli.statuses().values()) == {"COMPLETED", "PENDING"}
    assert cli.leftovers() == []
    require_that_the_next_run_goes_on(cli)


def require_that_the_next_run_goes_on(cli: CommandLine) -> None:
    """The next run brings the rest, and nothing of what was COMPLETED before."""
    done, before = cli.completed(), cli.cloud.counts.downloads.copy()
    cli.cloud.quirks.faults.clear()
    ended = cli.sync()
    assert ended.code == 0, ended.told
    assert cli.backup.archived() == wanted(cli.cloud.media)
    assert cli.completed() == wanted(cli.cloud.media).keys()
    assert cli.fetched_since(before).isdisjoint(done)


def test_kill_9_again_and_again_loses_nothing_that_was_completed(cli: CommandLine, cloud: GoProCloud) -> None:
    cloud.media = sample_library(scale=0.1)
    slow(cloud, 2_000_000, media=len(cloud.media))
    for goal in (200_000, 700_000, 1_500_000):
        done, before = cli.completed() if cli.folder.exists() else set(), cloud.counts.downloads.copy()
        running = cli.start_sync("--workers", "1")
        until(lambda: cloud.counts.bytes_served.total() >= goal)  # noqa: B023
        running.kill()
        assert cli.end(running).code == -signal.SIGKILL
        assert cli.fetched_since(before).isdisjoint(done)
    assert 0 < len(cli.completed()) < len(wanted(cloud.media))
    require_that_the_next_run_goes_on(cli)
    assert list(cli.folder.glob(".cloud-sync/partial/*")) == []


@pytest.mark.parametrize("number", [3, 5, 6], ids=["an original", "its record", "its name"])
def test_kill_9_while_an_original_is_made_durable_leaves_nothing_half_done(cli: CommandLine, number: int) -> None:
    cli.killed_at_fsync(number)
    require_that_the_next_run_goes_on(cli)
    assert cli.leftovers() == []


@pytest.mark.parametrize("number", [1, 4, 7], ids=["the manifest", "the record of an original", "the catalog"])
def test_kill_9_while_a_document_is_written_leaves_nothing_half_done(cli: CommandLine, number: int) -> None:
    cli.killed_at_fsync(number)
    require_that_the_next_run_goes_on(cli)
    assert cli.leftovers() == []


def test_kill_9_while_it_lists_does_not_keep_the_next_run_waiting(cli: CommandLine, cloud: GoProCloud) -> None:
    cloud.media = many_small(230, 2_000)
    cloud.quirks.api_latency = 0.5
    running = cli.start_sync()
    until(lambda: cloud.counts.api_now == 4)
    running.kill()
    cli.end(running)
    cloud.quirks.api_latency = 0
    assert cli.end(cli.start_sync("--max-items", "1"), timeout=5).code == 0


def test_a_second_sync_into_the_same_folder_is_refused_while_the_first_goes_on(
    cli: CommandLine, cloud: GoProCloud
) -> None:
    slow(cloud, 15_000, media=6)
    first = cli.start_sync("--workers", "1")
    until(lambda: cloud.counts.downloads.total() > 0)
    second = cli.sync()
    cloud.quirks.faults.clear()
    assert (second.code, second.out) == (2, "")
    assert "Another sync into backup is running. Wait for it or stop it." in second.err
    assert cli.end(first).code == 0
    assert cli.backup.archived() == wanted(cloud.media)
    assert cloud.counts.downloads.total() == 6


def test_no_backup_is_begun_where_its_disk_is_not_mounted(cli: CommandLine) -> None:
    disk = cli.home / "disk"
    refused = cli.run("sync", "--to", str(disk / "backup"))
    assert (refused.code, refused.out) == (2, "")
    assert refused.told == f"{disk} is not there. Mount the disk that it is on, or make it, and run this again."
    assert not disk.exists()


def test_a_backup_that_was_there_and_is_not_any_more_is_not_begun_anew_without_a_word(cli: CommandLine) -> None:
    cli.sync()
    mounted = cli.folder.rename(cli.home / "unmounted")
    cli.folder.mkdir()
    refused = cli.sync()
    assert refused.code == 2
    assert "and now there is none. Is its disk mounted?" in refused.told
    assert not list(cli.folder.iterdir())
    cli.folder.rmdir()
    mounted.rename(cli.folder)
    assert "NO_NEW_VIDEOS" in cli.sync().out
    mounted = cli.folder.rename(cli.home / "unmounted")
    cli.folder.mkdir()
    Path(refused.told.split()[-1]).unlink()
    assert cli.sync().code == 0
    assert cli.backup.archived() == wanted(cli.cloud.media)


def test_a_lost_tracker_is_rebuilt_before_a_sync_would_bring_everything_again(
    cli: CommandLine, cloud: GoProCloud
) -> None:
    cli.sync()
    served = cloud.counts.bytes_served.total()
    for path in cli.folder.glob(".cloud-sync/tracker.sqlite3*"):
        path.unlink()
    for command in ("sync", "plan"):
        refused = cli.sync(command=command)
        assert refused.code == 2
        assert "Rebuild it first, which moves nothing: cloud-sync reindex" in refused.told
    assert cli.run("reindex", "--to", "backup").code == 0
    assert "NO_NEW_VIDEOS" in cli.sync().out
    assert cloud.counts.bytes_served.total() == served


def test_the_command_says_its_version(cli: CommandLine) -> None:
    assert cli.run("--version") == Ended(0, f"cloud-sync {version('cloud-sync')}\n", "")


# ------------------------------------------------------------------------------ on a terminal and in a pipe


def test_a_terminal_shows_bars_that_move_and_a_line_for_each_medium(cli: CommandLine, cloud: GoProCloud) -> None:
    slow(cloud, 40_000, media=2)
    terminal = cli.sync_on_terminal("--workers", "2")
    assert cli.end_terminal(terminal) == 0
    assert "6 media in the library, 6 to transfer" in terminal.words
    assert terminal.words.count("1 original, 20,000 bytes, verified") == 6
    for bar in (
        r"0/6 media +━+ 0\.0/120\.0 kB",
        r"4/6 media +━+╸━+ 80\.0/120\.0 kB",
        r"  GOPR0000\.JPG ━+ 0\.0/20\.0 kB",
    ):
        assert re.search(bar, terminal.words), terminal.words
    assert "6 media, every byte verified" in terminal.words
    assert cli.backup.archived() == wanted(cloud.media)


def test_ctrl_c_on_a_terminal_stops_a_sync(cli: CommandLine, cloud: GoProCloud) -> None:
    slow(cloud, 30_000, media=4)
    terminal = cli.sync_on_terminal("--workers", "1")
    until(lambda: cloud.counts.downloads["small000003/source/default/1.jpg"] > 0)
    terminal.type("\x03")
    assert cli.end_terminal(terminal) == 130
    assert "the next run goes on from here" in terminal.shown
    assert "Traceback" not in terminal.shown


def test_a_pipe_gets_the_lines_without_any_control_characters(cli: CommandLine, cloud: GoProCloud) -> None:
    ended = cli.sync()
    assert ended.err.count("verified") == 6
    assert "6 media in the library, 6 to transfer" in ended.err
    assert _CONTROL.findall(ended.out + ended.err + cli.plan().out) == []


def test_a_name_cannot_send_commands_to_the_terminal(cli: CommandLine, cloud: GoProCloud) -> None:
    cloud.media[3] = replace(cloud.media[3], filename="\x1b]0;title\x07GOPR0003.JPG", kind="Photo\x1b[2J")
    ended = cli.sync()
    assert ended.code == 0
    assert _CONTROL.findall(ended.out + ended.err) == []


def test_a_name_is_told_as_it_is(cli: CommandLine, cloud: GoProCloud) -> None:
    cloud.media[3] = replace(cloud.media[3], filename="12:camera:[b]03.JPG")
    assert re.search(r"12.camera.\[b]03\.JPG: 1 original", cli.sync().err)


def test_a_run_whose_credentials_died_does_not_call_itself_succeeded(cli: CommandLine, cloud: GoProCloud) -> None:
    cloud.quirks.token_lifetime_requests = 6
    ended = cli.sync("--workers", "1", "--json")
    assert ended.code == 3
    assert json.loads(ended.out)["status"] != "SUCCEEDED"
    assert "The credentials died during the run" in ended.told


@pytest.mark.parametrize("command", ["", "sync", "plan", "auth", "auth set", "auth login"])
def test_every_command_explains_itself(cli: CommandLine, command: str) -> None:
    ended = cli.run(*command.split(), "--help")
    assert (ended.code, ended.err) == (0, "")
    assert f"Usage: cloud-sync {command}".strip() in ended.told
    if command == "sync":
        codes = "0 nothing failed, 1 some media failed, 2 wrong usage, 3 credentials rejected, 4 another fault, "
        assert f"Exit codes: {codes}130 interrupted." in ended.told
