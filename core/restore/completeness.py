"""Whether the catalog tells of everything that the tracker has as archived."""

from __future__ import annotations

from core.archive.base import Archive
from core.archive.keys import catalog_key
from core.model import Status, counted
from core.restore.select import Selected, Selection
from core.tracker.base import SyncTracker


def untold(
    selection: Selection, selected: Selected, tracker: SyncTracker, archive: Archive, provider: str
) -> list[str]:
    """What is archived, says the tracker, and not in the catalog: a line a medium.

    Where all was selected, that goes for each original; else for media that have no entry at all.
    A tracker that is lost says nothing. What stands in an entry that cannot be read is not told twice.
    """
    told = {one.medium.media_id: (len(one.originals), one.length) for one in selected.entries}
    lines = []
    for record in tracker.records(provider):
        if record.media_id in selected.known and not selection.is_everything:
            continue
        known, archived = told.get(record.media_id, (0, 0)), (record.originals, record.length)
        if record.status is not Status.COMPLETED or known == archived:
            continue
        if archive.location(catalog_key(provider, record.media_id)) not in selected.unreadable:
            what = f"{counted(record.originals, 'original')} with {counted(record.length, 'byte')} were archived"
            name = record.filename or record.media_id
            lines.append(f"{name} ({record.media_id}): {what}, the catalog tells of {known[0]} with {known[1]:,}")
    return lines
