"""Whatever a cloud sends: clear errors, bounded memory, no secret told, nothing touched outside, the rest brought."""

from __future__ import annotations

import gzip
import json
import logging
import sqlite3
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import pytest
import requests
import urllib3
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

import core.errors
from core.archive.base import Label, Shape
from core.archive.folder import FolderArchive
from core.archive.folder_retrieval import FolderRetrieval
from core.archive.keys import catalog_key, original_keys
from core.credentials.base import Credentials
from core.credentials.file import FileCredentials
from core.errors import ApiShapeChanged, CloudSyncError, IntegrityError, TransientError, public_text
from core.model import Medium, utc_now
from core.providers import http
from core.providers.base import ListingReport, Provider, ProviderSettings
from core.providers.gopro import api, create
from core.providers.gopro.answers import json_object, spoken_reason
from core.providers.gopro.originals import offer
from core.providers.gopro.parse import read_medium
from core.restore import Catalog
from core.retry import PART
from core.sync.local import LocalSync
from core.sync.notify import about_failure, about_summary
from core.sync.outcomes import Failure
from core.sync.request import Run, SyncRequest
from core.sync.summarize import FailedMedium, Summary
from core.tracker.sqlite import SqliteTracker
from core.transfer import Engine, Source
from core.transfer.job import MIB
from tests import hostile
from tests.hostile import SIGNATURE, TOKEN, HostileCloud, HostileMedium, encoded
from tests.pages import text_of
from tests.scripted import Scripted, raw, whole

CREDENTIALS = Credentials(gp_access_token=TOKEN, gp_user_id="user-1")
OWN_ERRORS = {name for name, kind in vars(core.errors).items() if isinstance(kind, type)}
STEP_FUNCTIONS_STATE = 256 * 1024
MESSAGE_OF_SNS = 256 * 1024

#: A whole run takes its time, and each of its media is tried again as often as any.
runs = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@pytest.fixture(scope="module")
def cloud() -> Iterator[HostileCloud]:
    with Scripted() as server:
        yield HostileCloud(server)


@pytest.fixture(autouse=True, scope="module")
def _no_pauses() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.transfer.engine.PART", replace(PART, first_delay=0.0))
        yield


@pytest.fixture(scope="module")
def provider(cloud: HostileCloud, tmp_path_factory: pytest.TempPathFactory) -> Provider:
    folder = tmp_path_factory.mktemp("provider")
    return provider_of(cloud, folder, SqliteTracker(folder / "tracker.sqlite3"))


def provider_of(cloud: HostileCloud, folder: Path, tracker: SqliteTracker) -> Provider:
    store = FileCredentials(folder / "credentials.json")
    store.save(CREDENTIALS)
    return create(ProviderSettings(store, tracker, cloud.server.url), sleep=lambda _: None)


def holds_no_secret(text: str | bytes) -> bool:
    told = text.encode("utf-8", "replace") if isinstance(text, str) else text
    return TOKEN.encode() not in told and SIGNATURE.encode() not in told


def is_plain(text: str) -> bool:
    """Whether a text of the product's own can steer no terminal, break no line, and gives nothing away."""
    return bool(text) and text.isprintable() and holds_no_secret(text)


def refusal_of(call: Callable[[], object]) -> str | None:
    """The text of the project's own error that a call ends with, None if it succeeds; any other error is raised."""
    try:
        call()
    except CloudSyncError as error:
        return str(error)
    return None


@contextmanager
def peak_memory() -> Iterator[Callable[[], int]]:
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# ------------------------------------------------------------------ the parsers


def medium_of(media_id: str, row: dict[str, Any]) -> Medium | None:
    """The medium of a row as it comes out of JSON."""
    read = json_object(encoded({"type": "Video", **row, "id": media_id}))
    return read_medium(read, ListingReport())


@settings(deadline=None)
@given(hostile.readable_ids, hostile.rows, hostile.offers)
def test_every_original_of_whatever_is_listed_gets_a_key_that_s3_takes_and_stays_in_its_folder(
    media_id: str, row: dict[str, Any], answer: dict[str, Any]
) -> None:
    medium = medium_of(media_id, row)
    assume(medium)
    assert medium
    found, _ = offer(medium, json_object(encoded(answer)))
    keys = [*original_keys(medium, found.originals), catalog_key("gopro", medium.media_id)]
    for key in keys:
        assert len(key.encode()) <= 1024
        assert key.isprintable()
        assert not {"", ".", ".."} & set(key.split("/"))
        assert FolderArchive(Path("/archive")).location(key).startswith("/archive/")
    assert len(set(keys)) == len(keys)


@settings(deadline=None)
@given(hostile.readable_ids, hostile.rows)
@example("x", dict.fromkeys((*hostile.FIELDS, "type", "ready_to_view", "camera_model"), "🏔" * 5000))
@example("x", {name: ["🏔" * 900] * 3 for name in api.FIELDS})
def test_a_manifest_line_is_short_enough_for_a_state_of_the_workflow(media_id: str, row: dict[str, Any]) -> None:
    medium = medium_of(media_id, row)
    assert medium is None or len(json.dumps(medium.to_json())) < STEP_FUNCTIONS_STATE / 2


@settings(deadline=None)
@given(hostile.readable_ids, hostile.names, st.text(st.characters(max_codepoint=127), max_size=200))
@example("🏔" * 50, "r", "x")
@example("ü" * 100, "\n" * 99, "x" * 200)
def test_what_an_object_carries_about_itself_is_what_s3_takes(media_id: str, run_id: str, version: str) -> None:
    medium = medium_of(media_id, {})
    assume(medium)
    assert medium
    when = medium.captured_at
    label = Label("gopro", medium.media_id, 1_000_000, "baked_source", when, run_id[:80], {}, version, "damaged " * 25)
    told = label.metadata()
    assert all(value.isascii() and value.isprintable() for value in told.values())
    # Beside these, the archive adds sha256 or part-size. S3 takes 2 KB of names and values.
    assert len("".join(told) + "".join(told.values())) + len("sha256") + 64 <= 2048


@given(st.one_of(hostile.bodies, hostile.values.map(encoded), st.binary()))
def test_every_body_is_read_as_an_object_or_as_nothing(body: bytes) -> None:
    assert isinstance(json_object(body), dict)


def test_a_number_without_end_costs_its_own_field_and_nothing_else() -> None:
    read = json_object(encoded({"id": "a", "file_size": hostile.HUGE, "filename": "GX010001.MP4"}))
    assert read == {"id": "a", "file_size": None, "filename": "GX010001.MP4"}


@given(st.text(max_size=1200), st.sampled_from(["reason", "code", "description", "error"]))
@example("x" * 180 + " ", "reason")
@example("x" * 940 + " ", "error")
def test_a_reason_tells_no_piece_of_a_secret_wherever_it_stands(before: str, name: str) -> None:
    told = spoken_reason({"_embedded": {"errors": [{name: before + TOKEN}]}, name: before + TOKEN}, [TOKEN])
    pieces = [TOKEN[start : start + 8] for start in range(len(TOKEN) - 7)]
    assert not any(piece in told and piece not in before for piece in pieces)
    assert len(told) <= 162


@pytest.mark.parametrize("field", ["filename", "type", "ready_to_view"])
@pytest.mark.parametrize("secret", [TOKEN, f"https://cdn.example/a.mp4?Signature={SIGNATURE}"])
def test_a_secret_in_place_of_a_word_is_not_kept(field: str, secret: str) -> None:
    report = ListingReport()
    medium = read_medium({"id": "a", field: secret}, report)
    assert medium
    assert holds_no_secret(json.dumps(medium.to_json()) + "".join(report.novelties))


@given(hostile.names)
@example("x" * 200_000)
@example(f"see https://cdn.example/?Signature={SIGNATURE} \ud800")
def test_the_text_of_an_error_is_short_and_can_be_written_anywhere(text: str) -> None:
    told = public_text(text)
    assert told.encode()
    assert len(told) <= 4000
    assert f"Signature={SIGNATURE}" not in public_text(f"{text[:100]} https://x.example/?Signature={SIGNATURE}")


# ------------------------------------------------------------------ what people are told

RUN = Run("run-7", utc_now(), "https://console.example/run-7")
SUMMARY = Summary("PARTIAL_FAILURE", "gopro", "run-7", 40, 30, 5, 25, 0, 0, 0, 12345, 61.0)
failed_media = st.lists(st.builds(FailedMedium, hostile.names, hostile.names, hostile.names, st.just("X")), max_size=25)


@settings(deadline=None)
@given(failed_media, failed_media)
def test_no_name_can_forge_a_line_of_a_notification_or_steer_a_terminal(
    failures: list[FailedMedium], damaged: list[FailedMedium]
) -> None:
    summary = replace(SUMMARY, failed=len(failures), failures=tuple(failures), damaged=tuple(damaged))
    told = about_summary(summary, RUN)
    lines = told.message.split("\n")
    assert all(line.isprintable() for line in lines)
    assert sum(line.startswith("What to do") for line in lines) == bool(failures)
    assert sum(line.startswith("- ") for line in lines) <= 40
    assert told.subject.isascii()
    assert told.subject.isprintable()


@given(hostile.names, hostile.names)
def test_a_failure_is_told_in_printable_lines(cause: str, remedy: str) -> None:
    told = about_failure(Failure("x", "X", cause, remedy), RUN)
    assert all(line.isprintable() for line in told.message.split("\n"))


def test_what_a_run_came_to_fits_a_state_of_the_workflow_whatever_its_media_are_called() -> None:
    odd = FailedMedium("🏔" * 50, "🏔" * 1000, "🏔" * 500, "TransientError")
    summary = replace(SUMMARY, failed=25, failures=(odd,) * 25, damaged=(odd,) * 25, novelties=("🏔" * 100,) * 20)
    told = about_summary(summary, RUN)
    answer = {"summary": summary.to_json(), "notification": told.to_json()}
    assert len(json.dumps(answer)) < STEP_FUNCTIONS_STATE
    assert len(told.to_sns().encode()) < MESSAGE_OF_SNS
    listed = len(told.details["summary"]["failures"])
    assert listed
    assert f"and {25 - listed} more" in told.message


# ------------------------------------------------------------------ addresses


@given(hostile.addresses, st.booleans())
@example("http://127.0.0.1\\@evil.example/", True)
@example("https://127.0.0.1/", False)
@example("https://[::1]/", False)
@example("https://169.254.169.254/latest/meta-data/", False)
@example("https://localhost/", False)
def test_an_address_that_is_taken_is_as_safe_where_it_is_sent_to(url: str, loopback: bool) -> None:
    refusal = refusal_of(lambda: http.require_safe_url(url, "The address", loopback=loopback))
    if refusal:
        assert is_plain(refusal)
        assert "evil" not in refusal
        return
    try:
        prepared = requests.Request("GET", url).prepare()
    except (requests.RequestException, ValueError):
        return  # as `send` tells it
    parts = urllib3.util.parse_url(prepared.url or "")
    is_here = parts.host in ("127.0.0.1", "[::1]", "localhost")
    assert parts.auth is None
    assert parts.scheme == "https" or (parts.scheme == "http" and loopback and is_here)
    assert loopback or not (is_here or parts.host == "169.254.169.254")


@pytest.mark.parametrize("status", ["301 A", "302 A", "303 A", "307 A", "308 A"])
def test_no_redirect_takes_credentials_to_another_host(cloud: HostileCloud, provider: Provider, status: str) -> None:
    cloud.show([], [])
    with Scripted() as elsewhere:
        target = elsewhere.answer("/x", whole("200 OK", b"film", 'ETag: "1"'))
        cloud.server.answer("/cdn/x", hostile.redirect(target, status))
        cloud.server.answer("/media/a/download", hostile.redirect(target, status))
        with pytest.raises(ApiShapeChanged):
            provider.resolve(Medium("gopro", "a", "", "Photo", "ready", None, None, 1))
        assert elsewhere.requests == []
        with http.open_download(http.new_session(1), f"{cloud.server.url}/cdn/x", "it") as body:
            assert body.total == 4
        (request,) = elsewhere.requests
        for secret in ("cookie", "authorization", "eyj", "user-1"):
            assert secret not in request.lower()


# ------------------------------------------------------------------ answers over HTTP


@settings(deadline=None)
@given(answer=hostile.answers)
def test_every_answer_of_the_cdn_is_bytes_or_an_error_of_our_own(cloud: HostileCloud, answer: bytes) -> None:
    url = cloud.server.answer("/cdn/x", answer)

    def read() -> None:
        with http.open_download(http.new_session(1), f"{url}?Signature={SIGNATURE}", "the film") as body:
            view = memoryview(bytearray(100))
            while body.readinto(view):
                pass
            assert body.version.isprintable()
            assert len(body.version) <= 200

    refusal = refusal_of(read)
    assert refusal is None or (is_plain(refusal) and "evil" not in refusal)


@settings(deadline=None)
@given(answer=hostile.answers)
def test_every_answer_of_the_api_is_read_or_an_error_of_our_own(
    cloud: HostileCloud, provider: Provider, answer: bytes
) -> None:
    medium = Medium("gopro", "a", "GOPR0001.JPG", "Photo", "ready", None, None, 1)
    cloud.show([], [])
    calls: list[tuple[str, Callable[[], object]]] = [
        ("/media/a/download", lambda: provider.resolve(medium)),
        ("/media/search", lambda: list(provider.list_media(ListingReport()))),
        ("/media/user", provider.authenticate),
    ]
    for path, call in calls:
        before = cloud.server.answers.pop(path, [whole("404 No", b"")])
        cloud.server.answer(path, answer)
        refusal = refusal_of(call)
        assert refusal is None or is_plain(refusal)
        cloud.server.answer(path, *before)


@pytest.mark.parametrize("kind", ["text/html", "Text/HTML; charset=utf-8", "application/json", "application/xml"])
def test_a_page_that_comes_with_200_is_no_original(cloud: HostileCloud, kind: str) -> None:
    url = cloud.server.answer("/cdn/x", whole("200 OK", b"<html>We will be back soon</html>", f"Content-Type: {kind}"))
    with pytest.raises(TransientError, match="a page"), http.open_download(http.new_session(1), url, "the film"):
        pass


@pytest.mark.parametrize("etag", ['"' + "e" * 3000 + '"', "\x01", '"ü"'], ids=["long", "control", "not ascii"])
def test_a_version_that_no_header_can_carry_is_none(cloud: HostileCloud, etag: str) -> None:
    url = cloud.server.answer("/cdn/x", whole("200 OK", b"film", f"ETag: {etag}"))
    with http.open_download(http.new_session(1), url, "the film") as body:
        assert body.version == ""


# ------------------------------------------------------------------ memory and time


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_the_body_of_a_redirect_is_not_read(cloud: HostileCloud, encoding: str) -> None:
    body = b"\0" * 64 * MIB
    answer = whole(
        "302 A", gzip.compress(body) if encoding == "gzip" else body, "Location: /end", f"Content-Encoding: {encoding}"
    )
    cloud.server.answer("/end", whole("200 OK", b"film"))
    url = cloud.server.answer("/cdn/x", answer)
    with peak_memory() as peak, http.open_download(http.new_session(1), url, "the film") as opened:
        assert opened.total == 4
        assert peak() < 4 * MIB


@pytest.mark.parametrize("layers", [1, 2])
def test_an_answer_that_swells_is_cut_off(cloud: HostileCloud, provider: Provider, layers: int) -> None:
    bomb = b"\0" * 256 * MIB
    for _ in range(layers):
        bomb = gzip.compress(bomb, 1)
    cloud.server.answer("/media/user", whole("200 OK", bomb, "Content-Encoding: " + ", ".join(["gzip"] * layers)))
    with peak_memory() as peak, pytest.raises(TransientError, match="longer than"):
        provider.authenticate()
    assert peak() < 3 * http.LONGEST_ANSWER


def test_an_answer_that_drips_is_given_up(
    cloud: HostileCloud, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drip(wire: BinaryIO) -> None:
        wire.write(raw("200 OK", "Content-Length: 1000000"))
        for _ in range(1000):
            wire.write(b" ")
            time.sleep(0.01)

    monkeypatch.setattr(http, "LONGEST_CALL", 0.1)
    cloud.server.answer("/media/user", drip)
    with pytest.raises(TransientError, match="not whole after"):
        provider.authenticate()


@pytest.mark.parametrize("status", ["206 Partial Content", "200 OK"])
def test_a_length_beyond_all_reason_takes_no_memory(
    cloud: HostileCloud, provider: Provider, tmp_path: Path, status: str
) -> None:
    length = 10**17
    told = [f"Content-Length: {length}"]
    if status.startswith("206"):
        told = ["Content-Range: bytes 0-8388607/" + str(length), "Content-Length: 8388608"]
    cloud.show([], [])
    url = cloud.server.answer("/cdn/x", raw(status, *told, 'ETag: "1"', body=b"film"))
    cloud.server.answer("/media/a/download", whole("200 OK", encoded({"_embedded": {"files": [{"url": url}]}})))
    medium = Medium("gopro", "a", "GOPR0001.JPG", "Photo", "ready", None, None, 1)
    (original,) = provider.resolve(medium).originals
    tracker = SqliteTracker(tmp_path / "tracker.sqlite3")
    engine = Engine(FolderArchive(tmp_path / "archive"), tracker)
    with peak_memory() as peak, pytest.raises(IntegrityError, match="more than can be moved"):
        engine.move(Source(provider, medium, original), "gopro-videos/a", Label("gopro", "a", 1, "file", None, "r"))
    engine.close()
    assert peak() < 4 * MIB
    assert not list((tmp_path / "archive").rglob("*.partial"))


def test_a_file_longer_than_the_disk_takes_is_told_in_words(tmp_path: Path) -> None:
    archive = FolderArchive(tmp_path)
    with pytest.raises(CloudSyncError, match="more bytes than the disk takes"):
        archive.start("a", Label("gopro", "a", 1, "file", None, "r"), Shape(MIB, 2**62))


# ------------------------------------------------------------------ a whole run


class Told(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def a_machine() -> Iterator[tuple[Path, Told]]:
    """A folder within others, so that what climbs out of it is found, and what is logged meanwhile."""
    told = Told()
    logging.getLogger("core").addHandler(told)
    logging.getLogger("core").setLevel(logging.DEBUG)
    try:
        with TemporaryDirectory() as outer:
            home = Path(outer, "a", "b", "c", "home")
            home.mkdir(parents=True)
            (home / "precious").write_text("mine")
            yield home, told
            assert [
                path.relative_to(outer).as_posix() for path in Path(outer).rglob("*") if not path.is_relative_to(home)
            ] == [
                "a",
                "a/b",
                "a/b/c",
            ]
            assert (home / "precious").read_text() == "mine"
    finally:
        logging.getLogger("core").removeHandler(told)
        logging.getLogger("core").setLevel(logging.NOTSET)


@runs
@given(
    hostile_ones=st.lists(hostile.hostile_media, min_size=1, max_size=3), malformed=st.lists(hostile.values, max_size=2)
)
@example([HostileMedium("../../../../x", {"filename": "../../../../../../x"}, None, whole("200 OK", b"x"))], [])
@example([HostileMedium("a", {"filename": "x" * 5000}, whole("200 OK", b"[" * 100_000), b"")], [])
def test_hostile_media_break_nothing_and_keep_no_other_from_arriving(
    cloud: HostileCloud, hostile_ones: list[HostileMedium], malformed: list[Any]
) -> None:
    cloud.show(hostile_ones, malformed)
    with a_machine() as (home, told):
        tracker, archive = SqliteTracker(home / "tracker.sqlite3"), FolderArchive(home / "backup")
        for number in (1, 2):
            run = Run(f"run-{number}", utc_now())
            driver = LocalSync(provider_of(cloud, home, tracker), tracker, archive, sleep=lambda _: None)
            summary = driver.run(SyncRequest(), run)
            notification = about_summary(summary, run)
            assert holds_no_secret(notification.message + json.dumps(summary.to_json()))
            assert_true_to_its_word(home, tracker, cloud, summary)
        assert all(line.isprintable() and holds_no_secret(line) for line in told.lines)
        assert {path.name.partition("-")[0] for path in home.iterdir()} == {
            "backup",
            "credentials.json",
            "precious",
            "tracker.sqlite3",
        }
        for path in (path for path in home.rglob("*") if path.is_file() and "credentials" not in path.name):
            assert holds_no_secret(path.read_bytes()), path
        for path in home.rglob("*.html"):
            text_of(path.read_bytes())
    moved = [path for path in requested(cloud) if path.startswith("/cdn/good")]
    assert sorted(moved) == sorted(f"/cdn/{media_id}/1.jpg" for media_id in cloud.sound)


def assert_true_to_its_word(home: Path, tracker: SqliteTracker, cloud: HostileCloud, summary: Summary) -> None:
    """Tracker, catalog and archive agree; the sound media are there, of the others it is told why they are not."""
    backup = home / "backup"
    for media_id, content in cloud.sound.items():
        assert (backup / f"gopro-videos/2026/03/{media_id}/GOPR0001.JPG").read_bytes() == content
    connection = sqlite3.connect(home / "tracker.sqlite3")
    (sound,) = connection.execute("PRAGMA integrity_check").fetchone()
    media_ids = [row[0] for row in connection.execute("SELECT media_id FROM media")]
    connection.close()
    assert sound == "ok"
    records = tracker.get("gopro", media_ids)
    for media_id, record in records.items():
        catalog = backup / catalog_key("gopro", media_id)
        if record.status == "COMPLETED":
            for one in json.loads(catalog.read_bytes())["originals"]:
                assert (backup / one["key"]).stat().st_size == one["length"]
        elif record.status == "FAILED":
            assert record.error_type in OWN_ERRORS, record
            assert is_plain(record.error), record
    assert sum(record.status == "FAILED" for record in records.values()) == summary.failed
    for path in (path for path in backup.rglob("*") if path.is_file()):
        place = path.relative_to(backup).parts
        assert place[0] in (".cloud-sync", "catalog", "gallery", "gopro-videos", "runs", "thumbnails")
        assert place[0] != "gopro-videos" or len(place) == 5


def requested(cloud: HostileCloud) -> list[str]:
    return [request.split()[1].partition("?")[0] for request in cloud.server.requests]


def test_a_page_nested_beyond_reason_ends_the_run_with_a_clear_word(cloud: HostileCloud, provider: Provider) -> None:
    cloud.show([], [hostile.DEEP])
    with pytest.raises(ApiShapeChanged, match="is not what such an answer was"):
        list(provider.list_media(ListingReport()))


def test_one_original_that_never_arrives_is_named_and_keeps_its_medium_from_being_completed(
    cloud: HostileCloud,
) -> None:
    places = [f"{cloud.server.url}/cdn/chapters/{number}.jpg" for number in (1, 2)]
    variations = [{"label": "source", "item_number": number, "url": url} for number, url in enumerate(places, 1)]
    told = whole("200 OK", encoded({"_embedded": {"variations": variations}}))
    cloud.show([HostileMedium("chapters", {"type": "Chaptered", "item_count": 2}, told, b"")], [])
    cloud.server.answer("/cdn/chapters/1.jpg", whole("200 OK", b"the first chapter"))
    cloud.server.answer("/cdn/chapters/2.jpg", whole("200 OK", b""))
    with a_machine() as (home, _):
        tracker, archive = SqliteTracker(home / "tracker.sqlite3"), FolderArchive(home / "backup")
        driver = LocalSync(provider_of(cloud, home, tracker), tracker, archive, sleep=lambda _: None)
        summary = driver.run(SyncRequest(), Run("run-1", utc_now()))
        record = tracker.get("gopro", ["chapters"])["chapters"]
        entry = Catalog(archive, FolderRetrieval(home / "backup"), "gopro").entry("chapters")
    assert [one.stored.length for one in entry.originals] == [len(b"the first chapter")], "what arrived cannot be had"
    assert entry.missing == "1 of 2 originals have arrived so far"
    assert (summary.completed, summary.failed) == (3, 1)
    assert (record.status, record.error_type) == ("FAILED", "IntegrityError")
    assert record.error == "source 2 of chapters is empty."
