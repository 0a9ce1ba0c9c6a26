"""What people copy out of a browser: each form as Chrome and Firefox write it, around the same request."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.credentials.base import Credentials
from core.credentials.paste import read_paste
from core.errors import InvalidInput

TOKEN = "eyJhbGciOiJSU0EtT0FFUCJ9.dq-AA_b.5o1lrS.x0-Q_w.PqT4-z_A"
USER = "5fd1c6a2-0000-4c1a-9d7e-aa11bb22cc33"
AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
)
#: Other cookies of the site, with everything that a shell has to quote.
OTHERS = "_ga=GA1.2.3; OptanonConsent=a%20b&c=d!e; note='it''s \"100%\" ^^ $HOME `x`'; sess|{x}=1"
COOKIES = f"{OTHERS}; gp_access_token={TOKEN}; gp_user_id={USER}; last=1"
URL = "https://api.gopro.com/media/search?fields=id,filename&per_page=100&page=1"
HEADERS = {
    "accept": "application/vnd.gopro.jk.media+json; version=2.0.0",
    "referer": "https://gopro.com/",
    "sec-ch-ua": '"Chromium";v="156", "Not A Brand";v="24"',
    "user-agent": AGENT,
}


def posix(text: str) -> str:
    """Quoted for bash as both browsers do: single quotes, or ANSI-C quoting where there is a quote or a `!`."""
    if not re.search(r"['!]", text):
        return f"'{text}'"
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("!", "\\u0021")
    return f"$'{escaped}'"


def cmd(text: str) -> str:
    """Quoted for cmd.exe as both browsers do now: everything unusual behind a caret."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    escaped = re.sub(r"[^a-zA-Z0-9\s_\-:=+~'/.',?;()*`]", r"^\g<0>", escaped)
    return f'^"{re.sub(r"%(?=[a-zA-Z0-9_])", "%^", escaped)}^"'


def cmd_of_old(text: str) -> str:
    """Quoted for cmd.exe as both browsers did before: doubled quotes."""
    escaped = text.replace('"', '""').replace("%", '"%"').replace("\\", "\\\\")
    return f'"{escaped}"'


def powershell(text: str) -> str:
    """Quoted for PowerShell: a backtick before what would be read."""
    return '"' + re.sub(r'["`$]', r"`\g<0>", text) + '"'


def curl(quote: Callable[[str], str], goes_on: str, *, cookie_option: str = "") -> str:
    """A request copied as cURL, its cookies as a header or, in newer versions of Chrome, with -b."""
    parts = [f"curl {quote(URL)}", *(f"-H {quote(f'{name}: {value}')}" for name, value in HEADERS.items())]
    parts.append(f"{cookie_option} {quote(COOKIES)}" if cookie_option else f"-H {quote(f'cookie: {COOKIES}')}")
    return f" {goes_on}\n  ".join([*parts, "--compressed"])


def firefox_curl(quote: Callable[[str], str], goes_on: str) -> str:
    headers = {"User-Agent": AGENT, "Accept": HEADERS["accept"], "Cookie": COOKIES}
    parts = [
        f"curl {quote(URL)}",
        "--compressed",
        *(f"-H {quote(f'{name}: {value}')}" for name, value in headers.items()),
    ]
    return f" {goes_on}\n  ".join(parts)


def chrome_powershell() -> str:
    cookies = [pair.partition("=") for pair in COOKIES.split("; ")]
    added = "\n".join(
        f"$session.Cookies.Add((New-Object System.Net.Cookie({powershell(name)}, {powershell(value)}, "
        '"/", ".gopro.com")))'
        for name, _, value in cookies
    )
    return (
        "$session = New-Object Microsoft.PowerShell.Commands.WebRequestSession\n"
        f"$session.UserAgent = {powershell(AGENT)}\n{added}\n"
        f"Invoke-WebRequest -UseBasicParsing -Uri {powershell(URL)} `\n-WebSession $session `\n"
        f'-Headers @{{\n"authority"="api.gopro.com"\n  "accept"={powershell(HEADERS["accept"])}\n}}'
    )


def powershell_with_headers() -> str:
    return (
        f"Invoke-WebRequest -UseBasicParsing -Uri {powershell(URL)} `\n-UserAgent {powershell(AGENT)} `\n"
        f'-Headers @{{\n"Accept" = {powershell(HEADERS["accept"])}\n"Cookie" = {powershell(COOKIES)}\n}}'
    )


def fetch() -> str:
    options = {"headers": HEADERS | {"cookie": COOKIES}, "body": None, "method": "GET"}
    return f"fetch({json.dumps(URL)}, {json.dumps(options, indent=2)});"


WITH_AGENT = {
    "Chrome, bash": curl(posix, "\\", cookie_option="-b"),
    "Chrome of old, bash": curl(posix, "\\"),
    "Chrome, cmd": curl(cmd, "^", cookie_option="-b"),
    "Chrome of old, cmd": curl(cmd_of_old, "^"),
    "Chrome, PowerShell": chrome_powershell(),
    "Chrome, fetch for Node.js": fetch(),
    "Firefox, bash": firefox_curl(posix, "\\"),
    "Firefox, cmd": firefox_curl(cmd, "^"),
    "PowerShell with a header": powershell_with_headers(),
    "raw request headers": f"GET /media/search HTTP/2\r\nUser-Agent: {AGENT}\r\nCookie: {COOKIES}\r\nTE: trailers\r\n",
}

WITHOUT_AGENT = {
    "a Cookie header": f"Cookie: {COOKIES}",
    "its value": COOKIES,
    "the two cookies": f"gp_access_token={TOKEN}; gp_user_id={USER}",
    "in the other order": f"gp_user_id={USER}; gp_access_token={TOKEN}",
    "rows of Chrome's table": f"gp_access_token\t{TOKEN}\t.gopro.com\t/\t2026\t✓\ngp_user_id\t{USER}\t.gopro.com\t/",
    "Firefox's storage": f'gp_access_token:"{TOKEN}"\ngp_user_id:"{USER}"',
    "two lines": f"{TOKEN}\n{USER}\n",
    "two words": f"  {TOKEN} {USER}",
    "JSON": json.dumps({"gp_access_token": TOKEN, "gp_user_id": USER}),
}


@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("form", WITH_AGENT)
def test_a_copied_request_gives_the_two_values_and_the_browser_s_name(form: str, line_end: str) -> None:
    text = WITH_AGENT[form].replace("\r\n", "\n").replace("\n", line_end)
    assert read_paste(text) == {"gp_access_token": TOKEN, "gp_user_id": USER, "user_agent": AGENT}


@pytest.mark.parametrize("form", WITHOUT_AGENT)
def test_cookies_in_any_form_give_the_two_values(form: str) -> None:
    assert read_paste(WITHOUT_AGENT[form]) == {"gp_access_token": TOKEN, "gp_user_id": USER}


def test_a_bearer_token_does_where_there_is_no_cookie() -> None:
    headers = f"curl {posix(URL)} \\\n  -H {posix(f'Authorization: Bearer {TOKEN}')} \\\n  -H 'X-A: b'"
    assert read_paste(headers) == {"gp_access_token": TOKEN}


def test_a_token_alone_does() -> None:
    assert read_paste(f"{TOKEN}\n") == {"gp_access_token": TOKEN}


def test_no_other_cookie_is_taken() -> None:
    assert not any("OptanonConsent" in value for value in read_paste(COOKIES).values())
    similar = f"my_gp_access_token=wrong; gp_access_token_old=wrong; x-gp_access_token=wrong; {COOKIES}"
    assert read_paste(similar)["gp_access_token"] == TOKEN


def test_a_document_keeps_all_that_it_holds() -> None:
    document = {"refresh_token": "r", "client_id": "c", "client_secret": "s"}
    assert read_paste(json.dumps(document)) == document


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Nothing was pasted"),
        (" \n ", "Nothing was pasted"),
        ("hello", "there is no gp_access_token"),
        ("this is not what was asked for, and a secret", "there is no gp_access_token"),
        (curl(posix, "\\").replace("gp_access_token", "gp_other"), "there is no gp_access_token"),
        ("gp_access_token=; gp_user_id=x", "there is no gp_access_token"),
        (f'{{"gp_access_token": "{TOKEN}"', "must be the whole document"),
        (f'["{TOKEN}"]', "one JSON object"),
    ],
    ids=["nothing", "blanks", "a word", "a sentence", "another request", "an empty cookie", "broken JSON", "a list"],
)
def test_what_holds_no_token_is_told_without_repeating_it(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        read_paste(text)
    assert caught.value.__cause__ is None
    for word in (TOKEN, USER, "secret", "hello"):
        assert word not in str(caught.value)


@given(
    before=st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), max_size=30),
    token=st.from_regex(r"eyJ[A-Za-z0-9_-]{8,40}(\.[A-Za-z0-9_-]{4,20}){4}", fullmatch=True),
)
@pytest.mark.parametrize("quote", [posix, cmd, powershell])
def test_whatever_else_is_in_the_cookies_the_token_is_found(
    quote: Callable[[str], str], before: str, token: str
) -> None:
    other = re.sub(r"[;,=\s]", "", before)
    text = f"curl {quote(URL)} -H {quote(f'Cookie: x={other}; gp_access_token={token}; gp_user_id={USER}')}"
    assert read_paste(text) == {"gp_access_token": token, "gp_user_id": USER}


def test_what_was_read_can_be_stored() -> None:
    found = Credentials.from_json(read_paste(WITH_AGENT["Chrome, cmd"]), "")
    assert (found.gp_access_token, found.gp_user_id, found.user_agent) == (TOKEN, USER, AGENT)
