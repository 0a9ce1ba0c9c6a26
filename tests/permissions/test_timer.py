"""The rights that the guide gives to the timer's profile: they suffice, and none is spare."""

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
POLICY = re.findall(r"^```json\n(.*?)^```$", (ROOT / "docs" / "CREDENTIALS.md").read_text(), re.M | re.S)[0]

#: The emulator asks nobody for the use of a key.
NOT_ASKED = "kms:"

STATEMENTS: list[dict[str, Any]] = json.loads(POLICY)["Statement"]
ACTIONS = [
    (place, action)
    for place, statement in enumerate(STATEMENTS)
    for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    if not action.startswith(NOT_ASKED)
]


def deployed(world: World) -> list[dict[str, Any]]:
    """The guide's statements for this stack."""
    text = json.dumps(STATEMENTS)
    names = {
        "SECRET": world.stack.outputs["CredentialsSecretArn"],
        "REGION": REGION,
        "ACCOUNT": "000000000000",
        "cloud-sync-prod": world.stack.name,
    }
    for name, value in names.items():
        text = text.replace(name, value)
    found: list[dict[str, Any]] = json.loads(text)
    return found


@pytest.fixture
def user(world: World) -> Iterator[dict[str, str]]:
    """The keys of a user who may do nothing yet."""
    iam = world.stack.emulator.client("iam")
    iam.create_user(UserName="timer")
    key = iam.create_access_key(UserName="timer")["AccessKey"]
    yield {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    iam.delete_access_key(UserName="timer", AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName="timer", PolicyName="timer")
    iam.delete_user(UserName="timer")


def bring(world: World, keys: dict[str, str], statements: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    """What the timer does, under a policy, after a run that failed for want of credentials."""
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    world.stack.emulator.client("iam").put_user_policy(UserName="timer", PolicyName="timer", PolicyDocument=policy)
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": world.stack.emulator.endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_MAX_ATTEMPTS": "1",
        **world.stack.emulator.trust,
        **keys,
    }
    command = [sys.executable, "-m", "core", "auth", "set", "--stack", world.stack.name, "--then-sync"]
    pasted = json.dumps(world.cloud.pasted())
    return subprocess.run(
        command, env=environment, cwd=ROOT, input=pasted, capture_output=True, text=True, timeout=120, check=False
    )


def fail_for_credentials(world: World) -> None:
    world.cloud.tokens.clear()
    assert world.stack.run({"max_items": 1}).error == "CredentialsRejected"


def test_the_rights_of_the_guide_suffice(world: World, user: dict[str, str]) -> None:
    fail_for_credentials(world)
    done = bring(world, user, deployed(world))
    assert done.returncode == 0, done.stderr
    assert "Stored in the secret" in done.stderr
    assert "Started the run" in done.stderr


@pytest.mark.parametrize(("place", "action"), ACTIONS, ids=[action for _, action in ACTIONS])
def test_none_of_them_is_spare(world: World, user: dict[str, str], place: int, action: str) -> None:
    fail_for_credentials(world)
    statements = deployed(world)
    left = statements[place]["Action"]
    statements[place]["Action"] = [] if isinstance(left, str) else [one for one in left if one != action]
    done = bring(world, user, [one for one in statements if one["Action"]])
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
    assert "refuses" in done.stderr or "could not be started" in done.stderr
