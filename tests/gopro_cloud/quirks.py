"""The habits of the real cloud that have cost its clients data, each to be switched on at will."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Fault:
    """What goes wrong with one download. It applies to the first `times` requests of the medium, -1: to all.

    `kind` is cut (the connection ends in the middle), empty (200 with no bytes), short (less than HEAD says, honestly
    declared), long (more is sent than declared), status (an error status), gone (404 for the download), refused (an
    error status in place of its addresses), slow, redirect, changed (from this request on other bytes under another
    ETag).
    """

    kind: str
    times: int = 1
    after: int = 1000
    status: int = 500
    bytes_per_second: int = 1_000_000


@dataclass
class Quirks:
    """Everything is off but what the real cloud always does."""

    page_cap: int = 200
    #: Pages that come short: page number to rows given, each of the first `short_listings` times that it is asked for.
    short_pages: dict[int, int] = field(default_factory=dict)
    short_listings: int = 1
    #: Pages that are answered with 500 each time.
    broken_pages: list[int] = field(default_factory=list)
    #: Added to what `total_items` truly is.
    total_items_lie: int = 0
    #: After this page of a listing, these ids vanish from the library, or the held-back media appear.
    delete_after_page: dict[int, list[str]] = field(default_factory=dict)
    insert_after_page: dict[int, int] = field(default_factory=dict)
    #: Rows put into the first page as they are: malformed ones.
    extra_rows: list[object] = field(default_factory=list)
    html_answers: int = 0
    #: Seconds and uses after which a download address is no longer honoured.
    url_lifetime: float = 3600.0
    url_uses: int | None = None
    #: API calls that an access token lives for.
    token_lifetime_requests: int | None = None
    dead_token_status: int = 401
    #: API calls from now that are throttled, with what status and pause.
    throttle: int = 0
    throttle_status: int = 429
    retry_after: str = "0"
    api_latency: float = 0.0
    accept_status: int = 406
    rotate_refresh_token: bool = True
    refresh_fails: int = 0
    refresh_latency: float = 0.0
    #: Media id to what goes wrong with its downloads.
    faults: dict[str, Fault] = field(default_factory=dict)
    #: What comes in place of every sprite.
    sprites: bytes = b""
    no_ranges: bool = False
    chunked: bool = False
