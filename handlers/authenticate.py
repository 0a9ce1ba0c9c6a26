"""AuthenticateProvider: read the run's input, check the credentials, hand on a reference to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

from core.sync.authenticate import authenticate
from core.sync.request import SyncRequest
from handlers import _context as context
from handlers._answers import FINAL_ERRORS, run_of_execution, stopped

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from core.model import Json


@context.step
def handler(event: Json, _: LambdaContext) -> Json:
    """Take `{execution, input}`; answer `{outcome, run, request, auth}`, or the failure and its notification."""
    run = run_of_execution(event["execution"])
    context.logger.set_correlation_id(run.run_id)
    request = SyncRequest()
    try:
        request = SyncRequest.from_json(event.get("input") or {})
        account = authenticate(context.provider(request.provider))
        version = context.credentials().current(fresh=True).version
    except FINAL_ERRORS as error:
        return stopped(error, run, request.provider)
    context.logger.info("signed in", extra={"provider": request.provider, "media_count": account.media_count})
    context.count(request.provider, {"AuthenticationFailure": (MetricUnit.Count, 0)})
    return {
        "outcome": "authenticated",
        "run": run.to_json(),
        "request": request.to_json(),
        "auth": {"secret_arn": context.environment("CREDENTIALS_SECRET_ARN"), "version_id": version},
    }
