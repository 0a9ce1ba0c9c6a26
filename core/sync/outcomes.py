"""What the steps return: what the business knows comes back as a value, only faults are raised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run as a whole cannot go on. `outcome` is one word for routing, `error` its class, `cause` a sentence."""

    outcome: str
    error: str
    cause: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Transferred:
    """Every original of the medium is in the archive. `moved` is what this call transferred of `length` (bytes).

    `damage` says what is wrong with a recording that was damaged at its source already.
    """

    outcome: ClassVar[str] = "transferred"
    media_id: str
    originals: int
    length: int
    moved: int
    seconds: float
    damage: str = ""


@dataclass(frozen=True, slots=True)
class NotReady:
    """The provider does not offer every original yet; `missing` says which."""

    outcome: ClassVar[str] = "not_ready"
    media_id: str
    missing: str
    moved: int = 0


@dataclass(frozen=True, slots=True)
class Gone:
    """The provider no longer has the medium."""

    outcome: ClassVar[str] = "source_gone"
    media_id: str


@dataclass(frozen=True, slots=True)
class CredentialsDied:
    """The credentials are refused; the medium waits for the next run."""

    outcome: ClassVar[str] = "credentials_rejected"
    media_id: str
    cause: str


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The time of this invocation did not suffice: the next call goes on. `moved` is what this one did (bytes)."""

    outcome: ClassVar[str] = "unfinished"
    media_id: str
    moved: int


@dataclass(frozen=True, slots=True)
class Busy:
    """Another run is transferring the medium."""

    outcome: ClassVar[str] = "busy"
    media_id: str


TransferOutcome = Transferred | NotReady | Gone | CredentialsDied | Unfinished | Busy
