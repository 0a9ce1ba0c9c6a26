"""What the bytes of an original tell: whether a recording is whole, and whether the hash that its server tells fits."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from core.transfer.recording import EXTENSIONS, Walk, damage

#: The ETag of an object that S3 took in one piece, unless it is encrypted with a KMS key (Amazon S3 API, Object).
_PLAIN_MD5 = re.compile(r'"([0-9a-f]{32})"')


OTHER_MD5 = "its server tells another MD5 (in its ETag) than that of the bytes it gave"


def told_md5(version: str) -> str:
    """The MD5 that a source's ETag seems to be, in hex; "" if it is none."""
    found = _PLAIN_MD5.fullmatch(version)
    return found[1] if found else ""


def md5_of(content: memoryview) -> str:
    """The MD5 of bytes, in hex."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def damage_of(key: str, length: int, read: Callable[[int, int], bytes]) -> str:
    """What is wrong with the original of `key` if it is a recording, "" if nothing is."""
    return damage(length, read) if _is_recording(key) else ""


def _is_recording(key: str) -> bool:
    return key.rpartition(".")[2].lower() in EXTENSIONS


class Passing:
    """An original whose bytes pass by once, from the first to the last."""

    def __init__(self, key: str, version: str) -> None:
        self._walk = Walk() if _is_recording(key) else None
        self._told = told_md5(version)
        self._md5 = hashlib.md5(usedforsecurity=False)

    def pass_by(self, block: memoryview) -> None:
        """Take the next bytes."""
        if self._told:
            self._md5.update(block)
        if self._walk:
            self._walk.pass_by(block)

    def damage(self, length: int) -> str:
        """What is wrong with all `length` bytes, "" if nothing is."""
        if self._told and self._md5.hexdigest() != self._told:
            return OTHER_MD5
        return self._walk.damage(length) if self._walk else ""
