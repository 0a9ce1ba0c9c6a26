"""The guides are true: each command in README.md and docs/ is run as it stands, from the deployment to its removal.

A stack named as in the guides is deployed from a checkout of its own, updated to a newer version and taken back, as
docs/DEPLOYMENT.md says; what it holds is looked at in between.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer

import pytest

from tests.cloud_sync import wanted
from tests.emulator import REGION, Emulator, end_group
from tests.gopro_cloud import GoProCloud, Quirks, sample_library
from tests.stack import ROOT, Stack, build
from tests.workflow.test_stack import Held, held_by

#: What is left out, by how a line begins, and why.
NOT_RUN = {
    "make setup": "it takes two minutes; the environment of the tests is the one that it makes",
    "make demo": "it is a deployment of its own, and `make demo` shows it",
    "make test": "this is it",
    "python3 -m venv": "installing from PyPI takes a minute; the environment of the tests stands in",
    'scripts/trigger_sync.sh redrive "$ENV"': "the emulated Step Functions cannot redrive",
    'sam deploy --config-env "$ENV" --parameter-overrides Environment="$ENV" ScheduleState=': (
        "it takes fifteen seconds, and is the deployment of docs/DEPLOYMENT.md with one parameter more"
    ),
    'aws logs filter-log-events --log-group-name "/aws/lambda/$STACK-webhook"': "this stack has no webhook",
    "aws cloudformation deploy --template-file template-insights.yaml": "the emulator refuses saved queries",
    "aws xray": "there is no X-Ray in the emulator",
    "aws s3api restore-object": "what this stack holds is in S3 Standard still, where nothing is to be requested",
    "aws dynamodb restore-table-from-backup": "the emulator keeps no backups of deleted tables",
}

#: What is here somewhere else than in the guides.
PLACES = {"~/cloud-sync/bin/": "", "/mnt/backup": "$HOME/backup"}

#: What a person would answer at a terminal: words that are added to a command.
ANSWERS = {"cloud-sync restore": "--yes"}


@dataclass(frozen=True)
class Block:
    """A block of commands of a guide."""

    guide: str
    heading: str
    line: int
    text: str

    @property
    def commands(self) -> list[str]:
        """Its commands, each on a line of its own."""
        return [one for one in self.text.replace("\\\n", " ").splitlines() if one.strip()]

    @property
    def runnable(self) -> str:
        """What is run of it."""
        lines = [one for one in self.commands if not one.strip().startswith(tuple(NOT_RUN))]
        for number, line in enumerate(lines):
            for place, here in PLACES.items():
                lines[number] = line = line.replace(place, here)
            for command, answer in ANSWERS.items():
                if line.startswith(command):
                    lines[number] = line.replace(command, f"{command} {answer}", 1)
        return "\n".join(lines)

    @property
    def exit_codes(self) -> list[int]:
        """The exit codes other than 0 that it tells."""
        return [int(code) for code in re.findall(r"# exit code (\d+)", self.runnable)]


def blocks(path: str) -> list[Block]:
    """The blocks of a guide; within a list they are indented."""
    text = (ROOT / path).read_text(encoding="utf-8")
    found = []
    for one in re.finditer(r"^( *)```bash\n(.*?)^\1```$", text, re.M | re.S):
        before = text[: one.start()]
        headings = re.findall(r"^## (.*)$", before, re.M)
        content = re.sub(rf"^{one[1]}", "", one[2], flags=re.M)
        found.append(Block(path, headings[-1] if headings else "", before.count("\n") + 1, content))
    return found


#: What comes after all the rest, in this order.
LAST = [("docs/DEPLOYMENT.md", "Remove"), ("docs/disaster-recovery.md", "The stack was deleted")]

PATHS = [
    "docs/DEPLOYMENT.md",
    "README.md",
    "docs/RESTORE.md",
    "docs/incident-response.md",
    "docs/disaster-recovery.md",
    "docs/recovery.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs" / "runbooks").glob("*.md")),
]
ALL = [block for path in PATHS for block in blocks(path)]

#: The blocks that one shell runs after the other.
FOLLOWED = [[one for one in ALL if one.guide == path and (path, one.heading) not in LAST] for path in PATHS] + [
    [one for one in ALL if (one.guide, one.heading) in ((path, ""), (path, heading))] for path, heading in LAST
]


class Shell:
    """A shell in which blocks are run one after the other, with all that they set."""

    def __init__(self, folder: Path, checkout: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=checkout,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._do(f"set -E -o pipefail; trap 'echo \"$? $BASH_COMMAND\" >> {folder}/failed' ERR")

    def run(self, block: Block, typed: str) -> tuple[list[str], str]:
        """Run a block: the commands that failed, behind their exit codes, and all that was printed."""
        failed, printed = self._folder / "failed", self._folder / "printed"
        failed.write_text("")
        (self._folder / "block").write_text(f"{block.runnable}\n:\n")
        (self._folder / "typed").write_text(typed)
        is_done = self._do(f". {self._folder}/block < {self._folder}/typed > {printed} 2>&1")
        assert is_done, f"{block.guide}:{block.line} took too long or ended the shell:\n{printed.read_text()[-3000:]}"
        return failed.read_text().splitlines(), printed.read_text()

    def end(self) -> None:
        """End it, and what it has started."""
        end_group(self._process.pid)
        self._process.wait(10)

    def _do(self, command: str) -> bool:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{command}\necho done\n")
        self._process.stdin.flush()
        guard = Timer(240, self.end)
        guard.daemon = True
        guard.start()
        is_done = self._process.stdout.readline() == "done\n"
        guard.cancel()
        return is_done


@dataclass
class House:
    """A user's checkout, shell and stack, and what was seen of the stack while the guides were followed."""

    folder: Path
    emulator: Emulator
    cloud: GoProCloud
    stack: Stack
    failures: list[str] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    held: dict[str, Held] = field(default_factory=dict)
    served: dict[str, int] = field(default_factory=dict)
    functions: dict[str, tuple[str, int, str]] = field(default_factory=dict)
    machines: dict[str, int] = field(default_factory=dict)

    @property
    def checkout(self) -> Path:
        return self.folder / "checkout"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": os.pathsep.join((f"{self.folder}/bin", str(Path(sys.executable).parent), os.environ["PATH"])),
            "HOME": f"{self.folder}/home",
            "STACK": self.stack.name,
            "AWS_ENDPOINT_URL": self.emulator.endpoint,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "CLOUD_SYNC_API_URL": self.cloud.url,
            "SAM_CLI_TELEMETRY": "0",
            "SAM_BUILD_IS_DONE": "",
            "AWS_PAGER": "",
            "COLUMNS": "160",
        }

    def follow(self, found: list[Block]) -> None:
        """Run blocks in one shell."""
        shell = Shell(self.folder, self.checkout, self.environment)
        try:
            for block in found:
                self.notice("before", block.text)
                failed, printed = shell.run(block, self.typed(block))
                self.ran += block.runnable.splitlines()
                if [int(one.split()[0]) for one in failed] != block.exit_codes:
                    self.failures.append(f"{block.guide}:{block.line}: {failed}\n{block.runnable}\n{printed[-3000:]}")
                self.notice("after", block.text)
        finally:
            shell.end()

    def notice(self, when: str, text: str) -> None:
        """Look at the stack before and after the commands that change it."""
        if when == "after" and "AlertEmail" in text:
            self.stack.look_up()
        if "git pull" in text:
            self.look("updated" if when == "after" else "before it was updated")
        if "git checkout" in text:
            self.look("taken back" if when == "after" else "before it was taken back")
        if "sam delete" in text:
            if when == "before":
                self.look("before its removal")
            self.held[f"{when} its removal"] = held_by(self.stack)
            self.machines[when] = self.count_machines()
        if when == "before" and "--status-filter FAILED" in text:
            assert self.stack.run({"max_items": "many"}).status == "FAILED"
        if "trigger_sync.sh stop" in text and "redrive" in text:
            # GoPro takes its time, so that there is a run to be stopped.
            self.cloud.quirks.api_latency = 2.0 if when == "before" else 0.0

    def typed(self, block: Block) -> str:
        """What a person gives to the commands of a block."""
        return json.dumps(self.cloud.pasted()) if "auth set" in block.text else "y\n" * 3

    def look(self, when: str) -> None:
        """Note what the stack holds, how much has been served, and what its functions are."""
        self.held[when] = held_by(self.stack)
        self.served[when] = self.cloud.counts.bytes_served.total()
        told = self.emulator.client("lambda").get_function_configuration(FunctionName=f"{self.stack.name}-plan")
        self.functions[when] = (told["Description"], told["MemorySize"], told["CodeSha256"])

    def count_machines(self) -> int:
        """How many state machines the stack has."""
        machines = self.emulator.client("stepfunctions").list_state_machines()["stateMachines"]
        return sum(one["name"].startswith(self.stack.name) for one in machines)


def checkout(house: House) -> None:
    """A clone of what a deployment needs; where it came from has a newer version."""
    origin, git = house.folder / "origin", ("git", "-c", "user.name=Nobody", "-c", "user.email=nobody@example.com")

    def do(*words: str, at: Path = origin) -> None:
        subprocess.run([*git, *words], cwd=at, check=True, capture_output=True)

    hidden = shutil.ignore_patterns("__pycache__")
    for name in ("core", "handlers", "statemachine", "scripts"):
        shutil.copytree(ROOT / name, origin / name, ignore=hidden)
    for name in ("template.yaml", "samconfig.toml", "Makefile", "requirements-lambda.txt"):
        shutil.copy2(ROOT / name, origin / name)
    (origin / ".gitignore").write_text(".aws-sam\nevidence\nrestored\nretained.json\n")
    do("init", "--quiet", "--initial-branch", "main")
    do("add", "--all")
    do("commit", "--quiet", "--message", "As it is")
    do("clone", "--quiet", str(origin), str(house.checkout), at=house.folder)
    (house.checkout / ".aws-sam").mkdir()
    (house.checkout / ".aws-sam" / "dependencies").symlink_to(ROOT / ".aws-sam" / "dependencies")
    template = (origin / "template.yaml").read_text()
    changed = template.replace("Step ListMedia of the sync\n", "Step ListMedia, newer\n")
    changed = re.sub(r"(  PlanFunction:\n(?:    .*\n)*?      MemorySize: )1024", r"\g<1>1280", changed)
    assert changed.count("newer") == changed.count("MemorySize: 1280") == 1
    (origin / "template.yaml").write_text(changed)
    with (origin / "handlers" / "plan.py").open("a") as module:
        module.write("\nNEWER = True\n")
    do("commit", "--quiet", "--all", "--message", "Newer")


def programs(house: House) -> None:
    """`sam` and `aws` as they are, but that they are told where the emulated GoPro Cloud and AWS are."""
    emulated = f"GoProApiUrl={house.cloud.url} AwsEndpointUrl={house.emulator.endpoint} Architecture=x86_64"
    told = {
        "sam": 'words=()\nfor word; do words+=("$word"); '
        f'[[ $word == --parameter-overrides ]] && words+=({emulated}); done\nset -- "${{words[@]}}"\n',
        # Version 1 sends calls of SQS to AWS, whatever AWS_ENDPOINT_URL says.
        "aws": f'set -- --endpoint-url {house.emulator.endpoint} "$@"\n',
    }
    (house.folder / "bin").mkdir()
    for name, lines in told.items():
        program = house.folder / "bin" / name
        real = shlex.quote(str(Path(sys.executable).with_name(name)))
        program.write_text(f'#!/usr/bin/env bash\n{lines}exec {real} "$@"\n')
        program.chmod(0o755)


@pytest.fixture(scope="module")
def house(emulator: Emulator, running_cloud: GoProCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """All guides, followed from the first command to the last."""
    build()
    emulator.shorten_waits()
    running_cloud.media, running_cloud.quirks = sample_library(scale=0.02), Quirks()
    house = House(tmp_path_factory.mktemp("house"), emulator, running_cloud, Stack(emulator, "cloud-sync-prod"))
    checkout(house)
    programs(house)

    for found in FOLLOWED:
        house.follow(found)
    house.stack.look_up()
    house.look("taken in")
    yield house
    emulator.client("cloudformation").delete_stack(StackName=house.stack.name)


def test_each_command_of_the_guides_does_what_they_say(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    assert not house.failures, "\n\n".join(house.failures)
    assert len(house.ran) > 80
    with capsys.disabled():
        print(f"\n{len(house.ran)} commands of {len(PATHS)} guides were run")


@pytest.mark.parametrize("beginning", NOT_RUN)
def test_what_is_not_run_stands_in_a_guide(beginning: str) -> None:
    assert any(line.strip().startswith(beginning) for block in ALL for line in block.commands)


@pytest.mark.parametrize("text", [*PLACES, *ANSWERS])
def test_what_is_elsewhere_or_asked_stands_in_a_guide(text: str) -> None:
    assert any(text in block.text for block in ALL)


def test_an_update_in_place_changes_the_functions_and_keeps_what_is_held(house: House) -> None:
    before, after = "before it was updated", "updated"
    assert house.functions[after][:2] == ("Step ListMedia, newer", 1280)
    assert house.functions[after][2] != house.functions[before][2]
    kept(house, before, after)
    assert house.held[after].credentials == house.held[before].credentials


def test_a_rollback_brings_the_functions_back_and_keeps_what_is_held(house: House) -> None:
    assert house.functions["taken back"] == house.functions["before it was updated"]
    kept(house, "before it was taken back", "taken back")
    assert house.held["taken back"].credentials == house.held["updated"].credentials


def kept(house: House, before: str, after: str) -> None:
    """Originals, catalog and tracker are as they were, and nothing was transferred."""
    assert len(house.held[before].statuses) > 10
    assert house.held[after].statuses == house.held[before].statuses
    for folder in ("gopro-videos/", "catalog/"):
        was, found = (
            {key: digest for key, digest in house.held[when].digests.items() if key.startswith(folder)}
            for when in (before, after)
        )
        assert found == was != {}
    assert house.served[after] == house.served[before]


def test_what_was_archived_outlives_the_removal(house: House) -> None:
    assert house.held["after its removal"] == house.held["before its removal"]
    assert house.machines == {"before": 2, "after": 0}


def test_a_new_stack_takes_in_what_has_outlived_the_old_one(house: House) -> None:
    assert house.machines["after"] < house.count_machines()
    kept(house, "before its removal", "taken in")
    assert house.stack.archived() == wanted(house.cloud.media)
