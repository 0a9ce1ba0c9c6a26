"""The GoPro Cloud as a provider, read only."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager

import requests

from core.credentials.session import SignIn
from core.errors import LocatorExpired
from core.model import Account, Medium, Offer, Original, printable
from core.providers import http
from core.providers.base import ByteSource, ListingReport
from core.providers.gopro.api import GoProApi
from core.providers.gopro.listing import walk
from core.providers.gopro.originals import offer, promised
from core.providers.gopro.parse import PROVIDER, read_account, read_medium, read_page

_log = logging.getLogger(__name__)


class GoProProvider:
    """Lists, resolves and opens the media of one account.

    `cdn` is a session of its own, so that nothing that signs in can reach the CDN. `loopback` allows plain
    HTTP to loopback addresses there, as the emulated cloud needs it.
    """

    name = PROVIDER
    title = "GoPro"

    def __init__(
        self,
        api: GoProApi,
        sign_in: SignIn,
        cdn: requests.Session,
        *,
        loopback: bool = False,
    ) -> None:
        self._api = api
        self._sign_in = sign_in
        self._cdn = cdn
        self._loopback = loopback

    @property
    def renewals(self) -> int:
        """How often this process has renewed the sign-in."""
        return self._sign_in.renewals

    def authenticate(self) -> Account:
        """Check the credentials as they are stored now, also if they were refused before."""
        self._sign_in.start_anew()
        return read_account(self._api.user())

    def list_media(self, report: ListingReport) -> Iterator[Medium]:
        """Every medium once, by time of upload, newest first."""
        return walk(lambda page: read_page(self._api.search(page)), read_medium, report)

    def promised(self, medium: Medium) -> int:
        """The count of the listing, for those kinds of which it counts the originals."""
        return promised(medium)

    def resolve(self, medium: Medium) -> Offer:
        """The originals of a medium; each address lives an hour."""
        found, novelties = offer(medium, self._api.download(medium.media_id))
        for novelty in sorted(novelties):
            _log.warning("GoPro offers something unknown for medium %s: %s", medium.media_id, printable(novelty))
        return found

    def open(
        self, original: Original, start: int = 0, end: int | None = None, version: str = ""
    ) -> AbstractContextManager[ByteSource]:
        """Open the bytes of an original; nothing is tried again here."""
        what = f"{original.role} {original.item_number} of {original.media_id}"
        if not original.locator:
            raise LocatorExpired(f"There is no download address for {what} yet.")
        return http.open_download(
            self._cdn, original.locator, what, start=start, end=end, version=version, loopback=self._loopback
        )

    def thumbnail(self, offer: Offer) -> bytes | None:
        """The strip of small frames that GoPro makes of a film; it lies on the CDN and takes no call of the API."""
        if not offer.thumbnail:
            return None
        return http.small_picture(self._cdn, offer.thumbnail, loopback=self._loopback)
