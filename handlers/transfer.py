"""DownloadVideo: bring one medium of the manifest home."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

from core.model import Medium
from core.sync.outcomes import Transferred
from core.sync.transfer import Transfer
from handlers import _context as context

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from core.model import Json


@context.step
def handler(event: Json, _: LambdaContext) -> Json:
    """Take `{video, auth, run}`, `auth` being a reference only; answer `{outcome, media_id, …}`. Faults are raised."""
    run = context.begin(event)
    medium = Medium.from_json(event["video"])
    context.logger.append_keys(media_id=medium.media_id)
    transfer = Transfer(context.provider(medium.provider), context.archive(), context.tracker(), run.run_id)
    outcome = transfer(medium)
    answer = {"outcome": outcome.outcome, **asdict(outcome)}
    context.logger.info("transfer ended", extra={"transfer": answer})
    if isinstance(outcome, Transferred):
        _count(medium.provider, outcome)
    return answer


def _count(provider_name: str, outcome: Transferred) -> None:
    context.count(
        provider_name,
        {
            "VideosSynced": (MetricUnit.Count, 1),
            "BytesTransferred": (MetricUnit.Bytes, outcome.moved),
            "TransferDuration": (MetricUnit.Seconds, outcome.seconds),
            "TransferThroughput": (MetricUnit.BytesPerSecond, outcome.moved / max(outcome.seconds, 1e-3)),
        },
    )
