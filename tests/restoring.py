"""A stack as `cloud-sync --stack` finds it, and the command as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.emulator import REGION, ROOT, Emulator

TEMPLATE = {
    "Resources": {
        "ArchiveBucket": {
            "Type": "AWS::S3::Bucket",
            "Properties": {"VersioningConfiguration": {"Status": "Enabled"}},
        },
        "SyncTracker": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [
                    {"AttributeName": name, "AttributeType": "S"} for name in ("provider", "media_id", "unfinished")
                ],
                "KeySchema": [
                    {"AttributeName": "provider", "KeyType": "HASH"},
                    {"AttributeName": "media_id", "KeyType": "RANGE"},
                ],
                "GlobalSecondaryIndexes": [
                    {
                        "IndexName": "unfinished-index",
                        "KeySchema": [
                            {"AttributeName": "unfinished", "KeyType": "HASH"},
                            {"AttributeName": "media_id", "KeyType": "RANGE"},
                        ],
                        "Projection": {"ProjectionType": "ALL"},
                    }
                ],
            },
        },
    },
    "Outputs": {
        "ArchiveBucketName": {"Value": {"Ref": "ArchiveBucket"}},
        "SyncTrackerTableName": {"Value": {"Ref": "SyncTracker"}},
    },
}


def make_stack(emulator: Emulator, name: str) -> dict[str, str]:
    """Deploy a bucket with versions and a table under this name; the stack's outputs."""
    client = emulator.client("cloudformation")
    client.create_stack(StackName=name, TemplateBody=json.dumps(TEMPLATE))
    client.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    told = client.describe_stacks(StackName=name)["Stacks"][0]["Outputs"]
    return {one["OutputKey"]: one["OutputValue"] for one in told}


@dataclass(frozen=True)
class Shell:
    """Runs `cloud-sync` as a user does, at home in `home`, whose AWS is at `endpoint`."""

    home: Path
    endpoint: str = "http://127.0.0.1:9"

    @property
    def environment(self) -> dict[str, str]:
        """What the command finds set."""
        told = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": REGION,
            "COLUMNS": "160",
            "HOME": str(self.home),
        }
        return {**os.environ, **told}

    def begin(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start it with these arguments."""
        return subprocess.Popen(
            [sys.executable, "-m", "core", *map(str, arguments)],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str | Path) -> tuple[int, str, str]:
        """Run it: its exit code, what it printed, and what it said on standard error."""
        process = self.begin(*arguments)
        printed, said = process.communicate(timeout=120)
        return process.returncode, printed, said

    def told(self, *arguments: str | Path, code: int = 0) -> Any:
        """What it prints with `--json`; it must end with `code`."""
        ended, printed, said = self.run(*arguments, "--json")
        assert ended == code, said
        return json.loads(printed)
