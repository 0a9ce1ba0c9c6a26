"""Runs of a deployed workflow: started, followed, stopped and redriven."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import tenacity
from botocore.exceptions import ClientError

from core.errors import InvalidInput
from core.model import Json, format_time

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.literals import ExecutionStatusType
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef, ListExecutionsInputTypeDef

RUNNING: Final = "RUNNING"

#: Seconds between two looks at a run: the first, and the longest that they grow to.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0

#: Looks at a run until what was just done to it is told: reads are eventually consistent, says the API reference of
#: DescribeExecution.
_LOOKS = 20


@dataclass(frozen=True, slots=True)
class Execution:
    """A run as Step Functions tells of it.

    `output` is {} unless it succeeded, `error` and `cause` are "" unless it failed or was stopped; `redrives` is how
    often it was made to go on.
    """

    arn: str
    status: str
    started_at: datetime
    ended_at: datetime | None
    output: dict[str, Json]
    error: str
    cause: str
    redrives: int = 0

    @property
    def name(self) -> str:
        """Its name within its state machine."""
        return self.arn.rpartition(":")[2]

    def to_json(self) -> dict[str, Json]:
        """For scripts."""
        return {
            "execution": self.arn,
            "status": self.status,
            "started_at": format_time(self.started_at),
            "ended_at": format_time(self.ended_at),
            "output": self.output,
            "error": self.error,
            "cause": self.cause,
            "redrives": self.redrives,
        }


@dataclass(frozen=True, slots=True)
class Media:
    """The media of a run's map, by what has become of them. `ended` says nothing of success: the summary does."""

    waiting: int
    running: int
    ended: int
    total: int


class Executions:
    """The runs of one state machine. Methods raise boto3's errors."""

    def __init__(self, client: SFNClient, state_machine: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._state_machine = state_machine
        self._sleep = sleep

    def start(self, request: dict[str, Json]) -> str:
        """Start a run with this input; its ARN. The name makes it one, however often the call has to be sent."""
        started = self._client.start_execution(
            stateMachineArn=self._state_machine, name=str(uuid4()), input=json.dumps(request)
        )
        self._wait_until(lambda: self._is_told(started["executionArn"]))
        return started["executionArn"]

    def newest(self, status: ExecutionStatusType | None = None) -> Execution | None:
        """The run that was started last, of those with a status."""
        wanted: ListExecutionsInputTypeDef = {"stateMachineArn": self._state_machine, "maxResults": 1}
        if status:
            wanted["statusFilter"] = status
        found = self._client.list_executions(**wanted)["executions"]
        return self.look(found[0]["executionArn"]) if found else None

    def find(self, name: str | None, status: ExecutionStatusType | None = None) -> Execution:
        """The run of this name or ARN; without one the newest, of those with a status. Else `InvalidInput`."""
        if name is None:
            found = self.newest(status)
            if found is None:
                raise InvalidInput(f"There is no run{' under way' if status == RUNNING else ''}.")
            return found
        try:
            return self.look(f"{self._prefix}:{name.removeprefix(f'{self._prefix}:')}")
        except ClientError as error:
            if error.response["Error"].get("Code") in ("ExecutionDoesNotExist", "InvalidArn"):
                raise InvalidInput(f"There is no run {name}.") from None
            raise

    def look(self, arn: str) -> Execution:
        """A run as it is now."""
        return _execution(self._client.describe_execution(executionArn=arn))

    def states(self, arn: str) -> list[str]:
        """The states that a run has entered, in order."""
        pages = self._client.get_paginator("get_execution_history")
        told = pages.paginate(executionArn=arn, includeExecutionData=False)
        entered = (event.get("stateEnteredEventDetails") for page in told for event in page["events"])
        return [details["name"] for details in entered if details]

    def media(self, arn: str) -> Media | None:
        """How far the map of a run is; None before it has begun."""
        runs = self._client.list_map_runs(executionArn=arn)["mapRuns"]
        if not runs:
            return None
        counts = self._client.describe_map_run(mapRunArn=runs[0]["mapRunArn"])["itemCounts"]
        waiting, running, total = counts["pending"], counts["running"], counts["total"]
        return Media(waiting, running, total - waiting - running, total)

    def follow(self, arn: str, watcher: Callable[[list[str], Media | None], None]) -> Execution:
        """Wait until a run has ended, telling the states it entered and how far its map is at each look."""
        pause = _FIRST_PAUSE
        while True:
            execution = self.look(arn)
            watcher(self.states(arn), self.media(arn))
            if execution.status != RUNNING:
                return execution
            self._sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def stop(self, execution: Execution) -> None:
        """End a run. `InvalidInput` if it has ended already."""
        if execution.status != RUNNING:
            raise InvalidInput(f"The run {execution.name} has ended already, as {execution.status}.")
        self._client.stop_execution(executionArn=execution.arn, error="Stopped", cause="Stopped by its owner.")

    def redrive(self, execution: Execution) -> None:
        """Let a run that was stopped or broken off go on with the step that it was in.

        `InvalidInput` if that leads nowhere: it goes on, it succeeded, or it went to its end in the state SyncFailed,
        with which the redrive would begin.
        """
        if execution.status in (RUNNING, "SUCCEEDED"):
            what = "is under way" if execution.status == RUNNING else "went to its end"
            raise InvalidInput(f"The run {execution.name} {what}. What failed in it is tried again by the next run.")
        if self.states(execution.arn)[-1:] == ["SyncFailed"]:
            raise InvalidInput(
                f"The run {execution.name} ended in SyncFailed with {execution.error}, and a redrive would end there "
                "again. Mend the cause and start a new run: it goes on from where this one stopped."
            )
        try:
            self._client.redrive_execution(executionArn=execution.arn)
        except ClientError as error:
            if error.response["Error"].get("Code") != "ExecutionNotRedrivable":
                raise
            raise InvalidInput(
                f"Step Functions does not redrive {execution.name}: {error.response['Error'].get('Message')} "
                "Start a new run: it goes on from where this one stopped."
            ) from None
        self._wait_until(lambda: self._goes_on(execution))

    def _wait_until(self, is_told: Callable[[], bool]) -> None:
        """Wait for what was just done to be told; in the end it is taken as it is told."""
        tenacity.Retrying(
            stop=tenacity.stop_after_attempt(_LOOKS),
            wait=tenacity.wait_fixed(_FIRST_PAUSE),
            retry=tenacity.retry_if_result(lambda told: not told),
            retry_error_callback=lambda _: None,
            sleep=self._sleep,
        )(is_told)

    def _is_told(self, arn: str) -> bool:
        try:
            self.look(arn)
        except ClientError as error:
            if error.response["Error"].get("Code") != "ExecutionDoesNotExist":
                raise
            return False
        return True

    def _goes_on(self, before: Execution) -> bool:
        now = self.look(before.arn)
        return now.status == RUNNING or now.redrives > before.redrives

    @property
    def _prefix(self) -> str:
        return self._state_machine.replace(":stateMachine:", ":execution:")


def _execution(told: DescribeExecutionOutputTypeDef) -> Execution:
    return Execution(
        told["executionArn"],
        told["status"],
        told["startDate"],
        told.get("stopDate"),
        json.loads(told.get("output") or "{}") if told["status"] == "SUCCEEDED" else {},
        told.get("error") or "",
        told.get("cause") or "",
        told.get("redriveCount", 0),
    )
