"""`cloud-sync auth --from-browser` on profiles that real browsers wrote, and on profiles of the form that they have."""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from core.credentials.browser import Browser, read_browser
from core.errors import CloudSyncError, InvalidInput
from tests.browsers import CHROMIUM, FIREFOX, running_firefox, visit_with_chromium, visit_with_firefox
from tests.gopro_cloud import GoProCloud, many_small
from tests.unit.test_auth_command_line import GOOD, stored
from tests.unit.test_command_line import CommandLine, until

NOW = int(time.time())
TOKEN = "eyJhbGciOiJSU0EtT0FFUCJ9.a-token.that.is.kept"

#: Where the browsers of a Linux user have their profiles.
FIREFOX_PROFILE = ".config/mozilla/firefox/abcd1234.default"
FIREFOX_PROFILE_OF_OLD = ".mozilla/firefox/abcd1234.default"
CHROMIUM_DATA = ".config/chromium"
CHROME_DATA = ".config/google-chrome"

needs_firefox = pytest.mark.skipif(not FIREFOX, reason="there is no Firefox on this machine")
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on this machine")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="profiles lie elsewhere on other systems")

pytestmark = on_linux


@pytest.fixture
def cloud() -> Iterator[GoProCloud]:
    with GoProCloud(many_small(3, 20_000)) as running:
        yield running


@pytest.fixture
def cli(tmp_path: Path, cloud: GoProCloud) -> CommandLine:
    made = CommandLine(tmp_path, cloud)
    made.environment["CLOUD_SYNC_API_URL"] = cloud.url
    return made


# ------------------------------------------------------------------------------ real browsers

Visit = Callable[[Path, Path, Mapping[str, str]], None]

REAL = [
    pytest.param(visit_with_firefox, "firefox", FIREFOX_PROFILE, marks=needs_firefox, id="Firefox"),
    pytest.param(visit_with_firefox, "firefox", FIREFOX_PROFILE_OF_OLD, marks=needs_firefox, id="Firefox of old"),
    pytest.param(visit_with_chromium, "chromium", CHROMIUM_DATA, marks=needs_chromium, id="Chromium"),
    pytest.param(visit_with_chromium, "chrome", CHROME_DATA, marks=needs_chromium, id="Chrome"),
]


@pytest.mark.parametrize(("visit", "name", "folder"), REAL)
def test_the_cookies_of_a_real_browser_sign_in(
    cli: CommandLine, cloud: GoProCloud, visit: Visit, name: str, folder: str
) -> None:
    pasted = cloud.pasted()
    visit(cli.home, cli.home / folder, {**pasted, "other": "of-no-concern"})
    ended = cli.run("auth", "--from-browser", name)
    assert (ended.code, ended.out, ended.told) == (0, "", f"{GOOD} Stored in {cli.credentials}.")
    document = stored(cli.credentials)
    assert document.keys() == {"gp_access_token", "gp_user_id", "last_updated", "saved"}
    assert document.items() >= pasted.items()

    again = cli.run("auth", "--from-browser", name)
    assert (again.code, stored(cli.credentials)) == (0, document)
    assert "Nothing to store" in again.told

    cloud.tokens.clear()
    dead = cli.run("auth", "--from-browser", name)
    assert dead.code == 3
    assert "Nothing was stored. These credentials for gopro are refused" in dead.told
    assert stored(cli.credentials) == document


@needs_firefox
def test_the_cookies_of_a_firefox_that_is_running_sign_in(cli: CommandLine, cloud: GoProCloud) -> None:
    pasted = cloud.pasted()
    with running_firefox(cli.home, cli.home / FIREFOX_PROFILE, pasted):
        until(lambda: cli.run("auth", "--from-browser", "firefox").code == 0, timeout=60)
        log = cli.home / FIREFOX_PROFILE / "cookies.sqlite-wal"
        assert pasted["gp_access_token"].encode() in log.read_bytes()
    assert stored(cli.credentials).items() >= pasted.items()


# ------------------------------------------------------------------------------ profiles of their form

Cookie = tuple[str, str, str]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return tmp_path


def firefox_profile(home: Path, cookies: Iterable[Cookie], folder: str = FIREFOX_PROFILE) -> None:
    """A profile as Firefox 153 writes it (schema 17)."""
    (home / folder).mkdir(parents=True)
    with sqlite3.connect(home / folder / "cookies.sqlite") as database:
        database.execute("PRAGMA user_version = 17")
        database.execute(
            "CREATE TABLE moz_cookies (id INTEGER PRIMARY KEY, originAttributes TEXT NOT NULL DEFAULT '', name TEXT, "
            "value TEXT, host TEXT, path TEXT, expiry INTEGER, lastAccessed INTEGER, creationTime INTEGER, "
            "isSecure INTEGER, isHttpOnly INTEGER, inBrowserElement INTEGER DEFAULT 0, sameSite INTEGER DEFAULT 0)"
        )
        for host, name, value in cookies:
            database.execute(
                "INSERT INTO moz_cookies (name, value, host, path, expiry, isSecure) VALUES (?, ?, ?, '/', ?, 1)",
                (name, value, host, (NOW + 86400) * 1000),
            )
    database.close()


@pytest.mark.parametrize("host", [".gopro.com", "gopro.com", "plus.gopro.com"])
def test_the_cookies_of_gopro_and_of_nobody_else_are_read(home: Path, host: str) -> None:
    cookies = [
        (host, "gp_access_token", TOKEN),
        (host, "gp_user_id", "u"),
        (host, "session", "secret"),
        ("evilgopro.com", "gp_access_token", "theirs"),
        (".gopro.com.example.com", "gp_access_token", "theirs"),
        ("gopro.com.", "gp_user_id", "theirs"),
    ]
    firefox_profile(home, [*cookies, *reversed(cookies[3:])])
    assert read_browser(Browser.FIREFOX) == {"gp_access_token": TOKEN, "gp_user_id": "u"}


def test_cookies_that_a_running_browser_has_only_in_its_log_are_read(home: Path) -> None:
    firefox_profile(home, [(".gopro.com", "gp_access_token", f"{TOKEN}-of-yesterday")])
    path = home / FIREFOX_PROFILE / "cookies.sqlite"
    running = sqlite3.connect(path, isolation_level=None)
    running.execute("PRAGMA journal_mode = WAL")
    running.execute("UPDATE moz_cookies SET value = ?", (TOKEN,))
    assert f"{TOKEN}-of-yesterday".encode() in path.read_bytes()
    assert read_browser(Browser.FIREFOX) == {"gp_access_token": TOKEN}
    running.close()


def test_a_profile_can_be_named(home: Path) -> None:
    for number in (1, 2):
        firefox_profile(home, [(".gopro.com", "gp_access_token", f"{TOKEN}-{number}")], f".mozilla/firefox/{number}.me")
    assert read_browser(Browser.FIREFOX, "1.me") == {"gp_access_token": f"{TOKEN}-1"}
    assert read_browser(Browser.FIREFOX, str(home / ".mozilla/firefox/2.me")) == {"gp_access_token": f"{TOKEN}-2"}
    with pytest.raises(InvalidInput, match=r"no profile 3\.me of Firefox"):
        read_browser(Browser.FIREFOX, "3.me")


@pytest.mark.parametrize("browser", [Browser.FIREFOX, Browser.CHROME, Browser.EDGE])
@pytest.mark.usefixtures("home")
def test_a_browser_that_is_not_there_is_told(browser: Browser) -> None:
    with pytest.raises(InvalidInput, match=f"There is no {browser.value.capitalize()} with cookies"):
        read_browser(browser)


@pytest.mark.parametrize("cookies", [[], [(".gopro.com", "gp_user_id", "u")], [(".gopro.com", "gp_access_token", "")]])
def test_a_browser_that_is_signed_out_is_told(home: Path, cookies: list[Cookie]) -> None:
    firefox_profile(home, cookies)
    with pytest.raises(InvalidInput, match=r"Firefox holds no gp_access_token\. Sign in at gopro\.com with it"):
        read_browser(Browser.FIREFOX)


def test_cookies_under_a_key_that_no_other_program_has_are_told(home: Path) -> None:
    (home / CHROME_DATA / "Default").mkdir(parents=True)
    with sqlite3.connect(home / CHROME_DATA / "Default" / "Cookies") as database:
        database.execute("CREATE TABLE meta (key TEXT, value TEXT)")
        database.execute("INSERT INTO meta VALUES ('version', '24')")
        database.execute(
            "CREATE TABLE cookies (host_key TEXT, name TEXT, value TEXT, encrypted_value BLOB, path TEXT, "
            "expires_utc INTEGER, is_secure INTEGER)"
        )
        sealed = b"v20" + TOKEN.encode()
        database.execute("INSERT INTO cookies VALUES ('.gopro.com', 'gp_access_token', '', ?, '/', 0, 1)", (sealed,))
    database.close()
    with pytest.raises(InvalidInput, match=r"Chrome holds no gp_access_token.*unknown cookie version") as caught:
        read_browser(Browser.CHROME)
    assert TOKEN not in str(caught.value)


def test_a_damaged_profile_is_told_and_nothing_of_it_shown(home: Path) -> None:
    (home / FIREFOX_PROFILE).mkdir(parents=True)
    (home / FIREFOX_PROFILE / "cookies.sqlite").write_text(f"gp_access_token={TOKEN} " * 1000)
    with pytest.raises(CloudSyncError, match=r"Firefox could not be read: DatabaseError") as caught:
        read_browser(Browser.FIREFOX)
    assert caught.value.__cause__ is None
    assert TOKEN not in str(caught.value)


def test_without_the_extra_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "yt_dlp.py").write_text("raise ModuleNotFoundError('No module named yt_dlp')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(InvalidInput, match=r"pip install '\.\[browser\]'"):
        read_browser(Browser.FIREFOX)


def test_nothing_of_a_profile_is_left_behind(
    home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    aside = tmp_path_factory.mktemp("temporary")
    monkeypatch.setenv("TMPDIR", str(aside))
    firefox_profile(home, [(".gopro.com", "gp_access_token", TOKEN)])
    assert read_browser(Browser.FIREFOX)
    assert not list(aside.iterdir())
