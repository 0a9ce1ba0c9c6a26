"""What comes back, from a folder and from a bucket: byte for byte, once, and told where it cannot be had."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from core.archive.base import Archive
from core.archive.catalog import Entry
from core.archive.folder import FolderArchive
from core.archive.folder_retrieval import FolderRetrieval
from core.archive.keys import catalog_key
from core.archive.retrieval import Document, Held, Reader, Retrieval, State
from core.archive.s3 import S3Archive
from core.archive.s3_retrieval import S3Retrieval
from core.errors import Cancelled, CloudSyncError, InvalidInput, StorageFull, TransientError
from core.model import Stored
from core.restore import Catalog, Outcome, Report, Restore, Result, Selection, Target, Watcher, wanted
from tests.archived import Film, content, store
from tests.emulator import Emulator
from tests.refusing import refuse

LENGTH = 3_000_000
FILM = Film("film-one", "GX010001.MP4", lengths=(LENGTH,))


class Counted:
    """A retrieval that counts what is read and asked for, and can break off."""

    def __init__(self, behind: Retrieval) -> None:
        self.behind = behind
        self.read = Counter[str]()
        self.opened = Counter[str]()
        self.requested = Counter[str]()
        self.breaks: Callable[[str, int], None] = lambda key, position: None

    def documents(self, prefix: str) -> Iterator[Document]:
        return self.behind.documents(prefix)

    def look(self, originals: Sequence[Stored]) -> list[Held]:
        return self.behind.look(originals)

    def request(self, held: Held, tier: str, days: int) -> None:
        self.requested[held.stored.key] += 1
        self.behind.request(held, tier, days)

    @contextmanager
    def open(self, held: Held, start: int) -> Iterator[Reader]:
        self.opened[held.stored.key] += 1
        with self.behind.open(held, start) as body:
            yield _CountedReader(self, held.stored.key, start, body)


class _CountedReader:
    def __init__(self, counted: Counted, key: str, position: int, body: Reader) -> None:
        self._counted, self._key, self._position, self._body = counted, key, position, body

    def read(self, count: int, /) -> bytes:
        self._counted.breaks(self._key, self._position)
        block = self._body.read(min(count, 250_000))
        self._counted.read[self._key] += len(block)
        self._position += len(block)
        return block


@dataclass
class Store:
    """An archive, what it can be had back by, and how somebody would spoil it."""

    archive: Archive
    retrieval: Counted
    spoil: Callable[[str, bytes], object]
    remove: Callable[[str], object]
    into: Path

    def driver(self, watcher: Watcher | None = None) -> Restore:
        return Restore(self.retrieval, Target(self.into), watcher=watcher)

    def restore(self, *entries: Entry, watcher: Watcher | None = None) -> Report:
        driver = self.driver(watcher)
        return driver.carry_out(driver.survey(wanted(entries)))

    def catalog(self) -> Catalog:
        return Catalog(self.archive, self.retrieval, "gopro")

    def file(self, entry: Entry, number: int = 1) -> Path:
        return self.into / entry.originals[number - 1].stored.key


@pytest.fixture(params=["folder", "s3"])
def there(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        root = tmp_path / "backup"
        return Store(
            FolderArchive(root),
            Counted(FolderRetrieval(root)),
            lambda key, body: (root / key).write_bytes(body),
            lambda key: (root / key).unlink(),
            tmp_path / "restored",
        )
    emulator: Emulator = request.getfixturevalue("emulator")
    client, bucket = emulator.client("s3"), f"restore-{uuid4().hex}"
    client.create_bucket(Bucket=bucket)
    return Store(
        S3Archive(client, bucket),
        Counted(S3Retrieval(client, bucket)),
        lambda key, body: client.put_object(Bucket=bucket, Key=key, Body=body),
        lambda key: client.delete_object(Bucket=bucket, Key=key),
        tmp_path / "restored",
    )


def outcomes(report: Report) -> dict[str, int]:
    return {name: count for name, count in report.counts.items() if count}


def test_every_original_comes_back_byte_for_byte_with_the_time_of_its_capture(there: Store) -> None:
    film = replace(FILM, lengths=(LENGTH, 1, 250_000))
    entry = store(there.archive, film)
    assert outcomes(there.restore(entry)) == {"restored": 3}
    assert film.captured_at
    for number in (1, 2, 3):
        assert there.file(entry, number).read_bytes() == content(film, number)
        assert there.file(entry, number).stat().st_mtime == film.captured_at.timestamp()


def test_what_is_here_and_verified_is_neither_fetched_nor_read_again(
    there: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = store(there.archive, FILM)
    there.restore(entry)
    monkeypatch.setattr("core.restore.target.Checksum", None)
    assert outcomes(there.restore(entry)) == {"already_here": 1}
    assert there.retrieval.read.total() == LENGTH


def test_a_whole_file_that_nobody_noted_is_read_and_not_fetched(there: Store) -> None:
    entry = store(there.archive, FILM)
    there.file(entry).parent.mkdir(parents=True)
    there.file(entry).write_bytes(content(FILM, 1))
    assert outcomes(there.restore(entry)) == {"already_here": 1}
    assert not there.retrieval.opened


def test_another_file_in_the_way_stays_as_it_is(there: Store) -> None:
    entry = store(there.archive, FILM)
    there.file(entry).parent.mkdir(parents=True)
    mine = bytes(LENGTH)
    there.file(entry).write_bytes(mine)
    report = there.restore(entry)
    assert outcomes(report) == {"in_the_way": 1}
    assert str(there.file(entry)) in report.troubles[0].text
    assert there.file(entry).read_bytes() == mine
    assert not there.retrieval.opened


def test_a_file_changed_after_it_came_back_is_noticed(there: Store) -> None:
    entry = store(there.archive, FILM)
    there.restore(entry)
    there.file(entry).write_bytes(bytes(LENGTH))
    assert outcomes(there.restore(entry)) == {"in_the_way": 1}


@pytest.mark.parametrize("spoiled", [lambda body: bytes(len(body)), lambda body: body[:-1], lambda body: body[:0]])
def test_bytes_that_are_not_those_that_were_archived_are_told_and_kept_apart(
    there: Store, spoiled: Callable[[bytes], bytes]
) -> None:
    entry = store(there.archive, FILM)
    key, body = entry.originals[0].stored.key, spoiled(content(FILM, 1))
    there.spoil(key, body)
    report = there.restore(entry)
    assert outcomes(report) == {"damaged": 1}
    assert report.troubles[0].stored.key == key
    assert not there.file(entry).exists()
    damaged = there.file(entry).with_name("GX010001.MP4.damaged")
    assert damaged.read_bytes() == body
    assert str(damaged) in report.troubles[0].text


def test_what_came_damaged_is_told_again_and_not_fetched_again_until_it_is_removed(there: Store) -> None:
    entry = store(there.archive, FILM)
    there.spoil(entry.originals[0].stored.key, bytes(LENGTH))
    there.restore(entry)
    assert outcomes(there.restore(entry)) == {"damaged": 1}
    assert there.retrieval.read.total() == LENGTH
    there.spoil(entry.originals[0].stored.key, content(FILM, 1))
    there.file(entry).with_name("GX010001.MP4.damaged").unlink()
    assert outcomes(there.restore(entry)) == {"restored": 1}


def test_what_is_no_longer_in_the_archive_is_told_and_the_rest_comes(there: Store) -> None:
    gone, other = store(there.archive, FILM), store(there.archive, replace(FILM, media_id="film-two"))
    there.remove(gone.originals[0].stored.key)
    report = there.restore(gone, other)
    assert outcomes(report) == {"missing": 1, "restored": 1}
    assert report.troubles[0].stored == gone.originals[0].stored


def test_a_connection_that_breaks_is_taken_up_at_the_byte_that_is_missing(there: Store) -> None:
    entry = store(there.archive, FILM)
    broken: list[int] = []

    def break_off(key: str, position: int) -> None:
        if position >= 1_000_000 and not broken:
            broken.append(position)
            raise TransientError("the line is cut")

    there.retrieval.breaks = break_off
    assert outcomes(there.restore(entry)) == {"restored": 1}
    assert there.file(entry).read_bytes() == content(FILM, 1)
    assert there.retrieval.read.total() == LENGTH
    assert there.retrieval.opened.total() == 2


def test_a_restore_that_was_stopped_goes_on_at_the_byte_that_is_missing(there: Store) -> None:
    entry = store(there.archive, FILM)
    driver = there.driver()

    def stop(key: str, position: int) -> None:
        if position >= 1_000_000:
            driver.stop()

    there.retrieval.breaks = stop
    with pytest.raises(Cancelled):
        driver.carry_out(driver.survey(wanted([entry])))
    before = there.retrieval.read.total()
    assert 1_000_000 <= before < LENGTH
    there.retrieval.breaks = lambda key, position: None
    assert outcomes(there.restore(entry)) == {"restored": 1}
    assert there.retrieval.read.total() - LENGTH <= 250_000, "more than the last block was fetched again"
    assert there.file(entry).read_bytes() == content(FILM, 1)


def test_a_partial_file_that_a_crash_has_spoiled_is_begun_afresh(there: Store) -> None:
    entry = store(there.archive, FILM)
    driver = there.driver()
    there.retrieval.breaks = lambda key, position: driver.stop() if position >= 1_000_000 else None
    with pytest.raises(Cancelled):
        driver.carry_out(driver.survey(wanted([entry])))
    (partial,) = (there.into / ".cloud-sync/restore").glob("*.partial")
    with partial.open("r+b") as file:
        file.write(bytes(100))
    there.retrieval.breaks = lambda key, position: None
    assert outcomes(there.restore(entry)) == {"restored": 1}
    assert there.file(entry).read_bytes() == content(FILM, 1)


def test_a_server_that_answers_no_more_fails_that_original_and_no_other(
    there: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = store(there.archive, FILM), store(there.archive, replace(FILM, media_id="film-two"))
    monkeypatch.setattr(Restore, "_pause", lambda self, seconds: None)

    def refuse(key: str, position: int) -> None:
        if "film-one" in key:
            raise TransientError("nobody answers")

    there.retrieval.breaks = refuse
    report = there.restore(bad, good)
    assert outcomes(report) == {"restored": 1, "failed": 1}
    assert report.troubles[0].text == "nobody answers"


def test_what_does_not_fit_on_the_disk_is_told_before_anything_is_asked_for(
    there: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = store(there.archive, FILM)
    monkeypatch.setattr(Target, "free", lambda self: LENGTH - 1)
    driver = there.driver()
    with pytest.raises(StorageFull, match="3,000,000 bytes are to come, and the disk has room for 2,999,999"):
        driver.require_room(driver.survey(wanted([entry])))
    monkeypatch.setattr(Target, "free", lambda self: LENGTH)
    driver.require_room(driver.survey(wanted([entry])))


def test_a_length_that_the_catalog_tells_wrong_keeps_nothing_else_from_coming(there: Store) -> None:
    entry, other = store(there.archive, FILM), store(there.archive, replace(FILM, media_id="film-two"))
    huge = replace(entry.originals[0], stored=replace(entry.originals[0].stored, length=10**15))
    driver = there.driver()
    situation = driver.survey(wanted([replace(entry, originals=(huge,)), other]))
    driver.require_room(situation)
    assert {held.length for held in situation.held} == {LENGTH}
    assert outcomes(driver.carry_out(situation)) == {"restored": 1, "damaged": 1}


def test_a_look_changes_nothing(there: Store) -> None:
    entry = store(there.archive, FILM)
    assert there.driver().survey(wanted([entry])).to_json()["objects"]["ready"] == 1
    assert not there.into.exists()


@pytest.mark.parametrize("key", ["gopro-videos/../../../evil", "gopro-videos//x"])
def test_a_key_that_can_be_no_file_costs_that_original_alone(there: Store, key: str) -> None:
    entry, other = store(there.archive, FILM), store(there.archive, replace(FILM, media_id="film-two"))
    bad = replace(entry.originals[0], stored=replace(entry.originals[0].stored, key=key))
    report = there.restore(replace(entry, originals=(bad,)), other)
    assert outcomes(report) == {"restored": 1, "failed": 1}
    assert (
        "no key of an archive. `cloud-sync verify --repair`, with the same --to or --stack, mends it."
        in report.troubles[0].text
    )
    assert [path.name for path in there.into.rglob("*.MP4")] == ["GX010001.MP4"]


def test_a_place_that_cannot_be_looked_at_costs_that_original_alone(there: Store) -> None:
    entry, other = store(there.archive, FILM), store(there.archive, replace(FILM, media_id="film-two"))
    there.file(entry).parent.mkdir(parents=True)
    there.file(entry).symlink_to(there.file(entry))
    report = there.restore(entry, other)
    assert outcomes(report) == {"restored": 1, "failed": 1}
    assert report.troubles[0].stored == entry.originals[0].stored


def test_an_original_that_the_catalog_tells_of_twice_is_brought_once(there: Store) -> None:
    entry = store(there.archive, FILM)
    assert outcomes(there.restore(entry, entry)) == {"restored": 1}
    assert there.retrieval.read.total() == LENGTH


def test_of_two_entries_that_claim_one_key_the_second_fails_and_overwrites_nothing(there: Store) -> None:
    entry = store(there.archive, FILM)
    other = replace(entry.originals[0], stored=replace(entry.originals[0].stored, length=1))
    report = there.restore(entry, replace(entry, originals=(other,)))
    assert outcomes(report) == {"restored": 1, "failed": 1}
    assert "the catalog tells of it twice" in report.troubles[0].text
    assert there.file(entry).read_bytes() == content(FILM, 1)


def test_an_original_that_s3_refuses_to_tell_of_fails_and_no_other(emulator: Emulator, tmp_path: Path) -> None:
    client, bucket = emulator.client("s3"), f"restore-{uuid4().hex}"
    client.create_bucket(Bucket=bucket)
    archive = S3Archive(client, bucket, storage_class="DEEP_ARCHIVE")
    entries = [store(archive, replace(FILM, media_id=name, lengths=(9,))) for name in ("one", "two")]
    refuse(client, "HeadObject", entries[0].originals[0].stored.key)
    driver = Restore(S3Retrieval(client, bucket), Target(tmp_path / "restored"))
    situation = driver.survey(wanted(entries))
    assert {name: len(of) for name, of in situation.groups().items() if of} == {"archived": 1, "failed": 1}
    assert "S3 refuses HeadObject" in situation.settled[0].text


# ------------------------------------------------------------------------------------ waiting
class Told(Counted):
    """A retrieval that tells these states, one after the other, whatever is asked."""

    def __init__(self, behind: Retrieval, *states: State) -> None:
        super().__init__(behind)
        self.states = list(states)

    def look(self, originals: Sequence[Stored]) -> list[Held]:
        state = self.states.pop(0)
        return [Held(one, state, "DEEP_ARCHIVE") for one in originals]


def waited(there: Store, *states: State) -> Report:
    """What a restore comes to that waits while S3 tells these states."""
    there.retrieval = Told(there.retrieval.behind, *states)
    driver = there.driver()
    report = driver.carry_out(driver.survey(wanted([store(there.archive, FILM)])), wait_seconds=0.01)
    assert there.retrieval.states == []
    assert there.retrieval.requested.total() == 1
    return report


def test_a_readable_copy_that_expires_while_it_is_waited_for_is_told_and_not_paid_for_again(there: Store) -> None:
    report = waited(there, State.ARCHIVED, State.REQUESTED, State.ARCHIVED, State.ARCHIVED)
    assert outcomes(report) == {"failed": 1}
    assert report.troubles[0].text == "the readable copy has expired; give the command again"


def test_what_is_told_to_be_archived_once_is_still_waited_for(there: Store) -> None:
    report = waited(there, State.ARCHIVED, State.ARCHIVED, State.REQUESTED, State.ARCHIVED, State.READY)
    assert outcomes(report) == {"restored": 1}


def test_an_object_that_is_deleted_while_it_is_waited_for_is_told_at_once(there: Store) -> None:
    assert outcomes(waited(there, State.ARCHIVED, State.REQUESTED, State.MISSING)) == {"missing": 1}


def test_an_original_of_no_capture_time_comes_back(there: Store) -> None:
    entry = store(there.archive, replace(FILM, captured_at=None))
    assert outcomes(there.restore(entry)) == {"restored": 1}


def test_two_originals_that_nobody_could_tell_apart_by_name_both_come_back(there: Store) -> None:
    entries = [store(there.archive, replace(FILM, media_id=name, lengths=(9,))) for name in ("one", "two")]
    assert outcomes(there.restore(*entries)) == {"restored": 2}
    assert {there.file(one).read_bytes() for one in entries} == {
        content(replace(FILM, media_id=name, lengths=(9,)), 1) for name in ("one", "two")
    }


def test_the_catalog_tells_what_is_archived_the_oldest_first(there: Store) -> None:
    for number, media_id in enumerate(("b", "a", "c")):
        store(there.archive, Film(media_id, captured_at=datetime(2026, 3, number + 1, tzinfo=UTC), lengths=(10,)))
    store(there.archive, Film("unknown", captured_at=None, lengths=(10,)))
    assert [one.medium.media_id for one in there.catalog().select(Selection()).entries] == ["b", "a", "c", "unknown"]
    assert not there.retrieval.opened


def test_an_entry_that_cannot_be_read_is_told_and_keeps_no_other_from_being_had(there: Store) -> None:
    store(there.archive, FILM)
    there.archive.put_document(catalog_key("gopro", "broken"), b"{")
    selected = there.catalog().select(Selection())
    assert [one.medium.media_id for one in selected.entries] == [FILM.media_id]
    assert list(selected.unreadable) == [there.archive.location(catalog_key("gopro", "broken"))]
    with pytest.raises(InvalidInput, match=r"broken\.json: .*verify --repair"):
        there.catalog().select(Selection(media_ids=("broken",)))


IMPOSSIBLE: dict[str, Callable[[Any, Any], object]] = {
    "facts that are a list": lambda entry, original: entry.update(facts=["x"]),
    "a checksum that is none": lambda entry, original: original.update(sha256=None, store_checksum="SHA256:A"),
    "a SHA-256 that is none": lambda entry, original: original.update(sha256="0"),
    "a SHA-256 that is a list": lambda entry, original: original.update(sha256=["0" * 64]),
    "parts of no byte": lambda entry, original: original.update(part_size=0),
    "a length beyond every disk": lambda entry, original: original.update(length=10**400),
    "half a character": lambda entry, original: original.update(key="gopro-videos/2026/03/film-two/\ud83d.MP4"),
    "no provider": lambda entry, original: entry.pop("provider"),
    "another id": lambda entry, original: entry.update(media_id="film-three"),
    "another provider": lambda entry, original: entry.update(provider="dropbox"),
}


@pytest.mark.parametrize("change", IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_an_entry_that_tells_what_cannot_be_is_named_and_everything_else_comes(
    there: Store, change: Callable[[Any, Any], object]
) -> None:
    store(there.archive, FILM)
    document = json.loads(store(there.archive, replace(FILM, media_id="film-two")).to_bytes())
    change(document, document["originals"][0])
    key = catalog_key("gopro", "film-two")
    there.archive.put_document(key, json.dumps(document).encode())
    selected = there.catalog().select(Selection())
    assert list(selected.unreadable) == [there.archive.location(key)]
    assert "verify --repair" in selected.unreadable[there.archive.location(key)]
    assert outcomes(there.restore(*selected.entries)) == {"restored": 1}


def test_a_copy_of_an_entry_under_another_name_is_named_and_not_taken_for_a_medium(there: Store) -> None:
    entry = store(there.archive, FILM)
    there.archive.put_document("catalog/gopro/film-one copy.json", entry.to_bytes())
    selected = there.catalog().select(Selection())
    assert len(selected.entries) == 1
    ((place, why),) = selected.unreadable.items()
    assert place.endswith("film-one copy.json")
    assert "It is the entry of another medium." in why


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError(errno.EIO, "Input/output error"), "The disk cannot read it (Input/output error)"),
        (CloudSyncError("S3 refuses GetObject for it (AccessDenied)."), "S3 refuses GetObject for it"),
    ],
)
def test_an_entry_that_the_store_does_not_give_is_named_and_everything_else_comes(
    there: Store, monkeypatch: pytest.MonkeyPatch, error: Exception, why: str
) -> None:
    store(there.archive, FILM)
    store(there.archive, replace(FILM, media_id="film-two"))
    key, real = catalog_key("gopro", "film-two"), there.archive.read_document

    def read(wanted_key: str) -> Iterator[bytes]:
        if wanted_key == key:
            raise error
        return real(wanted_key)

    monkeypatch.setattr(there.archive, "read_document", read)
    selected = there.catalog().select(Selection())
    assert [one.medium.media_id for one in selected.entries] == ["film-one"]
    assert why in selected.unreadable[there.archive.location(key)]


def test_an_entry_whose_time_of_archiving_cannot_be_is_of_unknown_time(there: Store) -> None:
    document = json.loads(store(there.archive, FILM).to_bytes())
    there.archive.put_document(
        catalog_key("gopro", "film-one"), json.dumps(document | {"archived_at": "0001-01-01T00:00:00Z"}).encode()
    )
    (entry,) = there.catalog().select(Selection()).entries
    assert entry.archived_at is None


def test_an_id_that_is_not_there_is_told(there: Store) -> None:
    with pytest.raises(InvalidInput, match="nobody"):
        there.catalog().select(Selection(media_ids=("nobody",)))


def test_whoever_watches_hears_of_every_byte_once(there: Store) -> None:
    entry = store(there.archive, FILM)
    heard: list[int] = []
    results: list[Outcome] = []
    lock = threading.Lock()

    class Ear(Watcher):
        def advanced(self, stored: Stored, count: int) -> None:
            with lock:
                heard.append(count)

        def finished(self, result: Result) -> None:
            results.append(result.outcome)

    there.restore(entry, watcher=Ear())
    assert sum(heard) == LENGTH
    assert results == [Outcome.RESTORED]


def test_a_full_disk_ends_the_restore_and_keeps_what_has_arrived(there: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = store(there.archive, FILM)
    real = os.fsync

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.restore.target.os.fsync", full)
    with pytest.raises(StorageFull, match="is full"):
        there.restore(entry)
    monkeypatch.setattr("core.restore.target.os.fsync", real)
    assert outcomes(there.restore(entry)) == {"restored": 1}
    assert there.retrieval.read.total() == LENGTH
