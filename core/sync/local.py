"""The local driver: the same steps as the workflow's, in a thread pool on one machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime
from itertools import islice
from typing import TypeVar

from core import retry
from core.archive.base import Archive
from core.errors import Cancelled, StorageFull
from core.model import Medium, utc_now
from core.providers.base import Provider
from core.sync.authenticate import authenticate
from core.sync.outcomes import TransferOutcome
from core.sync.plan import Plan, make_plan, read_manifest
from core.sync.publish import publish
from core.sync.request import Run, SyncRequest
from core.sync.summarize import Summary, summarize, summarize_plan
from core.sync.transfer import Transfer, mark_failed
from core.tracker.base import Tracker
from core.transfer import Engine, Watch

T = TypeVar("T")


class Observer:
    """Hears what happens, from several threads; every method may be left as it is."""

    def planned(self, plan: Plan) -> None:
        """The plan is made."""

    def started(self, medium: Medium) -> None:
        """The transfer of a medium has begun."""

    def advanced(self, medium: Medium, count: int) -> None:
        """`count` further bytes of a medium were read."""

    def waiting(self, error: BaseException, seconds: float) -> None:
        """A step of the run itself has failed; its next attempt comes in `seconds`."""

    def retrying(self, medium: Medium, error: BaseException, seconds: float) -> None:
        """An attempt has failed; the next comes in `seconds`."""

    def finished(self, medium: Medium, outcome: TransferOutcome | Exception) -> None:
        """A medium is done with for this run."""


class LocalSync:
    """A whole backup run on this machine: authenticate, plan, transfer `workers` media at once, summarise.

    `stop` may be called from anywhere: transfers end at their next read and `run` raises `Cancelled`; what is confirmed
    stays.
    """

    def __init__(
        self,
        provider: Provider,
        tracker: Tracker,
        archive: Archive,
        *,
        workers: int = 5,
        observer: Observer | None = None,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self._provider = provider
        self._tracker = tracker
        self._archive = archive
        self._workers = workers
        self._observer = observer or Observer()
        self._clock = clock
        self._sleep = sleep or self._pause
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Ask the run to end soon."""
        self._stopped.set()

    def run(self, request: SyncRequest, run: Run) -> Summary:
        """Do the run. Raises `CredentialsRejected`, `ApiShapeChanged` or a fault if it can't begin."""
        self._step(retry.AUTHENTICATE, lambda: authenticate(self._provider))
        plan = self._step(retry.LIST, lambda: self._plan(request, run))
        self._observer.planned(plan)
        if request.dry_run:
            return summarize_plan(plan, run, self._clock())
        try:
            self._transfer_all(read_manifest(self._archive, plan.manifest_key), run)
        except KeyboardInterrupt:
            self.stop()
            raise Cancelled("Stopped as asked. What was confirmed stays; the next run goes on from here.") from None
        summary = self._step(
            retry.SUMMARIZE, lambda: summarize(plan, run, self._tracker, self._archive, clock=self._clock)
        )
        if not (plan.new or plan.unseen):
            return summary
        return publish(summary, plan, run, self._tracker, self._archive, clock=self._clock, sleep=self._sleep)

    def _step(self, policy: retry.RetryPolicy, step: Callable[[], T]) -> T:
        return retry.retrying(policy, step, sleep=self._sleep, on_retry=self._observer.waiting)

    def _plan(self, request: SyncRequest, run: Run) -> Plan:
        return make_plan(request, run, self._provider, self._tracker, self._archive, self._clock)

    def _transfer_all(self, media: Iterator[Medium], run: Run) -> None:
        engine = Engine(self._archive, self._tracker, sleep=self._sleep)
        transfer = Transfer(self._provider, self._archive, self._tracker, engine, run.run_id, self._clock)
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="transfer")
        try:
            in_flight: set[Future[None]] = set()
            while not self._stopped.is_set():
                free = 2 * self._workers - len(in_flight)
                in_flight |= {pool.submit(self._transfer_one, transfer, medium) for medium in islice(media, free)}
                if not in_flight:
                    return
                done, in_flight = wait(in_flight, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
        except BaseException:
            self.stop()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
            engine.close()
        raise Cancelled("Stopped as asked. What was confirmed stays; the next run goes on from here.")

    def _transfer_one(self, transfer: Transfer, medium: Medium) -> None:
        def advance(count: int) -> None:
            if self._stopped.is_set():
                raise Cancelled("Stopped as asked.")
            self._observer.advanced(medium, count)

        self._observer.started(medium)
        try:
            outcome = retry.retrying(
                retry.TRANSFER,
                lambda: transfer(medium, Watch(advance)),
                sleep=self._sleep,
                on_retry=lambda error, seconds: self._observer.retrying(medium, error, seconds),
            )
        except (Cancelled, StorageFull):
            raise
        except Exception as error:
            mark_failed(medium, transfer.run_id, type(error).__name__, str(error), self._tracker, self._clock)
            self._observer.finished(medium, error)
        else:
            self._observer.finished(medium, outcome)

    def _pause(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise Cancelled("Stopped as asked.")
