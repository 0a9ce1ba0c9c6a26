"""How GoPro's servers are spoken to and how their answers are read, for the API and the sign-in alike."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from core.errors import InvalidInput
from core.model import Json
from core.providers.http import require_safe_url

DEFAULT_BASE_URL = "https://api.gopro.com"

#: `Accept` is mandatory (406 without it, 410 once the version is retired); the others are usual. A wrong
#: Origin or Referer has given 500, none at all works.
BASE_HEADERS = {
    "Accept": "application/vnd.gopro.jk.media+json; version=2.0.0",
    "Accept-Language": "en-US,en;q=0.9",
    "User-Agent": (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
    ),
}

_MOST_DIGITS = 100

#: Characters of a reason. What is longer is none, and a cut could leave half a secret, which nobody would recognise.
_LONGEST_REASON = 1000
_NOT_FOR_EYES = re.compile(r"[a-z][a-z0-9+.-]*://\S*|\S+@\S+|[^\s,;:]{24,}", re.IGNORECASE)


def safe_base_url(url: str) -> str:
    """The API's base address without a trailing slash; `InvalidInput` if tokens must not be sent there."""
    require_safe_url(url, "The address of the GoPro API")
    if "?" in url or "#" in url:
        raise InvalidInput("The address of the GoPro API must have neither query nor fragment.")
    return url.rstrip("/")


def json_object(body: bytes) -> dict[str, Json]:
    """The JSON object of an answer, empty if it holds none: HTML, a list, or nested beyond reason."""
    try:
        document = json.loads(body, parse_constant=lambda _: None, parse_int=_whole_number)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _whole_number(text: str) -> int | None:
    """A number of the answer; None for one that Python refuses to read (4,300 digits), so that the rest is read."""
    return int(text) if len(text) <= _MOST_DIGITS else None


def spoken_reason(answer: Json, secrets: Iterable[str] = ()) -> str:
    """What an error answer says of itself, as `: text` for a message, or "".

    Known secrets, addresses, e-mail addresses and anything as long as a token are taken out; 160 characters
    at most.
    """
    text = ", ".join(dict.fromkeys(reasons(answer)))
    for secret in filter(None, secrets):
        text = text.replace(secret, "…")
    text = " ".join(_NOT_FOR_EYES.sub("…", text).split())
    return f": {text[:160]}" if text else ""


def reasons(answer: Json) -> Iterator[str]:
    """The texts of GoPro's `_embedded.errors` (reason, code, description) and of OAuth's error."""
    embedded = answer.get("_embedded") if isinstance(answer, dict) else None
    errors = embedded.get("errors") if isinstance(embedded, dict) else None
    for error in [answer, *(errors[:5] if isinstance(errors, list) else ())]:
        if not isinstance(error, dict):
            continue
        for name in ("error", "error_description", "reason", "code", "description"):
            value = error.get(name)
            if isinstance(value, str | int) and len(text := str(value)) <= _LONGEST_REASON and text.isprintable():
                yield text
