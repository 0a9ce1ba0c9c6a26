"""The doctor with IAM enforced: what the guide lists suffices, and what is denied is told as not checked."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.permissions.stories import World
from tests.stack import REGION

ROOT = Path(__file__).resolve().parents[2]
(ROW,) = re.findall(r"^\| `doctor` \|.*$", (ROOT / "docs" / "DEPLOYMENT.md").read_text(encoding="utf-8"), re.M)
ACTIONS = re.findall(r"`(\w+:\w+)`", ROW)

#: The emulator asks nobody for the permission to see these.
NOT_ASKED = {"account limit"}


@pytest.fixture
def user(world: World) -> Iterator[dict[str, str]]:
    """The keys of a user who may do nothing yet."""
    iam = world.stack.emulator.client("iam")
    iam.create_user(UserName="doctor")
    key = iam.create_access_key(UserName="doctor")["AccessKey"]
    yield {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    iam.delete_access_key(UserName="doctor", AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName="doctor", PolicyName="doctor")
    iam.delete_user(UserName="doctor")


def examine(world: World, keys: dict[str, str], actions: list[str]) -> tuple[int, list[Any]]:
    """What the doctor sees for a user who may do this: exit code and checks."""
    statement = {"Effect": "Allow", "Action": ["cloudformation:DescribeStacks", *actions], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    world.stack.emulator.client("iam").put_user_policy(UserName="doctor", PolicyName="doctor", PolicyDocument=policy)
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": world.stack.emulator.endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_MAX_ATTEMPTS": "1",
        **world.stack.emulator.trust,
        **keys,
    }
    command = [sys.executable, "-m", "core", "doctor", "--stack", world.stack.name, "--json"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)["checks"]


def test_the_rights_that_the_guide_lists_suffice(world: World, user: dict[str, str]) -> None:
    code, checks = examine(world, user, ACTIONS)
    assert code in (0, 1)
    assert not [one for one in checks if one["level"] == "not checked"]


def test_what_is_denied_is_told_as_not_checked(world: World, user: dict[str, str]) -> None:
    code, (state, *others) = examine(world, user, [])
    assert code == 4
    assert state["level"] == "ok"
    assert {one["part"] for one in others if one["level"] != "not checked"} == NOT_ASKED
