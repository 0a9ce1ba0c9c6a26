"""What a deployed stack tells of itself, and the run of it that waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from core.errors import CloudSyncError, InvalidInput

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_stepfunctions import SFNClient


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where a stack keeps its archive, its tracker and its credentials, and what it asks and runs.

    `api_url` is the base of the provider's API that it was deployed with, None for the provider's own.
    """

    bucket: str
    table: str
    secret: str = ""
    state_machine: str = ""
    api_url: str | None = None


@dataclass(frozen=True, slots=True)
class Deployed:
    """A stack as CloudFormation tells of it: its state, its outputs and its parameters, by their names."""

    name: str
    status: str
    outputs: dict[str, str]
    parameters: dict[str, str]


def describe(client: CloudFormationClient, stack: str) -> Deployed:
    """The stack named `stack`; `InvalidInput` if there is none or it is none of this product's."""
    try:
        told = client.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        code = error.response["Error"].get("Code")
        if code == "ValidationError":
            raise InvalidInput(f"There is no stack {stack} in this account and region.") from None
        raise CloudSyncError(
            f"AWS refuses to tell of the stack {stack} ({code}). Look at what these credentials may do."
        ) from None
    except BotoCoreError as error:
        raise InvalidInput(f"AWS cannot be asked with the configuration of this shell: {error}") from None
    outputs = {one["OutputKey"]: one["OutputValue"] for one in told.get("Outputs", [])}
    if not {"ArchiveBucketName", "SyncTrackerTableName"} <= outputs.keys():
        raise InvalidInput(f"{stack} is a stack, but none of Cloud Sync.")
    parameters = {one["ParameterKey"]: one.get("ParameterValue", "") for one in told.get("Parameters", [])}
    return Deployed(stack, told["StackStatus"], outputs, parameters)


def outputs_of(client: CloudFormationClient, stack: str) -> Outputs:
    """The outputs of the stack named `stack`; errors as of `describe`."""
    deployed = describe(client, stack)
    return Outputs(
        deployed.outputs["ArchiveBucketName"],
        deployed.outputs["SyncTrackerTableName"],
        deployed.outputs.get("CredentialsSecretArn", ""),
        deployed.outputs.get("StateMachineArn", ""),
        deployed.parameters.get("GoProApiUrl") or None,
    )


def start_waiting_run(client: SFNClient, state_machine: str) -> str:
    """Start a run if one waits for credentials; what happened, in words.

    One waits if the newest run failed because its credentials were rejected, or if there has never been one. It is
    given the input of the run that failed.
    """
    try:
        newest = client.list_executions(stateMachineArn=state_machine, maxResults=1)["executions"]
        last = client.describe_execution(executionArn=newest[0]["executionArn"]) if newest else None
        if last and last["status"] == "RUNNING":
            return f"The run {last['name']} is under way; none was started."
        if last and not (last["status"] == "FAILED" and last.get("error") == "CredentialsRejected"):
            return f"No run waits for credentials: {last['name']} ended as {last['status']}."
        started = client.start_execution(
            stateMachineArn=state_machine, name=str(uuid4()), input=last["input"] if last else "{}"
        )
    except (ClientError, BotoCoreError) as error:
        code = error.response["Error"].get("Code") if isinstance(error, ClientError) else type(error).__name__
        raise CloudSyncError(f"The run could not be started ({code}). Look at what these credentials may do.") from None
    return f"Started the run {started['executionArn'].rsplit(':', 1)[-1]}."
