"""The model: what a library, its user, the clouds and the machines may do, in any order.

Hypothesis draws schedules of these rules; after each the invariants are checked, and at the end of each schedule that
two runs without faults complete everything.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.sync.request import SyncRequest
from tests.chaos.aws_proxy import AwsProxy, Disturbance, Way
from tests.chaos.backends import Backend
from tests.chaos.drivers import Clocked, Execution, Workflow, run_local
from tests.chaos.faults import DISK_KINDS, Armed, Edge, Kind
from tests.chaos.world import ODD_MOMENTS, Broken, Ledger, World, a_medium, ready, zone
from tests.gopro_cloud import GoProCloud, Quirks
from tests.gopro_cloud.quirks import Fault

EDGES = sorted(set(Edge) - {Edge.DISK})
KINDS = (Kind.KILLED_BEFORE, Kind.KILLED_AFTER, Kind.FAILED, Kind.ANSWER_LOST)
HABITS = (
    "throttles",
    "answers in HTML",
    "pages come short",
    "tells of more than it lists",
    "tells of less than it lists",
    "tokens die soon",
    "addresses die soon",
    "gives no ranges",
    "tells no lengths",
)
#: Not `short`: what a server honestly declares and sends is the source, as far as anybody can tell.
DOWNLOADS = ("cut", "empty", "long", "status", "redirect", "changed", "refused")

numbers = st.integers(0, 7)
_EFFECTS = st.tuples(st.sampled_from(EDGES), st.sampled_from(KINDS), st.integers(1, 8), st.sampled_from([1, 1, 4]))
_DISK = st.tuples(st.just(Edge.DISK), st.sampled_from(DISK_KINDS), st.integers(1, 80), st.sampled_from([1, 1, 1000]))
_CALLS = ("", "s3.", "s3.Put", "s3.Complete", "s3.UploadPart", "s3.Create", "dynamodb.", "dynamodb.Put", "secrets")
_WAYS = [way for way in Way if way is not Way.CALLED_BACK]
_AWS = st.tuples(st.sampled_from(_WAYS), st.sampled_from(_CALLS), st.integers(1, 20), st.integers(1, 4))
_MEANWHILE = st.tuples(
    st.sampled_from(EDGES),
    st.sampled_from(["run", "twin", "lease", "source", "delete"]),
    st.integers(1, 12),
    st.just(1),
)
#: Faults that wait for the run that they come with, or for a later one: where, what, at which effect, how often.
on_one_machine = st.lists(st.one_of(_EFFECTS, _DISK), max_size=4)
in_functions = st.lists(st.one_of(_EFFECTS, _AWS, _MEANWHILE), max_size=5)
Waiting = list[tuple[Edge | Way, str, int, int]]


def _told(faults: Waiting) -> str:
    return str([(str(edge), str(kind), *numbers) for edge, kind, *numbers in faults])


class Chaos(RuleBasedStateMachine):
    """A schedule. A subclass says where it happens, and what the campaign wants to know of it."""

    cloud: ClassVar[GoProCloud]
    ledger: ClassVar[Ledger]
    proxy: ClassVar[AwsProxy | None] = None
    backend: ClassVar[Callable[[], Backend]]
    #: The steps of the schedule that broke an invariant last, and its error: the minimal one at the end of a campaign.
    broken: ClassVar[tuple[list[str], Exception] | None] = None

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        if self.proxy:
            self.proxy.calm()
        self.world = World(self.cloud, type(self).backend(), self.ledger, self._disturbances)
        self.workflow = Workflow(self.world)
        self.steps: list[str] = []
        self.count = 0
        self.is_broken = False

    # ------------------------------------------------------------- the library
    @initialize(count=st.integers(1, 4), first=numbers, moment=st.sampled_from([None, *ODD_MOMENTS]))
    def a_library(self, count: int, first: int, moment: object) -> None:
        """Some media are there, at some moment."""
        self._step(f"a_library({count}, {first}, {moment})")
        if moment in ODD_MOMENTS:
            self.stack.enter_context(zone("Europe/Berlin"))
            self.world.now = ODD_MOMENTS[ODD_MOMENTS.index(moment)]
            self._count("a clock around daylight saving or a new year")
        self.count = first
        for _ in range(count):
            self._add()

    def _add(self) -> None:
        self.world.appears(a_medium(self.count))
        self.count += 1

    @rule(
        what=st.sampled_from(["upload", "delete", "return", "process anew", "process anew", "be ready"]), which=numbers
    )
    def the_library_changes(self, what: str, which: int) -> None:
        """A medium is new, deleted at its source, uploaded again under its id, has other bytes, or is ready at last."""
        self._step(f"the_library_changes({what!r}, {which})")
        media, everything = self.cloud.media, self.world.everything
        gone = sorted(set(everything) - {medium.media_id for medium in media})
        match what:
            case "upload" if len(everything) < 7:
                self._add()
            case "delete" if media:
                self.world.vanishes(self._medium(which))
            case "return" if gone:
                self.world.appears(everything[gone[which % len(gone)]])
            case "process anew" if media:
                self.world.is_processed_anew(self._medium(which))
            case "be ready":
                for medium in [one for one in media if not one.originals]:
                    self.world.appears(ready(medium))

    @precondition(lambda self: any(one.kind == "Chaptered" for one in self.world.everything.values()))
    @rule(which=numbers)
    def a_film_grows(self, which: int) -> None:
        """A film gains a chapter, rather one that is archived already."""
        self._step(f"a_film_grows({which})")
        films = [one for one in self.cloud.media if one.kind == "Chaptered"]
        films = [one for one in films if self.world.before.is_completed(one.media_id)] or films
        if films:
            archived = self.world.grows(films[which % len(films)])
            self._count(f"GoPro: a film {'that was archived ' if archived else ''}gained a chapter")

    # -------------------------------------------------------- the cloud's faults
    @precondition(lambda self: self.cloud.media)
    @rule(which=numbers, kind=st.sampled_from(DOWNLOADS), times=st.integers(1, 20), after=st.integers(0, 20_000))
    def downloads_go_wrong(self, which: int, kind: str, times: int, after: int) -> None:
        """The next downloads of a medium break off, come empty, change under way, and so on."""
        self._step(f"downloads_go_wrong({which}, {kind!r}, {times}, {after})")
        statuses = (401, 403, 500, 503) if kind == "refused" else (403, 404, 416, 500, 503)
        status = statuses[after % len(statuses)]
        times = 1 if kind == "changed" else times
        self.world.downloads_go_wrong(self._medium(which), Fault(kind, times=times, after=after, status=status))

    @rule(quirk=st.sampled_from(HABITS), number=st.integers(1, 9))
    def the_cloud_has_a_habit(self, quirk: str, number: int) -> None:
        """The cloud behaves as it has been seen to."""
        self._step(f"the_cloud_has_a_habit({quirk!r}, {number})")
        self._count(f"GoPro: {quirk}")
        quirks = self.cloud.quirks
        match quirk:
            case "throttles":
                quirks.throttle, quirks.throttle_status = number, (429, 500, 503)[number % 3]
            case "answers in HTML":
                quirks.html_answers = number
            case "pages come short":
                quirks.short_pages, quirks.short_listings = {1: number % 3}, number
            case "tells of more than it lists":
                quirks.total_items_lie = number
            case "tells of less than it lists":
                quirks.total_items_lie = -1
            case "tokens die soon":
                quirks.token_lifetime_requests = number
            case "addresses die soon":
                quirks.url_uses = number
            case "gives no ranges":
                quirks.no_ranges = True
                self.world.can_count_bytes = False
            case "tells no lengths":
                quirks.chunked = True

    # ------------------------------------------------------------- credentials
    @rule(what=st.sampled_from(["pasted", "renewing", "tokens die", "refresh tokens die"]))
    def the_sign_in_changes(self, what: str) -> None:
        """New credentials are stored, or the cloud refuses those that it gave."""
        self._step(f"the_sign_in_changes({what!r})")
        match what:
            case "tokens die":
                self.world.secrets |= set(self.cloud.tokens)
                self.cloud.tokens.clear()
                self._count("GoPro: tokens died")
            case "refresh tokens die":
                self.world.secrets |= self.cloud.refresh_tokens
                self.cloud.refresh_tokens.clear()
                self._count("GoPro: refresh tokens died")
            case _:
                self.world.sign_in(renews=what == "renewing")

    # ------------------------------------------------------------- disasters
    @precondition(lambda self: all(one.is_over for one in self.workflow.executions))
    @rule(what=st.sampled_from(["an original", "an original", "the tracker"]), which=numbers)
    def something_is_lost(self, what: str, which: int) -> None:
        """An object is deleted behind the product's back, or its whole tracker; verify or reindex follows."""
        self._step(f"something_is_lost({what!r}, {which})")
        with self._judged():
            if what == "the tracker":
                self.world.the_tracker_is_lost()
            else:
                self.world.an_original_is_lost(which)
        self._count(f"lost: {what}")

    # ---------------------------------------------------------- the machines
    @rule()
    def faults_stop(self) -> None:
        """Clouds and machines behave."""
        self._step("faults_stop()")
        self.world.faults.clear()
        self.cloud.quirks = Quirks()
        if self.proxy:
            self.proxy.calm()

    @rule(seconds=st.sampled_from([1, 61, 301, 3601, 86_401]))
    def time_goes_by(self, seconds: int) -> None:
        """Leases run out."""
        self._step(f"time_goes_by({seconds})")
        self.world.passes(seconds)

    def _another_run(self) -> None:
        self._not_alone()
        self.workflow.whole(SyncRequest())

    def _a_twin(self) -> None:
        self._not_alone()
        if self.at_work:
            execution, which = self.at_work[-1]
            self.workflow.child(execution, execution.media[which])

    def _the_lease_runs_out(self) -> None:
        self._not_alone()
        self.world.passes(301)
        self.workflow.whole(SyncRequest())

    def _the_source_changes(self) -> None:
        if self.cloud.media:
            self.world.is_processed_anew(self._medium(0))

    def _the_source_goes(self) -> None:
        if self.cloud.media:
            self.world.vanishes(self._medium(1))

    def _not_alone(self) -> None:
        self.world.can_count_bytes = False
        for execution in self.workflow.executions:
            execution.is_alone = False

    # -------------------------------------------------------------------- runs
    @precondition(lambda self: not self.world.backend.is_shared)
    @rule(
        faults=on_one_machine,
        workers=st.sampled_from([1, 1, 3]),
        bound=st.sampled_from([None, None, 1, 2]),
        skew=st.sampled_from([0, 0, 400, -400]),
    )
    def a_run_of_the_command_line(self, faults: Waiting, workers: int, bound: int | None, skew: int) -> None:
        """`cloud-sync sync`."""
        self._step(f"a_run_of_the_command_line({_told(faults)}, {workers}, {bound}, {skew})")
        self._arm(faults)
        for execution in self.workflow.executions:
            execution.is_over = True  # one process at a time
        with self._judged():
            run_local(self.world, SyncRequest(max_items=bound), workers=workers, skew=skew)

    @rule(faults=in_functions, bound=st.sampled_from([None, None, 1, 2]), skew=st.sampled_from([0, 0, 0, 400, -400]))
    def an_execution_begins(self, faults: Waiting, bound: int | None, skew: int) -> None:
        """AuthenticateProvider, ListMedia."""
        self._step(f"an_execution_begins({_told(faults)}, {bound}, {skew})")
        self._arm(faults)
        if not self.world.backend.is_shared:
            for other in self.workflow.executions:
                other.is_over = True
        with self._judged():
            execution = self.workflow.begin(SyncRequest(max_items=bound), skew)
        execution.is_alone &= not skew

    @precondition(lambda self: any(not one.is_over for one in self.workflow.executions))
    @rule(
        faults=in_functions,
        which=numbers,
        medium=numbers,
        seconds=st.sampled_from([900.0, 900.0, 30.0, 9.0, 6.0]),
        threads=st.sampled_from([1, 1, 3]),
    )
    def a_medium_is_transferred(self, faults: Waiting, which: int, medium: int, seconds: float, threads: int) -> None:
        """DownloadVideo, in as many invocations as its time demands."""
        self._step(f"a_medium_is_transferred({_told(faults)}, {which}, {medium}, {seconds}, {threads})")
        self._arm(faults)
        execution = self._execution(which)
        with self._judged():
            self._transfer(execution, medium % len(execution.media), seconds, threads)

    def _transfer(self, execution: Execution, which: int, seconds: float = 900.0, threads: int = 1) -> None:
        self.at_work.append((execution, which))
        try:
            self.workflow.child(execution, execution.media[which], Clocked(seconds, 8 * 1024), threads=threads)
        finally:
            self.at_work.pop()

    @precondition(lambda self: any(not one.is_over for one in self.workflow.executions))
    @rule(which=numbers, rest=st.booleans(), skew=st.sampled_from([0, 0, 0, 400, -400]))
    def an_execution_ends(self, which: int, rest: bool, skew: int) -> None:
        """GenerateSummary, after what is left of the map, or without it as if all that had vanished."""
        self._step(f"an_execution_ends({which}, {rest}, {skew})")
        execution = self._execution(which)
        with self._judged():
            for number, medium in enumerate(execution.media):
                if rest and medium.media_id not in execution.done:
                    self._transfer(execution, number)
            self.workflow.summarize(execution, skew)

    @precondition(lambda self: self.world.backend.is_shared)
    @rule(faults=in_functions, bound=st.sampled_from([None, None, 2]), seconds=st.sampled_from([900.0, 900.0, 9.0]))
    def a_whole_execution(self, faults: Waiting, bound: int | None, seconds: float) -> None:
        """From AuthenticateProvider to GenerateSummary."""
        self._step(f"a_whole_execution({_told(faults)}, {bound}, {seconds})")
        self._arm(faults)
        for other in self.workflow.executions:
            other.is_alone = other.is_alone and other.is_over
        with self._judged():
            execution = self.workflow.begin(SyncRequest(max_items=bound))
            for number in range(len(execution.media)):
                self._transfer(execution, number, seconds)
            if not execution.is_over:
                self.workflow.summarize(execution)

    # ------------------------------------------------------------------ checks
    @invariant()
    def everything_holds(self) -> None:
        """I1, I2, I4, I8."""
        with self._judged():
            self.world.check()

    def teardown(self) -> None:
        """I3, I5, I6: faults stop, and two runs bring everything home."""
        try:
            if not self.is_broken and self.steps:
                with self._judged():
                    self._end()
        finally:
            self.ledger.schedules += 1
            if self.proxy:
                self.proxy.calm()
                self.ledger.faults.update(self.proxy.struck)
                self.proxy.struck.clear()
            self.world.close()
            self.stack.close()

    def _end(self) -> None:
        world = self.world
        self.steps.append("-- faults stop, two runs --")
        if self.proxy:
            self.proxy.calm()
        world.calm()
        for _ in range(2):
            self._one_run()
            world.check()
        world.check_whole()
        served = self.cloud.counts.bytes_served.total()
        self._one_run()
        world.check()
        moved = self.cloud.counts.bytes_served.total() - served
        if moved:
            raise Broken("I3", f"a third run fetched {moved} bytes")
        world.check_secrets()
        world.check_uploads()

    def _one_run(self) -> None:
        if self.world.backend.is_shared:
            self.workflow.whole(SyncRequest())
        else:
            run_local(self.world, SyncRequest())

    # ----------------------------------------------------------------- helpers
    @property
    def at_work(self) -> list[tuple[Execution, int]]:
        """Which child is on its way, the innermost last."""
        found: list[tuple[Execution, int]] = self.__dict__.setdefault("_at_work", [])
        return found

    def _step(self, text: str) -> None:
        self.steps.append(text)
        self.ledger.steps[text.partition("(")[0]] += 1

    def _arm(self, faults: Waiting) -> None:
        for where, what, nth, times in faults:
            if isinstance(where, Way):
                if self.proxy:
                    self.proxy.disturb(Disturbance(where, what, nth, times, seconds=0.02))
            elif isinstance(what, Kind):
                self.world.faults.arm(Armed(where, what, nth, times))
            elif self.world.backend.is_shared:
                self.world.faults.arm(Armed(where, Kind.MEANWHILE, nth, meanwhile=self._acts[what]))

    @property
    def _acts(self) -> dict[str, Callable[[], None]]:
        """What may happen at an effect: another execution, the same call made twice, a lease that runs out, …"""
        return {
            "run": self._another_run,
            "twin": self._a_twin,
            "lease": self._the_lease_runs_out,
            "source": self._the_source_changes,
            "delete": self._the_source_goes,
        }

    def _disturbances(self) -> int:
        return self.proxy.struck.total() if self.proxy else 0

    def _count(self, fault: str) -> None:
        self.ledger.faults[fault] += 1

    @contextmanager
    def _judged(self) -> Iterator[None]:
        """The schedule is kept if an invariant breaks in here."""
        try:
            yield
        except Exception as error:
            self.is_broken = True
            if type(self).broken is None:
                sys.stderr.write(f"{type(error).__name__}: {error}; looking for the smallest schedule that breaks it\n")
            type(self).broken = (list(self.steps), error)
            raise

    def _medium(self, which: int) -> str:
        return self.cloud.media[which % len(self.cloud.media)].media_id

    def _execution(self, which: int) -> Execution:
        going = [one for one in self.workflow.executions if not one.is_over]
        return going[which % len(going)]


def made(
    name: str, cloud: GoProCloud, ledger: Ledger, backend: Callable[[], Backend], proxy: AwsProxy | None
) -> type[Chaos]:
    """The model over one backend."""
    return type(name, (Chaos,), {"cloud": cloud, "ledger": ledger, "backend": staticmethod(backend), "proxy": proxy})
