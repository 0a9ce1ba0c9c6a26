"""What README.md says is so: its example runs as it stands, its commands and files exist."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from core.cli import app
from core.cli.sync import sync
from core.sync.request import SyncRequest
from core.sync.summarize import Summary
from tests.cloud_sync import Backup
from tests.gopro_cloud import GoProCloud, many_small

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TEMPLATE = (ROOT / "template.yaml").read_text(encoding="utf-8")

_FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)

#: The code within sentences.
SPANS = re.findall(r"`([^`]+)`", _FENCED.sub("", README))

#: Runs example.py as it stands; only GoPro's own address is the emulated cloud's.
_RUN_EXAMPLE = """
import runpy, sys
from core.providers import gopro
gopro.DEFAULT_BASE_URL = sys.argv[1]
runpy.run_path("example.py", run_name="__main__")
"""


def blocks(language: str) -> list[str]:
    """The code blocks of a language, "" for those of none."""
    return [code for named, code in _FENCED.findall(README) if named == language]


def commands(program: str) -> Iterator[list[str]]:
    """The words of every command for `program` that is shown, in a block or within a sentence."""
    lines = [part for block in blocks("bash") for line in block.splitlines() for part in line.split("&&")]
    for text in (*lines, *SPANS):
        if re.match(rf"\s*(\S*/)?{program}(\s|$)", text):
            yield shlex.split(text, comments=True)


def section(name: str) -> set[str]:
    """The names in a section of the template."""
    found = re.search(rf"^{name}:\n((?:[ #].*\n|\n)+)", TEMPLATE, re.MULTILINE)
    assert found
    return set(re.findall(r"^  (\w+):", found[1], re.MULTILINE))


def test_the_example_for_python_runs_as_it_stands(tmp_path: Path) -> None:
    (example,) = blocks("python")
    assert len(example.splitlines()) <= 16, "it is no longer a glance"
    (tmp_path / "example.py").write_text(example, encoding="utf-8")
    with GoProCloud(many_small(7, 20_000)) as cloud:
        backup = Backup(tmp_path, cloud)
        backup.sign_in(cloud.pasted())
        done = subprocess.run(
            [sys.executable, "-c", _RUN_EXAMPLE, cloud.url], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert (done.stdout, done.stderr) == ("SUCCEEDED 5 100000\n", "")
        assert len(backup.archived()) == 5


CLI: Any = get_command(app)
COMMANDS = [words[1:] for words in commands("cloud-sync")]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words)[:40])
def test_a_command_that_is_shown_is_understood(words: list[str]) -> None:
    command = CLI
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        command, words = command.commands[words[0]], words[1:]
    with command.make_context("cloud-sync", words) as understood:
        assert understood.command is command


def test_every_command_that_there_is_is_shown() -> None:
    assert {words[0] for words in COMMANDS} == set(CLI.commands)


def test_targets_of_make_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    shown = [word for words in commands("make") for word in words[1:]]
    assert {"demo", "test"} <= set(shown)
    for word in shown:
        name, is_variable, _ = word.partition("=")
        assert f"$({name})" in makefile or f"$(if $({name})" in makefile if is_variable else name in targets, word


def test_the_deployment_names_what_the_template_has() -> None:
    ((*_, overrides),) = [
        " ".join(words).split("--parameter-overrides ") for words in commands("sam") if "deploy" in words
    ]
    assert {word.partition("=")[0] for word in overrides.split()} <= section("Parameters")
    (environment,) = re.findall(r"--config-env (\w+)", README)
    assert environment in tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))


def test_the_input_and_the_output_of_an_execution_are_those_of_the_steps() -> None:
    (shown,) = (text for text in SPANS if text.startswith('{"provider"'))
    assert json.loads(shown) == SyncRequest().to_json()
    (output,) = map(json.loads, blocks("json"))
    assert output.keys() <= Summary.__dataclass_fields__.keys()


def test_exit_codes_are_those_that_the_command_names() -> None:
    told = re.compile(r"Exit codes: .*?interrupted\.")
    assert told.findall(" ".join(README.split())) == told.findall(" ".join((sync.__doc__ or "").split())) != []


LINKS = [link for link in re.findall(r"\]\(([^)#\s]+)", README) if "://" not in link]


@pytest.mark.parametrize("link", LINKS)
def test_a_link_leads_somewhere(link: str) -> None:
    assert (ROOT / link).exists()
