"""Rows of the listing: read leniently, kept without anything personal, and what is new is said."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model import Medium
from core.providers.base import ListingReport
from core.providers.gopro.parse import read_account, read_medium, read_page

ROW = {
    "id": "62NzWRrpPXm7o",
    "filename": "GX010001.MP4",
    "file_extension": "mp4",
    "type": "Video",
    "captured_at": "2026-05-17T10:11:12Z",
    "created_at": "2026-05-18T00:00:00Z",
    "file_size": 4_000_000_000,
    "width": 3840,
    "height": 2160,
    "item_count": 1,
    "ready_to_view": "ready",
    "token": "eyJhbGciOiJSU0EtT0FFUCJ9.secret",
    "gopro_user_id": "user-1",
}


def read(**changes: Any) -> tuple[Medium | None, ListingReport]:
    report = ListingReport()
    return read_medium(ROW | changes, report), report


def medium_of(**changes: Any) -> Medium:
    medium, _ = read(**changes)
    assert medium is not None
    return medium


def test_a_row_becomes_a_medium() -> None:
    medium, report = read()
    assert medium == Medium(
        provider="gopro",
        media_id="62NzWRrpPXm7o",
        filename="GX010001.MP4",
        kind="Video",
        state="ready",
        captured_at=datetime(2026, 5, 17, 10, 11, 12, tzinfo=UTC),
        length_hint=4_000_000_000,
        item_count=1,
        facts={"file_extension": "mp4", "created_at": "2026-05-18T00:00:00Z", "width": 3840, "height": 2160},
    )
    assert report.novelties == set()


def test_tokens_user_ids_and_addresses_stay_out_of_the_facts() -> None:
    composition = {"clips": [{"source_gumi": "1", "media_token": "t", "owner_user_id": 7, "see": "HTTPS://x/y"}]}
    medium = medium_of(
        composition=composition,
        content_title="see https://example.org/?sig=1",
        camera_model="eyJhbGciOiJSU0EtT0FF.x",
    )
    assert medium.facts["composition"] == {"clips": [{"source_gumi": "1"}]}
    text = json.dumps(medium.to_json())
    for secret in ("eyJ", "user-1", "https://", "HTTPS://", "user_id"):
        assert secret not in text


@pytest.mark.parametrize(
    ("told", "read_as"),
    [
        (None, None),
        ("123", 123),
        (-1, None),
        (12.0, 12),
        (True, None),
        ("4 GB", None),
        ([], None),
        (10**30, None),
    ],
)
def test_a_file_size_is_a_hint_in_whatever_form_it_comes(told: object, read_as: int | None) -> None:
    assert medium_of(file_size=told).length_hint == read_as


@pytest.mark.parametrize("told", [None, "", 7, ["a"]])
def test_a_filename_that_is_none_is_empty(told: object) -> None:
    assert medium_of(filename=told).filename == ""


def test_an_unknown_type_and_an_unknown_state_are_read_and_noted() -> None:
    medium, report = read(type="Hologram", ready_to_view="dreaming")
    assert medium is not None
    assert (medium.kind, medium.state, medium.arriving) == ("Hologram", "dreaming", False)
    assert report.novelties == {"type Hologram", "ready_to_view dreaming"}


@pytest.mark.parametrize("state", ["registered", "loading", "uploading"])
def test_a_medium_that_is_still_uploaded_is_arriving(state: str) -> None:
    assert medium_of(ready_to_view=state).arriving


@pytest.mark.parametrize("state", ["transcoding", "failure", "ready", "unknown"])
def test_a_medium_that_is_only_processed_is_not_arriving(state: str) -> None:
    assert not medium_of(ready_to_view=state).arriving


def test_a_field_that_is_gone_is_noted_and_the_medium_is_kept() -> None:
    report = ListingReport()
    assert read_medium({"id": 42}, report) is not None
    assert "no ready_to_view in a medium" in report.novelties
    assert "no filename in a medium" in report.novelties


@pytest.mark.parametrize("media_id", [None, "", "..", ".", 0, -3, True, "a b", "a\nb", "x" * 1000, {"a": 1}])
def test_a_row_without_a_usable_id_is_unreadable(media_id: object) -> None:
    medium, report = read(id=media_id)
    assert medium is None
    assert report.novelties == {"a medium without a readable id"}


def test_a_flood_of_novelties_is_cut_off() -> None:
    report = ListingReport()
    for number in range(1000):
        read_medium(ROW | {"type": f"T{number}" * 100}, report)
    assert len(report.novelties) == 50
    assert max(map(len, report.novelties)) <= 100


def test_values_without_bounds_are_bounded() -> None:
    nested: Any = []
    for _ in range(500):
        nested = [nested]
    medium = medium_of(composition=nested, content_title="x" * 10**6, item_durations=[1] * 10**5, camera_model="\ud800")
    assert len(json.dumps(medium.to_json(), ensure_ascii=False).encode()) < 5000


def test_a_page_without_totals_is_read_without_them() -> None:
    page = read_page({"_embedded": {"media": [ROW]}, "_pages": None})
    assert (page.rows, page.total_items, page.total_pages) == ((ROW,), None, None)
    told = read_page({"_embedded": {"media": []}, "_pages": {"total_items": "212", "total_pages": 5}})
    assert (told.total_items, told.total_pages) == (212, 5)


def test_an_account_tells_how_many_media_it_counts() -> None:
    account = read_account({"id": "u-1", "total_count": 3, "total_storage": "99"})
    assert (account.media_count, account.total_length) == (3, 99)
    assert "u-1" not in repr(account)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)),
    max_leaves=10,
)


@given(st.one_of(json_values, st.dictionaries(st.sampled_from([*ROW, "composition"]), json_values)))
def test_no_row_whatever_it_is_stops_the_listing(row: Any) -> None:
    report = ListingReport()
    medium = read_medium(row, report)
    if medium is None:
        assert "a medium without a readable id" in report.novelties
    else:
        line = json.dumps(medium.to_json(), ensure_ascii=False, allow_nan=False).encode()
        assert Medium.from_json(json.loads(line)) == medium
