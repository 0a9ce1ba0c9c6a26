"""DownloadVideo: bring one medium of the manifest home."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

from core.model import Medium
from core.sync.outcomes import NotReady, Transferred, Unfinished
from core.sync.transfer import Transfer
from core.transfer import Progress, Watch
from handlers import _context as context

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from core.model import Json


@context.step
def handler(event: Json, lambda_context: LambdaContext) -> Json:
    """Take `{video, auth, run}`, `auth` being a reference only; answer `{outcome, media_id, …}`. Faults are raised.

    With the outcome `unfinished` the same call is to be made again: it goes on where this one stopped.
    """
    run = context.begin(event)
    medium = Medium.from_json(event["video"])
    context.logger.append_keys(media_id=medium.media_id)
    provider, archive, tracker = context.provider(medium.provider), context.archive(), context.tracker()
    transfer = Transfer(provider, archive, tracker, context.engine(int(lambda_context.memory_limit_in_mb)), run.run_id)
    outcome = transfer(medium, _watch(lambda_context))
    answer = {"outcome": outcome.outcome, **asdict(outcome)}
    context.logger.info("transfer ended", extra={"transfer": answer})
    if isinstance(outcome, Transferred):
        _count(medium.provider, outcome)
    elif isinstance(outcome, Unfinished | NotReady):
        context.count(medium.provider, {"BytesTransferred": (MetricUnit.Bytes, outcome.moved)})
    return answer


def _watch(lambda_context: LambdaContext) -> Watch:
    """Follow a transfer until shortly before the invocation's end; a log line every half minute."""

    def log(progress: Progress) -> None:
        context.logger.info("on its way", extra={"progress": asdict(progress)})

    return Watch(
        progress=log,
        interval=30.0,
        remaining=lambda: lambda_context.get_remaining_time_in_millis() / 1000,
    )


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
