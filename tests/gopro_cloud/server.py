"""The server: API and CDN on one port of loopback. It speaks as `facts` of the real cloud's clients have it."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.gopro_cloud.library import expected_originals
from tests.gopro_cloud.media import (
    FRAME_HEIGHT,
    FRAME_WIDTH,
    FRAMES,
    Body,
    CloudFile,
    CloudMedium,
    changed,
    etag,
    pieces,
)
from tests.gopro_cloud.quirks import Fault, Quirks

ACCEPT = "application/vnd.gopro.jk.media+json; version=2.0.0"
CLIENT_ID = "client-of-the-user"
CLIENT_SECRET = "secret-of-the-client"
USER_ID = "user-7f3e"
USERNAME, PASSWORD = "someone@example.com", "correct horse"
_FIRST_PAGE_SIZE = 30


@dataclass
class Counts:
    """What the server saw. Bytes are those of bodies that left it, by media id, and by media id and path."""

    requests: Counter[str] = field(default_factory=Counter)
    downloads: Counter[str] = field(default_factory=Counter)
    bytes_served: Counter[str] = field(default_factory=Counter)
    file_bytes: Counter[str] = field(default_factory=Counter)
    api_now: int = 0
    api_peak: int = 0
    refreshes: int = 0
    refreshing_now: int = 0
    refreshing_peak: int = 0
    credentials_at_cdn: int = 0

    @property
    def api_calls(self) -> int:
        """Calls of the API, refreshes aside."""
        return sum(count for name, count in self.requests.items() if name in ("user", "search", "download"))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    cloud: GoProCloud

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""


class GoProCloud:
    """Runs within a `with`. `quirks`, `media` and `counts` may be looked at and changed while it runs.

    `tls` is a certificate and its key; then `public_host` is the name in the addresses that it hands out.
    """

    def __init__(
        self,
        media: Sequence[CloudMedium],
        quirks: Quirks | None = None,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        tls: tuple[Path, Path] | None = None,
        public_host: str | None = None,
    ) -> None:
        self.media = list(media)
        self.held_back: list[CloudMedium] = []
        self.quirks = quirks or Quirks()
        self.counts = Counts()
        self.user_id = USER_ID
        self.client_id, self.client_secret = CLIENT_ID, CLIENT_SECRET
        self.lock = threading.RLock()
        self.tokens: dict[str, int] = {}
        self.refresh_tokens: set[str] = set()
        self.url_uses: Counter[str] = Counter()
        self.page_fetches: Counter[int] = Counter()
        self.changes: Counter[str] = Counter()
        self._listing: tuple[tuple[str, str, str], list[CloudMedium], list[CloudMedium]] = (("", "", ""), [], [])
        self._key = secrets.token_bytes(16)
        self._server = _Server((host, port), _Handler)
        self._server.cloud = self
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://{public_host or host}:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def issue_token(self) -> str:
        """A new access token, in the five-part form of the real ones."""
        token = "eyJhbGciOiJSU0EtT0FFUCJ9." + ".".join(secrets.token_urlsafe(24) for _ in range(4))
        with self.lock:
            self.tokens[token] = 0
        return token

    def issue_refresh_token(self) -> str:
        """A new refresh token."""
        token = f"refresh-{secrets.token_urlsafe(24)}"
        with self.lock:
            self.refresh_tokens.add(token)
        return token

    def pasted(self) -> dict[str, str]:
        """Credentials as a user pastes them."""
        return {"gp_access_token": self.issue_token(), "gp_user_id": self.user_id}

    def renewing(self) -> dict[str, str]:
        """Credentials that renew themselves."""
        return {
            "refresh_token": self.issue_refresh_token(),
            "client_id": self.client_id,
            "client_secret": self.client_secret,
        }

    def sign(self, path: str) -> str:
        """A signed address for a path, good for a while."""
        expires = f"{time.time() + self.quirks.url_lifetime:.3f}"
        return f"{self.url}{path}?Expires={expires}&Signature={self._signature(path, expires)}{secrets.token_hex(4)}"

    def honours(self, path: str, query: dict[str, list[str]]) -> bool:
        """Whether a signed address is still good."""
        expires, signature = query.get("Expires", ["0"])[0], query.get("Signature", [""])[0]
        with self.lock:
            self.url_uses[signature] += 1
            used = self.url_uses[signature]
        fresh = float(expires) > time.time() and (self.quirks.url_uses is None or used <= self.quirks.url_uses)
        return fresh and signature[:-8] == self._signature(path, expires)

    def _signature(self, path: str, expires: str) -> str:
        return hmac.new(self._key, f"{path}{expires}".encode(), hashlib.sha256).hexdigest()[:32]

    def find(self, media_id: str) -> CloudMedium | None:
        """The medium with this id, if the library has it now."""
        with self.lock:
            return next((medium for medium in self.media if medium.media_id == media_id), None)

    def listed(self, order_by: str, kinds: str, states: str) -> list[CloudMedium]:
        """The media in the order of a listing; a library of 100,000 that has not changed is not sorted again."""
        query = (order_by, kinds, states)
        if self._listing[0] != query or self._listing[1] != self.media:
            found = _filtered(self.media, kinds, states)
            if order_by in ("created_at", "captured_at"):
                found.sort(key=attrgetter(order_by), reverse=True)
            self._listing = (query, list(self.media), found)
        return self._listing[2]

    def state(self) -> dict[str, Any]:
        """The counts as JSON."""
        with self.lock:
            told = {
                name: dict(value) if isinstance(value, Counter) else value for name, value in vars(self.counts).items()
            }
            return told | {"api_calls": self.counts.api_calls}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def cloud(self) -> GoProCloud:
        return self.server.cloud

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""

    # ------------------------------------------------------------------ routes
    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        if parts.path.startswith("/cdn/"):
            self._serve_file(parts.path, query)
        elif parts.path == "/_cloud/state":
            self._json(200, self.cloud.state())
        elif parts.path == "/_cloud/expected":
            told = expected_originals(self.cloud.media)
            self._json(200, {media_id: [asdict(one) for one in originals] for media_id, originals in told.items()})
        elif parts.path == "/media/user":
            with self._api("user") as allowed:
                if allowed:
                    media = self.cloud.media
                    length = sum(file.body.length for medium in media for file in medium.files)
                    self._json(200, {"id": USER_ID, "total_count": len(media) + 1, "total_storage": length})
        elif parts.path == "/media/search":
            with self._api("search") as allowed:
                if allowed:
                    self._search(query)
        elif found := re.fullmatch(r"/media/([^/]+)/download", parts.path):
            with self._api("download") as allowed:
                if allowed:
                    self._download(unquote(found[1]))
        else:
            self._error(404, "not found")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urlsplit(self.path).path
        if path == "/v1/oauth2/token":
            self._token({name: values[0] for name, values in parse_qs(body.decode()).items()})
        elif path == "/_cloud/quirks":
            for name, value in json.loads(body).items():
                faults = {key: Fault(**fault) for key, fault in value.items()} if name == "faults" else value
                setattr(self.cloud.quirks, name, faults)
            self._json(200, {})
        else:
            self._error(404, "not found")

    # --------------------------------------------------------------------- API
    @contextmanager
    def _api(self, name: str) -> Iterator[bool]:
        """Count an API call and let it pass, or answer it here."""
        cloud, counts = self.cloud, self.cloud.counts
        with cloud.lock:
            counts.requests[name] += 1
            counts.api_now += 1
            counts.api_peak = max(counts.api_peak, counts.api_now)
        try:
            time.sleep(cloud.quirks.api_latency)
            yield self._admit()
        finally:
            with cloud.lock:
                counts.api_now -= 1

    def _admit(self) -> bool:
        quirks = self.cloud.quirks
        with self.cloud.lock:
            throttled = quirks.throttle > 0
            quirks.throttle -= throttled
            as_html = not throttled and quirks.html_answers > 0
            quirks.html_answers -= as_html
        if throttled:
            self._error(quirks.throttle_status, "slow down", {"Retry-After": quirks.retry_after})
        elif as_html:
            self._send(200, b"<html>We will be back soon</html>", {"Content-Type": "text/html"})
        elif self.headers.get("Accept") != ACCEPT:
            self._error(quirks.accept_status, "wrong media type")
        elif not self._is_signed_in():
            self._error(quirks.dead_token_status, "unauthorized")
        else:
            return True
        return False

    def _is_signed_in(self) -> bool:
        token = self._token_of_request()
        lifetime = self.cloud.quirks.token_lifetime_requests
        with self.cloud.lock:
            if token not in self.cloud.tokens:
                return False
            self.cloud.tokens[token] += 1
            return lifetime is None or self.cloud.tokens[token] <= lifetime

    def _token_of_request(self) -> str:
        bearer = self.headers.get("Authorization", "")
        if bearer.startswith("Bearer "):
            return bearer.removeprefix("Bearer ")
        cookies = dict(pair.strip().split("=", 1) for pair in self.headers.get("Cookie", "").split(";") if "=" in pair)
        return cookies.get("gp_access_token", "") if cookies.get("gp_user_id") == USER_ID else ""

    def _search(self, query: dict[str, list[str]]) -> None:
        cloud, quirks = self.cloud, self.cloud.quirks
        wanted = {"fields": "", "page": "1", "per_page": str(_FIRST_PAGE_SIZE), "type": "", "processing_states": ""}
        wanted |= {name: values[0] for name, values in query.items()}
        page, per_page = max(1, int(wanted["page"])), min(quirks.page_cap, int(wanted["per_page"]))
        if page in quirks.broken_pages:
            self._error(500, "out of order")
            return
        with cloud.lock:
            cloud.page_fetches[page] += 1
            media = cloud.listed(wanted.get("order_by", ""), wanted["type"], wanted["processing_states"])
            short = quirks.short_pages.get(page) if cloud.page_fetches[page] <= quirks.short_listings else None
            start = (page - 1) * per_page
            rows: list[object] = [_row(medium) for medium in media[start : start + per_page]]
            rows = rows if short is None else rows[:short]
            if page == 1:
                rows = [*quirks.extra_rows, *rows]
            total = len(media) + quirks.total_items_lie
            self._move_library(page)
        fields = wanted["fields"].split(",") if wanted["fields"] else None
        told = [
            {name: value for name, value in row.items() if name in fields} if fields and isinstance(row, dict) else row
            for row in rows
        ]
        pages = {"current_page": page, "per_page": per_page, "total_items": total, "total_pages": -(-total // per_page)}
        self._json(200, {"_embedded": {"media": told, "errors": []}, "_pages": pages})

    def _move_library(self, page: int) -> None:
        cloud = self.cloud
        leaving = cloud.quirks.delete_after_page.pop(page, [])
        cloud.media = [medium for medium in cloud.media if medium.media_id not in leaving]
        for _ in range(cloud.quirks.insert_after_page.pop(page, 0)):
            cloud.media.insert(0, cloud.held_back.pop(0))

    def _download(self, media_id: str) -> None:
        medium = self.cloud.find(media_id)
        fault = self.cloud.quirks.faults.get(media_id)
        if medium is None or (fault and fault.kind == "gone"):
            self._error(404, "no such medium")
            return
        if fault and fault.kind == "refused" and fault.times:
            with self.cloud.lock:
                fault.times -= fault.times > 0
            self._error(fault.status, "not for you")
            return
        shelves: dict[str, list[dict[str, Any]]] = {"files": [], "variations": [], "sidecar_files": [], "sprites": []}
        for file in medium.files:
            url = self.cloud.sign(f"/cdn/{quote(media_id, safe='')}/{file.path}")
            shelves[file.shelf].append(_entry(file, url))
        self._json(200, {"filename": medium.filename or "", "_embedded": shelves})

    def _token(self, form: dict[str, str]) -> None:
        cloud, counts = self.cloud, self.cloud.counts
        with cloud.lock:
            counts.requests["token"] += 1
            counts.refreshing_now += 1
            counts.refreshing_peak = max(counts.refreshing_peak, counts.refreshing_now)
        try:
            time.sleep(cloud.quirks.refresh_latency)
            self._grant(form)
        finally:
            with cloud.lock:
                counts.refreshing_now -= 1

    def _grant(self, form: dict[str, str]) -> None:
        cloud = self.cloud
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            self._json(401, {"error": "invalid_client"})
            return
        with cloud.lock:
            if cloud.quirks.refresh_fails:
                cloud.quirks.refresh_fails -= 1
                self._error(503, "out of order")
                return
            if form.get("grant_type") == "password":
                good = (form.get("username"), form.get("password")) == (USERNAME, PASSWORD)
            else:
                good = form.get("refresh_token") in cloud.refresh_tokens
            if not good:
                self._json(400, {"error": "invalid_grant", "error_description": "token_blacklisted"})
                return
            refresh_token = form.get("refresh_token", "")
            if not refresh_token or cloud.quirks.rotate_refresh_token:
                cloud.refresh_tokens.discard(refresh_token)
                refresh_token = cloud.issue_refresh_token()
            cloud.counts.refreshes += form.get("grant_type") == "refresh_token"
            access_token = cloud.issue_token()
        answer = {
            "access_token": access_token,
            "expires_in": 3600,
            "refresh_token": refresh_token,
            "resource_owner_id": USER_ID,
        }
        self._json(200, answer)

    # --------------------------------------------------------------------- CDN
    def _serve_file(self, path: str, query: dict[str, list[str]]) -> None:
        cloud = self.cloud
        media_id, _, place = path.removeprefix("/cdn/").partition("/")
        medium = cloud.find(unquote(media_id))
        file = next((one for one in medium.files if one.path == place), None) if medium else None
        with cloud.lock:
            cloud.counts.requests["cdn"] += 1
            cloud.counts.credentials_at_cdn += bool({"Cookie", "Authorization"} & set(self.headers))
        if not cloud.honours(path, query):
            self._send(403, b"<Error>expired</Error>", {"Content-Type": "application/xml"})
        elif medium is None or file is None:
            self._send(404, b"", {})
        elif file.shelf == "sprites":
            with cloud.lock:
                cloud.counts.requests["sprite"] += 1
            self._send(200, cloud.quirks.sprites or file.body.read(0, file.body.length), {"Content-Type": "image/jpeg"})
        else:
            self._serve_body(medium.media_id, place, file, self._fault_of(medium.media_id))

    def _fault_of(self, media_id: str) -> Fault | None:
        with self.cloud.lock:
            fault = self.cloud.quirks.faults.get(media_id)
            if fault is None or fault.times == 0 or fault.kind == "refused":
                return None
            if self.command == "GET" and fault.times > 0:
                fault.times -= 1
            return fault

    def _serve_body(self, media_id: str, place: str, file: CloudFile, fault: Fault | None) -> None:
        kind = fault.kind if fault else ""
        if kind == "status":
            assert fault
            self._send(fault.status, b"", {})
            return
        if kind == "redirect":
            self._send(302, b"", {"Location": self.cloud.sign(urlsplit(self.path).path)})
            return
        with self.cloud.lock:
            self.cloud.changes[media_id] += kind == "changed"
            version = self.cloud.changes[media_id]
        body = changed(file.body, version)
        tag = etag(body)
        length = {"empty": 0, "short": body.length // 2}.get(kind, body.length)
        start, end, ranged = self._range(length, tag)
        if start >= length > 0:
            self._send(416, b"", {"Content-Range": f"bytes */{length}"})
            return
        self.send_response(206 if ranged else 200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", tag)
        if ranged:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{length}")
        if self.cloud.quirks.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(end - start))
        self.end_headers()
        if self.command == "GET":
            self._write_body(media_id, place, body, (start, end), fault)

    def _range(self, length: int, tag: str) -> tuple[int, int, bool]:
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        is_of_another = self.headers.get("If-Range", tag) != tag
        if not found or is_of_another or self.cloud.quirks.no_ranges or not length:
            return 0, length, False
        return int(found[1]), min(length, int(found[2]) + 1) if found[2] else length, True

    def _write_body(self, media_id: str, place: str, body: Body, span: tuple[int, int], fault: Fault | None) -> None:
        sent = 0
        with self.cloud.lock:
            self.cloud.counts.downloads[f"{media_id}/{place}"] += 1
        for piece in pieces(body, *span):
            is_cut = bool(fault and fault.kind == "cut" and sent + len(piece) > fault.after)
            if fault and is_cut:
                piece = piece[: max(0, fault.after - sent)]
            if fault and fault.kind == "slow":
                time.sleep(len(piece) / fault.bytes_per_second)
            if self.cloud.quirks.chunked and not is_cut:
                self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            else:
                self.wfile.write(piece)
            sent += len(piece)
            with self.cloud.lock:
                self.cloud.counts.bytes_served[media_id] += len(piece)
                self.cloud.counts.file_bytes[f"{media_id}/{place}"] += len(piece)
            if is_cut:
                self.close_connection = True
                return
        if self.cloud.quirks.chunked:
            self.wfile.write(b"0\r\n\r\n")
        if fault and fault.kind == "long":
            self.wfile.write(b"surplus")
            self.close_connection = True

    # ----------------------------------------------------------------- answers
    def _error(self, status: int, reason: str, headers: dict[str, str] | None = None) -> None:
        told = {"reason": reason, "code": str(status), "description": reason, "id": secrets.token_hex(4)}
        self._json(status, {"_embedded": {"errors": [told]}}, headers)

    def _json(self, status: int, document: object, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(document).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


_KNOWN_KINDS = {"Photo", "Video", "TimeLapse", "TimeLapseVideo", "Burst", "Chaptered", "Continuous", "LoopedVideo"}


def _filtered(media: Sequence[CloudMedium], kinds: str, states: str) -> list[CloudMedium]:
    """The media asked for; an unknown value asks for everything, as it does of the real cloud."""
    wanted = set(kinds.split(",")) if kinds else set()
    chosen = [m for m in media if m.kind in wanted] if wanted and wanted <= _KNOWN_KINDS else list(media)
    return [m for m in chosen if m.state in states.split(",")] if states else chosen


def _row(medium: CloudMedium) -> dict[str, object]:
    return {
        "id": medium.media_id,
        "filename": medium.filename,
        "file_extension": medium.file_extension,
        "type": medium.kind,
        "captured_at": medium.captured_at,
        "captured_at_timezone": "Europe/Berlin",
        "created_at": medium.created_at,
        "updated_at": medium.created_at,
        "file_size": medium.told_length,
        "width": medium.width,
        "height": medium.height,
        "camera_model": "HERO12 Black",
        "firmware_version": "H23.01.02.32.00",
        "item_count": medium.item_count,
        "ready_to_view": medium.state,
        "token": "personal-thumbnail-token",
        "resolution": "4K",
        "source_duration": "12345",
        "gopro_user_id": USER_ID,
        **medium.facts,
    }


def _entry(file: CloudFile, url: str) -> dict[str, object]:
    if file.shelf == "sprites":
        frame = {"count": FRAMES, "height": FRAME_HEIGHT, "width": FRAME_WIDTH}
        size = {"height": FRAME_HEIGHT, "width": FRAMES * FRAME_WIDTH}
        return {"fps": 30, "frame": frame, "heads": [url], "total_count": 1, "type": "jpg", "urls": [url], **size}
    entry: dict[str, object] = {"url": url, "head": url, "width": file.width, "height": file.height}
    if file.label:
        entry |= {"label": file.label, "type": file.extension, "quality": f"{file.height}p"}
    else:
        entry |= {"camera_position": "default", "orientation": 1}
    if file.tells_number:
        entry["item_number"] = file.number
    if file.available is not None:
        entry["available"] = file.available
    return entry
