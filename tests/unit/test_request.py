"""What a run may be asked, and what is answered to a malformed question."""

from __future__ import annotations

import pytest

from core.errors import InvalidInput
from core.sync.request import Run, SyncRequest


def test_an_empty_input_means_everything_of_gopro() -> None:
    assert SyncRequest.from_json({}) == SyncRequest("gopro", False, None, None, False)


def test_a_request_survives_its_way_through_a_state() -> None:
    request = SyncRequest("gopro", full_scan=True, max_items=7, media_ids=("a", "b"), dry_run=True)
    assert SyncRequest.from_json(request.to_json()) == request


def test_what_a_scheduler_adds_is_ignored() -> None:
    assert SyncRequest.from_json({"time": "2026-01-01T00:00:00Z"}) == SyncRequest()


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ([], "JSON object"),
        ({"provider": 3}, "provider"),
        ({"provider": ""}, "provider"),
        ({"full_scan": "yes"}, "full_scan"),
        ({"dry_run": 1}, "dry_run"),
        ({"max_items": 0}, "max_items"),
        ({"max_items": True}, "max_items"),
        ({"max_items": "5"}, "max_items"),
        ({"media_ids": "abc"}, "media_ids"),
        ({"media_ids": [1]}, "media_ids"),
    ],
)
def test_a_malformed_input_is_told_by_name(document: object, named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        SyncRequest.from_json(document)


@pytest.mark.parametrize("document", [{}, {"run_id": "x"}, {"run_id": "", "started_at": "2026-01-01T00:00:00Z"}, None])
def test_a_step_without_its_run_is_refused(document: object) -> None:
    with pytest.raises(InvalidInput, match="run"):
        Run.from_json(document)
