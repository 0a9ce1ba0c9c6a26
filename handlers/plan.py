"""ListMedia: find what is new and write the manifest that the map reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

from core.model import utc_now
from core.sync.plan import Plan, make_plan
from core.sync.request import SyncRequest
from core.sync.summarize import summarize_plan
from handlers import _context as context
from handlers._answers import FINAL_ERRORS, count_run, stopped

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from core.model import Json


@context.step
def handler(event: Json, _: LambdaContext) -> Json:
    """Take `{run, request, auth}`; answer `{outcome, bucket, max_concurrency, plan, summary}`."""
    run = context.begin(event)
    request = SyncRequest.from_json(event["request"])
    try:
        plan = make_plan(request, run, context.provider(request.provider), context.tracker(), context.archive())
    except FINAL_ERRORS as error:
        return stopped(error, run, request.provider)
    changed = len(plan.novelties)
    if changed:
        context.logger.warning("the API's shape has changed", extra={"novelties": plan.novelties})
    context.logger.info("planned", extra={"plan": plan.to_json()})
    context.count(request.provider, {"ApiShapeChanged": (MetricUnit.Count, changed)})
    outcome, summary = _outcome(plan, request), summarize_plan(plan, run, utc_now())
    if outcome == "nothing_new":  # the run ends here
        count_run(summary)
        context.note_run(summary, run)
    return {
        "outcome": outcome,
        "bucket": context.environment("ARCHIVE_BUCKET"),
        "max_concurrency": int(context.environment("MAX_CONCURRENCY")),
        "plan": plan.to_json(),
        "summary": summary.to_json(),
    }


def _outcome(plan: Plan, request: SyncRequest) -> str:
    if request.dry_run:
        return "dry_run"
    if plan.new:
        return "planned"
    return "unproved" if plan.unseen else "nothing_new"
