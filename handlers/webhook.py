"""What the alert topic sends, posted into the chat of the people who subscribed it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.notify.chat import post, text_of
from handlers import _context as context

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from core.model import Json


@context.step
def handler(event: Json, _: LambdaContext) -> Json:
    """Take `{Records: [{Sns: {Subject, Message}}]}` as SNS sends it; answer `{outcome}`. A failure is raised."""
    address = context.webhook_address()
    for record in event["Records"]:
        told = record["Sns"]
        post(address, text_of(told.get("Subject") or "", told["Message"]))
    context.logger.info("posted into the chat")
    return {"outcome": "posted"}
