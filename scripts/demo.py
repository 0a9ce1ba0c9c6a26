"""`make demo`: the whole product on one machine, with an emulated AWS and an emulated GoPro Cloud on loopback.

It builds and deploys the template with SAM, stores credentials, runs the workflow twice and checks every archived byte
against what the emulated cloud holds. It exits with 0 only if all that should be archived is, and nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from tests.emulator import Emulator
from tests.stack import ROOT, Execution, Stack, build

console = Console(emoji=False, highlight=False, width=None if sys.stdout.isatty() else 140)
STATE = ROOT / ".demo"
_MOST_ROWS = 40


@dataclass(frozen=True)
class Archived:
    """One original as the bucket really holds it, beside what it should be."""

    media_id: str
    key: str
    length: int
    sha256: str
    wanted: bool


@contextmanager
def step(text: str) -> Iterator[None]:
    """Show what is going on and how long it took."""
    started = time.monotonic()
    with console.status(text):
        yield
    console.print(f"[green]✓[/] {text} [dim]({time.monotonic() - started:.1f} s)[/]")


class Cloud:
    """The emulated GoPro Cloud in a process of its own."""

    def __init__(self, library: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.gopro_cloud", "--library", library],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        told = json.loads(self.process.stdout.readline() if self.process.stdout else "")
        self.url: str = told["url"]
        self.pasted: dict[str, str] = told["pasted"]

    def ask(self, path: str) -> Any:
        """What the control endpoint `path` says."""
        with urllib.request.urlopen(f"{self.url}/_cloud/{path}", timeout=10) as answer:  # noqa: S310  (loopback)
            return json.load(answer)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(10)


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running and say how to look at it.")] = False,
    library: Annotated[
        str, typer.Option("--library", help="What the cloud holds: sample, small:COUNT:BYTES, folder:PATH, or several.")
    ] = "sample",
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, help="MaxConcurrency of the stack.")] = 5,
) -> None:
    """Run the demo."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    end_kept()
    STATE.mkdir(exist_ok=True)
    emulator, cloud = Emulator(STATE / "emulator.log"), Cloud(library)
    good = False
    try:
        emulator.start()
        console.print(f"emulated AWS at {emulator.endpoint}, emulated GoPro Cloud at {cloud.url}")
        stack = Stack(emulator, "cloud-sync-demo")
        good = play(stack, cloud, concurrency)
        if keep:
            leave_running(stack, cloud)
    finally:
        if not (keep and good):
            cloud.stop()
            emulator.stop()
            shutil.rmtree(STATE, ignore_errors=True)
    sys.exit(0 if good else 1)


def play(stack: Stack, cloud: Cloud, concurrency: int) -> bool:
    """Build, deploy, sync twice, compare; whether all is as it should be."""
    with step("sam build"):
        build()
    with step("sam deploy"):
        stack.deploy(GoProApiUrl=cloud.url, MaxConcurrency=str(concurrency))
    with step("credentials stored in Secrets Manager"):
        stack.put_secret(cloud.pasted)
    console.rule("first run")
    shown: dict[str, str] = {}
    memory = Memory(stack.emulator.pid)
    first = follow(stack, stack.start(), shown, memory)
    console.rule("second run: nothing is new")
    second = follow(stack, stack.start(), shown, memory)
    with step("every object read back and compared with the emulated cloud"):
        archived, missing = compare(stack, cloud.ask("expected"))
    console.rule("what is in the archive")
    show(stack, archived)
    console.print(
        f"peak memory: largest process {memory.largest / 2**20:,.0f} MiB, all {memory.together / 2**20:,.0f} MiB"
    )
    return verdict(first, second, archived, missing)


@dataclass
class Memory:
    """Peaks of resident memory (bytes) of the emulated AWS, whose processes run the functions, as seen at each look."""

    group: int
    largest: int = 0
    together: int = 0

    def look(self) -> None:
        """Take a look."""
        shown = subprocess.run(["ps", "-e", "-o", "pgid=,rss="], capture_output=True, text=True, check=True).stdout
        pairs = (line.split() for line in shown.splitlines())
        sizes = [int(size) * 1024 for group, size in pairs if int(group) == self.group]
        self.largest = max(self.largest, *sizes, 0)
        self.together = max(self.together, sum(sizes))


def follow(stack: Stack, arn: str, shown: dict[str, str], memory: Memory) -> Execution:
    """Print each state as it is entered and each medium whose status is not as `shown`, until the execution ends."""
    states = stack.emulator.client("stepfunctions")
    entered = 0
    while True:
        running = states.describe_execution(executionArn=arn)["status"] == "RUNNING"
        memory.look()
        for name in stack.states_entered(arn)[entered:]:
            entered += 1
            console.print(f"[bold]{name}[/]")
        for media_id, record in sorted(stack.records().items()):
            show_change(shown, media_id, record)
        if not running:
            break
        time.sleep(0.3)
    ended = stack.wait(arn)
    if ended.status != "SUCCEEDED":
        console.print(f"[red]{ended.status}: {ended.error} {ended.cause}[/]")
    else:
        told = {name: value for name, value in ended.output.items() if name not in ("failures", "novelties")}
        console.print(json.dumps(told), soft_wrap=True, markup=False)
    return ended


def show_change(shown: dict[str, str], media_id: str, record: dict[str, Any]) -> None:
    """Print a medium whose status is not the one printed last."""
    status = record["status"]["S"]
    if shown.get(media_id) != status:
        shown[media_id] = status
        name = record.get("filename", {}).get("S") or "(no name)"
        console.print(f"  {media_id:<26} {name:<20} {status}", markup=False)


def compare(stack: Stack, expected: dict[str, Any]) -> tuple[list[Archived], list[str]]:
    """Hold what the bucket really contains against what the emulated cloud says must be there."""
    wanted = {(media_id, one["length"], one["sha256"]) for media_id, originals in expected.items() for one in originals}
    archived = []
    for key in stack.keys("gopro-videos/"):
        media_id = key.split("/")[3]
        body = b"".join(stack.read(key))
        found = (media_id, len(body), stack.sha256(key))
        archived.append(Archived(media_id, key, found[1], found[2], found in wanted))
    there = {(one.media_id, one.length, one.sha256) for one in archived}
    return archived, sorted(media_id for media_id, _, _ in wanted - there)


def show(stack: Stack, archived: list[Archived]) -> None:
    """The table at the end: medium, originals, bytes, key, verified."""
    table = Table("medium", "originals", "bytes", Column("key", overflow="fold"), "verified")
    media = sorted({one.media_id for one in archived})
    for media_id in media[:_MOST_ROWS]:
        own = [one for one in archived if one.media_id == media_id]
        for number, one in enumerate(own):
            table.add_row(
                media_id if number == 0 else "",
                str(len(own)) if number == 0 else "",
                f"{one.length:,}",
                one.key,
                "[green]equal SHA-256[/]" if one.wanted else "[red]NOT WHAT THE CLOUD HOLDS[/]",
            )
    console.print(table)
    if len(media) > _MOST_ROWS:
        console.print(f"… and {len(media) - _MOST_ROWS:,} media more, compared in the same way")
    total = sum(one.length for one in archived)
    console.print(
        f"{len(media)} media, {len(archived)} originals, {total:,} bytes in s3://{stack.outputs['ArchiveBucketName']}"
    )


def verdict(first: Execution, second: Execution, archived: list[Archived], missing: list[str]) -> bool:
    """Say whether the demo did what it claims."""
    checks = {
        "the first run succeeded": first.status == "SUCCEEDED" and first.output.get("status") == "SUCCEEDED",
        "every original is there, byte for byte": not missing and bool(archived),
        "nothing else is there": all(one.wanted for one in archived),
        "the second run moved nothing": second.output.get("bytes_transferred") == 0
        and second.output.get("status") == "NO_NEW_VIDEOS",
    }
    for claim, holds in checks.items():
        console.print(f"{'[green]✓[/]' if holds else '[red]✗[/]'} {claim}")
    for media_id in missing:
        console.print(f"[red]missing: an original of {media_id}[/]")
    return all(checks.values())


def leave_running(stack: Stack, cloud: Cloud) -> None:
    """Say how to look around; `make demo-stop` ends it."""
    (STATE / "pids").write_text(f"{stack.emulator.pid} {cloud.process.pid}")
    (STATE / "emulator-folder").write_text(stack.emulator.folder)
    console.rule("left running")
    for line in (
        f"export AWS_ENDPOINT_URL={stack.emulator.endpoint} AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test "
        "AWS_DEFAULT_REGION=us-east-1",
        f'export PATH="{Path(sys.executable).parent}:$PATH" CLOUD_SYNC_API_URL={cloud.url}',
        f"cloud-sync doctor --stack {stack.name}  # the emulated AWS has no point-in-time recovery, nobody reads mail",
        f"cloud-sync status --stack {stack.name}",
        f"cloud-sync restore --stack {stack.name} --into back --all",
        f"aws secretsmanager get-secret-value --secret-id {stack.outputs['CredentialsSecretArn']} --query SecretString "
        "--output text | cloud-sync auth set && cloud-sync sync --to backup",
        f"aws s3 ls --recursive s3://{stack.outputs['ArchiveBucketName']}/",
        f"aws dynamodb scan --table-name {stack.outputs['SyncTrackerTableName']}",
        f"aws stepfunctions start-execution --state-machine-arn {stack.outputs['StateMachineArn']}",
        f"curl {cloud.url}/_cloud/state",
        "make demo-stop",
    ):
        console.print(line, soft_wrap=True, markup=False)


def end_kept() -> None:
    """End what an earlier `make demo KEEP=1` left running."""
    try:
        groups = (STATE / "pids").read_text().split()
    except FileNotFoundError:
        return
    for group in groups:
        if is_ours(int(group)):
            console.print(f"ending what an earlier demo left running (process {group})")
            os.killpg(int(group), signal.SIGTERM)
    shutil.rmtree((STATE / "emulator-folder").read_text(), ignore_errors=True)
    shutil.rmtree(STATE, ignore_errors=True)


def is_ours(pid: int) -> bool:
    """Whether the process is still one that a demo started: its number may have been given away since."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        shown = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False)
        command = shown.stdout
    return b"ministack" in command or b"gopro_cloud" in command


app = typer.Typer(add_completion=False)
app.command("run")(demo)
app.command("stop")(end_kept)

if __name__ == "__main__":
    app()
