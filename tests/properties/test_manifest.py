"""The manifest of a run: what is written there comes back, line by line, whoever reads it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.archive.folder import FolderArchive
from core.errors import InvalidInput
from core.model import Account, Medium, Offer, Original, Record, Status
from core.providers.base import ByteSource, ListingReport
from core.sync.plan import Plan, is_due, make_plan, parse_manifest, read_manifest
from core.sync.request import Run, SyncRequest
from core.tracker.sqlite import SqliteTracker

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
PLAIN = Medium("gopro", "abc", "GX010327.MP4", "Video", "ready", NOW, 4_000_000_000, 1)

#: What one reader or another takes for the end of a line.
SEPARATORS = ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]

texts = st.one_of(
    st.text(max_size=20), st.lists(st.one_of(st.sampled_from(SEPARATORS), st.text(max_size=3)), max_size=5).map("".join)
)
counts = st.one_of(st.none(), st.integers(0, 2**63 - 1))
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
facts = st.dictionaries(
    texts,
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
        max_leaves=5,
    ),
    max_size=4,
)
media = st.builds(
    Medium,
    provider=st.just("gopro"),
    media_id=texts.filter(bool),
    filename=texts,
    kind=texts,
    state=texts,
    captured_at=st.one_of(st.none(), st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=zones)),
    length_hint=counts,
    item_count=counts,
    facts=facts,
    arriving=st.booleans(),
)
libraries = st.lists(media, max_size=6, unique_by=lambda medium: medium.media_id)


@dataclass
class Shelf:
    """A library that lists what stands on it and does nothing else."""

    media: Sequence[Medium]
    name: str = "gopro"
    title: str = "GoPro"

    def list_media(self, report: ListingReport) -> Iterator[Medium]:
        yield from self.media
        report.expected = report.found = len(self.media)

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


@dataclass(frozen=True)
class Planned:
    """A plan, and its manifest as bytes and as the product reads it."""

    plan: Plan
    manifest: bytes
    media: list[Medium]


def planned(library: Sequence[Medium], request: SyncRequest | None = None, records: Sequence[Record] = ()) -> Planned:
    with tempfile.TemporaryDirectory() as path:
        archive = FolderArchive(Path(path))
        tracker = SqliteTracker(Path(path, "tracker.sqlite3"))
        for record in records:
            tracker.save(record)
        plan = make_plan(request or SyncRequest(), Run("run-1", NOW), Shelf(library), tracker, archive)
        manifest = Path(archive.location(plan.manifest_key)).read_bytes()
        return Planned(plan, manifest, list(read_manifest(archive, plan.manifest_key)))


def line_of(medium: Medium) -> bytes:
    return json.dumps(medium.to_json()).encode()


def record(media_id: str, status: Status) -> Record:
    return Record("gopro", media_id, status, "run-0", NOW)


@given(media)
def test_a_medium_comes_back_from_its_line_as_it_was(medium: Medium) -> None:
    assert list(parse_manifest([line_of(medium)])) == [medium]
    assert list(parse_manifest([line_of(medium).decode() + "\n"])) == [medium]


@settings(deadline=None, max_examples=40)
@given(libraries)
def test_what_a_plan_wrote_is_what_a_transfer_reads(library: list[Medium]) -> None:
    found = planned(library)
    assert found.media == [medium for medium in library if not medium.arriving]
    assert found.plan.new == len(found.media)


@settings(deadline=None, max_examples=40)
@given(libraries)
def test_a_manifest_has_one_json_object_a_line(library: list[Medium]) -> None:
    found = planned(library)
    lines = found.manifest.splitlines()
    assert found.manifest == b"".join(line + b"\n" for line in lines)
    assert [json.loads(line)["media_id"] for line in lines] == [medium.media_id for medium in found.media]


@pytest.mark.parametrize("field", ["filename", "facts"])
@pytest.mark.parametrize("separator", SEPARATORS, ids=ascii)
def test_no_reader_takes_a_name_for_the_end_of_a_line(separator: str, field: str) -> None:
    name = f"one{separator}two.MP4"
    library = [
        replace(PLAIN, filename=name) if field == "filename" else replace(PLAIN, facts={"title": name}),
        replace(PLAIN, media_id="next"),
    ]
    assert len(planned(library).manifest.decode().splitlines()) == 2


def test_blank_lines_are_passed_over() -> None:
    assert list(parse_manifest([b"\n", line_of(PLAIN), b"", b"  \r\n"])) == [PLAIN]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"GX010327.MP4", id="no JSON"),
        pytest.param(b'{"provider": "gopro", "media_id": "ab', id="cut off"),
        pytest.param(b'{"provider": "gopro", "media_id": "\xff"}', id="no UTF-8"),
        pytest.param(b"{}", id="empty"),
        pytest.param(b'{"media_id": "abc"}', id="no provider"),
        pytest.param(b'{"provider": "gopro"}', id="no media id"),
        pytest.param(
            b'{"provider": "gopro", "media_id": null}',
            id="null for a media id",
        ),
        pytest.param(b'["gopro", "abc"]', id="list"),
        pytest.param(b'"abc"', id="text"),
        pytest.param(b"7", id="number"),
        pytest.param(b"null", id="null"),
    ],
)
def test_a_malformed_line_is_told_with_what_to_do(line: bytes) -> None:
    media = parse_manifest([line_of(PLAIN), line])
    assert next(media) == PLAIN
    with pytest.raises(InvalidInput, match="Plan the sync again"):
        next(media)


@given(media)
def test_only_provider_and_media_id_are_needed(medium: Medium) -> None:
    line = json.dumps({"provider": medium.provider, "media_id": medium.media_id, "a_later_field": 1})
    assert list(parse_manifest([line])) == [Medium("gopro", medium.media_id, "", "", "", None, None, None)]


records = st.one_of(st.none(), st.builds(record, st.just("abc"), st.sampled_from(Status)))
requests = st.builds(
    SyncRequest,
    full_scan=st.booleans(),
    max_items=st.one_of(st.none(), st.integers(1, 5)),
    media_ids=st.one_of(st.none(), st.lists(st.sampled_from(["abc", "xyz"]), max_size=2).map(tuple)),
    dry_run=st.booleans(),
)


@given(media, requests)
def test_a_completed_medium_is_never_due(medium: Medium, request: SyncRequest) -> None:
    assert not is_due(medium, record(medium.media_id, Status.COMPLETED), request)


@given(media, records, requests)
def test_a_medium_that_is_still_being_uploaded_is_never_due(
    medium: Medium, known: Record | None, request: SyncRequest
) -> None:
    assert not is_due(replace(medium, arriving=True), known, request)


@given(media, records)
def test_a_medium_that_was_not_asked_for_is_never_due(medium: Medium, known: Record | None) -> None:
    assert not is_due(medium, known, SyncRequest(media_ids=()))
    assert not is_due(medium, known, SyncRequest(media_ids=(f"{medium.media_id}0", medium.media_id.upper() + "x")))


@given(media, st.sampled_from([None, *(status for status in Status if status is not Status.COMPLETED)]))
def test_whatever_is_in_the_cloud_and_not_in_the_archive_is_due(medium: Medium, status: Status | None) -> None:
    there = replace(medium, arriving=False)
    known = record(medium.media_id, status) if status else None
    assert is_due(there, known, SyncRequest())
    assert is_due(there, known, SyncRequest(media_ids=("another", medium.media_id)))


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.one_of(st.none(), st.sampled_from(Status)), st.booleans()), max_size=8),
    st.one_of(st.none(), st.integers(1, 4)),
    st.one_of(st.none(), st.sets(st.integers(0, 9))),
)
def test_a_manifest_lists_no_more_than_was_asked_for_and_then_what_was_tried_before_last(
    library: list[tuple[Status | None, bool]], max_items: int | None, wanted: set[int] | None
) -> None:
    listed = [replace(PLAIN, media_id=f"m{number}", arriving=arriving) for number, (_, arriving) in enumerate(library)]
    known = [record(f"m{number}", status) for number, (status, _) in enumerate(library) if status]
    media_ids = None if wanted is None else tuple(f"m{number}" for number in wanted)
    if wanted and max(wanted) >= len(library):
        with pytest.raises(InvalidInput, match="The library has no medium m"):
            planned(listed, SyncRequest(max_items=max_items, media_ids=media_ids), known)
        return
    found = planned(listed, SyncRequest(max_items=max_items, media_ids=media_ids), known)
    due = [
        f"m{number}"
        for number, (status, arriving) in enumerate(library)
        if status is not Status.COMPLETED and not arriving and (wanted is None or number in wanted)
    ]
    if max_items is not None:
        tried = {one.media_id for one in known if one.status in (Status.FAILED, Status.SOURCE_GONE)}
        due.sort(key=tried.__contains__)
    assert [medium.media_id for medium in found.media] == due[:max_items]
    assert found.plan.new == len(due[:max_items])
    assert found.plan.length_hint == 4_000_000_000 * found.plan.new
