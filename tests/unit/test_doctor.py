"""The doctor where nothing can be asked: whatever the reason, no part of a stack is told to be well."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import ANY

import boto3
import pytest

from core.credentials.secretsmanager import SecretsManagerCredentials
from core.doctor import Check, Level, SignIn, StackDoctor
from core.providers.base import ProviderSettings
from core.providers.registry import create
from core.stacks import Deployed
from core.tracker.sqlite import SqliteTracker
from tests.emulator import REGION

ARN = f"arn:aws:states:{REGION}:000000000000:stateMachine:some"
OUTPUTS = {
    "ArchiveBucketName": "archive",
    "SyncTrackerTableName": "tracker",
    "ScheduleName": "sync",
    "VerifyScheduleName": "verify",
    "StateMachineArn": ARN,
    "VerifyStateMachineArn": f"{ARN}-verify",
    "AlertTopicArn": f"arn:aws:sns:{REGION}:000000000000:alerts",
}


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    """AWS at an address at which nobody is."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    return boto3.Session(region_name=REGION)


def examine(
    session: boto3.Session, folder: Path, outputs: dict[str, str], status: str = "CREATE_COMPLETE"
) -> list[Check]:
    stack = Deployed("some", status, outputs, {"CustomerKey": "true", "MaxConcurrency": "5"})
    tracker = SqliteTracker(folder / "tracker.sqlite3")
    store = SecretsManagerCredentials(session.client("secretsmanager"), "secret")
    provider = create("gopro", ProviderSettings(store, tracker, "http://127.0.0.1:9"))
    return list(StackDoctor(session, stack, SignIn(provider, store, tracker)).examine())


def test_what_cannot_be_asked_is_never_well(session: boto3.Session, tmp_path: Path) -> None:
    state, *others = examine(session, tmp_path, OUTPUTS)
    assert state.level is Level.OK
    assert len(others) == 12
    assert {one.level for one in others} == {Level.NOT_CHECKED}
    assert all("EndpointConnectionError" in one.saw for one in others), others
    assert all(one.remedy for one in others)


def test_a_stack_that_tells_less_than_it_should_is_not_well_either(session: boto3.Session, tmp_path: Path) -> None:
    found = examine(session, tmp_path, {})
    assert Check("alerts", Level.NOT_CHECKED, ANY, ANY) in found
    assert any("'AlertTopicArn'; is it of an older version?" in one.saw for one in found)


@pytest.mark.parametrize(
    ("status", "level"),
    [
        ("UPDATE_COMPLETE", Level.OK),
        ("IMPORT_COMPLETE", Level.OK),
        ("UPDATE_IN_PROGRESS", Level.WARNING),
        ("UPDATE_ROLLBACK_COMPLETE", Level.WARNING),
        ("UPDATE_ROLLBACK_FAILED", Level.PROBLEM),
        ("ROLLBACK_COMPLETE", Level.PROBLEM),
        ("DELETE_FAILED", Level.PROBLEM),
    ],
)
def test_the_state_of_a_stack_is_told(session: boto3.Session, tmp_path: Path, status: str, level: Level) -> None:
    assert examine(session, tmp_path, {}, status)[0].level is level
