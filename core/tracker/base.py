"""Who knows how far each medium is, and the leases by which workers agree who does what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from core.model import Record


class SyncTracker(Protocol):
    """One record per (provider, media id)."""

    def get(self, provider: str, media_ids: Sequence[str]) -> dict[str, Record]:
        """The records of those media that have one, by media id; any number of ids."""
        ...

    def add(self, records: Iterable[Record]) -> None:
        """Write the records of media that have none yet; a record that is there stays as it is."""
        ...

    def save(self, record: Record) -> bool:
        """Write a record; False, and nothing written, if that would replace a COMPLETED one by anything else."""
        ...

    def reopen(self, record: Record, seen: Record) -> bool:
        """Write a record in place of `seen`, a COMPLETED one too; False, and nothing written, if that has changed."""
        ...

    def unfinished(self, provider: str) -> Iterator[Record]:
        """The records whose status is not final (PENDING, IN_PROGRESS, FAILED)."""
        ...

    def records(self, provider: str) -> Iterator[Record]:
        """Every record of a provider."""
        ...


class Checkpoints(Protocol):
    """Small texts by name, by which work that was interrupted is found again."""

    def recall(self, name: str) -> str:
        """What was kept under `name`, "" if nothing is."""
        ...

    def keep(self, name: str, text: str) -> None:
        """Keep `text` under `name`, in place of what was."""
        ...

    def names(self, prefix: str) -> Iterator[str]:
        """The names that begin with `prefix` under which something is kept."""
        ...

    def drop(self, name: str) -> None:
        """Forget what was kept under `name`."""
        ...

    def replace(self, name: str, text: str, seen: str) -> bool:
        """Keep `text` for good in place of `seen`, "" for nothing; False, and nothing kept, if that has changed."""
        ...


class Leases(Protocol):
    """Named leases that expire by themselves, shared by all workers of a sync."""

    def acquire(self, name: str, owner: str, seconds: float) -> bool:
        """Take the lease `name` for `seconds`, or renew one's own; False if another owner's has not expired."""
        ...

    def release(self, name: str, owner: str) -> None:
        """Give the lease back if `owner` still has it."""
        ...

    def held(self, name: str) -> bool:
        """Whether anybody has the lease now."""
        ...


class Tracker(SyncTracker, Leases, Checkpoints, Protocol):
    """What all workers of a sync share."""
