"""Two runs at once: each medium is moved by one of them, and the other lets it be."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from core.errors import TransientError
from core.model import Medium, Record, Status, utc_now
from core.providers.base import ListingReport
from core.sync.outcomes import Busy, TransferOutcome, Transferred, Unfinished
from core.sync.plan import make_plan
from core.sync.request import Run, SyncRequest
from core.sync.summarize import Summary, summarize
from core.sync.transfer import LEASE_SECONDS, Transfer, mark_failed, medium_lease
from core.tracker.sqlite import SqliteTracker
from core.transfer import Engine, Watch
from core.transfer.job import LAST_START
from tests.cloud_sync import Backup, wanted
from tests.gopro_cloud import GoProCloud, sample_library
from tests.gopro_cloud.library import many_small, video
from tests.gopro_cloud.quirks import Fault

FILM = video("one-film", "GX010001.MP4", "2026-03-01T09:15:00Z", 2_000_000)
LEASE = medium_lease("gopro", "one-film")


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def cloud() -> Iterator[GoProCloud]:
    with GoProCloud([FILM]) as running:
        yield running


@pytest.fixture
def backup(tmp_path: Path, cloud: GoProCloud) -> Backup:
    made = Backup(tmp_path, cloud)
    made.sign_in(cloud.pasted())
    return made


@pytest.fixture
def clock(backup: Backup) -> Clock:
    """The clock of the leases."""
    made = Clock()
    backup.tracker = SqliteTracker(backup.folder.parent / "tracker.sqlite3", clock=made)
    return made


@contextmanager
def run(backup: Backup, run_id: str) -> Iterator[Transfer]:
    """The transfers of one run, with an engine of its own, as in a process of its own."""
    engine = Engine(backup.archive, backup.tracker)
    try:
        yield Transfer(backup.provider(), backup.archive, backup.tracker, engine, run_id)
    finally:
        engine.close()


def listed(backup: Backup) -> list[Medium]:
    return list(backup.provider().list_media(ListingReport()))


def at_once(*works: Callable[[], TransferOutcome]) -> list[TransferOutcome]:
    start = threading.Barrier(len(works))

    def begin(work: Callable[[], TransferOutcome]) -> TransferOutcome:
        start.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(begin, works))


def in_the_middle(meanwhile: Callable[[], None]) -> Watch:
    """A watch that does something once, when the first bytes have been read."""
    left = [meanwhile]

    def advance(_: int) -> None:
        if left:
            left.pop()()

    return Watch(advance)


def test_of_two_runs_that_want_a_medium_at_once_one_moves_it(backup: Backup, cloud: GoProCloud) -> None:
    cloud.quirks.faults["one-film"] = Fault("slow", times=-1, bytes_per_second=5_000_000)
    (film,) = listed(backup)
    with run(backup, "run-a") as one, run(backup, "run-b") as other:
        outcomes = at_once(lambda: one(film), lambda: other(film))
    assert {type(outcome) for outcome in outcomes} == {Transferred, Busy}
    assert backup.archived() == wanted([FILM])
    assert cloud.counts.bytes_served.total() == 2_000_000
    assert backup.status("one-film") == "COMPLETED"


def test_two_whole_runs_at_once_move_each_byte_once_and_fail_nothing(tmp_path: Path) -> None:
    library = [*sample_library(scale=0.1), *many_small(20, 3000)]
    with GoProCloud(library) as cloud:
        for medium in library:
            cloud.quirks.faults[medium.media_id] = Fault("slow", times=-1, bytes_per_second=5_000_000)
        backups = [Backup(tmp_path, cloud) for _ in range(2)]
        backups[0].sign_in(cloud.pasted())
        start = threading.Barrier(2)

        def whole_run(number: int) -> Summary:
            start.wait()
            return backups[number].driver().run(SyncRequest(), Run(f"run-{number}", utc_now()))

        with ThreadPoolExecutor(2) as pool:
            summaries = list(pool.map(whole_run, range(2)))
        expected = wanted(library)
        assert backups[0].archived() == expected
        length = sum(length for files in expected.values() for length, _ in files)
        assert cloud.counts.bytes_served.total() == length
        assert sum(summary.bytes_transferred for summary in summaries) == length
        assert [summary.failed for summary in summaries] == [0, 0]
        assert {summary.status for summary in summaries} <= {"SUCCEEDED", "NO_NEW_VIDEOS"}
        # The one that planned first found everything new; what it had brought by then is nothing new to the other.
        assert max(summary.new for summary in summaries) >= len(expected)
        assert all(summary.completed + summary.pending >= summary.new for summary in summaries)
        assert {backups[0].status(media_id) for media_id in expected} == {"COMPLETED"}


def planned_and_summarized(backup: Backup, run_id: str, transfer_all: Callable[[list[Medium]], None]) -> Summary:
    """A run whose transfers a test does itself."""
    this = Run(run_id, utc_now())
    plan = make_plan(SyncRequest(), this, backup.provider(), backup.tracker, backup.archive)
    transfer_all(listed(backup))
    return summarize(plan, this, backup.tracker, backup.archive)


def test_a_medium_that_another_run_is_at_is_waiting_and_no_failure(backup: Backup) -> None:
    summaries: list[Summary] = []

    def the_other_run() -> None:
        with run(backup, "run-b") as other:
            summaries.append(
                planned_and_summarized(backup, "run-b", lambda media: [other(medium) for medium in media].clear())
            )

    (film,) = listed(backup)
    with run(backup, "run-a") as one:
        assert isinstance(one(film, in_the_middle(the_other_run)), Transferred)
    (summary,) = summaries
    assert (summary.new, summary.failed, summary.pending, summary.completed) == (1, 0, 1, 0)
    assert summary.status == "SUCCEEDED"
    assert backup.status("one-film") == "COMPLETED"


def test_a_medium_that_another_run_will_try_again_is_waiting_and_no_failure(backup: Backup, cloud: GoProCloud) -> None:
    outcomes: list[TransferOutcome] = []

    def the_other_run_comes() -> None:
        with run(backup, "run-b") as other:
            outcomes.append(other(film))
        raise TransientError("The connection broke.")

    (film,) = listed(backup)
    this = Run("run-b", utc_now())
    plan = make_plan(SyncRequest(), this, backup.provider(), backup.tracker, backup.archive)
    with run(backup, "run-a") as one:
        with pytest.raises(TransientError):
            one(film, in_the_middle(the_other_run_comes))
        assert [type(outcome) for outcome in outcomes] == [Busy]
        summary = summarize(plan, this, backup.tracker, backup.archive)
        assert (summary.failed, summary.pending) == (0, 1)
        assert backup.status("one-film") == "IN_PROGRESS"
        assert isinstance(one(film), Transferred)


def test_a_medium_that_failed_in_one_run_is_free_for_another(backup: Backup, cloud: GoProCloud) -> None:
    cloud.quirks.faults["one-film"] = Fault("empty", times=1)
    (film,) = listed(backup)
    with run(backup, "run-a") as one, run(backup, "run-b") as other:
        with pytest.raises(Exception, match="empty"):
            one(film)
        mark_failed(film, "run-a", "IntegrityError", "empty", backup.tracker)
        assert isinstance(other(film), Transferred)


def test_the_lease_of_a_run_that_died_runs_out(backup: Backup, clock: Clock) -> None:
    (film,) = listed(backup)
    backup.tracker.acquire(LEASE, "a run that died", LEASE_SECONDS)
    with run(backup, "run-b") as other:
        clock.pass_by(LEASE_SECONDS - 1)
        assert isinstance(other(film), Busy)
        clock.pass_by(2)
        assert isinstance(other(film), Transferred)


def test_a_run_that_goes_on_keeps_its_lease(backup: Backup, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.sync.transfer._RENEW_AFTER", 0.0)
    outcomes: list[TransferOutcome] = []
    (film,) = listed(backup)
    with run(backup, "run-a") as one, run(backup, "run-b") as other:

        def advance(_: int) -> None:
            clock.pass_by(LEASE_SECONDS - 10)
            outcomes.append(other(film))

        assert isinstance(one(film, Watch(advance)), Transferred)
    assert len(outcomes) >= 2
    assert {type(outcome) for outcome in outcomes} == {Busy}


def test_a_run_that_was_silent_for_too_long_lets_the_one_that_took_over_do_it(
    backup: Backup, cloud: GoProCloud, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.sync.transfer._RENEW_AFTER", 0.0)
    (film,) = listed(backup)
    with run(backup, "run-a") as one:

        def be_silent_and_lose_it() -> None:
            time.sleep(0.01)
            clock.pass_by(LEASE_SECONDS + 1)
            assert backup.tracker.acquire(LEASE, "run-b", LEASE_SECONDS)

        with pytest.raises(TransientError, match="taken the medium over"):
            one(film, in_the_middle(be_silent_and_lose_it))
        assert backup.tracker.held(LEASE), "it is the other's"
        assert isinstance(one(film), Busy)
    with run(backup, "run-b") as other:
        assert isinstance(other(film), Transferred)
    assert backup.archived() == wanted([FILM])


def test_a_medium_is_free_again_once_it_is_done(backup: Backup) -> None:
    (film,) = listed(backup)
    with run(backup, "run-a") as one:
        one(film)
    assert not backup.tracker.held(LEASE)


def test_each_run_counts_what_it_has_moved_itself(backup: Backup, cloud: GoProCloud) -> None:
    long_film = video("one-film", "GX010001.MP4", "2026-03-01T09:15:00Z", 40 * 1024 * 1024)
    cloud.media = [long_film]
    (film,) = listed(backup)

    def breaks_down(_: list[Medium]) -> None:
        cloud.quirks.faults["one-film"] = Fault("slow", times=-1, bytes_per_second=100_000_000)
        read = [0]

        def advance(count: int) -> None:
            read[0] += count
            if read[0] > 30_000_000:
                raise TransientError("the network is down")

        with run(backup, "run-a") as one, pytest.raises(TransientError):
            one(film, Watch(advance))
        mark_failed(film, "run-a", "TransientError", "the network is down", backup.tracker)

    def goes_on(_: list[Medium]) -> None:
        with run(backup, "run-b") as other:
            other(film)

    first, second = (
        planned_and_summarized(backup, run_id, transfers)
        for run_id, transfers in (("run-a", breaks_down), ("run-b", goes_on))
    )
    assert (first.failed, second.completed) == (1, 1)
    assert 0 < first.bytes_transferred < 40 * 1024 * 1024
    assert first.bytes_transferred + second.bytes_transferred == 40 * 1024 * 1024


def test_a_medium_that_is_unfinished_stays_with_its_run(backup: Backup, cloud: GoProCloud) -> None:
    long_film = video("one-film", "GX010001.MP4", "2026-03-01T09:15:00Z", 40 * 1024 * 1024)
    cloud.media = [long_film]
    cloud.quirks.faults["one-film"] = Fault("slow", times=-1, bytes_per_second=100_000_000)
    (film,) = listed(backup)
    read = [0]

    def advance(count: int) -> None:
        read[0] += count

    with run(backup, "run-a") as one, run(backup, "run-b") as other:
        late = Watch(advance, remaining=lambda: LAST_START - 1 if read[0] > 4_000_000 else 100.0)
        unfinished = one(film, late)
        assert isinstance(unfinished, Unfinished)
        assert isinstance(other(film), Busy)
        outcome = one(film)
    assert isinstance(outcome, Transferred)
    assert outcome.moved + unfinished.moved == outcome.length == 40 * 1024 * 1024
    record = backup.tracker.get("gopro", ["one-film"])["one-film"]
    assert (record.status, record.moved) == (Status.COMPLETED, outcome.length)
    assert backup.archived() == wanted([long_film])
    headers_and_probe = 3 * 16 + 1
    assert cloud.counts.bytes_served.total() <= 40 * 1024 * 1024 + headers_and_probe


def test_a_medium_that_left_the_library_while_another_run_has_it_is_left_to_that_run(
    backup: Backup, cloud: GoProCloud
) -> None:
    (film,) = listed(backup)
    summaries = list[Summary]()

    def leave() -> None:
        cloud.media = []
        summaries.append(backup.driver().run(SyncRequest(full_scan=True), Run("run-b", utc_now())))

    with run(backup, "run-a") as one:
        outcome = one(film, in_the_middle(leave))
    assert isinstance(outcome, Transferred)
    assert [(told.new, told.source_gone) for told in summaries] == [(1, 0)]
    assert backup.status("one-film") == "COMPLETED"
    assert backup.archived() == wanted([FILM])


class Shared(SqliteTracker):
    """A tracker in which another run writes once, after records were read and before anything is made of them."""

    meanwhile: Callable[[], object] | None = None

    def get(self, provider: str, media_ids: Sequence[str]) -> dict[str, Record]:
        found = super().get(provider, media_ids)
        if found and self.meanwhile:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        return found


@pytest.mark.parametrize("before", [Status.PENDING, Status.SOURCE_GONE])
def test_what_one_run_writes_while_another_plans_stays(backup: Backup, before: Status) -> None:
    (film,) = listed(backup)
    as_it_was = None if before is Status.SOURCE_GONE else replace(film, filename="as it was called before")
    shared = Shared(backup.folder.parent / "tracker.sqlite3")
    shared.save(Record("gopro", "one-film", before, "run-a", utc_now(), medium=as_it_was))
    shared.meanwhile = lambda: mark_failed(film, "run-a", "IntegrityError", "its source broke off", backup.tracker)
    make_plan(SyncRequest(), Run("run-b", utc_now()), backup.provider(), shared, backup.archive)
    record = shared.get("gopro", ["one-film"])["one-film"]
    assert (record.status, record.error) == (Status.FAILED, "its source broke off")
