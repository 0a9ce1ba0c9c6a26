"""The GoPro provider against the emulated cloud, over real HTTP."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from core.credentials.base import Credentials
from core.credentials.file import FileCredentials
from core.errors import (
    ApiShapeChanged,
    CloudSyncError,
    CredentialsRejected,
    IntegrityError,
    InvalidInput,
    LocatorExpired,
    SourceGone,
    TransientError,
)
from core.model import Medium, Original
from core.providers import registry
from core.providers.base import ListingReport, Provider, ProviderSettings
from core.providers.gopro import GoProProvider, create
from core.providers.gopro.oauth import sign_in_with_password
from core.tracker.sqlite import SqliteTracker
from tests.gopro_cloud import (
    CloudMedium,
    GoProCloud,
    expected_originals,
    many_small,
    sample_library,
)
from tests.gopro_cloud.media import Strip
from tests.gopro_cloud.quirks import Fault
from tests.gopro_cloud.server import PASSWORD, USERNAME

SCALE = 0.01


@pytest.fixture
def cloud() -> Iterator[GoProCloud]:
    with GoProCloud(sample_library(SCALE)) as running:
        yield running


class Machine:
    """Somebody's machine: credentials in a file, leases in a tracker, pauses that are noted and not taken."""

    def __init__(self, folder: Path, url: str) -> None:
        self.store = FileCredentials(folder / "credentials.json")
        self.leases = SqliteTracker(folder / "tracker.sqlite3")
        self.url = url
        self.pauses: list[float] = []

    def sign_in(self, document: dict[str, str]) -> Credentials:
        return self.store.save(Credentials.from_json(document, ""))

    def provider(self) -> GoProProvider:
        settings = ProviderSettings(self.store, self.leases, self.url)
        found = create(settings, sleep=self._pause)
        assert isinstance(found, GoProProvider)
        return found

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        time.sleep(min(seconds, 0.02))


@pytest.fixture
def machine(tmp_path: Path, cloud: GoProCloud) -> Machine:
    found = Machine(tmp_path, cloud.url)
    found.sign_in(cloud.pasted())
    return found


def listed(provider: Provider) -> tuple[dict[str, Medium], ListingReport]:
    report = ListingReport()
    return {medium.media_id: medium for medium in provider.list_media(report)}, report


def content(provider: Provider, original: Original, start: int = 0) -> bytes:
    found = bytearray()
    buffer = memoryview(bytearray(10_000))
    with provider.open(original, start) as body:
        while count := body.readinto(buffer):
            found += buffer[:count]
    return bytes(found)


def a_video(provider: Provider, media_id: str = "62NzWRrpPXm7o") -> Medium:
    return listed(provider)[0][media_id]


# ------------------------------------------------------------------ the whole library


def test_every_original_of_every_kind_of_medium_arrives_byte_for_byte(cloud: GoProCloud, machine: Machine) -> None:
    provider = machine.provider()
    media, report = listed(provider)
    assert report.proved
    found = {
        media_id: sorted(
            hashlib.sha256(content(provider, original)).hexdigest() for original in provider.resolve(medium).originals
        )
        for media_id, medium in media.items()
    }
    wanted = {
        media_id: sorted(original.sha256 for original in originals)
        for media_id, originals in expected_originals(cloud.media).items()
    }
    assert {media_id: sums for media_id, sums in found.items() if sums} == wanted
    assert cloud.counts.credentials_at_cdn == 0


def test_a_film_has_a_small_picture_that_takes_no_call_of_the_api(cloud: GoProCloud, machine: Machine) -> None:
    provider = machine.provider()
    offer = provider.resolve(a_video(provider))
    calls = cloud.counts.api_calls
    picture = provider.thumbnail(offer)
    assert picture == Strip("62NzWRrpPXm7o").read(0, 10_000)
    assert (cloud.counts.api_calls, cloud.counts.credentials_at_cdn) == (calls, 0)
    assert "Signature" not in repr(offer)
    assert provider.thumbnail(provider.resolve(a_video(provider, "62unnamedPhoto"))) is None


@pytest.mark.parametrize("body", [b"\xff\xd8\xff" + bytes(200_000), b"GIF89a", b"<svg onload=alert(1)>"])
def test_what_is_too_large_or_no_jpeg_is_no_picture(cloud: GoProCloud, machine: Machine, body: bytes) -> None:
    cloud.quirks.sprites = body
    provider = machine.provider()
    assert provider.thumbnail(provider.resolve(a_video(provider))) is None


def test_what_is_offered_whole_misses_nothing_and_what_is_not_ready_says_so(machine: Machine) -> None:
    provider = machine.provider()
    media, _ = listed(provider)
    waiting = {media_id for media_id, medium in media.items() if provider.resolve(medium).missing}
    assert waiting == {"still-uploading", "transcoding-not"}
    assert {media_id for media_id, medium in media.items() if medium.arriving} == {"still-uploading"}


def test_chapters_keep_their_numbers_whether_told_or_in_the_address(cloud: GoProCloud, machine: Machine) -> None:
    provider = machine.provider()
    media, _ = listed(provider)
    wanted = expected_originals(cloud.media)
    for media_id in ("chapters-told3", "5f2b8c9d1e4a7b3c6d8e9f01"):
        sums = {one.item_number: one.sha256 for one in wanted[media_id]}
        for original in provider.resolve(media[media_id]).originals:
            assert hashlib.sha256(content(provider, original)).hexdigest() == sums[original.item_number]


def test_a_type_and_a_state_of_the_future_are_listed_noted_and_archived(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    provider = machine.provider()
    media, report = listed(provider)
    assert report.novelties == {"type Hologram", "ready_to_view dreaming"}
    with caplog.at_level(logging.WARNING):
        assert len(provider.resolve(media["from-the-future"]).originals) == 1
    assert "type Hologram" in caplog.text


def test_nothing_personal_is_in_a_medium(machine: Machine) -> None:
    media, _ = listed(machine.provider())
    text = json.dumps([medium.to_json() for medium in media.values()])
    assert "personal-thumbnail-token" not in text
    assert "user-7f3e" not in text


def test_the_provider_is_found_by_its_name(machine: Machine) -> None:
    provider = registry.create("gopro", ProviderSettings(machine.store, machine.leases, machine.url))
    assert (provider.name, provider.title) == ("gopro", "GoPro")
    assert provider.authenticate().media_count == len(sample_library(SCALE)) + 1


def test_an_unknown_provider_is_refused_with_the_names_that_are_known(machine: Machine) -> None:
    with pytest.raises(InvalidInput, match="gopro"):
        registry.create("nimbus", ProviderSettings(machine.store, machine.leases))


# ------------------------------------------------------------------ listing


def test_a_short_page_is_made_up_for_by_listing_again(tmp_path: Path) -> None:
    with GoProCloud(many_small(212, 2000)) as cloud:
        cloud.quirks.short_pages = {2: 12}
        machine = Machine(tmp_path, cloud.url)
        machine.sign_in(cloud.pasted())
        media, report = listed(machine.provider())
        assert (len(media), report.proved) == (212, True)
        cloud.quirks.short_pages, cloud.quirks.short_listings = {2: 12, 3: 40}, 99
        media, report = listed(machine.provider())
        assert (len(media), report.proved, report.expected) == (164, False, 212)


def test_a_library_that_moves_while_it_is_listed_is_listed_whole(tmp_path: Path) -> None:
    library = many_small(300, 2000)
    with GoProCloud(library[:290]) as cloud:
        cloud.held_back = list(library[290:])
        cloud.quirks.insert_after_page = {1: 3, 2: 4, 3: 3}
        cloud.quirks.delete_after_page = {2: ["small000003"], 4: ["small000100", "small000101"]}
        machine = Machine(tmp_path, cloud.url)
        machine.sign_in(cloud.pasted())
        media, report = listed(machine.provider())
        assert report.proved
        assert set(media) >= {medium.media_id for medium in cloud.media}


def test_a_library_that_counts_more_than_it_lists_is_not_proved(cloud: GoProCloud, machine: Machine) -> None:
    cloud.quirks.total_items_lie = 2
    media, report = listed(machine.provider())
    assert (report.expected, report.found, report.proved) == (len(media) + 2, len(media), False)


def test_rows_that_cannot_be_read_are_counted_and_the_rest_is_listed(cloud: GoProCloud, machine: Machine) -> None:
    cloud.quirks.extra_rows = [{"type": "Video"}, None, "row"]
    media, report = listed(machine.provider())
    assert len(media) == len(cloud.media)
    assert (report.unreadable, report.proved) == (3, False)


def test_at_most_four_calls_are_in_flight_over_all_workers(tmp_path: Path) -> None:
    with GoProCloud(many_small(600, 2000)) as cloud:
        cloud.quirks.api_latency = 0.01
        machine = Machine(tmp_path, cloud.url)
        machine.sign_in(cloud.pasted())
        providers = [machine.provider() for _ in range(3)]
        with ThreadPoolExecutor(12) as pool:
            lists = [pool.submit(listed, provider) for provider in providers]
            users = [pool.submit(provider.authenticate) for provider in providers * 3]
            assert all(len(one.result()[0]) == 600 for one in lists)
            assert all(one.result().media_count == 601 for one in users)
        assert 2 <= cloud.counts.api_peak <= 4


# ------------------------------------------------------------------ faults of the API


def test_throttling_is_waited_for_as_long_as_the_server_asks(cloud: GoProCloud, machine: Machine) -> None:
    for status in (429, 503):
        cloud.quirks.throttle, cloud.quirks.throttle_status, cloud.quirks.retry_after = 2, status, "7"
        machine.pauses.clear()
        machine.provider().authenticate()
        assert len(machine.pauses) == 2
        assert all(7 <= pause < 8 for pause in machine.pauses)


def test_throttling_without_end_is_a_transient_error_with_the_servers_wish(cloud: GoProCloud, machine: Machine) -> None:
    cloud.quirks.throttle, cloud.quirks.retry_after = 99, "5"
    with pytest.raises(TransientError, match="429") as caught:
        machine.provider().authenticate()
    assert caught.value.retry_after == 5
    assert cloud.counts.requests["user"] == 5


def test_a_pause_of_an_hour_is_left_to_the_next_attempt_of_the_step(cloud: GoProCloud, machine: Machine) -> None:
    cloud.quirks.throttle, cloud.quirks.retry_after = 99, "3600"
    with pytest.raises(TransientError):
        machine.provider().authenticate()
    assert machine.pauses == []


def test_a_maintenance_page_is_waited_out_and_one_that_stays_means_that_the_api_has_changed(
    cloud: GoProCloud, machine: Machine
) -> None:
    cloud.quirks.html_answers = 2
    assert machine.provider().authenticate().media_count
    cloud.quirks.html_answers = 99
    with pytest.raises(ApiShapeChanged, match="account"):
        machine.provider().authenticate()


@pytest.mark.parametrize("status", [406, 410])
def test_a_retired_version_of_the_api_is_told_as_such(
    cloud: GoProCloud, machine: Machine, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    cloud.quirks.accept_status = status
    monkeypatch.setattr("tests.gopro_cloud.server.ACCEPT", "application/vnd.gopro.jk.media+json; version=3.0.0")
    with pytest.raises(ApiShapeChanged, match=str(status)):
        machine.provider().authenticate()
    with pytest.raises(ApiShapeChanged):
        listed(machine.provider())
    one = Medium("gopro", "62NzWRrpPXm7o", "", "Video", "ready", None, None, 1)
    with pytest.raises(ApiShapeChanged):
        machine.provider().resolve(one)


def test_a_medium_that_has_gone_is_gone_and_the_others_are_not(cloud: GoProCloud, machine: Machine) -> None:
    provider = machine.provider()
    media, _ = listed(provider)
    cloud.quirks.faults["62NzWRrpPXm7o"] = Fault("gone")
    with pytest.raises(SourceGone):
        provider.resolve(media["62NzWRrpPXm7o"])
    assert provider.resolve(media["second-camera1"]).originals


def test_an_api_that_cannot_be_reached_is_a_transient_error_that_quotes_no_address(machine: Machine) -> None:
    machine.url = "http://127.0.0.1:9"
    with pytest.raises(TransientError) as caught:
        machine.provider().authenticate()
    assert "127.0.0.1" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.gopro.com",
        "http://10.0.0.1:8080",
        "https://user:secret@api.gopro.com",
        "ftp://localhost",
        "http://127.0.0.1\\@evil.example",
        "https://",
        "https://api.gopro.com/?a=b",
        "http://localhost.evil.example",
    ],
)
def test_tokens_are_never_sent_to_an_unsafe_address(machine: Machine, url: str) -> None:
    machine.url = url
    with pytest.raises(InvalidInput) as caught:
        machine.provider()
    assert "secret" not in str(caught.value)


# ------------------------------------------------------------------ signing in


def test_a_pasted_token_that_is_dead_stops_everybody_after_one_call(cloud: GoProCloud, machine: Machine) -> None:
    dead = machine.sign_in({"gp_access_token": "eyJhbGciOiJkZWFk.dead", "gp_user_id": cloud.user_id})
    with pytest.raises(CredentialsRejected, match="cloud-sync auth set") as caught:
        machine.provider().authenticate()
    assert dead.gp_access_token not in str(caught.value)
    one = Medium("gopro", "62NzWRrpPXm7o", "", "Video", "ready", None, None, 1)
    for _ in range(20):
        with pytest.raises(CredentialsRejected):
            machine.provider().resolve(one)
    assert cloud.counts.api_calls == 1


def test_a_renewing_sign_in_outlives_any_number_of_tokens(cloud: GoProCloud, machine: Machine) -> None:
    cloud.quirks.token_lifetime_requests = 20
    machine.sign_in(cloud.renewing())
    provider = machine.provider()
    media, _ = listed(provider)
    with ThreadPoolExecutor(8) as pool:
        offers = list(pool.map(provider.resolve, [*media.values()] * 6))
    assert len(offers) == 6 * len(media)
    assert cloud.counts.refreshes == provider.renewals >= 5
    assert cloud.counts.refreshing_peak == 1


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_token_that_dies_in_the_middle_is_renewed_however_the_server_says_so(
    cloud: GoProCloud, machine: Machine, status: int
) -> None:
    machine.sign_in(cloud.renewing())
    provider = machine.provider()
    media, _ = listed(provider)
    cloud.quirks.dead_token_status = status
    cloud.tokens.clear()
    assert provider.resolve(media["62NzWRrpPXm7o"]).originals
    assert provider.renewals == 2


def test_a_dead_pasted_token_that_looks_like_an_outage_is_told_with_the_remedy(
    cloud: GoProCloud, machine: Machine
) -> None:
    cloud.quirks.dead_token_status = 500
    cloud.tokens.clear()
    with pytest.raises(TransientError, match=r"dead token can look like this.*cloud-sync auth set"):
        machine.provider().authenticate()


def test_workers_of_several_processes_renew_once_together(cloud: GoProCloud, machine: Machine) -> None:
    machine.sign_in(cloud.renewing())
    cloud.quirks.refresh_latency = 0.05
    providers = [machine.provider() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(GoProProvider.authenticate, providers))
    assert cloud.counts.refreshes == sum(one.renewals for one in providers) == 1


def test_a_token_endpoint_that_is_out_of_order_for_a_moment_ends_nothing(cloud: GoProCloud, machine: Machine) -> None:
    machine.sign_in(cloud.renewing())
    cloud.quirks.refresh_fails = 3
    assert machine.provider().authenticate().media_count


def test_a_blacklisted_refresh_token_is_a_rejection_with_its_reason(cloud: GoProCloud, machine: Machine) -> None:
    machine.sign_in(cloud.renewing())
    machine.sign_in(cloud.renewing())
    cloud.refresh_tokens.clear()
    with pytest.raises(CredentialsRejected, match="token_blacklisted") as caught:
        machine.provider().authenticate()
    assert machine.store.current().refresh_token not in str(caught.value)


def test_a_crash_before_the_first_use_of_rotated_credentials_loses_no_sign_in(
    cloud: GoProCloud, machine: Machine
) -> None:
    good = machine.sign_in(cloud.renewing())
    machine.sign_in(good.to_json() | {"refresh_token": "one that never became good"})
    assert machine.provider().authenticate().media_count


def test_a_password_sign_in_keeps_the_refresh_token_alone(cloud: GoProCloud, machine: Machine) -> None:
    found = sign_in_with_password(cloud.url, cloud.client_id, cloud.client_secret, USERNAME, PASSWORD)
    assert set(found.to_json()) == {"refresh_token", "client_id", "client_secret", "last_updated"}
    machine.sign_in(found.to_json())
    assert machine.provider().authenticate().media_count


def test_a_refused_password_is_told_without_the_password(cloud: GoProCloud) -> None:
    with pytest.raises(CredentialsRejected, match="two-factor") as caught:
        sign_in_with_password(cloud.url, cloud.client_id, cloud.client_secret, USERNAME, "hunter2hunter2")
    assert "hunter2" not in str(caught.value)
    assert USERNAME not in str(caught.value)


@pytest.mark.parametrize("form", ["bearer", "cookies", "pair"])
def test_every_form_of_pasted_credentials_signs_in(cloud: GoProCloud, machine: Machine, form: str) -> None:
    pair = cloud.pasted()
    token = pair["gp_access_token"]
    machine.sign_in(
        {
            "bearer": {"gp_access_token": token},
            "cookies": {"cookies": f"a=b; gp_access_token={token}; gp_user_id={cloud.user_id}"},
            "pair": pair,
        }[form]
    )
    assert machine.provider().authenticate().media_count


# ------------------------------------------------------------------ the CDN


def test_a_range_begins_where_it_was_asked_for(machine: Machine) -> None:
    provider = machine.provider()
    original = provider.resolve(a_video(provider)).originals[0]
    whole = content(provider, original)
    assert content(provider, original, 1234) == whole[1234:]
    with provider.open(original, 1234) as body:
        assert body.total == len(whole)
        assert body.version.startswith('"')


def test_a_server_that_ignores_the_range_is_refused(cloud: GoProCloud, machine: Machine) -> None:
    provider = machine.provider()
    original = provider.resolve(a_video(provider)).originals[0]
    cloud.quirks.no_ranges = True
    with pytest.raises(IntegrityError, match="byte 0"):
        content(provider, original, 10)


def test_a_chunked_body_is_read_to_its_end_without_a_total(cloud: GoProCloud, machine: Machine) -> None:
    cloud.quirks.chunked = True
    provider = machine.provider()
    original = provider.resolve(a_video(provider)).originals[0]
    with provider.open(original) as body:
        assert body.total is None
    sha256 = hashlib.sha256(content(provider, original)).hexdigest()
    assert sha256 == expected_originals(cloud.media)["62NzWRrpPXm7o"][0].sha256


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_breaks_off_is_an_integrity_error(cloud: GoProCloud, machine: Machine, chunked: bool) -> None:
    cloud.quirks.chunked = chunked
    cloud.quirks.faults["62NzWRrpPXm7o"] = Fault("cut", after=5000)
    provider = machine.provider()
    original = provider.resolve(a_video(provider)).originals[0]
    with pytest.raises(IntegrityError, match="broke off"):
        content(provider, original)
    assert len(content(provider, original)) > 5000


def test_an_empty_body_is_an_integrity_error(cloud: GoProCloud, machine: Machine) -> None:
    cloud.quirks.faults["62NzWRrpPXm7o"] = Fault("empty")
    provider = machine.provider()
    with pytest.raises(IntegrityError, match="empty"):
        content(provider, provider.resolve(a_video(provider)).originals[0])


def test_an_address_that_has_expired_must_be_resolved_again(cloud: GoProCloud, machine: Machine) -> None:
    cloud.quirks.url_uses = 1
    provider = machine.provider()
    medium = a_video(provider)
    original = provider.resolve(medium).originals[0]
    content(provider, original)
    with pytest.raises(LocatorExpired):
        content(provider, original)
    again = provider.resolve(medium).originals[0]
    assert again == original
    assert content(provider, again)
    with pytest.raises(LocatorExpired):
        content(provider, Original("62NzWRrpPXm7o", 1, "source", "mp4"))


def test_a_cdn_that_is_out_of_order_is_told_at_once_with_its_wish(cloud: GoProCloud, machine: Machine) -> None:
    cloud.quirks.faults["62NzWRrpPXm7o"] = Fault("status", times=1, status=503)
    provider = machine.provider()
    original = provider.resolve(a_video(provider)).originals[0]
    with pytest.raises(TransientError, match="503"):
        content(provider, original)
    assert content(provider, original)


def test_redirects_of_the_cdn_are_followed_but_not_for_ever(cloud: GoProCloud, machine: Machine) -> None:
    provider = machine.provider()
    original = provider.resolve(a_video(provider)).originals[0]
    cloud.quirks.faults["62NzWRrpPXm7o"] = Fault("redirect", times=3)
    assert content(provider, original)
    cloud.quirks.faults["62NzWRrpPXm7o"] = Fault("redirect", times=-1)
    with pytest.raises(TransientError, match="redirected"):
        content(provider, original)


def test_no_error_quotes_an_address_or_a_token(cloud: GoProCloud, machine: Machine) -> None:
    provider = machine.provider()
    medium = a_video(provider)
    original = provider.resolve(medium).originals[0]
    token = machine.store.current().gp_access_token
    told: list[str] = []

    def note(action: Callable[[], object]) -> None:
        with pytest.raises(CloudSyncError) as caught:
            action()
        told.append(str(caught.value) + repr(caught.value.__cause__))

    for fault in (Fault("cut"), Fault("empty"), Fault("status", times=-1), Fault("redirect", times=-1)):
        cloud.quirks.faults["62NzWRrpPXm7o"] = fault
        note(lambda: content(provider, original))
    cloud.quirks.throttle = 9
    note(lambda: provider.resolve(medium))
    cloud.quirks.throttle = 0
    cloud.tokens.clear()
    note(lambda: provider.resolve(medium))
    text = " ".join(told)
    assert token not in text
    assert "Signature" not in text
    assert cloud.url not in text


def test_a_frame_that_is_not_available_yet_is_missing_and_the_others_are_offered(
    cloud: GoProCloud, machine: Machine
) -> None:
    def with_a_late_frame(medium: CloudMedium) -> CloudMedium:
        files = (replace(one, available=not (one.original and one.number == 2)) for one in medium.files)
        return replace(medium, files=tuple(files))

    cloud.media = [with_a_late_frame(one) if one.media_id == "timelapse-set1" else one for one in cloud.media]
    provider = machine.provider()
    offer = provider.resolve(a_video(provider, "timelapse-set1"))
    assert [one.item_number for one in offer.originals] == [1, 3, 4, 5, 6]
    assert offer.missing == "1 of 6 originals are not available yet"


def test_one_media_type_more_does_not_change_what_is_listed(cloud: GoProCloud, machine: Machine) -> None:
    cloud.media.append(CloudMedium("audio-only-01", "Audio", "A.WAV", "2026-01-01T00:00:00Z", file_extension="WAV"))
    assert "audio-only-01" in listed(machine.provider())[0]
