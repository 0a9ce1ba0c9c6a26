"""The checksum of what comes back is the one that the store confirmed, however the bytes come."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from core.model import Stored
from core.restore.checksum import Checksum


def in_parts(body: bytes, part_size: int) -> Stored:
    """What S3 tells of a body that was uploaded in parts."""
    digests = [hashlib.sha256(body[start : start + part_size]).digest() for start in range(0, len(body), part_size)]
    composite = b64encode(hashlib.sha256(b"".join(digests)).digest()).decode()
    checksum = f"SHA256:{composite}-{len(digests)}"
    return Stored("k", len(body), None, checksum, part_size=part_size)


def problem(stored: Stored, body: bytes, cuts: list[int]) -> str:
    checksum = Checksum(stored)
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    for start, end in pairwise(edges):
        checksum.update(body[start:end])
    return checksum.problem()


bodies = st.binary(min_size=1, max_size=60)
cut_list = st.lists(st.integers(0, 60), max_size=5)


@given(bodies, st.integers(1, 70), cut_list)
def test_an_object_in_parts_is_known_by_the_digest_of_its_parts(body: bytes, part_size: int, cuts: list[int]) -> None:
    assert problem(in_parts(body, part_size), body, cuts) == ""


@given(bodies, cut_list)
def test_an_object_put_at_once_is_known_by_its_digest(body: bytes, cuts: list[int]) -> None:
    digest = hashlib.sha256(body)
    told_by_us = Stored("k", len(body), digest.hexdigest())
    told_by_s3 = Stored("k", len(body), None, f"SHA256:{b64encode(digest.digest()).decode()}")
    assert problem(told_by_us, body, cuts) == problem(told_by_s3, body, cuts) == ""


@given(bodies, st.integers(1, 70), cut_list, st.integers(0, 59), st.integers(1, 255))
def test_one_changed_byte_is_noticed(body: bytes, part_size: int, cuts: list[int], place: int, change: int) -> None:
    other = bytearray(body)
    other[place % len(body)] ^= change
    told = "its bytes are not those that were archived"
    assert problem(in_parts(body, part_size), bytes(other), cuts) == told
    assert problem(Stored("k", len(body), hashlib.sha256(body).hexdigest()), bytes(other), cuts) == told


@given(bodies, st.integers(1, 70))
def test_another_length_is_told(body: bytes, part_size: int) -> None:
    assert problem(in_parts(body, part_size), body[:-1], []) == (
        f"it has {len(body) - 1:,} bytes in place of {len(body):,}"
    )


def test_what_has_no_checksum_to_compare_with_is_never_called_whole() -> None:
    assert problem(Stored("k", 3, None), b"abc", []) == "the catalog has no checksum that it could be compared with"
    assert problem(Stored("k", 3, None, "SHA256:abc-2"), b"abc", []) != ""
