"""Reads credentials out of whatever a browser gives.

Chrome and Firefox copy a request as a command for bash, for cmd and for PowerShell, and as JavaScript; they show
headers and a table of cookies. All of these hold the same names and values, quoted in their own way: the quoting is
taken off, and the two values are looked for wherever they are.
"""

from __future__ import annotations

import json
import re

from core.credentials.base import PLACEHOLDER
from core.errors import InvalidInput
from core.model import Json

#: What a token is at least long, so that a word is not taken for one.
_SHORTEST_TOKEN = 20

_HOW = (
    "Sign in at gopro.com, open your media library, and in the browser's developer tools (F12), tab Network, copy a "
    "request to api.gopro.com as cURL. docs/CREDENTIALS.md shows it step by step."
)

_CONTINUED = re.compile(r"[ \t]*[\\^`]\r?\n")  # a line that goes on, in bash, cmd and PowerShell
_CARET = re.compile(r"\^(.)", re.DOTALL)
_UNICODE = re.compile(r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})")

#: A value ends where a cookie, a string or a cell of a table ends.
_VALUE = r"""["'\s]*[=:,\s]["'\s]*([^\s"'`;,]+)"""
_AGENT = re.compile(r"""\buser-?agent["']?\s*[=:]?\s*["']?(Mozilla/[^"'`\r\n]+)""", re.IGNORECASE)
_BEARER = re.compile(r"""\bauthorization["']?\s*[=:]\s*["']?bearer\s+([^\s"'`;,]+)""", re.IGNORECASE)


def read_paste(text: str) -> dict[str, Json]:
    """The credentials in a pasted text, as the stored document has them.

    It may be a request copied as cURL (bash or cmd), PowerShell or fetch, a Cookie header, cookies as the developer
    tools list them, the token and the user id each on a line, or the stored JSON document itself. Only the two values
    and the browser's name are taken, no other cookie. `InvalidInput` says what is wanted, and never what was pasted.
    """
    text = text.strip().lstrip("\ufeff")
    if not text:
        raise InvalidInput(f"Nothing was pasted. {_HOW}")
    if text[0] in "{[":
        return _document(text)
    plain = _without_quoting(text)
    found = {name: _value(name, plain) for name in ("gp_access_token", "gp_user_id")}
    if not found["gp_access_token"] and (bearer := _BEARER.search(plain)):
        found["gp_access_token"] = bearer[1]
    if not found["gp_access_token"]:
        found = _bare(text.split())
    if agent := _AGENT.search(plain):
        found["user_agent"] = agent[1].strip()
    return {name: value for name, value in found.items() if value}


def _document(text: str) -> dict[str, Json]:
    try:
        document = json.loads(text)
    except ValueError:
        # `from None`: the decoder's error holds the document.
        raise InvalidInput(
            'What begins like JSON must be the whole document: {"gp_access_token": "…", "gp_user_id": "…"}.'
        ) from None
    if not isinstance(document, dict):
        raise InvalidInput("JSON must hold one JSON object with the credentials.")
    return document


def _without_quoting(text: str) -> str:
    """The text with each shell's escapes taken off, as far as they can be within a cookie."""
    text = _CONTINUED.sub(" ", text)
    if '^"' in text:
        text = _CARET.sub(r"\1", text)
    return _UNICODE.sub(lambda found: chr(int(found[1] or found[2], 16)), text)


def _value(name: str, plain: str) -> str:
    found = re.search(rf"(?<![\w-]){name}{_VALUE}", plain)
    return found[1] if found else ""


def _bare(words: list[str]) -> dict[str, str]:
    """The two values alone: the token and, if given, the user id after it."""
    if len(words) not in (1, 2) or not (words[0] == PLACEHOLDER or _is_token(words[0])):
        raise InvalidInput(f"In what was pasted there is no gp_access_token. {_HOW}")
    return dict(zip(("gp_access_token", "gp_user_id"), words, strict=False))


def _is_token(word: str) -> bool:
    return len(word) >= _SHORTEST_TOKEN and re.fullmatch(r"[\w.~+/=-]+", word) is not None
