"""`make chaos N=1000 SEED=…`: the fault campaign, and what it found."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.errors import FlakyStrategyDefinition
from hypothesis.stateful import run_state_machine_as_test
from rich.console import Console
from rich.table import Table

from tests.chaos.aws_proxy import AwsProxy
from tests.chaos.backends import Aws, Backend, Clients, OneMachine
from tests.chaos.model import Chaos, made
from tests.chaos.world import INVARIANTS, Ledger
from tests.emulator import Emulator
from tests.gopro_cloud import GoProCloud

#: Seeds from which a campaign goes on where hypothesis gives up.
_SEEDS = 5


def campaign(machine: type[Chaos], schedules: int, seed: int, steps: int) -> None:
    """Run so many schedules; the first that breaks an invariant is made as small as can be, and raised."""
    chosen = settings(
        max_examples=schedules,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        print_blob=False,
    )
    run_state_machine_as_test(hypothesis.seed(seed)(machine), settings=chosen)


def hold(machine: type[Chaos], schedules: int, seed: int, steps: int) -> tuple[list[str], BaseException] | None:
    """The minimal failing schedule and its error, or None.

    What threads do is not the same each time. Where that leads hypothesis to give up, and nothing has failed, the rest
    is run from the next seed.
    """
    failure: Exception | None = None
    for again in range(_SEEDS):
        left = schedules - machine.ledger.schedules
        if left <= 0:
            return None
        try:
            campaign(machine, left, seed + again, steps)
        except Exception as error:
            failure = error
            if machine.broken or not isinstance(error, FlakyStrategyDefinition):
                break
            sys.stderr.write(f"hypothesis gives up after {machine.ledger.schedules} schedules; on from the next seed\n")
        else:
            return None
    return machine.broken or (["(the model itself failed)"], failure or RuntimeError("no schedule was run"))


def _table(title: str, rows: Counter[str], names: dict[str, str] | None = None) -> Table:
    table = Table(title=title, title_justify="left", show_header=False)
    for name, count in sorted(rows.items()):
        table.add_row(f"{name}  {names[name]}" if names else name, f"{count:,}")
    return table


def main() -> int:
    """Run the campaign; 0 if everything held."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--schedules", type=int, default=1000, help="schedules over SQLite and a folder")
    parser.add_argument("--aws", type=int, default=None, help="schedules over DynamoDB and S3 (a fifth of those)")
    parser.add_argument("--steps", type=int, default=10, help="steps of a schedule")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else int(time.time())
    console = Console(width=None if sys.stdout.isatty() else 140)
    on_aws = options.aws if options.aws is not None else options.schedules // 5
    with ExitStack() as stack:
        cloud = stack.enter_context(GoProCloud([]))
        places: list[tuple[str, int, Callable[[], Backend], AwsProxy | None]] = []
        if options.schedules:
            places.append((OneMachine.name, options.schedules, OneMachine, None))
        if on_aws:
            emulator = stack.enter_context(Emulator())
            proxy = stack.enter_context(AwsProxy(emulator, seed))
            direct, disturbed = Clients.of(emulator.client), Clients.of(proxy.client)
            places.append((Aws.name, on_aws, lambda: Aws(direct, disturbed), proxy))
        is_good = True
        for name, schedules, backend, proxied in places:
            ledger = Ledger()
            began = time.monotonic()
            found = hold(made("Chaos", cloud, ledger, backend, proxied), schedules, seed, options.steps)
            _report(console, name, ledger, time.monotonic() - began, seed)
            if found:
                is_good = False
                _tell(console, *found)
    return 0 if is_good else 1


def _report(console: Console, name: str, ledger: Ledger, seconds: float, seed: int) -> None:
    console.rule(f"{name}: {ledger.schedules:,} schedules in {seconds:,.0f} s, seed {seed}")
    console.print(_table("steps", ledger.steps))
    console.print(_table("faults injected", ledger.faults))
    console.print(_table("invariants held: checks", ledger.checks, INVARIANTS))


def _tell(console: Console, steps: list[str], error: BaseException) -> None:
    console.print("[red]An invariant is broken.[/red] The minimal schedule:")
    for step in steps:
        console.print(f"  {step}", markup=False, highlight=False)
    console.print(str(error), markup=False, style="red")


if __name__ == "__main__":
    sys.exit(main())
