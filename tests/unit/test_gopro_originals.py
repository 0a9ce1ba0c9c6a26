"""Which entries of a download answer are originals: one test for each way in which other clients lost data.

The three samples are answers of the real service, from the BSD-3-licensed test data of dustin/gopro.
"""

from __future__ import annotations

from typing import Any

from core.model import Medium, Offer
from core.providers.gopro.originals import NOTHING_YET, offer

Entry = dict[str, Any]


def medium(kind: str = "Video", count: int | None = 1, state: str = "ready", **facts: Any) -> Medium:
    filename = facts.pop("filename", "GX010001.MP4")
    return Medium("gopro", "abc", filename, kind, state, None, None, count, facts)


def answer(
    files: list[Entry] | None = None,
    variations: list[Entry] | None = None,
    sidecars: list[Entry] | None = None,
) -> dict[str, Any]:
    return {
        "filename": "",
        "_embedded": {"files": files or [], "variations": variations or [], "sidecar_files": sidecars or []},
    }


def source(url: str, **more: Any) -> Entry:
    return {"url": url, "label": "source", "type": "mp4", "height": 2160, "width": 3840} | more


def frame(number: int | None, url: str, **more: Any) -> Entry:
    return {"url": url, "item_number": number, "camera_position": "default"} | more


PROXY = {
    "url": "https://cdn.example/proxy.mp4",
    "label": "high_res_proxy_mp4",
    "type": "mp4",
    "height": 1080,
    "width": 1920,
}
PROXY_FILE = {"url": "https://cdn.example/proxy.mp4", "item_number": 1, "height": 1080, "width": 1920}


def resolved(one: Medium, document: dict[str, Any]) -> Offer:
    return offer(one, document)[0]


def locators(found: Offer) -> list[str]:
    return [original.locator for original in found.originals]


def test_the_source_of_a_video_is_taken_and_not_the_proxy_in_files() -> None:
    sample = answer(
        files=[frame(1, "http://a/", height=1080, width=1920)],
        variations=[
            {"url": "http://e/", "label": "edit_proxy", "type": "mp4", "height": 240, "width": 426},
            {"url": "http://k/", "label": "source", "type": "mp4", "height": 1520, "width": 2704},
            {"url": "http://l/", "label": "high_res_proxy_mp4", "type": "mp4", "height": 1080, "width": 1920},
        ],
        sidecars=[{"url": "http://b/", "label": "gpmf", "type": "1.mp4"}],
    )
    found = resolved(medium(filename="GX010327.MP4"), sample)
    assert locators(found) == ["http://k/"]
    assert [(one.role, one.item_number, one.extension) for one in found.originals] == [("source", 1, "mp4")]
    assert found.missing == ""


def test_the_source_of_a_photo_without_a_name_is_taken_once() -> None:
    sample = answer(
        files=[frame(1, "http://a", height=3000, width=4000)],
        variations=[{"url": "http://a", "label": "source", "type": "jpg", "height": 3000, "width": 4000}],
    )
    found = resolved(medium("Photo", filename=""), sample)
    assert [(one.role, one.extension) for one in found.originals] == [("source", "jpg")]


def test_every_frame_of_a_time_lapse_is_taken_and_neither_its_video_nor_its_zip() -> None:
    sample = answer(
        files=[frame(1, "http://a/"), frame(2, "http://aprime/")],
        variations=[{"url": "http://d/", "label": "timelapse_video", "type": "mp4"}],
        sidecars=[{"url": "http://b/", "label": "ziplabel", "type": "zip"}],
    )
    found = resolved(medium("TimeLapse", 2, filename="G0000004.JPG"), sample)
    assert locators(found) == ["http://a/", "http://aprime/"]
    assert {(one.role, one.extension) for one in found.originals} == {("file", "jpg")}


def test_the_lone_source_of_a_burst_is_only_its_cover() -> None:
    for kind in ("Burst", "TimeLapse", "Continuous"):
        cover = [source("https://cdn.example/cover.jpg", type="jpg")]
        frames = [frame(number, f"https://cdn.example/{number}.jpg") for number in (3, 1, 2)]
        found = resolved(medium(kind, 3), answer(frames, cover))
        assert [one.item_number for one in found.originals] == [1, 2, 3]
        assert "cover" not in "".join(locators(found))
        assert resolved(medium(kind, 3), answer([], cover)) == Offer((), NOTHING_YET)


def test_a_chaptered_video_has_all_its_chapters_and_never_the_join() -> None:
    chapters = [source(f"https://cdn.example/x{number}", item_number=number) for number in (2, 3, 1)]
    join = {"url": "https://cdn.example/all.mp4", "label": "concat", "type": "mp4"}
    found = resolved(medium("Chaptered", 3), answer([PROXY_FILE], [join, *chapters, PROXY]))
    assert locators(found) == [f"https://cdn.example/x{number}" for number in (1, 2, 3)]
    assert found.missing == ""


def test_chapters_without_numbers_take_them_from_the_address() -> None:
    chapters = [source(f"https://cdn.example/source/default/{number}.mp4?sig=a") for number in (3, 1, 2)]
    found = resolved(medium(count=3), answer(variations=chapters))
    assert [one.item_number for one in found.originals] == [1, 2, 3]
    assert [url.rsplit("/")[-1][0] for url in locators(found)] == ["1", "2", "3"]


def test_chapters_that_nothing_tells_apart_are_numbered_by_their_order() -> None:
    chapters = [source(f"https://cdn.example/{name}") for name in ("c", "a", "b")]
    found = resolved(medium(count=3), answer(variations=chapters))
    assert [(one.item_number, one.locator[-1]) for one in found.originals] == [(1, "c"), (2, "a"), (3, "b")]


def test_chapters_that_all_claim_to_be_the_first_are_still_all_taken() -> None:
    chapters = [source(f"https://cdn.example/{name}", item_number=1) for name in ("a", "b")]
    found = resolved(medium(count=2), answer(variations=chapters))
    assert [one.item_number for one in found.originals] == [1, 2]


def test_numbers_that_begin_at_zero_are_counted_from_one() -> None:
    chapters = [source(f"https://cdn.example/{name}", item_number=name) for name in (0, 1)]
    assert [one.item_number for one in resolved(medium(count=2), answer(variations=chapters)).originals] == [
        1,
        2,
    ]


def test_a_chapter_that_is_late_leaves_the_others_their_numbers() -> None:
    chapters = [source(f"https://cdn.example/x{number}", item_number=number) for number in (1, 2, 3)]
    late = resolved(medium(count=3), answer(variations=[chapters[0], chapters[2]]))
    assert [one.item_number for one in late.originals] == [1, 3]
    assert late.missing == "2 of 3 originals are offered so far"
    assert set(late.originals) < set(resolved(medium(count=3), answer(variations=chapters)).originals)


def test_a_chapter_that_is_not_available_is_missing_and_keeps_its_place() -> None:
    chapters = [
        source("https://cdn.example/a"),
        source("https://cdn.example/b"),
        source("https://cdn.example/c"),
    ]
    chapters[1]["available"] = False
    found = resolved(medium(count=3), answer(variations=chapters))
    assert [(one.item_number, one.locator[-1]) for one in found.originals] == [(1, "a"), (3, "c")]
    assert found.missing == "1 of 3 originals are not available yet"


def test_the_raw_photo_is_an_original_too() -> None:
    raw = {"url": "https://cdn.example/1.gpr", "label": "raw_photo", "type": "gpr"}
    found = resolved(
        medium("Photo", filename="GOPR0001.JPG"),
        answer(variations=[source("https://cdn.example/1.jpg", type="jpg")], sidecars=[raw]),
    )
    assert [(one.role, one.extension) for one in found.originals] == [("source", "jpg"), ("raw_photo", "gpr")]


def test_a_series_has_its_frames_and_one_raw_photo_for_each() -> None:
    frames = [frame(number, f"https://cdn.example/{number}.jpg") for number in (1, 2)]
    raws = [{"url": f"https://cdn.example/r{number}", "label": "raw_photo", "item_number": number} for number in (2, 1)]
    for kind in ("Photo", "Burst"):
        cover = [source("https://cdn.example/1.jpg", type="jpg")]
        found = resolved(medium(kind, 2, filename="G0010001.JPG"), answer(frames, cover, raws))
        assert [(one.role, one.item_number, one.extension) for one in found.originals] == [
            ("file", 1, "jpg"),
            ("file", 2, "jpg"),
            ("raw_photo", 1, "gpr"),
            ("raw_photo", 2, "gpr"),
        ]
        assert found.missing == ""


def test_an_edit_is_archived_as_what_was_baked() -> None:
    baked = {"url": "https://cdn.example/baked", "label": "baked_source", "type": "mp4"}
    for kind in ("MultiClipEdit", "Edit"):
        edit = medium(kind, 7, filename="edit.json", file_extension="json")
        found = resolved(edit, answer([PROXY_FILE], [PROXY, baked]))
        assert [(one.role, one.extension) for one in found.originals] == [("baked_source", "mp4")]
        assert found.missing == ""


def test_a_proxy_is_never_taken_for_a_video_without_a_source() -> None:
    found = resolved(medium(height=2160, width=3840), answer([PROXY_FILE], [PROXY]))
    assert found == Offer((), "only smaller copies are offered, not the original")


def test_a_file_without_a_label_is_taken_only_marked_and_only_once_the_medium_is_ready() -> None:
    full_size = answer([PROXY_FILE | {"height": 2160, "width": 3840}])
    assert resolved(medium(state="transcoding", height=2160, width=3840), full_size) == Offer((), NOTHING_YET)
    found = resolved(medium("ExternalVideo", height=2160, width=3840), full_size)
    assert [(one.role, one.item_number) for one in found.originals] == [("unmarked", 1)]


def test_a_medium_that_offers_nothing_is_pending_and_not_done() -> None:
    for kind in ("Video", "Photo", "Burst", "Edit", "Session", "Hologram"):
        assert resolved(medium(kind, None), answer()) == Offer((), NOTHING_YET)


def test_an_unknown_type_is_archived_by_its_sources_and_noted() -> None:
    found, novelties = offer(medium("Hologram"), answer([PROXY_FILE], [source("https://cdn.example/s.mp4")]))
    assert [one.role for one in found.originals] == ["source"]
    assert novelties == {"type Hologram"}


def test_an_unknown_type_with_more_files_than_sources_loses_none_of_them() -> None:
    frames = [frame(number, f"https://cdn.example/{number}.jpg") for number in (1, 2, 3)]
    cover = [source("https://cdn.example/1.jpg", type="jpg")]
    found = resolved(medium("HyperBurst", 3, filename="A.JPG"), answer(frames, cover))
    assert [(one.role, one.item_number) for one in found.originals] == [
        ("source", 1),
        ("unmarked", 2),
        ("unmarked", 3),
    ]


def test_a_label_that_sounds_like_an_original_is_noted() -> None:
    document = answer(variations=[source("https://cdn.example/s"), PROXY | {"label": "source_hevc"}])
    assert offer(medium(), document)[1] == {"label source_hevc"}


def test_two_cameras_keep_their_files_apart() -> None:
    entries = [
        source(f"https://cdn.example/{camera}", item_number=1, camera_position=camera) for camera in ("front", "back")
    ]
    found = resolved(medium(count=2), answer(variations=entries))
    assert [(one.camera_position, one.item_number) for one in found.originals] == [("back", 1), ("front", 1)]


def test_the_same_file_under_two_signatures_is_one_original() -> None:
    entries = [source(f"https://cdn.example/source/default/1.mp4?sig={sig}") for sig in "ab"]
    assert len(resolved(medium(), answer(variations=entries)).originals) == 1


def test_files_that_differ_in_the_query_alone_are_not_thrown_away_when_the_address_has_no_path() -> None:
    entries = [source(f"https://cdn.example/?file={name}") for name in "ab"]
    assert len(resolved(medium(count=2), answer(variations=entries)).originals) == 2


def test_what_cannot_be_read_of_an_answer_is_noted_and_the_rest_is_taken() -> None:
    document = {"_embedded": {"files": "none", "variations": [7, None, source("https://cdn.example/s")]}}
    found, novelties = offer(medium(), document)
    assert len(found.originals) == 1
    assert novelties == {"files is not a list", "an entry of variations that is not an object"}


def test_a_label_that_is_an_address_or_a_token_is_noted_without_what_it_says() -> None:
    labels = ["https://cdn.example/source/1.mp4?Signature=SECRET", "source eyJhbGciOiJSUzI1NiIsInR5.SECRETSECRET", 5]
    document = answer([], [source("https://cdn.example/s.mp4"), *({"url": "u", "label": one} for one in labels)])
    found, novelties = offer(medium(), document)
    assert locators(found) == ["https://cdn.example/s.mp4"]
    assert novelties == {"an entry of variations whose label is no name"}
    assert offer(medium(), {"_embedded": None})[0] == Offer((), NOTHING_YET)


def test_an_extension_is_taken_from_the_entry_the_name_or_the_address_and_is_always_harmless() -> None:
    def extension(entry: Entry, filename: str = "") -> str:
        return resolved(medium(filename=filename), answer(variations=[entry])).originals[0].extension

    assert extension(source("https://cdn.example/1.mov", type="MP4")) == "mp4"
    assert extension(source("https://cdn.example/1", type=None), "GX010001.MP4") == "mp4"
    assert extension(source("https://cdn.example/1.360?x=1.exe", type="../../sh")) == "360"
    assert extension(source("https://cdn.example/1", type={"a": 1})) == ""
