"""The first success and each month are told, at least once and by one run."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest

from core.notify.milestones import Ledger, Month, about_month, note_run
from core.sync.notify import Kind, Notification
from core.sync.outcomes import Failure
from core.sync.request import Run
from core.sync.summarize import FailedMedium, Summary
from core.tracker.sqlite import SqliteTracker

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "notifications.md"
NOTHING = Summary("NO_NEW_VIDEOS", "gopro", "", 1207, 0, 0, 0, 0, 0, 0, 0, 4.0)
SUCCESS = replace(NOTHING, status="SUCCEEDED", new=3, completed=3, bytes_transferred=12_000_000_000)
PARTIAL = replace(
    SUCCESS, status="PARTIAL_FAILURE", completed=2, failed=1, failures=(FailedMedium("id1", "GX01.MP4", "broke", "X"),)
)


class Stack:
    """Runs that end one after the other, and what arrives of what they tell."""

    def __init__(self, folder: Path) -> None:
        self.tracker = SqliteTracker(folder / "tracker.sqlite3")
        self.inbox: list[Notification] = []
        self.is_reachable = True
        self.ended = 0

    def run(self, summary: Summary, ended_at: str, run_id: str = "") -> list[str]:
        """A run that ends; the subjects of what it told."""
        self.ended += 1
        run_id, before = run_id or f"run-{self.ended}", len(self.inbox)
        now = datetime.fromisoformat(ended_at)
        run = Run(run_id, now - timedelta(minutes=5), f"https://console.example/{run_id}")
        place = "s3://bucket/gopro-videos/"
        note_run(replace(summary, run_id=run_id), run, self.tracker, now, place=place, tell=self._tell)
        return [told.subject for told in self.inbox[before:]]

    def _tell(self, notification: Notification) -> bool:
        if self.is_reachable:
            self.inbox.append(notification)
        return self.is_reachable

    @property
    def ledger(self) -> Ledger:
        return Ledger.from_text(self.tracker.recall("ledger/gopro"))


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path)


FIRST = "Cloud Sync: the first backup is done, 3 media archived"


# ------------------------------------------------------------------------- first success
def test_the_first_success_is_told_once_with_what_came_where_it_lies_and_what_silence_means(stack: Stack) -> None:
    assert stack.run(NOTHING, "2026-11-02T01:00Z") == []
    assert stack.run(SUCCESS, "2026-11-03T01:00Z") == [FIRST]
    assert stack.run(SUCCESS, "2026-11-04T01:00Z") == []
    (told,) = stack.inbox
    for expected in ("3 media, 12,000,000,000 bytes", "s3://bucket/gopro-videos/", "silence on ordinary days", "1,207"):
        assert expected in told.message
    assert (told.kind, told.details["media"], told.details["bytes"]) == ("first_success", 3, 12_000_000_000)
    assert told.details["run"]["link"] == "https://console.example/run-2"


def test_a_run_that_left_failures_is_no_first_success_and_what_it_brought_is_counted(stack: Stack) -> None:
    assert stack.run(PARTIAL, "2026-11-03T01:00Z") == []
    failed = replace(SUCCESS, failure=Failure("too_many_failures", "X", "cause", "remedy"))
    assert stack.run(failed, "2026-11-04T01:00Z") == []
    assert stack.run(SUCCESS, "2026-11-05T01:00Z") == [FIRST.replace("3 media", "8 media")]


def test_each_provider_has_a_first_success_of_its_own(stack: Stack) -> None:
    stack.run(SUCCESS, "2026-11-03T01:00Z")
    assert stack.run(replace(SUCCESS, provider="other"), "2026-11-03T02:00Z") == [FIRST]


# ------------------------------------------------------------------------------- a month
def test_a_month_is_told_by_the_first_run_that_ends_in_the_next(stack: Stack) -> None:
    stack.run(SUCCESS, "2026-11-03T01:00Z")
    stack.run(PARTIAL, "2026-11-04T01:00Z")
    assert stack.run(NOTHING, "2026-11-30T23:59:59Z") == []
    assert stack.run(SUCCESS, "2026-12-01T00:00Z") == ["Cloud Sync: November 2026, 5 media archived"]
    told = stack.inbox[-1]
    for expected in ("3 runs came to the end, 1 of them without", "5 media came, 24,000,000,000 bytes", "8 media, 36,"):
        assert expected in told.message
    assert "Estimated cost of the month: $" in told.message
    details = dict(told.details)
    assert details.pop("estimated_usd") > 0.4
    assert details.pop("run")["run_id"] == "run-4"
    assert details == {
        "month": "2026-11",
        "runs": 3,
        "nothing_new": 1,
        "troubled": 1,
        "media": 5,
        "bytes": 24_000_000_000,
        "failed": 0,
        "pending": 0,
        "discovered": 1207,
        "ended_at": "2026-11-30T23:59:59Z",
        "months_without_a_run": [],
        "total": {"media": 8, "bytes": 36_000_000_000},
    }
    assert stack.run(NOTHING, "2026-12-02T01:00Z") == []


def test_a_month_in_which_nothing_came_is_told_too(stack: Stack) -> None:
    for day in range(1, 31):
        assert stack.run(NOTHING, f"2026-11-{day:02}T01:00Z") == []
    assert stack.run(NOTHING, "2026-12-01T01:00Z") == ["Cloud Sync: November 2026, nothing new"]
    assert "30 runs came to the end, 30 of them without anything new" in stack.inbox[-1].message
    assert "the proof that the backup runs" in stack.inbox[-1].message


def test_what_a_month_left_failed_is_in_its_subject(stack: Stack) -> None:
    stack.run(PARTIAL, "2026-11-04T01:00Z")
    assert stack.run(NOTHING, "2026-12-01T01:00Z") == ["Cloud Sync: November 2026, 2 media archived, 1 failed"]
    assert "look at the report of the last run" in stack.inbox[-1].message


def test_a_month_without_any_run_is_named(stack: Stack) -> None:
    stack.run(NOTHING, "2026-10-31T01:00Z")
    assert stack.run(NOTHING, "2027-02-01T01:00Z") == ["Cloud Sync: October 2026, nothing new"]
    assert "no run came to its end in November 2026, December 2026, January 2027" in stack.inbox[-1].message
    assert stack.inbox[-1].details["months_without_a_run"] == ["2026-11", "2026-12", "2027-01"]


# ------------------------------------------------------------------- once, and not never
def test_a_message_that_could_not_be_sent_is_sent_by_the_next_run(stack: Stack) -> None:
    stack.is_reachable = False
    assert stack.run(SUCCESS, "2026-11-30T01:00Z") == []
    assert stack.run(NOTHING, "2026-12-01T01:00Z") == []
    stack.is_reachable = True
    assert stack.run(NOTHING, "2026-12-02T01:00Z") == [FIRST, "Cloud Sync: November 2026, 3 media archived"]
    assert stack.run(NOTHING, "2026-12-03T01:00Z") == []
    assert list(stack.ledger.months) == ["2026-12"]


def test_a_step_that_is_tried_again_counts_and_tells_its_run_once(stack: Stack) -> None:
    assert stack.run(SUCCESS, "2026-11-03T01:00Z", "run-a") == [FIRST]
    stack.run(NOTHING, "2026-11-03T01:00Z", "run-b")
    assert stack.run(SUCCESS, "2026-11-03T01:00Z", "run-a") == []
    assert (stack.ledger.media, stack.ledger.months["2026-11"].runs) == (3, 2)


def test_a_step_that_died_before_it_marked_what_it_told_tells_it_again(stack: Stack, tmp_path: Path) -> None:
    def die(_: Notification) -> bool:
        raise KeyboardInterrupt

    run, now = Run("run-a", datetime(2026, 11, 3, tzinfo=UTC)), datetime(2026, 11, 3, tzinfo=UTC)
    with pytest.raises(KeyboardInterrupt):
        note_run(replace(SUCCESS, run_id="run-a"), run, stack.tracker, now, place="", tell=die)
    assert stack.run(SUCCESS, "2026-11-03T01:00Z", "run-a") == [FIRST]


def test_runs_that_end_at_once_are_all_counted_and_one_of_them_tells(stack: Stack) -> None:
    stack.run(NOTHING, "2026-11-30T01:00Z")
    threads = [
        threading.Thread(target=stack.run, args=(SUCCESS, "2026-12-01T01:00Z", f"at-once-{number}"))
        for number in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told.kind for told in stack.inbox) == ["first_success", "monthly_summary"]
    assert (stack.ledger.months["2026-12"].runs, stack.ledger.media) == (12, 36)


def test_the_ledger_stays_small(stack: Stack) -> None:
    for day in range(1, 31):
        stack.run(SUCCESS, f"2026-11-{day:02}T01:00Z", f"2f1c7a52-0b1e-4b42-9d3e-0123456789{day:02}")
    assert len(stack.tracker.recall("ledger/gopro")) < 1000
    assert json.loads(stack.tracker.recall("ledger/gopro"))["months"]["2026-11"]["runs"] == 30


def test_what_a_newer_version_keeps_beside_it_stops_no_run_after_a_rollback(stack: Stack) -> None:
    stack.run(SUCCESS, "2026-11-03T01:00Z")
    kept = stack.tracker.recall("ledger/gopro")
    newer = json.loads(kept) | {"more": 1}
    newer["months"]["2026-11"]["more"] = 1
    assert stack.tracker.replace("ledger/gopro", json.dumps(newer), seen=kept)
    stack.run(SUCCESS, "2026-11-04T01:00Z")
    assert stack.ledger.media == 6


@pytest.mark.parametrize(
    "spoilt",
    [
        "{broken",
        "7",
        '{"media": null}',
        '{"months": 5}',
        '{"months": {"2026-3x": {}}}',
        '{"months": {"2026-10": {"media": null}}}',
        '{"recent_runs": "run-1"}',
    ],
)
def test_a_ledger_that_cannot_be_read_is_begun_anew(
    stack: Stack, spoilt: str, caplog: pytest.LogCaptureFixture
) -> None:
    stack.tracker.replace("ledger/gopro", spoilt, seen="")
    assert stack.run(SUCCESS, "2026-11-03T01:00Z") == [FIRST]
    assert "The ledger of the runs cannot be read: it is begun anew." in caplog.messages
    assert stack.run(NOTHING, "2026-12-01T01:00Z") == ["Cloud Sync: November 2026, 3 media archived"]


def test_a_ledger_that_lacks_what_it_did_not_have_yet_is_read(stack: Stack) -> None:
    stack.tracker.replace("ledger/gopro", '{"media": 5, "first_success": "told"}', seen="")
    assert stack.run(SUCCESS, "2026-11-03T01:00Z") == []
    assert stack.ledger.media == 8


def test_the_document_shows_what_is_sent() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    month = Month(30, 18, 1, 57, 228_000_000_000, 0, 2, 1207, "2026-11-30T01:04:12Z")
    ledger = Ledger("told", 1205, 4_820_000_000_000, {"2026-11": month})
    run = Run("5f6f7b1e", datetime(2026, 12, 1, 1, tzinfo=UTC), "https://…")
    told = about_month("2026-11", ledger, run, datetime(2026, 12, 1, 1, 5, tzinfo=UTC))
    # The estimate changes with the prices and the design.
    usd = f"{told.details['estimated_usd']:.2f}"
    assert f"Subject: {told.subject}\n\n{told.message.partition('Look here')[0].replace(usd, '5.76')}" in document
    (shown,) = re.findall(r"^```json\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)
    details = {**told.details, "estimated_usd": 5.76}
    assert json.loads(shown) | {"message": ""} == told.to_json() | {"message": "", "details": details}
    assert told.message.startswith(json.loads(shown)["message"].rstrip("…"))


def test_every_kind_is_in_the_document() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \| ", document, re.MULTILINE)) == set(get_args(Kind))
