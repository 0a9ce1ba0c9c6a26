"""How originals and documents are had back out of an archive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from core.model import Stored


class State(StrEnum):
    """Whether an original can be read. ARCHIVED: not before it is restored; REQUESTED: that has been asked for."""

    READY = "ready"
    ARCHIVED = "archived"
    REQUESTED = "requested"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Held:
    """How the archive holds an original now; `length` is what it tells of it (bytes), None if it was not asked.

    `version_id` has to be named to reach it, "" where it is the current one. `expires_at` is when a restored copy goes.
    `trouble` is why the archive would not tell of it, "" if it did; `state` means nothing then.
    """

    stored: Stored
    state: State
    storage_class: str = ""
    version_id: str = ""
    expires_at: datetime | None = None
    trouble: str = ""
    length: int | None = None

    @property
    def to_read(self) -> int:
        """The bytes that reading it gives, as far as anybody knows."""
        return self.stored.length if self.length is None else self.length


@dataclass(frozen=True, slots=True)
class Document:
    """A document as a listing tells it; `tag` changes with its content, "" if the store has none."""

    key: str
    tag: str
    modified_at: datetime


class Reader(Protocol):
    """The bytes of an original, one after the other."""

    def read(self, count: int, /) -> bytes:
        """At most `count` bytes, none at the end."""
        ...


class Retrieval(Protocol):
    """What can be had back, and from where; nothing here is charged for but `request` and the reading."""

    def documents(self, prefix: str) -> Iterator[Document]:
        """The documents whose key begins with `prefix`."""
        ...

    def look(self, originals: Sequence[Stored]) -> list[Held]:
        """How each is held now, in their order; what cannot be asked of one is its `trouble` and ends nothing."""
        ...

    def request(self, held: Held, tier: str, days: int) -> None:
        """Have an archived original restored for `days`; done, too, if somebody has asked for it in the meantime."""
        ...

    def open(self, held: Held, start: int) -> AbstractContextManager[Reader]:
        """Its bytes from `start` on. `TransientError` for what may pass, `IntegrityError` if it is shorter."""
        ...
