"""Stories of a backup on one machine, over real HTTP to the emulated GoPro Cloud."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from core.archive.catalog import Entry
from core.archive.folder_inventory import FolderInventory
from core.errors import ApiShapeChanged, Cancelled, CredentialsRejected, InvalidInput, StorageFull, TransientError
from core.model import Medium, Status, utc_now
from core.sync.local import Observer
from core.sync.notify import about_summary
from core.sync.plan import Plan
from core.sync.request import Run
from core.tracker.sqlite import SqliteTracker
from core.verify import Verification, Verifier
from tests.cloud_sync import Backup, wanted
from tests.gopro_cloud import CloudMedium, GoProCloud, Quirks, from_folder, many_small, sample_library
from tests.gopro_cloud.library import chaptered, frames, source, video
from tests.gopro_cloud.media import changed
from tests.gopro_cloud.quirks import Fault

REAL_RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture
def cloud() -> Iterator[GoProCloud]:
    with GoProCloud(sample_library(scale=0.1)) as running:
        yield running
        assert running.counts.credentials_at_cdn == 0, "credentials were sent to the CDN"
        assert running.counts.api_peak <= 4, "more than four API calls were in flight"


@pytest.fixture
def backup(tmp_path: Path, cloud: GoProCloud) -> Backup:
    made = Backup(tmp_path, cloud)
    made.sign_in(cloud.pasted())
    return made


def test_every_original_arrives_and_nothing_else(backup: Backup, cloud: GoProCloud) -> None:
    summary = backup.run()
    assert backup.archived() == wanted(cloud.media)
    assert (summary.status, summary.failed, summary.pending) == ("SUCCEEDED", 0, 2)
    assert summary.bytes_transferred == sum(length for files in backup.archived().values() for length, _ in files)


def test_a_second_run_moves_nothing(backup: Backup, cloud: GoProCloud) -> None:
    backup.run()
    served = cloud.counts.bytes_served.total()
    summary = backup.run()
    assert (summary.status, summary.bytes_transferred, summary.completed) == ("NO_NEW_VIDEOS", 0, 0)
    assert cloud.counts.bytes_served.total() == served


def test_what_is_found_there_is_not_told_as_moved(backup: Backup) -> None:
    backup.run()
    backup.tracker = SqliteTracker(backup.folder.parent / "another tracker.sqlite3")
    summary = backup.run()
    assert (summary.status, summary.bytes_transferred) == ("SUCCEEDED", 0)


def test_two_cameras_files_of_one_name_and_month_are_both_there(backup: Backup) -> None:
    backup.run()
    assert len(list(backup.folder.glob("gopro-videos/2026/03/*/GX010327.MP4"))) == 2


@pytest.mark.parametrize("media_id", ["chapters-told3", "5f2b8c9d1e4a7b3c6d8e9f01"], ids=["told", "by address"])
def test_all_chapters_are_there_under_the_camera_s_own_names(backup: Backup, media_id: str) -> None:
    backup.run()
    names = sorted(path.name for path in backup.folder.glob(f"gopro-videos/*/*/{media_id}/*"))
    assert [name[:4] for name in names] == ["GX01", "GX02", "GX03"]


def test_the_catalog_tells_what_was_said_and_archived_without_anything_personal(
    backup: Backup, cloud: GoProCloud
) -> None:
    backup.run()
    entry = json.loads((backup.folder / "catalog/gopro/chapters-told3.json").read_text())
    assert [one["item_number"] for one in entry["originals"]] == [1, 2, 3]
    assert {(one["length"], one["sha256"]) for one in entry["originals"]} == wanted(cloud.media)["chapters-told3"]
    assert entry["facts"]["camera_model"] == "HERO12 Black"
    everything = "".join(path.read_text() for path in backup.folder.glob("catalog/gopro/*.json"))
    for personal in ("personal-thumbnail-token", cloud.user_id, "http://", "Signature"):
        assert personal not in everything


@pytest.mark.skipif(not REAL_RECORDINGS.is_dir(), reason="the real recordings are not beside this checkout")
def test_real_recordings_arrive_byte_for_byte(tmp_path: Path) -> None:
    with GoProCloud(from_folder(REAL_RECORDINGS)) as cloud:
        backup = Backup(tmp_path, cloud)
        backup.sign_in(cloud.pasted())
        assert backup.run().completed == 2
        assert backup.archived() == wanted(cloud.media)
        assert backup.run().bytes_transferred == 0


def test_a_file_has_the_time_of_its_capture(backup: Backup) -> None:
    backup.run()
    path = next(backup.folder.glob("gopro-videos/2026/03/62NzWRrpPXm7o/*"))
    assert path.stat().st_mtime == 1772356500  # 2026-03-01T09:15:00Z


# ------------------------------------------------------------------------------ downloads that go wrong


@pytest.mark.parametrize(
    "fault",
    [
        Fault("cut", times=2, after=20_000),
        Fault("empty", times=2),
        Fault("status", times=2, status=503),
        Fault("status", times=1, status=403),
        Fault("redirect", times=1),
        Fault("long", times=1),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_a_download_that_goes_wrong_at_first_is_tried_again_and_arrives_whole(
    backup: Backup, cloud: GoProCloud, fault: Fault
) -> None:
    cloud.quirks.faults["62NzWRrpPXm7o"] = fault
    assert backup.run().failed == 0
    assert backup.archived() == wanted(cloud.media)


@pytest.mark.parametrize("kind", ["cut", "empty", "status"])
def test_a_medium_that_always_fails_stops_none_of_the_others(backup: Backup, cloud: GoProCloud, kind: str) -> None:
    cloud.quirks.faults["62NzWRrpPXm7o"] = Fault(kind, times=-1)
    summary = backup.run()
    assert (summary.status, summary.failed) == ("PARTIAL_FAILURE", 1)
    assert [one.media_id for one in summary.failures] == ["62NzWRrpPXm7o"]
    assert "Signature" not in summary.failures[0].error
    assert backup.status("62NzWRrpPXm7o") == "FAILED"
    expected = wanted(cloud.media)
    del expected["62NzWRrpPXm7o"]
    assert backup.archived() == expected

    del cloud.quirks.faults["62NzWRrpPXm7o"]
    again = backup.run()
    assert (again.status, again.completed) == ("SUCCEEDED", 1)
    assert backup.archived() == wanted(cloud.media)


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_medium_that_the_api_refuses_stops_none_of_the_others_and_no_sign_in(
    backup: Backup, cloud: GoProCloud, status: int
) -> None:
    cloud.quirks.faults["62NzWRrpPXm7o"] = Fault("refused", times=-1, status=status)
    summary = backup.run()
    assert (summary.status, summary.failed, summary.failure) == ("PARTIAL_FAILURE", 1, None)
    assert backup.archived() == {key: files for key, files in wanted(cloud.media).items() if key != "62NzWRrpPXm7o"}
    cloud.quirks.faults.clear()
    assert backup.run().failed == 0
    assert backup.archived() == wanted(cloud.media)


def test_addresses_that_expire_in_the_middle_are_resolved_again(backup: Backup, cloud: GoProCloud) -> None:
    cloud.media = [frames("long-time-lapse", "TimeLapse", "G0000004.JPG", "2026-04-05T12:00:00Z", [20_000] * 32)]
    cloud.quirks.url_lifetime = 0.1
    cloud.quirks.faults["long-time-lapse"] = Fault("slow", times=-1, bytes_per_second=200_000)
    assert backup.run().failed == 0
    assert backup.archived() == wanted(cloud.media)
    assert cloud.counts.requests["download"] > len(cloud.media)


def test_chunked_bodies_without_a_length_arrive_whole(backup: Backup, cloud: GoProCloud) -> None:
    cloud.quirks.chunked = True
    assert backup.run().failed == 0
    assert backup.archived() == wanted(cloud.media)


def test_a_medium_that_has_gone_is_source_gone_and_no_failure(backup: Backup, cloud: GoProCloud) -> None:
    cloud.quirks.faults["62NzWRrpPXm7o"] = Fault("gone", times=-1)
    summary = backup.run()
    assert (summary.status, summary.failed, summary.source_gone) == ("SUCCEEDED", 0, 1)
    (lost,) = summary.gone
    assert lost.filename == "GX010327.MP4"
    assert "62NzWRrpPXm7o" in about_summary(summary, Run("run-1", utc_now())).message
    assert backup.status("62NzWRrpPXm7o") == "SOURCE_GONE"


def test_what_was_archived_of_a_medium_before_it_had_gone_is_not_moved_again(backup: Backup, cloud: GoProCloud) -> None:
    cloud.media = [medium for medium in cloud.media if medium.media_id == "chapters-told3"]
    backup.run()
    moved = cloud.counts.bytes_served["chapters-told3"]
    (archived,) = backup.tracker.get("gopro", ["chapters-told3"]).values()
    gone = replace(archived, status=Status.SOURCE_GONE, reason="no longer listed", medium=None)
    assert backup.tracker.reopen(gone, archived)
    assert backup.run(full_scan=True).completed == 1
    assert cloud.counts.bytes_served["chapters-told3"] - moved <= 3 * 100


@pytest.mark.parametrize("filename", ["GOPR0411.MP4", "Ski trip.mp4"])
def test_a_film_that_gains_chapters_keeps_the_names_of_those_it_had(
    backup: Backup, cloud: GoProCloud, filename: str
) -> None:
    for lengths in ([300_000], [300_000, 200_000], [300_000, 200_000, 100_000]):
        cloud.media = [chaptered("film", filename, "2026-03-20T10:00:00Z", lengths, tells=True)]
        summary = backup.run(full_scan=True)
        assert (summary.completed, summary.bytes_transferred) == (1, lengths[-1])
        assert backup.archived() == wanted(cloud.media)
    assert len(list(backup.folder.glob("gopro-videos/*/*/film/*"))) == 3


def test_a_burst_that_gains_frames_is_completed_also_where_it_has_raw_photos(backup: Backup, cloud: GoProCloud) -> None:
    for count in (2, 3, 4):
        cloud.media = [frames("burst", "Burst", "G0000001.JPG", "2026-03-20T10:00:00Z", [3000] * count, raws=True)]
        assert backup.run(full_scan=True).completed == 1
        assert backup.archived() == wanted(cloud.media)


def test_chapters_that_only_their_order_tells_apart_are_all_there_whatever_their_order(
    backup: Backup, cloud: GoProCloud
) -> None:
    chapters = [
        replace(source("film", length, number, tells=False), path=f"part-{'abc'[number]}/original.mp4")
        for number, length in enumerate((300_000, 200_000, 100_000))
    ]
    for count in (1, 2, 3):
        newest_first = tuple(reversed(chapters[:count]))
        film = video("film", "GX010411.MP4", "2026-03-20T10:00:00Z", 1, files=newest_first, item_count=count)
        cloud.media = [replace(film, kind="Chaptered")]
        assert backup.run(full_scan=True).completed == 1
        assert wanted(cloud.media)["film"] <= backup.archived()["film"]
        assert backup.run(full_scan=True).bytes_transferred == 0


def test_what_was_archived_of_a_film_is_not_replaced_while_its_new_chapters_are_not_all_offered(
    backup: Backup, cloud: GoProCloud
) -> None:
    first, film = (
        chaptered("film", "GX010411.MP4", "2026-03-20T10:00:00Z", lengths, tells=True)
        for lengths in ([300_000], [300_000, 200_000, 100_000])
    )
    cloud.media = [first]
    backup.run()
    before = backup.archived()["film"]
    cloud.media = [replace(film, files=tuple(one for one in film.files if "source/default/3" not in one.path))]
    assert backup.run(full_scan=True).pending == 1
    cloud.changes["film"] += 1
    assert backup.run(full_scan=True).pending == 1
    assert before < backup.archived()["film"]
    cloud.media = [film]
    assert backup.run(full_scan=True).completed == 1
    assert before < backup.archived()["film"]
    assert len(backup.archived()["film"]) == 3


@pytest.mark.parametrize("is_reprocessed", [False, True])
def test_files_without_the_folder_s_own_record_are_not_brought_again(
    backup: Backup, cloud: GoProCloud, is_reprocessed: bool
) -> None:
    cloud.media = [chaptered("film", "GX010411.MP4", "2026-03-20T10:00:00Z", [300_000, 200_000, 100_000], tells=True)]
    backup.run()
    lost, *others = sorted(backup.folder.glob("gopro-videos/*/*/film/*"), reverse=True)
    before = [path.read_bytes() for path in others]
    shutil.rmtree(backup.folder / ".cloud-sync")
    lost.unlink()
    inventory = FolderInventory(backup.folder, backup.archive)
    Verifier(backup.tracker, backup.archive, inventory).verify(Verification(repair=True), Run("verify", utc_now()))
    cloud.changes["film"] += is_reprocessed
    assert backup.run().bytes_transferred == 100_000
    assert [path.read_bytes() for path in others] == before
    assert backup.archive.find(others[0].relative_to(backup.folder).as_posix())


def test_a_film_that_gains_chapters_after_it_was_archived_is_completed(backup: Backup, cloud: GoProCloud) -> None:
    first, film = (
        chaptered("film", "GX010411.MP4", "2026-03-20T10:00:00Z", lengths, tells=True)
        for lengths in ([300_000], [300_000, 200_000, 100_000])
    )
    cloud.media = [first]
    assert backup.run().completed == 1
    before, served = backup.archived()["film"], cloud.counts.bytes_served.total()
    cloud.media = [film]
    assert backup.run(dry_run=True).new == 1
    assert backup.status("film") == "COMPLETED"
    assert backup.run().completed == 1
    assert backup.archived() == wanted([film])
    assert before < backup.archived()["film"]
    assert 300_000 <= cloud.counts.bytes_served.total() - served < 300_100
    assert (backup.run().new, backup.status("film")) == (0, "COMPLETED")


def test_a_medium_that_vanished_from_a_proved_listing_before_it_was_saved_is_source_gone(
    backup: Backup, cloud: GoProCloud
) -> None:
    cloud.quirks.faults["62NzWRrpPXm7o"] = Fault("status", times=-1)
    backup.run()
    cloud.media = [medium for medium in cloud.media if medium.media_id != "62NzWRrpPXm7o"]
    assert backup.run().source_gone == 1
    assert backup.status("62NzWRrpPXm7o") == "SOURCE_GONE"


def test_what_is_archived_does_not_wait_whatever_its_state_is_by_now(backup: Backup, cloud: GoProCloud) -> None:
    cloud.media = [video("film", "GX010411.MP4", "2026-03-20T10:00:00Z", 1000)]
    backup.run()
    cloud.media = [replace(cloud.media[0], state="uploading")]
    assert (backup.run().pending, backup.status("film")) == (0, "COMPLETED")


def test_what_is_not_ready_waits_and_comes_when_it_is(backup: Backup, cloud: GoProCloud) -> None:
    assert backup.run().pending == 2
    assert backup.status("still-uploading") == "PENDING"
    ready = video("still-uploading", "GX010505.MP4", "2026-04-15T12:00:00Z", 50_000)
    cloud.media = [ready if medium.media_id == ready.media_id else medium for medium in cloud.media]
    assert backup.run().completed == 1
    assert backup.archived() == wanted(cloud.media)


def test_records_that_are_spoilt_cost_no_run_and_are_mended_by_the_next(tmp_path: Path) -> None:
    with GoProCloud(many_small(12, 500)) as cloud:
        backup = Backup(tmp_path, cloud)
        backup.sign_in(cloud.pasted())
        backup.run()
        cloud.media = [*cloud.media, video("new", "GX010001.MP4", "2026-03-01T09:15:00Z", 5000)]
        with closing(sqlite3.connect(tmp_path / "tracker.sqlite3", isolation_level=None)) as file:
            file.execute("UPDATE media SET status = 'PAUSED' WHERE media_id = 'small000003'")
            file.execute("UPDATE media SET status = 'FAILED', medium = '{broken' WHERE media_id = 'small000005'")
        summary = backup.run()
        assert (summary.status, summary.completed, summary.failed) == ("SUCCEEDED", 3, 0)
        assert {record.status for record in backup.tracker.records("gopro")} == {Status.COMPLETED}
        assert backup.archived() == wanted(cloud.media)


# ------------------------------------------------------------------------------ listings that go wrong


def test_short_pages_are_listed_again_until_every_medium_was_seen(tmp_path: Path) -> None:
    with GoProCloud(many_small(212, 500), Quirks(short_pages={2: 12})) as cloud:
        backup = Backup(tmp_path, cloud)
        backup.sign_in(cloud.pasted())
        summary = backup.run(workers=8)
        assert (summary.status, summary.discovered, summary.unseen) == ("SUCCEEDED", 212, 0)
        assert backup.archived() == wanted(cloud.media)


def test_a_listing_that_stays_short_is_told_and_is_no_success(tmp_path: Path) -> None:
    with GoProCloud(many_small(120, 500), Quirks(short_pages={2: 12}, short_listings=99)) as cloud:
        backup = Backup(tmp_path, cloud)
        backup.sign_in(cloud.pasted())
        summary = backup.run(workers=8)
        assert (summary.status, summary.discovered, summary.unseen) == ("PARTIAL_FAILURE", 82, 38)
        assert backup.run().status == "PARTIAL_FAILURE"


def test_a_page_that_cannot_be_had_keeps_nothing_else_from_arriving_and_is_told(tmp_path: Path) -> None:
    with GoProCloud(many_small(120, 500), Quirks(broken_pages=[2])) as cloud:
        backup = Backup(tmp_path, cloud)
        backup.sign_in(cloud.pasted())
        summary = backup.run(workers=8)
        assert (summary.status, summary.completed, summary.unseen) == ("PARTIAL_FAILURE", 70, 50)
        cloud.quirks.broken_pages = []
        assert backup.run(workers=8).completed == 50
        assert backup.archived() == wanted(cloud.media)


def test_media_that_come_and_go_while_pages_are_listed_lose_nothing(tmp_path: Path) -> None:
    library = many_small(220, 300)
    with GoProCloud(library[:200]) as cloud:
        cloud.held_back = library[200:]
        cloud.quirks.insert_after_page = {1: 10, 2: 10}
        cloud.quirks.delete_after_page = {3: [f"small{number:06}" for number in range(190, 195)]}
        backup = Backup(tmp_path, cloud)
        backup.sign_in(cloud.pasted())
        backup.run(workers=8)
        backup.run(workers=8)
        assert wanted(cloud.media).items() <= backup.archived().items()


def test_rows_that_cannot_be_read_are_told_and_the_rest_arrives(backup: Backup, cloud: GoProCloud) -> None:
    cloud.quirks.extra_rows = ["not an object", {"filename": "without id"}]
    summary = backup.run()
    assert backup.archived() == wanted(cloud.media)
    assert summary.status == "PARTIAL_FAILURE"
    assert summary.unseen >= 2


def test_what_is_new_in_the_answers_is_reported_and_archived_all_the_same(backup: Backup) -> None:
    summary = backup.run()
    assert "type Hologram" in summary.novelties
    assert "ready_to_view dreaming" in summary.novelties
    assert backup.status("from-the-future") == "COMPLETED"


@pytest.mark.parametrize("status", [429, 503])
def test_throttling_is_waited_out(backup: Backup, cloud: GoProCloud, status: int) -> None:
    cloud.quirks.throttle, cloud.quirks.throttle_status = 3, status
    assert backup.run().failed == 0
    assert backup.archived() == wanted(cloud.media)


def test_a_retired_api_version_is_told_as_such(backup: Backup, cloud: GoProCloud) -> None:
    cloud.quirks.accept_status = 410
    import tests.gopro_cloud.server as server

    before, server.ACCEPT = server.ACCEPT, "another version"
    try:
        with pytest.raises(ApiShapeChanged):
            backup.run()
    finally:
        server.ACCEPT = before


# ------------------------------------------------------------------------------ signing in


def test_rejected_credentials_end_the_run_after_a_handful_of_calls(backup: Backup, cloud: GoProCloud) -> None:
    cloud.tokens.clear()
    with pytest.raises(CredentialsRejected, match="auth set"):
        backup.run()
    assert cloud.counts.api_calls <= 3


def test_a_server_error_for_a_dead_token_tells_of_both_causes(backup: Backup, cloud: GoProCloud) -> None:
    cloud.tokens.clear()
    cloud.quirks.dead_token_status = 500
    with pytest.raises(TransientError, match="dead token"):
        backup.run()


def test_a_pasted_token_that_dies_in_the_middle_marks_nothing_failed_and_the_next_run_finishes(
    backup: Backup, cloud: GoProCloud
) -> None:
    cloud.quirks.token_lifetime_requests = 8
    first = backup.run(workers=2)
    assert first.failure is not None
    assert first.failure.outcome == "credentials_rejected"
    assert first.failed == 0
    assert 0 < first.completed < len(wanted(cloud.media))
    assert not [record for record in backup.tracker.unfinished("gopro") if record.status.value != "PENDING"]
    calls = cloud.counts.api_calls

    cloud.quirks.token_lifetime_requests = None
    backup.sign_in(cloud.pasted())
    second = backup.run()
    assert (second.status, second.failure) == ("SUCCEEDED", None)
    assert backup.archived() == wanted(cloud.media)
    assert cloud.counts.bytes_served.total() == sum(
        length for files in backup.archived().values() for length, _ in files
    )
    assert calls <= 8 + 4, "after the first refusals nobody asks again"


def test_a_renewing_sign_in_outlives_its_tokens_in_one_run(tmp_path: Path) -> None:
    with GoProCloud(many_small(120, 2000), Quirks(token_lifetime_requests=20, refresh_latency=0.05)) as cloud:
        backup = Backup(tmp_path, cloud)
        backup.sign_in(cloud.renewing())
        summary = backup.run(workers=4)
        assert (summary.status, summary.completed) == ("SUCCEEDED", 120)
        assert backup.archived() == wanted(cloud.media)
        assert cloud.counts.refreshes >= 120 // 20
        assert cloud.counts.refreshing_peak == 1


def test_a_sign_in_whose_newest_refresh_token_never_became_good_falls_back_on_the_one_before(tmp_path: Path) -> None:
    with GoProCloud(many_small(3, 2000)) as cloud:
        backup = Backup(tmp_path, cloud)
        good = cloud.renewing()
        backup.sign_in(good)
        backup.sign_in({**good, "refresh_token": "stored-but-never-valid"})
        assert backup.run().completed == 3


# ------------------------------------------------------------------------------ stopping and asking


class StopAfter(Observer):
    """Stops a run once so many bytes were read."""

    def __init__(self, length: int) -> None:
        self.left = length
        self.stop: Callable[[], None] = lambda: None

    def advanced(self, medium: Medium, count: int) -> None:
        self.left -= count
        if self.left <= 0:
            self.stop()


def test_a_run_that_is_stopped_goes_on_where_it_was(backup: Backup, cloud: GoProCloud) -> None:
    from core.model import utc_now
    from core.sync.request import Run, SyncRequest

    observer = StopAfter(600_000)
    driver = backup.driver(observer, workers=2)
    observer.stop = driver.stop
    with pytest.raises(Cancelled):
        driver.run(SyncRequest(), Run("stopped", utc_now()))
    done = {media_id for media_id in wanted(cloud.media) if backup.status(media_id) == "COMPLETED"}
    assert 0 < len(done) < len(wanted(cloud.media))
    served = dict(cloud.counts.bytes_served)

    assert backup.run().status == "SUCCEEDED"
    assert backup.archived() == wanted(cloud.media)
    assert all(cloud.counts.bytes_served[media_id] == served[media_id] for media_id in done)


class KeepPlan(Observer):
    plan: Plan

    def planned(self, plan: Plan) -> None:
        self.plan = plan


def test_a_dry_run_says_what_would_come_and_leaves_nothing(backup: Backup, cloud: GoProCloud) -> None:
    observer = KeepPlan()
    summary = backup.run(observer, dry_run=True)
    assert (observer.plan.new, observer.plan.pending, summary.bytes_transferred) == (17, 1, 0)
    assert not backup.folder.exists()
    assert list(backup.tracker.unfinished("gopro")) == []
    assert cloud.counts.bytes_served.total() == 0


def test_media_that_are_not_ready_do_not_keep_the_others_from_a_bounded_run(backup: Backup, cloud: GoProCloud) -> None:
    waiting = CloudMedium("waiting", "Video", "GX019999.MP4", "2026-12-01T10:00:00Z", state="transcoding")
    cloud.media = [waiting, *many_small(2, 1000)]
    assert [backup.run(max_items=1).completed for _ in range(3)] == [0, 1, 1]
    last = backup.run(max_items=1)
    assert (last.new, last.completed, last.pending) == (1, 0, 1)


def test_a_full_disk_ends_the_run_at_once_and_says_what_to_do(
    backup: Backup, cloud: GoProCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    cloud.media = many_small(50, 1000)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull, match="make room"):
        backup.run(workers=1)
    assert "FAILED" not in {backup.status(medium.media_id) for medium in cloud.media}


def test_only_the_media_asked_for_are_transferred(backup: Backup) -> None:
    assert backup.run(media_ids=("62NzWRrpPXm7o",)).completed == 1
    assert set(backup.archived()) == {"62NzWRrpPXm7o"}
    assert backup.run(max_items=3).new == 3


def test_a_medium_that_the_library_does_not_have_is_not_silently_passed_over(backup: Backup) -> None:
    with pytest.raises(InvalidInput, match="The library has no medium nobody-knows-it"):
        backup.run(media_ids=("62NzWRrpPXm7o", "nobody-knows-it"))
    assert backup.run(media_ids=("62NzWRrpPXm7o",)).completed == 1
    with pytest.raises(InvalidInput, match="The library has no medium nobody-knows-it"):
        backup.run(media_ids=("nobody-knows-it",))


def test_an_archived_medium_that_is_asked_for_after_it_has_gone_is_no_error(backup: Backup, cloud: GoProCloud) -> None:
    backup.run(media_ids=("62NzWRrpPXm7o",))
    cloud.media = [medium for medium in cloud.media if medium.media_id != "62NzWRrpPXm7o"]
    assert backup.run(media_ids=("62NzWRrpPXm7o",), full_scan=True).status == "NO_NEW_VIDEOS"


def test_an_original_confirmed_by_a_broken_attempt_is_not_moved_again(backup: Backup, cloud: GoProCloud) -> None:
    cloud.quirks.faults["chapters-told3"] = Fault("cut", times=1, after=100)
    backup.run(media_ids=("chapters-told3",))
    total = sum(length for length, _ in wanted(cloud.media)["chapters-told3"])
    assert cloud.counts.bytes_served["chapters-told3"] <= total + 100


@pytest.mark.parametrize("tracker_is_lost", [False, True])
def test_a_confirmed_original_is_not_replaced_whatever_the_source_has_by_now(
    backup: Backup, cloud: GoProCloud, tracker_is_lost: bool
) -> None:
    backup.run()
    lost, *others = sorted(backup.folder.glob("gopro-videos/*/*/chapters-told3/*"))
    before = [sha256(path.read_bytes()).hexdigest() for path in others]
    lost.unlink()
    if tracker_is_lost:
        backup.tracker = SqliteTracker(backup.folder.parent / "another tracker.sqlite3")
    else:
        inventory = FolderInventory(backup.folder, backup.archive)
        Verifier(backup.tracker, backup.archive, inventory).verify(Verification(repair=True), Run("verify", utc_now()))
    cloud.changes["chapters-told3"] += 1
    assert backup.run().failed == 0
    assert [sha256(path.read_bytes()).hexdigest() for path in others] == before
    assert sha256(lost.read_bytes()).hexdigest() in digests_now(cloud, "chapters-told3")
    assert backup.status("chapters-told3") == "COMPLETED"


def digests_now(cloud: GoProCloud, media_id: str) -> list[str]:
    """The SHA-256 of the originals of a medium as the cloud serves them now."""
    medium = cloud.find(media_id)
    assert medium
    bodies = [changed(file.body, cloud.changes[media_id]) for file in medium.originals]
    return [sha256(body.read(0, body.length)).hexdigest() for body in bodies]


@pytest.mark.parametrize("still_counted", [True, False])
def test_an_archived_original_that_is_no_longer_offered_stays_in_the_catalog(
    backup: Backup, cloud: GoProCloud, still_counted: bool
) -> None:
    backup.run()
    (medium,) = [one for one in cloud.media if one.media_id == "5f2b8c9d1e4a7b3c6d8e9f01"]
    before = Entry.from_lines(backup.archive.read_document(f"catalog/gopro/{medium.media_id}.json"))
    Path(backup.archive.location(before.originals[0].stored.key)).unlink()
    inventory = FolderInventory(backup.folder, backup.archive)
    verifier = Verifier(backup.tracker, backup.archive, inventory)
    verifier.verify(Verification(repair=True), Run("verify", utc_now()))
    withdrawn = before.originals[1].stored.length
    fewer = replace(medium, files=tuple(one for one in medium.files if one.body.length != withdrawn))
    if not still_counted:
        fewer = replace(fewer, item_count=len(fewer.originals))
    cloud.media = [fewer if one is medium else one for one in cloud.media]
    backup.run()
    after = Entry.from_lines(backup.archive.read_document(f"catalog/gopro/{medium.media_id}.json"))
    assert {one.stored.key for one in after.originals} == {one.stored.key for one in before.originals}
    assert verifier.verify(Verification(), Run("verify-2", utc_now()))[0].status == "SOUND"


def test_a_medium_of_which_some_is_offered_is_planned_again_without_being_listed(
    backup: Backup, cloud: GoProCloud
) -> None:
    (medium,) = [one for one in cloud.media if one.media_id == "chapters-told3"]
    cloud.media = [replace(medium, item_count=9)]
    assert backup.run().pending == 1
    (record,) = backup.tracker.unfinished("gopro")
    assert record.medium
    assert record.medium.media_id == "chapters-told3"
