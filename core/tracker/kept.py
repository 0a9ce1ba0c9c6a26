"""Reads a record as a tracker keeps it: one that was spoilt costs itself, and no run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from core.errors import InvalidInput
from core.model import Medium, Reason, Record, Status, parse_time, printable

_log = logging.getLogger(__name__)


def read_record(kept: Mapping[str, object]) -> Record:
    """The record of the values kept by name. What cannot be read is left out, and told in the log.

    A status that is unknown counts as PENDING, so that the medium is looked at again, as one that may be archived.
    """
    media_id = _text(kept, "media_id")
    try:
        status, reason = Status(_text(kept, "status")), _text(kept, "reason")
    except ValueError:
        _log.warning("The status of medium %s cannot be read: it is looked at again.", printable(media_id))
        status, reason = Status.PENDING, Reason.AGAIN
    return Record(
        provider=_text(kept, "provider"),
        media_id=media_id,
        status=status,
        run_id=_text(kept, "run_id"),
        updated_at=parse_time(kept.get("updated_at")) or datetime.min.replace(tzinfo=UTC),
        filename=_text(kept, "filename"),
        reason=reason,
        error_type=_text(kept, "error_type"),
        error=_text(kept, "error"),
        originals=_number(kept, "originals"),
        length=_number(kept, "length"),
        moved=_number(kept, "moved"),
        items=_number(kept, "items"),
        medium=_medium(_text(kept, "medium"), media_id),
    )


def _text(kept: Mapping[str, object], name: str) -> str:
    value = kept.get(name)
    return value if isinstance(value, str) else ""


def _number(kept: Mapping[str, object], name: str) -> int:
    value = kept.get(name)
    try:
        return int(value) if isinstance(value, int | str) else 0
    except ValueError:
        return 0


def _medium(text: str, media_id: str) -> Medium | None:
    try:
        medium = Medium.from_text(text)
    except (ValueError, InvalidInput):
        medium = None
    if medium and medium.media_id == media_id and _is_sound(medium):
        return medium
    if text:
        _log.warning("What was listed of medium %s cannot be read: it is listed again.", printable(media_id))
    return None


def _is_sound(medium: Medium) -> bool:
    counts: tuple[object, ...] = (medium.length_hint, medium.item_count)
    return all(isinstance(count, int | None) for count in counts) and isinstance(medium.facts, dict)
