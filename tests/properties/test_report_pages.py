"""Whatever a provider says, a page of the report holds our elements and its text, and leads nowhere else."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import example, given

from core.model import Medium
from core.report import Item, Note, Told
from core.report.ledger import Day, Ledger, Line, Month
from core.report.pages import gallery_page, month_page, run_page
from tests.hostile import names
from tests.pages import text_of

NOW = datetime(2026, 3, 9, 2, tzinfo=UTC)
MONTH = "2026-03"


@given(name=names, media_id=names, kind=names, reason=names, run_id=names, provider=names)
@example("<img src=x onerror=alert(1)>", '"><script>alert(1)</script>', "--><!--", "</style>", "javascript:x", "&lt;")
@example("\u202e" + "4PM.exe" * 700, "\0", "\ud800", "https://cdn.example/x?Signature=secret", "a/../../b", "\ufffe")
def test_hostile_text_stays_text(name: str, media_id: str, kind: str, reason: str, run_id: str, provider: str) -> None:
    item = Item.of(Medium(provider, media_id, name, kind, "ready", NOW, None, 1), 1, 10**9)
    note = Note(media_id, name, reason)
    ledger = Ledger(
        {MONTH: Month(1, 1, 10**9, 1, "cover")},
        [Day("2026-03-08", 1, 10**9, 0.5)],
        [Line(run_id, "2026-03-08T02:00:00Z", reason, 1, 0, 0, 10**9)],
    )
    told = Told(
        *(provider, run_id, reason, NOW, [item], 1, 10**9, [note], 1, [note], 1, [note]),
        cause=reason,
        pictures={media_id: b"\xff\xd8\xff"},
    )
    pages = [run_page(told, ledger, "../../"), month_page(provider, MONTH, [item], {media_id})]
    for page in (*pages, gallery_page(provider, ledger)):
        text = text_of(page)
        assert "Signature=" not in text
        assert len(text) < 10_000
