"""GoPro's API, as independent clients have observed it: one method an endpoint."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from urllib.parse import quote

import requests

from core.credentials.base import HOW_TO_RENEW, Credentials
from core.credentials.session import SignIn
from core.errors import ApiShapeChanged, CloudSyncError, SourceGone, TransientError
from core.model import Json, utc_now
from core.providers import http
from core.providers.gopro.answers import BASE_HEADERS, json_object, spoken_reason
from core.providers.limiter import ApiSlots
from core.retry import API_CALL, retrying

#: Media asked for at once. 200 would be granted, but pages come short then.
PER_PAGE = 50

#: What is asked of each medium. `token` and the user's id are personal and not asked for.
FIELDS = (
    "id",
    "filename",
    "file_extension",
    "type",
    "captured_at",
    "captured_at_timezone",
    "created_at",
    "updated_at",
    "file_size",
    "width",
    "height",
    "camera_model",
    "firmware_version",
    "item_count",
    "item_durations",
    "moments_count",
    "ready_to_view",
    "resolution",
    "source_duration",
    "play_as",
    "composition",
    "available_labels",
    "reprocessed_at",
    "revision_number",
    "content_title",
)

#: Tokens of different versions that one call tries before it gives up.
_MOST_TOKENS = 10

_Object = dict[str, Json]


class _RefusalError(CloudSyncError):
    """The server has understood and says no: a status from 400 on that does not pass."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status}{reason}")
        self.status = status


class _ServerError(TransientError):
    """500, which an outage gives, and a dead token too."""


class _UnreadableError(TransientError):
    """An answer that is not what was asked for, such as a maintenance page with status 200."""


@dataclass(frozen=True, slots=True)
class _Question:
    """A GET. `what` names it in messages; `reads` tells whether an answer has the shape that can be read."""

    path: str
    what: str
    reads: Callable[[_Object], bool]
    params: Mapping[str, str] = field(default_factory=dict)
    about_medium: bool = False


class GoProApi:
    """Calls the API for all threads of a process: through slots, with retries, staying signed in."""

    def __init__(
        self,
        session: requests.Session,
        base_url: str,
        sign_in: SignIn,
        slots: ApiSlots,
        *,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._session = session
        self._base_url = base_url
        self._sign_in = sign_in
        self._slots = slots
        self._clock = clock
        self._sleep = sleep
        self._draw = draw

    def user(self) -> _Object:
        """The account, by which a token is validated. `CredentialsRejected` if it is refused for good."""
        return self._ask(_Question("/media/user", "GoPro's account page", _is_account))

    def search(self, page: int) -> _Object:
        """Page `page` (from 1) of all media of all types and states, newest first."""
        # Neither `type` nor `processing_states`: a filter would leave out what this version does not know.
        params = {
            "fields": ",".join(FIELDS),
            "order_by": "created_at",
            "per_page": str(PER_PAGE),
            "page": str(page),
        }
        return self._ask(_Question("/media/search", f"Page {page} of GoPro's media", _is_page, params))

    def download(self, media_id: str) -> _Object:
        """What is on offer of a medium.

        `SourceGone` if GoPro no longer has it, `TransientError` if it alone is refused.
        """
        path = f"/media/{quote(media_id, safe='')}/download"
        what = f"GoPro's offer of medium {media_id}"
        return self._ask(_Question(path, what, _has_embedded, about_medium=True))

    def _ask(self, question: _Question) -> _Object:
        credentials = self._sign_in.current()
        for _ in range(_MOST_TOKENS):
            try:
                once = partial(self._once, question, credentials)
                return retrying(API_CALL, once, sleep=self._sleep, draw=self._draw)
            except _UnreadableError as fault:
                raise ApiShapeChanged(f"{fault} It stays so.") from None
            except _RefusalError as refused:
                credentials = self._after_refusal(question, credentials, refused)
            except _ServerError as fault:
                credentials = self._after_server_error(question, credentials, fault)
        raise TransientError(f"{question.what}: {_MOST_TOKENS} tokens in a row were refused, each a new one.")

    def _once(self, question: _Question, credentials: Credentials) -> _Object:
        what = question.what
        headers = BASE_HEADERS | _signed(credentials)
        with self._slots.hold():
            url = self._base_url + question.path
            sent = http.send(self._session, "GET", url, what, headers=headers, params=question.params)
            with closing(sent) as response:
                pause = http.retry_after(response.headers, self._clock)
                status, body = response.status_code, http.read_all(response, what)
        answer = json_object(body)
        if status == requests.codes.ok and question.reads(answer):
            return answer
        secrets = (credentials.gp_access_token, credentials.cookies, credentials.gp_user_id)
        reason = spoken_reason(answer, secrets)
        if status == requests.codes.internal_server_error:
            raise _ServerError(f"{what} could not be had ({status}){reason}.", retry_after=pause)
        if http.is_passing(status):
            raise TransientError(f"{what} could not be had ({status}){reason}.", retry_after=pause)
        if status < requests.codes.bad_request:
            raise _UnreadableError(f"{what}: the answer ({status}) is not what such an answer was{reason}.")
        raise _RefusalError(status, reason)

    def _after_refusal(self, question: _Question, credentials: Credentials, refused: _RefusalError) -> Credentials:
        """The credentials to try next; raises if the refusal is not about them."""
        if not question.about_medium:
            if refused.status in (requests.codes.unauthorized, requests.codes.forbidden):
                return self._sign_in.renew(credentials)
            raise ApiShapeChanged(f"{question.what} is not where or what it was ({refused}).")
        # One medium must not end the run: is it the token, the API's version, or this medium alone?
        if other := self._credentials_after_check(credentials):
            return other
        if refused.status in (requests.codes.not_found, requests.codes.gone):
            raise SourceGone(f"GoPro no longer has this medium ({refused}).")
        raise TransientError(f"{question.what} is refused ({refused}) though the sign-in is good.")

    def _after_server_error(self, question: _Question, credentials: Credentials, fault: _ServerError) -> Credentials:
        """The credentials to try next; raises if there are no others."""
        if question.about_medium:
            other = self._credentials_after_check(credentials)
            if other is None:
                text = f"{fault} The sign-in is good; it is tried again."
                raise TransientError(text, retry_after=fault.retry_after)
            return other
        other = self._sign_in.renew_on_suspicion(credentials)
        if other is None:
            raise TransientError(
                f"{fault} It stays so: GoPro may be out of order, but a dead token can look like this too. "
                f"Try again later; if that does not help: {HOW_TO_RENEW}",
                retry_after=fault.retry_after,
            )
        return other

    def _credentials_after_check(self, credentials: Credentials) -> Credentials | None:
        """Validate the sign-in on its own endpoint: other credentials if renewed, None if it is good."""
        if self._sign_in.current().version == credentials.version:
            self.user()
        now = self._sign_in.current()
        return now if now.version != credentials.version else None


def _signed(credentials: Credentials) -> dict[str, str]:
    """The headers that sign a call: cookies as a browser sends them if known, else a bearer token."""
    agent = {"User-Agent": credentials.user_agent} if credentials.user_agent else {}
    if credentials.cookies:
        return agent | {"Cookie": credentials.cookies}
    if credentials.gp_user_id:
        cookies = f"gp_access_token={credentials.gp_access_token}; gp_user_id={credentials.gp_user_id}"
        return agent | {"Cookie": cookies}
    return agent | {"Authorization": f"Bearer {credentials.gp_access_token}"}


def _is_account(answer: _Object) -> bool:
    return "id" in answer or "total_count" in answer


def _has_embedded(answer: _Object) -> bool:
    return isinstance(answer.get("_embedded"), dict)


def _is_page(answer: _Object) -> bool:
    return _has_embedded(answer) and isinstance(answer["_embedded"].get("media"), list)
