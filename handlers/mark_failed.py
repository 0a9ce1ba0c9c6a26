"""MarkVideoFailed: record why a medium did not arrive, while the others go on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from core.model import Medium
from core.sync.transfer import mark_failed
from handlers import _context as context

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from core.model import Json


@context.step
def handler(event: Json, _: LambdaContext) -> Json:
    """Take `{video, run, fault: {Error, Cause}}`; answer `{outcome, media_id}`."""
    run = context.begin(event)
    medium = Medium.from_json(event["video"])
    error_type, error = _read_fault(event["fault"])
    recorded = mark_failed(medium, run.run_id, error_type, error, context.tracker())
    if recorded:
        context.logger.error(
            "transfer failed", extra={"media_id": medium.media_id, "error_type": error_type, "reason": error}
        )
        context.count_failures(medium.provider, {error_type: 1})
    return {"outcome": "marked_failed" if recorded else "completed_after_all", "media_id": medium.media_id}


def _read_fault(fault: Json) -> tuple[str, str]:
    """The class and message of what a function raised; Lambda puts both into the cause as JSON."""
    error_type, cause = str(fault.get("Error") or "Unknown"), str(fault.get("Cause") or "")
    try:
        raised = json.loads(cause)
        return str(raised.get("errorType") or error_type), str(raised.get("errorMessage") or cause)
    except (ValueError, AttributeError):
        return error_type, cause
