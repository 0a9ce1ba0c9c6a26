"""The composition root of the functions: the only place that reads the environment and makes clients.

Everything is made once for a warm function, and only if the step asks for it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache, wraps
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit, single_metric
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from core.model import utc_now
from core.sync.request import Run

if TYPE_CHECKING:
    from core.archive.s3 import S3Archive
    from core.archive.s3_inventory import S3Inventory
    from core.cost import Design
    from core.credentials.base import CredentialStore
    from core.model import Json
    from core.providers.base import Provider
    from core.sync.notify import Notification
    from core.sync.summarize import Summary
    from core.tracker.dynamodb import DynamoTracker
    from core.transfer import Engine

NAMESPACE = "CloudSync"

#: Every metric of this product, each under Provider and Environment. Each is billed by itself: see docs/cost.md.
METRICS = frozenset(
    {
        "VideosSynced",
        "BytesTransferred",
        "TransferDuration",
        "TransferThroughput",
        "SyncFailures",
        "AuthenticationFailure",
        "ApiShapeChanged",
        "ArchiveFindings",
        "SyncSucceeded",
        "MediaPending",
        "EstimatedMonthlyCost",
    }
)

logger = Logger(service="cloud-sync", log_uncaught_exceptions=False)
tracer = Tracer(service="cloud-sync", patch_modules=["botocore"])
metrics = Metrics(namespace=NAMESPACE)
warnings.filterwarnings("ignore", "No application metrics to publish")  # a step may have nothing to count

Handler = Callable[[Any, Any], Any]


def step(handler: Handler) -> Handler:
    """Log, trace and measure a handler. What it answers stays out of logs and traces."""

    @wraps(handler)
    def told(event: Any, lambda_context: Any) -> Any:
        try:
            return handler(event, lambda_context)
        except Exception:
            logger.exception("the step failed")
            raise

    measured = metrics.log_metrics(told)
    traced = tracer.capture_lambda_handler(measured, capture_response=False)
    return logger.inject_lambda_context(traced, clear_state=True)


CLIENT_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 6},
    connect_timeout=5,
    read_timeout=60,
    max_pool_connections=32,
    # Each body goes with a checksum of its own; it need not be hashed once more for the signature.
    s3={"payload_signing_enabled": False},
)


def environment(name: str) -> str:
    """A variable that the template sets."""
    return os.environ[name]


@cache
def tracker() -> DynamoTracker:
    """The tracker in the stack's table."""
    from core.tracker.dynamodb import DynamoTracker

    return DynamoTracker(boto3.client("dynamodb", config=CLIENT_CONFIG), environment("TRACKER_TABLE"))


@cache
def archive() -> S3Archive:
    """The archive in the stack's bucket; with ArchiveAfterDays 0 originals go straight to Deep Archive."""
    from core.archive.s3 import S3Archive

    at_once = os.environ.get("ARCHIVE_AFTER_DAYS") == "0"
    client = boto3.client("s3", config=CLIENT_CONFIG)
    return S3Archive(client, environment("ARCHIVE_BUCKET"), storage_class="DEEP_ARCHIVE" if at_once else None)


@cache
def inventory() -> S3Inventory:
    """What the stack's bucket really holds."""
    from core.archive.s3_inventory import S3Inventory

    return S3Inventory(boto3.client("s3", config=CLIENT_CONFIG), environment("ARCHIVE_BUCKET"), archive())


def design() -> Design:
    """What the stack is made of, as far as its owner has changed what it costs."""
    from core.cost import DESIGN

    days, has_key = int(environment("ARCHIVE_AFTER_DAYS")), environment("CUSTOMER_KEY") == "true"
    return replace(DESIGN, archive_after_days=days, keys=int(has_key))


@cache
def engine(megabytes: int) -> Engine:
    """The engine in a function of so much memory."""
    from core.transfer import Engine, room_for_parts

    return Engine(archive(), tracker(), memory=room_for_parts(megabytes))


@cache
def credentials() -> CredentialStore:
    """The credentials of the stack's secret, read through Powertools Parameters."""
    from core.credentials.secretsmanager import SecretsManagerCredentials
    from handlers._secret import SecretReader

    client = boto3.client("secretsmanager", config=CLIENT_CONFIG)
    secret_id = environment("CREDENTIALS_SECRET_ARN")
    return SecretsManagerCredentials(client, secret_id, read=SecretReader(client, secret_id))


@cache
def provider(name: str) -> Provider:
    """The provider called `name`, with the credentials of the stack's secret."""
    from core.providers import registry
    from core.providers.base import ProviderSettings

    return registry.create(
        name,
        ProviderSettings(
            credentials=credentials(),
            leases=tracker(),
            base_url=environment("GOPRO_API_URL") if name == "gopro" else None,
        ),
    )


def named(text: str) -> str:
    """Advice of core with the name of this stack in it."""
    return text.replace("--stack NAME", f"--stack {environment('STACK_NAME')}")


def tell(notification: Notification) -> None:
    """Send a message to the people who are subscribed to the alerts."""
    notification = replace(notification, message=named(notification.message))
    boto3.client("sns", config=CLIENT_CONFIG).publish(
        TopicArn=environment("ALERT_TOPIC_ARN"),
        Subject=notification.subject,
        MessageStructure="json",
        Message=notification.to_sns(),
    )


def note_run(summary: Summary, run: Run) -> None:
    """Count a run that came to its end, and tell what is due; what cannot be sent is left to the next run.

    The run is worth more than the message: whatever goes wrong here is logged.
    """
    from core.notify.milestones import note_run

    place = f"s3://{environment('ARCHIVE_BUCKET')}/{summary.provider}-videos/"
    try:
        note_run(summary, run, tracker(), utc_now(), place=place, tell=_tell_if_possible)
    except Exception:
        logger.exception("the run could not be counted")


def _tell_if_possible(notification: Notification) -> bool:
    try:
        tell(notification)
    except (BotoCoreError, ClientError):
        logger.exception("a message could not be sent; the next run sends it")
        return False
    return True


def webhook_address() -> str:
    """The address of the chat, which is a secret by itself."""
    from core.credentials.secretsmanager import CURRENT, read_secret

    client = boto3.client("secretsmanager", config=CLIENT_CONFIG)
    address, _ = read_secret(client, environment("WEBHOOK_SECRET_ARN"), CURRENT)
    return address.strip()


def begin(event: Json) -> Run:
    """The run of a step's event; from here on every log line carries it as correlation id."""
    run = Run.from_json(event["run"])
    logger.set_correlation_id(run.run_id)
    return run


def count(provider_name: str, values: dict[str, tuple[MetricUnit, float]]) -> None:
    """Emit metrics with the two dimensions that every one of this product has; `METRICS` names them all."""
    if unknown := values.keys() - METRICS:
        raise KeyError(f"METRICS of handlers/_context.py does not name {sorted(unknown)}.")
    metrics.add_dimension("Provider", provider_name)
    metrics.add_dimension("Environment", environment("ENVIRONMENT"))
    for name, (unit, value) in values.items():
        metrics.add_metric(name, unit, value)


def count_failures(provider_name: str, by_type: dict[str, int]) -> None:
    """Emit SyncFailures, in all and by type of error."""
    count(provider_name, {"SyncFailures": (MetricUnit.Count, sum(by_type.values()))})
    for error_type, number in by_type.items():
        with single_metric("SyncFailures", MetricUnit.Count, number, namespace=NAMESPACE) as metric:
            metric.add_dimension("Provider", provider_name)
            metric.add_dimension("Environment", environment("ENVIRONMENT"))
            metric.add_dimension("ErrorType", error_type or "Unknown")
