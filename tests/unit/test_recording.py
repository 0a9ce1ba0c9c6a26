"""Whether a recording is whole, told from its boxes; and that a damaged one is archived as it is, and told."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.model import utc_now
from core.sync.notify import about_summary
from core.sync.request import Run
from core.transfer.recording import Walk, damage
from tests.cloud_sync import Backup, wanted
from tests.gopro_cloud import CloudFile, CloudMedium, GoProCloud
from tests.gopro_cloud.library import many_small, video
from tests.gopro_cloud.media import Body, Generated

REAL_RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "data"
MIB = 1024 * 1024


def box(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def large_box(kind: bytes, content: bytes = b"") -> bytes:
    """A box whose length has 64 bits."""
    return struct.pack(">I4sQ", 1, kind, len(content) + 16) + content


def last_box(kind: bytes, content: bytes = b"") -> bytes:
    """A box that ends with the file."""
    return struct.pack(">I", 0) + kind + content


FTYP, MOOV, MDAT = box(b"ftyp", b"mp41\x20\x13\x10\x18mp41"), box(b"moov", b"index" * 20), box(b"mdat", b"film" * 50)


def told(content: bytes) -> str:
    return damage(len(content), lambda start, end: content[start:end])


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(FTYP + MDAT + MOOV, id="index at the end"),
        pytest.param(FTYP + MOOV + MDAT, id="index in front"),
        pytest.param(FTYP + MOOV + large_box(b"mdat", b"film" * 50), id="64-bit length"),
        pytest.param(FTYP + MOOV + large_box(b"mdat"), id="64-bit length of an empty box"),
        pytest.param(FTYP + MOOV + last_box(b"mdat", b"film"), id="up to the end of the file"),
        pytest.param(FTYP + MOOV + last_box(b"mdat"), id="up to the end, and empty"),
        pytest.param(FTYP + MOOV + MDAT + box(b"free"), id="an empty box at the end"),
        pytest.param(FTYP + box(b"moof", b"x") + MDAT, id="fragmented"),
        pytest.param(FTYP + MOOV + MDAT + box(b"\xa9xyz", b"x"), id="a kind with a copyright sign"),
        pytest.param(FTYP + MOOV + box(b"uuid", bytes(40)), id="uuid"),
        pytest.param(MOOV, id="nothing but the index"),
        pytest.param(FTYP + MOOV + (box(b"moof") + box(b"mdat")) * 499, id="a thousand boxes"),
        pytest.param(FTYP + MOOV + (box(b"moof") + box(b"mdat")) * 600, id="more boxes than are looked at"),
        pytest.param(FTYP + box(b"mdat") * 1200 + MOOV, id="an index behind all that is looked at"),
    ],
)
def test_a_whole_recording_is_whole(content: bytes) -> None:
    assert told(content) == ""


@pytest.mark.parametrize(
    ("content", "what"),
    [
        pytest.param(FTYP + MDAT, "no index", id="no index"),
        pytest.param(b"", "no index", id="empty"),
        pytest.param(FTYP + MDAT + MOOV[:-1], "cut off: its last part ends 1 bytes behind", id="a byte is missing"),
        pytest.param(FTYP + MOOV + MDAT[:60], "cut off", id="cut off in the film"),
        pytest.param(FTYP + MOOV + large_box(b"mdat", b"film" * 50)[:-1], "cut off", id="cut off, 64-bit length"),
        pytest.param(FTYP + MOOV + MDAT[:7], "no part of a recording", id="cut off in a header"),
        pytest.param(FTYP + MOOV + large_box(b"mdat")[:15], "no part of a recording", id="cut off in a long header"),
        pytest.param(FTYP + MOOV + MDAT + b"\0" * 3, "no part of a recording", id="a few bytes more"),
        pytest.param(FTYP + MOOV + MDAT + b"\0" * 4096, "no part of a recording", id="zeros behind it"),
        pytest.param(FTYP + MOOV + struct.pack(">I4s", 7, b"mdat"), "no part", id="a box shorter than its header"),
        pytest.param(FTYP + MOOV + struct.pack(">I4sQ", 1, b"mdat", 15), "no part", id="a long box shorter than that"),
        pytest.param(FTYP + MOOV + struct.pack(">I4sQ", 1, b"mdat", 2**64 - 1), "cut off", id="an absurd length"),
        pytest.param(b"\xff\xd8\xff\xe0" + b"\x00\x10JFIF" * 9, "what stands at byte 0", id="a photo"),
        pytest.param(b"<Error>AccessDenied</Error>", "cut off", id="an error page"),
        pytest.param(b"\0" * 4096, "what stands at byte 0", id="nothing but zeros"),
    ],
)
def test_a_damaged_recording_is_told_as_such(content: bytes, what: str) -> None:
    assert what in told(content)


@given(st.binary(max_size=300))
def test_any_bytes_without_an_index_are_no_whole_recording(content: bytes) -> None:
    assume(b"moov" not in content and b"moof" not in content)
    assert told(content)


@given(st.lists(st.tuples(st.sampled_from([b"mdat", b"free", b"skip", b"moof"]), st.binary(max_size=40)), max_size=8))
def test_boxes_that_add_up_around_an_index_are_whole(boxes: list[tuple[bytes, bytes]]) -> None:
    rest = b"".join(box(kind, content) for kind, content in boxes)
    assert told(FTYP + MOOV + rest) == ""
    assert told(FTYP + rest + MOOV) == ""


@given(st.data())
def test_a_recording_with_its_index_at_the_end_is_damaged_wherever_it_is_cut_off(data: st.DataObject) -> None:
    content = FTYP + MDAT + MOOV
    assert told(content[: data.draw(st.integers(0, len(content) - 1))])


@given(st.integers(0, 3 * MIB - 1))
def test_a_recording_of_the_emulated_cloud_is_whole_and_damaged_where_it_is_cut_off_in_its_film(length: int) -> None:
    whole = Generated("a recording", 3 * MIB)
    assert damage(whole.length, whole.read) == ""
    film_begins = 8 + len(b"mp41") * 3 + 8 + 8 + 100
    if length != film_begins:
        assert damage(length, whole.read)


@pytest.mark.skipif(not REAL_RECORDINGS.is_dir(), reason="the real recordings are not beside this checkout")
@given(st.data())
def test_a_real_recording_is_whole_and_damaged_where_it_is_cut_off(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(REAL_RECORDINGS.glob("*.mp4"))))
    with path.open("rb") as file:

        def read(start: int, end: int) -> bytes:
            file.seek(start)
            return file.read(end - start)

        length = path.stat().st_size
        assert damage(length, read) == ""
        ends = {length - after for after in (0, *_lengths_of_last_boxes(path))}
        cut = data.draw(st.integers(1, length - 1))
        assert damage(cut, read) or cut in ends


def _lengths_of_last_boxes(path: Path) -> list[int]:
    """How far before the end of the file each of its boxes begins."""
    content = path.read_bytes()
    position, starts = 0, []
    while position < len(content):
        starts.append(len(content) - position)
        (size,) = struct.unpack(">I", content[position : position + 4])
        if size == 1:
            (size,) = struct.unpack(">Q", content[position + 8 : position + 16])
        position += size or len(content)
    return starts


whole_or_damaged = st.builds(
    lambda boxes, cut, behind: b"".join(boxes)[: -cut or None] + behind,
    st.lists(
        st.one_of(
            st.builds(box, st.sampled_from([b"ftyp", b"mdat", b"free", b"moov"]), st.binary(max_size=20)),
            st.builds(large_box, st.just(b"mdat"), st.binary(max_size=20)),
            st.builds(last_box, st.just(b"mdat"), st.binary(max_size=20)),
        ),
        max_size=6,
    ),
    st.integers(0, 12),
    st.binary(max_size=3),
)


@given(whole_or_damaged, st.data())
def test_of_bytes_that_pass_by_in_any_blocks_the_same_is_told(content: bytes, data: st.DataObject) -> None:
    walk, position = Walk(), 0
    while position < len(content):
        end = data.draw(st.integers(position + 1, len(content)))
        walk.pass_by(memoryview(content)[position:end])
        position = end
    assert walk.damage(len(content)) == told(content)


def test_few_bytes_of_a_recording_are_read() -> None:
    content = FTYP + MDAT + MOOV
    asked: list[int] = []

    def read(start: int, end: int) -> bytes:
        asked.append(end - start)
        return content[start:end]

    assert damage(len(content), read) == ""
    assert sum(asked) <= 3 * 16


# ------------------------------------------------------------------------------ a damaged one is archived


@dataclass(frozen=True)
class CutOff:
    """A recording of which only the first `length` bytes are there."""

    whole: Generated
    length: int

    def read(self, start: int, end: int) -> bytes:
        return self.whole.read(start, min(end, self.length))


def medium_of(media_id: str, body: Body) -> CloudMedium:
    file = CloudFile("variations", body, "source/default/1.mp4", "source", "mp4", tells_number=False, original=True)
    return CloudMedium(media_id, "Video", "GX010001.MP4", "2026-03-01T09:15:00Z", (file,), told_length=body.length)


@pytest.mark.parametrize(
    ("length", "has_ranges"),
    [(300_000, True), (9 * MIB, True), (9 * MIB, False)],
    ids=["in one piece", "in parts", "in a stream"],
)
def test_a_damaged_recording_is_archived_byte_for_byte_and_told(tmp_path: Path, length: int, has_ranges: bool) -> None:
    damaged = medium_of("damaged-film", CutOff(Generated("damaged", length + 5000), length))
    library = [damaged, video("good-film", "GX010002.MP4", "2026-03-02T09:15:00Z", 100_000), *many_small(1, 5000)]
    with GoProCloud(library) as cloud:
        cloud.quirks.no_ranges = not has_ranges
        backup = Backup(tmp_path, cloud)
        backup.sign_in(cloud.pasted())
        summary = backup.run()
        assert backup.archived() == wanted(library)
        assert backup.status("damaged-film") == "COMPLETED"
        assert (summary.status, summary.completed, summary.failed) == ("SUCCEEDED", 3, 0)
        assert [one.media_id for one in summary.damaged] == ["damaged-film"]
        assert "GX010001.MP4: it is cut off: its last part ends 5,000 bytes behind its end" in summary.damaged[0].error

        report = json.loads((backup.folder / "runs/run-1/report.json").read_text())
        assert [one["media_id"] for one in report["damaged"]] == ["damaged-film"]
        entry = json.loads((backup.folder / "catalog/gopro/damaged-film.json").read_text())
        assert "cut off" in entry["originals"][0]["damage"]

        notification = about_summary(summary, Run("run-1", utc_now()))
        assert "1 recordings were damaged before they came here" in notification.subject
        assert "- GX010001.MP4 (damaged-film): GX010001.MP4: it is cut off" in notification.message
        assert "good-film" not in notification.message

        served = cloud.counts.bytes_served.total()
        assert backup.run().damaged == ()
        assert cloud.counts.bytes_served.total() == served
