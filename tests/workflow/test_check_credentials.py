"""The check of the credentials as it is deployed: called with what its schedules send, its message read."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.gopro_cloud import GoProCloud
from tests.stack import Stack


def check(stack: Stack, schedule: str) -> dict[str, Any]:
    """Call the function as a schedule does."""
    target = stack.emulator.client("scheduler").get_schedule(Name=f"{stack.name}-{schedule}")["Target"]
    assert target["Arn"].endswith(f":function:{stack.name}-check-credentials")
    answer = stack.emulator.client("lambda").invoke(FunctionName=target["Arn"], Payload=target["Input"])
    told: dict[str, Any] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, told
    return told


def test_a_dead_token_is_told_in_the_evening_once_and_nothing_secret_is_written_down(
    stack: Stack, cloud: GoProCloud
) -> None:
    pasted = cloud.pasted()
    stack.put_secret(pasted)
    assert check(stack, "credentials-watch")["outcome"] == "good"
    assert check(stack, "credentials-check")["outcome"] == "good"
    cloud.tokens.clear()
    assert check(stack, "credentials-watch")["outcome"] == "dead"
    assert stack.messages(wait_seconds=1) == []
    assert check(stack, "credentials-check")["outcome"] == "dead"
    assert check(stack, "credentials-check")["outcome"] == "dead"
    (message,) = stack.messages()
    assert message["Subject"] == "Cloud Sync: sign in again before the next sync, the credentials are dead"
    assert f"`cloud-sync auth set` (for a deployed stack add `--stack {stack.name}`)" in message["Message"]

    table = stack.emulator.client("dynamodb").scan(TableName=stack.outputs["SyncTrackerTableName"])["Items"]
    (kept,) = (json.loads(item["text"]["S"]) for item in table if item["media_id"]["S"] == "token-lives/gopro")
    assert kept["dead_at"] is not None
    everywhere = json.dumps([message, table]) + stack.logs()
    assert "checked the credentials" in everywhere
    for secret in pasted.values():
        assert secret not in everywhere


def test_a_new_stack_is_reminded_of_its_placeholder(stack: Stack) -> None:
    stack.put_secret({"gp_access_token": "REPLACE_ME", "gp_user_id": "REPLACE_ME"})
    assert check(stack, "credentials-check")["outcome"] == "dead"
    (message,) = stack.messages()
    assert "the placeholder is still there" in message["Message"]


def test_the_scheduler_calls_it(stack: Stack, cloud: GoProCloud) -> None:
    scheduler = stack.emulator.client("scheduler")
    made = scheduler.get_schedule(Name=f"{stack.name}-credentials-check")
    cloud.tokens.clear()
    soon = datetime.now(UTC) + timedelta(seconds=2)
    scheduler.create_schedule(
        Name="soon",
        ScheduleExpression=f"at({soon:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={name: made["Target"][name] for name in ("Arn", "RoleArn", "Input")},
    )
    deadline = time.monotonic() + 60
    messages: list[dict[str, Any]] = []
    while not messages:
        assert time.monotonic() < deadline, "nobody was told"
        messages = stack.messages(wait_seconds=1)
    scheduler.delete_schedule(Name="soon")
    assert "the credentials are dead" in messages[0]["Subject"]
