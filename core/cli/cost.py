"""`cloud-sync cost`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.options import AsJson, ProviderName
from core.cli.places import asking_stack, tracker_to_read
from core.cli.terminal import answering, out
from core.errors import InvalidInput

if TYPE_CHECKING:
    from core.cost import Holding, Library


def cost(
    videos_per_month: Annotated[float | None, typer.Option(min=0, help="New videos a month.")] = None,
    videos_per_day: Annotated[float | None, typer.Option(min=0, help="The same, a day; 30 days are a month.")] = None,
    gb_per_video: Annotated[
        float | None, typer.Option(min=0.001, help="GB of a video; if not told, as in the library, else 4.")
    ] = None,
    months: Annotated[int, typer.Option(min=1, max=120, help="How far to reckon.")] = 12,
    library_videos: Annotated[float | None, typer.Option(min=0, help="Videos that come in the first month.")] = None,
    library_gb: Annotated[float | None, typer.Option(min=0, help="Their GB.")] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="Reckon with what this backup holds, as if it were to come.")
    ] = None,
    stack: Annotated[str | None, typer.Option("--stack", help="Reckon with the library of this stack.")] = None,
    provider: ProviderName = "gopro",
    keep_days: Annotated[int | None, typer.Option(min=1, help="Delete what is older; if not told, never.")] = None,
    archive_after_days: Annotated[int, typer.Option(min=0, help="The template's ArchiveAfterDays.")] = 7,
    customer_key: Annotated[bool, typer.Option("--customer-key", help="CustomerKey=true.")] = False,
    webhook: Annotated[bool, typer.Option("--webhook", help="WebhookSecretArn is set.")] = False,
    memory: Annotated[int | None, typer.Option(min=512, max=10240, help="MB of the transfer function.")] = None,
    no_free_tier: Annotated[bool, typer.Option("--no-free-tier", help="What is free is used up already.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what the deployed workflow and its archive cost, by service and by month, and what that assumes.

    The library is told by numbers, or read from a folder (--to) or a deployed stack (--stack).
    """
    from core.cli.cost_view import print_estimate
    from core.cost import ASSUMED, DESIGN, Holding, Workload, estimate
    from core.prices import DAYS_OF_A_MONTH, GB

    with answering(provider):
        if videos_per_day is not None and videos_per_month is not None:
            raise InvalidInput("Tell new videos a day or a month, not both.")
        library = _library(to, stack, provider)
        length = gb_per_video * GB if gb_per_video else library.mean_length or 4 * GB
        arriving = videos_per_month or (videos_per_day or 0) * DAYS_OF_A_MONTH
        archived, waiting = library.archived, _waiting(library, length, library_videos, library_gb)
        if to is not None:  # what lies in a folder is not in S3: all of it would have to come
            archived, waiting = Holding(), archived + waiting
        workload = Workload(arriving, length, months, archived, waiting, keep_days)
        if not (arriving or waiting.videos or archived.videos):
            raise InvalidInput("Nothing to reckon with. Tell --videos-per-month, --library-gb, --to or --stack.")
        design = replace(
            DESIGN,
            archive_after_days=archive_after_days,
            keys=int(customer_key),
            transfer_memory=memory or DESIGN.transfer_memory,
        )
        if webhook:
            design = design.with_webhook()
        assumptions = replace(ASSUMED, originals=library.originals_a_medium, free_tier=not no_free_tier)
        found = estimate(workload, design, assumptions)
    if as_json:
        out.print_json(json.dumps(found.to_json()))
    else:
        print_estimate(out, found)


def _library(to: Path | None, stack: str | None, provider: str) -> Library:
    """The library of a backup or of a stack; an empty one if neither is named."""
    from core.cost import library_of

    if to is not None and stack is not None:
        raise InvalidInput("Name one library: a backup with --to, or a deployed stack with --stack.")
    if to is not None:
        with tracker_to_read(to) as tracker:
            return library_of(tracker.records(provider))
    if stack is None:
        return library_of(())
    with asking_stack(stack) as asked:
        return library_of(asked.tracker.records(provider))


def _waiting(library: Library, length: float, videos: float | None, gb: float | None) -> Holding:
    """What comes first: as told, else what the tracker knows of."""
    from core.cost import Holding
    from core.prices import GB

    if videos is None and gb is None:
        return Holding(library.waiting, library.waiting * length)
    if videos is None:
        videos = (gb or 0) * GB / length
    return Holding(videos, videos * length if gb is None else gb * GB)
