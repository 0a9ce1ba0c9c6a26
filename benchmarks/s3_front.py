"""What S3 answers, as far as the benchmark's clients ask: state without the bytes.

Multipart uploads are real as far as they can be without the bytes: parts are listed with the length and checksum that
they came with, a completion with unknown, too small or too many parts is refused, and the object's composite checksum,
or its CRC32 joined from those of the parts, is what S3 would make of them. No body is compared with its checksum here:
the pass on the emulated AWS (`proof`) is for that.
"""

from __future__ import annotations

import json
import re
import time
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import md5, sha1, sha256
from html import unescape
from xml.sax.saxutils import escape

SMALLEST_PART = 5 * 1024 * 1024
MOST_PARTS = 10_000
_PAGE = 1000
_CONTROL = "_bench"
_XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_CHECKSUM = "x-amz-checksum-"
_NOT_SUMS = ("x-amz-checksum-algorithm", "x-amz-checksum-type", "x-amz-checksum-mode")


@dataclass(slots=True)
class Request:
    """What came. `path` is `bucket/key`; `body` is filled only where `keeps_body`."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def keeps_body(self) -> bool:
        """Whether the body is a document for the front rather than an object's bytes."""
        return self.method == "POST" or "tagging" in self.query

    @property
    def length(self) -> int:
        """The object bytes of the body, without the framing of `aws-chunked` (bytes)."""
        return int(self.headers.get("x-amz-decoded-content-length") or self.headers.get("content-length") or 0)

    @property
    def checksums(self) -> dict[str, str]:
        """The checksums that came in headers, by the name of their header."""
        return {name: self.headers[name] for name in self.headers if is_checksum(name)}


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """A part, or an object put at once, as it was received."""

    length: int
    etag: str
    checksums: Mapping[str, str]


@dataclass(slots=True)
class Upload:
    """A multipart upload that is open."""

    key: str
    headers: Mapping[str, str]
    parts: dict[int, Part] = field(default_factory=dict)


@dataclass(slots=True)
class Held:
    """An object."""

    length: int
    etag: str
    checksums: Mapping[str, str]
    checksum_type: str
    metadata: Mapping[str, str]
    tags: bytes = b""
    parts: tuple[int, ...] = ()


class S3Front:
    """Objects and uploads of all buckets, and what was received since the last reset."""

    def __init__(self) -> None:
        self._made = 0
        self._reset()

    def _reset(self) -> None:
        self._objects: dict[str, Held] = {}
        self._uploads: dict[str, Upload] = {}
        self._requests = 0
        self._received = 0
        self._last = 0.0

    def answer(self, request: Request) -> Answer:
        """The answer to a request whose body has been read."""
        if request.path.startswith(_CONTROL):
            return self._control(request.path.removeprefix(_CONTROL + "/"))
        self._requests += 1
        self._last = time.time()
        if not request.keeps_body:
            self._received += request.length
        _, _, key = request.path.partition("/")
        by_method = self._of_object() if key else {"GET": self._list_bucket}
        handler = by_method.get(request.method)
        return handler(request) if handler else Answer(405 if key else 200)

    def _of_object(self) -> dict[str, Callable[[Request], Answer]]:
        return {"PUT": self._put, "POST": self._post, "HEAD": self._head, "GET": self._get, "DELETE": self._delete}

    def _control(self, word: str) -> Answer:
        report = {
            "requests": self._requests,
            "last": self._last,
            "received": self._received,
            "objects": len(self._objects),
            "stored": sum(held.length for held in self._objects.values()),
            "open_uploads": len(self._uploads),
            "parts": [part for held in self._objects.values() for part in held.parts],
        }
        if word == "reset":
            self._reset()
        return Answer(200, json.dumps(report).encode(), {"Content-Type": "application/json"})

    def _put(self, request: Request) -> Answer:
        if "uploadId" in request.query:
            return self._put_part(request)
        if "tagging" in request.query:
            if request.path not in self._objects:
                return _error(404, "NoSuchKey")
            self._objects[request.path].tags = request.body
            return Answer()
        if request.headers.get("if-none-match") == "*" and request.path in self._objects:
            return _error(412, "PreconditionFailed")
        part = self._part(request)
        kind = {"x-amz-checksum-type": "FULL_OBJECT"}
        self._objects[request.path] = Held(part.length, part.etag, part.checksums, "FULL_OBJECT", _metadata(request))
        return Answer(200, b"", {"ETag": part.etag, **part.checksums, **(kind if part.checksums else {})})

    def _put_part(self, request: Request) -> Answer:
        upload = self._uploads.get(request.query["uploadId"])
        number = int(request.query["partNumber"])
        if not upload or upload.key != request.path:
            return _error(404, "NoSuchUpload")
        if not 1 <= number <= MOST_PARTS:
            return _error(400, "InvalidArgument")
        part = upload.parts[number] = self._part(request)
        return Answer(200, b"", {"ETag": part.etag, **part.checksums})

    def _part(self, request: Request) -> Part:
        self._made += 1
        told = request.headers.get("content-md5")
        digest = b64decode(told) if told else self._made.to_bytes(16, "big")
        return Part(request.length, f'"{digest.hex()}"', request.checksums)

    def _post(self, request: Request) -> Answer:
        bucket, _, key = request.path.partition("/")
        if "uploads" in request.query:
            self._made += 1
            name = f"upload-{self._made}"
            self._uploads[name] = Upload(request.path, request.headers)
            sums = {name: request.headers[name] for name in _NOT_SUMS if name in request.headers}
            inner = f"<Bucket>{bucket}</Bucket><Key>{escape(key)}</Key><UploadId>{name}</UploadId>"
            return _xml("InitiateMultipartUploadResult", inner, sums)
        if "uploadId" in request.query:
            return self._complete(request)
        return _error(501, "NotImplemented")

    def _complete(self, request: Request) -> Answer:
        upload = self._uploads.get(request.query["uploadId"])
        if not upload or upload.key != request.path:
            return _error(404, "NoSuchUpload")
        if request.headers.get("if-none-match") == "*" and request.path in self._objects:
            return _error(412, "PreconditionFailed")
        named = _named_parts(request.body.decode())
        fault = _fault(upload, named, request.headers)
        if fault:
            return _error(400, fault)
        held = _joined(upload, [number for number, _ in named], request)
        self._objects[request.path] = held
        del self._uploads[request.query["uploadId"]]
        bucket, _, key = request.path.partition("/")
        sums = "".join(f"<{_tag(name)}>{value}</{_tag(name)}>" for name, value in held.checksums.items())
        kind = f"<ChecksumType>{held.checksum_type}</ChecksumType>" if held.checksums else ""
        inner = f"<Bucket>{bucket}</Bucket><Key>{escape(key)}</Key><ETag>{escape(held.etag)}</ETag>{sums}{kind}"
        return _xml("CompleteMultipartUploadResult", inner)

    def _head(self, request: Request) -> Answer:
        held = self._objects.get(request.path)
        if not held:
            return Answer(404)
        headers = {
            "Content-Length": str(held.length),
            "ETag": held.etag,
            "Last-Modified": format_datetime(datetime.now(UTC), usegmt=True),
            **held.metadata,
        }
        if request.headers.get("x-amz-checksum-mode") and held.checksums:
            headers |= {**held.checksums, "x-amz-checksum-type": held.checksum_type}
        if held.tags:
            headers["x-amz-tagging-count"] = str(held.tags.count(b"<Tag>") or 1)
        return Answer(200, b"", headers)

    def _get(self, request: Request) -> Answer:
        if "uploadId" in request.query:
            return self._list_parts(request)
        held = self._objects.get(request.path)
        if not held:
            return _error(404, "NoSuchKey")
        if "tagging" in request.query:
            return Answer(
                200, held.tags or b"<Tagging><TagSet></TagSet></Tagging>", {"Content-Type": "application/xml"}
            )
        if "attributes" in request.query:
            sums = "".join(f"<{_tag(name)}>{value}</{_tag(name)}>" for name, value in held.checksums.items())
            count = f"<ObjectParts><PartsCount>{len(held.parts)}</PartsCount></ObjectParts>" if held.parts else ""
            inner = f"<ETag>{held.etag.strip(chr(34))}</ETag><Checksum>{sums}</Checksum>{count}"
            return _xml("GetObjectAttributesResponse", f"{inner}<ObjectSize>{held.length}</ObjectSize>")
        return _error(501, "NotImplemented")

    def _list_parts(self, request: Request) -> Answer:
        upload = self._uploads.get(request.query["uploadId"])
        if not upload:
            return _error(404, "NoSuchUpload")
        after = int(request.query.get("part-number-marker") or 0)
        later = sorted(number for number in upload.parts if number > after)
        page = later[: int(request.query.get("max-parts") or _PAGE)]
        items = "".join(_listed(number, upload.parts[number]) for number in page)
        cut = "true" if len(later) > len(page) else "false"
        bucket, _, key = request.path.partition("/")
        ends = f"<IsTruncated>{cut}</IsTruncated><NextPartNumberMarker>{page[-1] if page else 0}</NextPartNumberMarker>"
        named = f"<Bucket>{bucket}</Bucket><Key>{escape(key)}</Key><UploadId>{request.query['uploadId']}</UploadId>"
        told = upload.headers.get("x-amz-checksum-algorithm", "")
        kind = upload.headers.get("x-amz-checksum-type", "")
        sums = f"<ChecksumAlgorithm>{told}</ChecksumAlgorithm>" if told else ""
        sums += f"<ChecksumType>{kind}</ChecksumType>" if kind else ""
        return _xml("ListPartsResult", named + ends + sums + items)

    def _list_bucket(self, request: Request) -> Answer:
        bucket = request.path.rstrip("/")
        if "uploads" in request.query:
            prefix = f"{bucket}/{request.query.get('prefix', '')}"
            rows = "".join(
                f"<Upload><Key>{escape(upload.key.partition('/')[2])}</Key><UploadId>{name}</UploadId></Upload>"
                for name, upload in self._uploads.items()
                if upload.key.startswith(prefix)
            )
            return _xml(
                "ListMultipartUploadsResult", f"<Bucket>{bucket}</Bucket><IsTruncated>false</IsTruncated>{rows}"
            )
        inner = f"<Name>{bucket}</Name><KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>"
        return _xml("ListBucketResult", inner)

    def _delete(self, request: Request) -> Answer:
        if "uploadId" in request.query:
            self._uploads.pop(request.query["uploadId"], None)
        elif "tagging" not in request.query:
            self._objects.pop(request.path, None)
        return Answer(204)


def is_checksum(name: str) -> bool:
    """Whether a header in lower case carries a checksum of the bytes."""
    return name.startswith(_CHECKSUM) and name not in _NOT_SUMS


def _metadata(request: Request) -> dict[str, str]:
    kept = ("content-type", "x-amz-storage-class", "content-disposition")
    return {name: value for name, value in request.headers.items() if name.startswith("x-amz-meta-") or name in kept}


def _named_parts(document: str) -> list[tuple[int, dict[str, str]]]:
    """The parts that a completion names, in its order, each with the checksums that it tells."""
    found = []
    for text in re.findall(r"<Part>(.*?)</Part>", document, re.DOTALL):
        fields = dict(re.findall(r"<(\w+)>([^<]*)</", text))
        found.append((int(fields.pop("PartNumber")), fields))
    return found


def _fault(upload: Upload, named: list[tuple[int, dict[str, str]]], headers: Mapping[str, str]) -> str:
    """Why S3 refuses this completion, "" if it does not."""
    numbers = [number for number, _ in named]
    if not numbers:
        return "MalformedXML"
    if numbers != sorted(set(numbers)):
        return "InvalidPartOrder"
    for number, told in named:
        part = upload.parts.get(number)
        if not part or unescape(told.get("ETag", "")).strip('"') != part.etag.strip('"'):
            return "InvalidPart"
        if any(told.get(_tag(name), value) != value for name, value in part.checksums.items()):
            return "InvalidPart"
    if any(upload.parts[number].length < SMALLEST_PART for number in numbers[:-1]):
        return "EntityTooSmall"
    whole = sum(upload.parts[number].length for number in numbers)
    return "InvalidRequest" if int(headers.get("x-amz-mp-object-size", whole)) != whole else ""


def _joined(upload: Upload, numbers: list[int], request: Request) -> Held:
    parts = [upload.parts[number] for number in numbers]
    lengths = tuple(part.length for part in parts)
    digest = md5(b"".join(bytes.fromhex(part.etag.strip('"')) for part in parts)).hexdigest()
    kind = upload.headers.get("x-amz-checksum-type", "COMPOSITE")
    sums = request.checksums or _checksums(parts, kind)
    return Held(sum(lengths), f'"{digest}-{len(parts)}"', sums, kind, _metadata_of(upload), parts=lengths)


def _metadata_of(upload: Upload) -> dict[str, str]:
    return _metadata(Request("POST", upload.key, {}, upload.headers))


def _checksums(parts: list[Part], kind: str) -> dict[str, str]:
    """The object's checksums from those that every part came with."""
    names = set.intersection(*(set(part.checksums) for part in parts))
    found = {}
    for name in sorted(names):
        sums = [b64decode(part.checksums[name]) for part in parts]
        if kind == "FULL_OBJECT" and name == "x-amz-checksum-crc32":
            found[name] = b64encode(_joined_crc32(sums, [part.length for part in parts])).decode()
        elif kind == "COMPOSITE" and name in _COMPOSED:
            found[name] = f"{b64encode(_COMPOSED[name](b''.join(sums))).decode()}-{len(parts)}"
    return found


def _crc32(block: bytes) -> bytes:
    return zlib.crc32(block).to_bytes(4, "big")


def _sha1(block: bytes) -> bytes:
    return sha1(block).digest()


def _sha256(block: bytes) -> bytes:
    return sha256(block).digest()


_COMPOSED: Mapping[str, Callable[[bytes], bytes]] = {
    "x-amz-checksum-crc32": _crc32,
    "x-amz-checksum-sha1": _sha1,
    "x-amz-checksum-sha256": _sha256,
}


def _joined_crc32(sums: list[bytes], lengths: list[int]) -> bytes:
    """The CRC32 of the whole from those of the parts: each shifts what came before by its length in zero bytes."""
    whole = 0
    for block, length in zip(sums, lengths, strict=True):
        whole = _times(_shift(length), whole) ^ int.from_bytes(block, "big")
    return whole.to_bytes(4, "big")


def _times(one: int, other: int) -> int:
    """The product of two polynomials modulo CRC32's, both bit-reflected."""
    product, bit = 0, 1 << 31
    while bit:
        if one & bit:
            product ^= other
        bit >>= 1
        other = other >> 1 ^ 0xEDB88320 if other & 1 else other >> 1
    return product


def _shift(length: int) -> int:
    """x to the power of `length` bytes, modulo CRC32's polynomial."""
    result, square, bits = 1 << 31, 1 << 30, length * 8
    while bits:
        if bits & 1:
            result = _times(square, result)
        square = _times(square, square)
        bits >>= 1
    return result


def _tag(header: str) -> str:
    return f"Checksum{header.removeprefix(_CHECKSUM).upper()}"


def _listed(number: int, part: Part) -> str:
    sums = "".join(f"<{_tag(name)}>{value}</{_tag(name)}>" for name, value in part.checksums.items())
    size = f"<PartNumber>{number}</PartNumber><Size>{part.length}</Size><ETag>{escape(part.etag)}</ETag>"
    return f"<Part>{size}<LastModified>2026-01-01T00:00:00.000Z</LastModified>{sums}</Part>"


def _xml(name: str, inner: str, headers: Mapping[str, str] | None = None) -> Answer:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<{name} {_XMLNS}>{inner}</{name}>'
    return Answer(200, text.encode(), {"Content-Type": "application/xml", **(headers or {})})


def _error(status: int, code: str) -> Answer:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{code}</Message></Error>'
    return Answer(status, text.encode(), {"Content-Type": "application/xml"})
