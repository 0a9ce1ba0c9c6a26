"""The GoPro Cloud, as independent clients have observed it: it has no public contract and may change."""

from __future__ import annotations

import time
from collections.abc import Callable

from core.credentials.session import SignIn
from core.providers import http
from core.providers.base import Provider, ProviderSettings
from core.providers.gopro.answers import DEFAULT_BASE_URL, safe_base_url
from core.providers.gopro.api import GoProApi
from core.providers.gopro.oauth import TokenEndpoint
from core.providers.gopro.parse import PROVIDER
from core.providers.gopro.provider import GoProProvider
from core.providers.limiter import SLOTS, ApiSlots

__all__ = ["DEFAULT_BASE_URL", "GoProProvider", "create"]

#: Seconds that a renewal waits for one of the API slots: with the call itself less than its lease.
_SLOT_PATIENCE = 15.0

#: Downloads of one process at once for which connections are kept.
_DOWNLOADS = 32


def create(settings: ProviderSettings, *, sleep: Callable[[float], None] = time.sleep) -> Provider:
    """The provider for an account. `InvalidInput` if tokens must not be sent to the API's address."""
    base_url = safe_base_url(settings.base_url or DEFAULT_BASE_URL)
    session = http.new_session(SLOTS)
    slots = ApiSlots(settings.leases, PROVIDER, sleep=sleep)
    endpoint = TokenEndpoint(session, base_url, slot=lambda: slots.hold(_SLOT_PATIENCE))
    sign_in = SignIn(settings.credentials, settings.leases, PROVIDER, endpoint.refresh, sleep=sleep)
    api = GoProApi(session, base_url, sign_in, slots, sleep=sleep)
    cdn = http.new_session(_DOWNLOADS)
    return GoProProvider(api, sign_in, cdn, loopback=base_url.startswith("http://"))
