"""One look at everything: the tracker's records and the names in catalog and archive, from listings alone."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from core.archive.base import Inventory, Listed
from core.archive.keys import catalog_prefix, originals_prefix, safe_id
from core.model import Record
from core.tracker.base import SyncTracker

_SUFFIX = ".json"


@dataclass(slots=True)
class Survey:
    """What there is, by the id of the medium as it is written in keys; `strays` have no place in that order."""

    records: dict[str, Record] = field(default_factory=dict)
    entries: set[str] = field(default_factory=set)
    objects: defaultdict[str, list[Listed]] = field(default_factory=lambda: defaultdict(list))
    strays: list[Listed] = field(default_factory=list)

    def names(self) -> list[str]:
        """Every medium that one of the three tells of, in order."""
        return sorted(self.records.keys() | self.entries | self.objects.keys())


def survey(provider: str, tracker: SyncTracker, inventory: Inventory) -> Survey:
    """Take the tracker first and the objects last: what was completed by then is in the later listings."""
    found = Survey()
    for record in tracker.records(provider):
        found.records[safe_id(record.media_id)] = record
    prefix = catalog_prefix(provider)
    for one in inventory.objects(prefix):
        name = one.key.removeprefix(prefix)
        if "/" not in name and name.endswith(_SUFFIX) and not name.startswith("."):
            found.entries.add(name.removesuffix(_SUFFIX))
        else:
            found.strays.append(one)
    prefix = originals_prefix(provider)
    for one in inventory.objects(prefix):
        segments = one.key.removeprefix(prefix).split("/")
        if len(segments) == 4:
            found.objects[segments[2]].append(one)
        else:
            found.strays.append(one)
    return found
