"""What a page of the report may hold, whatever a provider has said."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_TAGS = {
    *("html", "head", "meta", "title", "link", "style", "body", "main", "section", "header", "footer", "nav"),
    *("div", "span", "b", "p", "h1", "h2", "ul", "li", "a", "img", "figure", "figcaption", "svg", "path"),
    *("details", "summary", "table", "tbody", "tr", "td"),
}
_ATTRIBUTES = {
    *("lang", "charset", "http-equiv", "content", "name", "rel", "class", "dir", "href", "src", "alt", "loading"),
    *("viewbox", "preserveaspectratio", "role", "aria-label", "d", "vector-effect"),
}
_VOID = {"meta", "link", "img"}
_ADDRESS = re.compile(
    r"(\.\./)*[A-Za-z0-9._=~%-]+(/[A-Za-z0-9._=~%-]+)*\.(html|jpg)|data:,|data:image/jpeg;base64,[\w+/=]*"
)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.text = ""
        self.policy = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _TAGS, tag
        told = {name: value or "" for name, value in attrs}
        assert told.keys() <= _ATTRIBUTES, told
        for name in ("href", "src"):
            assert name not in told or _ADDRESS.fullmatch(told[name]), told
        if told.get("http-equiv") == "Content-Security-Policy":
            self.policy = told["content"]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_pi(self, data: str) -> None:
        raise AssertionError(data)


def text_of(page: bytes) -> str:
    """The text of a page that is sound: whole, of known elements, with addresses within the archive alone."""
    reader = _Reader()
    told = page.decode()
    assert told.startswith("<!doctype html>\n<html")
    reader.feed(told.removeprefix("<!doctype html>"))
    reader.close()
    assert not reader.open
    assert reader.policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in reader.policy
    assert reader.text.replace("\n", "").isprintable()
    assert "://" not in reader.text
    return reader.text
