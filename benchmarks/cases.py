"""The cases: which files, served how, moved by whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from benchmarks import peers
from benchmarks.files import SMALL_LENGTH, Files
from benchmarks.peers import Command, Job

OURS, SEED, COPYURL, COPYTO = "ours", "seed", "rclone copyurl", "rclone copyto, 8 streams"
UNDISTURBED = "ours, undisturbed"

_COMMANDS: Mapping[str, Command] = {
    OURS: peers.ours,
    UNDISTURBED: peers.ours,
    SEED: peers.seed,
    "upload_fileobj": peers.fileobj,
    COPYURL: peers.copyurl,
    COPYTO: peers.copyto,
    "aws s3 cp - (from curl)": peers.aws_cp,
}


class Name(StrEnum):
    """The name of a case, as `--case` takes it."""

    UNTHROTTLED = "unthrottled"
    THROTTLED = "throttled"
    DELAYED = "delayed"
    CUT = "cut"
    SMALL = "small"
    SMALL_DELAYED = "small-delayed"
    HUGE = "huge"
    PROOF = "proof"


@dataclass(frozen=True, slots=True)
class Case:
    """One way of serving, and who takes part.

    `served` is the first segment of the addresses. `small` is how many of the small files are moved; 0 means the large
    one.
    """

    name: Name
    title: str
    served: str
    entrants: tuple[str, ...]
    small: int = 0
    note: str = ""

    def command(self, entrant: str) -> Command:
        """The command of an entrant."""
        return _COMMANDS[entrant]

    def job(self, entrant: str, files: Files, source_url: str) -> Job:
        """What an entrant is told to move."""
        served = "plain" if entrant == UNDISTURBED else self.served
        base = f"{source_url}/{served}"
        return Job(base, files.small[: self.small], "small") if self.small else Job(base, (files.big,))

    def length(self, files: Files) -> int:
        """What an entrant has to move (bytes)."""
        return len(files.small[: self.small]) * SMALL_LENGTH if self.small else files.big_length


CASES = (
    Case(Name.UNTHROTTLED, "one file, unthrottled", "plain", tuple(name for name in _COMMANDS if name != UNDISTURBED)),
    Case(
        Name.THROTTLED,
        "the same at 20 MiB/s a connection",
        "throttled",
        (OURS, SEED, COPYTO),
        note="Peers with one connection are all bound to its 20 MiB/s: the seed stands for them.",
    ),
    Case(
        Name.DELAYED,
        "the same with 40 ms of delay for each request",
        "delayed",
        (OURS, UNDISTURBED, COPYTO),
        note="The goal compares the engine with itself; one peer with several requests is shown beside it.",
    ),
    Case(
        Name.CUT,
        "the same with 1 % of the responses cut, and at least one a run",
        "cut",
        (OURS, UNDISTURBED, COPYTO),
        note="Only clients with several requests are sure to meet a cut: the peers with a single one are left out.",
    ),
    Case(
        Name.SMALL,
        "many files of 300 KB",
        "plain",
        (OURS, SEED, COPYTO),
        small=1000,
        note="rclone lists the folder and copies it with its 4 transfers.",
    ),
    Case(
        Name.SMALL_DELAYED,
        "250 of them with 40 ms of delay for each request, as far as a cloud is away",
        "delayed",
        (OURS, SEED),
        small=250,
        note="No goal is set for it: it shows what several media in flight are for, which a loopback hides.",
    ),
)
