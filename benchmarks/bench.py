"""Runs the cases: entrants in turn (A B C, A B C, …), each run checked by what the sink received."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cases import Case, Name
from benchmarks.files import Files
from benchmarks.measure import Usage, run
from benchmarks.ours import CONTINUE
from benchmarks.peers import environment
from benchmarks.results import Huge, Invocation, Measured, Run
from benchmarks.servers import Servers
from benchmarks.tools import Tools

_LONGEST_RUN = 300.0
_LONGEST_INVOCATION = 900.0
_MOST_INVOCATIONS = 50

Tell = Callable[[str], None]


class Bench:
    """Everything that a run needs; `tell` shows people how far it is."""

    def __init__(self, tools: Tools, servers: Servers, files: Files, work: Path, tell: Tell) -> None:
        self._tools = tools
        self._servers = servers
        self._files = files
        self._work = work
        self._tell = tell
        self._environment = environment(servers.sink_url, work)

    def measure(self, case: Case, count: int) -> Measured:
        """`count` runs of each entrant of a case, in turn."""
        runs: dict[str, list[Run]] = {entrant: [] for entrant in case.entrants}
        for number in range(1, count + 1):
            for entrant in case.entrants:
                if any(one.fault for one in runs[entrant]):
                    continue
                done = self._run(case, entrant, number)
                runs[entrant].append(done)
                rate = f"{done.length / 2**20 / done.seconds:.0f} MiB/s" if not done.fault else f"FAILED: {done.fault}"
                self._tell(f"{case.name} {number}/{count} {entrant}: {done.seconds:.2f} s, {rate}")
        return Measured(case.title, case.note, runs)

    def _run(self, case: Case, entrant: str, seed: int) -> Run:
        job = case.job(entrant, self._files, self._servers.source_url)
        length = case.length(self._files)
        self._servers.begin_run(seed)
        before = self._servers.cpu_seconds()
        usage = run(case.command(entrant)(job, self._tools), self._environment, self._work, _LONGEST_RUN)
        after = self._servers.cpu_seconds()
        fetched = self._servers.fetched()
        received = self._servers.received()
        return Run(
            seconds=max(received["last"] - fetched.first, 0.001),
            process_seconds=usage.seconds,
            length=length,
            cpu_seconds=usage.cpu_seconds,
            peak_memory=usage.peak_memory,
            fetched=fetched.sent,
            responses=fetched.responses,
            cut_ranges=sum(cut["length"] for cut in self._servers.cuts()),
            servers_cpu={name: after[name] - before[name] for name in after},
            fault=_fault(usage, received, len(job.paths), length),
        )

    def measure_huge(self, deadline: float) -> Huge:
        """Move the sparse file through as many invocations of `deadline` seconds as it takes."""
        url = f"{self._servers.source_url}/plain/{self._files.huge}"
        state = self._work / "state"
        command = [sys.executable, "-m", "benchmarks.ours", "--deadline", str(deadline), "--state", str(state), url]
        self._servers.begin_run(0)
        done: list[Invocation] = []
        fault = ""
        while len(done) < _MOST_INVOCATIONS:
            usage = run(command, self._environment, self._work, _LONGEST_INVOCATION)
            done.append(Invocation(usage.seconds, usage.cpu_seconds, usage.peak_memory, usage.samples))
            self._tell(f"{Name.HUGE} invocation {len(done)}: {usage.seconds:.1f} s, {usage.peak_memory / 1e6:.0f} MB")
            if usage.exit_code != CONTINUE:
                fault = _fault(usage, self._servers.received(), 1, self._files.huge_length)
                break
        else:
            fault = f"not done after {_MOST_INVOCATIONS} invocations"
        parts: Sequence[int] = self._servers.received()["parts"]
        return Huge(self._files.huge_length, self._servers.fetched().sent, tuple(done), tuple(parts), fault)


def _fault(usage: Usage, received: Mapping[str, Any], objects: int, length: int) -> str:
    """Why a run does not count: it failed, or the sink did not get each file whole."""
    if usage.exit_code:
        return f"exit code {usage.exit_code}: {usage.told.strip()[-500:]}"
    if (received["objects"], received["stored"], received["open_uploads"]) == (objects, length, 0):
        return ""
    held = f"{received['objects']} objects of {received['stored']:,} bytes and {received['open_uploads']} open uploads"
    return f"the sink holds {held}, not {objects} of {length:,} bytes"
