"""VerifyArchive: compare archive, catalog and tracker, as far as the time of one invocation goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

from core.cost import last_month
from core.errors import InvalidInput
from core.model import utc_now
from core.verify import Report, Verification, Verifier
from core.verify.notify import about_findings
from handlers import _context as context
from handlers._answers import run_of_execution, stopped

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from core.model import Json


@context.step
def handler(event: Json, lambda_context: LambdaContext) -> Json:
    """Take `{execution, input, progress}`; answer `{outcome, summary}`, and `notification` if something is wrong.

    With the outcome `unfinished` the same call is to be made again, with the answer's `progress`.
    """
    run = run_of_execution(event["execution"])
    context.logger.set_correlation_id(run.run_id)
    try:
        request = Verification.from_json(event["input"])
        so_far = Report.from_json(event["progress"]) if event["progress"] else Report(request.provider)
    except InvalidInput as error:
        return stopped(error, run, "archive")
    verifier = Verifier(context.tracker(), context.archive(), context.inventory())
    report = verifier.stretch(request, run, so_far, lambda: lambda_context.get_remaining_time_in_millis() / 1000)
    context.logger.info("verified", extra={"report": report.summary()})
    if report.cursor:
        return {"outcome": "unfinished", "input": event["input"], "progress": report.to_json()}
    cost = last_month(context.tracker().records(report.provider), utc_now(), context.design())
    context.count(
        report.provider,
        {"ArchiveFindings": (MetricUnit.Count, report.findings), "EstimatedMonthlyCost": (MetricUnit.NoUnit, cost)},
    )
    duration = round((utc_now() - run.started_at).total_seconds(), 3)
    summary = report.summary() | {"run_id": run.run_id, "duration_seconds": duration}
    if report.findings:
        return {"outcome": "findings", "summary": summary, "notification": about_findings(report, run).to_json()}
    return {"outcome": "sound", "summary": summary}
