"""What is asked for, and what has to be assumed."""

from __future__ import annotations

from dataclasses import dataclass

from core import prices
from core.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Holding:
    """Videos, and their bytes together."""

    videos: float = 0
    length: float = 0

    def __add__(self, other: Holding) -> Holding:
        return Holding(self.videos + other.videos, self.length + other.length)


@dataclass(frozen=True, slots=True)
class Workload:
    """What an archive holds and what comes.

    `archived` lies in Deep Archive already, `waiting` comes on the first day, then `videos_a_month`, evenly, each of
    `video_length` bytes. What comes is deleted after `keep_days`; None keeps it, as the workflow does.
    """

    videos_a_month: float
    video_length: float
    months: int = 12
    archived: Holding = Holding()
    waiting: Holding = Holding()
    keep_days: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be reckoned with."""
        if self.months < 1:
            raise InvalidInput("Reckon at least one month: --months 1.")
        numbers = (self.videos_a_month, self.video_length, *_numbers(self.archived), *_numbers(self.waiting))
        if min(numbers) < 0 or (self.keep_days is not None and self.keep_days < 1):
            raise InvalidInput("Videos, GB and days cannot be negative, and a video is kept for at least a day.")

    @property
    def waiting_length(self) -> float:
        """Bytes of one of those that wait."""
        return self.waiting.length / self.waiting.videos if self.waiting.videos else 0.0


def _numbers(holding: Holding) -> tuple[float, float]:
    return holding.videos, holding.length


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What no table of AWS says. Rates are bytes a second, counts are for one medium, unless they say otherwise.

    The counts of requests, of log bytes and of writes are upper bounds of what tests measure; seconds and the network's
    rate were not measured on AWS.
    """

    network_rate: float = 75e6
    overhead_seconds: float = 4.0
    cpu_seconds_a_gb: float = 4.0
    repeated: float = 0.02
    runs_a_month: float = 30
    weeks_a_month: float = 30 / 7
    walked_a_run: int = 200
    originals: float = 1.0
    tags: int = 2
    error_types: int = 5
    puts_beside_parts: int = 5
    gets: int = 4
    puts_a_run: int = 20
    gets_a_run: int = 64
    writes: int = 20
    writes_a_run: int = 12
    reads: int = 12
    reads_a_run: int = 4
    record_bytes: int = 1024
    secret_calls: int = 1
    secret_calls_a_run: int = 30
    key_calls: int = 4
    key_calls_a_run: int = 50
    log_bytes: int = 6000
    log_bytes_a_run: int = 20_000
    catalog_bytes: int = 4096
    manifest_bytes: int = 2048
    gallery_bytes: int = 1024
    thumbnail_bytes: int = 40_000
    page_bytes: int = 4_000_000
    access_log_bytes: int = 700
    messages_a_month: int = 6
    free_tier: bool = True

    def sentences(self) -> list[str]:
        """All of them in words."""
        return [
            f"A function moves {self.network_rate / 1e6:g} MB a second, or what its share of a processor allows "
            f"({self.cpu_seconds_a_gb:g} s of a vCPU a GB), and takes {self.overhead_seconds:g} s more for each video.",
            f"{self.repeated:.0%} of all transfers are done twice. Originals a video: {self.originals:g}. "
            f"{self.runs_a_month:g} runs a month, each by its longest way and over the {self.walked_a_run} newest; "
            "once a week the whole library is listed and verified.",
            f"For each video beside its parts: {self.puts_beside_parts} PUT and {self.gets} GET requests of S3, "
            f"{self.writes} writes and {self.reads} reads of DynamoDB, {self.secret_calls} of Secrets Manager, "
            f"{self.key_calls} of KMS, {self.log_bytes:,} bytes of log, a catalog entry of {self.catalog_bytes:,}, "
            f"{self.gallery_bytes:,} in the gallery, whose months are kept in 30 versions, and a thumbnail of "
            f"{self.thumbnail_bytes:,}.",
            f"For each run: {self.puts_a_run} PUT and {self.gets_a_run} GET requests of S3, {self.writes_a_run} writes "
            f"and {self.reads_a_run} reads of DynamoDB beside those of the listing, {self.secret_calls_a_run} of "
            f"Secrets Manager, {self.key_calls_a_run} of KMS, {self.log_bytes_a_run:,} bytes of log, pages of "
            f"{self.page_bytes:,}.",
            f"Each request of S3 leaves {self.access_log_bytes} bytes in the access log, kept for a year.",
            f"Custom metrics are billed for the hours in which they are sent; failures have at most {self.error_types} "
            "types in a month.",
            f"{self.messages_a_month} messages a month by e-mail.",
            f"A GB is 2^30 bytes, a month {prices.DAYS_OF_A_MONTH} days. No VPC, no tax, no discount.",
            "What AWS gives free to every account each month is all this stack's."
            if self.free_tier
            else "Nothing is free: another stack has used up what AWS gives free each month.",
        ]


#: What is assumed unless something else is known.
ASSUMED = Assumptions()
