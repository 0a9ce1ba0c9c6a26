"""`cloud-sync sync` and `plan`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.archive.folder import FolderArchive
from core.cli.options import (
    DEFAULT_CREDENTIALS,
    ApiUrl,
    AsJson,
    CredentialsFile,
    FullScan,
    MaxItems,
    MediaIds,
    ProviderName,
    Target,
)
from core.cli.places import (
    STATE_FOLDER,
    new_run,
    only_process,
    open_target,
    provider_of,
    require_parent,
    tracker_to_read,
)
from core.cli.terminal import Exit, answering, err, out
from core.credentials.file import FileCredentials
from core.errors import InvalidInput
from core.sync.local import LocalSync
from core.sync.request import SyncRequest
from core.tracker.sqlite import SqliteTracker

if TYPE_CHECKING:
    from core.cost import Estimate
    from core.sync.plan import Plan
    from core.sync.summarize import Summary


def sync(
    to: Target,
    credentials: CredentialsFile = DEFAULT_CREDENTIALS,
    provider: ProviderName = "gopro",
    api_url: ApiUrl = None,
    workers: Annotated[int, typer.Option("--workers", min=1, max=32, help="Media transferred at once.")] = 4,
    max_items: MaxItems = None,
    media_id: MediaIds = None,
    full_scan: FullScan = False,
    as_json: AsJson = False,
) -> None:
    """Bring everything that is new into a local folder.

    Run it again and it moves nothing; interrupt it and it goes on where it was.
    Exit codes: 0 nothing failed, 1 some media failed, 2 wrong usage, 3 credentials rejected, 4 another fault,
    130 interrupted.
    """
    from core.cli.view import Progress, print_failure, print_summary

    request = SyncRequest(provider, full_scan, max_items, tuple(media_id) if media_id else None)
    with answering(provider), _only_sync(to, credentials), Progress(err, quiet=as_json) as progress:
        tracker, archive = open_target(to)
        _require_tracker(tracker, archive, provider)
        archive.clean_partials()
        tracker.forget_leases()
        cloud = provider_of(provider, FileCredentials(credentials), tracker, api_url)
        driver = LocalSync(cloud, tracker, archive, workers=workers, observer=progress)
        summary = driver.run(request, new_run())
    if as_json:
        out.print_json(json.dumps(summary.to_output()))
        print_failure(err, summary)
    else:
        print_summary(out, summary, to)
    raise typer.Exit(_exit_code(summary))


def plan(
    to: Target,
    credentials: CredentialsFile = DEFAULT_CREDENTIALS,
    provider: ProviderName = "gopro",
    api_url: ApiUrl = None,
    max_items: MaxItems = None,
    media_id: MediaIds = None,
    full_scan: FullScan = False,
    cost: Annotated[bool, typer.Option("--cost", help="Also say what the library would cost in S3.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what a sync would bring, and how many bytes; nothing is transferred or stored.

    Exit codes as of sync; 1 means that the listing was not proved whole.
    """
    from core.cli.cost_view import print_estimate
    from core.cli.view import PlanKeeper, print_plan

    request = SyncRequest(provider, full_scan, max_items, tuple(media_id) if media_id else None, dry_run=True)
    keeper = PlanKeeper()
    with answering(provider), tracker_to_read(to) as tracker:
        _require_tracker(tracker, FolderArchive(to), provider)
        cloud = provider_of(provider, FileCredentials(credentials), tracker, api_url)
        LocalSync(cloud, tracker, FolderArchive(to), observer=keeper).run(request, new_run())
        estimate = _cost_of_plan(keeper.plan, tracker) if cost else None
    if as_json:
        out.print_json(json.dumps(keeper.plan.to_json() | ({"cost": estimate.to_json()} if estimate else {})))
    else:
        print_plan(out, keeper.plan, to)
        if estimate:
            print_estimate(out, estimate)
    if keeper.plan.unseen:
        raise typer.Exit(Exit.PARTIAL_FAILURE)


@contextmanager
def _only_sync(to: Path, credentials: Path) -> Iterator[None]:
    """The only sync into a folder; `InvalidInput` if a backup was there and is not any more."""
    require_parent(to)
    marker = credentials.with_name("cloud-sync-folders") / sha256(str(to.resolve()).encode()).hexdigest()[:16]
    if marker.exists() and not (to / STATE_FOLDER).exists():
        raise InvalidInput(
            f"A backup was in {to}, and now there is none. Is its disk mounted? If it is to begin anew, remove {marker}"
        )
    with only_process(to):
        with suppress(OSError):
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.write_text(f"{to.resolve()}\n", encoding="utf-8")
        yield


def _require_tracker(tracker: SqliteTracker, archive: FolderArchive, provider: str) -> None:
    """`InvalidInput` if the tracker is lost."""
    from core.restore import tracker_is_lost

    if tracker_is_lost(tracker, archive, provider):
        raise InvalidInput(
            "The tracker knows of no medium, though some are archived, so that a sync would bring them all again. "
            "Rebuild it first, which moves nothing: cloud-sync reindex, with the same --to."
        )


def _exit_code(summary: Summary) -> Exit:
    if summary.failure:
        return Exit.CREDENTIALS_REJECTED if summary.failure.outcome == "credentials_rejected" else Exit.FAULT
    return Exit.PARTIAL_FAILURE if summary.status == "PARTIAL_FAILURE" else Exit.OK


def _cost_of_plan(plan: Plan, tracker: SqliteTracker) -> Estimate:
    """What it costs to archive all that a plan found and the folder holds in S3, and to keep it for a year."""
    from core.cost import ASSUMED, Holding, Workload, estimate, library_of

    library = library_of(tracker.records(plan.provider))
    known = plan.new - plan.without_length
    mean = plan.length_hint / known if known else library.mean_length or 0.0
    new = Holding(plan.new, plan.length_hint + plan.without_length * mean)
    workload = Workload(0, mean, waiting=library.archived + new)
    return estimate(workload, assumptions=replace(ASSUMED, originals=library.originals_a_medium))
