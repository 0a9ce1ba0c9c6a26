"""What `sam build` makes, and what a deployed stack is over its life: changed, and deleted."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner

from core.archive.keys import LATEST_PAGE
from core.cli import app
from core.model import Record, Status, utc_now
from core.tracker.dynamodb import DynamoTracker
from tests.emulator import Emulator
from tests.gopro_cloud import GoProCloud, many_small
from tests.stack import REGION, Execution, Stack, sam
from tests.unit.test_template import properties

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = [
    "AuthenticateFunction",
    "CheckCredentialsFunction",
    "MarkFailedFunction",
    "PlanFunction",
    "SummarizeFunction",
    "TransferFunction",
    "VerifyFunction",
    "WebhookFunction",
]
OUTPUTS = {
    "StateMachineArn",
    "StateMachineConsoleUrl",
    "ScheduleName",
    "VerifyStateMachineArn",
    "VerifyScheduleName",
    "SyncTrackerTableName",
    "ArchiveBucketName",
    "CredentialsSecretArn",
    "AlertTopicArn",
    "AlarmTopicArn",
    "DashboardUrl",
}
MIB = 1024 * 1024


@pytest.fixture(params=FUNCTIONS)
def artifact(deployed: Stack, request: pytest.FixtureRequest) -> Path:
    """The folder that becomes the code of a function."""
    return ROOT / ".aws-sam" / "build" / str(request.param)


def files_of(folder: Path) -> set[str]:
    """Every file below a folder, but for what an import leaves behind."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {name for name in found if "__pycache__" not in name}


def installed_files(artifact: Path) -> set[str]:
    """Every file that a dependency says it consists of."""
    records = [csv.reader(path.open(newline="")) for path in artifact.glob("*.dist-info/RECORD")]
    return {row[0] for record in records for row in record}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def storage_classes(stack: Stack) -> dict[str, str]:
    s3, bucket, keys = stack.emulator.client("s3"), stack.outputs["ArchiveBucketName"], stack.keys()
    return {key: s3.head_object(Bucket=bucket, Key=key).get("StorageClass", "STANDARD") for key in keys}


def subscriptions(stack: Stack) -> list[tuple[str, str]]:
    listed = stack.emulator.client("sns").list_subscriptions_by_topic(TopicArn=stack.outputs["AlertTopicArn"])
    return [(one["Protocol"], one["Endpoint"]) for one in listed["Subscriptions"]]


def credentials(stack: Stack) -> dict[str, str]:
    secret = stack.emulator.client("secretsmanager").get_secret_value(SecretId=stack.outputs["CredentialsSecretArn"])
    found: dict[str, str] = json.loads(secret["SecretString"])
    return found


@dataclass(frozen=True)
class Held:
    """What a stack holds of lasting worth; `digests` are those of the objects that can be read at once.

    What each run writes anew, its gallery and the page of the latest run, has no digest here.
    """

    classes: dict[str, str]
    digests: dict[str, str]
    statuses: dict[str, str]
    credentials: dict[str, str]


@dataclass(frozen=True)
class Life:
    """What was seen of a stack while it was deployed, changed, and deleted."""

    subscriptions: list[tuple[str, str]]
    placeholder: dict[str, str]
    before_sign_in: Execution
    outputs: dict[str, str]
    first: Execution
    held: Held
    outputs_when_changed: dict[str, str]
    second: Execution
    held_when_changed: Held
    held_when_deleted: Held
    machines_when_deleted: set[str]
    key_when_deleted: str


def held_by(stack: Stack) -> Held:
    classes = storage_classes(stack)
    lasting = [key for key in classes if not key.startswith("gallery/") and key != LATEST_PAGE]
    digests = {key: stack.sha256(key) for key in lasting if classes[key] == "STANDARD"}
    return Held(classes, digests, stack.statuses(), credentials(stack))


@pytest.fixture(scope="module")
def life(emulator: Emulator, deployed: Stack, running_cloud: GoProCloud) -> Life:
    """A second stack, whose owner gets e-mail; when changed, it sends originals straight to Deep Archive."""
    stack, seen = Stack(emulator, "cloud-sync-life"), dict[str, Any]()
    given = {"GoProApiUrl": running_cloud.url, "AlertEmail": "owner@example.com", "CustomerKey": "true"}
    stack.deploy(**given)
    seen |= {"outputs": dict(stack.outputs), "subscriptions": subscriptions(stack)}
    seen |= {"placeholder": credentials(stack), "before_sign_in": stack.run({})}

    running_cloud.media = many_small(3, 2000)
    stack.put_secret(running_cloud.pasted())
    seen |= {"first": stack.run({}), "held": held_by(stack)}

    running_cloud.media = many_small(4, 2000)
    stack.deploy(**given, Environment="prod", MaxConcurrency="2", ArchiveAfterDays="0", LogRetentionDays="90")
    seen |= {"outputs_when_changed": dict(stack.outputs), "second": stack.run({}), "held_when_changed": held_by(stack)}

    key = stack.physical_ids()["EncryptionKey"]
    delete(stack)
    machines = emulator.client("stepfunctions").list_state_machines()["stateMachines"]
    seen |= {"machines_when_deleted": {machine["name"] for machine in machines}, "held_when_deleted": held_by(stack)}
    seen["key_when_deleted"] = emulator.client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"]
    return Life(**seen)


def delete(stack: Stack) -> None:
    client = stack.emulator.client("cloudformation")
    client.delete_stack(StackName=stack.name)
    client.get_waiter("stack_delete_complete").wait(StackName=stack.name, WaiterConfig={"Delay": 1})


def parameters(stack: Stack) -> dict[str, str]:
    (told,) = stack.emulator.client("cloudformation").describe_stacks(StackName=stack.name)["Stacks"]
    return {one["ParameterKey"]: one["ParameterValue"] for one in told["Parameters"]}


# ------------------------------------------------------------------------------ artifact
def test_there_is_an_artifact_for_each_function(deployed: Stack) -> None:
    assert sorted(path.name for path in (ROOT / ".aws-sam" / "build").iterdir() if path.is_dir()) == FUNCTIONS


def test_an_artifact_holds_core_handlers_and_pinned_dependencies_and_nothing_else(artifact: Path) -> None:
    own = {name for name in files_of(artifact) if name.split("/")[0] in ("core", "handlers")}
    expected = {f"{top}/{name}" for top in ("core", "handlers") for name in files_of(ROOT / top) if name[-3:] == ".py"}
    assert own == expected
    assert files_of(artifact) - own <= installed_files(artifact)
    installed = {normal(path.name.split("-")[0]) for path in artifact.glob("*.dist-info")}
    pins = re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / "requirements-lambda.txt").read_text(), re.MULTILINE)
    assert installed == {normal(name) for name in pins}


def test_an_artifact_leaves_out_what_the_runtime_brings_and_what_only_tests_need(artifact: Path) -> None:
    tops = {path.name for path in artifact.iterdir()}
    assert not tops & {"boto3", "botocore", "s3transfer", "tests", "pytest", "rich", "typer", "bin"}


def test_an_artifact_is_pure_python_so_that_it_runs_on_any_machine(artifact: Path) -> None:
    assert not [name for name in files_of(artifact) if re.search(r"\.(so|pyd|dylib)(\.|$)", name)]


def test_an_artifact_is_small_once_zipped(artifact: Path) -> None:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files_of(artifact)):
            archive.write(artifact / name, name)
    assert MIB < len(zipped.getvalue()) < 6 * MIB


def test_sam_finds_nothing_to_complain_about() -> None:
    told = sam("validate", "--lint", environment={"AWS_DEFAULT_REGION": REGION, "SAM_CLI_TELEMETRY": "0"})
    assert "is a valid SAM Template" in told


# ----------------------------------------------------------------------------- the stack
def test_a_stack_tells_where_everything_is(deployed: Stack) -> None:
    assert {name for name, value in deployed.outputs.items() if value} >= OUTPUTS
    assert deployed.outputs["StateMachineConsoleUrl"].endswith(f"/view/{deployed.outputs['StateMachineArn']}")


def test_the_schedule_starts_this_workflow_at_two_in_the_morning(deployed: Stack) -> None:
    schedule = deployed.emulator.client("scheduler").get_schedule(Name=deployed.outputs["ScheduleName"])
    assert schedule["Target"]["Arn"] == deployed.outputs["StateMachineArn"]
    assert schedule["ScheduleExpression"] == "cron(0 2 * * ? *)"
    assert schedule["State"] == "DISABLED"
    queue = schedule["Target"]["DeadLetterConfig"]["Arn"].rpartition(":")[2]
    assert deployed.emulator.client("sqs").get_queue_url(QueueName=queue)["QueueUrl"]


def test_the_schedule_keeps_the_time_of_berlin(deployed: Stack) -> None:
    """What CloudFormation was given; the emulator's scheduler forgets the zone."""
    client = deployed.emulator.client("cloudformation")
    given = client.get_template(StackName=deployed.name, TemplateStage="Processed")["TemplateBody"]
    document: Any = given if isinstance(given, dict) else json.loads(given)
    zone = document["Resources"]["SyncSchedule"]["Properties"]["ScheduleExpressionTimezone"]
    assert parameters(deployed)[zone["Ref"]] == "Europe/Berlin"


def test_leases_expire_and_records_of_media_never(stack: Stack) -> None:
    expiry = properties("SyncTracker")["TimeToLiveSpecification"]["AttributeName"]
    client, table = stack.emulator.client("dynamodb"), stack.outputs["SyncTrackerTableName"]
    tracker = DynamoTracker(client, table)
    assert tracker.acquire("somebody's", "somebody", 60)
    for status in Status:
        tracker.save(Record("gopro", f"medium-{status}", status, "run", utc_now()))
    items = client.scan(TableName=table)["Items"]
    assert len(items) == 1 + len(Status)
    assert [item["provider"]["S"] for item in items if expiry in item] == ["lease"]


def test_an_email_address_is_subscribed_to_the_alerts_only_when_it_is_given(deployed: Stack, life: Life) -> None:
    assert ("email", "owner@example.com") in life.subscriptions
    assert parameters(deployed)["AlertEmail"] == ""
    assert "email" not in {protocol for protocol, _ in subscriptions(deployed)}


def test_a_new_stack_refuses_to_sync_until_credentials_are_stored(life: Life) -> None:
    assert life.placeholder["gp_access_token"] == "REPLACE_ME"
    assert (life.before_sign_in.status, life.before_sign_in.error) == ("FAILED", "CredentialsRejected")
    assert life.first.output["completed"] == 3


def test_originals_begin_in_standard(life: Life) -> None:
    assert set(life.held.classes.values()) == {"STANDARD"}
    assert set(life.held.statuses.values()) == {"COMPLETED"}


def test_with_zero_days_originals_go_straight_to_deep_archive_and_documents_do_not(life: Life) -> None:
    added = {
        key: life.held_when_changed.classes[key] for key in life.held_when_changed.classes.keys() - life.held.classes
    }
    cold = [key for key, storage_class in added.items() if storage_class == "DEEP_ARCHIVE"]
    assert [key.split("/")[0] for key in cold] == ["gopro-videos"]
    assert {key.split("/")[0] for key in added.keys() - cold} == {"catalog", "runs"}


def test_a_second_deployment_with_other_parameters_keeps_archive_tracker_and_credentials(life: Life) -> None:
    assert life.outputs_when_changed == life.outputs
    assert (life.second.output["completed"], life.second.output["bytes_transferred"]) == (1, 2000)
    assert life.held_when_changed.digests.items() >= life.held.digests.items()
    assert life.held_when_changed.credentials == life.held.credentials


def test_archive_tracker_credentials_and_key_outlive_the_stack(life: Life) -> None:
    assert "cloud-sync-test" in life.machines_when_deleted
    assert "cloud-sync-life" not in life.machines_when_deleted
    assert life.held_when_deleted == life.held_when_changed
    assert len(life.held_when_deleted.statuses) == 4
    assert life.key_when_deleted == "Enabled"


def test_a_stack_without_a_key_of_the_owner_archives_as_well(
    emulator: Emulator, deployed: Stack, running_cloud: GoProCloud
) -> None:
    stack = Stack(emulator, "cloud-sync-plain")
    stack.deploy(GoProApiUrl=running_cloud.url)
    assert not {"EncryptionKey", "EncryptionKeyAlias"} & stack.physical_ids().keys()
    running_cloud.media = many_small(3, 2000)
    stack.put_secret(running_cloud.pasted())
    assert stack.run({}).output["completed"] == 3
    delete(stack)


def test_the_cost_of_a_stack_is_reckoned_from_its_tracker(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = DynamoTracker(stack.emulator.client("dynamodb"), stack.outputs["SyncTrackerTableName"])
    for number in range(3):
        tracker.save(Record("gopro", f"medium-{number}", Status.COMPLETED, "run", utc_now(), originals=2, length=2**30))
    monkeypatch.setenv("AWS_ENDPOINT_URL", stack.emulator.endpoint)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    ended = CliRunner().invoke(app, ["cost", "--stack", stack.name, "--json"])
    assert ended.exit_code == 0, ended.output
    lines = {line["what"]: line["quantity_by_month"] for line in json.loads(ended.stdout)["lines"]}
    assert lines["originals in Deep Archive"] == [3] * 12
    assert lines["tags of originals"] == [3 * 2 * 2] * 12
    nobody = CliRunner().invoke(app, ["cost", "--stack", "no-such-stack"])
    assert nobody.exit_code == 2
    assert "There is no stack no-such-stack" in nobody.output
