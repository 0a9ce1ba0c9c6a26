"""The way home: have S3 restore what is archived, bring what is ready, verify every byte, and pay for nothing twice."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeVar

from core import retry
from core.archive.retrieval import Held, Retrieval, State
from core.errors import Cancelled, CloudSyncError, IntegrityError, StorageFull, public_text
from core.model import Json, Stored
from core.restore.quote import tier_of
from core.restore.select import HOW_TO_MEND, Wanted
from core.restore.target import Presence, Target, Writing

T = TypeVar("T")
R = TypeVar("R")

_READ = 1024 * 1024
_STOPPED = "Stopped as asked. What has arrived stays; the same command goes on from here."

_EXPIRED = "the readable copy has expired; give the command again"


class Outcome(StrEnum):
    """What became of an original. WAITING: S3 is still restoring it; ask again later."""

    RESTORED = "restored"
    ALREADY_HERE = "already_here"
    WAITING = "waiting"
    MISSING = "missing"
    DAMAGED = "damaged"
    IN_THE_WAY = "in_the_way"
    FAILED = "failed"


_GROUPS = ("already_here", "ready", "requested", "archived", "missing", "damaged", "in_the_way", "failed")
_FINE = frozenset({Outcome.RESTORED, Outcome.ALREADY_HERE, Outcome.WAITING})


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one original, and what to do if it is not here."""

    stored: Stored
    outcome: Outcome
    text: str = ""


@dataclass(frozen=True, slots=True)
class Situation:
    """Where things stand before anything is done: what is settled already, and how what is to come is held."""

    settled: tuple[Result, ...]
    coming: tuple[tuple[Wanted, Held], ...]

    @property
    def held(self) -> list[Held]:
        """How all that is to come is held."""
        return [held for _, held in self.coming]

    def groups(self) -> dict[str, list[Stored]]:
        """The originals by where they stand."""
        found: dict[str, list[Stored]] = {name: [] for name in _GROUPS}
        for result in self.settled:
            found[result.outcome.value].append(result.stored)
        for held in self.held:
            found[held.state.value].append(held.stored)
        return found

    def to_json(self) -> dict[str, Json]:
        """For scripts."""
        groups = self.groups()
        return {
            "objects": {name: len(of) for name, of in groups.items()},
            "bytes": {name: sum(one.length for one in of) for name, of in groups.items()},
        }


@dataclass(slots=True)
class Report:
    """What a restore came to."""

    results: list[Result] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """How many originals each outcome has."""
        found = Counter(one.outcome for one in self.results)
        return {one.value: found[one] for one in Outcome}

    def length(self, outcome: Outcome) -> int:
        """The bytes of those with an outcome."""
        return sum(one.stored.length for one in self.results if one.outcome is outcome)

    @property
    def troubles(self) -> list[Result]:
        """What could not be had."""
        return [one for one in self.results if one.outcome not in _FINE]

    def to_json(self) -> dict[str, Json]:
        """For scripts."""
        return {
            **self.counts,
            "bytes_restored": self.length(Outcome.RESTORED),
            "bytes_waiting": self.length(Outcome.WAITING),
            "troubles": [
                {"key": one.stored.key, "outcome": one.outcome.value, "text": one.text} for one in self.troubles
            ],
        }


class Watcher:
    """Hears what happens, from several threads; every method may be left as it is."""

    def requested(self, count: int) -> None:
        """S3 was asked to restore `count` objects."""

    def started(self, stored: Stored, arrived: int) -> None:
        """An original is on its way, of which `arrived` bytes came before."""

    def advanced(self, stored: Stored, count: int) -> None:
        """`count` further bytes have come."""

    def finished(self, result: Result) -> None:
        """An original is done with."""

    def waiting(self, count: int, seconds: float) -> None:
        """S3 is still restoring `count` objects; it is asked again in `seconds`."""


class Restore:
    """Brings originals out of an archive into a folder, `workers` at once.

    `stop` may be called from anywhere: `carry_out` then raises `Cancelled` soon.
    """

    def __init__(
        self,
        retrieval: Retrieval,
        target: Target,
        *,
        tier: str = "Bulk",
        days: int = 7,
        workers: int = 8,
        watcher: Watcher | None = None,
    ) -> None:
        self._retrieval = retrieval
        self._target = target
        self._tier = tier
        self._days = days
        self._workers = workers
        self._watcher = watcher or Watcher()
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Ask it to end soon."""
        self._stopped.set()

    def survey(self, originals: Sequence[Wanted]) -> Situation:
        """What is here already, and how the archive holds the rest; nothing is changed or paid for."""
        self._target.begin()
        distinct, settled = _distinct(originals)
        absent: list[Wanted] = []
        for one, result in zip(distinct, self._all(self._settled, distinct), strict=True):
            if result:
                settled.append(result)
            else:
                absent.append(one)
        coming: list[tuple[Wanted, Held]] = []
        for one, held in zip(absent, self._retrieval.look([one.stored for one in absent]), strict=True):
            if result := _unavailable(held):
                settled.append(result)
            else:
                coming.append((one, held))
        return Situation(tuple(settled), tuple(coming))

    def _settled(self, one: Wanted) -> Result | None:
        """What became of an original before, None if it is still to come."""
        try:
            presence = self._target.presence(one.stored, self._go_on)
            return _result(one.stored, presence, self._target)
        except (Cancelled, StorageFull):
            raise
        except (CloudSyncError, OSError) as error:
            return _failed(one.stored, error)

    def require_room(self, situation: Situation) -> None:
        """Raise `StorageFull` if what is to come will not fit on the disk, before it is paid for."""
        needed = sum(max(0, held.to_read - self._target.arrived(held.stored)) for held in situation.held)
        free = self._target.free()
        if needed > free:
            raise StorageFull(f"{needed:,} bytes are to come, and the disk has room for {free:,}. Make room first.")

    def carry_out(self, situation: Situation, wait_seconds: float | None = None) -> Report:
        """Request, bring, verify. With `wait_seconds` S3 is asked again after such a pause, until all is here."""
        report = Report(list(situation.settled))
        coming = self._requested(situation.coming, report)
        while True:
            ready = [pair for pair in coming if pair[1].state is State.READY]
            coming = [pair for pair in coming if pair[1].state is not State.READY]
            report.results += self._all(self._bring, ready)
            if not coming or wait_seconds is None:
                break
            self._watcher.waiting(len(coming), wait_seconds)
            self._pause(wait_seconds)
            coming = self._again(coming, report)
        report.results += [Result(held.stored, Outcome.WAITING) for _, held in coming]
        return report

    def _requested(self, coming: Sequence[tuple[Wanted, Held]], report: Report) -> list[tuple[Wanted, Held]]:
        """What is to come, now that all of it is asked for; what could not be is in the report."""
        asleep = [pair for pair in coming if pair[1].state is State.ARCHIVED]
        for _, held in asleep:
            tier_of(held.storage_class, self._tier)  # before the first is paid for
        asked: dict[str, Result | None] = {}
        for (_, held), result in zip(asleep, self._all(self._request, asleep), strict=True):
            asked[held.stored.key] = result
        report.results += [result for result in asked.values() if result]
        if asleep:
            self._watcher.requested(sum(result is None for result in asked.values()))
        return [
            (one, replace(held, state=State.REQUESTED) if held.state is State.ARCHIVED else held)
            for one, held in coming
            if asked.get(held.stored.key) is None
        ]

    def _request(self, pair: tuple[Wanted, Held]) -> Result | None:
        self._go_on()
        _, held = pair
        try:
            retry.retrying(
                retry.API_CALL, lambda: self._retrieval.request(held, self._tier, self._days), sleep=self._pause
            )
        except Cancelled:
            raise
        except CloudSyncError as error:
            return Result(held.stored, Outcome.FAILED, str(error))
        return None

    def _again(self, coming: Sequence[tuple[Wanted, Held]], report: Report) -> list[tuple[Wanted, Held]]:
        """How what was requested is held now; what is no longer to be waited for is in the report.

        It is not requested a second time here: whoever pays decides that, by giving the command again.
        """
        held = retry.retrying(
            retry.API_CALL, lambda: self._retrieval.look([one.stored for one, _ in coming]), sleep=self._pause
        )
        still: list[tuple[Wanted, Held]] = []
        for (one, before), now in zip(coming, held, strict=True):
            if result := _unavailable(now):
                report.results.append(result)
            elif now.state is before.state is State.ARCHIVED:
                report.results.append(Result(now.stored, Outcome.FAILED, _EXPIRED))
            else:
                still.append((one, now))
        return still

    def _bring(self, pair: tuple[Wanted, Held]) -> Result:
        one, held = pair
        try:
            result = self._brought(one, held)
        except (Cancelled, StorageFull):
            raise
        except (CloudSyncError, OSError) as error:
            result = _failed(held.stored, error)
        self._watcher.finished(result)
        return result

    def _brought(self, one: Wanted, held: Held) -> Result:
        stored = one.stored
        self._watcher.started(stored, self._target.arrived(stored))
        with self._target.writing(stored) as writing:
            writing.go_on(lambda _: self._go_on())
            was_begun = writing.length > 0
            self._fetch(held, writing)
            problem = writing.problem()
            if problem and was_begun:  # a crash of the machine may have spoiled what lay there
                writing.begin_again()
                self._fetch(held, writing)
                problem = writing.problem()
        if problem:
            path = self._target.keep_damaged(stored)
            return Result(stored, Outcome.DAMAGED, f"{problem}; it is kept as {path}")
        self._target.keep(stored, one.captured_at)
        return Result(stored, Outcome.RESTORED)

    def _fetch(self, held: Held, writing: Writing) -> None:
        """Bring what is missing, over as many connections as that takes."""
        retry.retrying(retry.PART, lambda: self._read(held, writing), sleep=self._pause)

    def _read(self, held: Held, writing: Writing) -> None:
        length, before = held.stored.length, writing.length
        if before == length:
            return
        with self._retrieval.open(held, before) as body:
            while left := length - writing.length:
                block = body.read(min(left, _READ))
                if not block:
                    break
                self._go_on()
                writing.write(block)
                self._watcher.advanced(held.stored, len(block))
        if before < writing.length < length:
            raise IntegrityError(f"The connection for {held.stored.key} has ended early. It is tried again.")

    def _all(self, work: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """The results of `work`, in the order of `items`; the first error ends all of it."""
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="restore")
        try:
            return list(pool.map(work, items))
        except BaseException as error:
            self.stop()
            if isinstance(error, KeyboardInterrupt):
                raise Cancelled(_STOPPED) from None
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _go_on(self) -> None:
        if self._stopped.is_set():
            raise Cancelled(_STOPPED)

    def _pause(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise Cancelled(_STOPPED)


def _distinct(originals: Sequence[Wanted]) -> tuple[list[Wanted], list[Result]]:
    """Each key once: two originals cannot be brought to one place. What else is told of a key is a failure."""
    first: dict[str, Wanted] = {}
    failed: list[Result] = []
    for one in originals:
        if first.setdefault(one.stored.key, one).stored != one.stored:
            text = f"the catalog tells of it twice, and not the same. {HOW_TO_MEND}"
            failed.append(Result(one.stored, Outcome.FAILED, text))
    return list(first.values()), failed


def _unavailable(held: Held) -> Result | None:
    """Why an original cannot be had, None if it can."""
    if held.trouble:
        return Result(held.stored, Outcome.FAILED, held.trouble)
    if held.state is State.MISSING:
        return Result(held.stored, Outcome.MISSING, "it is in the catalog, but not in the archive")
    return None


def _failed(stored: Stored, error: CloudSyncError | OSError) -> Result:
    return Result(stored, Outcome.FAILED, public_text(error) if isinstance(error, OSError) else str(error))


def _result(stored: Stored, presence: Presence, target: Target) -> Result | None:
    match presence:
        case Presence.ABSENT:
            return None
        case Presence.WHOLE:
            return Result(stored, Outcome.ALREADY_HERE)
        case Presence.DAMAGED:
            text = (
                f"it came damaged before and is kept as {target.damaged(stored)}; remove that to have it fetched again"
            )
            return Result(stored, Outcome.DAMAGED, text)
        case _:
            text = f"another file is at {target.path(stored)}; move it, or name another folder with --into"
            return Result(stored, Outcome.IN_THE_WAY, text)
