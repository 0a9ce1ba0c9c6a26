"""The tables of docs/cost.md: `python -m scripts.cost_tables seed|memory|choices`; `write` writes them all anew."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from core import prices
from core.cost import ASSUMED, DESIGN, Design, Estimate, Workload, estimate, transfer
from core.prices import GB

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "cost.md"

#: A command in the document, and what it prints, in a block or as a table.
_PRINTED = (
    re.compile(r"(?<=^```\n\$ )(?P<command>cloud-sync .+\n)(?P<printed>(?s:.*?))(?=^```)", re.MULTILINE),
    re.compile(r"(?P<command>`python -m scripts\.cost_tables \w+`.*\n\n)(?P<printed>(?:\|.*\n)+)"),
)

SEED = Workload(videos_a_month=3000, video_length=4 * GB)
NOTHING_FREE = replace(ASSUMED, free_tier=False)

#: The seed's summary of its phase 4, by the services that it names; None where it gives no figure.
SEEDS_OWN = (
    ("storage: S3, DynamoDB", "20 to 50", ("S3 storage", "S3 requests", "DynamoDB")),
    ("security: KMS, secret", "1", ("KMS", "Secrets Manager")),
    ("Lambda", "150", ("Lambda",)),
    ("orchestration", "0.75", ("Step Functions", "Scheduler")),
    ("metrics, logs, traces, messages", "not counted", ("CloudWatch", "X-Ray", "SNS")),
)


def seed() -> None:
    """The seed's figures beside three estimates."""
    kept = estimate(SEED)
    at_once = estimate(SEED, replace(DESIGN, archive_after_days=0))
    deleted = estimate(replace(SEED, keep_days=90))
    columns = [(kept, 2), (at_once, 2), (deleted, 11)]
    rows = [
        [name, told, *(_usd(sum(of.usd(month, service=one) for one in services)) for of, month in columns)]
        for name, told, services in SEEDS_OWN
    ]
    rows.append(["all", "about 172", *(_usd(of.usd(month)) for of, month in columns)])
    rows.append(["all but storage", "about 152", *(_usd(of.usd(month, storage=False)) for of, month in columns)])
    _print(
        ("USD a month", "the seed", "month 3", "month 3, ArchiveAfterDays=0", "month 12, deleted after 90 days"), rows
    )


def memory() -> None:
    """What the memory of the transfer function changes, at the seed's workload."""
    rows = []
    for megabytes in (512, 1024, DESIGN.transfer_memory, 3008, 5120):
        design = replace(DESIGN, transfer_memory=megabytes)
        video = transfer(SEED.video_length, design)
        free, paid = estimate(SEED, design), estimate(SEED, design, NOTHING_FREE)
        cells = (
            f"{megabytes / 1769:.2f}",
            f"{video.seconds:.0f}",
            f"{video.parts:.0f}",
            _usd(paid.usd(11, service="S3 requests")),
            *(_usd(one) for of in (paid, free) for one in (of.usd(11, service="Lambda"), of.usd(11, storage=False))),
        )
        rows.append([f"{megabytes:,}", *cells])
    heads = ("MB", "vCPU", "s a video", "parts", "S3 requests", "Lambda", "all but storage")
    _print((*heads, "Lambda, free tier", "all but storage, free tier"), rows)


def choices() -> None:
    """What an owner can change, at the seed's workload."""
    month = SEED.videos_a_month * SEED.video_length / GB
    nat = prices.NAT_HOUR * prices.HOURS_OF_A_MONTH + prices.NAT_GB * month
    rows = [
        _choice("nothing", estimate(SEED)),
        _choice("ArchiveAfterDays=0", estimate(SEED, replace(DESIGN, archive_after_days=0))),
        _choice("ArchiveAfterDays=30", estimate(SEED, replace(DESIGN, archive_after_days=30))),
        _choice("CustomerKey=true", _with(keys=1)),
        _choice("WebhookSecretArn, a secret, a function and an alarm more", estimate(SEED, DESIGN.with_webhook())),
        _choice("Architecture=x86_64", _with(architecture="x86_64")),
        _choice("a pager (PagerUrl of template-insights.yaml)", _with(composite_alarms=1)),
        _choice("nothing, but no free tier is left", estimate(SEED, assumptions=NOTHING_FREE)),
        _choice("functions in a VPC behind one NAT gateway", estimate(SEED), more=nat),
    ]
    _print(("changed", "all but storage, month 12", "all, month 12", "all, 12 months"), rows)


def write() -> None:
    """Run every command of the document, and write down what it prints."""
    DOCUMENT.write_text(filled(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")


def filled(text: str) -> str:
    """The document with what its commands print now."""
    for pattern in _PRINTED:
        text = pattern.sub(lambda found: found["command"] + _run(found["command"]), text)
    return text


def _run(told: str) -> str:
    program, *arguments = told.split("`")[1].split() if "`" in told else told.split()
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=DOCUMENT.parent.parent)
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())


def _with(**changed: object) -> Estimate:
    design: Design = replace(DESIGN, **changed)  # type: ignore[arg-type]
    return estimate(SEED, design)


def _choice(name: str, found: Estimate, more: float = 0.0) -> list[str]:
    sums = (found.usd(11, storage=False) + more, found.usd(11) + more, found.total + 12 * more)
    return [name, *map(_usd, sums)]


def _usd(value: float) -> str:
    return f"{value:,.2f}"


def _print(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    for row in (heads, ["---", *["---:"] * (len(heads) - 1)], *rows):
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    {"seed": seed, "memory": memory, "choices": choices, "write": write}[sys.argv[1]]()
