"""Who follows a transfer, and what they are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the transfer of `key` is. Lengths are bytes, `arrived` those confirmed, `eta` seconds if known."""

    key: str
    arrived: int
    length: int
    parts: int
    retries: int
    bytes_per_second: float
    eta: float | None


@dataclass(frozen=True, slots=True)
class Watch:
    """Who follows a transfer: `advance` hears the bytes of each read, `progress` at most once in `interval` seconds.

    What `advance` raises stops the transfer. `confirmed` hears the bytes that the archive has confirmed, each once.
    `remaining` gives the seconds that are left for it.
    """

    advance: Advance = lambda _: None
    confirmed: Advance = lambda _: None
    progress: Callable[[Progress], None] = lambda _: None
    interval: float = 5.0
    remaining: Callable[[], float] = lambda: float("inf")


UNWATCHED = Watch()
