"""The estimate: each thing that AWS bills, by month."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import ceil

from core import prices
from core.archive.base import PartLimits
from core.archive.s3 import LARGEST_PART, MOST_PARTS, PART_SIZE
from core.cost.design import DESIGN, Design
from core.cost.getting_back import Way, getting_back
from core.cost.stock import stocks
from core.cost.workload import ASSUMED, Assumptions, Holding, Workload
from core.model import Json
from core.prices import GB, Metered
from core.transfer.buffers import room_for_parts
from core.transfer.engine import CONNECTIONS
from core.transfer.job import part_size

_LIMITS = PartLimits(PART_SIZE, LARGEST_PART, MOST_PARTS)

#: MB that bring one vCPU (AWS Lambda developer guide, memory), and the seconds of its 900 that an invocation can use.
MEMORY_OF_A_CPU = 1769
_INVOCATION_SECONDS = 870


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that is billed: how much of it in each month, and what that costs (USD)."""

    service: str
    what: str
    unit: str
    quantities: tuple[float, ...]
    usd: tuple[float, ...]
    is_storage: bool = False

    @property
    def total(self) -> float:
        """Over all months (USD)."""
        return sum(self.usd)


@dataclass(frozen=True, slots=True)
class Estimate:
    """All lines, and the originals that are kept at the end. Months are positions from 0."""

    workload: Workload
    design: Design
    assumptions: Assumptions
    lines: tuple[Line, ...]
    originals: Holding

    def usd(self, month: int, *, storage: bool | None = None, service: str | None = None) -> float:
        """What a month costs: all of it, storage or everything but storage, one service or all."""
        return sum(
            line.usd[month]
            for line in self.lines
            if storage in (None, line.is_storage) and service in (None, line.service)
        )

    @property
    def services(self) -> list[str]:
        """In the order of the lines."""
        return list(dict.fromkeys(line.service for line in self.lines))

    @property
    def total(self) -> float:
        """Over all months (USD)."""
        return sum(line.total for line in self.lines)

    @property
    def most_beside_storage(self) -> float:
        """Everything but storage, in the month in which it is most (USD)."""
        return max(self.usd(month, storage=False) for month in range(self.workload.months))

    @property
    def saved_by_archiving_at_once(self) -> float:
        """How much less it would be with ArchiveAfterDays 0 (USD)."""
        return self.total - estimate(self.workload, replace(self.design, archive_after_days=0), self.assumptions).total

    def ways_back(self) -> list[Way]:
        """What it costs to have everything back once."""
        return getting_back(self.originals, free_tier=self.assumptions.free_tier)

    def to_json(self) -> dict[str, Json]:
        """For scripts."""
        months = range(self.workload.months)
        return {
            "prices_as_of": prices.AS_OF.isoformat(),
            "prices_of": prices.REGION,
            "prices_sources": list(prices.SOURCES),
            "lines": [
                {
                    "service": line.service,
                    "what": line.what,
                    "unit": line.unit,
                    "is_storage": line.is_storage,
                    "quantity_by_month": [round(one, 6) for one in line.quantities],
                    "usd_by_month": [round(one, 6) for one in line.usd],
                    "usd": round(line.total, 6),
                }
                for line in self.lines
            ],
            "usd_by_month": [round(self.usd(month), 6) for month in months],
            "usd_beside_storage_by_month": [round(self.usd(month, storage=False), 6) for month in months],
            "usd": round(self.total, 6),
            "usd_saved_by_archiving_at_once": round(self.saved_by_archiving_at_once, 6),
            "getting_everything_back": [way.to_json() for way in self.ways_back()],
            "assumptions": self.assumptions.sentences(),
        }


def estimate(workload: Workload, design: Design = DESIGN, assumptions: Assumptions = ASSUMED) -> Estimate:
    """What `workload` costs with `design`."""
    reckoning = _Reckoning(workload, design, assumptions)
    lines = (*reckoning.storage(), *reckoning.running())
    billed = tuple(line for line in lines if any(line.quantities))
    return Estimate(workload, design, assumptions, billed, reckoning.originals())


@dataclass(frozen=True, slots=True)
class Transfer:
    """What moving one video takes."""

    parts: float
    seconds: float
    gb_seconds: float
    invocations: float


def transfer(length: float, design: Design = DESIGN, assumptions: Assumptions = ASSUMED) -> Transfer:
    """What moving a video of `length` bytes takes."""
    size = ceil(length / assumptions.originals)
    cut = part_size(size, _LIMITS, CONNECTIONS, room_for_parts(design.transfer_memory))
    parts = ceil(size / cut) * assumptions.originals if size > PART_SIZE else 0
    share = design.transfer_memory / MEMORY_OF_A_CPU
    rate = min(assumptions.network_rate, share * GB / assumptions.cpu_seconds_a_gb)
    seconds = assumptions.overhead_seconds + length / rate
    invocations = ceil(seconds / _INVOCATION_SECONDS)
    return Transfer(parts, seconds, seconds * design.transfer_memory / 1024, invocations)


class _Reckoning:
    def __init__(self, workload: Workload, design: Design, assumptions: Assumptions) -> None:
        self._workload = workload
        self._design = design
        self._assumed = assumptions
        self._videos, self._bytes = stocks(workload, design.archive_after_days)
        self._months = range(1, workload.months + 1)

    # ------------------------------------------------------------------ storage
    def storage(self) -> Iterator[Line]:
        """S3, but for its requests."""
        held = self._workload.archived
        objects, gb = self._assumed.originals, 1 / GB
        standard, deep = prices.STANDARD_GB_MONTH, prices.DEEP_ARCHIVE_GB_MONTH

        def line(what: str, price: float, quantity: Callable[[int], float]) -> Line:
            return self._line("S3 storage", what, "GB-months", Metered(price), quantity, is_storage=True)

        def archived_objects(month: int) -> float:
            return (held.videos + self._videos.cold(month)) * objects

        index, name = prices.ARCHIVED_INDEX_BYTES, prices.ARCHIVED_NAME_BYTES
        yield line("originals in Standard", standard, lambda m: self._bytes.warm(m) * gb)
        yield line("originals in Deep Archive", deep, lambda m: (held.length + self._bytes.cold(m)) * gb)
        yield line("deleted from Deep Archive before 180 days", deep, lambda m: self._bytes.paid_for_nothing(m) * gb)
        yield line("32 KB an archived object, Deep Archive", deep, lambda m: archived_objects(m) * index * gb)
        yield line("8 KB an archived object, Standard", standard, lambda m: archived_objects(m) * name * gb)
        yield line("catalog, gallery, reports, access logs", standard, lambda m: self._documents(m) * gb)

    def _documents(self, month: int) -> float:
        """Bytes of all that is kept beside the originals; the oldest logs and manifests are a year old."""
        assumed = self._assumed
        gallery = (self._there(month) + 30 * self._coming(month)) * assumed.gallery_bytes
        entries = self._there(month) * (assumed.catalog_bytes + assumed.thumbnail_bytes) + gallery
        year = range(max(1, month - 11), month + 1)
        manifests = sum(self._coming(one) for one in year) * assumed.manifest_bytes
        pages = len(year) * assumed.runs_a_month * assumed.page_bytes
        logs = sum(self._puts(one) + self._gets(one) for one in year) * assumed.access_log_bytes
        return entries + manifests + pages + logs

    # ------------------------------------------------------------------ running
    def running(self) -> Iterator[Line]:
        """Everything but storage."""
        yield from self._requests()
        yield from self._compute()
        yield from self._database()
        yield from self._watching()
        yield from self._fixed()

    def _requests(self) -> Iterator[Line]:
        assumed, at_once = self._assumed, self._design.archive_after_days == 0
        price = prices.DEEP_ARCHIVE_PUT if at_once else prices.DEEP_ARCHIVE_TRANSITION
        what = "put into Deep Archive" if at_once else "moved to Deep Archive"
        service = "S3 requests"
        yield self._line(
            service, "PUT, one for each part and some more", "requests", Metered(prices.STANDARD_PUT), self._puts
        )
        yield self._line(service, "GET and HEAD", "requests", Metered(prices.STANDARD_GET), self._gets)
        yield self._line(service, what, "objects", Metered(price), lambda m: self._videos.moving(m) * assumed.originals)
        yield self._line(
            service,
            "tags of originals",
            "tag-months",
            Metered(prices.TAG_MONTH),
            lambda m: self._there(m) * assumed.originals * assumed.tags,
        )

    def _compute(self) -> Iterator[Line]:
        design, assumed = self._design, self._assumed

        def calls(month: int) -> float:
            a_run = sum(one.calls for one in design.functions.values())
            return assumed.runs_a_month * a_run + self._transferred(month, lambda one: one.invocations)

        def gb_seconds(month: int) -> float:
            steps = sum(
                one.memory
                / 1024
                * (
                    assumed.runs_a_month * one.calls * one.seconds
                    + self._looked_at(month) * one.weekly_seconds_a_medium
                )
                for one in design.functions.values()
            )
            return steps + self._transferred(month, lambda one: one.gb_seconds)

        def transitions(month: int) -> float:
            children = self._transferred(month, lambda one: design.transitions_a_medium + 2 * (one.invocations - 1))
            verifications = assumed.weeks_a_month * design.transitions_a_verification
            return assumed.runs_a_month * design.transitions_a_run + verifications + children

        yield self._line(
            "Lambda",
            f"computing, {design.architecture}",
            "GB-s",
            prices.LAMBDA_GB_SECOND[design.architecture],
            gb_seconds,
        )
        yield self._line("Lambda", "calls", "requests", prices.LAMBDA_REQUEST, calls)
        yield self._line("Step Functions", "transitions, Standard", "transitions", prices.TRANSITION, transitions)

    def _database(self) -> Iterator[Line]:
        assumed = self._assumed

        def listed(month: int) -> float:
            return self._looked_at(month) + assumed.runs_a_month * assumed.walked_a_run

        def stored(month: int) -> float:
            return self._there(month) * assumed.record_bytes / GB

        # Each page of 50 takes and gives back a slot of the provider's API; verifying reads every record twice more.
        yield self._line(
            "DynamoDB",
            "writes",
            "units",
            prices.DYNAMODB_WRITE,
            lambda m: self._each(m, assumed.writes) + listed(m) / 25 + assumed.runs_a_month * assumed.writes_a_run,
        )
        yield self._line(
            "DynamoDB",
            "reads",
            "units",
            prices.DYNAMODB_READ,
            lambda m: (
                self._each(m, assumed.reads)
                + listed(m)
                + 2 * self._looked_at(m)
                + assumed.runs_a_month * assumed.reads_a_run
            ),
        )
        yield self._line("DynamoDB", "tracker", "GB-months", prices.DYNAMODB_GB_MONTH, stored)
        yield self._line(
            "DynamoDB", "tracker, to any second of 35 days", "GB-months", prices.DYNAMODB_BACKUP_GB_MONTH, stored
        )

    def _watching(self) -> Iterator[Line]:
        design, assumed = self._design, self._assumed

        def hours(month: int) -> float:
            busy = self._transferred(month, lambda one: one.seconds) / design.concurrency / 3600
            return min(prices.HOURS_OF_A_MONTH, assumed.runs_a_month + busy)

        def metrics(month: int) -> float:
            return (design.metrics + assumed.error_types) * hours(month) / prices.HOURS_OF_A_MONTH

        def logs(month: int) -> float:
            return (self._each(month, assumed.log_bytes) + assumed.runs_a_month * assumed.log_bytes_a_run) / GB

        def kept(month: int) -> float:
            months = ceil(design.log_retention_days / prices.DAYS_OF_A_MONTH)
            return sum(logs(one) for one in range(max(1, month - months + 1), month + 1))

        def traces(month: int) -> float:
            return self._each(month, 1) + assumed.runs_a_month

        service = "CloudWatch"
        yield self._line(service, "metrics", "metric-months", prices.METRIC_MONTH, metrics)
        yield self._line(service, "alarms", "alarms", prices.ALARM_MONTH, lambda _: design.alarms)
        yield self._line(
            service, "composite alarms", "alarms", prices.COMPOSITE_ALARM_MONTH, lambda _: design.composite_alarms
        )
        yield self._line(service, "dashboards", "dashboards", prices.DASHBOARD_MONTH, lambda _: design.dashboards)
        yield self._line(service, "logs written", "GB", prices.LOG_GB, logs)
        yield self._line(service, "logs kept", "GB-months", prices.LOG_KEPT_GB_MONTH, kept)
        yield self._line("X-Ray", "traces", "traces", prices.TRACE, traces)

    def _fixed(self) -> Iterator[Line]:
        design, assumed = self._design, self._assumed

        def secret_calls(month: int) -> float:
            return self._each(month, assumed.secret_calls) + assumed.runs_a_month * assumed.secret_calls_a_run

        def key_calls(month: int) -> float:
            return self._each(month, assumed.key_calls) + assumed.runs_a_month * assumed.key_calls_a_run

        def keys(month: int) -> float:
            return design.keys * (1 + min((month - 1) // 12, prices.KMS_ROTATIONS_BILLED))

        yield self._line("Secrets Manager", "secrets", "secrets", prices.SECRET_MONTH, lambda _: design.secrets)
        yield self._line("Secrets Manager", "reads", "calls", prices.SECRET_CALL, secret_calls)
        yield self._line("KMS", "keys of your own, and their rotations", "keys", prices.KMS_KEY_MONTH, keys)
        yield self._line("KMS", "encrypting and decrypting", "calls", prices.KMS_REQUEST, key_calls)
        yield self._line("SNS", "messages", "messages", prices.SNS_PUBLISH, lambda _: assumed.messages_a_month)
        yield self._line("SNS", "e-mails", "messages", prices.SNS_EMAIL, lambda _: assumed.messages_a_month)
        starts = design.scheduled_starts_a_day * prices.DAYS_OF_A_MONTH
        yield self._line("Scheduler", "starts", "starts", prices.SCHEDULED_START, lambda _: starts)

    # ----------------------------------------------------------------- counting
    def originals(self) -> Holding:
        """What is kept at the end."""
        held, last = self._workload.archived, self._workload.months
        length = held.length + self._bytes.there(last)
        return Holding(self._there(last) * self._assumed.originals, length)

    def _line(
        self,
        service: str,
        what: str,
        unit: str,
        price: Metered,
        quantity: Callable[[int], float],
        *,
        is_storage: bool = False,
    ) -> Line:
        free = price.free if self._assumed.free_tier else 0.0
        quantities = tuple(quantity(month) for month in self._months)
        usd = tuple(max(0.0, one - free) * price.unit for one in quantities)
        return Line(service, what, unit, quantities, usd, is_storage)

    def _there(self, month: int) -> float:
        """Videos of the library at the end of the month."""
        return self._workload.archived.videos + self._videos.there(month)

    def _looked_at(self, month: int) -> float:
        """Media that are looked at by the weekly listing of all, and as many by the weekly verification."""
        return self._assumed.weeks_a_month * self._there(month)

    def _coming(self, month: int) -> float:
        return self._workload.videos_a_month + (self._workload.waiting.videos if month == 1 else 0)

    def _each(self, month: int, count: float) -> float:
        """`count` for each transfer of the month, those that are repeated too."""
        return self._coming(month) * (1 + self._assumed.repeated) * count

    def _transferred(self, month: int, count: Callable[[Transfer], float]) -> float:
        groups = [(self._workload.videos_a_month, self._workload.video_length)]
        if month == 1:
            groups.append((self._workload.waiting.videos, self._workload.waiting_length))
        counted = sum(videos * count(transfer(length, self._design, self._assumed)) for videos, length in groups)
        return counted * (1 + self._assumed.repeated)

    def _puts(self, month: int) -> float:
        assumed = self._assumed
        beside = self._each(month, assumed.puts_beside_parts) + assumed.runs_a_month * assumed.puts_a_run
        # Verifying lists objects and catalog, versions too, a thousand a request.
        return self._transferred(month, lambda one: one.parts) + beside + self._looked_at(month) * 4 / 1000

    def _gets(self, month: int) -> float:
        # Verifying reads each entry of the catalog.
        beside = self._assumed.runs_a_month * self._assumed.gets_a_run + self._looked_at(month)
        return self._each(month, self._assumed.gets) + beside
