"""The cases: a whole sync of so many media, the first plan of so many, and a day's five new ones beside so many."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from benchmarks.errors import NotReady
from benchmarks.load.emulator import CountingEmulator
from core.model import format_time, utc_now
from tests.emulator import REGION
from tests.gopro_cloud import CloudMedium, GoProCloud, Quirks
from tests.gopro_cloud.library import source
from tests.stack import Stack

#: Seconds that the emulated GoPro Cloud takes for a call of its API, a page of its listing above all.
LATENCY = 0.05
LENGTH = 4096
CONCURRENCY = 20
NEW_A_DAY = 5
_BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
_PATIENCE = 3600.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run took. `media` is what the figures a medium are divided by, `known` the library's other media.

    Seconds by state; peak memory in bytes and CPU seconds by function, and of the emulator; calls of GoPro's API and of
    AWS by name; DynamoDB's units as billed; transitions of the state machine and its children.
    """

    case: str
    media: int
    known: int
    seconds: float
    parts: Mapping[str, float]
    memory: Mapping[str, int]
    cpu: Mapping[str, float]
    api_calls: Mapping[str, int]
    aws_calls: Mapping[str, int]
    reads: float
    writes: float
    transitions: int
    told: Mapping[str, Any] = field(default_factory=dict)

    @property
    def planning(self) -> float:
        """Seconds of ListMedia."""
        return self.parts["ListMedia"]


def library(count: int, first: int = 0) -> list[CloudMedium]:
    """`count` small photos, one uploaded every ten minutes; numbers from `first`."""
    return [_photo(number) for number in range(first, first + count)]


def _photo(number: int) -> CloudMedium:
    media_id = f"load{number:09}"
    return CloudMedium(
        media_id,
        "Photo",
        f"GOPR{number % 10000:04}.JPG",
        format_time(_BEGIN + timedelta(minutes=10 * number)) or "",
        (source(media_id, LENGTH, extension="jpg", tells=False),),
        told_length=LENGTH,
        file_extension="JPG",
    )


class Load:
    """One deployed stack beside one library. `say` hears what is going on."""

    def __init__(self, emulator: CountingEmulator, cloud: GoProCloud, say: Callable[[str], None]) -> None:
        self.emulator = emulator
        self.cloud = cloud
        self.stack = Stack(emulator, "cloud-sync-load")
        self._say = say
        self.stack.deploy(GoProApiUrl=cloud.url, MaxConcurrency=str(CONCURRENCY))
        self.stack.put_secret(cloud.pasted())
        emulator.shorten_waits()

    def sync(self, case: str, media: int, known: int) -> Figures:
        """One execution of the workflow, measured."""
        with self._measured() as measured:
            started = time.monotonic()
            ended = self.stack.wait(self.stack.start(), timeout=_PATIENCE)
            seconds = time.monotonic() - started
            measured.end()
        if ended.status != "SUCCEEDED" or ended.output["completed"] != media:
            raise NotReady(f"{case}: the run came to {ended.status} {ended.output or ended.cause}")
        parts = _durations(self.stack.history(ended.arn))
        told = {name: ended.output[name] for name in ("status", "discovered", "new", "completed", "failed")}
        entered = len(self.stack.states_entered(ended.arn))
        return measured.figures(case, media, known, seconds, parts, entered, told)

    def plan(self, case: str, media: int) -> Figures:
        """One call of the function of ListMedia, measured."""
        run = {"run_id": f"plan-{media}", "started_at": format_time(utc_now())}
        event = {"run": run, "request": {}, "auth": {}}
        client = boto3.client(
            "lambda",
            endpoint_url=self.emulator.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(read_timeout=_PATIENCE, retries={"total_max_attempts": 1}),
        )
        with self._measured() as measured:
            started = time.monotonic()
            answer = client.invoke(FunctionName=f"{self.stack.name}-plan", Payload=json.dumps(event))
            seconds = time.monotonic() - started
            measured.end()
        plan = json.load(answer["Payload"]).get("plan", {})
        if plan.get("new") != media:
            raise NotReady(f"{case}: the plan came to {plan}")
        return measured.figures(case, media, 0, seconds, {"ListMedia": seconds}, 0, plan)

    @contextmanager
    def _measured(self) -> Iterator[_Measured]:
        self._say(f"{len(self.cloud.media):,} media in the cloud")
        yield _Measured(self)


class _Measured:
    """The counters from its making to `end`."""

    def __init__(self, load: Load) -> None:
        self._load = load
        load.emulator.forget_peaks()
        self._api = load.cloud.counts.requests.copy()
        self._aws = load.emulator.counts()
        self._before = load.emulator.usage()

    def end(self) -> None:
        load = self._load
        self._aws = load.emulator.counts().since(self._aws)
        self._api = load.cloud.counts.requests - self._api
        self._usage = load.emulator.usage()

    def figures(
        self,
        case: str,
        media: int,
        known: int,
        seconds: float,
        parts: Mapping[str, float],
        entered: int,
        told: Mapping[str, Any],
    ) -> Figures:
        prefix = f"{self._load.stack.name}-"
        used = {name: one.cpu_seconds for name, one in self._before.items()}
        usage = sorted(self._usage.items())
        return Figures(
            case=case,
            media=media,
            known=known,
            seconds=seconds,
            parts=parts,
            memory={name.removeprefix(prefix): one.peak_memory for name, one in usage},
            cpu={name.removeprefix(prefix): one.cpu_seconds - used.get(name, 0.0) for name, one in usage},
            api_calls={call: count for call, count in sorted(self._api.items()) if call != "cdn"},
            aws_calls=self._aws.calls,
            reads=self._aws.reads,
            writes=self._aws.writes,
            transitions=entered + self._aws.transitions,
            told=told,
        )


def _durations(history: list[dict[str, Any]]) -> dict[str, float]:
    """Seconds in each state that is not merely passed through."""
    began: dict[str, datetime] = {}
    found: dict[str, float] = {}
    for event in history:
        if "stateEnteredEventDetails" in event:
            began[event["stateEnteredEventDetails"]["name"]] = event["timestamp"]
        elif "stateExitedEventDetails" in event:
            name = event["stateExitedEventDetails"]["name"]
            found[name] = (event["timestamp"] - began[name]).total_seconds()
    return {name: seconds for name, seconds in found.items() if not name.startswith("Check")}


@contextmanager
def deployed(count: int, log: Path, say: Callable[[str], None]) -> Iterator[Load]:
    """A fresh emulated AWS with the stack, beside a cloud of `count` media."""
    with CountingEmulator(log) as emulator, GoProCloud(library(count), Quirks(api_latency=LATENCY)) as cloud:
        yield Load(emulator, cloud, say)


def whole_sync(count: int, log: Path, say: Callable[[str], None]) -> Figures:
    """All of a new library, from its listing to the last confirmed original."""
    with deployed(count, log, say) as load:
        return load.sync(f"sync {count}", count, 0)


def first_plan_and_day(count: int, log: Path, say: Callable[[str], None]) -> tuple[Figures, Figures]:
    """The first plan of a new library, and the day after all of it was archived."""
    with deployed(count, log, say) as load:
        first = load.plan(f"plan {count}", count)
        load.stack.complete(medium.media_id for medium in load.cloud.media)
        load.cloud.media = [*load.cloud.media, *library(NEW_A_DAY, first=count)]
        return first, load.sync(f"day beside {count}", NEW_A_DAY, count)
