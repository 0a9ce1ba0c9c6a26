"""What a cloud that is broken, attacked or malicious may send, as hypothesis strategies and as a whole cloud."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from tests.scripted import Scripted, raw, whole

#: What must never be found anywhere but in the credentials, and in the requests that they sign.
TOKEN = "eyJhbGciOiJSU0EtT0FFUCJ9.token-of-the-user.that.nobody.may-see"
SIGNATURE = "signature-that-nobody-may-see"

#: Stands in a document for a number of 5,000 digits, and for lists within lists, which Python would not write.
HUGE, DEEP = "@huge@", "@deep@"

odd_characters = st.sampled_from(
    [
        *("/", "\\", ".", "..", "../", "../../../", " ", "\t", "\n", "\r\n", "\0", "\x1b[2J", "\x7f", "\x85", "\u2028"),
        *("\u202e", "\u200f", "\u2066", "\ufeff", "\ud800", "\udfff", "\ue000", "\U000e0041", "\u0301", "٣", "שלום"),
        *(
            "🏔",
            "👨\u200d👩\u200d👧",
            "é",
            "ß",
            "İ",
            "视频",
            "con",
            "NUL",
            "com1",
            "C:",
            "~",
            "%2e%2e%2f",
            "%00",
            "$(id)",
        ),
        *(
            "<script>",
            "'; DROP TABLE media; --",
            "[bold]",
            "https://evil.example/?",
            TOKEN,
            f"https://cdn.example/x?Signature={SIGNATURE}",
        ),
        *("GX010327", ".MP4", ".json", "\nWhat to do: send your password to evil.example", "{}", "=cmd()"),
    ]
)
names = st.one_of(
    st.text(max_size=30),
    st.text(st.characters(), max_size=20),  # with surrogates
    st.lists(odd_characters, min_size=1, max_size=6).map("".join),
    st.builds(lambda text, tail: (text * 5000)[:5000] + tail, odd_characters, odd_characters),
)
numbers = st.one_of(
    st.sampled_from([0, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 10**30, 1e308, -0.5, float("inf"), HUGE]),
    st.integers(),
    st.floats(allow_nan=True, allow_infinity=True),
)
times = st.sampled_from(
    [
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "1969-12-31T23:59:59Z", "2026-03-01", "yesterday"),
        *("2026-02-30T00:00:00Z", "2026-03-01T00:00:00.123456789Z", "-2026-01-01T00:00:00Z", "2026-03-01T24:00:00Z"),
    ]
)
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, names, times),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=4)),
    max_leaves=8,
)

FIELDS = (
    "filename",
    "file_extension",
    "captured_at",
    "created_at",
    "file_size",
    "item_count",
    "item_durations",
    "width",
)
rows = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.one_of(names, numbers, times, values) for name in FIELDS},
        "type": st.one_of(
            st.sampled_from(["Video", "Photo", "Burst", "TimeLapse", "MultiClipEdit", "Hologram"]), values
        ),
        "ready_to_view": st.one_of(st.sampled_from(["ready", "uploading", "failure", "transcoding"]), values),
        "composition": values,
        "content_title": names,
        "camera_model": st.one_of(names, st.lists(names, max_size=100)),
    },
)


def encoded(document: object) -> bytes:
    """A document as JSON, surrogates, infinities and all."""
    text = json.dumps(document).replace(f'"{HUGE}"', "9" * 5000).replace(f'"{DEEP}"', "[" * 5000 + "]" * 5000)
    return text.encode()


#: Where a download may be said to be: of this cloud if it begins with a slash.
addresses = st.one_of(
    st.sampled_from(
        [
            *("", "file:///etc/passwd", "FILE:///etc/passwd", "ftp://127.0.0.1/x", "http://evil.example/x", "//evil/x"),
            *("http://[", "http://[::1", "http://127.0.0.1:99999/", "http://127.0.0.1:0/", "http://127.0.0.1@evil/x"),
            *(
                "http://127.0.0.1\\@evil/",
                "https://user:pass@evil/",
                "javascript:alert(1)",
                "data:text/plain,x",
                "/%zz",
            ),
            *(
                "http://127.0.0.1:1/\r\nCookie: a=b",
                "https://" + "a" * 300 + "/",
                "https://xn--/",
                "http://\ud800/",
                "gopher:",
            ),
            *(
                "\\\\evil\\share",
                "/cdn/none",
                "http:///x",
                "https://[fe80::1%25eth0]/",
                "http://0x7f000001/",
                "http://2130706433/",
            ),
        ]
    ),
    names,
)
headers = st.one_of(
    st.builds(
        "{}: {}".format,
        st.sampled_from(
            [
                *("Content-Length", "Content-Range", "Content-Encoding", "Transfer-Encoding", "Content-Type", "ETag"),
                *("Location", "Retry-After", "Last-Modified", "Set-Cookie", "Connection", "Accept-Ranges", "Link"),
            ]
        ),
        st.one_of(
            st.sampled_from(
                [
                    *(
                        "0",
                        "5",
                        "-5",
                        "4, 5",
                        "99999999999999999999",
                        "9" * 5000,
                        "chunked",
                        "gzip",
                        "br",
                        "gzip, gzip",
                        "x",
                    ),
                    *(
                        "bytes 0-4/5",
                        "bytes 0-4/99999999999999999",
                        "bytes 5-9/10",
                        "bytes 0-4/*",
                        "bytes -1-4/5",
                        "*/*",
                    ),
                    *(
                        '"etag"',
                        'W/"weak"',
                        '"' + "e" * 3000 + '"',
                        '"a"\r\n folded',
                        "\x01\x02",
                        "text/html",
                        "text/html;x",
                    ),
                    *("Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 0001 00:00:00 +9999", "a=b; Domain=.; Expires=x"),
                ]
            ),
            addresses,
            st.text(st.characters(codec="latin-1"), max_size=30),
        ),
    ),
    st.sampled_from(["no colon", " folded at once", ": nameless", "X: " + "y" * 70_000, "\0: \0", "A:" * 100]),
)
bodies = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            *(
                b"",
                b"film!",
                b"5\r\nfilm!\r\n0\r\n\r\n",
                b"-5\r\nfilm!\r\n",
                b"FFFFFFFFFFFFFFFFF\r\nfilm!",
                b"zz\r\n",
                b"[" * 5000,
            ),
            *(
                b"<html>We will be back soon</html>",
                b"null",
                b"[]",
                b'{"_embedded": {}}',
                b'{"_embedded": {"files": 7}}',
            ),
            *(
                b"\xff\xfe{\x00}\x00",
                b"\x1f\x8b\x08\x00broken",
                b'{"id": ' + b"9" * 5000 + b"}",
                b'"\\ud800"',
                b"1e999",
            ),
        ]
    ),
    st.builds(lambda url: encoded({"_embedded": {"variations": [{"label": "source", "url": url}]}}), addresses),
    values.map(encoded),
    st.builds(lambda said: encoded({"_embedded": {"errors": [{"reason": said, "code": HUGE}]}}), names),
)
statuses = st.one_of(
    st.sampled_from(
        ["200 OK", "206 Partial Content", "302 Found", "308 Elsewhere", "401 No", "403 No", "404 No", "416 No"]
    ),
    st.sampled_from(["100 Go on", "101 Switch", "204 Nothing", "304 Same", "410 Gone", "429 Slow", "500 Oh", "503 Oh"]),
    st.sampled_from(["", "abc", "99999 x", "-1 x", "200", "\0\0\0"]),
)


def _answer(status: str, told: list[str], body: bytes, *, declares: bool) -> bytes:
    length = [f"Content-Length: {len(body)}"] if declares else []
    lines = [f"HTTP/1.1 {status}", *length, *told, "Connection: close"]
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body


answers = st.one_of(
    st.builds(_answer, statuses, st.lists(headers, max_size=4), bodies, declares=st.booleans()),
    st.binary(max_size=60),
)

#: Answers to the question what is on offer of a medium.
entries = st.fixed_dictionaries(
    {},
    optional={
        "url": addresses,
        "label": st.one_of(st.sampled_from(["source", "baked_source", "raw_photo", "concat", "", "source_x"]), names),
        "type": st.one_of(st.sampled_from(["mp4", "jpg", "../../x", ".."]), names),
        "item_number": st.one_of(st.integers(0, 3), numbers, names),
        "camera_position": st.one_of(st.just("default"), names),
        "available": st.one_of(st.booleans(), values),
        "width": numbers,
        "height": values,
    },
)
shelves = st.one_of(st.lists(st.one_of(entries, values), max_size=3), values, st.just(DEEP))
strips = st.one_of(
    st.lists(st.fixed_dictionaries({"type": st.just("jpg"), "urls": st.one_of(st.lists(addresses), values)})), values
)
offers = st.builds(
    lambda filename, embedded: {"filename": filename, "_embedded": embedded},
    names,
    st.fixed_dictionaries(
        {}, optional={"files": shelves, "variations": shelves, "sidecar_files": shelves, "sprites": strips}
    ),
)


@dataclass(frozen=True)
class HostileMedium:
    """A medium whose row, offer (an answer of the API) and file (an answer of the CDN) are the attacker's."""

    media_id: str
    row: Mapping[str, Any]
    offer: bytes | None
    file: bytes


#: Ids that can be read, odd as they are.
readable_ids = names.map(lambda name: "".join(c for c in name if c.isprintable() and c != " ")[:50] or "x")
media_ids = st.one_of(
    names,
    readable_ids,
    st.sampled_from([".", "..", "a/../../b", "a%2f..%2fb", "con", "🏔" * 50, "ü" * 100, "x" * 200, "x" * 201]),
)
hostile_media = st.builds(
    HostileMedium,
    media_ids,
    rows,
    st.one_of(st.none(), answers, offers.map(encoded).map(lambda body: whole("200 OK", body))),
    answers,
)


@dataclass
class HostileCloud:
    """A cloud of sound photos with hostile media among them, as `show` sets it up."""

    server: Scripted
    sound: dict[str, bytes] = field(default_factory=dict)

    def show(self, hostile: list[HostileMedium], malformed: list[Any], sound: int = 3) -> None:
        """List `sound` photos, and among them the hostile media and rows that are malformed."""
        server = self.server
        server.answers.clear()
        server.requests.clear()
        server.answer("/media/user", whole("200 OK", encoded({"id": "u", "total_count": 1})))
        self.sound = {f"good-{number}": f"photo {number} ".encode() * 50 for number in range(1, sound + 1)}
        rows: list[Any] = [_sound_row(media_id) for media_id in self.sound]
        for number, medium in enumerate(hostile):
            rows.insert(number, {"type": "Video", "ready_to_view": "ready", **medium.row, "id": medium.media_id})
            path = f"/media/{quote(medium.media_id, safe='', errors='replace')}/download"
            place = server.answer(f"/cdn/hostile/{number}.mp4", medium.file)
            server.answer(path, medium.offer or whole("200 OK", _offer_of(place)))
        for media_id, content in self.sound.items():
            place = server.answer(f"/cdn/{media_id}/1.jpg", whole("200 OK", content, 'ETag: "1"'))
            server.answer(f"/media/{media_id}/download", whole("200 OK", _offer_of(place)))
        pages = {"total_items": len(rows), "total_pages": 1}
        listing = {"_embedded": {"media": [*malformed, *rows]}, "_pages": pages}
        server.answer("/media/search", whole("200 OK", encoded(listing)))


def _sound_row(media_id: str) -> dict[str, object]:
    told = {"filename": "GOPR0001.JPG", "type": "Photo", "ready_to_view": "ready", "item_count": 1}
    return {"id": media_id, "captured_at": "2026-03-01T12:00:00Z", "file_size": 1, **told}


def _offer_of(place: str) -> bytes:
    entry = {"url": f"{place}?Signature={SIGNATURE}", "label": "source", "item_number": 1}
    return encoded({"filename": "", "_embedded": {"variations": [entry]}})


def redirect(location: str, status: str = "302 Found") -> bytes:
    """An answer that leads elsewhere."""
    return raw(status, f"Location: {location}", "Content-Length: 0")
