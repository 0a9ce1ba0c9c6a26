"""The retry schedule, for any policy and any luck."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import retry
from core.errors import CredentialsRejected, TransientError
from core.retry import RetryPolicy, retrying

policies = st.builds(
    RetryPolicy,
    retries=st.integers(0, 8),
    first_delay=st.floats(0.01, 60),
    rate=st.floats(1, 4),
    max_delay=st.floats(1, 600),
    jitter=st.booleans(),
)
luck = st.floats(0, 1, exclude_max=True)


@given(policies, st.integers(1, 1000), luck)
def test_no_pause_is_ever_longer_than_its_ceiling_or_negative(policy: RetryPolicy, attempt: int, drawn: float) -> None:
    delay = policy.delay(attempt, lambda: drawn)
    assert 0 <= delay <= policy.ceiling(attempt) <= policy.max_delay


@given(policies, st.integers(1, 50))
def test_ceilings_never_shrink(policy: RetryPolicy, attempt: int) -> None:
    assert policy.ceiling(attempt) <= policy.ceiling(attempt + 1)


@given(policies, luck)
def test_a_call_that_always_fails_is_made_exactly_once_more_than_there_are_retries(
    policy: RetryPolicy, drawn: float
) -> None:
    calls: list[int] = []
    pauses: list[float] = []

    def fail() -> None:
        calls.append(1)
        raise TransientError("the network is down")

    with pytest.raises(TransientError):
        retrying(policy, fail, sleep=pauses.append, draw=lambda: drawn)
    assert len(calls) == policy.retries + 1
    assert pauses == [policy.delay(number, lambda: drawn) for number in range(1, policy.retries + 1)]


@given(st.floats(0.1, retry.LONGEST_RETRY_AFTER))
def test_the_server_s_own_pause_is_never_undercut(wanted: float) -> None:
    pauses: list[float] = []

    def throttled() -> None:
        raise TransientError("slow down", retry_after=wanted)

    with pytest.raises(TransientError):
        retrying(retry.API_CALL, throttled, sleep=pauses.append)
    assert all(pause >= wanted for pause in pauses)
    assert len(pauses) == retry.API_CALL.retries


def test_a_pause_longer_than_is_reasonable_is_left_to_the_next_attempt_of_the_step() -> None:
    pauses: list[float] = []

    def throttled() -> None:
        raise TransientError("come back tomorrow", retry_after=retry.LONGEST_RETRY_AFTER + 1)

    with pytest.raises(TransientError, match="tomorrow"):
        retrying(retry.API_CALL, throttled, sleep=pauses.append)
    assert pauses == []


@pytest.mark.parametrize("policy", [retry.AUTHENTICATE, retry.LIST, retry.TRANSFER, retry.API_CALL])
def test_rejected_credentials_are_never_tried_again(policy: RetryPolicy) -> None:
    calls: list[int] = []

    def refuse() -> None:
        calls.append(1)
        raise CredentialsRejected("the token is dead")

    with pytest.raises(CredentialsRejected):
        retrying(policy, refuse, sleep=lambda _: None)
    assert calls == [1]


def test_the_contract_s_pauses_are_2_4_8_and_30_60_120_seconds() -> None:
    assert [retry.AUTHENTICATE.ceiling(n) for n in (1, 2, 3)] == [2, 4, 8]
    assert [retry.LIST.ceiling(n) for n in (1, 2, 3)] == [2, 4, 8]
    assert [retry.TRANSFER.ceiling(n) for n in (1, 2, 3)] == [30, 60, 120]
