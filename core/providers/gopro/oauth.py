"""The token endpoint, as independent clients have observed it. Users bring a client id: none ships here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from datetime import datetime

import requests

from core.credentials.base import Credentials
from core.errors import ApiShapeChanged, CredentialsRejected, TransientError
from core.model import Json, format_time, utc_now
from core.providers import http
from core.providers.gopro.answers import (
    BASE_HEADERS,
    DEFAULT_BASE_URL,
    json_object,
    reasons,
    safe_base_url,
    spoken_reason,
)
from core.retry import API_CALL, retrying

SCOPE = "root root:channels public me upload media_library_beta live"

_WHAT = "GoPro's sign-in"

#: Said of a refresh token or a client that is no longer good, whatever the status.
_REFUSALS = ("token_blacklisted", "invalid_grant", "invalid_client", "unauthorized_client")


class TokenEndpoint:
    """Asks `POST /v1/oauth2/token` once for each call of a method; `slot` bounds the calls in flight."""

    def __init__(
        self,
        session: requests.Session,
        base_url: str,
        *,
        slot: Callable[[], AbstractContextManager[None]] = nullcontext,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._session = session
        self._url = f"{base_url}/v1/oauth2/token"
        self._slot = slot
        self._clock = clock

    def refresh(self, credentials: Credentials) -> Credentials:
        """New credentials for a refresh token, which may be replaced on the way; sent as a bearer token.

        `CredentialsRejected` if the refresh token or the client is refused, `TransientError` for what may
        pass.
        """
        form = {"grant_type": "refresh_token", "refresh_token": credentials.refresh_token}
        answer = self._ask(form | _client(credentials), credentials)
        return replace(
            credentials,
            gp_access_token=answer["access_token"],
            refresh_token=_text(answer, "refresh_token") or credentials.refresh_token,
            # The cookies belong to the browser's session, not to this token.
            gp_user_id="",
            cookies="",
            last_updated=format_time(self._clock()) or "",
            version="",
        )

    def sign_in(self, client: Credentials, username: str, password: str) -> Credentials:
        """Credentials with nothing but the refresh token of a password sign-in; the first use renews them."""
        form = {"grant_type": "password", "username": username, "password": password, "scope": SCOPE}
        answer = self._ask(form | _client(client), client)
        refresh_token = _text(answer, "refresh_token")
        if not refresh_token:
            raise ApiShapeChanged(f"{_WHAT} works, but gives no refresh token. Use `cloud-sync auth set`.")
        return replace(client, refresh_token=refresh_token, last_updated=format_time(self._clock()) or "")

    def _ask(self, form: Mapping[str, str], credentials: Credentials) -> dict[str, Json]:
        agent = {"User-Agent": credentials.user_agent} if credentials.user_agent else {}
        with self._slot():
            sent = http.send(self._session, "POST", self._url, _WHAT, headers=BASE_HEADERS | agent, form=form)
            with closing(sent) as response:
                pause = http.retry_after(response.headers, self._clock)
                status, answer = response.status_code, json_object(http.read_all(response, _WHAT))
        secrets = [value for name, value in form.items() if name not in ("grant_type", "scope")]
        reason = spoken_reason(answer, secrets)
        if any(word in said for said in reasons(answer) for word in _REFUSALS):
            raise CredentialsRejected(f"{_WHAT} refuses them ({status}){reason}")
        if http.is_passing(status):
            raise TransientError(f"{_WHAT} is out of order ({status}){reason}.", retry_after=pause)
        if status in (400, 401) or (status == 403 and answer) or (status == 200 and "error" in answer):
            raise CredentialsRejected(f"{_WHAT} refuses them ({status}){reason}")
        if status == 403 or (status == 200 and not _text(answer, "access_token")):
            raise TransientError(f"{_WHAT} gives no token ({status}). It may be bot protection that answers.")
        if status != 200:
            raise ApiShapeChanged(f"{_WHAT} is not where it was ({status}){reason}.")
        return answer


def _client(credentials: Credentials) -> dict[str, str]:
    secret = {"client_secret": credentials.client_secret} if credentials.client_secret else {}
    return {"client_id": credentials.client_id} | secret


def _text(answer: Mapping[str, Json], name: str) -> str:
    """A token of the answer, "" unless it is text that an HTTP header can carry."""
    value = answer.get(name)
    return value if isinstance(value, str) and value.isascii() and value.isprintable() else ""


def sign_in_with_password(
    base_url: str | None, client_id: str, client_secret: str, username: str, password: str
) -> Credentials:
    """Sign in once; the password is used and forgotten, and only the refresh token is in what is returned.

    `CredentialsRejected` if it is refused, as it is for every account with two-factor authentication.
    """
    endpoint = TokenEndpoint(http.new_session(1), safe_base_url(base_url or DEFAULT_BASE_URL))
    client = Credentials(client_id=client_id, client_secret=client_secret)
    try:
        return retrying(API_CALL, lambda: endpoint.sign_in(client, username, password))
    except CredentialsRejected as refusal:
        raise CredentialsRejected(
            f"{refusal}. Check e-mail, password and client; an account with two-factor authentication cannot "
            "sign in this way: use `cloud-sync auth set`."
        ) from None
