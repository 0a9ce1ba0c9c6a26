"""The product's own template, built and deployed with SAM onto the emulator, as a user deploys it to AWS."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from tests.emulator import Emulator

ROOT = Path(__file__).resolve().parent.parent
REGION = "us-east-1"


class CommandFailed(Exception):
    """A command of the deployment failed; the text holds what it printed."""


def sam(*arguments: str, environment: Mapping[str, str], timeout: float = 300) -> str:
    """Run a SAM command in the checkout and return what it printed on standard output."""
    command = [str(Path(sys.executable).parent / "sam"), *arguments]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        printed = f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        raise CommandFailed(f"{' '.join(arguments[:2])} ended with {done.returncode}:\n{printed}")
    return done.stdout


def build() -> None:
    """`sam build`, as the README says, if `make test` has not done it for all its parts."""
    if "SAM_BUILD_IS_DONE" not in os.environ:
        sam("build", environment={"SAM_CLI_TELEMETRY": "0"})


@dataclass(frozen=True)
class Execution:
    """An execution that has ended."""

    arn: str
    status: str
    output: dict[str, Any]
    error: str
    cause: str


@dataclass
class Stack:
    """A deployed stack and what a test or the demo does with it."""

    emulator: Emulator
    name: str
    outputs: dict[str, str] = field(default_factory=dict)
    _queue_url: str = ""

    def deploy(self, **parameters: str) -> None:
        """`sam deploy` with these template parameters, and a queue that receives what the topic sends."""
        overrides = {
            "AwsEndpointUrl": self.emulator.endpoint,
            "ScheduleState": "DISABLED",
            "Architecture": "x86_64",
            **parameters,
        }
        sam(
            "deploy",
            "--stack-name",
            self.name,
            "--resolve-s3",
            "--capabilities",
            "CAPABILITY_IAM",
            "CAPABILITY_NAMED_IAM",
            "--no-confirm-changeset",
            "--no-fail-on-empty-changeset",
            "--no-progressbar",
            "--parameter-overrides",
            *(f"{key}={value}" for key, value in overrides.items()),
            environment={
                "AWS_ENDPOINT_URL": self.emulator.endpoint,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_DEFAULT_REGION": REGION,
                "AWS_REGION": REGION,
                "SAM_CLI_TELEMETRY": "0",
                **self.emulator.trust,
            },
        )
        self.look_up()
        self._queue_url = self.listen(self.outputs["AlertTopicArn"], f"{self.name}-read-by-test")

    def look_up(self) -> None:
        """Read the outputs of the stack."""
        stacks = self.emulator.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        self.outputs = {one["OutputKey"]: one["OutputValue"] for one in stacks[0]["Outputs"]}

    def listen(self, topic: str, name: str, **attributes: str) -> str:
        """The URL of a new queue that is subscribed to a topic, with `attributes` of the subscription."""
        sqs = self.emulator.client("sqs")
        url = str(sqs.create_queue(QueueName=name)["QueueUrl"])
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        self.emulator.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=attributes)
        return url

    def physical_ids(self) -> dict[str, str]:
        """What the resources of the template are called here."""
        client = self.emulator.client("cloudformation")
        pages = client.get_paginator("list_stack_resources").paginate(StackName=self.name)
        summaries = [one for page in pages for one in page["StackResourceSummaries"]]
        return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in summaries}

    def put_secret(self, document: Mapping[str, str]) -> None:
        """Store credentials as `cloud-sync auth set --stack` does."""
        self.emulator.client("secretsmanager").put_secret_value(
            SecretId=self.outputs["CredentialsSecretArn"], SecretString=json.dumps(document)
        )

    def start(self, request: Mapping[str, Any] | None = None, machine: str = "StateMachineArn") -> str:
        """Start an execution; its ARN. `machine` is the output that names the state machine."""
        states = self.emulator.client("stepfunctions")
        started = states.start_execution(stateMachineArn=self.outputs[machine], input=json.dumps(dict(request or {})))
        return str(started["executionArn"])

    def wait(self, arn: str, timeout: float = 300) -> Execution:
        """Wait for an execution to end."""
        states = self.emulator.client("stepfunctions")
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            told = states.describe_execution(executionArn=arn)
            if told["status"] != "RUNNING":
                return Execution(
                    arn,
                    told["status"],
                    json.loads(told.get("output") or "{}"),
                    told.get("error", ""),
                    told.get("cause", ""),
                )
            time.sleep(0.2)
        raise TimeoutError(f"{arn} still runs after {timeout} s")

    def run(self, request: Mapping[str, Any] | None = None, timeout: float = 300) -> Execution:
        """Start an execution and wait for its end."""
        return self.wait(self.start(request), timeout)

    def verify(self, request: Mapping[str, Any] | None = None, timeout: float = 300) -> Execution:
        """Start a verification and wait for its end."""
        return self.wait(self.start(request, "VerifyStateMachineArn"), timeout)

    def history(self, arn: str) -> list[dict[str, Any]]:
        """All events of an execution."""
        pages = self.emulator.client("stepfunctions").get_paginator("get_execution_history")
        return [event for page in pages.paginate(executionArn=arn) for event in page["events"]]

    def states_entered(self, arn: str) -> list[str]:
        """The names of the states that an execution entered, in order."""
        entered = (event.get("stateEnteredEventDetails") for event in self.history(arn))
        return [details["name"] for details in entered if details]

    def messages(self, wait_seconds: int = 2, queue_url: str = "") -> list[dict[str, Any]]:
        """What people were sent since the last look, or what came into another queue."""
        url = queue_url or self._queue_url
        sqs = self.emulator.client("sqs")
        found: list[dict[str, Any]] = []
        while True:
            got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=wait_seconds)
            received = got.get("Messages", [])
            if not received:
                return found
            for one in received:
                found.append(json.loads(one["Body"]))
                sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])

    def keys(self, prefix: str = "") -> list[str]:
        """The keys in the archive bucket."""
        pages = self.emulator.client("s3").get_paginator("list_objects_v2")
        listed = pages.paginate(Bucket=self.outputs["ArchiveBucketName"], Prefix=prefix)
        return [one["Key"] for page in listed for one in page.get("Contents", [])]

    def read(self, key: str) -> Iterator[bytes]:
        """The bytes of an object, piece by piece."""
        got = self.emulator.client("s3").get_object(Bucket=self.outputs["ArchiveBucketName"], Key=key)
        yield from got["Body"].iter_chunks(1024 * 1024)

    def sha256(self, key: str) -> str:
        """The SHA-256 of what the bucket really holds."""
        digest = hashlib.sha256()
        for piece in self.read(key):
            digest.update(piece)
        return digest.hexdigest()

    def records(self) -> dict[str, dict[str, Any]]:
        """The tracker's records by media id."""
        pages = self.emulator.client("dynamodb").get_paginator("query")
        found = pages.paginate(
            TableName=self.outputs["SyncTrackerTableName"],
            KeyConditionExpression="provider = :p",
            ExpressionAttributeValues={":p": {"S": "gopro"}},
        )
        return {item["media_id"]["S"]: item for page in found for item in page["Items"]}

    def statuses(self) -> dict[str, str]:
        """The tracker's status by media id."""
        return {media_id: item["status"]["S"] for media_id, item in self.records().items()}

    def complete(self, media_ids: Iterable[str]) -> None:
        """Let the tracker say that media were archived, for a library that is too large to archive in earnest."""
        client, table = self.emulator.client("dynamodb"), self.outputs["SyncTrackerTableName"]
        left = iter(media_ids)
        while batch := list(islice(left, 25)):
            told = {
                "provider": "gopro",
                "status": "COMPLETED",
                "run_id": "before",
                "updated_at": "2026-01-01T00:00:00Z",
            }
            texts = [told | {"media_id": media_id} for media_id in batch]
            items = [{name: {"S": text} for name, text in one.items()} | {"originals": {"N": "1"}} for one in texts]
            client.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": item}} for item in items]})

    def archived(self) -> dict[str, set[tuple[int, str]]]:
        """Length and SHA-256 of every original that the bucket really holds, by media id."""
        found: dict[str, set[tuple[int, str]]] = {}
        for key in self.keys("gopro-videos/"):
            length = sum(len(piece) for piece in self.read(key))
            found.setdefault(key.split("/")[3], set()).add((length, self.sha256(key)))
        return found

    def open_uploads(self) -> list[tuple[str, str]]:
        """Key and id of multipart uploads that nobody has ended."""
        told = self.emulator.client("s3").list_multipart_uploads(Bucket=self.outputs["ArchiveBucketName"])
        return [(one["Key"], one["UploadId"]) for one in told.get("Uploads", [])]

    def empty(self) -> None:
        """Forget all media, what has come of them, and messages."""
        s3, dynamodb = self.emulator.client("s3"), self.emulator.client("dynamodb")
        for key in self.keys():
            s3.delete_object(Bucket=self.outputs["ArchiveBucketName"], Key=key)
        for key, upload_id in self.open_uploads():
            s3.abort_multipart_upload(Bucket=self.outputs["ArchiveBucketName"], Key=key, UploadId=upload_id)
        table = self.outputs["SyncTrackerTableName"]
        for page in dynamodb.get_paginator("scan").paginate(TableName=table):
            for item in page["Items"]:
                dynamodb.delete_item(TableName=table, Key={name: item[name] for name in ("provider", "media_id")})
        self.messages(wait_seconds=0)

    def everything_written_down(self, arn: str) -> str:
        """All that a run leaves to be read: its history and its children's, the logs, the records, the documents."""
        states = self.emulator.client("stepfunctions")
        executions = [arn]
        for page in states.get_paginator("list_map_runs").paginate(executionArn=arn):
            for run in page["mapRuns"]:
                children = states.get_paginator("list_executions").paginate(mapRunArn=run["mapRunArn"])
                executions += [child["executionArn"] for found in children for child in found["executions"]]
        histories = [json.dumps(self.history(execution), default=str) for execution in executions]
        keys = [key for key in self.keys() if not key.startswith("gopro-videos/")]
        documents = [b"".join(self.read(key)).decode("utf-8", "replace") for key in keys]
        return "\n".join([*histories, self.logs(), json.dumps(self.records()), *documents])

    def logs(self) -> str:
        """Everything that any log group holds."""
        client = self.emulator.client("logs")
        lines: list[str] = []
        for group in (g for page in client.get_paginator("describe_log_groups").paginate() for g in page["logGroups"]):
            pages = client.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
            lines += [event["message"] for page in pages for event in page["events"]]
        return "\n".join(lines)
