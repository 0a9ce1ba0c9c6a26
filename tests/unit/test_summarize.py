"""What a run came to is counted from its manifest and the tracker: what nobody recorded is named as failed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.archive.folder import FolderArchive
from core.archive.keys import manifest_key, report_key
from core.model import Medium, Reason, Record, Status
from core.sync.plan import Plan
from core.sync.request import Run
from core.sync.summarize import VANISHED, Summary, summarize
from core.sync.transfer import medium_lease
from core.tracker.sqlite import SqliteTracker

BEGAN = datetime(2026, 3, 1, 2, tzinfo=UTC)
RUN = Run("run-7", BEGAN)

#: How a medium stands when the run is summed up: status, reason, and whether this run wrote that.
Standing = tuple[Status, str, bool]
DONE: Standing = (Status.COMPLETED, "", True)
DONE_BY_OTHERS: Standing = (Status.COMPLETED, "", False)
FAILED: Standing = (Status.FAILED, "", True)
GONE: Standing = (Status.SOURCE_GONE, "", True)
NOT_READY: Standing = (Status.PENDING, Reason.NOT_READY, True)
UNTOUCHED: Standing = (Status.PENDING, Reason.PLANNED, True)
LEFT_ALONE: Standing = (Status.IN_PROGRESS, "", True)
REFUSED: Standing = (Status.PENDING, Reason.CREDENTIALS, True)
FAILED_BEFORE: Standing = (Status.FAILED, "", False)


class Place:
    """A tracker and an archive in which a run has ended."""

    def __init__(self, folder: Path) -> None:
        self.tracker = SqliteTracker(folder / "tracker.sqlite3", clock=lambda: BEGAN)
        self.archive = FolderArchive(folder / "archive")

    def summary(self, standings: dict[str, Standing]) -> Summary:
        """The summary of a run whose media stand so."""
        media = [Medium("gopro", key, f"{key}.MP4", "Video", "ready", None, None, 1) for key in standings]
        lines = "".join(json.dumps(medium.to_json()) + "\n" for medium in media)
        self.archive.put_document(manifest_key(RUN.run_id), lines.encode())
        for key, (status, reason, here) in standings.items():
            run_id, when = (RUN.run_id, BEGAN) if here else ("run-6", BEGAN - timedelta(days=1))
            self.tracker.save(Record("gopro", key, status, run_id, when, reason=reason, moved=10 if here else 0))
        count, key = len(media), manifest_key(RUN.run_id)
        plan = Plan("gopro", True, count, count, count, 0, 0, 0, 0, 0, (), key)
        return summarize(plan, RUN, self.tracker, self.archive, clock=lambda: BEGAN + timedelta(minutes=1))

    def status(self, media_id: str) -> Status:
        """How a medium stands now."""
        return self.tracker.get("gopro", [media_id])[media_id].status


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_each_medium_is_counted_once_as_what_the_tracker_says_of_it(place: Place) -> None:
    found = place.summary({"a": DONE, "b": DONE_BY_OTHERS, "c": FAILED, "d": GONE, "e": NOT_READY})
    assert (found.completed, found.failed, found.source_gone, found.pending) == (2, 1, 1, 1)
    assert (found.status, found.new) == ("PARTIAL_FAILURE", 5)
    assert [one.media_id for one in found.failures] == ["c"]
    assert [one.media_id for one in found.gone] == ["d"]
    report = json.loads(b"".join(place.archive.read_document(report_key(RUN.run_id))))
    assert (report["completed"], report["failed"]) == (2, 1)


@pytest.mark.parametrize("standing", [UNTOUCHED, LEFT_ALONE, FAILED_BEFORE], ids=["untouched", "left", "failed before"])
def test_a_medium_of_which_nobody_said_a_word_is_failed_and_never_completed(place: Place, standing: Standing) -> None:
    found = place.summary({"a": DONE, "b": standing})
    assert (found.completed, found.failed) == (1, 1)
    assert [(one.media_id, one.error_type) for one in found.failures] == [("b", VANISHED)]
    assert place.status("b") is Status.FAILED


def test_a_medium_that_another_run_is_at_waits(place: Place) -> None:
    place.tracker.acquire(medium_lease("gopro", "b"), "run-8", 300)
    found = place.summary({"a": DONE, "b": LEFT_ALONE})
    assert (found.completed, found.failed, found.pending, found.status) == (1, 0, 1, "SUCCEEDED")
    assert place.status("b") is Status.IN_PROGRESS


@pytest.mark.parametrize(
    ("standings", "is_success"),
    [
        ({"a": DONE}, True),
        ({"a": DONE, "b": FAILED}, True),
        ({"a": NOT_READY}, True),
        ({"a": FAILED, "b": NOT_READY}, False),
        ({"a": DONE, "b": REFUSED}, False),
    ],
    ids=["all came", "some came", "nothing was to come", "none came", "the credentials died"],
)
def test_a_run_is_a_success_unless_it_failed_or_all_that_it_tried_did(
    place: Place, standings: dict[str, Standing], is_success: bool
) -> None:
    assert place.summary(standings).is_success is is_success


def test_after_rejected_credentials_what_was_not_touched_waits_for_the_next_run(place: Place) -> None:
    found = place.summary({"a": DONE, "b": REFUSED, "c": UNTOUCHED})
    assert (found.completed, found.failed, found.pending) == (1, 0, 2)
    assert found.failure
    assert found.failure.outcome == "credentials_rejected"
    assert place.status("c") is Status.PENDING
