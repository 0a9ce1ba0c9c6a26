"""One suite for every sync tracker and its leases."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from core.errors import CloudSyncError
from core.model import Medium, Reason, Record, Status, utc_now
from core.tracker.base import Tracker
from core.tracker.dynamodb import DynamoTracker
from core.tracker.sqlite import SqliteTracker
from tests.emulator import Emulator

NOW = datetime(2026, 3, 1, 2, 0, 0, tzinfo=UTC)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def table(emulator: Emulator) -> str:
    return emulator.tracker_table(f"tracker-{uuid4().hex[:8]}")


@pytest.fixture(params=["sqlite", "dynamodb"])
def tracker(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Tracker:
    if request.param == "sqlite":
        return SqliteTracker(tmp_path / "tracker.sqlite3", clock=clock)
    emulator: Emulator = request.getfixturevalue("emulator")
    return DynamoTracker(emulator.client("dynamodb"), request.getfixturevalue("table"), clock=clock)


@pytest.fixture
def provider() -> str:
    """A provider of the test's own, so that tests may share a table."""
    return f"cloud-{uuid4().hex[:8]}"


def record(provider: str, media_id: str = "m1", status: Status = Status.PENDING) -> Record:
    return Record(
        provider=provider,
        media_id=media_id,
        status=status,
        run_id="run-1",
        updated_at=NOW,
        filename="GX010001.MP4",
        reason="planned",
        error_type="IntegrityError",
        error="broke off",
        originals=3,
        length=12_000_000_000,
        moved=4_000_000_000,
        items=3,
    )


def test_a_record_comes_back_as_it_was_saved(tracker: Tracker, provider: str) -> None:
    saved = record(provider)
    assert tracker.save(saved)
    assert tracker.get(provider, ["m1", "unknown"]) == {"m1": saved}


def test_the_medium_of_an_unfinished_record_comes_back_as_it_was_listed(tracker: Tracker, provider: str) -> None:
    medium = Medium(provider, "m1", "ü☂.MP4", "Video", "ready", NOW, 4_000_000_000, 2, {"width": 5312, "x": ["a", 1.5]})
    tracker.add([replace(record(provider), medium=medium)])
    assert tracker.get(provider, ["m1"])["m1"].medium == medium
    assert [one.medium for one in tracker.unfinished(provider)] == [medium]


def test_any_number_of_records_is_read_at_once(tracker: Tracker, provider: str) -> None:
    media_ids = [f"m{number:04}" for number in range(1203)]
    tracker.add(record(provider, media_id) for media_id in media_ids)
    assert sorted(tracker.get(provider, [*media_ids, "m0001", "absent"])) == media_ids


def test_every_record_of_a_provider_is_told_and_no_other(tracker: Tracker, provider: str) -> None:
    saved = [record(provider, f"m{n:04}", status) for n, status in enumerate([*Status] * 250)]
    tracker.add(saved)
    tracker.add([record(f"{provider}-other")])
    tracker.keep("not a record", "text")
    assert sorted(tracker.records(provider), key=lambda one: one.media_id) == saved


def test_a_completed_record_is_reopened_by_who_has_seen_it(tracker: Tracker, provider: str) -> None:
    seen = record(provider, status=Status.COMPLETED)
    tracker.save(seen)
    again = replace(seen, status=Status.PENDING, updated_at=NOW + timedelta(seconds=1))
    assert tracker.reopen(again, seen)
    assert tracker.get(provider, ["m1"]) == {"m1": again}
    assert list(tracker.unfinished(provider)) == [again]


def test_a_record_that_has_changed_or_gone_is_not_reopened(tracker: Tracker, provider: str) -> None:
    seen = record(provider, status=Status.COMPLETED)
    pending = replace(seen, status=Status.PENDING)
    assert not tracker.reopen(pending, seen)
    assert tracker.get(provider, ["m1"]) == {}
    newer = replace(seen, updated_at=NOW + timedelta(milliseconds=1))
    tracker.save(newer)
    assert not tracker.reopen(pending, seen)
    assert tracker.get(provider, ["m1"]) == {"m1": newer}


def test_records_that_are_too_large_to_be_added_together_are_added_all_the_same(
    tracker: Tracker, provider: str
) -> None:
    medium = Medium(provider, "m", "", "Video", "ready", NOW, None, None, {"title": "x" * 200_000})
    tracker.add(replace(record(provider, f"m{number:02}"), medium=medium) for number in range(60))
    assert len(tracker.get(provider, [f"m{number:02}" for number in range(60)])) == 60


def test_of_many_that_are_added_all_arrive_but_those_that_are_there(tracker: Tracker, provider: str) -> None:
    media_ids = [f"m{number:03}" for number in range(130)]
    for media_id in media_ids[40:60]:
        tracker.save(record(provider, media_id, Status.COMPLETED))
    tracker.add(record(provider, media_id) for media_id in media_ids)
    found = tracker.get(provider, media_ids)
    assert sorted(found) == media_ids
    assert [key for key in media_ids if found[key].status is Status.COMPLETED] == media_ids[40:60]


def test_adding_leaves_a_record_that_is_there(tracker: Tracker, provider: str) -> None:
    failed = record(provider, status=Status.FAILED)
    tracker.save(failed)
    tracker.add([record(provider), record(provider, "m2")])
    found = tracker.get(provider, ["m1", "m2"])
    assert found["m1"] == failed
    assert found["m2"].status is Status.PENDING


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.COMPLETED])
def test_a_completed_record_is_never_replaced_by_anything_else(tracker: Tracker, provider: str, status: Status) -> None:
    done = record(provider, status=Status.COMPLETED)
    tracker.save(done)
    assert not tracker.save(record(provider, status=status))
    assert tracker.get(provider, ["m1"])["m1"] == done


def test_a_completed_record_may_be_completed_again(tracker: Tracker, provider: str) -> None:
    tracker.save(record(provider, status=Status.COMPLETED))
    again = replace(record(provider, status=Status.COMPLETED), run_id="run-2")
    assert tracker.save(again)
    assert tracker.get(provider, ["m1"])["m1"] == again


@pytest.mark.parametrize("before", [Status.PENDING, Status.IN_PROGRESS, Status.FAILED, Status.SOURCE_GONE])
def test_anything_may_become_completed(tracker: Tracker, provider: str, before: Status) -> None:
    tracker.save(record(provider, status=before))
    assert tracker.save(record(provider, status=Status.COMPLETED))
    assert tracker.get(provider, ["m1"])["m1"].status is Status.COMPLETED


def test_the_unfinished_are_those_whose_status_is_not_final(tracker: Tracker, provider: str) -> None:
    for status in Status:
        tracker.save(record(provider, f"m-{status}", status))
    tracker.save(record(f"{provider}-other", "elsewhere"))
    assert {one.status for one in tracker.unfinished(provider)} == {Status.PENDING, Status.IN_PROGRESS, Status.FAILED}


def test_what_becomes_completed_is_no_longer_unfinished(tracker: Tracker, provider: str) -> None:
    tracker.save(record(provider))
    tracker.save(record(provider, status=Status.COMPLETED))
    assert list(tracker.unfinished(provider)) == []


# --------------------------------------------------------------------------- spoilt records

Spoil = Callable[[str, str, str], None]


@pytest.fixture
def spoil(tracker: Tracker, provider: str, request: pytest.FixtureRequest, tmp_path: Path) -> Spoil:
    """Writes a text over one value of a record."""

    def in_sqlite(media_id: str, name: str, text: str) -> None:
        with closing(sqlite3.connect(tmp_path / "tracker.sqlite3", isolation_level=None)) as file:
            file.execute(f"UPDATE media SET {name} = ? WHERE media_id = ?", (text, media_id))

    def in_dynamodb(media_id: str, name: str, text: str) -> None:
        request.getfixturevalue("emulator").client("dynamodb").update_item(
            TableName=request.getfixturevalue("table"),
            Key={"provider": {"S": provider}, "media_id": {"S": media_id}},
            UpdateExpression="SET #name = :text",
            ExpressionAttributeNames={"#name": name},
            ExpressionAttributeValues={":text": {"S": text}},
        )

    return in_sqlite if isinstance(tracker, SqliteTracker) else in_dynamodb


def listed(provider: str, **facts: object) -> Medium:
    return Medium(provider, "m1", "GX010001.MP4", "Video", "ready", NOW, 12, 1, facts)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("text", ["PAUSED", "completed", ""])
def test_an_unknown_status_counts_as_pending_and_maybe_archived_whatever_it_was(
    tracker: Tracker, provider: str, spoil: Spoil, status: Status, text: str
) -> None:
    tracker.add([record(provider, status=status), record(provider, "m2")])
    spoil("m1", "status", text)
    found = tracker.get(provider, ["m1", "m2"])
    assert (found["m1"].status, found["m1"].reason) == (Status.PENDING, Reason.AGAIN)
    assert found["m2"] == record(provider, "m2")
    assert {one.media_id for one in tracker.records(provider)} == {"m1", "m2"}
    assert tracker.save(record(provider, status=Status.COMPLETED))
    assert tracker.get(provider, ["m1"])["m1"].status is Status.COMPLETED


@pytest.mark.parametrize(
    "text",
    [
        "{broken",
        "{}",
        "[]",
        "7",
        '{"provider": "gopro", "media_id": "another"}',
        '{"provider": "gopro", "media_id": "m1", "length_hint": "12"}',
        '{"provider": "gopro", "media_id": "m1", "facts": 5}',
    ],
)
def test_a_medium_that_cannot_be_read_is_left_out_of_its_record(
    tracker: Tracker, provider: str, spoil: Spoil, text: str
) -> None:
    failed = replace(record(provider, status=Status.FAILED), medium=listed(provider, title="x"))
    tracker.save(failed)
    assert list(tracker.unfinished(provider)) == [failed]
    spoil("m1", "medium", text)
    assert list(tracker.unfinished(provider)) == [replace(failed, medium=None)]
    assert tracker.reopen(failed, replace(failed, medium=None))
    assert list(tracker.unfinished(provider)) == [failed]


def test_numbers_that_cannot_be_read_are_nought_and_such_a_time_is_long_ago(
    tracker: Tracker, provider: str, spoil: Spoil
) -> None:
    tracker.save(record(provider))
    for name in ("originals", "length", "moved", "updated_at"):
        spoil("m1", name, "many")
    found = tracker.get(provider, ["m1"])["m1"]
    assert found == replace(record(provider), originals=0, length=0, moved=0, updated_at=found.updated_at)
    assert found.updated_at < NOW - timedelta(days=365)


def test_a_lease_is_one_owner_s(tracker: Tracker, provider: str) -> None:
    assert tracker.acquire(provider, "a", 60)
    assert not tracker.acquire(provider, "b", 60)
    assert tracker.held(provider)


def test_its_owner_may_renew_a_lease(tracker: Tracker, provider: str, clock: Clock) -> None:
    assert tracker.acquire(provider, "a", 60)
    clock.pass_by(50)
    assert tracker.acquire(provider, "a", 60)
    clock.pass_by(50)
    assert not tracker.acquire(provider, "b", 60)


def test_an_expired_lease_can_be_taken(tracker: Tracker, provider: str, clock: Clock) -> None:
    assert tracker.acquire(provider, "a", 60)
    clock.pass_by(60.5)
    assert not tracker.held(provider)
    assert tracker.acquire(provider, "b", 60)


def test_a_lease_given_back_is_free(tracker: Tracker, provider: str) -> None:
    tracker.acquire(provider, "a", 60)
    tracker.release(provider, "a")
    assert not tracker.held(provider)
    assert tracker.acquire(provider, "b", 60)


def test_nobody_gives_back_another_s_lease(tracker: Tracker, provider: str, clock: Clock) -> None:
    tracker.acquire(provider, "a", 60)
    clock.pass_by(61)
    tracker.acquire(provider, "b", 60)
    tracker.release(provider, "a")
    assert not tracker.acquire(provider, "c", 60)


def test_of_many_who_want_a_lease_at_once_one_gets_it(tracker: Tracker, provider: str) -> None:
    start = threading.Barrier(8)
    won: list[str] = []

    def want(owner: str) -> None:
        start.wait()
        if tracker.acquire(provider, owner, 60):
            won.append(owner)

    threads = [threading.Thread(target=want, args=(f"owner-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_leases_are_not_records(tracker: Tracker, provider: str) -> None:
    tracker.acquire(provider, "a", 60)
    assert list(tracker.unfinished(provider)) == []
    assert tracker.get(provider, [provider]) == {}


# ------------------------------------------------------------------------------ checkpoints


def test_nothing_is_recalled_where_nothing_was_kept(tracker: Tracker, provider: str) -> None:
    assert tracker.recall(provider) == ""


@pytest.mark.parametrize("text", ['{"upload_id": "a-b_c.d"}', "ü 🏔 \n\"'\\", "x" * 4000], ids=["json", "any", "long"])
def test_what_was_kept_is_recalled(tracker: Tracker, provider: str, text: str) -> None:
    name = f"{provider}-videos/2026/03/abc/Ünïcode + 100% #1.MP4"
    tracker.keep(name, text)
    assert tracker.recall(name) == text
    assert tracker.recall(f"{name}-2") == ""


def test_what_is_kept_again_takes_the_place_of_what_was(tracker: Tracker, provider: str) -> None:
    tracker.keep(provider, "first")
    tracker.keep(provider, "second")
    assert tracker.recall(provider) == "second"


def test_what_was_dropped_is_forgotten_and_nothing_else(tracker: Tracker, provider: str) -> None:
    tracker.keep(provider, "one")
    tracker.keep(f"{provider}/2", "another")
    tracker.drop(provider)
    tracker.drop(provider)
    assert tracker.recall(provider) == ""
    assert tracker.recall(f"{provider}/2") == "another"


def test_what_is_kept_is_listed_by_how_its_name_begins(tracker: Tracker, provider: str) -> None:
    begun = [f"{provider}-videos/2026/03/abc/{name}" for name in ("1.MP4", "Ünï%_1.MP4", "ünï 2.MP4")]
    for name in [*begun, provider, f"{provider}-video", f"{provider.upper()}-videos/2026/03/abc/1.MP4"]:
        tracker.keep(name, "kept")
    tracker.acquire(f"{provider}-videos/lease", "a", 60)
    assert sorted(tracker.names(f"{provider}-videos/")) == sorted(begun)
    assert list(tracker.names(f"{provider}-videos/2026/03/abc/Ünï%")) == begun[1:2]
    tracker.drop(begun[0])
    assert sorted(tracker.names(f"{provider}-videos/")) == sorted(begun[1:])
    assert list(tracker.names(f"{provider}-none/")) == []


def test_a_checkpoint_outlives_its_process(
    tracker: Tracker, provider: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    tracker.keep(provider, "kept")
    if isinstance(tracker, SqliteTracker):
        assert SqliteTracker(tmp_path / "tracker.sqlite3").recall(provider) == "kept"
    else:
        emulator: Emulator = request.getfixturevalue("emulator")
        other = DynamoTracker(emulator.client("dynamodb"), request.getfixturevalue("table"))
        assert other.recall(provider) == "kept"


def test_checkpoints_are_neither_records_nor_leases(tracker: Tracker, provider: str) -> None:
    tracker.keep(provider, "kept")
    assert list(tracker.unfinished(provider)) == []
    assert tracker.get(provider, [provider]) == {}
    assert not tracker.held(provider)
    assert tracker.acquire(provider, "a", 60)
    assert tracker.recall(provider) == "kept"


def test_what_was_seen_is_replaced_and_what_has_changed_is_not(tracker: Tracker, provider: str) -> None:
    assert not tracker.replace(provider, "second", seen="first")
    assert tracker.replace(provider, "first", seen="")
    assert not tracker.replace(provider, "another", seen="")
    assert tracker.replace(provider, "second", seen="first")
    assert not tracker.replace(provider, "third", seen="first")
    assert tracker.recall(provider) == "second"


def test_of_many_that_replace_the_same_one_does(tracker: Tracker, provider: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        done = pool.map(lambda number: tracker.replace(provider, f"by {number}", seen=""), range(8))
    assert sum(done) == 1


def test_what_replaced_something_is_kept_for_good(
    tracker: Tracker, provider: str, request: pytest.FixtureRequest
) -> None:
    tracker.keep(provider, "for a while")
    tracker.replace(provider, "for good", seen="for a while")
    assert tracker.recall(provider) == "for good"
    if isinstance(tracker, DynamoTracker):
        key = {"provider": {"S": "checkpoint"}, "media_id": {"S": provider}}
        client = request.getfixturevalue("emulator").client("dynamodb")
        assert "expires_at" not in client.get_item(TableName=request.getfixturevalue("table"), Key=key)["Item"]


def test_a_file_that_rots_while_it_is_in_use_is_told_in_words(tmp_path: Path) -> None:
    path = tmp_path / "tracker.sqlite3"
    tracker = SqliteTracker(path)
    tracker.keep("key", "text")
    sqlite3.connect(path).execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path.write_bytes(b"\xff" * path.stat().st_size)
    for ask in (lambda: tracker.recall("key"), lambda: tracker.held("lease"), lambda: tracker.keep("key", "other")):
        with pytest.raises(CloudSyncError, match=r"tracker\.sqlite3 cannot be used"):
            ask()


def test_a_file_of_the_version_before_is_brought_up_to_date_with_all_that_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "tracker.sqlite3"
    record = Record("gopro", "film", Status.COMPLETED, "run", utc_now(), originals=3)
    SqliteTracker(path).save(record)
    with closing(sqlite3.connect(path)) as file:
        file.execute("ALTER TABLE media DROP COLUMN items")
        file.execute("PRAGMA user_version = 2")
        file.commit()
    tracker = SqliteTracker(path)
    assert tracker.get("gopro", ["film"])["film"].originals == 3
    tracker.save(replace(record, items=2))
    assert SqliteTracker(path).get("gopro", ["film"])["film"].items == 2
