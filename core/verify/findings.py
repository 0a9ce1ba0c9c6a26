"""What a verification finds, what it does about it, and what it came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum

from core.errors import InvalidInput
from core.model import Json

#: Findings that a report itself lists; all of them are in its documents.
TOLD = 20


class Kind(StrEnum):
    """What is wrong. NOT_CHECKED: the store would not tell, so that nothing is known and nothing is mended."""

    MISSING = "missing"
    DAMAGED = "damaged"
    CATALOG_MISSING = "catalog_missing"
    CATALOG_UNREADABLE = "catalog_unreadable"
    CATALOG_CONTRADICTS = "catalog_contradicts"
    NOT_TRACKED = "not_tracked"
    UNKNOWN_OBJECT = "unknown_object"
    OPEN_UPLOAD = "open_upload"
    NOT_CHECKED = "not_checked"


class Repair(StrEnum):
    """What was done about it. QUEUED: the medium is PENDING, so that the next sync brings what is not right."""

    NONE = ""
    QUEUED = "queued"
    REBUILT = "rebuilt"
    TRACKED = "tracked"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `media_id` or `key` is "" where there is none."""

    kind: Kind
    media_id: str
    key: str
    detail: str
    repair: Repair = Repair.NONE

    def to_json(self) -> dict[str, Json]:
        """The finding as reports list it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Report:
    """What a verification came to so far; `cursor` is where it goes on, "" at its end.

    `media` and `originals` were looked at, `length` is the bytes of the originals. `found` and `repaired` count the
    findings by kind and by repair; `first` are the first of them.
    """

    provider: str
    cursor: str = ""
    stretches: int = 0
    media: int = 0
    originals: int = 0
    length: int = 0
    found: Mapping[str, int] = field(default_factory=dict)
    repaired: Mapping[str, int] = field(default_factory=dict)
    first: tuple[Finding, ...] = ()

    @property
    def findings(self) -> int:
        """How much is wrong, or was before it was repaired."""
        return sum(self.found.values())

    @property
    def status(self) -> str:
        """SOUND if nothing is wrong."""
        return "FINDINGS" if self.findings else "SOUND"

    def plus(self, findings: Sequence[Finding]) -> Report:
        """The report with further findings."""
        found, repaired = dict(self.found), dict(self.repaired)
        for one in findings:
            found[one.kind.value] = found.get(one.kind.value, 0) + 1
            if one.repair:
                repaired[one.repair.value] = repaired.get(one.repair.value, 0) + 1
        return replace(self, found=found, repaired=repaired, first=(*self.first, *findings)[:TOLD])

    def to_json(self) -> dict[str, Json]:
        """The report as it travels from stretch to stretch."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "first"} | {
            "first": [one.to_json() for one in self.first]
        }

    @classmethod
    def from_json(cls, document: Json) -> Report:
        """The report of a step's input."""
        try:
            fields = {name: document[name] for name in cls.__dataclass_fields__}
            first = [one | {"kind": Kind(one["kind"]), "repair": Repair(one["repair"])} for one in fields["first"]]
            return cls(**fields | {"first": tuple(Finding(**one) for one in first)})
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"The progress of the verification cannot be read ({error}).") from None

    def summary(self) -> dict[str, Json]:
        """What people and scripts are told."""
        told = self.to_json()
        return {"status": self.status, "findings": self.findings} | {
            name: told[name] for name in ("provider", "media", "originals", "length", "found", "repaired", "first")
        }
