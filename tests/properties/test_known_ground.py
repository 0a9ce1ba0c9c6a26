"""The short walk from the newest medium to known ground: it costs what is new, and with full scans nothing is lost."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.archive.folder import FolderArchive
from core.errors import InvalidInput, TransientError
from core.model import Account, Medium, Offer, Original, Record, Status
from core.providers.base import ByteSource, ListingReport
from core.providers.gopro.listing import AT_ONCE, Page, walk
from core.providers.gopro.parse import read_medium
from core.sync import plan as plan_module
from core.sync import scan
from core.sync.plan import Plan, make_plan, read_manifest
from core.sync.request import Run, SyncRequest
from core.tracker.sqlite import SqliteTracker

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
PER_PAGE = 4
KNOWN, WITHIN = 6, 20


@pytest.fixture(autouse=True, scope="module")
def short_measures() -> Iterator[None]:
    """The rule on a small scale, so that small libraries are deep ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan, "KNOWN_IN_A_ROW", KNOWN)
        patch.setattr(scan, "AWAITED_WITHIN", WITHIN)
        patch.setattr(plan_module, "_BATCH", 3)
        yield


@dataclass
class Cloud:
    """A library, newest first; `short` pages come with one row less, `deletes` media go after so many requests.

    The pages `broken` cannot be had.
    """

    ids: list[str] = field(default_factory=list)
    arriving: set[str] = field(default_factory=set)
    short: set[int] = field(default_factory=set)
    deletes: dict[int, int] = field(default_factory=dict)
    broken: set[int] = field(default_factory=set)
    asked: int = 0
    made: int = 0
    name: str = "gopro"
    title: str = "GoPro"

    def add(self, place: int, *, arriving: bool = False) -> None:
        self.made += 1
        media_id = f"m{self.made}"
        self.ids.insert(min(place, len(self.ids)), media_id)
        if arriving:
            self.arriving.add(media_id)

    def delete(self, place: int) -> None:
        if self.ids:
            del self.ids[place % len(self.ids)]

    def page(self, number: int) -> Page:
        self.asked += 1
        if number in self.broken:
            raise TransientError(f"Page {number} could not be had (500).")
        if self.asked in self.deletes:
            self.delete(self.deletes[self.asked])
        found = self.ids[(number - 1) * PER_PAGE : number * PER_PAGE]
        if self.asked in self.short:
            found = found[:-1]
        rows = [
            {
                "id": media_id,
                "type": "Video",
                "ready_to_view": "uploading" if media_id in self.arriving else "ready",
                "filename": "",
                "captured_at": None,
                "file_size": 1,
                "item_count": 1,
            }
            for media_id in found
        ]
        return Page(rows, len(self.ids), math.ceil(len(self.ids) / PER_PAGE), PER_PAGE)

    def list_media(self, report: ListingReport) -> Iterator[Medium]:
        return walk(self.page, read_medium, report, at_once=1)

    def authenticate(self) -> Account:
        raise NotImplementedError

    def thumbnail(self, offer: Offer) -> bytes | None:
        return None

    def promised(self, medium: Medium) -> int:
        return 0

    def resolve(self, medium: Medium) -> Offer:
        raise NotImplementedError

    def open(
        self, original: Original, start: int = 0, end: int | None = None, version: str = ""
    ) -> AbstractContextManager[ByteSource]:
        raise NotImplementedError


class Nights:
    """Night after night: a plan, and what becomes of the media in it."""

    def __init__(self, folder: str, cloud: Cloud) -> None:
        self.cloud = cloud
        self.now = NOW
        self.tracker = SqliteTracker(Path(folder, "tracker.sqlite3"), clock=lambda: self.now)
        self.archive = FolderArchive(Path(folder))

    def plan(self, **request: Any) -> tuple[Plan, list[str]]:
        self.cloud.asked = 0
        run = Run(f"run-{self.now:%Y%m%d}", self.now)
        plan = make_plan(SyncRequest(**request), run, self.cloud, self.tracker, self.archive, lambda: self.now)
        manifest = [] if request.get("dry_run") else list(read_manifest(self.archive, plan.manifest_key))
        return plan, [medium.media_id for medium in manifest]

    def night(
        self,
        failing: Sequence[int] = (),
        days: int = 1,
        *,
        bad: Collection[str] = (),
        becomes: Status = Status.FAILED,
        **request: Any,
    ) -> tuple[Plan, list[str]]:
        """Plan and transfer: the media at the places `failing` of the manifest and those called `bad` fail.

        The others arrive. What fails `becomes` what is said.
        """
        self.now += timedelta(days=days)
        plan, manifest = self.plan(**request)
        for place, media_id in enumerate(manifest):
            (known,) = self.tracker.get("gopro", [media_id]).values()
            status = becomes if place in failing or media_id in bad else Status.COMPLETED
            medium = None if status.is_final else known.medium
            ended = self.now + timedelta(hours=1)
            self.tracker.save(Record("gopro", media_id, status, "run", ended, medium=medium))
        return plan, manifest

    def records(self) -> dict[str, Record]:
        return self.tracker.get("gopro", [f"m{number}" for number in range(1, self.cloud.made + 1)])


@dataclass(frozen=True)
class Night:
    """What happens before and during a night."""

    uploads: int
    arriving: int
    back_dated: list[int]
    finished: list[int]
    deleted: list[int]
    failing: list[int]
    short: set[int]
    deleted_meanwhile: dict[int, int]
    broken: set[int]
    days: int
    max_items: int | None


places = st.integers(0, 60)
few = st.lists(places, max_size=2)
quiet: dict[str, Any] = {
    "deleted": st.just([]),
    "short": st.just(set()),
    "deleted_meanwhile": st.just({}),
    "broken": st.just(set()),
}
anything: dict[str, Any] = {
    "deleted": few,
    "short": st.sets(st.integers(1, 12), max_size=2),
    "deleted_meanwhile": st.dictionaries(st.integers(1, 8), places, max_size=1),
    "broken": st.sets(st.integers(2, 12), max_size=2),
}


def nights(**kinds: Any) -> st.SearchStrategy[list[Night]]:
    return st.lists(
        st.builds(
            Night,
            uploads=st.integers(0, 5),
            arriving=st.integers(0, 2),
            back_dated=few,
            finished=few,
            failing=st.lists(st.integers(0, 20), max_size=4),
            days=st.sampled_from([1, 1, 1, 2, 7]),
            max_items=st.one_of(st.none(), st.integers(1, 4)),
            **kinds,
        ),
        max_size=8,
    )


def live(one: Night, home: Nights) -> tuple[Plan, list[str]]:
    """Let a night pass."""
    cloud = home.cloud
    for _ in range(one.uploads):
        cloud.add(0)
    for _ in range(one.arriving):
        cloud.add(0, arriving=True)
    for place in one.back_dated:
        cloud.add(place)
    for place in one.deleted:
        cloud.delete(place)
    for place in one.finished:
        if cloud.arriving:
            cloud.arriving.discard(sorted(cloud.arriving)[place % len(cloud.arriving)])
    cloud.short, cloud.deletes, cloud.broken = one.short, dict(one.deleted_meanwhile), one.broken
    return home.night(one.failing, one.days, max_items=one.max_items)


@settings(max_examples=150)
@given(st.integers(0, 40), nights(**anything))
def test_whatever_happened_a_full_scan_later_everything_is_found(size: int, history: list[Night]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Nights(folder, Cloud([]))
        for _ in range(size):
            home.cloud.add(0)
        for one in history:
            live(one, home)
        home.cloud.short, home.cloud.deletes, home.cloud.broken = set(), {}, set()
        plan, _ = home.night(days=7)
        assert plan.full_scan
        assert plan.unseen == 0
        known = home.records()
        assert {key: known[key].status for key in home.cloud.ids if key not in home.cloud.arriving} == {
            key: Status.COMPLETED for key in home.cloud.ids if key not in home.cloud.arriving
        }
        assert all(known[key].status is Status.PENDING for key in home.cloud.ids if key in home.cloud.arriving)
        assert all(one.status.is_final for key, one in known.items() if key not in home.cloud.ids)


@settings(max_examples=150)
@given(st.integers(0, 40), nights(**anything))
def test_what_is_unfinished_is_in_every_plan_however_short_its_walk(size: int, history: list[Night]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Nights(folder, Cloud([]))
        for _ in range(size):
            home.cloud.add(0)
        for one in history:
            live(one, home)
            plan, manifest = home.plan()
            unfinished = list(home.tracker.unfinished("gopro"))
            ready = {one.media_id for one in unfinished if one.medium and not one.medium.arriving}
            assert ready <= set(manifest)
            assert len(set(manifest)) == len(manifest) == plan.new


@settings(max_examples=150)
@given(st.integers(0, 40), nights(**anything))
def test_only_a_whole_listing_declares_a_medium_gone(size: int, history: list[Night]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Nights(folder, Cloud([]))
        for _ in range(size):
            home.cloud.add(0)
        for one in history:
            before = {key for key, known in home.records().items() if known.status is Status.SOURCE_GONE}
            plan, _ = live(one, home)
            gone = {key for key, known in home.records().items() if known.status is Status.SOURCE_GONE} - before
            assert plan.gone == len(gone)
            assert (plan.full_scan and not plan.unseen) or not gone
            assert not gone & set(home.cloud.ids)


@settings(max_examples=150)
@given(st.integers(0, 40), nights(**quiet))
def test_where_nothing_is_deleted_every_medium_is_known_the_same_night(size: int, history: list[Night]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Nights(folder, Cloud([]))
        for _ in range(size):
            home.cloud.add(0)
        for one in history:
            plan, _ = live(one, home)
            assert set(home.cloud.ids) == set(home.records())
            assert plan.discovered == len(home.cloud.ids)


@pytest.mark.parametrize("size", [100, 400, 1600])
def test_five_new_ones_cost_the_same_calls_beside_any_number_of_known_ones(size: int, tmp_path: Path) -> None:
    home = Nights(str(tmp_path), Cloud([f"m{number}" for number in range(size)], made=size))
    home.night()
    for _ in range(5):
        home.cloud.add(0)
    plan, manifest = home.night()
    assert sorted(manifest) == [f"m{size + number}" for number in range(1, 6)]
    assert (plan.full_scan, plan.discovered, plan.listed) == (False, size + 5, 12)
    assert home.cloud.asked <= 12 / PER_PAGE + AT_ONCE


def settled(tmp_path: Path, size: int = 60) -> Nights:
    home = Nights(str(tmp_path), Cloud([]))
    for _ in range(size):
        home.cloud.add(0)
    home.night()
    return home


def test_a_full_scan_is_made_when_asked_for_and_once_a_week(tmp_path: Path) -> None:
    home = settled(tmp_path)
    assert [home.night()[0].full_scan for _ in range(8)] == [*[False] * 6, True, False]
    assert home.night(full_scan=True)[0].full_scan


def test_a_clock_that_was_set_back_costs_a_full_scan(tmp_path: Path) -> None:
    home = settled(tmp_path)
    home.now -= timedelta(days=30)
    assert home.night()[0].full_scan
    assert not home.night()[0].full_scan


@pytest.mark.parametrize("kept", ["{broken", "[]", '{"at": "2026-03-02T02:00:00Z"}', '{"at": 5, "count": 60}', "null"])
def test_what_is_kept_of_the_last_full_scan_costs_one_more_if_it_cannot_be_read(tmp_path: Path, kept: str) -> None:
    home = settled(tmp_path)
    home.tracker.keep("gopro#last-scan", kept)
    assert home.night()[0].full_scan
    assert not home.night()[0].full_scan


def test_a_back_dated_medium_deep_in_the_library_is_noticed_by_the_count(tmp_path: Path) -> None:
    home = settled(tmp_path)
    home.cloud.add(50)
    plan, manifest = home.night()
    assert manifest == ["m61"]
    assert plan.listed > 50


def test_a_back_dated_medium_that_a_deletion_hides_is_found_by_the_weekly_scan(tmp_path: Path) -> None:
    home = settled(tmp_path)
    home.cloud.delete(55)
    home.cloud.add(50)
    assert home.night()[1] == []
    assert home.night(days=6)[1] == ["m61"]


def test_a_page_that_comes_short_is_no_ground_to_stand_on(tmp_path: Path) -> None:
    home = settled(tmp_path)
    home.cloud.add(0)
    home.cloud.short = {1}
    plan, manifest = home.night()
    assert plan.full_scan
    assert manifest == ["m61"]


def test_a_page_that_cannot_be_had_is_no_ground_to_stand_on_and_costs_its_own_media(tmp_path: Path) -> None:
    home = settled(tmp_path)
    home.cloud.add(0)
    home.cloud.add(6)
    home.cloud.broken = {2}
    plan, manifest = home.night()
    assert (plan.full_scan, plan.unseen, manifest) == (True, PER_PAGE, ["m61"])
    home.cloud.broken = set()
    plan, manifest = home.night()
    assert (plan.full_scan, plan.unseen, manifest) == (True, 0, ["m62"])
    assert not home.night()[0].full_scan


def test_what_lies_on_a_page_that_cannot_be_had_is_not_gone(tmp_path: Path) -> None:
    home = settled(tmp_path)
    home.cloud.add(6)
    home.night(failing=[0])
    home.cloud.broken = {2}
    plan, manifest = home.night(full_scan=True)
    assert (plan.gone, manifest) == (0, ["m61"])


def test_a_deletion_on_the_way_is_no_ground_to_stand_on(tmp_path: Path) -> None:
    home = settled(tmp_path)
    home.cloud.deletes = {2: 0}
    assert home.night()[0].full_scan


def test_a_medium_that_becomes_ready_late_is_met_beyond_known_ground(tmp_path: Path) -> None:
    home = settled(tmp_path)
    home.cloud.add(0, arriving=True)
    assert home.night()[0].pending == 1
    for _ in range(12):
        home.cloud.add(0)
    home.night()
    assert home.night()[0].pending == 1
    home.cloud.arriving.clear()
    assert home.night()[1] == ["m61"]


def test_a_medium_that_never_becomes_ready_costs_a_bounded_walk(tmp_path: Path) -> None:
    home = settled(tmp_path)
    home.cloud.add(0, arriving=True)
    home.night()
    home.cloud.ids.remove("m61")
    walked = [home.night()[0].listed for _ in range(5)]
    assert all(WITHIN <= one < WITHIN + 3 for one in walked)


def test_a_failed_medium_far_below_is_planned_from_what_was_said_of_it(tmp_path: Path) -> None:
    home = settled(tmp_path)
    home.cloud.add(0)
    home.night(failing=[0])
    for _ in range(30):
        home.cloud.add(0)
    home.night(failing=[30])
    plan, manifest = home.night()
    assert (plan.full_scan, manifest) == (False, ["m61"])
    assert home.night()[1] == []


def test_a_medium_asked_for_by_an_id_that_nobody_knows_is_looked_for_everywhere(tmp_path: Path) -> None:
    home = settled(tmp_path)
    home.cloud.delete(55)
    home.cloud.add(50)
    plan, manifest = home.night(media_ids=("m61",))
    assert (plan.full_scan, manifest) == (True, ["m61"])


def test_a_listing_that_was_not_proved_is_made_again_the_next_night(tmp_path: Path) -> None:
    home = settled(tmp_path)
    home.cloud.short = set(range(1, 100))
    plan, _ = home.night(full_scan=True)
    assert plan.unseen > 0
    home.cloud.short = set()
    assert home.night()[0].full_scan
    assert not home.night()[0].full_scan


def test_a_dry_run_walks_as_far_and_remembers_nothing(tmp_path: Path) -> None:
    home = settled(tmp_path)
    home.cloud.add(0)
    first, _ = home.plan(dry_run=True)
    again, _ = home.plan(dry_run=True)
    assert first == again
    assert (first.full_scan, first.new) == (False, 1)
    assert "m61" not in home.records()


def test_a_medium_that_had_gone_and_is_listed_again_is_brought(tmp_path: Path) -> None:
    home = settled(tmp_path)
    home.cloud.add(0, arriving=True)
    home.night()
    home.cloud.ids.remove("m61")
    assert home.night(full_scan=True)[0].gone == 1
    home.cloud.ids.insert(30, "m61")
    home.cloud.arriving.clear()
    assert home.night()[1] == ["m61"]


def test_a_late_medium_for_which_there_was_no_room_is_planned_as_it_was_met(tmp_path: Path) -> None:
    home = settled(tmp_path)
    home.cloud.add(0, arriving=True)
    home.night()
    home.cloud.arriving.clear()
    home.cloud.add(0)
    assert home.night(max_items=1)[1] == ["m62"]
    for _ in range(30):
        home.cloud.add(0)
    home.night(max_items=1)
    plan, manifest = home.night()
    assert not plan.full_scan
    assert "m61" in manifest


def test_a_medium_that_came_back_and_for_which_there_was_no_room_is_planned_later(tmp_path: Path) -> None:
    home = settled(tmp_path)
    home.cloud.add(0, arriving=True)
    home.night()
    home.cloud.ids.remove("m61")
    home.night(full_scan=True)
    home.cloud.arriving.clear()
    home.cloud.ids.insert(30, "m61")
    home.cloud.add(0)
    assert home.night(max_items=1)[1] == ["m62"]
    plan, manifest = home.night()
    assert (plan.full_scan, manifest) == (False, ["m61"])


@settings(max_examples=50)
@given(st.integers(0, 8), st.integers(0, 8), st.integers(1, 3), st.sampled_from([Status.FAILED, Status.SOURCE_GONE]))
def test_media_that_cannot_be_had_keep_no_other_from_bounded_runs_and_each_of_them_has_its_turn(
    good: int, bad: int, bound: int, becomes: Status
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Nights(folder, Cloud([]))
        for _ in range(good + bad):
            home.cloud.add(0)
        in_vain = {f"m{good + number}" for number in range(1, bad + 1)}

        def tried(media: int) -> set[str]:
            """The media of as many nights as so many need."""
            nights = range(math.ceil(media / bound))
            plans = [home.night(bad=in_vain, becomes=becomes, max_items=bound, full_scan=True) for _ in nights]
            return {media_id for _, manifest in plans for media_id in manifest}

        assert tried(good + bad) == set(home.cloud.ids)
        assert [one.status for one in home.records().values()].count(Status.COMPLETED) == good
        assert tried(bad) == tried(bad) == in_vain


def test_a_medium_that_had_gone_is_looked_for_everywhere_when_it_is_asked_for(tmp_path: Path) -> None:
    home = settled(tmp_path)
    home.tracker.reopen(
        Record("gopro", "m5", Status.SOURCE_GONE, "run", home.now), home.tracker.get("gopro", ["m5"])["m5"]
    )
    assert home.night()[1] == []
    plan, manifest = home.night(media_ids=("m5",))
    assert (plan.full_scan, manifest) == (True, ["m5"])


def test_a_medium_that_has_gone_for_good_is_not_silently_passed_over_when_it_is_asked_for(tmp_path: Path) -> None:
    home = settled(tmp_path)
    home.cloud.add(0, arriving=True)
    home.night()
    home.cloud.ids.remove("m61")
    assert home.night(full_scan=True)[0].gone == 1
    with pytest.raises(InvalidInput, match="The library has no medium m61"):
        home.night(media_ids=("m61",))
