"""The report after each run: what it tells, that it is told once, and that it never costs a run anything."""

from __future__ import annotations

import json
import tracemalloc
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.archive.catalog import Archived, Entry
from core.archive.folder import FolderArchive
from core.archive.keys import LATEST_PAGE, manifest_key, report_page_key, thumbnail_key
from core.credentials.file import FileCredentials
from core.errors import CloudSyncError
from core.model import Medium, Reason, Record, Status, Stored
from core.providers.base import ProviderSettings
from core.providers.registry import create
from core.report import Gallery, Item, Note, Spool, Told
from core.report.ledger import Day, Ledger, Line, Month
from core.report.price import monthly_price
from core.sync.local import LocalSync
from core.sync.plan import Plan
from core.sync.publish import gallery_lease, publish, publish_anew
from core.sync.request import Run, SyncRequest
from core.sync.summarize import Summary, summarize
from core.tracker.sqlite import SqliteTracker
from tests.browsers import CHROMIUM
from tests.chromium import Browser, browser
from tests.gopro_cloud import GoProCloud
from tests.gopro_cloud.library import video, with_strip
from tests.gopro_cloud.media import Strip

NOW = datetime(2026, 3, 9, 2, tzinfo=UTC)
GB = 10**9


def medium(media_id: str, captured_at: str = "2026-03-01T09:15:00Z") -> Medium:
    """A video."""
    moment = datetime.fromisoformat(captured_at)
    return Medium("gopro", media_id, f"{media_id}.MP4", "Video", "ready", moment, None, 1)


class Place:
    """A tracker and an archive in which runs end."""

    def __init__(self, folder: Path) -> None:
        self.tracker = SqliteTracker(folder / "tracker.sqlite3", clock=lambda: NOW)
        self.archive = FolderArchive(folder / "archive")
        self.folder = folder / "archive"
        self.waits: list[float] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def end(self, run_id: str, *records: tuple[Medium, Record], left: float = 900.0) -> Summary:
        """Sum up a run whose media stand so, and publish it."""
        run = Run(run_id, NOW - timedelta(minutes=5))
        lines = "".join(json.dumps(one.to_json()) + "\n" for one, _ in records)
        self.archive.put_document(manifest_key(run_id), lines.encode())
        for _, record in records:
            self.tracker.save(replace(record, run_id=run_id, updated_at=NOW))
        number = len(records)
        plan = Plan("gopro", True, number, number, number, 0, 0, 0, 0, 0, (), manifest_key(run_id))
        summary = summarize(plan, run, self.tracker, self.archive, clock=lambda: NOW)
        return publish(
            summary,
            plan,
            run,
            self.tracker,
            self.archive,
            remaining=lambda: left,
            clock=lambda: NOW,
            sleep=self._sleep,
        )

    def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.meanwhile()

    def bring(self, run_id: str, *media: Medium) -> Summary:
        """A run in which these arrive, of a GB each."""
        return self.end(run_id, *((one, done(one)) for one in media))

    def read(self, key: str) -> str:
        return b"".join(self.archive.read_document(key)).decode()

    @property
    def ledger(self) -> Ledger:
        return Gallery(self.archive, "gopro").ledger()


def done(one: Medium) -> Record:
    return Record("gopro", one.media_id, Status.COMPLETED, "", NOW, one.filename, originals=1, length=GB, moved=GB)


def other(one: Medium, status: Status, reason: str = "", error: str = "") -> Record:
    return Record("gopro", one.media_id, status, "", NOW, one.filename, reason, "IntegrityError", error, medium=one)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# ------------------------------------------------------------------ what a run's page tells
def test_a_page_tells_what_came_what_failed_and_why_and_what_waits(place: Place) -> None:
    summary = place.end(
        "run-1",
        (came := medium("came"), done(came)),
        (broken := medium("broken"), other(broken, Status.FAILED, error="It broke off at byte 7.")),
        (late := medium("late"), other(late, Status.PENDING, Reason.NOT_READY, "no original is offered yet")),
    )
    assert (summary.page, summary.page_trouble) == (report_page_key("run-1"), "")
    page = place.read(summary.page)
    for told in ("came.MP4", "broken.MP4", "It broke off at byte 7.", "late.MP4", "no original is offered yet"):
        assert told in page
    assert "1 came, 1 failed" in page
    assert "1.0 GB" in page
    assert place.read(LATEST_PAGE).count("run-1/report.html") == 1


def test_a_page_leads_to_the_pages_of_its_months_and_of_earlier_runs(place: Place) -> None:
    place.bring("run-1", medium("a", "2026-02-01T09:15:00Z"))
    page = place.folder / place.bring("run-2", medium("b"), medium("c")).page
    assert "../../runs/run-1/report.html" in page.read_text()
    for link in ("gallery/gopro/2026-02.html", "gallery/gopro/2026-03.html", "gallery/gopro/index.html", LATEST_PAGE):
        assert f'href="../../{link}"' in page.read_text()
        assert (page.parent / "../.." / link).is_file()
    assert "b.MP4" in (place.folder / "gallery/gopro/2026-03.html").read_text()
    assert "a.MP4" in (place.folder / "gallery/gopro/2026-02.html").read_text()


def test_a_failed_run_says_what_to_do(place: Place) -> None:
    one = medium("a")
    page = place.read(place.end("run-1", (one, other(one, Status.PENDING, Reason.CREDENTIALS))).page)
    assert "The run failed" in page
    assert "cloud-sync auth set" in page


def test_more_than_a_page_can_hold_is_counted(place: Place) -> None:
    media = [medium(f"m{number:04}") for number in range(620)]
    page = place.read(place.bring("run-1", *media).page)
    assert page.count(".MP4") == 500
    assert "and 120 more" in page
    assert place.ledger.total.media == 620


# ------------------------------------------------------------------ the ledger
def test_a_run_that_is_told_twice_is_there_once(place: Place) -> None:
    place.bring("run-1", medium("a"), medium("b"))
    before = {path: path.read_bytes() for path in place.folder.rglob("*") if path.is_file()}
    place.bring("run-1", medium("a"), medium("b"))
    assert {path: path.read_bytes() for path in place.folder.rglob("*") if path.is_file()} == before
    assert place.ledger.total == Month(media=2, originals=2, length=2 * GB)


def test_size_and_price_are_kept_by_day(place: Place) -> None:
    place.bring("run-1", medium("a"), medium("b"))
    assert place.ledger.days == [Day("2026-03-09", 2, 2 * GB, None)]
    gallery = Gallery(place.archive, "gopro", monthly_price())
    page = gallery.conclude(Told("gopro", "run-2", "SUCCEEDED", NOW + timedelta(days=1)), gallery.ledger())
    (_, day) = place.ledger.days
    assert day.usd is not None
    assert 0.4 < day.usd < 1
    assert f"${day.usd:.2f}" in place.read(page)


def test_a_ledger_of_twenty_years_stays_small() -> None:
    ledger = Ledger({})
    for number in range(20 * 365):
        day = (NOW + timedelta(days=number)).strftime("%Y-%m-%d")
        ledger = ledger.with_day(day, Month(media=number, length=number * GB), None)
        ledger = ledger.with_run(Line(f"run-{number}", f"{day}T02:00:00Z", "SUCCEEDED", 1, 0, 0, GB))
    assert len(ledger.to_bytes()) < 100_000
    assert ledger.days[0].date == "2026-03-31"
    assert (ledger.days[-1].media, ledger.runs[-1].run_id) == (7299, "run-7299")
    assert Ledger.from_lines([ledger.to_bytes()]) == ledger


def test_of_two_runs_at_once_one_waits_and_neither_is_lost(place: Place) -> None:
    place.tracker.acquire(gallery_lease("gopro"), "run-1", 300)
    place.meanwhile = lambda: place.tracker.release(gallery_lease("gopro"), "run-1")
    assert place.bring("run-2", medium("b")).page
    assert len(place.waits) == 1
    place.bring("run-1", medium("a"))
    assert [one.run_id for one in place.ledger.runs] == ["run-2", "run-1"]
    assert place.ledger.total.media == 2


def test_the_gallery_is_made_anew_from_the_catalog(place: Place) -> None:
    place.bring("run-1", medium("a", "2026-02-01T09:15:00Z"), medium("b"))
    (place.folder / "gallery/gopro/index.json").write_text("spoiled")
    (place.folder / "gallery/gopro/2026-03.json").unlink()
    key = "gopro-videos/2026/01/c/c.MP4"
    entries = [
        Entry(medium(name), at, "", (Archived(1, "source", "", Stored(key, length * GB, "0" * 64)),))
        for name, length, at in (("b", 1, NOW - timedelta(days=40)), ("c", 2, NOW - timedelta(days=1)))
    ]
    failed = other(medium("d"), Status.FAILED, error="It broke off at byte 7.")
    place.tracker.save(failed)
    page = publish_anew(entries, "gopro", place.tracker, place.archive, price=monthly_price(), clock=lambda: NOW)
    assert page == LATEST_PAGE
    assert place.ledger.total == Month(media=2, originals=2, length=3 * GB)
    assert [(one.date, one.length) for one in place.ledger.days] == [
        ("2026-01-28", GB),
        ("2026-03-08", 3 * GB),
        ("2026-03-09", 3 * GB),
    ]
    text = place.read(page)
    assert "c.MP4" in text
    assert "It broke off at byte 7." in text
    assert "b.MP4" not in text
    assert "b.MP4" in place.read("gallery/gopro/2026-03.html")
    assert place.bring("run-2", medium("e")).page


WRONG: dict[str, Callable[[Any], object]] = {
    "a number that is text": lambda ledger: ledger["runs"][0].update(came="x"),
    "an id that is a number": lambda ledger: ledger["runs"][0].update(run_id=5),
    "no time": lambda ledger: ledger["runs"][0].update(at=None),
    "more bytes than there can be": lambda ledger: ledger["runs"][0].update(bytes_moved=10**400),
    "a run that is a list": lambda ledger: ledger.update(runs=[["run-1"]]),
    "a day that is none": lambda ledger: ledger["days"][0].update(date="soon"),
    "a price that is no number": lambda ledger: ledger["days"][0].update(usd=float("nan")),
    "a month that is none": lambda ledger: ledger["months"].update({"2026-13": ledger["months"]["2026-03"]}),
    "a month of text": lambda ledger: ledger["months"]["2026-03"].update(length="large"),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_a_ledger_that_tells_what_cannot_be_is_told_by_a_run_and_made_anew_by_a_report(
    place: Place, change: Callable[[Any], object]
) -> None:
    place.bring("run-1", medium("a"))
    path = place.folder / "gallery/gopro/index.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(spoiled := json.dumps(document))
    assert "cloud-sync report makes it anew" in place.bring("run-2", medium("b")).page_trouble
    assert path.read_text() == spoiled
    assert publish_anew([], "gopro", place.tracker, place.archive, clock=lambda: NOW) == LATEST_PAGE
    assert place.bring("run-3", medium("c")).page


def test_a_ledger_that_the_disk_cannot_read_is_made_anew_by_a_report(place: Place) -> None:
    place.bring("run-1", medium("a"))
    (place.folder / "gallery/gopro/index.json").unlink()
    (place.folder / "gallery/gopro/index.json").symlink_to("/proc/self/mem")
    assert publish_anew([], "gopro", place.tracker, place.archive, clock=lambda: NOW) == LATEST_PAGE
    assert place.bring("run-2", medium("b")).page


# ------------------------------------------------------------------ pictures
def synced(folder: Path, sprites: bytes = b"") -> Summary:
    """A sync of a library whose films have pictures, or what else comes in their place."""
    credentials = folder / "credentials.json"
    with GoProCloud([with_strip(video("62NzWRrpPXm7o", "GX010327.MP4", "2026-03-01T09:15:00Z", 9000))]) as cloud:
        cloud.quirks.sprites = sprites
        credentials.write_text(json.dumps(cloud.pasted()))
        credentials.chmod(0o600)
        tracker = SqliteTracker(folder / "tracker.sqlite3")
        settings = ProviderSettings(FileCredentials(credentials), leases=tracker, base_url=cloud.url)
        archive = FolderArchive(folder / "archive")
        return LocalSync(create("gopro", settings), tracker, archive).run(SyncRequest(), Run("run-1", NOW))


def test_a_film_is_shown_with_its_picture_in_the_page_and_in_the_gallery(tmp_path: Path) -> None:
    page = (tmp_path / "archive" / synced(tmp_path).page).read_text()
    thumbnail = tmp_path / "archive/thumbnails/gopro/2026-03/62NzWRrpPXm7o.jpg"
    assert b64encode(thumbnail.read_bytes()).decode() in page
    link = 'src="../../thumbnails/gopro/2026-03/62NzWRrpPXm7o.jpg"'
    assert link in (tmp_path / "archive/gallery/gopro/2026-03.html").read_text()
    assert link in (tmp_path / "archive/gallery/gopro/index.html").read_text()
    assert Gallery(FolderArchive(tmp_path / "archive"), "gopro").ledger().total.pictures == 1


@pytest.mark.parametrize("sprites", [b"<html>", b"\xff\xd8\xff" + bytes(300_000)], ids=["no picture", "too large"])
def test_a_medium_without_a_picture_comes_all_the_same(tmp_path: Path, sprites: bytes) -> None:
    summary = synced(tmp_path, sprites)
    assert (summary.status, summary.completed) == ("SUCCEEDED", 1)
    assert "GX010327.MP4" in (tmp_path / "archive" / summary.page).read_text()
    assert not (tmp_path / "archive/thumbnails").exists()


# ------------------------------------------------------------------ it costs a run nothing
def test_a_gallery_that_another_run_does_not_give_free_is_told(place: Place) -> None:
    place.tracker.acquire(gallery_lease("gopro"), "run-1", 300)
    summary = place.bring("run-2", medium("b"))
    assert (summary.status, summary.completed, summary.page) == ("SUCCEEDED", 1, "")
    assert "cloud-sync report" in summary.page_trouble
    assert sum(place.waits) == 60


@pytest.mark.parametrize("name", ["index.json", "2026-03.json"])
def test_a_document_that_cannot_be_read_is_told_and_not_overwritten(place: Place, name: str) -> None:
    place.bring("run-1", medium("a"))
    spoiled = place.folder / "gallery/gopro" / name
    spoiled.write_text('{"months": 7}')
    summary = place.bring("run-2", medium("b"))
    assert (summary.status, summary.completed, summary.page) == ("SUCCEEDED", 1, "")
    assert "cannot be read" in summary.page_trouble
    assert spoiled.read_text() == '{"months": 7}'


def test_an_archive_that_takes_no_page_changes_nothing_else(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = FolderArchive.put_document

    def refuse(self: FolderArchive, key: str, source: bytes | Path) -> None:
        if key.endswith(".html"):
            raise CloudSyncError("S3 refuses https://bucket.example/x?X-Amz-Signature=secret (AccessDenied).")
        keep(self, key, source)

    monkeypatch.setattr(FolderArchive, "put_document", refuse)
    summary = place.bring("run-1", medium("a"))
    assert (summary.status, summary.completed, summary.page) == ("SUCCEEDED", 1, "")
    assert summary.page_trouble == "CloudSyncError: S3 refuses (address left out) (AccessDenied)."
    assert not place.tracker.held(gallery_lease("gopro"))


def test_nothing_is_begun_where_the_time_of_an_invocation_runs_out(place: Place) -> None:
    one = medium("a")
    summary = place.end("run-1", (one, done(one)), left=400.0)
    assert (summary.status, summary.page) == ("SUCCEEDED", "")
    assert "no time left" in summary.page_trouble


def test_a_hundred_thousand_arrivals_take_little_memory(tmp_path: Path) -> None:
    gallery = Gallery(FolderArchive(tmp_path), "gopro")
    items = (
        Item(f"62NzWRrp{number:08}", f"GX{number:06}.MP4", "Video", f"2026-{number % 12 + 1:02}", NOW, 1, GB)
        for number in range(100_000)
    )
    tracemalloc.start()
    with Spool.new() as spool:
        while batch := [item for _, item in zip(range(100), items, strict=False)]:
            spool.add(batch)
        months = {month: gallery.add(month, spool.of(month)) for month in spool.months()}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert Ledger(months).total.media == 100_000
    assert peak < 40e6
    assert (tmp_path / "gallery/gopro/2026-01.html").stat().st_size < 2_000_000


# ------------------------------------------------------------------ as it is seen
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip("there is no Chromium on this machine")
    with browser() as running:
        yield running


def seen_archive(folder: Path) -> list[Path]:
    """An archive with half a year in it, and its pages."""
    archive = FolderArchive(folder)
    gallery = Gallery(archive, "gopro", monthly_price())
    for day in range(1, 20):
        key = thumbnail_key(medium(f"62NzWRrpPX{day:02}", "2026-02-01T10:00:00Z"))
        archive.put_document(key, Strip(f"{day}").read(0, 10_000))
    items = [Item.of(medium(f"62NzWRrpPX{day:02}", f"2026-02-{day:02}T10:00:00Z"), 1, day * GB) for day in range(1, 25)]
    ledger = Ledger({"2026-02": gallery.add("2026-02", items)})
    for days in range(200, 0, -1):
        total = Month(media=1, length=3 * GB - days * 10**7)
        ledger = ledger.with_day((NOW - timedelta(days=days)).strftime("%Y-%m-%d"), total, monthly_price())
    long = Note("x" * 100, "y" * 300, "z" * 900)
    told = Told(
        *("gopro", "run-" + "1" * 60, "PARTIAL_FAILURE", NOW, items, 24, 300 * GB),
        *([long, Note("b", "שלום", "It broke off.")], 2, [long], 1),
        duration=611.0,
        unseen=3,
        cause="w" * 300,
    )
    page = gallery.conclude(told, ledger)
    return [folder / one for one in (page, LATEST_PAGE, "gallery/gopro/index.html", "gallery/gopro/2026-02.html")]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_every_page_fits_a_phone_and_a_screen(chromium: Browser, tmp_path: Path, width: int, dark: bool) -> None:
    for page in seen_archive(tmp_path):
        seen = chromium.look(page, width, dark=dark)
        assert (seen["scrollWidth"] <= width, seen["tooWide"]) == (True, []), page
        assert seen["smallest"] >= 12
        assert seen["broken"] == []
        assert seen["images"] >= 1
        assert seen["scripts"] == 0
        assert chromium.troubles == []
        assert chromium.asked_for[0] == page.as_uri()
        assert all(one.startswith(("data:", tmp_path.as_uri())) for one in chromium.asked_for)
        assert seen["ground"] == ("rgb(15, 20, 26)" if dark else "rgb(245, 246, 248)")
