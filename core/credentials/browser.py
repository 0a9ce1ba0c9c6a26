"""Reads the cookies of a browser in which the user stays signed in, with yt-dlp's reader, the best kept there is.

The extra `browser` brings it; nothing else of this project needs it. It works in a process of its own (this module as a
program), since yt-dlp changes the HTTP libraries of the process that it is in.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from enum import StrEnum
from pathlib import Path

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
    command = [sys.executable, "-m", "core.credentials.browser", browser.value, profile or ""]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    title = browser.value.capitalize()
    try:
        told = json.loads(done.stdout)
    except ValueError:
        # `from None`: the decoder's error holds what was read.
        raise CloudSyncError(f"The cookies of {title} could not be read (exit code {done.returncode}).") from None
    remarks = f" ({told['remarks']})" if told.get("remarks") else ""
    match told:
        case {"found": {"gp_access_token": _} as found}:
            return dict(found)
        case {"found": _}:
            raise InvalidInput(
                f"{title} holds no gp_access_token. Sign in at gopro.com with it; if you use several profiles, "
                f"name one with --profile.{remarks}{_about_windows(browser)}"
            )
        case {"fault": "ModuleNotFoundError"}:
            raise InvalidInput(
                "To read a browser one more package is needed. In the folder of Cloud Sync: pip install '.[browser]'"
            )
        case {"fault": "FileNotFoundError"}:
            where = f"no profile {profile} of {title}" if profile else f"no {title}"
            raise InvalidInput(f"There is {where} with cookies for this user on this machine.")
    raise CloudSyncError(f"The cookies of {title} could not be read: {told['fault']}.{remarks}")


def _about_windows(browser: Browser) -> str:
    if sys.platform != "win32" or browser is Browser.FIREFOX:
        return ""
    return " On Windows this browser lets no other program read its cookies; Firefox does."


class _Remarks:
    """Takes what the reader has to say, to be told only if nothing is found."""

    last = ""

    def debug(self, message: str) -> None:
        """How it goes: not told."""

    info = debug

    def warning(self, message: str, only_once: bool = False) -> None:
        """What may be why nothing is found."""
        self.last = message[:200]

    error = warning


def _tell(browser: str, profile: str) -> dict[str, Json]:
    """What a browser holds, for `read_browser`; of a fault no more than its name, since its text may hold a cookie."""
    remarks = _Remarks()
    shutil.copy = _copy_with_log  # type: ignore[assignment]
    try:
        from yt_dlp.cookies import extract_cookies_from_browser

        jar = extract_cookies_from_browser(browser, profile or None, remarks)
    except Exception as fault:
        return {"fault": type(fault).__name__, "remarks": remarks.last}
    found = {one.name: one.value for one in jar if one.name in _NAMES and one.value and _is_ours(one.domain)}
    return {"found": found, "remarks": remarks.last}


def _copy_with_log(source: str, target: str) -> str:
    """What yt-dlp copies a database with; it forgets the log, and only there a running Firefox has its new cookies."""
    if Path(f"{source}-wal").exists():
        shutil.copy2(f"{source}-wal", f"{target}-wal")
    return shutil.copy2(source, target)


def _is_ours(domain: str) -> bool:
    domain = domain.lstrip(".").lower()
    return domain == DOMAIN or domain.endswith(f".{DOMAIN}")


if __name__ == "__main__":
    print(json.dumps(_tell(*sys.argv[1:])))
