"""`scripts/trigger_sync.sh`: which command it becomes."""

from __future__ import annotations

import os
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STACKS = {
    name: told["deploy"]["parameters"]["stack_name"]
    for name, told in tomllib.loads((ROOT / "samconfig.toml").read_text()).items()
    if name not in ("version", "default")
}


def script(folder: Path, *words: str) -> tuple[int, str, str]:
    """Run it where `cloud-sync` prints its words: exit code, printed, said."""
    program = folder / "cloud-sync"
    program.write_text('#!/bin/sh\nprintf "%s|" "$@"\nexit 5\n')
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    command = [str(ROOT / "scripts" / "trigger_sync.sh"), *words]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(("environment", "stack"), STACKS.items())
def test_an_environment_is_the_stack_that_samconfig_names(tmp_path: Path, environment: str, stack: str) -> None:
    assert script(tmp_path, environment) == (5, f"run|--stack|{stack}|", "")


def test_there_are_three_environments() -> None:
    assert STACKS.keys() == {"dev", "staging", "prod"}


@pytest.mark.parametrize("command", ["follow", "stop", "redrive"])
def test_a_command_comes_first_and_an_execution_last(tmp_path: Path, command: str) -> None:
    assert script(tmp_path, command, "dev", "abc")[1] == f"run|{command}|--stack|cloud-sync-dev|abc|"


def test_options_are_handed_on_as_they_are(tmp_path: Path) -> None:
    request = '{"max_items": 10, "media_ids": ["a b"]}'
    assert script(tmp_path, "prod", "--input", request, "--no-wait")[1] == (
        f"run|--stack|cloud-sync-prod|--input|{request}|--no-wait|"
    )
    assert script(tmp_path, "--stack", "mine", "--json")[1] == "run|--stack|mine|--json|"


@pytest.mark.parametrize("words", [(), ("--help",), ("nowhere",), ("stop",), ("p.od",), ("--stack",)])
def test_what_names_no_stack_is_refused_with_the_usage(tmp_path: Path, words: tuple[str, ...]) -> None:
    code, printed, said = script(tmp_path, *words)
    assert (code, printed) == (2, "")
    assert "scripts/trigger_sync.sh prod [--input" in said
