"""What operates a deployed stack: `scripts/trigger_sync.sh` with `cloud-sync run`, and `cloud-sync doctor`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import boto3
import pytest

from core.credentials.secretsmanager import SecretsManagerCredentials
from core.doctor import Check, Level, SignIn, StackDoctor
from core.model import format_time, utc_now
from core.providers.base import ProviderSettings
from core.providers.registry import create
from core.stacks import describe
from core.tracker.dynamodb import DynamoTracker
from tests.cloud_sync import wanted
from tests.emulator import REGION
from tests.gopro_cloud import GoProCloud, many_small
from tests.gopro_cloud.quirks import Fault
from tests.stack import ROOT, Stack

SCRIPT = str(ROOT / "scripts" / "trigger_sync.sh")


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, what it printed, and what it said on standard error."""

    code: int
    out: str
    told: str


def environment(stack: Stack, **more: str) -> dict[str, str]:
    """A shell that has the stack's AWS, and the project's programs first in its path."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AWS_ENDPOINT_URL": stack.emulator.endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_MAX_ATTEMPTS": "1",
        "COLUMNS": "160",
        **more,
    }


def begin(stack: Stack, *words: str, **more: str) -> subprocess.Popen[str]:
    command = subprocess.PIPE
    return subprocess.Popen(words, env=environment(stack, **more), stdout=command, stderr=command, text=True)


def run(stack: Stack, *words: str, **more: str) -> Ended:
    process = begin(stack, *words, **more)
    out, told = process.communicate(timeout=120)
    assert "Traceback" not in told
    return Ended(process.returncode, out, told)


def executions(stack: Stack) -> list[Any]:
    client = stack.emulator.client("stepfunctions")
    found: list[Any] = client.list_executions(stateMachineArn=stack.outputs["StateMachineArn"])["executions"]
    return found


def slow_library(cloud: GoProCloud) -> None:
    """A library of which each medium takes about three seconds."""
    cloud.media = many_small(3, 300_000)
    cloud.quirks.faults |= {one.media_id: Fault("slow", bytes_per_second=100_000) for one in cloud.media}


def wait_for_the_map(stack: Stack, arn: str) -> None:
    deadline = time.monotonic() + 60
    while "IN_PROGRESS" not in stack.statuses().values():
        assert time.monotonic() < deadline, f"{arn} does not get as far as its transfers"
        time.sleep(0.1)


# -------------------------------------------------------------------------------------- doctor
# First, before the tests that stop runs: what these had on their way ends after them.


def examine(stack: Stack, code: int, **more: str) -> dict[str, Any]:
    """What `cloud-sync doctor` sees, by part."""
    ended = run(stack, sys.executable, "-m", "core", "doctor", "--stack", stack.name, "--json", **more)
    assert ended.code == code, ended.out + ended.told
    return {one["part"]: one for one in json.loads(ended.out)["checks"]}


def examined(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, hours_later: float = 0, **parameters: str
) -> dict[str, Check]:
    """What the doctor sees later, or of a stack with other parameters."""
    for name, value in environment(stack).items():
        monkeypatch.setenv(name, value)
    session = boto3.Session()
    told = describe(session.client("cloudformation"), stack.name)
    told = replace(told, parameters=told.parameters | parameters)
    store = SecretsManagerCredentials(session.client("secretsmanager"), told.outputs["CredentialsSecretArn"])
    tracker = DynamoTracker(session.client("dynamodb"), told.outputs["SyncTrackerTableName"])
    provider = create("gopro", ProviderSettings(store, tracker, told.parameters["GoProApiUrl"]))
    later = utc_now() + timedelta(hours=hours_later)
    doctor = StackDoctor(session, told, SignIn(provider, store, tracker), lambda: later)
    return {one.part: one for one in doctor.examine()}


def test_a_stack_in_good_health_is_told_so_part_by_part(stack: Stack, cloud: GoProCloud) -> None:
    stack.emulator.client("dynamodb").update_continuous_backups(  # the emulated CloudFormation leaves it out
        TableName=stack.outputs["SyncTrackerTableName"],
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
    )
    cloud.media = many_small(2, 1000)
    stack.run({})
    stack.verify({})
    seen = examine(stack, 0)
    levels = {part: one["level"] for part, one in seen.items()}
    warned = {"schedule of the sync", "schedule of the verification"}  # the tests deploy them as disabled
    assert levels == {part: "warning" if part in warned else "ok" for part in seen}, seen
    assert {"stack", "account limit", "credentials", "alerts", "archive", "tracker", "key", "missed starts"} < set(seen)
    assert "2 media completed, 0 failed" in seen["last sync"]["saw"]
    assert "cron(0 2 * * ? *)" in seen["schedule of the sync"]["saw"]
    assert all(one["remedy"] for one in seen.values() if one["level"] != "ok")
    ended = run(stack, sys.executable, "-m", "core", "doctor", "--stack", stack.name)
    assert ended.code == 0
    for part in seen:
        assert part in ended.out


def test_what_is_wrong_with_a_stack_is_found_and_what_to_do_is_told(stack: Stack, cloud: GoProCloud) -> None:
    client = stack.emulator.client
    bucket, topic = stack.outputs["ArchiveBucketName"], stack.outputs["AlertTopicArn"]
    queue = client("sqs").get_queue_url(QueueName=stack.physical_ids()["ScheduleDeadLetters"].rpartition("/")[2])
    key = stack.physical_ids()["EncryptionKey"]
    policy = client("kms").get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    pasted = cloud.pasted()
    stack.put_secret(pasted)
    cloud.tokens.clear()
    stack.run({})
    client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    client("sns").subscribe(TopicArn=topic, Protocol="http", Endpoint="http://127.0.0.1:9/")
    client("sqs").send_message(QueueUrl=queue["QueueUrl"], MessageBody="{}")
    client("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=policy.replace("scheduler.", "elsewhere."))
    try:
        seen = examine(stack, 1)
    finally:
        client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        client("sqs").purge_queue(QueueUrl=queue["QueueUrl"])
        client("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=policy)
        subscriptions = client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        for one in subscriptions:
            if one["Protocol"] == "http":
                client("sns").unsubscribe(SubscriptionArn=one["SubscriptionArn"])
    expected = {
        "credentials": ("refused", "cloud-sync auth set --stack"),
        "archive": ("keeps no versions", "Undo"),
        "alerts": ("1 not yet", "Follow the link"),
        "missed starts": ("1 start did not happen", "cloud-sync run --stack"),
        "key": ("no longer allows the scheduler", "sam deploy"),
        "last sync": ("FAILED", "cloud-sync run --stack"),
    }
    problems = {part for part, one in seen.items() if one["level"] == "problem"}
    assert problems == expected.keys(), seen
    for part, (saw, remedy) in expected.items():
        assert saw in seen[part]["saw"], seen[part]
        assert remedy in seen[part]["remedy"]
    assert pasted["gp_access_token"] not in json.dumps(seen)


def test_a_stack_that_has_not_succeeded_for_a_day_and_a_half_has_a_problem(
    stack: Stack, cloud: GoProCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.media = many_small(1, 1000)
    stack.run({})
    assert examined(stack, monkeypatch, hours_later=35)["last success"].level is Level.OK
    assert examined(stack, monkeypatch, hours_later=37)["last success"].level is Level.PROBLEM
    # A token that is pasted lives for hours.
    stack.put_secret(cloud.pasted() | {"last_updated": format_time(utc_now()) or ""})
    assert examined(stack, monkeypatch)["credentials"].level is Level.OK
    assert examined(stack, monkeypatch, hours_later=5)["credentials"].level is Level.WARNING


def test_more_at_once_than_the_account_may_run_is_a_problem(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = stack.emulator.client("lambda").get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"]
    wanted = (limit // 2, limit // 2 + 1, limit)
    found = [examined(stack, monkeypatch, MaxConcurrency=str(many))["account limit"] for many in wanted]
    assert [one.level for one in found] == [Level.OK, Level.WARNING, Level.PROBLEM]
    assert f"MaxConcurrency={limit // 2}" in found[2].remedy


# ---------------------------------------------------------------------------------------- runs


def test_a_run_is_started_and_followed_to_its_summary(stack: Stack, cloud: GoProCloud) -> None:
    cloud.media = many_small(5, 2000)
    ended = run(stack, SCRIPT, "--stack", stack.name, "--input", '{"max_items": 4}')
    assert ended.code == 0, ended.told
    said = [line.strip() for line in ended.told.splitlines()]
    assert said[0].startswith("Started the run ")
    assert [line for line in said if line in ("AuthenticateProvider", "DownloadVideos", "SyncComplete")] == [
        "AuthenticateProvider",
        "DownloadVideos",
        "SyncComplete",
    ]
    assert "4 of 4 media dealt with, 0 on their way" in said
    assert "SUCCEEDED" in ended.out
    assert f"s3://{stack.outputs['ArchiveBucketName']}" in ended.out
    assert [status for status in stack.statuses().values() if status == "COMPLETED"] == ["COMPLETED"] * 4


def test_the_exit_code_is_that_of_the_outcome(stack: Stack, cloud: GoProCloud) -> None:
    cloud.media = many_small(2, 1000)
    cloud.quirks.faults["small000001"] = Fault("empty", times=-1)
    partial = run(stack, SCRIPT, "--stack", stack.name, "--json")
    told = json.loads(partial.out)
    assert (partial.code, told["status"], told["output"]["status"]) == (1, "SUCCEEDED", "PARTIAL_FAILURE")
    assert partial.told.splitlines()[1:] == []
    shown = run(stack, SCRIPT, "follow", "--stack", stack.name, told["execution"])
    assert shown.code == 1
    assert "failed: small000001" in shown.out.replace("\n", " ") or "small000001" in shown.out

    cloud.tokens.clear()
    rejected = run(stack, SCRIPT, "--stack", stack.name)
    assert rejected.code == 3
    assert "FAILED CredentialsRejected" in rejected.out
    standing = run(stack, sys.executable, "-m", "core", "status", "--stack", stack.name)
    assert "the last run failed: The stored credentials for gopro are refused" in standing.out
    count = len(executions(stack))
    for malformed in ("{", '{"max_items": 0}', '{"full-scan": true}'):
        refused = run(stack, SCRIPT, "--stack", stack.name, "--input", malformed)
        assert (refused.code, refused.out) == (2, "")
    assert "--input knows no full-scan, only provider, full_scan" in refused.told
    assert len(executions(stack)) == count, "what is malformed starts nothing"
    assert run(stack, SCRIPT, "--stack", "no-such-stack").code == 2


def test_a_run_is_stopped_and_the_next_one_brings_the_rest(stack: Stack, cloud: GoProCloud) -> None:
    slow_library(cloud)
    started = run(stack, SCRIPT, "--stack", stack.name, "--no-wait", "--json")
    told = json.loads(started.out)
    assert (started.code, told["status"]) == (0, "RUNNING")
    wait_for_the_map(stack, told["execution"])
    follower = begin(stack, SCRIPT, "follow", "--stack", stack.name)
    time.sleep(1.5)
    stopped = run(stack, SCRIPT, "stop", "--stack", stack.name)
    assert stopped.code == 0, stopped.told
    assert "The next one goes on from here: cloud-sync run --stack" in stopped.told
    out, _ = follower.communicate(timeout=60)
    assert follower.returncode == 130
    assert "ABORTED Stopped" in out
    again = run(stack, SCRIPT, "stop", "--stack", stack.name)
    assert (again.code, again.told.strip()) == (2, "There is no run under way.")

    cloud.quirks.faults.clear()
    while "IN_PROGRESS" in stack.statuses().values():
        time.sleep(0.2)  # what was on its way
    assert run(stack, SCRIPT, "--stack", stack.name).code == 0
    assert stack.archived() == wanted(cloud.media)


def test_who_stops_following_stops_no_run(stack: Stack, cloud: GoProCloud) -> None:
    slow_library(cloud)
    follower = begin(stack, sys.executable, "-m", "core", "run", "--stack", stack.name)
    assert follower.stderr
    assert follower.stderr.readline().startswith("Started the run")
    wait_for_the_map(stack, "the run")
    follower.send_signal(signal.SIGINT)
    _, said = follower.communicate(timeout=30)
    assert follower.returncode == 130
    assert f"The run goes on. Follow it: cloud-sync run follow --stack {stack.name}" in said
    beside = run(stack, SCRIPT, "--stack", stack.name, "--input", '{"dry_run": true}')
    assert "is under way already" in beside.told
    assert beside.code == 0
    for one in executions(stack):
        assert stack.wait(one["executionArn"]).status != "RUNNING"
    assert stack.archived() == wanted(cloud.media)


@pytest.fixture
def redriving(stack: Stack) -> Iterator[tuple[str, list[Any]]]:
    """An address of Step Functions that redrives, which the emulator cannot, and what it was asked to redrive.

    Its reads lag behind, as AWS says that they may: the next two looks at a run know nothing of what was done to it.
    """
    asked: list[Any] = []
    lag: Counter[str] = Counter()
    client = stack.emulator.client("stepfunctions")

    def described(arn: str) -> dict[str, Any] | None:
        lag[arn] -= lag[arn] > 0
        is_redriven = any(one["executionArn"] == arn for one in asked)
        if lag[arn] and not is_redriven:
            return None
        return {**client.describe_execution(executionArn=arn), "redriveCount": int(is_redriven and not lag[arn])}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            action = self.headers["X-Amz-Target"].rpartition(".")[2]
            answer: Any
            if action == "RedriveExecution":
                asked.append(json.loads(body))
                lag[asked[-1]["executionArn"]] = 3
                answer = {"redriveDate": 1_800_000_000}
            elif action == "StartExecution":
                answer = client.start_execution(**json.loads(body))
                lag[answer["executionArn"]] = 3
            elif action == "DescribeExecution":
                answer = described(json.loads(body)["executionArn"])
            else:
                method = {"GetExecutionHistory": "get_execution_history", "ListMapRuns": "list_map_runs"}
                method |= {"ListExecutions": "list_executions", "DescribeMapRun": "describe_map_run"}
                answer = getattr(client, method[action])(**json.loads(body))
            known = answer is not None
            answer = answer or {"__type": "ExecutionDoesNotExist", "message": "not yet"}
            answer.pop("ResponseMetadata", None)
            text = json.dumps(answer, default=lambda moment: moment.timestamp()).encode()
            self.send_response(200 if known else 400)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_run_is_followed_although_what_step_functions_tells_lags_behind(
    stack: Stack, cloud: GoProCloud, redriving: tuple[str, list[Any]]
) -> None:
    cloud.media = many_small(1, 1000)
    ended = run(stack, SCRIPT, "--stack", stack.name, "--json", AWS_ENDPOINT_URL_SFN=redriving[0])
    assert (ended.code, json.loads(ended.out)["output"]["status"]) == (0, "SUCCEEDED")


def test_only_a_run_that_was_broken_off_is_redriven(
    stack: Stack, cloud: GoProCloud, redriving: tuple[str, list[Any]]
) -> None:
    address, asked = redriving
    through = {"AWS_ENDPOINT_URL_SFN": address}
    cloud.media = many_small(1, 1000)
    whole = stack.run({})
    cloud.tokens.clear()
    failed = stack.run({})
    refused = run(stack, SCRIPT, "redrive", "--stack", stack.name, whole.arn, **through)
    assert (refused.code, asked) == (2, [])
    assert "went to its end" in refused.told
    refused = run(stack, SCRIPT, "redrive", "--stack", stack.name, **through)
    assert (refused.code, asked) == (2, [])
    assert "ended in SyncFailed with CredentialsRejected" in refused.told
    assert failed.arn.rpartition(":")[2] in refused.told

    stack.put_secret(cloud.pasted())
    slow_library(cloud)
    arn = stack.start({})
    wait_for_the_map(stack, arn)
    under_way = run(stack, SCRIPT, "redrive", "--stack", stack.name, **through)
    assert under_way.code == 2
    stack.emulator.client("stepfunctions").stop_execution(executionArn=arn)
    name = arn.rpartition(":")[2]
    redriven = run(stack, SCRIPT, "redrive", "--stack", stack.name, name, "--no-wait", "--json", **through)
    assert asked == [{"executionArn": arn, **asked[0]}]
    assert f"The run {name} goes on." in redriven.told
    assert json.loads(redriven.out)["redrives"] == 1, "it did not wait until the redrive was told"
    # The emulator itself says that it cannot, and so does the command.
    really = run(stack, SCRIPT, "redrive", "--stack", stack.name, name)
    assert really.code == 4
    assert "AWS refuses RedriveExecution (InvalidAction)" in really.told
    nobody = run(stack, SCRIPT, "redrive", "--stack", stack.name, "no-such-run")
    assert (nobody.code, nobody.told.strip()) == (2, "There is no run no-such-run.")
