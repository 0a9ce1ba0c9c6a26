"""Retry policy as data, and the one loop that reads it.

The steps' policies (`AUTHENTICATE`, `LIST`, `SUMMARIZE`, `TRANSFER`) are followed by the local driver through
`retrying` and by the workflow through its own retry table; a test compares the two. The policies below them are used
inside a step: `API_CALL` for one call, `DOWNLOAD` for the first opening of an original (an expired address is resolved
again first), `PART` for what one part of a transfer still lacks, `SAVE_CREDENTIALS` for storing a renewed sign-in,
which must not be lost.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import tenacity

from core.errors import (
    ApiShapeChanged,
    Cancelled,
    CredentialsRejected,
    IntegrityError,
    InvalidInput,
    LocatorExpired,
    SourceGone,
    StorageFull,
    TransientError,
)

T = TypeVar("T")

#: Trying again cannot help: the user or the developers have to act. Steps return these as outcomes.
FINAL = (ApiShapeChanged, Cancelled, CredentialsRejected, InvalidInput, SourceGone, StorageFull)

#: A server that asks for a longer pause than this (seconds) is left to the next attempt of the step.
LONGEST_RETRY_AFTER = 300.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Up to `retries` further attempts, the first after `first_delay` seconds, each next `rate` times later.

    No pause is longer than `max_delay` seconds. With `jitter` each is drawn uniformly between zero and that ceiling
    ("full jitter"), so that parallel transfers do not come back at the same moment.
    """

    retries: int
    first_delay: float
    rate: float = 2.0
    max_delay: float = 300.0
    jitter: bool = False
    on: tuple[type[Exception], ...] = (Exception,)
    never: tuple[type[Exception], ...] = FINAL

    def ceiling(self, attempt: int) -> float:
        """Longest pause in seconds after failed attempt number `attempt` (from 1)."""
        return min(self.max_delay, self.first_delay * self.rate ** min(attempt - 1, 64))

    def delay(self, attempt: int, draw: Callable[[], float]) -> float:
        """Pause in seconds after failed attempt number `attempt`; `draw` gives a number in [0, 1)."""
        ceiling = self.ceiling(attempt)
        return ceiling * draw() if self.jitter else ceiling

    def covers(self, error: BaseException) -> bool:
        """Whether another attempt is worthwhile after `error`."""
        return isinstance(error, self.on) and not isinstance(error, self.never)


AUTHENTICATE = RetryPolicy(retries=3, first_delay=2.0)
LIST = RetryPolicy(retries=3, first_delay=2.0)
SUMMARIZE = RetryPolicy(retries=3, first_delay=2.0)
VERIFY = RetryPolicy(retries=3, first_delay=2.0)
TRANSFER = RetryPolicy(retries=3, first_delay=30.0, jitter=True)
API_CALL = RetryPolicy(retries=4, first_delay=0.5, max_delay=20.0, jitter=True, on=(TransientError,))
DOWNLOAD = replace(API_CALL, never=(*FINAL, LocatorExpired))
PART = RetryPolicy(
    retries=5, first_delay=0.2, max_delay=10.0, jitter=True, on=(TransientError, IntegrityError), never=FINAL
)
SAVE_CREDENTIALS = RetryPolicy(retries=5, first_delay=0.5, max_delay=5.0, jitter=True)


def retrying(
    policy: RetryPolicy,
    function: Callable[[], T],
    *,
    sleep: Callable[[float], None] = time.sleep,
    draw: Callable[[], float] = random.random,
    on_retry: Callable[[BaseException, float], None] | None = None,
) -> T:
    """Call `function`, and again as `policy` says; the last error is raised as it is.

    A `TransientError` with `retry_after` is honoured: the pause is never shorter, and if it is longer than
    `LONGEST_RETRY_AFTER` the error is raised at once.
    """

    def pause(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        wanted = getattr(error, "retry_after", None) or 0.0
        return max(wanted, policy.delay(state.attempt_number, draw))

    def worthwhile(error: BaseException) -> bool:
        return policy.covers(error) and (getattr(error, "retry_after", None) or 0.0) <= LONGEST_RETRY_AFTER

    def announce(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if on_retry and error and state.next_action:
            on_retry(error, state.next_action.sleep)

    loop = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(policy.retries + 1),
        wait=pause,
        retry=tenacity.retry_if_exception(worthwhile),
        sleep=sleep,
        before_sleep=announce,
        reraise=True,
    )
    return loop(function)
