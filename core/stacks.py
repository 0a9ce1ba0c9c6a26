"""What a deployed stack tells of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from core.errors import CloudSyncError, InvalidInput

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where a stack keeps its archive and its tracker."""

    bucket: str
    table: str


def outputs_of(client: CloudFormationClient, stack: str) -> Outputs:
    """The outputs of the stack named `stack`; `InvalidInput` if there is none or it is none of this product's."""
    try:
        told = client.describe_stacks(StackName=stack)["Stacks"][0].get("Outputs", [])
    except ClientError as error:
        code = error.response["Error"].get("Code")
        if code == "ValidationError":
            raise InvalidInput(f"There is no stack {stack} in this account and region.") from None
        raise CloudSyncError(
            f"AWS refuses to tell of the stack {stack} ({code}). Look at what these credentials may do."
        ) from None
    except BotoCoreError as error:
        raise InvalidInput(f"AWS cannot be asked with the configuration of this shell: {error}") from None
    outputs = {one["OutputKey"]: one["OutputValue"] for one in told}
    if not {"ArchiveBucketName", "SyncTrackerTableName"} <= outputs.keys():
        raise InvalidInput(f"{stack} is a stack, but none of Cloud Sync.")
    return Outputs(outputs["ArchiveBucketName"], outputs["SyncTrackerTableName"])
