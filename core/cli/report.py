"""`cloud-sync report`."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from core.cli.options import AsJson, Folder, ProviderName, StackName
from core.cli.places import catalog_of, only_process, open_backup
from core.cli.terminal import Exit, answering, out
from core.tracker.sqlite import SqliteTracker

if TYPE_CHECKING:
    from core.report import Price


def report(
    to: Folder = None, stack: StackName = None, provider: ProviderName = "gopro", as_json: AsJson = False
) -> None:
    """Write the page of a backup and its gallery anew, from the catalog, and say where it is.

    Each run writes what it has touched; this also shows what a run that was killed did not come to. Nothing is fetched
    from the cloud, and no original is read.
    Exit codes: 0 all is shown, 1 some entries of the catalog cannot be read, others as of sync.
    """
    from core.cli.restore_view import say_unreadable
    from core.restore import Selection
    from core.sync.publish import publish_anew

    with answering(provider), open_backup(to, stack) as backup:
        with only_process(to) if to else nullcontext(), backup.tracker() as tracker:
            if isinstance(tracker, SqliteTracker):
                tracker.forget_leases()
            selected = catalog_of(backup, provider).select(Selection())
            page = publish_anew(selected.entries, provider, tracker, backup.archive, price=_price(stack))
        place = backup.archive.location(page)
    if as_json:
        out.print_json(json.dumps({"page": place, "media": len(selected.entries)}))
    else:
        out.print(place, markup=False, highlight=False, soft_wrap=True)
    say_unreadable(selected.unreadable)
    if selected.unreadable:
        raise typer.Exit(Exit.PARTIAL_FAILURE)


def _price(stack: str | None) -> Price | None:
    """What a stack's archive costs; a folder costs nothing."""
    if stack is None:
        return None
    import boto3

    from core.cost import DESIGN
    from core.report.price import monthly_price
    from core.stacks import describe

    told = describe(boto3.client("cloudformation"), stack).parameters
    days, has_key = int(told.get("ArchiveAfterDays", "7")), told.get("CustomerKey") == "true"
    return monthly_price(replace(DESIGN, archive_after_days=days, keys=int(has_key)))
