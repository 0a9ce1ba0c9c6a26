"""The edge to HTTP: bodies that prove their length, answers that nobody expects, sessions without extras."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from core.credentials.base import Credentials
from core.credentials.file import FileCredentials
from core.errors import (
    ApiShapeChanged,
    CredentialsRejected,
    IntegrityError,
    LocatorExpired,
    SourceChanged,
    SourceGone,
    TransientError,
)
from core.model import Medium
from core.providers import http
from core.providers.base import Provider, ProviderSettings
from core.providers.gopro import create
from core.providers.gopro.answers import spoken_reason
from core.providers.gopro.oauth import TokenEndpoint
from core.providers.limiter import LEASE_SECONDS, ApiSlots
from core.tracker.sqlite import SqliteTracker
from tests.scripted import Scripted, raw, whole

ACCOUNT = b'{"id": "u", "total_count": 1}'


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted() as scripted:
        yield scripted


def read(url: str, start: int = 0, version: str = "") -> tuple[bytes, int | None]:
    buffer = memoryview(bytearray(100))
    found = b""
    with http.open_download(http.new_session(1), url, "the film", start=start, version=version) as body:
        while count := body.readinto(buffer):
            found += bytes(buffer[:count])
        return found, body.total


def test_a_body_with_a_length_is_read_to_it(server: Scripted) -> None:
    assert read(server.answer("/a", whole("200 OK", b"x" * 250))) == (b"x" * 250, 250)


def test_a_body_may_come_in_chunks_whose_end_is_seen(server: Scripted) -> None:
    chunks = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert read(server.answer("/a", raw("200 OK", "Transfer-Encoding: chunked", body=chunks))) == (
        b"abcde",
        None,
    )


@pytest.mark.parametrize(
    "answer",
    [
        raw("200 OK", "Content-Length: 100", body=b"x" * 99),
        raw("200 OK", "Content-Length: 100"),
        raw("200 OK", "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n2\r\nd"),
        raw("200 OK", "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n"),
        raw("200 OK", body=b"nobody knows where it ends"),
        raw("200 OK", "Content-Length: many", body=b"x"),
        whole("200 OK", b""),
        whole("200 OK", gzip.compress(b"film"), "Content-Encoding: gzip"),
        whole("206 Partial Content", b"x" * 10, "Content-Range: bytes 0-9/100"),
        whole("206 Partial Content", b"x" * 10, "Content-Range: bytes 5-14/15"),
        whole("206 Partial Content", b"x" * 10),
        whole("206 Partial Content", b"x" * 10, "Content-Range: bytes 0-19/20"),
    ],
)
def test_a_body_that_cannot_be_proved_whole_is_an_integrity_error(server: Scripted, answer: bytes) -> None:
    with pytest.raises(IntegrityError, match="the film"):
        read(server.answer("/a", answer))


def test_a_range_tells_the_whole_length_and_proves_its_start(server: Scripted) -> None:
    url = server.answer("/a", whole("206 Partial Content", b"x" * 10, "Content-Range: bytes 90-99/100"))
    assert read(url, 90) == (b"x" * 10, 100)
    assert "Range: bytes=90-\r\n" in server.requests[-1]
    with pytest.raises(IntegrityError):
        read(url, 80)


def test_a_range_must_be_of_the_version_that_was_asked_for_also_where_the_server_does_not_heed_that(
    server: Scripted,
) -> None:
    told = ("Content-Range: bytes 90-99/100", 'ETag: "2"')
    url = server.answer("/a", whole("206 Partial Content", b"x" * 10, *told))
    assert read(url, 90, '"2"') == (b"x" * 10, 100)
    assert 'If-Range: "2"\r\n' in server.requests[-1]
    with pytest.raises(SourceChanged, match="the film is no longer what it was"):
        read(url, 90, '"1"')


def test_a_weak_version_is_compared_but_not_sent(server: Scripted) -> None:
    told = ("Content-Range: bytes 90-99/100", 'ETag: W/"2"')
    url = server.answer("/a", whole("206 Partial Content", b"x" * 10, *told))
    assert read(url, 90, 'W/"2"') == (b"x" * 10, 100)
    assert "If-Range" not in server.requests[-1]
    with pytest.raises(SourceChanged):
        read(url, 90, 'W/"1"')


def test_a_range_behind_the_end_is_an_integrity_error(server: Scripted) -> None:
    with pytest.raises(IntegrityError, match="shorter"):
        read(server.answer("/a", whole("416 Range Not Satisfiable", b"")), 90)


@pytest.mark.parametrize("status", ["401 No", "403 Expired", "404 Not Found", "410 Gone"])
def test_an_address_that_is_not_honoured_is_to_be_resolved_again(server: Scripted, status: str) -> None:
    with pytest.raises(LocatorExpired):
        read(server.answer("/a", whole(status, b"")))


def test_a_redirect_leads_only_to_a_safe_address(server: Scripted) -> None:
    server.answer("/film", whole("200 OK", b"film"))
    assert read(server.answer("/a", whole("302 Found", b"", "Location: /film")))[0] == b"film"
    for target in ("http://evil.example/film", "file:///etc/passwd", "//user@evil.example/"):
        with pytest.raises(ApiShapeChanged) as caught:
            read(server.answer("/a", whole("302 Found", b"", f"Location: {target}")))
        assert "evil" not in str(caught.value)


def test_plain_http_downloads_are_refused_where_the_api_is_not_on_loopback(server: Scripted) -> None:
    url = server.answer("/a", whole("200 OK", b"film"))
    with pytest.raises(ApiShapeChanged), http.open_download(http.new_session(1), url, "it", loopback=False):
        pass
    assert server.requests == []


def test_no_log_quotes_a_signed_address_also_where_an_answer_is_malformed(
    server: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    malformed = raw("200 OK", "Content-Length: 4", "a line without a colon", "X: y", body=b"film")
    url = server.answer("/a", malformed) + "?Signature=SECRET"
    with caplog.at_level(logging.DEBUG):
        assert read(url) == (b"film", 4)
    assert "SECRET" not in caplog.text


def test_a_session_adds_no_credentials_and_keeps_no_cookies(
    server: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    url = server.answer("/a", whole("200 OK", b"film", "Set-Cookie: session=1; Path=/"))
    session = http.new_session(1)
    for _ in range(2):
        with http.open_download(session, url, "it") as body:
            assert body.total == 4
    assert len(server.requests) == 2
    for request in server.requests:
        assert "authorization" not in request.lower()
        assert "cookie" not in request.lower()
        assert "Accept-Encoding: identity" in request


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("Fri, 01 May 2026 12:00:30 GMT", 30.0),
        ("Fri, 01 May 2026 11:00:00 GMT", 0.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("9" * 5000, None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_never_negative(told: str, seconds: float | None) -> None:
    assert http.retry_after({"Retry-After": told}, lambda: datetime(2026, 5, 1, 12, tzinfo=UTC)) == seconds


# ------------------------------------------------------------------ answers of the API that nobody expects


@pytest.fixture
def provider(server: Scripted, tmp_path: Path) -> Provider:
    store = FileCredentials(tmp_path / "credentials.json")
    store.save(Credentials(gp_access_token="pasted-token-of-the-user", gp_user_id="u"))
    server.answer("/media/user", whole("200 OK", ACCOUNT))
    settings = ProviderSettings(store, SqliteTracker(tmp_path / "tracker"), server.url)
    return create(settings, sleep=lambda _: None)


MEDIUM = Medium("gopro", "a b/ü", "", "Video", "ready", None, None, 1)
DOWNLOAD = "/media/a%20b%2F%C3%BC/download"


def test_a_call_sends_what_clients_have_found_necessary(server: Scripted, provider: Provider) -> None:
    provider.authenticate()
    request = server.requests[0]
    assert "Accept: application/vnd.gopro.jk.media+json; version=2.0.0\r\n" in request
    assert "Accept-Language: en-US,en;q=0.9\r\n" in request
    assert "User-Agent: Mozilla/5.0" in request
    assert "Cookie: gp_access_token=pasted-token-of-the-user; gp_user_id=u\r\n" in request
    assert "Origin" not in request
    assert "Referer" not in request


@pytest.mark.parametrize("status", ["403 Forbidden", "401 Unauthorized"])
def test_one_medium_that_is_refused_does_not_end_the_sign_in(server: Scripted, provider: Provider, status: str) -> None:
    server.answer(DOWNLOAD, whole(status, b"{}"))
    with pytest.raises(TransientError, match="though the sign-in is good"):
        provider.resolve(MEDIUM)
    assert provider.authenticate().media_count == 1


@pytest.mark.parametrize("status", ["403 Forbidden", "401 Unauthorized"])
def test_a_sign_in_that_is_refused_everywhere_is_rejected(server: Scripted, provider: Provider, status: str) -> None:
    server.answer(DOWNLOAD, whole(status, b"{}"))
    server.answer("/media/user", whole(status, b"{}"))
    with pytest.raises(CredentialsRejected):
        provider.resolve(MEDIUM)


@pytest.mark.parametrize("status", ["404 Not Found", "410 Gone"])
def test_a_medium_that_is_not_found_while_the_api_is_well_has_gone(
    server: Scripted, provider: Provider, status: str
) -> None:
    server.answer(DOWNLOAD, whole(status, b"{}"))
    with pytest.raises(SourceGone):
        provider.resolve(MEDIUM)


def test_a_retired_api_does_not_make_media_look_gone(server: Scripted, provider: Provider) -> None:
    server.answer(DOWNLOAD, whole("410 Gone", b"{}"))
    server.answer("/media/user", whole("410 Gone", b"{}"))
    with pytest.raises(ApiShapeChanged):
        provider.resolve(MEDIUM)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"_embedded": 7}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"id": ' + b"9" * 5000 + b"}",
    ],
)
def test_an_answer_that_cannot_be_read_at_all_means_that_the_api_has_changed(
    server: Scripted, provider: Provider, body: bytes
) -> None:
    server.answer(DOWNLOAD, whole("200 OK", body))
    with pytest.raises(ApiShapeChanged):
        provider.resolve(MEDIUM)


def test_an_answer_that_breaks_off_is_asked_for_again(server: Scripted, provider: Provider) -> None:
    server.answer("/media/user", raw("200 OK", "Content-Length: 99", body=b"{"), whole("200 OK", ACCOUNT))
    assert provider.authenticate().media_count == 1


def test_a_compressed_answer_is_read(server: Scripted, provider: Provider) -> None:
    server.answer("/media/user", whole("200 OK", gzip.compress(ACCOUNT), "Content-Encoding: gzip"))
    assert provider.authenticate().media_count == 1


def test_an_api_call_is_never_redirected_with_its_credentials(server: Scripted, provider: Provider) -> None:
    server.answer("/media/user", whole("302 Found", b"", "Location: /elsewhere"))
    server.answer("/elsewhere", whole("200 OK", ACCOUNT))
    with pytest.raises(ApiShapeChanged, match="302"):
        provider.authenticate()
    assert not any("/elsewhere" in request for request in server.requests)


def test_an_error_answer_is_quoted_without_secrets_and_not_at_length(server: Scripted, provider: Provider) -> None:
    reason = "token pasted-token-of-the-user of me@example.com, see https://x.example/?sig=1 " + "y" * 500
    error = {"_embedded": {"errors": [{"reason": reason, "code": 5031}]}}
    server.answer("/media/user", whole("503 Busy", json.dumps(error).encode()))
    with pytest.raises(TransientError, match="503") as caught:
        provider.authenticate()
    text = str(caught.value)
    assert "token … of … see …" in text
    for secret in ("pasted", "example", "sig", "yyyy"):
        assert secret not in text
    assert len(text) < 300


def test_a_reason_is_empty_where_nothing_is_said() -> None:
    assert spoken_reason({}) == spoken_reason([]) == spoken_reason({"_embedded": {"errors": "x"}}) == ""
    assert spoken_reason({"error": "invalid_grant"}) == ": invalid_grant"


# ------------------------------------------------------------------ the token endpoint


RENEWING = Credentials(refresh_token="r-1", client_id="mine", client_secret="s", gp_user_id="u", cookies="c=1")


def endpoint(server: Scripted) -> TokenEndpoint:
    return TokenEndpoint(requests.Session(), server.url)


def test_a_refresh_sends_the_users_own_client_and_takes_the_rotated_token(server: Scripted) -> None:
    server.answer("/v1/oauth2/token", whole("200 OK", b'{"access_token": "a-2", "refresh_token": "r-2"}'))
    found = endpoint(server).refresh(RENEWING)
    assert (found.gp_access_token, found.refresh_token, found.client_secret) == ("a-2", "r-2", "s")
    assert (found.cookies, found.gp_user_id) == ("", "")
    assert server.requests[0].endswith("grant_type=refresh_token&refresh_token=r-1&client_id=mine&client_secret=s")


def test_a_refresh_that_is_not_rotated_keeps_its_token(server: Scripted) -> None:
    server.answer("/v1/oauth2/token", whole("200 OK", b'{"access_token": "a-2"}'))
    assert endpoint(server).refresh(RENEWING).refresh_token == "r-1"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (whole("400 Bad Request", b'{"error": "invalid_grant"}'), CredentialsRejected),
        (whole("401 No", b""), CredentialsRejected),
        (whole("403 No", b'{"error": "access_denied"}'), CredentialsRejected),
        (
            whole("500 No", b'{"_embedded": {"errors": [{"reason": "token_blacklisted"}]}}'),
            CredentialsRejected,
        ),
        (whole("200 OK", b'{"error": "invalid_client"}'), CredentialsRejected),
        (whole("403 No", b"<html>Are you a robot?</html>"), TransientError),
        (whole("200 OK", b"<html>"), TransientError),
        (whole("200 OK", b'{"access_token": "a\\nb"}'), TransientError),
        (whole("503 No", b"{}"), TransientError),
        (whole("429 No", b"{}"), TransientError),
        (whole("404 No", b"{}"), ApiShapeChanged),
    ],
)
def test_a_refusal_is_told_apart_from_a_token_endpoint_out_of_order(
    server: Scripted, answer: bytes, error: type[Exception]
) -> None:
    server.answer("/v1/oauth2/token", answer)
    with pytest.raises(error) as caught:
        endpoint(server).refresh(RENEWING)
    assert "r-1" not in str(caught.value)


# ------------------------------------------------------------------ slots


def test_a_fifth_call_waits_until_a_slot_is_free(tmp_path: Path) -> None:
    leases = SqliteTracker(tmp_path / "tracker")
    slept: list[float] = []
    elsewhere = [f"gopro#api-slot-{number}" for number in range(4)]
    for name in elsewhere:
        assert leases.acquire(name, "another worker", LEASE_SECONDS)

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 5:
            leases.release(elsewhere[2], "another worker")

    with ApiSlots(leases, "gopro", sleep=sleep).hold():
        assert len(slept) >= 5
        assert leases.held(elsewhere[2])
    assert not leases.held(elsewhere[2])
    assert max(slept) <= 1.0


def test_waiting_for_a_slot_has_an_end(tmp_path: Path) -> None:
    leases = SqliteTracker(tmp_path / "tracker")
    for number in range(4):
        leases.acquire(f"gopro#api-slot-{number}", "another worker", 1000)
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    slots = ApiSlots(leases, "gopro", sleep=sleep, clock=lambda: now[0])
    with pytest.raises(TransientError, match="taken"), slots.hold(10):
        pass
    assert 10 <= now[0] < 12


def test_a_slot_is_given_back_when_the_call_fails(tmp_path: Path) -> None:
    leases = SqliteTracker(tmp_path / "tracker")
    slots = ApiSlots(leases, "gopro")
    for _ in range(20):
        with pytest.raises(ZeroDivisionError), slots.hold():
            raise ZeroDivisionError
    assert not any(leases.held(f"gopro#api-slot-{number}") for number in range(4))
