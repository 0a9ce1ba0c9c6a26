"""A drill on the deployed stack: the table is lost, objects and the catalog are damaged; all is found and mended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.archive.s3 import S3Archive
from core.tracker.dynamodb import DynamoTracker
from tests.cloud_sync import fill, wanted
from tests.emulator import REGION
from tests.gopro_cloud import GoProCloud, many_small, sample_library
from tests.gopro_cloud.media import CloudMedium
from tests.stack import Stack

COMMAND = str(Path(sys.executable).with_name("cloud-sync"))


def library() -> list[CloudMedium]:
    return [*sample_library(scale=0.02), *many_small(24, 1000)]


def run_command(stack: Stack, *words: str) -> subprocess.CompletedProcess[str]:
    """`cloud-sync` with the credentials of the stack's account."""
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": stack.emulator.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
    }
    return subprocess.run([COMMAND, *words], env=environment, capture_output=True, text=True, timeout=300, check=False)


def cloud_sync(stack: Stack, *words: str) -> tuple[int, Any]:
    """A command on the stack: its exit code and what it tells as JSON."""
    done = run_command(stack, *words, "--stack", stack.name, "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_a_stack_or_a_table_that_is_not_there_is_told_in_words(stack: Stack) -> None:
    nowhere = run_command(stack, "verify", "--stack", "no-such-stack")
    assert (nowhere.returncode, nowhere.stdout) == (2, "")
    assert "no stack no-such-stack" in nowhere.stderr
    client, name = stack.emulator.client("dynamodb"), stack.outputs["SyncTrackerTableName"]
    was = client.describe_table(TableName=name)["Table"]
    client.delete_table(TableName=name)
    done = run_command(stack, "reindex", "--stack", stack.name)
    make_table(client, was)
    assert (done.returncode, done.stdout) == (4, "")
    assert "docs/recovery.md" in done.stderr


def lose_the_table(stack: Stack) -> None:
    """Delete the table, and make an empty one as it was."""
    client, name = stack.emulator.client("dynamodb"), stack.outputs["SyncTrackerTableName"]
    was = client.describe_table(TableName=name)["Table"]
    client.delete_table(TableName=name)
    make_table(client, was)
    assert stack.records() == {}


def make_table(client: Any, was: Any) -> None:
    client.create_table(
        TableName=was["TableName"],
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=was["AttributeDefinitions"],
        KeySchema=was["KeySchema"],
        GlobalSecondaryIndexes=[
            {part: index[part] for part in ("IndexName", "KeySchema", "Projection")}
            for index in was["GlobalSecondaryIndexes"]
        ],
    )


def test_the_drill(stack: Stack, cloud: GoProCloud, capsys: pytest.CaptureFixture[str]) -> None:
    cloud.media = library()
    first = stack.run({})
    assert first.output["status"] == "SUCCEEDED"
    (message,) = stack.messages(0)
    assert "the first backup is done" in message["Subject"]
    assert stack.verify({}).output["status"] == "SOUND"
    s3, bucket = stack.emulator.client("s3"), stack.outputs["ArchiveBucketName"]

    # The table is lost, and rebuilt from the archive alone.
    lose_the_table(stack)
    code, told = cloud_sync(stack, "reindex")
    assert (code, told["recorded"], told["findings"]) == (0, first.output["completed"], [])
    served = cloud.counts.bytes_served.total()
    again = stack.run({})
    assert (again.output["status"], again.output["bytes_transferred"]) == ("NO_NEW_VIDEOS", 0)
    assert cloud.counts.bytes_served.total() == served
    assert stack.messages(0) == []

    # It is lost again, with some objects, one that is damaged, and a catalog entry.
    lose_the_table(stack)
    keys = stack.keys("gopro-videos/")
    lost, damaged = keys[7::40], keys[30]
    wrong = s3.head_object(Bucket=bucket, Key=damaged)["ContentLength"]
    needed = wrong + sum(s3.head_object(Bucket=bucket, Key=key)["ContentLength"] for key in lost)
    for key in lost:
        s3.delete_object(Bucket=bucket, Key=key)
    s3.put_object(Bucket=bucket, Key=damaged, Body=b"x" * wrong)
    s3.put_object(Bucket=bucket, Key="catalog/gopro/small000020.json", Body=b"not JSON")
    versions = {one["Key"]: one["VersionId"] for one in listed(stack)}

    code, seen = cloud_sync(stack, "verify")
    expected = {
        "missing": len(lost),
        "damaged": 1,
        "catalog_unreadable": 1,
        "not_tracked": first.output["completed"] - 1,
    }
    assert (code, seen["found"], seen["repaired"]) == (1, expected, {})
    assert stack.records() == {}, "without --repair nothing is changed"
    verified = stack.verify({"repair": True})
    assert verified.output["found"] == expected
    assert sum(verified.output["repaired"].values()) == verified.output["findings"]
    (message,) = stack.messages()
    assert "findings in the archive" in message["Subject"]
    for part in (*(key.rpartition("/")[2] for key in (*lost, damaged)), "small000020", verified.arn):
        assert part in message["Message"] or len(verified.output["first"]) == 20
    assert "NotifyFindings" in stack.states_entered(verified.arn)

    second = stack.run({})
    assert (second.output["failed"], second.output["bytes_transferred"]) == (0, needed)
    assert stack.archived() == wanted(cloud.media)
    after = {one["Key"]: one["VersionId"] for one in listed(stack)}
    assert {key for key in after if after[key] != versions.get(key)} == {*lost, damaged}
    sound = stack.verify({"checksums": True})
    assert (sound.output["status"], sound.output["findings"]) == ("SOUND", 0)
    assert json.loads(b"".join(stack.read("catalog/gopro/small000020.json")))["facts"]
    assert cloud_sync(stack, "verify", "--checksums")[0] == 0
    with capsys.disabled():
        figures = {name: verified.output[name] for name in ("media", "originals", "length", "found", "repaired")}
        print(f"\ndrill: {figures}, brought again {needed} bytes, verified in {verified.output['duration_seconds']} s")


def listed(stack: Stack) -> list[Any]:
    """The current versions of all originals."""
    pages = stack.emulator.client("s3").get_paginator("list_object_versions")
    found = pages.paginate(Bucket=stack.outputs["ArchiveBucketName"], Prefix="gopro-videos/")
    return [one for page in found for one in page.get("Versions", []) if one["IsLatest"]]


def test_a_verification_goes_on_over_several_invocations(stack: Stack, cloud: GoProCloud) -> None:
    """With so little time to live, each invocation looks at one batch only."""
    s3, bucket = stack.emulator.client("s3"), stack.outputs["ArchiveBucketName"]
    tracker = DynamoTracker(stack.emulator.client("dynamodb"), stack.outputs["SyncTrackerTableName"])
    keys = fill(S3Archive(s3, bucket), tracker, 1200)
    s3.delete_object(Bucket=bucket, Key=keys[1150])
    client, function = stack.emulator.client("lambda"), "cloud-sync-test-verify"
    client.update_function_configuration(FunctionName=function, Timeout=60)
    try:
        run = stack.verify({})
    finally:
        client.update_function_configuration(FunctionName=function, Timeout=900)
    assert stack.states_entered(run.arn).count("VerifyArchive") == 3
    assert (run.output["media"], run.output["found"]) == (1200, {"missing": 1})


def test_a_malformed_verification_is_refused_in_words(stack: Stack) -> None:
    run = stack.verify({"repair": "please"})
    assert (run.status, run.error) == ("FAILED", "InvalidInput")
    assert "repair" in run.cause
    (message,) = stack.messages()
    assert "malformed" in message["Subject"]


def test_a_verification_that_keeps_failing_is_told(stack: Stack) -> None:
    client, function = stack.emulator.client("lambda"), "cloud-sync-test-verify"
    handler = client.get_function_configuration(FunctionName=function)["Handler"]
    client.update_function_configuration(FunctionName=function, Handler="handlers.no_such_module.handler")
    try:
        run = stack.verify({})
    finally:
        client.update_function_configuration(FunctionName=function, Handler=handler)
    assert run.status == "FAILED"
    (message,) = stack.messages()
    assert message["Subject"] == "Cloud Sync: the verification of the archive failed"
