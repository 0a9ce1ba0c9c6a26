"""Runs one command and tells what it used: `python -I -S launcher.py REPORT COMMAND...`.

A process of its own, and a small one, for two reasons: `wait4` then tells the CPU time and the peak memory of this
command and of all that it waited for, and of nothing else; and a new process's peak starts at that of the one it was
forked from, here about 10 MB.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time

SAMPLE_EVERY = 0.2
_PAGE = os.sysconf("SC_PAGE_SIZE")


def run(command: list[str]) -> dict[str, object]:
    """The exit code, seconds, CPU seconds, peak memory (bytes) and the memory every 0.2 s (bytes) of `command`."""
    started = time.monotonic()
    pid = os.posix_spawnp(command[0], command, os.environ)
    poll = select.poll()
    poll.register(os.pidfd_open(pid), select.POLLIN)
    samples: list[int] = []
    while not poll.poll(SAMPLE_EVERY * 1000):
        with open(f"/proc/{pid}/statm") as statm:  # noqa: PTH123  (pathlib would double this process's memory)
            samples.append(int(statm.read().split()[1]) * _PAGE)
    _, status, usage = os.wait4(pid, 0)
    return {
        "exit_code": os.waitstatus_to_exitcode(status),
        "seconds": time.monotonic() - started,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_memory": usage.ru_maxrss * 1024,
        "samples": samples,
    }


if __name__ == "__main__":
    with open(sys.argv[1], "w") as report:  # noqa: PTH123
        json.dump(run(sys.argv[2:]), report)
