"""Transfers that take longer than one invocation, and executions that want the same medium at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cloud_sync import wanted
from tests.gopro_cloud import GoProCloud, many_small
from tests.gopro_cloud.library import video
from tests.gopro_cloud.quirks import Fault
from tests.stack import Stack

MB = 1_000_000


@contextmanager
def configured(stack: Stack, **settings: int) -> Iterator[None]:
    """The transfer function with other settings."""
    client, name = stack.emulator.client("lambda"), f"{stack.name}-transfer"
    before = client.get_function_configuration(FunctionName=name)
    client.update_function_configuration(FunctionName=name, **settings)
    try:
        yield
    finally:
        client.update_function_configuration(FunctionName=name, **{key: before[key] for key in settings})


def test_a_medium_of_60_mb_goes_on_over_several_invocations_and_no_part_is_fetched_twice(
    stack: Stack, cloud: GoProCloud
) -> None:
    cloud.media = [video("long-recording", "GX010600.MP4", "2026-04-01T10:00:00Z", 60 * MB)]
    cloud.quirks.faults["long-recording"] = Fault("slow", times=-1, bytes_per_second=2 * MB)
    # With so little memory two parts of 8 MiB are on their way at once: each invocation has time for few.
    with configured(stack, Timeout=10, MemorySize=128):
        run = stack.run({})
    assert run.output.get("status") == "SUCCEEDED", run.cause
    assert stack.archived() == wanted(cloud.media)
    ended = [line for line in stack.logs().splitlines() if '"transfer ended"' in line and "long-recording" in line]
    outcomes = [json.loads(line)["transfer"]["outcome"] for line in ended]
    assert outcomes[-1] == "transferred"
    assert set(outcomes[:-1]) == {"unfinished"}
    assert len(outcomes) >= 3
    probes = 2 * 16 * len(outcomes)
    assert cloud.counts.bytes_served["long-recording"] <= 60 * MB + probes
    uploads = stack.emulator.client("s3").list_multipart_uploads(Bucket=stack.outputs["ArchiveBucketName"])
    assert "Uploads" not in uploads


def test_two_executions_at_once_move_each_byte_once(stack: Stack, cloud: GoProCloud) -> None:
    cloud.media = many_small(6, 200_000)
    for medium in cloud.media:
        cloud.quirks.faults[medium.media_id] = Fault("slow", times=-1, bytes_per_second=100_000)
    first, second = stack.start(), stack.start()
    runs = [stack.wait(first), stack.wait(second)]
    assert [run.status for run in runs] == ["SUCCEEDED", "SUCCEEDED"]
    assert [run.output["failed"] for run in runs] == [0, 0]
    assert cloud.counts.bytes_served.total() == 6 * 200_000
    assert stack.archived() == wanted(cloud.media)
    assert set(stack.statuses().values()) == {"COMPLETED"}
