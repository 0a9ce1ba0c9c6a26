"""Kinds of fault, where they strike, and the processes that die of them.

An effect is a call by which a process changes or reads what outlives it: of the tracker, the archive, an upload, the
credentials, or of the disk below. A fault strikes one effect, before it happens or after; a death is no `Exception`, so
that no handler can hide it, and from then on no thread of that process has an effect any more.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from core.errors import TransientError


class Killed(BaseException):
    """The process has died at this effect."""


class Edge(StrEnum):
    """Where a fault can strike."""

    RECORD = "record"
    RECORDS = "records read"
    LEASE = "lease"
    SLOT = "slot"
    CHECKPOINT = "checkpoint"
    FIND = "find"
    PUT = "put"
    UPLOAD = "upload begun or resumed"
    PART = "part"
    COMPLETE = "complete"
    ABORT = "abort"
    DOCUMENT = "document"
    SECRET = "secret"
    DISK = "disk"


#: The effects: what a process calls, by edge.
_EDGES = {
    "tracker": {
        "save": Edge.RECORD,
        "add": Edge.RECORD,
        "get": Edge.RECORDS,
        "unfinished": Edge.RECORDS,
        "acquire": Edge.LEASE,
        "release": Edge.LEASE,
        "held": Edge.LEASE,
        "recall": Edge.CHECKPOINT,
        "keep": Edge.CHECKPOINT,
        "drop": Edge.CHECKPOINT,
    },
    "archive": {
        "find": Edge.FIND,
        "put": Edge.PUT,
        "start": Edge.UPLOAD,
        "resume": Edge.UPLOAD,
        "put_document": Edge.DOCUMENT,
        "read_document": Edge.DOCUMENT,
    },
    "upload": {"write_part": Edge.PART, "complete": Edge.COMPLETE, "abort": Edge.ABORT},
    "credentials": {"current": Edge.SECRET, "previous": Edge.SECRET, "save": Edge.SECRET},
}


class Kind(StrEnum):
    """What happens."""

    KILLED_BEFORE = "killed before an effect"
    KILLED_AFTER = "killed after an effect"
    FAILED = "an effect failed"
    ANSWER_LOST = "answer lost after an effect"
    MEANWHILE = "something else happened at an effect"
    DISK_FULL = "disk full"
    DISK_READ_ONLY = "disk read-only"
    DISK_BROKEN = "disk broken"
    KILLED_AT_DISK = "killed at an operation of the disk"


_AFTER = frozenset({Kind.KILLED_AFTER, Kind.ANSWER_LOST})
_NO_WRITE = {Kind.DISK_FULL: errno.ENOSPC, Kind.DISK_READ_ONLY: errno.EROFS, Kind.DISK_BROKEN: errno.EIO}
DISK_KINDS = (*_NO_WRITE, Kind.KILLED_AT_DISK)


@dataclass
class Armed:
    """A fault that waits for the `nth` effect at its edge from now, and strikes `times` effects in a row."""

    edge: Edge
    kind: Kind
    nth: int = 1
    times: int = 1
    meanwhile: Callable[[], None] = field(default=lambda: None, repr=False)


class Faults:
    """The faults of a schedule. `struck` counts those that came to pass, by kind."""

    def __init__(self) -> None:
        self.struck: Counter[str] = Counter()
        self._armed: list[Armed] = []
        self._lock = threading.RLock()

    def arm(self, fault: Armed) -> None:
        """Let a fault strike from now on."""
        with self._lock:
            self._armed.append(fault)

    def clear(self) -> None:
        """Let no fault strike any more."""
        with self._lock:
            self._armed.clear()

    def due(self, edge: Edge, *, after: bool) -> Armed | None:
        """The fault that strikes now, if one does."""
        with self._lock:
            for fault in self._armed:
                if fault.edge is edge and (fault.kind in _AFTER) is after:
                    fault.nth -= 1
                    if fault.nth <= 0:
                        fault.times -= 1
                        if fault.times <= 0:
                            self._armed.remove(fault)
                        self.struck[fault.kind] += 1
                        return fault
        return None


class Mortal:
    """A process, as far as it can die."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.is_dead = False

    def live(self) -> None:
        """Go on, if it lives."""
        if self.is_dead:
            raise Killed

    def die(self) -> None:
        """Die here."""
        self.is_dead = True
        raise Killed

    def before(self, edge: Edge) -> None:
        """An effect is about to happen."""
        self.live()
        fault = self.faults.due(edge, after=False)
        if fault is None:
            return
        if fault.kind is Kind.KILLED_BEFORE:
            self.die()
        if fault.kind is Kind.MEANWHILE:
            fault.meanwhile()
            return
        raise TransientError(f"The {edge} is out of order.")

    def after(self, edge: Edge) -> None:
        """An effect has happened."""
        self.live()
        fault = self.faults.due(edge, after=True)
        if fault is None:
            return
        if fault.kind is Kind.KILLED_AFTER:
            self.die()
        raise TransientError(f"The {edge} did not answer.")

    def at_disk(self) -> None:
        """The disk is about to be changed."""
        self.live()
        fault = self.faults.due(Edge.DISK, after=False)
        if fault is None:
            return
        if fault.kind is Kind.KILLED_AT_DISK:
            self.die()
        number = _NO_WRITE[fault.kind]
        raise OSError(number, os.strerror(number))


class Interposed:
    """A part of the core as a process holds it: each of its effects may be struck."""

    def __init__(self, name: str, part: Any, process: Mortal) -> None:
        self._name = name
        self._part = part
        self._process = process

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        edge = _EDGES[self._name].get(name)
        return self._struck(found, edge) if edge else found

    def _struck(self, method: Callable[..., Any], edge: Edge) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            here = Edge.SLOT if edge is Edge.LEASE and "#api-slot" in str(arguments[0]) else edge
            self._process.before(here)
            answer = method(*arguments, **named)
            self._process.after(here)
            if edge is Edge.UPLOAD and answer is not None:
                return Interposed("upload", answer, self._process)
            return answer

        return call


# ---------------------------------------------------------------------- the disk
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_CHANGES = frozenset({"os.rename", "os.remove", "os.mkdir", "os.truncate", "os.utime"})
_owners: dict[str, Mortal] = {}
_hook_is_there = False


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _owners or (event != "open" and event not in _CHANGES):
        return
    if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & _WRITES):
        return
    path = arguments[0]
    if not isinstance(path, str | os.PathLike):
        return
    text = os.fspath(path)
    for root, process in _owners.items():
        if isinstance(text, str) and text.startswith(root):
            process.at_disk()


@contextmanager
def owned(root: Path, process: Mortal) -> Iterator[None]:
    """What is changed below `root` meanwhile, `process` changes."""
    global _hook_is_there
    if not _hook_is_there:
        sys.addaudithook(_audit)  # it stays, and does nothing while no folder is owned
        _hook_is_there = True
    before = _owners.get(str(root))
    _owners[str(root)] = process
    try:
        yield
    finally:
        if before:
            _owners[str(root)] = before
        else:
            del _owners[str(root)]
