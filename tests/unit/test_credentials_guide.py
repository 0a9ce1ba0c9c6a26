"""What docs/CREDENTIALS.md says is so: its commands are understood, its timers can be installed."""

from __future__ import annotations

import configparser
import json
import plistlib
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from core.credentials.browser import Browser
from core.sync.check_credentials import ASSUMED_HOURS
from tests.unit.test_readme import CLI
from tests.unit.test_template import PARAMETERS

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "CREDENTIALS.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The code blocks of a language, "" for those of none."""
    return [code for named, code in re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, re.M | re.S) if named == language]


SHOWN = [line.rpartition("| ")[2] for block in blocks("") for line in block.splitlines() if " auth " in line]
SPANS = [
    span.rpartition("| ")[2]
    for span in re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", GUIDE, flags=re.M | re.S))
    if "cloud-sync auth " in span
]


def understood(words: list[str]) -> None:
    command = CLI.commands["auth"]
    if words and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    with command.make_context("auth", words) as context:
        assert context.command is command


@pytest.mark.parametrize("line", [*SHOWN, *SPANS])
def test_a_command_that_is_shown_is_understood(line: str) -> None:
    program, auth, *words = shlex.split(line, comments=True)
    assert (program, auth) == ("cloud-sync", "auth")
    understood(words)


def test_the_three_ways_are_shown_the_best_first() -> None:
    ways = [" ".join(line.split()[2:3]) for line in SHOWN]
    assert ways[0] == "login"
    assert {"login", "set", "--from-browser"} <= set(ways)


def unit(section: str) -> str:
    (found,) = (block for block in blocks("ini") if f"[{section}]" in block)
    return found


def test_the_timers_of_all_three_systems_run_the_same_command(tmp_path: Path) -> None:
    service = configparser.ConfigParser(interpolation=None)
    service.optionxform = str  # type: ignore[assignment,method-assign]
    service.read_string(unit("Service"))
    _, linux = service["Service"]["ExecStart"].split(" ", 1)
    macos = plistlib.loads("".join(blocks("xml")).encode())["ProgramArguments"][1:]
    (windows,) = re.findall(r'-Argument "(.*?)"', "".join(blocks("powershell")))
    assert linux.split() == macos == windows.split()
    assert macos[0] == "auth"
    understood(macos[1:])


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd on this machine")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    program = tmp_path / "cloud-sync"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    service = unit("Service").replace("%h/cloud-sync/bin/cloud-sync", str(program))
    (tmp_path / "cloud-sync-auth.service").write_text(service)
    (tmp_path / "cloud-sync-auth.timer").write_text(unit("Timer"))
    files = [str(tmp_path / f"cloud-sync-auth.{kind}") for kind in ("service", "timer")]
    done = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "cloud-sync-auth" in line]) == (0, [])


def test_the_figures_and_names_are_those_of_the_product() -> None:
    assert f"{ASSUMED_HOURS:g} hours for granted" in GUIDE
    assert PARAMETERS["CredentialsCheckExpression"] == "cron(0 20 * * ? *)"
    assert "At 8 in the evening (parameter CredentialsCheckExpression)" in GUIDE
    assert f"Browsers: {', '.join(Browser)}." in GUIDE
    assert json.loads("".join(blocks("json")))["Version"] == "2012-10-17"


@pytest.mark.parametrize("anchor", re.findall(r"\]\(#([\w-]+)\)", GUIDE))
def test_a_link_within_the_guide_leads_somewhere(anchor: str) -> None:
    headings = re.findall(r"^#+ (.*)$", GUIDE, re.M)
    assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
