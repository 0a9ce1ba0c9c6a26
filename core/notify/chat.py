"""A message into a chat, through a webhook. Its address is a secret by itself: no error quotes it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

from core import retry
from core.errors import InvalidInput, TransientError
from core.providers.http import is_passing, new_session, require_safe_url, retry_after, send

if TYPE_CHECKING:
    import requests

_WHAT = "The chat"

#: Characters that Discord takes; others take more.
LONGEST_TEXT = 2000
_CUT = "\n(shortened)"

#: What Slack (`<!channel>`, `<address|name>`) and Mattermost (`@all`) would take for more than text.
_HARMLESS = str.maketrans({"<": "‹", ">": "›", "@": "＠"})


def text_of(subject: str, message: str) -> str:
    """The text for a chat of a message as SNS sends it: one of this product's, an alarm's, or anybody's."""
    text = f"{subject}\n{_readable(message)}".strip().translate(_HARMLESS)
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - len(_CUT)] + _CUT


def _readable(message: str) -> str:
    try:
        document = json.loads(message)
    except ValueError:
        return message
    match document:
        case {"message": str(text)}:
            return text
        case {"AlarmName": str(), "NewStateReason": str(reason)}:
            return f"{document.get('AlarmDescription') or ''}\n{reason}".strip()
        case _:
            return message


def post(url: str, text: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Post a text, again if that may help.

    Slack, Mattermost and their kin read `text`, Discord reads `content`. `InvalidInput` if the address is none or the
    chat refuses the message, `TransientError` if it could not be reached.
    """
    require_safe_url(url, "What the secret of the webhook holds")
    with new_session(1) as session:
        retry.retrying(retry.API_CALL, lambda: _post_once(session, url, text), sleep=sleep)


def _post_once(session: requests.Session, url: str, text: str) -> None:
    body = {"text": text, "content": text, "allowed_mentions": {"parse": []}}
    with closing(send(session, "POST", url, _WHAT, headers={}, document=body)) as response:
        status = response.status_code
        if is_passing(status):
            raise TransientError(
                f"{_WHAT} does not take messages now ({status}).", retry_after=retry_after(response.headers)
            )
        if not 200 <= status < 300:
            raise InvalidInput(
                f"{_WHAT} refuses the message ({status}). Look whether its webhook is still there, and store its "
                "address in the secret again."
            )
