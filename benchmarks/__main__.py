"""`make bench`: the cases, one after the other, in one run."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import report, tools
from benchmarks.bench import Bench
from benchmarks.cases import CASES, Name
from benchmarks.errors import NotReady
from benchmarks.files import GIB, MIB, made
from benchmarks.goals import goals
from benchmarks.machine import describe
from benchmarks.proof import prove
from benchmarks.results import Results
from benchmarks.servers import Servers

console = Console(highlight=False, soft_wrap=True)
RESULTS = Path(__file__).parent / "results"


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="128 MiB, 100 small files, 24 GiB sparse, 3 runs.")] = False,
    case: Annotated[list[Name] | None, typer.Option("--case", help="Only this case; may be repeated.")] = None,
    runs: Annotated[int | None, typer.Option("--runs", min=1, help="Runs of each entrant; 5 unless told.")] = None,
    results: Annotated[Path, typer.Option("--results", help="Where JSON, table and chart go.")] = RESULTS,
) -> None:
    """Measure the engine beside its peers; exits with 0 only if all goals are met."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    count = runs or (3 if quick else 5)
    try:
        found = measure(case or list(Name), count, quick)
    except NotReady as missing:
        console.print(str(missing), style="red")
        sys.exit(2)
    reached = goals(found)
    console.print(report.text(found, reached), markup=False)
    paths = report.write(found, reached, results, "quick" if quick else "bench")
    console.print(f"\nwritten: {', '.join(str(path) for path in paths)}\n")
    for goal in reached:
        print(goal.line())
    sys.exit(0 if all(goal.met for goal in reached) else 1)


def measure(names: list[Name], count: int, quick: bool) -> Results:
    """Run the cases named, in their order; the sparse file last, since it is the longest."""
    found = tools.find()
    big, small, huge = (128 * MIB, 100, 24 * GIB) if quick else (GIB, 1000, 64 * GIB)
    options = {"runs": str(count), "file": f"{big // MIB:,} MiB", "small files": f"{small:,}"}
    results = Results(describe(found), options)
    work = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        (work / "files").mkdir()
        console.print(f"making {big // MIB:,} MiB and {small:,} small files", style="dim")
        with (
            made(work / "files", big_length=big, small_count=small, huge_length=huge) as files,
            Servers(found.nginx, work, files.folder) as servers,
        ):
            runner = Bench(found, servers, files, work, lambda text: console.print(text, style="dim", markup=False))
            if Name.PROOF in names:
                results.proved, results.proof_fault = prove(servers, files, work)
                console.print(f"proof: {results.proved:.0%} {results.proof_fault}", style="dim", markup=False)
            for case in CASES:
                if case.name in names:
                    results.cases[case.name] = runner.measure(case, count)
            if Name.HUGE in names:
                results.huge = runner.measure_huge(deadline=8.0 if quick else 20.0)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return results


if __name__ == "__main__":
    typer.run(bench)
