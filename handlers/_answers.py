"""The shapes of answers that several steps share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

from core.errors import ApiShapeChanged, CredentialsRejected, InvalidInput
from core.model import parse_time, utc_now
from core.sync.authenticate import explain
from core.sync.notify import about_failure
from core.sync.request import Run
from handlers import _context as context

if TYPE_CHECKING:
    from core.model import Json
    from core.sync.outcomes import Failure
    from core.sync.summarize import Summary

FINAL_ERRORS = (ApiShapeChanged, CredentialsRejected, InvalidInput)


def run_of_execution(execution: Json) -> Run:
    """The run that an execution of the state machine is: its name, its start, its page in the console."""
    arn = str(execution["id"])
    region = arn.split(":")[3]
    link = f"https://{region}.console.aws.amazon.com/states/home?region={region}#/v2/executions/details/{arn}"
    return Run(str(execution["name"]), parse_time(execution.get("started_at")) or utc_now(), link)


def stopped(error: ApiShapeChanged | CredentialsRejected | InvalidInput, run: Run, provider_name: str) -> Json:
    """A run that cannot go on, as a value that the workflow routes to NotifyCriticalFailure."""
    failure = explain(error, provider_name)
    context.logger.error(failure.cause, extra={"outcome": failure.outcome})
    metric = {"credentials_rejected": "AuthenticationFailure", "api_changed": "ApiShapeChanged"}.get(failure.outcome)
    if metric:
        context.count(provider_name, {metric: (MetricUnit.Count, 1)})
    return {"outcome": failure.outcome, "run": run.to_json(), **failure_parts(failure, run)}


def count_run(summary: Summary) -> None:
    """Tell the dead man's switch of a success, and how many media the next run has to try."""
    values = {"MediaPending": (MetricUnit.Count, float(summary.pending + summary.failed))}
    if summary.is_success:
        values["SyncSucceeded"] = (MetricUnit.Count, 1)
    context.count(summary.provider, values)


def failure_parts(failure: Failure, run: Run, summary: Summary | None = None) -> Mapping[str, Json]:
    """The failure for the execution's own error, and the message for people."""
    failure = replace(failure, cause=context.named(failure.cause), remedy=context.named(failure.remedy))
    return {
        "failure": {"error": failure.error, "cause": f"{failure.cause} {failure.remedy}".strip()},
        "notification": about_failure(failure, run, summary).to_json(),
    }
