"""What was measured, and the figures that follow from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.files import GIB, MIB


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one entrant. Lengths and memory in bytes; `servers_cpu` is what source and sink used meanwhile.

    `seconds` are from the first request that the source saw to the sink's last answer, so that nobody is charged for
    the time in which an interpreter loads its modules; `process_seconds` are the process's whole life.

    `fetched` is what the source sent in all, in `responses` answers; `cut_ranges` the bytes that the answers which were
    cut should have had. `fault` says why it does not count, "" if the sink got each file whole.
    """

    seconds: float
    process_seconds: float
    length: int
    cpu_seconds: float
    peak_memory: int
    fetched: int
    responses: int
    cut_ranges: int
    servers_cpu: Mapping[str, float]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians over the runs that count."""

    seconds: float
    process_seconds: float
    throughput: float
    slowest: float
    fastest: float
    cpu: float
    peak_memory: int
    source_cpu: float
    sink_cpu: float

    @classmethod
    def of(cls, runs: Sequence[Run]) -> Figures | None:
        """Throughput in MiB/s, CPU in seconds a GiB, memory in bytes; None if any run failed."""
        if not runs or any(run.fault for run in runs):
            return None
        rates = [run.length / MIB / run.seconds for run in runs]
        return cls(
            seconds=median(run.seconds for run in runs),
            process_seconds=median(run.process_seconds for run in runs),
            throughput=median(rates),
            slowest=min(rates),
            fastest=max(rates),
            cpu=median(run.cpu_seconds / run.length * GIB for run in runs),
            peak_memory=max(run.peak_memory for run in runs),
            source_cpu=median(run.servers_cpu["source"] / run.length * GIB for run in runs),
            sink_cpu=median(run.servers_cpu["sink"] / run.length * GIB for run in runs),
        )


@dataclass(slots=True)
class Measured:
    """All runs of one case, by entrant, in the order of the case."""

    title: str
    note: str
    runs: dict[str, list[Run]]

    def figures(self, entrant: str) -> Figures | None:
        """The medians of an entrant."""
        return Figures.of(self.runs.get(entrant, []))

    def fault(self, entrant: str) -> str:
        """Why an entrant has no figures."""
        return next((run.fault for run in self.runs[entrant] if run.fault), "")


@dataclass(frozen=True, slots=True)
class Invocation:
    """One invocation of the deadline loop: seconds, CPU seconds, peak memory, and the memory every 0.2 s (bytes)."""

    seconds: float
    cpu_seconds: float
    peak_memory: int
    samples: tuple[int, ...]

    @property
    def steady(self) -> tuple[int, ...]:
        """The samples without those of its start."""
        return self.samples[len(self.samples) // 5 :]


@dataclass(frozen=True, slots=True)
class Huge:
    """The sparse file's way through the deadline loop. `parts` are the lengths of the object's parts (bytes)."""

    length: int
    fetched: int
    invocations: tuple[Invocation, ...]
    parts: tuple[int, ...]
    fault: str = ""

    @property
    def seconds(self) -> float:
        """Seconds of all invocations."""
        return sum(one.seconds for one in self.invocations)

    @property
    def growth(self) -> float:
        """The most memory in the second half of the file over the most in its first."""
        steady = [sample for one in self.invocations for sample in one.steady]
        half = len(steady) // 2
        return max(steady[half:]) / max(steady[:half]) if half else 1.0


@dataclass(slots=True)
class Results:
    """Everything. `proved`: the share of objects on the emulated AWS that are the source's bytes; None if not asked."""

    machine: Mapping[str, str]
    options: Mapping[str, str]
    cases: dict[str, Measured] = field(default_factory=dict)
    huge: Huge | None = None
    proved: float | None = None
    proof_fault: str = ""
