"""The check of the credentials between runs: look, learn how long tokens live, and warn before a run fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.model import utc_now
from core.sync.check_credentials import check_credentials
from handlers import _context as context

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from core.model import Json


@context.step
def handler(event: Json, _: LambdaContext) -> Json:
    """Take `{provider, hours_ahead}`, null to look without warning; answer `{outcome, age_hours, expected_hours}`."""
    checked = check_credentials(
        context.provider(event["provider"]),
        context.credentials(),
        context.tracker(),
        utc_now(),
        hours_ahead=event["hours_ahead"],
        tell=context.tell,
    )
    context.logger.info("checked the credentials", extra={"checked": checked.to_json()})
    return checked.to_json()
