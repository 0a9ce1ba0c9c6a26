"""What AWS says a role needs where the emulator does not ask: worked out from the rest of the template, not the role.

Sources: Lambda developer guide (execution role; VPC), X-Ray developer guide (permissions of a traced application), KMS
developer guide (how Secrets Manager, S3, DynamoDB, SNS and SQS use keys), S3 API reference (HeadObject), Step Functions
developer guide (Distributed Map; CloudWatch Logs; X-Ray), EventBridge Scheduler user guide (role; dead letters).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.permissions.grants import Grant, grants_of, written
from tests.permissions.stories import stories_of
from tests.unit.test_template import ROOT, function, properties

KEY = ("kms:Decrypt", "kms:GenerateDataKey")
TRACE = ("xray:PutTraceSegments", "xray:PutTelemetryRecords")
SAMPLE = ("xray:GetSamplingRules", "xray:GetSamplingTargets")
LOG_DELIVERY = (
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
)
VPC = (
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
)
_RESULTS = ("s3:PutObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload")
_RUNS = "ArchiveBucket/runs/*"
#: A secret that is not encrypted with the stack's key.
_OF_THE_OWNER = "WebhookSecretArn"


@dataclass(frozen=True, slots=True)
class Need:
    """An action on a resource, through services alone if there are any, and what it is for."""

    action: str
    resource: str
    purpose: str
    services: tuple[str, ...] = ()

    def covers(self, grant: Grant) -> bool:
        """Whether a permission is just this."""
        return (grant.action, grant.resource, grant.services) == (self.action, self.resource, self.services)


def needs(role: str) -> list[Need]:
    """All that a role needs and that no story shows."""
    match role:
        case "StateMachineRole":
            return list(_of_workflow("SyncStateMachine", "s3", "sns"))
        case "VerifyStateMachineRole":
            return list(_of_workflow("VerifyStateMachine", "sns"))
        case "ScheduleRole":
            return list(_of_schedule("SyncSchedule", "the nightly run"))
        case "VerifyScheduleRole":
            return list(_of_schedule("VerifySchedule", "the weekly verification"))
        case "CredentialsScheduleRole":
            return list(
                _of_schedule("CredentialsCheckSchedule", "the check of the credentials", "lambda:InvokeFunction")
            )
        case _:
            return list(_of_function(role))


def _of_function(role: str) -> Iterator[Need]:
    name = role.removesuffix("Role")
    configured, shown = function(f"{name}Function"), [one for one in grants_of(role) if any(stories_of(one))]
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        yield Need(action, f"{name}Logs", "its log")
    if configured["Tracing"] == "Active":
        yield from (Need(action, "*", "traces, which no resource narrows") for action in TRACE)
    if configured["VpcConfig"]:
        yield from (Need(action, "*", "its network interface where it joins a VPC") for action in VPC)
    if ("s3:GetObject", "ArchiveBucket/*-videos/*") in {(one.action, one.resource) for one in shown}:
        yield Need("s3:ListBucket", "ArchiveBucket", "S3 answers 404, not 403, where there is no object yet")
    services = {one.action.partition(":")[0] for one in shown if one.resource != _OF_THE_OWNER}
    assert services <= encrypted().keys()
    if services:
        yield from _key(*(service for service in encrypted() if service in services))


def encrypted() -> dict[str, Any]:
    """The services whose resources are encrypted with the stack's key, in the order of the policies."""
    (bucket,) = properties("ArchiveBucket")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    keys = {
        "secretsmanager": properties("CredentialsSecret")["KmsKeyId"],
        "dynamodb": properties("SyncTracker")["SSESpecification"]["KMSMasterKeyId"],
        "s3": bucket["ServerSideEncryptionByDefault"]["KMSMasterKeyID"],
        "sns": properties("AlertTopic")["KmsMasterKeyId"],
        "sqs": properties("ScheduleDeadLetters")["KmsMasterKeyId"],
    }
    return {service: key for service, key in keys.items() if written(key) == "EncryptionKey"}


def _key(*services: str) -> Iterator[Need]:
    told = "what is encrypted with the key, and only through these services"
    yield from (Need(action, "EncryptionKey", told, services) for action in KEY)


def _of_workflow(name: str, *encrypted_services: str) -> Iterator[Need]:
    workflow = properties(name)
    states = {(one.action, one.resource): one for one in _of_states(workflow)}
    yield from states.values()
    if workflow["Logging"]["Destinations"]:
        yield from (Need(action, "*", "delivery of its log, which no resource narrows") for action in LOG_DELIVERY)
    if workflow["Tracing"]["Enabled"]:
        yield from (Need(action, "*", "traces, which no resource narrows") for action in TRACE + SAMPLE)
    yield from _key(*encrypted_services)


def _of_states(workflow: dict[str, Any]) -> Iterator[Need]:
    named = {f"${{{name}}}": written(value) for name, value in workflow["DefinitionSubstitutions"].items()}
    for state in _states(json.loads(Path(ROOT, workflow["DefinitionUri"]).read_text())):
        match state.get("Resource"):
            case "arn:aws:states:::lambda:invoke":
                function_name = named[state["Parameters"]["FunctionName"]]
                yield Need("lambda:InvokeFunction", function_name, "a step of the workflow")
            case "arn:aws:states:::sns:publish":
                yield Need("sns:Publish", named[state["Parameters"]["TopicArn"]], "messages to people")
        if state.get("ItemProcessor", {}).get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED":
            yield Need("states:StartExecution", "stateMachine:STACK", "children of the map")
            for action in ("states:DescribeExecution", "states:StopExecution"):
                yield Need(action, "execution:STACK/*", "children of the map")
            yield Need("states:RedriveExecution", "execution:STACK/*:*", "children of the map, when a run is redriven")
        if state.get("ItemReader", {}).get("Resource", "").endswith("s3:getObject"):
            yield Need("s3:GetObject", _RUNS, "the manifest, and the results of the map")
        if state.get("ResultWriter", {}).get("Resource", "").endswith("s3:putObject"):
            yield from (
                Need(action, _RUNS, "the results of the map") for action in _RESULTS if action != "s3:GetObject"
            )


def _states(machine: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for state in machine["States"].values():
        yield state
        if "ItemProcessor" in state:
            yield from _states(state["ItemProcessor"])


def _of_schedule(name: str, purpose: str, action: str = "states:StartExecution") -> Iterator[Need]:
    target = properties(name)["Target"]
    yield Need(action, written(target["Arn"]), purpose)
    yield Need("sqs:SendMessage", written(target["DeadLetterConfig"]["Arn"]), "runs that could not be started")
    yield from _key("sqs")
