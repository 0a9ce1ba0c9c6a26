"""Keys of originals, for whatever a cloud may call its media."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import PureWindowsPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.archive.keys import catalog_key, manifest_key, original_keys, report_key, safe_name
from core.model import Medium, Original

#: Names of thousands of characters take their time on a busy machine.
unhurried = settings(deadline=None)

MARCH = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROLES = ("source", "file", "raw_photo", "baked_source", "unmarked")

#: The names that Windows keeps for devices, whatever their extension.
DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}
    | {f"{port}{number}" for port in ("COM", "LPT") for number in "0123456789¹²³"}
)

nasty = st.sampled_from(
    [
        *("/", "\\", ".", "..", "../", " ", "\t", "\n", "\0", "\x1b[31m", "\x7f", "\x85", "\u2028", "~", ":", "*"),
        *("\u200b", "\u200f", "\u202e", "\ufeff", "\ud800", "\ue000", "\ufdd0", "\U000e0041", "\ufe0f", "\u0301"),
        *("🏔", "👨\u200d👩\u200d👧", "é", "e\u0301", "ß", "İ", "٣", "视频", "con", "NUL", "com1", "lpt¹", "CONIN$"),
        *("GX010327", "GOPR0001", ".MP4", ".mp4", ".JPG", ".json", "_0001", "-2"),
    ]
)
words = st.one_of(
    st.text(max_size=40),
    st.text(st.characters(), max_size=20),  # with surrogates
    st.lists(nasty, max_size=8).map("".join),
    st.builds(lambda text, tail: text * 130 + tail, nasty, nasty),
)
anything = st.one_of(words, st.builds(lambda text, tail: (text * 5000)[:5000] + tail, nasty, nasty))
identifiers = anything.filter(bool)
moments = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.just(UTC))


def medium(
    media_id: str = "abc",
    filename: str = "GX010327.MP4",
    *,
    provider: str = "gopro",
    captured_at: datetime | None = MARCH,
    item_count: int | None = None,
    created_at: object = None,
) -> Medium:
    return Medium(
        provider=provider,
        media_id=media_id,
        filename=filename,
        kind="Video",
        state="ready",
        captured_at=captured_at,
        length_hint=None,
        item_count=item_count,
        facts={"created_at": created_at},
    )


def original(number: int = 1, role: str = "source", extension: str = "mp4", camera: str = "") -> Original:
    return Original("abc", number, role, extension, camera)


media = st.builds(
    medium,
    identifiers,
    anything,
    provider=st.one_of(st.just("gopro"), identifiers),
    captured_at=st.one_of(st.none(), moments),
    item_count=st.one_of(st.none(), st.integers(0, 5)),
    created_at=st.one_of(st.none(), anything, st.just("2026-03-01T00:00:00Z")),
)
originals = st.lists(
    st.builds(
        original,
        st.one_of(st.integers(1, 4), st.integers(1, 10**6)),
        st.sampled_from(ROLES),
        st.one_of(st.sampled_from(["mp4", "MP4", "jpg", "gpr", ""]), words),
        st.one_of(st.sampled_from(["", "default", "front", "Front", "back"]), words),
    ),
    min_size=1,
    max_size=8,
)


def is_a_device(name: str) -> bool:
    """Whether Windows takes a file name for a device: what counts is what stands before the first dot."""
    return name.partition(".")[0].rstrip(" ").upper() in DEVICES


@unhurried
@given(media, originals)
def test_a_key_is_provider_year_month_medium_and_name(one: Medium, all_of_it: Sequence[Original]) -> None:
    for key in original_keys(one, all_of_it):
        segments = key.split("/")
        assert len(segments) == 5
        provider, year, month, _, _ = segments
        assert provider.endswith("-videos")
        assert re.fullmatch(r"[0-9]{4}", year)
        assert re.fullmatch(r"0[0-9]|1[0-2]", month)
        assert not set(segments) & {"", ".", ".."}


@unhurried
@given(media, originals)
def test_no_key_holds_what_cannot_be_seen_or_what_no_file_system_takes(
    one: Medium, all_of_it: Sequence[Original]
) -> None:
    for key in original_keys(one, all_of_it):
        assert not [c for c in key if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}]
        assert not set(key) & set('\\<>:"|?*')
        for segment in key.split("/"):
            assert not segment.endswith((" ", "."))
            assert not segment.startswith(" ")


@unhurried
@given(media, originals)
def test_a_segment_has_255_bytes_at_most_and_a_key_1024(one: Medium, all_of_it: Sequence[Original]) -> None:
    for key in original_keys(one, all_of_it):
        assert max(len(segment.encode()) for segment in key.split("/")) <= 255
        assert len(key.encode()) <= 1024


@unhurried
@given(media, originals)
def test_no_segment_is_a_device_of_windows(one: Medium, all_of_it: Sequence[Original]) -> None:
    for key in original_keys(one, all_of_it):
        assert not [segment for segment in key.split("/") if is_a_device(segment)]


@pytest.mark.parametrize("device", sorted(DEVICES))
def test_a_medium_called_like_a_device_of_windows_gets_another_name(device: str) -> None:
    for name in (device, device.lower(), f"{device}.x", f"{device} .tar.gz"):
        keys = original_keys(medium(name, f"{name}.MP4"), [original()]) + original_keys(
            medium(name, name), [original()]
        )
        keys.append(catalog_key("gopro", name))
        assert not [segment for key in keys for segment in key.split("/") if is_a_device(segment)]


@pytest.mark.parametrize("filename", ["con" + " " * 200 + "x", "COM1" + " " * 300 + "holiday.MP4"])
def test_a_name_that_had_to_be_cut_is_no_device_of_windows(filename: str) -> None:
    assert not is_a_device(original_keys(medium(filename=filename), [original()])[0].rpartition("/")[2])


@unhurried
@given(media, originals)
def test_no_two_originals_of_a_medium_have_one_key_even_where_case_is_ignored(
    one: Medium, all_of_it: Sequence[Original]
) -> None:
    keys = original_keys(one, all_of_it)
    assert len(keys) == len(all_of_it)
    assert len({key.casefold() for key in keys}) == len(keys)


@unhurried
@given(media, originals)
def test_the_originals_of_a_medium_lie_in_one_folder(one: Medium, all_of_it: Sequence[Original]) -> None:
    assert len({key.rpartition("/")[0] for key in original_keys(one, all_of_it)}) == 1


@unhurried
@given(identifiers, identifiers)
@example("a/b", "a_b")
@example("a.", "a")
@example("..", ".")
@example("con", "_con")
@example("x" * 100, "x" * 101)
@example("é", "e\u0301")
def test_two_media_never_share_a_folder_or_a_catalog_entry(one: str, other: str) -> None:
    folders = {original_keys(medium(media_id), [original()])[0].rpartition("/")[0] for media_id in (one, other)}
    entries = {catalog_key("gopro", media_id) for media_id in (one, other)}
    assert (len(folders) == 1) == (len(entries) == 1) == (one == other)


@unhurried
@given(media, originals)
def test_the_same_input_gives_the_same_keys(one: Medium, all_of_it: Sequence[Original]) -> None:
    keys = original_keys(one, all_of_it)
    original_keys(medium("another", "in between.MP4"), [original(), original(2)])
    assert original_keys(one, all_of_it) == keys


@unhurried
@given(identifiers, identifiers)
def test_the_product_s_own_documents_have_keys_of_the_same_kind(provider: str, name: str) -> None:
    for key in (catalog_key(provider, name), manifest_key(name), report_key(name)):
        segments = key.split("/")
        assert len(segments) == 3
        assert not set(segments) & {"", ".", ".."}
        assert re.fullmatch(r"[A-Za-z0-9._=~/-]+", key)
        assert len(key.encode()) <= 1024


@given(st.from_regex(r"[A-Za-z0-9_=-]{1,60}", fullmatch=True).filter(lambda text: not is_a_device(text)))
def test_an_id_that_is_harmless_stays_as_it_is(media_id: str) -> None:
    assert original_keys(medium(media_id), [original()]) == [f"gopro-videos/2026/03/{media_id}/GX010327.MP4"]


@given(st.from_regex(r"G[A-Z][0-9]{6}\.(MP4|JPG|360|WAV)", fullmatch=True))
def test_a_camera_s_own_name_stays_as_it_is(filename: str) -> None:
    extension = filename.rpartition(".")[2].lower()
    assert original_keys(medium(filename=filename), [original(extension=extension)]) == [
        f"gopro-videos/2026/03/abc/{filename}"
    ]


@given(st.integers(1, 99), st.integers(0, 9999), st.sampled_from("XHLS"))
def test_chapters_are_named_as_the_camera_names_them(count: int, number: int, codec: str) -> None:
    chapters = [original(item) for item in range(1, count + 1)]
    keys = original_keys(medium(filename=f"G{codec}01{number:04}.MP4", item_count=count), chapters)
    assert [PureWindowsPath(key).name for key in keys] == [
        f"G{codec}{item:02}{number:04}.MP4" for item in range(1, count + 1)
    ]


def test_chapters_beyond_what_the_camera_s_name_can_count_have_their_numbers_behind() -> None:
    keys = original_keys(medium(), [original(98), original(99), original(100), original(101)])
    assert [key.rpartition("/")[2] for key in keys] == [
        "GX980327.MP4",
        "GX990327.MP4",
        "GX010327_0100.MP4",
        "GX010327_0101.MP4",
    ]


@pytest.mark.parametrize(
    ("filename", "made", "expected"),
    [
        ("GS__0001.JPG", original(7, "file", "jpg"), "GS__0001_0007.JPG"),
        ("GX010327.MP4", original(2, camera="front"), "GX020327_front.MP4"),
        ("GOPR0327.JPG", original(1, "raw_photo", "gpr"), "GOPR0327.GPR"),
        ("GOPR0327.jpg", original(1, "raw_photo", "gpr"), "GOPR0327.GPR"),
        ("Film.json", original(1, "baked_source", "mp4"), "Film.mp4"),
        ("Ein schöner Tag.mp4", original(), "Ein schöner Tag.mp4"),
        ("Scho\u0308n.MP4", original(), "Schön.MP4"),
        ("a/../b.MP4", original(), "a_.._b.MP4"),
        ("\u202e4PM.mp4", original(), "4PM.mp4"),
        ("con.MP4", original(), "_con.MP4"),
        ("", original(), "abc.mp4"),
        ("..", original(), "abc.mp4"),
        ("." * 199 + "x", original(), "abc.mp4"),
    ],
)
def test_names_stay_readable(filename: str, made: Original, expected: str) -> None:
    assert original_keys(medium(filename=filename), [made])[0].rpartition("/")[2] == expected


@given(st.text("ab🏔ü", min_size=1, max_size=30), st.integers(1, 200), st.sampled_from(["MP4", "jpg", "360"]))
def test_a_name_that_is_too_long_keeps_its_beginning_and_its_extension(text: str, times: int, extension: str) -> None:
    stem = text * times
    name = safe_name(f"{stem}.{extension}")
    assert name.endswith(f".{extension}")
    assert stem.startswith(name.removesuffix(f".{extension}"))
    assert len(name.encode()) >= min(len(f"{stem}.{extension}".encode()), 200 - len("🏔".encode()))


offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)), offsets)
def test_year_and_month_are_those_of_utc_wherever_the_clock_hung(local: datetime, zone: timezone) -> None:
    moment = local.replace(tzinfo=zone)
    key = original_keys(medium(captured_at=moment), [original()])[0]
    assert key.startswith(f"gopro-videos/{moment.astimezone(UTC):%Y/%m}/")


@pytest.mark.parametrize(
    ("captured_at", "expected"),
    [
        ("2026-03-31T23:59:59.999999+00:00", "2026/03"),
        ("2026-04-01T00:00:00+00:00", "2026/04"),
        ("2026-03-31T20:00:00-05:00", "2026/04"),
        ("2026-04-01T01:30:00+02:00", "2026/03"),
        ("2026-01-01T00:30:00+01:00", "2025/12"),
        ("2025-12-31T22:00:00-03:00", "2026/01"),
    ],
)
def test_a_night_s_medium_is_in_the_month_of_utc(captured_at: str, expected: str) -> None:
    key = original_keys(medium(captured_at=datetime.fromisoformat(captured_at)), [original()])[0]
    assert key.startswith(f"gopro-videos/{expected}/")


@pytest.mark.parametrize(
    ("created_at", "expected"),
    [("2025-12-31T23:30:00-01:00", "2026/01"), ("yesterday", "0000/00"), (None, "0000/00"), (7, "0000/00")],
)
def test_without_a_time_of_capture_that_of_upload_counts(created_at: object, expected: str) -> None:
    key = original_keys(medium(captured_at=None, created_at=created_at), [original()])[0]
    assert key.startswith(f"gopro-videos/{expected}/")


@given(st.integers(2, 40), words, st.data())
def test_the_keys_of_a_set_s_frames_stay_when_later_ones_arrive(count: int, filename: str, data: st.DataObject) -> None:
    frames = [original(number, "file", "jpg") for number in range(1, count + 1)]
    there = sorted(data.draw(st.sets(st.sampled_from(range(count)), min_size=1)))
    burst = medium(filename=filename, item_count=count)
    whole = original_keys(burst, frames)
    assert original_keys(burst, [frames[place] for place in there]) == [whole[place] for place in there]


@given(st.integers(2, 99), st.data())
def test_the_keys_of_a_camera_s_chapters_stay_when_later_ones_arrive(count: int, data: st.DataObject) -> None:
    chapters = [original(number) for number in range(1, count + 1)]
    there = sorted(data.draw(st.sets(st.sampled_from(range(count)), min_size=1)))
    one = medium(item_count=count)
    whole = original_keys(one, chapters)
    assert original_keys(one, [chapters[place] for place in there]) == [whole[place] for place in there]


@pytest.mark.parametrize(
    ("filename", "role", "extension"),
    [("GOPR0327.MP4", "source", "mp4"), ("Ferien.mp4", "source", "mp4"), ("G0010001.JPG", "raw_photo", "gpr")],
    ids=["chapters of an older camera", "renamed chapters", "raws of a burst"],
)
def test_the_first_original_keeps_its_key_when_the_second_arrives(filename: str, role: str, extension: str) -> None:
    one = medium(filename=filename, item_count=3)
    first, second = (original(number, role, extension) for number in (1, 2))
    assert original_keys(one, [first]) == original_keys(one, [first, second])[:1]


def test_a_photo_and_its_raw_have_one_name() -> None:
    one = medium(filename="GOPR0420.JPG", item_count=2)
    keys = original_keys(one, [original(1, "source", "jpg"), original(1, "raw_photo", "gpr")])
    assert [key.rpartition("/")[2] for key in keys] == ["GOPR0420.JPG", "GOPR0420.GPR"]
