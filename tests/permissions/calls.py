"""Calls of AWS as somebody with a role could make them: some of them roles need, most of them none may make."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

from tests.permissions.grants import Grant, Roles, grants_of
from tests.permissions.stories import MEDIA_ID, World
from tests.stack import REGION
from tests.unit.test_template import FUNCTIONS, of_type

ORIGINAL = f"gopro-videos/2026/01/{MEDIA_ID}/GX010327.MP4"
CATALOG = f"catalog/gopro/{MEDIA_ID}.json"
MANIFEST = "runs/sample/manifest.jsonl"
GALLERY = "gallery/gopro/index.json"
THUMBNAIL = f"thumbnails/gopro/2026-01/{MEDIA_ID}.jpg"

#: A client for a service, with the credentials of a role.
Client = Callable[[str], Any]


@dataclass(frozen=True)
class Places:
    """Where the resources of a deployed stack are."""

    world: World

    def __getattr__(self, name: str) -> str:
        return self.world.roles.names[name]

    def arn(self, resource: str) -> str:
        """The ARN of something in this account and region, from its service on."""
        service, _, rest = resource.partition(":")
        return f"arn:aws:{service}:{REGION}:000000000000:{rest}"

    @property
    def secret(self) -> str:
        """The secret, whose name does not tell its ARN."""
        return self.world.stack.outputs["CredentialsSecretArn"]

    @property
    def execution(self) -> str:
        """A child of the workflow's map that never was."""
        return self.arn(f"states:execution:{self.world.stack.name}/DownloadVideos:never")


@dataclass(frozen=True)
class Call:
    """A call that needs `action` on the resource of `on`."""

    action: str
    what: str
    on: Callable[[Places], str]
    send: Callable[[Client, Places], object]

    def __str__(self) -> str:
        return f"{self.action} {self.what}".strip()

    def is_allowed(self, client: Client, places: Places) -> bool:
        """Whether the emulator lets somebody do it; what else may be wrong with the call is no matter."""
        try:
            self.send(client, places)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            return code not in ("AccessDenied", "AccessDeniedException", "AuthorizationError", "403")
        return True

    def granted(self, roles: Roles, role: str, places: Places) -> list[Grant]:
        """The permissions of a role that allow it."""
        # A permission to use the key through another service allows nobody to use it directly.
        found = (one for one in grants_of(role) if one.action == self.action and not one.services)
        return [one for one in found if fnmatchcase(self.on(places), roles.resource(one))]


def client_of(world: World, role: str, without: Grant | None = None) -> Client:
    """Clients for somebody with the permissions of a role."""
    credentials = world.roles.copy(role, without)
    return cache(lambda service: world.stack.emulator.client(service, **credentials))


def _object(action: str, operation: str, key: str, **more: Any) -> Call:
    def send(client: Client, at: Places) -> object:
        return getattr(client("s3"), operation)(Bucket=at.ArchiveBucket, Key=key, **more)

    return Call(f"s3:{action}", key, lambda at: f"arn:aws:s3:::{at.ArchiveBucket}/{key}", send)


def _bucket(action: str, operation: str, **more: Any) -> Call:
    def send(client: Client, at: Places) -> object:
        return getattr(client("s3"), operation)(Bucket=at.ArchiveBucket, **more)

    return Call(f"s3:{action}", "the archive", lambda at: f"arn:aws:s3:::{at.ArchiveBucket}", send)


def _table(operation: str, method: str, **more: Any) -> Call:
    def send(client: Client, at: Places) -> object:
        return getattr(client("dynamodb"), method)(TableName=at.SyncTracker, **more)

    return Call(f"dynamodb:{operation}", "", lambda at: at.arn(f"dynamodb:table/{at.SyncTracker}"), send)


def _invoke(function: str) -> Call:
    def send(client: Client, at: Places) -> object:
        return client("lambda").invoke(FunctionName=getattr(at, function), InvocationType="DryRun")

    return Call("lambda:InvokeFunction", function, lambda at: at.arn(f"lambda:function:{getattr(at, function)}"), send)


def _start(machine: str) -> Call:
    def send(client: Client, at: Places) -> object:
        # What is no JSON starts nothing.
        return client("stepfunctions").start_execution(stateMachineArn=getattr(at, machine), input="{")

    return Call("states:StartExecution", machine, lambda at: getattr(at, machine), send)


def _states(operation: str, method: str, **more: Any) -> Call:
    def send(client: Client, at: Places) -> object:
        return getattr(client("stepfunctions"), method)(executionArn=at.execution, **more)

    return Call(f"states:{operation}", "", lambda at: at.execution, send)


def _secret(operation: str, method: str, **more: Any) -> Call:
    def send(client: Client, at: Places) -> object:
        return getattr(client("secretsmanager"), method)(SecretId=at.secret, **more)

    return Call(f"secretsmanager:{operation}", "", lambda at: at.secret, send)


def _all() -> Iterator[Call]:
    key = {"provider": {"S": "gopro"}, "media_id": {"S": "nobody"}}
    parts = {"UploadId": "never"}
    for place in (ORIGINAL, CATALOG, MANIFEST, GALLERY, THUMBNAIL, "elsewhere/file"):
        yield _object("GetObject", "get_object", place)
        yield _object("PutObject", "put_object", place, Body=b"")
        yield _object("DeleteObject", "delete_object", place)
        yield _object("AbortMultipartUpload", "abort_multipart_upload", place, **parts)
        yield _object("ListMultipartUploadParts", "list_parts", place, **parts)
    yield _object("RestoreObject", "restore_object", ORIGINAL, RestoreRequest={"Days": 1})
    yield _object("DeleteObjectVersion", "delete_object", ORIGINAL, VersionId="never")
    yield _bucket("ListBucket", "list_objects_v2")
    yield _bucket("DeleteBucketPolicy", "delete_bucket_policy")
    yield _bucket("PutLifecycleConfiguration", "delete_bucket_lifecycle")
    yield _bucket("PutBucketVersioning", "put_bucket_versioning", VersioningConfiguration={"Status": "Suspended"})
    yield _table("GetItem", "get_item", Key=key)
    yield _table("PutItem", "put_item", Item=key)
    yield _table("DeleteItem", "delete_item", Key=key)
    yield _table("UpdateItem", "update_item", Key=key)
    yield _table("Scan", "scan")
    yield _table("DeleteTable", "delete_table")
    yield _secret("GetSecretValue", "get_secret_value")
    yield _secret("PutSecretValue", "put_secret_value", SecretString="{}")
    yield _secret("DeleteSecret", "delete_secret")
    for name in FUNCTIONS:
        yield _invoke(name)
    yield Call(
        "lambda:UpdateFunctionConfiguration",
        "",
        lambda at: at.arn(f"lambda:function:{at.TransferFunction}"),
        lambda client, at: client("lambda").update_function_configuration(FunctionName=at.TransferFunction, Timeout=1),
    )
    for name in of_type("AWS::Serverless::StateMachine"):
        yield _start(name)
    yield _states("DescribeExecution", "describe_execution")
    yield _states("StopExecution", "stop_execution")
    yield _states("RedriveExecution", "redrive_execution")
    yield Call(
        "sns:Publish",
        "",
        lambda at: at.AlertTopic,
        lambda client, at: client("sns").publish(TopicArn=at.AlertTopic, Message="hello"),
    )
    yield Call(
        "sqs:SendMessage",
        "",
        lambda at: at.arn(f"sqs:{at.ScheduleDeadLetters.rpartition('/')[2]}"),
        lambda client, at: client("sqs").send_message(QueueUrl=at.ScheduleDeadLetters, MessageBody="hello"),
    )
    yield Call(
        "kms:GenerateDataKey",
        "directly",
        lambda at: at.arn(f"kms:key/{at.EncryptionKey}"),
        lambda client, at: client("kms").generate_data_key(KeyId=at.EncryptionKey, KeySpec="AES_256"),
    )
    yield Call(
        "kms:ScheduleKeyDeletion",
        "",
        lambda at: at.arn(f"kms:key/{at.EncryptionKey}"),
        lambda client, at: client("kms").schedule_key_deletion(KeyId=at.EncryptionKey),
    )
    yield Call(
        "iam:PutRolePolicy",
        "",
        lambda at: f"arn:aws:iam::000000000000:role/{at.TransferRole}",
        lambda client, at: client("iam").put_role_policy(
            RoleName=at.TransferRole, PolicyName="more", PolicyDocument='{"Version": "2012-10-17", "Statement": []}'
        ),
    )
    yield Call(
        "sts:AssumeRole",
        "",
        lambda at: f"arn:aws:iam::000000000000:role/{at.TransferRole}",
        lambda client, at: client("sts").assume_role(
            RoleArn=f"arn:aws:iam::000000000000:role/{at.TransferRole}", RoleSessionName="more"
        ),
    )
    yield Call(
        "logs:PutLogEvents",
        "of another function",
        lambda at: at.arn("logs:log-group:/aws/lambda/somebody-elses:*"),
        lambda client, _: client("logs").put_log_events(
            logGroupName="/aws/lambda/somebody-elses",
            logStreamName="one",
            logEvents=[{"timestamp": 0, "message": "hello"}],
        ),
    )


CALLS = list(_all())
