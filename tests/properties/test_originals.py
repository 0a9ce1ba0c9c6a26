"""Rules of originals that hold for any answer."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from core.model import Medium
from core.providers.gopro.originals import offer
from core.providers.gopro.parse import KINDS

words = st.one_of(st.none(), st.booleans(), st.integers(-5, 10**7), st.text(max_size=12))
urls = st.one_of(
    st.builds("https://cdn.example/{}/{}.mp4?s={}".format, st.sampled_from("ab"), st.integers(0, 4), st.text()),
    words,
)
entries = st.fixed_dictionaries(
    {"url": urls},
    optional={
        "label": st.one_of(st.sampled_from(["source", "baked_source", "raw_photo", "concat", "mp4_low"]), words),
        "type": st.one_of(st.sampled_from(["mp4", "jpg", "gpr"]), words),
        "item_number": st.one_of(st.integers(0, 4), words),
        "camera_position": st.one_of(st.sampled_from(["default", "front", "back"]), words),
        "available": st.booleans(),
        "height": st.one_of(st.just(2160), words),
        "width": st.one_of(st.just(3840), words),
    },
)
rows = st.one_of(st.lists(st.one_of(entries, words), max_size=8), words)
answers = st.fixed_dictionaries(
    {"_embedded": st.fixed_dictionaries({"files": rows, "variations": rows, "sidecar_files": rows})}
)
media = st.builds(
    Medium,
    provider=st.just("gopro"),
    media_id=st.just("abc"),
    filename=st.text(max_size=12),
    kind=st.sampled_from([*sorted(KINDS), "Hologram"]),
    state=st.sampled_from(["ready", "transcoding"]),
    captured_at=st.none(),
    length_hint=st.none(),
    item_count=st.one_of(st.none(), st.integers(0, 9)),
)


@given(media, answers)
def test_item_numbers_are_unique_within_role_and_camera_and_begin_at_one(
    medium: Medium, answer: dict[str, Any]
) -> None:
    originals = offer(medium, answer)[0].originals
    places = [(one.role, one.camera_position, one.item_number) for one in originals]
    assert len(set(places)) == len(places)
    assert all(one.item_number >= 1 for one in originals)


@given(media, answers)
def test_an_offer_without_originals_says_what_is_missing(medium: Medium, answer: dict[str, Any]) -> None:
    found = offer(medium, answer)[0]
    assert found.originals or found.missing


@given(media, answers)
def test_only_available_entries_with_an_address_are_offered_and_never_a_join(
    medium: Medium, answer: dict[str, Any]
) -> None:
    embedded = answer["_embedded"]
    listed = [row for part in embedded.values() if isinstance(part, list) for row in part if isinstance(row, dict)]
    good = {row["url"] for row in listed if row.get("available") is not False and row.get("label") != "concat"}
    assert {one.locator for one in offer(medium, answer)[0].originals} <= good


@given(media, st.lists(entries, max_size=5), st.sampled_from(["files", "variations", "sidecar_files"]))
def test_the_server_s_own_join_is_never_offered_wherever_it_stands(
    medium: Medium, others: list[dict[str, Any]], shelf: str
) -> None:
    join = {"url": "https://cdn.example/join.mp4", "label": "concat", "type": "mp4", "item_number": 1, "height": 2160}
    found, _ = offer(medium, {"_embedded": {"variations": others, shelf: [join, *others]}})
    assert join["url"] not in [one.locator for one in found.originals]


@given(media, answers)
def test_extensions_and_camera_positions_are_harmless_in_a_name(medium: Medium, answer: dict[str, Any]) -> None:
    for one in offer(medium, answer)[0].originals:
        assert re.fullmatch(r"[a-z0-9]{0,8}", one.extension)
        assert re.fullmatch(r"[A-Za-z0-9_-]{0,20}", one.camera_position)


@given(st.integers(1, 12), st.data(), st.sampled_from(["told", "path"]))
def test_chapters_get_the_same_numbers_in_whatever_order_and_however_many_are_there(
    count: int, data: st.DataObject, by: str
) -> None:
    def chapter(number: int) -> dict[str, Any]:
        told = {"item_number": number} if by == "told" else {}
        place = f"c{number}" if by == "told" else f"source/default/{number}.mp4"
        return {"url": f"https://cdn.example/{place}", "label": "source", "type": "mp4"} | told

    numbers = data.draw(st.permutations(range(1, count + 1)))
    there = numbers[: data.draw(st.integers(1, count))]
    medium = Medium("gopro", "abc", "GX010001.MP4", "Chaptered", "ready", None, None, count)
    found = offer(medium, {"_embedded": {"variations": [chapter(number) for number in there]}})[0]
    assert [one.item_number for one in found.originals] == sorted(there)
    assert all(f"{one.item_number}" in one.locator for one in found.originals)
    assert bool(found.missing) == (len(there) < count)
