"""What a selection means, and what it costs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from core import prices
from core.archive.catalog import Archived, Entry
from core.archive.folder import FolderArchive
from core.archive.folder_retrieval import FolderRetrieval
from core.archive.retrieval import Held, State
from core.errors import InvalidInput
from core.model import Medium, Stored
from core.restore import Cache, Catalog, Selection, first_day, last_day, quote
from tests.archived import Film, store

GB = 1024**3


def entry(
    media_id: str = "m1",
    filename: str = "GX010411.MP4",
    captured_at: datetime | None = datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC),
    names: tuple[str, ...] = ("GX010411.MP4", "GX020411.MP4", "GX010411.GPR"),
    **facts: object,
) -> Entry:
    medium = Medium("gopro", media_id, filename, "Video", "ready", captured_at, None, 1, facts)
    stored = (Stored(f"gopro-videos/2026/03/{media_id}/{name}", 10, "ab") for name in names)
    return Entry(medium, None, "", tuple(Archived(1, "source", "", one) for one in stored))


def chosen(selection: Selection, one: Entry) -> list[str]:
    return [original.stored.key.rpartition("/")[2] for original in selection.of(one)]


WHOLE = ["GX010411.MP4", "GX020411.MP4", "GX010411.GPR"]


@pytest.mark.parametrize(
    ("since", "until", "is_in"),
    [
        ("2026", None, True),
        ("2026-03-31", None, True),
        ("2026-04", None, False),
        (None, "2026-03", True),
        (None, "2026-03-31", True),
        (None, "2026-03-30", False),
        (None, "2025", False),
        ("2026-03", "2026-03", True),
    ],
)
def test_days_months_and_years_are_meant_whole_at_both_ends(since: str | None, until: str | None, is_in: bool) -> None:
    selection = Selection(since=first_day(since) if since else None, until=last_day(until) if until else None)
    assert chosen(selection, entry()) == (WHOLE if is_in else [])


def test_the_day_is_that_of_the_capture_in_utc() -> None:
    late = datetime.fromisoformat("2026-04-01T00:30:00+02:00")
    assert chosen(Selection(until=date(2026, 3, 31)), entry(captured_at=late)) == WHOLE


def test_a_medium_whose_capture_is_unknown_counts_by_its_upload_as_in_its_key() -> None:
    one = entry(captured_at=None, created_at="2026-03-02T00:00:00Z")
    assert chosen(Selection(since=date(2026, 3, 2), until=date(2026, 3, 2)), one) == WHOLE
    assert chosen(Selection(since=date(2000, 1, 1)), entry(captured_at=None)) == []


@pytest.mark.parametrize("text", ["March", "2026-13", "2026-02-30", "26-01-01", "2026/01/01", "0000"])
def test_what_is_no_date_is_refused(text: str) -> None:
    for read in (first_day, last_day):
        with pytest.raises(InvalidInput, match=re.escape(text)):
            read(text)


def test_the_last_day_of_february_is_known() -> None:
    assert (last_day("2024-02"), last_day("2026-02")) == (date(2024, 2, 29), date(2026, 2, 28))


def test_the_name_of_a_medium_means_all_of_its_originals() -> None:
    assert chosen(Selection(names=("gx010411.mp4",)), entry()) == WHOLE


def test_the_name_of_an_original_means_that_one_alone() -> None:
    assert chosen(Selection(names=("GX020411.MP4",)), entry()) == ["GX020411.MP4"]
    assert chosen(Selection(names=("*.gpr", "GX02*")), entry()) == ["GX020411.MP4", "GX010411.GPR"]


def test_a_camera_is_found_by_a_part_of_its_name_and_never_where_none_is_told() -> None:
    assert chosen(Selection(cameras=("hero12*",)), entry(camera_model="HERO12 Black")) == WHOLE
    assert chosen(Selection(cameras=("*",)), entry(camera_model="MAX")) == WHOLE
    assert chosen(Selection(cameras=("hero*",)), entry()) == []


def test_all_kinds_of_conditions_have_to_fit() -> None:
    selection = Selection(media_ids=("m1", "m2"), names=("*.MP4",), since=date(2026, 3, 1))
    assert chosen(selection, entry()) == WHOLE
    assert chosen(selection, entry("m3")) == []
    assert chosen(selection, entry(filename="x.JPG", names=("x.JPG",))) == []


def held(length: int, storage_class: str = "DEEP_ARCHIVE", state: State = State.ARCHIVED) -> Held:
    return Held(Stored("k", length, "ab"), state, storage_class)


def test_the_price_is_that_of_the_table() -> None:
    told = quote([held(100 * GB)] * 10, "Bulk", 15)
    assert told.objects == {"DEEP_ARCHIVE": 10}
    assert told.requests == pytest.approx(10 / 1000 * 0.025)
    assert told.retrieval == pytest.approx(1000 * 0.0025)
    assert told.copies == pytest.approx(1000 * 0.023 / 2)
    assert told.egress == pytest.approx(1000 * 0.09)
    assert told.hours == 48
    assert told.total == pytest.approx(told.requests + told.retrieval + told.copies + told.egress)


def test_what_is_requested_or_ready_costs_no_second_retrieval() -> None:
    told = quote([held(GB, state=State.REQUESTED), held(GB, state=State.READY)], "Bulk", 7)
    assert (told.requests, told.retrieval, told.copies, told.hours) == (0, 0, 0, 0)
    assert told.egress == pytest.approx(2 * 0.09)


def test_what_is_missing_costs_nothing() -> None:
    assert quote([held(GB, state=State.MISSING)], "Bulk", 7).total == 0


def test_the_slowest_class_says_how_long_all_of_it_takes() -> None:
    told = quote([held(GB), held(GB, "GLACIER")], "Standard", 7)
    assert told.hours == 12
    assert told.retrieval == pytest.approx(0.02 + 0.01)


def test_a_tier_that_a_class_has_not_is_refused_with_those_that_it_has() -> None:
    with pytest.raises(InvalidInput, match=r"DEEP_ARCHIVE .* Take --tier Bulk \(48 hours\) or Standard \(12 hours\)"):
        quote([held(GB)], "Expedited", 7)
    assert quote([held(GB, "GLACIER")], "Expedited", 7).requests == pytest.approx(0.01)


def test_prices_carry_their_date_and_source() -> None:
    told = quote([], "Bulk", 7).to_json()
    assert told["prices_as_of"] == prices.AS_OF.isoformat()
    assert str(told["prices_source"]).startswith("https://aws.amazon.com/")


class CountingArchive(FolderArchive):
    reads = 0

    def read_document(self, key: str) -> Iterator[bytes]:
        self.reads += 1
        return super().read_document(key)


def test_an_entry_is_read_again_only_when_it_has_changed(tmp_path: Path) -> None:
    archive = CountingArchive(tmp_path / "backup")
    for number in range(5):
        store(archive, Film(f"film{number}", lengths=(10,)))

    def listed() -> list[str]:
        cache = Cache(tmp_path / "cache" / "catalog.jsonl")
        catalog = Catalog(archive, FolderRetrieval(tmp_path / "backup"), "gopro", cache)
        return [one.medium.filename for one in catalog.select(Selection()).entries]

    assert len(listed()) == 5
    assert archive.reads == 5
    assert listed() == ["GX010001.MP4"] * 5
    assert archive.reads == 5
    (tmp_path / "backup/gopro-videos/2026/03/film0/GX010001.MP4").unlink()
    store(archive, Film("film0", "renamed.MP4", lengths=(10,)))
    (tmp_path / "backup/catalog/gopro/film1.json").unlink()
    assert sorted(listed()) == ["GX010001.MP4"] * 3 + ["renamed.MP4"]
    assert archive.reads == 6


def test_a_cache_that_cannot_be_read_or_written_costs_only_time(tmp_path: Path) -> None:
    archive = FolderArchive(tmp_path / "backup")
    store(archive, Film("film", lengths=(10,)))
    broken = tmp_path / "broken.jsonl"
    broken.write_text('["catalog/gopro/film.json", "tag"')
    for path in (broken, tmp_path / "backup/catalog/gopro/film.json/nowhere"):
        catalog = Catalog(archive, FolderRetrieval(tmp_path / "backup"), "gopro", Cache(path))
        assert len(catalog.select(Selection()).entries) == 1
    assert broken.stat().st_mode & 0o777 == 0o600
