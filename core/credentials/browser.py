"""Reads the cookies of a browser in which the user stays signed in, with yt-dlp's reader, the best kept there is.

The extra `browser` brings it; nothing else of this project needs it.
"""

from __future__ import annotations

import sys
from enum import StrEnum

from core.errors import CloudSyncError, InvalidInput
from core.model import Json

#: Cookies of this domain and of those below it are looked at, no others.
DOMAIN = "gopro.com"

_NAMES = ("gp_access_token", "gp_user_id")


class Browser(StrEnum):
    """The browsers that can be read."""

    FIREFOX = "firefox"
    CHROME = "chrome"
    CHROMIUM = "chromium"
    EDGE = "edge"
    BRAVE = "brave"
    VIVALDI = "vivaldi"
    SAFARI = "safari"


def read_browser(browser: Browser, profile: str | None = None) -> dict[str, Json]:
    """The credentials in the cookies of a browser, as the stored document has them.

    `profile` is its name or folder; without it the one used last. `InvalidInput` if there is no such browser here or if
    nobody is signed in with it. The browser may be running: a copy is read and deleted again.
    """
    try:
        from yt_dlp.cookies import extract_cookies_from_browser
    except ImportError:
        raise InvalidInput(
            "To read a browser one more package is needed. In the folder of Cloud Sync: pip install '.[browser]'"
        ) from None
    title, remarks = browser.value.capitalize(), _Remarks()
    try:
        jar = extract_cookies_from_browser(browser.value, profile, remarks)
    except FileNotFoundError:
        where = f"no profile {profile} of {title}" if profile else f"no {title}"
        raise InvalidInput(f"There is {where} with cookies for this user on this machine.") from None
    except Exception as fault:
        # `from None`: what a reader of cookies trips over may be a cookie.
        raise CloudSyncError(f"The cookies of {title} could not be read ({type(fault).__name__}).{remarks}") from None
    found = {one.name: one.value for one in jar if one.name in _NAMES and one.value and _is_ours(one.domain)}
    if "gp_access_token" not in found:
        raise InvalidInput(
            f"{title} holds no gp_access_token. Sign in at gopro.com with it; if you use several profiles, name one "
            f"with --profile.{remarks}{_about_windows(browser)}"
        )
    return found


def _is_ours(domain: str) -> bool:
    domain = domain.lstrip(".").lower()
    return domain == DOMAIN or domain.endswith(f".{DOMAIN}")


def _about_windows(browser: Browser) -> str:
    if sys.platform != "win32" or browser is Browser.FIREFOX:
        return ""
    return " On Windows this browser lets no other program read its cookies; Firefox does."


class _Remarks:
    """Takes what the reader has to say, to be told only if nothing is found."""

    def __init__(self) -> None:
        self._last = ""

    def __str__(self) -> str:
        return f" ({self._last[:200]})" if self._last else ""

    def debug(self, message: str) -> None:
        """How it goes: not told."""

    def info(self, message: str) -> None:
        """How it goes: not told."""

    def warning(self, message: str, only_once: bool = False) -> None:
        """What may be why nothing is found."""
        self._last = message

    error = warning
