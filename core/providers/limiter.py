"""How many API calls of a provider may be in flight, over all workers of a sync."""

from __future__ import annotations

import queue
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from secrets import token_hex

from core.errors import TransientError
from core.tracker.base import Leases

#: API calls of one provider in flight at most. No limit is published; clients that kept to four were not
#: blocked.
SLOTS = 4

#: Seconds after which the slot of a worker that died is free again: longer than any call may take.
LEASE_SECONDS = 90.0

#: Seconds to wait for a slot.
PATIENCE = 60.0


class ApiSlots:
    """The `slots` leases of a provider, of which every API call holds one. Safe to share between threads.

    Threads of one process wait for each other in memory, so that a process alone asks for each lease once.
    """

    def __init__(
        self,
        leases: Leases,
        provider_name: str,
        *,
        slots: int = SLOTS,
        sleep: Callable[[float], None] = time.sleep,
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._leases = leases
        self._sleep = sleep
        self._draw = draw
        self._clock = clock
        self._names = [f"{provider_name}#api-slot-{number}" for number in range(slots)]
        self._preferred: queue.LifoQueue[str] = queue.LifoQueue()
        for name in reversed(self._names):
            self._preferred.put(name)

    @contextmanager
    def hold(self, patience: float = PATIENCE) -> Iterator[None]:
        """Hold a slot. `TransientError` if none becomes free within `patience` seconds."""
        owner = token_hex(8)
        try:
            preferred = self._preferred.get(timeout=patience)
        except queue.Empty:
            raise _exhausted(patience) from None
        try:
            name = self._take(preferred, owner, patience)
            try:
                yield
            finally:
                self._leases.release(name, owner)
        finally:
            self._preferred.put(preferred)

    def _take(self, preferred: str, owner: str, patience: float) -> str:
        give_up_at = self._clock() + patience
        candidates = [preferred, *(name for name in self._names if name != preferred)]
        ceiling = 0.1
        while True:
            for name in candidates:
                if self._leases.acquire(name, owner, LEASE_SECONDS):
                    return name
            if self._clock() >= give_up_at:
                raise _exhausted(patience)
            self._sleep(ceiling * (0.5 + 0.5 * self._draw()))
            ceiling = min(1.0, ceiling * 1.5)
            # From now on one lease a look: a crowd that waits must not flood the tracker.
            candidates = [self._names[int(self._draw() * len(self._names))]]


def _exhausted(patience: float) -> TransientError:
    return TransientError(
        f"All {SLOTS} API calls that may be in flight were taken for {patience:.0f} s by other workers."
    )
