"""What any cloud over HTTP needs.

Sessions that add nothing by themselves, safe addresses, errors that quote none, bodies that prove their
length.
"""

from __future__ import annotations

import http.client
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from core.errors import (
    ApiShapeChanged,
    CloudSyncError,
    IntegrityError,
    InvalidInput,
    LocatorExpired,
    SourceChanged,
    TransientError,
)
from core.model import Json, utc_now
from core.providers.base import ByteSource

#: Seconds to connect, and seconds without a single byte, on every call.
TIMEOUT = (10.0, 30.0)

#: Redirects that a download may take; an API call takes none.
MOST_REDIRECTS = 3

#: Bytes of an API answer, decoded, that are read at most.
LONGEST_ANSWER = 32 * 1024 * 1024

#: Seconds that an API answer may take to arrive whole, however steadily it drips.
LONGEST_CALL = 60.0

#: Bytes of a small picture, and seconds that may go by: to connect, without a byte, and until it is there.
LARGEST_PICTURE = 200_000
_PICTURE_TIMEOUT = (3.0, 5.0)
LONGEST_PICTURE_CALL = 10.0

#: Characters of an ETag or a date that names a version: the archive keeps it with the object.
LONGEST_VERSION = 200

_REDIRECTS = (301, 302, 303, 307, 308)
_OVERLOADED = (408, 425, 429)
_NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f\\]")
#: What error pages and messages come as, and no original does.
_PAGE = re.compile(r"\s*(text/html|(text|application)/(\S+\+)?(xml|json))\b", re.IGNORECASE)
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_BROKEN = (urllib3.exceptions.HTTPError, http.client.HTTPException, requests.RequestException, OSError)


class _Session(requests.Session):
    """A session that never looks where a redirect leads: to prepare that, requests would read its whole body."""

    def get_redirect_target(self, _: object) -> None:
        """Nowhere: who wants to follow a redirect does so in person."""


class _DirectAdapter(HTTPAdapter):
    """Goes to the address itself: plain HTTP is for loopback, where no proxy can help."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send the request as it is, without the environment's proxy."""
        return super().send(request, *args, **kwargs | {"proxies": None})


def new_session(pool_size: int) -> requests.Session:
    """A session for `pool_size` threads that sends what it is told: no netrc, no cookies of its own.

    From then on urllib3 logs nothing in this process: its warnings quote whole addresses, which may be signed.
    """
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)
    session = _Session()
    session.auth = _unchanged
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.mount("https://", HTTPAdapter(pool_connections=8, pool_maxsize=pool_size))
    session.mount("http://", _DirectAdapter(pool_connections=8, pool_maxsize=pool_size))
    return session


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def require_safe_url(url: str, what: str, *, error: type[CloudSyncError] = InvalidInput, loopback: bool = True) -> str:
    """The address, if it is https without user information; a loopback host, and http to it, only if `loopback`.

    Else `error`, whose text names `what` and never the address.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise error(f"{what} is not a valid address.") from None
    if _NOT_IN_URLS.search(url) or not host or "@" in parts.netloc:
        raise error(f"{what} must be an address with a host and without user name, blanks or backslashes.")
    if _is_own_machine(host) and not loopback:
        raise error(f"{what} leads to the machine that asks for it.")
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)):
        return url
    raise error(f"{what} must begin with https:// (http:// is accepted for loopback addresses alone).")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_own_machine(host: str) -> bool:
    """Whether it is this machine, or the link-local address at which a cloud machine is told its credentials."""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_link_local or address.is_unspecified


def retry_after(headers: Mapping[str, str], clock: Callable[[], datetime] = utc_now) -> float | None:
    """The pause in seconds that an answer asks for (Retry-After as seconds or HTTP date), never negative."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - clock()).total_seconds())


def send(
    session: requests.Session,
    method: str,
    url: str,
    what: str,
    *,
    headers: Mapping[str, str],
    params: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    document: Json = None,
    timeout: tuple[float, float] = TIMEOUT,
) -> requests.Response:
    """One call with timeouts, its body unread; redirects are not followed. A `document` is sent as JSON.

    `TransientError` if no answer comes; its text holds `what` and the kind of fault, never an address, header
    or body.
    """
    try:
        return session.request(
            method,
            url,
            headers=dict(headers),
            params=params,
            data=form,
            json=document,
            timeout=timeout,
            stream=True,
            allow_redirects=False,
        )
    except (*_BROKEN, ValueError) as fault:
        raise TransientError(f"{what} could not be asked for: {_kind(fault, timeout)}.") from None


def _kind(fault: BaseException, timeout: tuple[float, float]) -> str:
    if isinstance(fault, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
        return f"no answer within {timeout[1]:.0f} s"
    if isinstance(fault, requests.exceptions.SSLError | urllib3.exceptions.SSLError):
        return "no trusted TLS connection could be made"
    return f"the connection failed ({type(fault).__name__})"


def read_all(response: requests.Response, what: str) -> bytes:
    """The decoded body of an API answer. `TransientError` if it breaks off, is too long or takes too long."""
    body = bytearray()
    give_up_at = time.monotonic() + LONGEST_CALL
    try:
        while block := response.raw.read1(256 * 1024, decode_content=True):
            body += block
            if len(body) > LONGEST_ANSWER:
                raise TransientError(f"{what}: the answer is longer than {LONGEST_ANSWER:,} bytes.")
            if time.monotonic() > give_up_at:
                raise TransientError(f"{what}: the answer was not whole after {LONGEST_CALL:.0f} s.")
    except _BROKEN as fault:
        raise TransientError(f"{what}: the answer broke off ({type(fault).__name__}).") from None
    return bytes(body)


class HttpByteSource:
    """A response body as `ByteSource`, from `start` of the file up to `end`, or to its own end.

    Made only if the answer proves what it will deliver: no content encoding, the asked range, and a length or
    chunked framing by which a body that breaks off is known. Else `IntegrityError`.
    """

    def __init__(self, response: requests.Response, start: int, end: int | None, version: str, what: str) -> None:
        self._raw = response.raw
        # The standard library's response below urllib3's, as requests itself uses it: it alone reads into a buffer.
        self._body: Any = response.raw._original_response
        self._what = what
        self._position = start
        headers = response.headers
        if headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
            raise IntegrityError(f"{what} comes encoded though that was not asked for.")
        self.version = _version(headers)
        if version and self.version != version:
            raise SourceChanged(f"{what} is no longer what it was when its transfer began.")
        declared = _content_length(headers, what)
        self.total = self._end = declared
        self.ranged = response.status_code == requests.codes.partial_content
        if self.ranged:
            self.total, self._end = _range_of(headers, start, end, declared, what)
        elif start:
            raise IntegrityError(f"{what} was asked for from byte {start:,} on, but comes from byte 0.")
        if self.total is None and not _is_chunked(headers):
            raise IntegrityError(f"{what} comes without a length: nobody could tell whether it is whole.")
        if self.total == 0:
            raise IntegrityError(f"{what} is empty.")

    def readinto(self, buffer: memoryview) -> int:
        """Read up to `len(buffer)` bytes, fewer only at the end of the body; 0 once it has ended.

        `IntegrityError` if it breaks off early, `TransientError` if nothing comes for 30 s.
        """
        try:
            count = int(self._body.readinto(buffer))
        except (urllib3.exceptions.TimeoutError, TimeoutError):
            raise TransientError(f"{self._what} stopped coming at byte {self._position:,}.") from None
        except _BROKEN as fault:
            raise self._broken_off(f"; {type(fault).__name__}") from None
        self._position += count
        if self._body.isclosed():
            self._raw.release_conn()
        if not count and len(buffer) and self._end is not None and self._position != self._end:
            raise self._broken_off("")
        return count

    def _broken_off(self, why: str) -> IntegrityError:
        whole = "its end" if self._end is None else f"byte {self._end:,}"
        return IntegrityError(f"{self._what} broke off at byte {self._position:,} before {whole}{why}.")


def _version(headers: Mapping[str, str]) -> str:
    """The validator of the bytes, "" unless it is short and plain enough to be sent back and kept."""
    for name in ("ETag", "Last-Modified"):
        told = headers.get(name, "").strip()
        if told and len(told) <= LONGEST_VERSION and told.isascii() and told.isprintable():
            return told
    return ""


def _content_length(headers: Mapping[str, str], what: str) -> int | None:
    text = headers.get("Content-Length")
    if text is None or _is_chunked(headers):
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text.strip()):
        raise IntegrityError(f"{what} declares a length that is no number.")
    return int(text)


def _is_chunked(headers: Mapping[str, str]) -> bool:
    return headers.get("Transfer-Encoding", "").strip().lower().endswith("chunked")


def _range_of(
    headers: Mapping[str, str], start: int, end: int | None, declared: int | None, what: str
) -> tuple[int, int]:
    """The whole file's length, and where the range ends that was given."""
    found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if not found or int(found[1]) != start:
        raise IntegrityError(f"{what} was asked for from byte {start:,} on, but does not begin there.")
    total = int(found[3])
    given = int(found[2]) + 1
    if given != min(total, end or total) or declared not in (None, given - start):
        raise IntegrityError(f"{what}: the answer covers less than was asked for, or contradicts itself.")
    return total, given


@contextmanager
def open_download(
    session: requests.Session,
    url: str,
    what: str,
    *,
    start: int = 0,
    end: int | None = None,
    version: str = "",
    loopback: bool = True,
    timeout: tuple[float, float] = TIMEOUT,
    clock: Callable[[], datetime] = utc_now,
) -> Iterator[ByteSource]:
    """Open a signed download address from byte `start` up to and without `end`, without any credentials.

    At most `MOST_REDIRECTS` redirects are followed, each to a safe address. `LocatorExpired` for 401, 403,
    404 and 410, `TransientError` for what may pass, `IntegrityError` for an answer that can't prove its
    length.
    """
    headers = {"Accept-Encoding": "identity", "Accept": "*/*"}
    if start or end is not None:
        headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        if version and not version.startswith("W/"):
            headers["If-Range"] = version
    for _ in range(MOST_REDIRECTS + 1):
        require_safe_url(url, f"The download address of {what}", error=ApiShapeChanged, loopback=loopback)
        with closing(send(session, "GET", url, what, headers=headers, timeout=timeout)) as response:
            if response.status_code not in _REDIRECTS:
                _require_download(response, what, clock)
                yield HttpByteSource(response, start, end, version, what)
                return
            url = _joined(url, response.headers.get("Location", ""), what)
    raise TransientError(f"{what} is redirected more than {MOST_REDIRECTS} times.")


def small_picture(session: requests.Session, url: str, *, loopback: bool = True) -> bytes | None:
    """A JPEG of at most 200 KB at a signed address; None if what is there is another thing. Errors as of a download."""
    give_up_at = time.monotonic() + LONGEST_PICTURE_CALL
    picture = bytearray()
    with open_download(session, url, "a small picture", loopback=loopback, timeout=_PICTURE_TIMEOUT) as body:
        block = memoryview(bytearray(64 * 1024))
        while count := body.readinto(block):
            picture += block[:count]
            if len(picture) > LARGEST_PICTURE or time.monotonic() > give_up_at:
                return None
    return bytes(picture) if picture.startswith(b"\xff\xd8\xff") else None


def _joined(url: str, location: str, what: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise ApiShapeChanged(f"The address that {what} is redirected to is not valid.") from None


def _require_download(response: requests.Response, what: str, clock: Callable[[], datetime]) -> None:
    status = response.status_code
    if status in (200, 206):
        if _PAGE.match(response.headers.get("Content-Type", "")):
            raise TransientError(f"{what}: a page or a message came in its place.")
        return
    if status in (401, 403, 404, 410):
        raise LocatorExpired(f"The download address of {what} is no longer honoured ({status}).")
    if status == 416:
        raise IntegrityError(f"{what} is shorter than the byte it was asked for from (416).")
    pause = retry_after(response.headers, clock)
    raise TransientError(f"{what} could not be opened ({status}).", retry_after=pause)


def is_passing(status: int) -> bool:
    """Whether an HTTP status means that the same call may work later."""
    return status in _OVERLOADED or status >= 500
