"""Pages as trees of elements, so that no text can become anything but text."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from datetime import datetime
from xml.etree import ElementTree as ET

from core.errors import public_text
from core.model import printable
from core.report.style import STYLE

Element = ET.Element

#: Characters of a name or of a reason that are shown.
_LONGEST_NAME = 120
_LONGEST_REASON = 500


def el(tag: str, *children: Element | str | None, **attributes: str) -> Element:
    """An element; `class_` is its class. Text stays text, whatever it holds."""
    element = Element(tag, {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()})
    last: Element | None = None
    for child in children:
        if child is None:
            continue
        if isinstance(child, Element):
            element.append(child)
            last = child
        elif last is None:
            element.text = (element.text or "") + child
        else:
            last.tail = (last.tail or "") + child
    return element


def name_of(text: str) -> str:
    """A name that a provider gave, as it may be shown: one line, without steering characters and addresses."""
    return _cut(printable(public_text(text)), _LONGEST_NAME) if text.strip() else "without a name"


def reason_of(text: str) -> str:
    """A reason, as it may be shown."""
    return _cut(printable(public_text(text)), _LONGEST_REASON)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def size(length: float) -> str:
    """Bytes for people: 4.0 GB."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if length < 1000:
            return f"{length:.0f} {unit}" if unit == "bytes" else f"{length:.1f} {unit}"
        length /= 1000
    return f"{length:,.1f} TB"


def when(moment: datetime | None) -> str:
    """A time for people, in UTC."""
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "no date"


def span(seconds: float) -> str:
    """A duration for people: 2 h 5 min."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def page(title: str, *body: Element | None) -> bytes:
    """A whole page: no script, nothing from elsewhere, and a policy that says so to the browser."""
    style = b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{style}'; img-src 'self' data:; base-uri 'none'; form-action 'none'"
    )
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("meta", name="referrer", content="no-referrer"),
        el("title", title),
        el("link", rel="icon", href="data:,"),
        el("style", STYLE),
    )
    tree = el("html", head, el("body", *body), lang="en")
    return b"<!doctype html>\n" + ET.tostring(tree, encoding="unicode", method="html").encode("utf-8", "replace")
