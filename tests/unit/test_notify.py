"""What a person reads when something went wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from core.credentials.base import HOW_TO_RENEW
from core.errors import ApiShapeChanged, CredentialsRejected, InvalidInput
from core.sync.authenticate import explain
from core.sync.notify import about_failure, about_summary
from core.sync.request import Run
from core.sync.summarize import FailedMedium, Summary

RUN = Run("run-7", datetime(2026, 3, 1, 2, tzinfo=UTC), "https://console.example/run-7")
SUMMARY = Summary("PARTIAL_FAILURE", "gopro", "run-7", 40, 30, 5, 25, 0, 0, 0, 12345, 61.0)


def failed(count: int) -> tuple[FailedMedium, ...]:
    return tuple(FailedMedium(f"id{n}", f"GX0{n}.MP4", "the server said 500", "TransientError") for n in range(count))


def test_a_partial_failure_tells_what_how_many_what_to_do_and_where() -> None:
    told = about_summary(replace(SUMMARY, failures=failed(25)), RUN)
    assert told.subject == "Cloud Sync: 25 of 30 media could not be backed up"
    for expected in (
        "GX00.MP4 (id0): the server said 500",
        "tries each of them again",
        RUN.link,
        "12,345 bytes",
        "and 5 more",
    ):
        assert expected in told.message


def test_at_most_twenty_failures_are_listed() -> None:
    told = about_summary(replace(SUMMARY, failures=failed(25)), RUN)
    assert told.message.count("the server said 500") == 20


def test_a_listing_that_is_not_proved_whole_is_told() -> None:
    told = about_summary(replace(SUMMARY, failed=0, unseen=3), RUN)
    assert "3 media of the library were not listed" in told.subject
    assert "not proved" in told.message


@pytest.mark.parametrize(
    ("error", "subject", "remedy"),
    [
        (CredentialsRejected("GoPro refuses the token."), "sign in again", HOW_TO_RENEW),
        (ApiShapeChanged("The answer is not JSON."), "API has changed", "update of Cloud Sync"),
        (InvalidInput('"max_items" must be a number.'), "malformed", "start the run again"),
    ],
)
def test_each_cause_of_a_critical_failure_comes_with_its_remedy(
    error: CredentialsRejected, subject: str, remedy: str
) -> None:
    told = about_failure(explain(error, "GoPro"), RUN)
    assert subject in told.subject
    assert str(error) in told.message
    assert remedy in told.message
    assert RUN.link in told.message


def test_a_remedy_that_the_error_already_tells_is_not_told_twice() -> None:
    told = about_failure(explain(CredentialsRejected(f"No token. {HOW_TO_RENEW}"), "GoPro"), RUN)
    assert told.message.count(HOW_TO_RENEW) == 1


def test_a_subject_is_one_short_ascii_line() -> None:
    odd = replace(SUMMARY, status="ü" * 300 + "\nInjected: header", failed=0)
    told = about_summary(odd, RUN)
    assert len(told.subject) <= 100
    assert told.subject.isascii()
    assert told.subject.isprintable()
