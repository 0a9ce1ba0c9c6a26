"""GenerateSummary: say what the run came to, from the manifest and the tracker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

from core.report.price import monthly_price
from core.sync.notify import about_summary
from core.sync.plan import Plan
from core.sync.publish import publish
from core.sync.summarize import VANISHED, Summary, failures_by_type, summarize
from handlers import _context as context
from handlers._answers import count_run, failure_parts

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from core.model import Json
    from core.sync.request import Run


@context.step
def handler(event: Json, lambda_context: LambdaContext) -> Json:
    """Take `{run, plan: {plan}, …}`; answer `{outcome, summary, notification}`, and `failure` if the run failed."""
    run = context.begin(event)
    plan = Plan.from_json(event["plan"]["plan"])
    tolerance = float(context.environment("FAILURE_TOLERANCE_PERCENT"))
    summary = summarize(plan, run, context.tracker(), context.archive(), tolerance_percent=tolerance)
    context.logger.info("run ended", extra={"summary": summary.to_json()})
    _count(summary)
    context.note_run(summary, run)
    summary = publish(
        summary,
        plan,
        run,
        context.tracker(),
        context.archive(),
        price=monthly_price(context.design()),
        remaining=lambda: lambda_context.get_remaining_time_in_millis() / 1000,
    )
    if summary.page_trouble:
        context.logger.warning("the page of the run was not written", extra={"trouble": summary.page_trouble})
    return {"summary": summary.to_output(), **_verdict(summary, run)}


def _verdict(summary: Summary, run: Run) -> Json:
    if summary.failure:
        return {"outcome": "critical_failure", **failure_parts(summary.failure, run, summary)}
    if summary.status == "PARTIAL_FAILURE" or summary.damaged or summary.gone:
        return {"outcome": "partial_failure", "notification": about_summary(summary, run).to_json()}
    return {"outcome": "complete"}


def _count(summary: Summary) -> None:
    """Failures were counted where they happened, but for those that nobody saw happen."""
    count_run(summary)
    vanished = failures_by_type(summary.failures).get(VANISHED)
    if vanished:
        context.count_failures(summary.provider, {VANISHED: vanished})
    if summary.failure and summary.failure.outcome == "credentials_rejected":
        context.count(summary.provider, {"AuthenticationFailure": (MetricUnit.Count, 1)})
