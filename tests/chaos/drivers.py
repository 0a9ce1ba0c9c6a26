"""How a schedule runs the core: as the command line does on one machine, and step by step as the workflow does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar, cast
from unittest.mock import patch

from core import retry
from core.archive.folder import FolderArchive
from core.errors import ApiShapeChanged, CredentialsRejected, InvalidInput
from core.model import Medium
from core.sync.authenticate import authenticate, explain
from core.sync.local import LocalSync, Observer
from core.sync.notify import about_failure, about_summary
from core.sync.outcomes import TransferOutcome, Unfinished
from core.sync.plan import Plan, make_plan, parse_manifest
from core.sync.request import Run, SyncRequest
from core.sync.summarize import Summary, summarize
from core.sync.transfer import Transfer, mark_failed
from core.tracker.sqlite import SqliteTracker
from core.transfer import Engine, Watch
from tests.chaos.backends import PART
from tests.chaos.faults import Killed
from tests.chaos.world import Began, Process, World

T = TypeVar("T")

#: Calls that one child of the map makes at most where each goes on from the one before.
_MOST_CALLS = 20


@dataclass
class Clocked:
    """The time of an invocation: each `bytes` read cost a second of `seconds`; at its end the function is killed."""

    seconds: float = 900.0
    bytes: int = 1_000_000

    def watch(self, process: Process) -> Watch:
        """Follow a transfer for that long."""
        left = [self.seconds]

        def advance(count: int) -> None:
            process.live()
            left[0] -= count / self.bytes
            if left[0] <= 0:
                process.faults.struck["an invocation timed out"] += 1
                process.die()

        return Watch(advance, remaining=lambda: left[0])


@dataclass
class Execution:
    """One execution of the workflow, as far as it has come. It is alone until something else runs beside it."""

    run: Run
    request: SyncRequest
    plan: Plan | None = None
    media: list[Medium] = field(default_factory=list)
    done: set[str] = field(default_factory=set)
    is_over: bool = False
    is_alone: bool = True
    began: Began | None = None


class Workflow:
    """The state machine in a few lines: each step in a process of its own, tried again as its retry table says."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.executions: list[Execution] = []

    def _process(self, skew: float = 0.0, threads: int = 1) -> Process:
        return Process(self.world, skew, threads)

    def _step(self, policy: retry.RetryPolicy, step: Callable[[Process], T], skew: float = 0.0) -> T | None:
        """What a step came to; None if it failed for good."""
        for attempt in range(policy.retries + 1):
            process = self._process(skew)
            try:
                with self.world.backend.of(process):
                    return step(process)
            except (ApiShapeChanged, CredentialsRejected, InvalidInput) as error:
                self.world.hears(error)
                notice = about_failure(explain(error, "GoPro"), Run("any", self.world.now))
                self.world.told.append(str(notice.to_json()))
                return None
            except (Exception, Killed) as fault:
                self.world.hears(fault)
                self.world.passes(policy.ceiling(attempt + 1))
        return None

    def begin(self, request: SyncRequest, skew: float = 0.0) -> Execution:
        """AuthenticateProvider and ListMedia."""
        for other in self.executions:
            other.is_alone &= other.is_over
        run = self.world.new_run(self._process(skew))
        execution = Execution(run, request, is_alone=all(other.is_over for other in self.executions))
        execution.began = self.world.begins()
        self.executions.append(execution)

        def check(process: Process) -> bool:
            authenticate(process.provider)
            return True

        def plan(process: Process) -> Plan:
            return make_plan(request, run, process.provider, process.tracker, process.archive, process.clock)

        execution.plan = self._step(retry.LIST, plan) if self._step(retry.AUTHENTICATE, check) else None
        if execution.plan is None or not execution.plan.new:
            execution.is_over = True
        else:
            execution.media = list(parse_manifest(self.world.backend.document(execution.plan.manifest_key)))
            self.world.check_listed(medium.media_id for medium in execution.media)
        return execution

    def child(self, execution: Execution, medium: Medium, time: Clocked | None = None, *, threads: int = 1) -> None:
        """DownloadVideo, called again as long as it is unfinished, and MarkVideoFailed if it keeps failing."""
        failures = 0
        for _ in range(_MOST_CALLS):
            try:
                outcome = self.invoke(execution, medium, time or Clocked(), threads=threads)
            except (Exception, Killed) as fault:
                failures += 1
                is_final = isinstance(fault, ApiShapeChanged | InvalidInput)
                if failures > retry.TRANSFER.retries or is_final:
                    self._fail(execution, medium, fault)
                    break
                self.world.passes(retry.TRANSFER.ceiling(failures) / 2)
            else:
                if not isinstance(outcome, Unfinished):
                    break
        execution.done.add(medium.media_id)

    def invoke(self, execution: Execution, medium: Medium, time: Clocked, *, threads: int = 1) -> TransferOutcome:
        """One invocation of the transfer function."""
        process = self._process(threads=threads)
        engine = process.engine()
        try:
            with self.world.backend.of(process):
                transfer = Transfer(
                    process.provider, process.archive, process.tracker, engine, execution.run.run_id, process.clock
                )
                return transfer(medium, time.watch(process))
        except (Exception, Killed) as fault:
            self.world.hears(fault)
            raise
        finally:
            engine.close()

    def _fail(self, execution: Execution, medium: Medium, fault: BaseException) -> None:
        def mark(process: Process) -> bool:
            name = type(fault).__name__
            return mark_failed(medium, execution.run.run_id, name, str(fault), process.tracker, process.clock)

        self._step(retry.AUTHENTICATE, mark)

    def summarize(self, execution: Execution, skew: float = 0.0) -> Summary | None:
        """GenerateSummary, checked against the truth."""
        plan = execution.plan
        assert plan
        told: Summary | None = self._step(
            retry.SUMMARIZE,
            lambda process: summarize(plan, execution.run, process.tracker, process.archive, clock=process.clock),
            skew,
        )
        execution.is_over = True
        if told:
            is_alone = execution.is_alone and not skew
            tell(self.world, told, execution.run)
            self.world.check_summary(
                execution.run, plan.to_json(), told.to_json(), execution.began if is_alone else None
            )
        return told

    def whole(self, request: SyncRequest, time: Clocked | None = None, *, threads: int = 1) -> Summary | None:
        """A whole execution."""
        execution = self.begin(request)
        if execution.is_over:
            return None
        for medium in execution.media:
            self.child(execution, medium, time, threads=threads)
        return self.summarize(execution)


def tell(world: World, summary: Summary, run: Run) -> None:
    """Tell a person what a run came to."""
    notices = [about_summary(summary, run)]
    if summary.failure:
        notices.append(about_failure(summary.failure, run, summary))
    world.told += [str(notice.to_json()) for notice in notices]


def run_local(world: World, request: SyncRequest, *, workers: int = 1, skew: float = 0.0) -> Summary | None:
    """`cloud-sync sync` in a process of its own; None if it did not come to its end."""
    process = Process(world, skew)
    engine = partial(Engine, connections=workers, memory=workers * PART, draw=lambda: 0.0)
    plans: list[Plan] = []
    began = world.begins()
    try:
        with world.backend.of(process), patch("core.sync.local.Engine", engine):
            # As the command line does, which makes sure that it is the only process.
            cast(SqliteTracker, process.tracker).forget_leases()
            cast(FolderArchive, process.archive).clean_partials()
            driver = LocalSync(
                process.provider,
                process.tracker,
                process.archive,
                workers=workers,
                observer=_Keeper(plans),
                clock=process.clock,
                sleep=process.sleep,
            )
            run = world.new_run(process)
            summary = driver.run(request, run)
    except (Exception, Killed) as fault:
        world.hears(fault)
        return None
    tell(world, summary, run)
    world.check_summary(run, plans[0].to_json(), summary.to_json(), began)
    return summary


class _Keeper(Observer):
    """Keeps the plan of a run."""

    def __init__(self, plans: list[Plan]) -> None:
        self._plans = plans

    def planned(self, plan: Plan) -> None:
        self._plans.append(plan)
