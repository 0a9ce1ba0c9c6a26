"""What is to be reached, as ratios within one run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.cases import COPYTO, COPYURL, OURS, SEED, UNDISTURBED, Name
from benchmarks.results import Figures, Huge, Measured, Results
from benchmarks.s3_front import MOST_PARTS, SMALLEST_PART

#: Peak memory at any length and 12 connections (bytes).
MOST_MEMORY = 256_000_000


@dataclass(frozen=True, slots=True)
class Goal:
    """A ratio to reach; None where it could not be measured."""

    name: str
    ratio: float | None
    want: float
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether it is reached."""
        if self.ratio is None:
            return False
        return self.ratio <= self.want if self.at_most else self.ratio >= self.want

    def line(self) -> str:
        """The goal as a line for people and scripts."""
        ratio = "none" if self.ratio is None else f"{self.ratio:.3f}"
        sign = "<=" if self.at_most else ">="
        return f"goal {self.name}: {ratio} (want {sign} {self.want:g}) {'met' if self.met else 'short'}"


def goals(results: Results) -> list[Goal]:
    """The goals of all cases that were run."""
    found = [goal for name, measured in results.cases.items() for goal in _of_case(Name(name), measured)]
    if results.cases or results.huge:
        found.append(Goal("memory", _memory(results), 1.0, at_most=True))
    if results.huge:
        found += _of_huge(results.huge)
    if results.proved is not None:
        found.append(Goal("archived-bytes", results.proved, 1.0))
    return found


def _throughput(figures: Figures) -> float:
    return figures.throughput


def _cpu(figures: Figures) -> float:
    return figures.cpu


def _ratio(measured: Measured, other: str, of: Callable[[Figures], float] = _throughput) -> float | None:
    mine, theirs = measured.figures(OURS), measured.figures(other)
    return of(mine) / of(theirs) if mine and theirs and of(theirs) else None


def _of_case(name: Name, measured: Measured) -> Iterator[Goal]:
    match name:
        case Name.UNTHROTTLED:
            yield Goal("unthrottled-over-seed", _ratio(measured, SEED), 1.8)
            yield Goal("unthrottled-over-copyurl", _ratio(measured, COPYURL), 2.0)
            yield Goal("unthrottled-cpu-of-seed", _ratio(measured, SEED, _cpu), 0.7, at_most=True)
        case Name.THROTTLED:
            yield Goal("throttled-over-seed", _ratio(measured, SEED), 9.0)
            yield Goal("throttled-over-copyto", _ratio(measured, COPYTO), 1.0)
        case Name.DELAYED:
            yield Goal("delayed-over-undelayed", _ratio(measured, UNDISTURBED), 0.9)
        case Name.CUT:
            yield Goal("cut-over-undisturbed", _ratio(measured, UNDISTURBED), 0.9)
            yield Goal("cut-fetched-twice-of-broken", _fetched_twice(measured), 1.0, at_most=True)
        case Name.SMALL:
            yield Goal("small-over-seed", _ratio(measured, SEED), 3.0)


def _fetched_twice(measured: Measured) -> float | None:
    """The bytes fetched beyond the file's length, as a share of the ranges that were cut, in the worst run."""
    runs = measured.runs.get(OURS, [])
    if not runs or any(run.fault or not run.cut_ranges for run in runs):
        return None
    return max((run.fetched - run.length) / run.cut_ranges for run in runs)


def _memory(results: Results) -> float | None:
    runs = [run for case in results.cases.values() for run in case.runs.get(OURS, [])]
    peaks = [run.peak_memory for run in runs if not run.fault]
    peaks += [one.peak_memory for one in results.huge.invocations] if results.huge else []
    return max(peaks) / MOST_MEMORY if peaks else None


def _of_huge(huge: Huge) -> Iterator[Goal]:
    whole = not huge.fault
    yield Goal("huge-memory-growth", huge.growth if whole else None, 1.1, at_most=True)
    yield Goal("huge-parts-of-limit", _parts_of_limit(huge) if whole else None, 1.0, at_most=True)
    yield Goal("huge-invocations", float(len(huge.invocations)) if whole else None, 3.0)


def _parts_of_limit(huge: Huge) -> float | None:
    """The number of parts over S3's most; None if the object has none or one that is too small."""
    if not huge.parts or min(huge.parts[:-1], default=SMALLEST_PART) < SMALLEST_PART:
        return None
    return len(huge.parts) / MOST_PARTS
