"""Faults under the deployed workflow: functions that die, a slow network, a throttled table, a store out of order.

The functions reach the emulated AWS through a proxy that disturbs their calls; a death is a real SIGKILL of the
function's process, at the moment of the call.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from tests.chaos.aws_proxy import AwsProxy, Disturbance, Way
from tests.chaos.processes import kill_caller
from tests.cloud_sync import wanted
from tests.gopro_cloud import GoProCloud, many_small
from tests.gopro_cloud.library import frames, video
from tests.gopro_cloud.quirks import Fault
from tests.stack import Stack

MIB = 2**20
PART = 8 * MIB
FUNCTIONS = ("authenticate", "plan", "transfer", "mark-failed", "summarize")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a caller is found in /proc")


@contextmanager
def configured(stack: Stack, functions: tuple[str, ...], variables: dict[str, str], **settings: int) -> Iterator[None]:
    """Functions with other settings; each of them starts cold then."""
    client = stack.emulator.client("lambda")
    before = {}
    for name in functions:
        function = f"{stack.name}-{name}"
        known = client.get_function_configuration(FunctionName=function)
        before[function] = {"Environment": known["Environment"], **{key: known[key] for key in settings}}
        environment = {"Variables": known["Environment"]["Variables"] | variables}
        client.update_function_configuration(FunctionName=function, Environment=environment, **settings)
    try:
        yield
    finally:
        for function, old in before.items():
            client.update_function_configuration(FunctionName=function, **old)


@pytest.fixture(scope="module")
def between(deployed: Stack) -> Iterator[AwsProxy]:
    """What stands between the functions and AWS while these tests run."""
    with (
        AwsProxy(deployed.emulator) as running,
        configured(deployed, FUNCTIONS, {"AWS_ENDPOINT_URL": running.url}),
    ):
        yield running


@pytest.fixture
def proxy(between: AwsProxy) -> AwsProxy:
    """What stands between the functions and AWS: it disturbs nothing yet, and has counted nothing."""
    between.begin_anew(seed=7)
    return between


@pytest.fixture
def library(cloud: GoProCloud) -> int:
    """A film of three parts, a burst and some photos; how many bytes they have."""
    film = video("a-film-of-3-parts", "GX010700.MP4", "2026-04-01T10:00:00Z", 2 * PART + 12_345)
    burst = frames("a-burst", "Burst", "G0010021.JPG", "2026-04-06T12:00:00Z", [9000, 9001, 9002], raws=True)
    cloud.media = [film, burst, *many_small(4, 20_000)]
    return sum(length for files in wanted(cloud.media).values() for length, _ in files)


def assert_all_is_there(stack: Stack, cloud: GoProCloud) -> None:
    """Every original, byte for byte, written once; COMPLETED; no upload left open; and a further run moves nothing."""
    assert stack.archived() == wanted(cloud.media)
    assert set(stack.statuses().values()) == {"COMPLETED"}
    assert not stack.open_uploads()
    served = cloud.counts.bytes_served.total()
    again = stack.run({})
    assert (again.output["status"], again.output["bytes_transferred"]) == ("NO_NEW_VIDEOS", 0)
    assert cloud.counts.bytes_served.total() == served


# ------------------------------------------------------------------------------ Lambda failures


@pytest.mark.parametrize(
    ("call", "nth", "after"),
    [
        pytest.param("dynamodb.PutItem", 20, False, id="before a record"),
        pytest.param("s3.PutObject", 3, True, id="after an original was stored"),
        pytest.param("s3.UploadPart", 2, False, id="with a part in memory, as when memory runs out"),
        pytest.param("s3.UploadPart", 2, True, id="after a part"),
        pytest.param("s3.CompleteMultipartUpload", 1, False, id="before an upload was completed"),
        pytest.param("s3.CompleteMultipartUpload", 1, True, id="after an upload was completed"),
        pytest.param("dynamodb.DeleteItem", 12, True, id="after a lease was given back"),
    ],
)
def test_a_function_that_is_killed_is_tried_again_and_nothing_is_lost(
    stack: Stack, cloud: GoProCloud, proxy: AwsProxy, library: int, call: str, nth: int, after: bool
) -> None:
    kill = Disturbance(Way.CALLED_BACK, call, nth, after=after, act=lambda port: kill_caller(stack.emulator, port))
    proxy.disturb(kill)
    run = stack.run({})
    assert proxy.struck[Way.CALLED_BACK] == 1
    assert (run.output.get("status"), run.output.get("failed")) == ("SUCCEEDED", 0), run.cause
    assert cloud.counts.bytes_served.total() <= library + 2 * PART, "more was fetched again than what was on its way"
    assert_all_is_there(stack, cloud)


def test_a_transfer_function_that_dies_every_time_is_told_and_comes_with_the_next_run(
    stack: Stack, cloud: GoProCloud, proxy: AwsProxy
) -> None:
    cloud.media = [video("only-film", "GX010700.MP4", "2026-04-01T10:00:00Z", 40_000)]
    # The first attempt is killed when it sends the film, which arrives all the same; the others when they look for it.
    for call, nth, times in (("s3.PutObject", 2, 1), ("s3.HeadObject", 1, 3)):
        kill = Disturbance(Way.CALLED_BACK, call, nth, times, act=lambda port: kill_caller(stack.emulator, port))
        proxy.disturb(kill)
    run = stack.run({})
    assert (run.output["status"], run.output["failed"]) == ("PARTIAL_FAILURE", 1)
    assert stack.statuses() == {"only-film": "FAILED"}
    (message,) = stack.messages()
    assert "only-film" in message["Message"]
    proxy.calm()
    assert stack.run({}).output["status"] == "SUCCEEDED"
    assert_all_is_there(stack, cloud)


def test_a_function_that_runs_out_of_time_at_a_call_that_hangs_is_tried_again(
    stack: Stack, cloud: GoProCloud, proxy: AwsProxy, library: int
) -> None:
    with configured(stack, ("transfer",), {}, Timeout=8):
        proxy.disturb(Disturbance(Way.LATE, "s3.UploadPart", nth=2, seconds=12))
        run = stack.run({})
    assert proxy.struck[Way.LATE] == 1
    assert run.output.get("status") == "SUCCEEDED", run.cause
    assert "timed out" in stack.everything_written_down(run.arn).lower()
    assert cloud.counts.bytes_served.total() <= library + 2 * PART
    assert_all_is_there(stack, cloud)


def test_an_invocation_that_lambda_makes_twice_stores_each_original_once(
    stack: Stack, cloud: GoProCloud, proxy: AwsProxy
) -> None:
    film = video("invoked-twice", "GX010800.MP4", "2026-04-01T10:00:00Z", 2 * PART + 12_345)
    cloud.media = [film]
    cloud.quirks.faults[film.media_id] = Fault("slow", times=-1, bytes_per_second=20_000_000)
    moment = {"run_id": "twice", "started_at": "2026-05-01T02:00:00Z", "link": ""}
    medium = {"provider": "gopro", "media_id": film.media_id, "filename": film.filename, "kind": "Video"}
    event = {"video": {**medium, "captured_at": film.captured_at}, "run": moment, "auth": {}}
    client = stack.emulator.client("lambda")
    start = threading.Barrier(2)

    def invoke(_: int) -> Any:
        start.wait()
        answer = client.invoke(FunctionName=f"{stack.name}-transfer", Payload=json.dumps(event))
        return answer.get("FunctionError"), json.load(answer["Payload"])

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(invoke, range(2)))
    assert any(error is None and told["outcome"] == "transferred" for error, told in answers), answers
    answer = client.invoke(FunctionName=f"{stack.name}-transfer", Payload=json.dumps(event))
    assert json.load(answer["Payload"])["outcome"] == "transferred"
    versions = stack.emulator.client("s3").list_object_versions(
        Bucket=stack.outputs["ArchiveBucketName"], Prefix="gopro-videos/2026/04/invoked-twice/"
    )["Versions"]
    assert len(versions) == 1
    assert stack.archived() == wanted([film])
    assert set(stack.statuses().values()) == {"COMPLETED"}


# ----------------------------------------------------------------------------- network latency


def test_a_slow_network_costs_time_and_nothing_else(
    stack: Stack, cloud: GoProCloud, proxy: AwsProxy, library: int
) -> None:
    """Every call to AWS takes 100 ms more, every call of the API 200 ms; every function starts cold."""
    cloud.quirks.api_latency = 0.2
    for medium in cloud.media:
        cloud.quirks.faults[medium.media_id] = Fault("slow", times=-1, bytes_per_second=8_000_000)
    proxy.disturb(Disturbance(Way.LATE, times=-1, seconds=0.1))
    with configured(stack, FUNCTIONS, {}):
        run = stack.run({})
    assert run.output.get("status") == "SUCCEEDED", run.cause
    assert proxy.struck[Way.LATE] > 50
    assert cloud.counts.bytes_served.total() <= library + 16 * len(cloud.media)
    proxy.calm()
    assert_all_is_there(stack, cloud)


# ------------------------------------------------------------------------- DynamoDB throttling


def test_a_throttled_table_fails_nothing_for_good(
    stack: Stack, cloud: GoProCloud, proxy: AwsProxy, library: int
) -> None:
    proxy.disturb(Disturbance(Way.THROTTLED, "dynamodb.", times=-1, share=0.3))
    run = stack.run({})
    assert proxy.struck[Way.THROTTLED] > 20
    assert run.output.get("status") in ("SUCCEEDED", "PARTIAL_FAILURE"), run.cause
    proxy.calm()
    if run.output["status"] != "SUCCEEDED":
        assert stack.run({}).output["status"] == "SUCCEEDED"
    assert cloud.counts.bytes_served.total() <= library + 2 * PART
    assert_all_is_there(stack, cloud)


def test_a_table_that_throttles_everything_is_told_and_the_next_run_brings_all(
    stack: Stack, cloud: GoProCloud, proxy: AwsProxy
) -> None:
    cloud.media = many_small(3, 1000)
    proxy.disturb(Disturbance(Way.THROTTLED, "dynamodb.", times=-1))
    with configured(stack, FUNCTIONS, {"AWS_MAX_ATTEMPTS": "1"}):
        run = stack.run({})
    assert run.status == "FAILED"
    (message,) = stack.messages()
    assert "ProvisionedThroughputExceeded" in message["Message"]
    proxy.calm()
    assert stack.run({}).output["completed"] == 3
    assert_all_is_there(stack, cloud)


# -------------------------------------------------------------------------- S3 degradation


def test_a_store_that_is_half_out_of_order_loses_nothing(
    stack: Stack, cloud: GoProCloud, proxy: AwsProxy, library: int
) -> None:
    """One call in five gets 503 SlowDown, one in ten 500, one in ten is done and its answer lost."""
    proxy.disturb(Disturbance(Way.SLOW_DOWN, times=-1, share=0.2))
    proxy.disturb(Disturbance(Way.INTERNAL, "s3.", times=-1, share=0.1))
    proxy.disturb(Disturbance(Way.LOST, "s3.", times=-1, share=0.1))
    run = stack.run({})
    assert proxy.struck[Way.SLOW_DOWN] > 3
    assert proxy.struck[Way.LOST] > 0
    assert run.output.get("status") in ("SUCCEEDED", "PARTIAL_FAILURE"), run.cause
    proxy.calm()
    if run.output["status"] != "SUCCEEDED":
        assert stack.run({}).output["status"] == "SUCCEEDED"
    s3, bucket = stack.emulator.client("s3"), stack.outputs["ArchiveBucketName"]
    for key, upload_id in stack.open_uploads():
        # It was begun, nobody heard its id: no byte can lie there, and the verification ends it when it is a day old.
        assert "Parts" not in s3.list_parts(Bucket=bucket, Key=key, UploadId=upload_id)
        s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
    assert_all_is_there(stack, cloud)


# -------------------------------------------------------------------------- secrets unavailable


def test_secrets_that_cannot_be_read_are_no_rejected_credentials(
    stack: Stack, cloud: GoProCloud, proxy: AwsProxy
) -> None:
    cloud.media = many_small(3, 1000)
    proxy.disturb(Disturbance(Way.INTERNAL, "secretsmanager.", times=-1))
    run = stack.run({})
    assert run.status == "FAILED"
    assert run.error != "CredentialsRejected"
    (message,) = stack.messages()
    assert "Secrets Manager" in message["Message"]
    assert cloud.counts.api_calls == 0
    proxy.calm()
    assert stack.run({}).output["completed"] == 3
    assert_all_is_there(stack, cloud)
