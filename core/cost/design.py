"""What the deployed workflow is made of, as far as it costs. A test holds it against the template and the workflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Function:
    """A function: its memory (MB), its calls a run, the seconds of a call, and for each medium once a week."""

    memory: int
    calls: float
    seconds: float = 0.0
    weekly_seconds_a_medium: float = 0.0


#: How long a call takes is assumed, not measured on AWS: a cold start, some calls of AWS and of the provider, and for
#: a full scan a second for each page of 50 media.
_FUNCTIONS = MappingProxyType(
    {
        "AuthenticateFunction": Function(memory=256, calls=1, seconds=4),
        "PlanFunction": Function(memory=1024, calls=1, seconds=10, weekly_seconds_a_medium=1 / 50),
        "SummarizeFunction": Function(memory=512, calls=1, seconds=5),
        "MarkFailedFunction": Function(memory=256, calls=1, seconds=3),
        "CheckCredentialsFunction": Function(memory=256, calls=25, seconds=4),
        "VerifyFunction": Function(memory=1769, calls=1 / 7, seconds=10, weekly_seconds_a_medium=1 / 100),
    }
)


#: What posts messages into a chat, where there is one: six a month.
_WEBHOOK = Function(memory=256, calls=6 / 30, seconds=3)


@dataclass(frozen=True, slots=True)
class Design:
    """Counts of what is billed by its number, and the memory of functions (MB).

    `transfer_memory` is of the function that moves the bytes. The transitions are the states on the longest way
    without a failure; for a medium also the start of its child. `metrics` counts each name with each set of dimensions,
    but for those by type of error.
    """

    transfer_memory: int = 1769
    functions: Mapping[str, Function] = field(default_factory=lambda: _FUNCTIONS)
    architecture: str = "arm64"
    archive_after_days: int = 7
    log_retention_days: int = 30
    concurrency: int = 5
    transitions_a_run: int = 8
    transitions_a_medium: int = 4
    transitions_a_verification: int = 4
    metrics: int = 11
    alarms: int = 11
    composite_alarms: int = 0
    dashboards: int = 1
    secrets: int = 1
    keys: int = 0
    scheduled_starts_a_day: int = 27

    def with_webhook(self) -> Design:
        """The same with WebhookSecretArn set: a function, a secret and an alarm more."""
        functions = {**self.functions, "WebhookFunction": _WEBHOOK}
        return replace(self, secrets=self.secrets + 1, alarms=self.alarms + 1, functions=functions)


DESIGN = Design()
