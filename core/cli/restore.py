"""`cloud-sync restore`, `ls`, `show` and `status`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.options import (
    ArchivedFrom,
    AsJson,
    Cameras,
    Folder,
    MediaIds,
    Names,
    ProviderName,
    Since,
    StackName,
    Until,
)
from core.cli.places import Backup, catalog_of, only_process, open_backup, require_parent
from core.cli.terminal import Exit, answering, err, out, say
from core.errors import InvalidInput, public_text
from core.model import counted

if TYPE_CHECKING:
    from core.restore import Selected, Selection


def restore(
    into: Annotated[Path, typer.Option("--into", help="Folder that files are brought into.", file_okay=False)],
    to: Folder = None,
    stack: StackName = None,
    provider: ArchivedFrom = "gopro",
    since: Since = None,
    until: Until = None,
    media_id: MediaIds = None,
    name: Names = None,
    camera: Cameras = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything that is archived.")] = False,
    tier: Annotated[str, typer.Option("--tier", help="How fast S3 restores: Bulk, Standard or Expedited.")] = "Bulk",
    days: Annotated[int, typer.Option("--days", min=1, help="Days for which S3 keeps what it restores.")] = 7,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until S3 has restored all, and bring it.")] = False,
    every: Annotated[float, typer.Option("--every", min=0.01, help="Minutes between two looks while waiting.")] = 15,
    only_status: Annotated[bool, typer.Option("--status", help="Only say how far it is.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether the price is right.")] = False,
    workers: Annotated[int, typer.Option("--workers", min=1, max=32, help="Files brought at once.")] = 8,
    as_json: AsJson = False,
) -> None:
    """Bring originals back from a folder (--to) or a deployed stack (--stack), verified byte for byte.

    What S3 keeps in an archive class is requested, after its price was shown; the same command later, or --wait, brings
    it. Nothing is requested or downloaded twice, whatever ended the command before.
    Exit codes: 0 all is here, 1 some could not be had, 5 S3 is still restoring some, others as of sync.
    """
    from core.cli.restore_view import Progress, print_report, print_situation
    from core.restore import TIERS, Restore, Target, quote, wanted

    with answering(provider), open_backup(to, stack) as backup, Progress(err, quiet=as_json) as progress:
        require_parent(into)
        if (tier := tier.capitalize()) not in TIERS:
            raise InvalidInput(f"--tier is one of {', '.join(TIERS)}.")
        selection = _selection(since, until, media_id, name, camera)
        if selection.is_everything != everything:
            raise InvalidInput("Say what to restore: --all, or some of --since, --until, --media-id, --name, --camera.")
        selected = catalog_of(backup, provider).select(selection)
        left_out = _say_what_is_left_out(backup, provider, selection, selected)
        originals = wanted(selected.entries)
        if not originals:
            raise InvalidInput(f"Nothing in {backup.place} is selected. See what there is: cloud-sync ls")
        driver = Restore(backup.retrieval, Target(into), tier=tier, days=days, workers=workers, watcher=progress)
        situation = driver.survey(originals)
        price = quote(situation.held, tier, days) if stack else None
        if only_status:
            told = situation.to_json() | (price.to_json() if price else {})
            out.print_json(json.dumps(told)) if as_json else print_situation(out, situation, price, backup.place, into)
            raise typer.Exit(Exit.WAITING if situation.groups()["requested"] else Exit.OK)
        if not (as_json and yes):
            print_situation(err, situation, price, backup.place, into)
        driver.require_room(situation)
        if price and situation.coming and not yes:
            _ask_to_go_on()
        with only_process(into):
            report = driver.carry_out(situation, wait_seconds=every * 60 if wait else None)
    if as_json:
        told = report.to_json() | {"catalog_unreadable": list(selected.unreadable), "left_out": left_out}
        out.print_json(json.dumps(told))
    else:
        print_report(out, report, into)
    if report.troubles or selected.unreadable or left_out:
        raise typer.Exit(Exit.PARTIAL_FAILURE)
    raise typer.Exit(Exit.WAITING if report.counts["waiting"] else Exit.OK)


def list_media(
    to: Folder = None,
    stack: StackName = None,
    provider: ArchivedFrom = "gopro",
    since: Since = None,
    until: Until = None,
    media_id: MediaIds = None,
    name: Names = None,
    camera: Cameras = None,
    as_json: AsJson = False,
) -> None:
    """List what is archived, from the catalog.

    Exit codes: 0 this is all, 1 some entries of the catalog cannot be read or are not there, others as of sync.
    """
    from core.cli.restore_view import entry_json, print_entries

    with answering(provider), open_backup(to, stack) as backup:
        selection = _selection(since, until, media_id, name, camera)
        selected = catalog_of(backup, provider).select(selection)
        left_out = _say_what_is_left_out(backup, provider, selection, selected)
    if as_json:
        sys.stdout.write(json.dumps([entry_json(one) for one in selected.entries], indent=1) + "\n")
    else:
        print_entries(sys.stdout, selected.entries)
    if selected.unreadable or left_out:
        raise typer.Exit(Exit.PARTIAL_FAILURE)


def show(
    media_id: Annotated[str, typer.Argument(help="Id of the medium, as ls tells it.", metavar="ID")],
    to: Folder = None,
    stack: StackName = None,
    provider: ArchivedFrom = "gopro",
    as_json: AsJson = False,
) -> None:
    """Say all that is known of one medium, and how its originals are held now."""
    from core.cli.restore_view import print_medium, shown_json

    with answering(provider), open_backup(to, stack) as backup, backup.tracker() as tracker:
        entry = catalog_of(backup, provider).entry(media_id)
        held = backup.retrieval.look([one.stored for one in entry.originals])
        record = tracker.get(provider, [media_id]).get(media_id)
        places = [backup.archive.location(one.stored.key) for one in entry.originals]
    if as_json:
        out.print_json(json.dumps(shown_json(entry, held, record)))
    else:
        print_medium(out, entry, held, record, places)


def status(
    to: Folder = None, stack: StackName = None, provider: ProviderName = "gopro", as_json: AsJson = False
) -> None:
    """Say how the backup stands: media by status, bytes, what failed or waits, the last report and the last run."""
    from core.cli.restore_view import print_standing
    from core.restore import standing

    with answering(provider), open_backup(to, stack) as backup, backup.tracker() as tracker:
        told = standing(tracker, backup.archive, backup.retrieval, provider)
        newest = backup.newest_run()
    if as_json:
        execution = {"newest_execution": newest and newest.to_json()} if stack else {}
        out.print_json(json.dumps(told.to_json() | execution))
    else:
        print_standing(out, told, newest, backup.place)


def _say_what_is_left_out(backup: Backup, provider: str, selection: Selection, selected: Selected) -> list[str]:
    """Say what the catalog should tell of and does not: entries that cannot be read, and those that are not there.

    Of the second, which are given back, nobody knows whether they would be selected.
    """
    from core.cli.restore_view import say_some, say_unreadable
    from core.restore import untold

    say_unreadable(selected.unreadable)
    if selected.undecided:
        media = counted(selected.undecided, "medium", "media")
        say(f"Of unknown camera or time, so maybe meant and left out: {media}. Name them by --media-id or --name.")
    if selection.media_ids:
        return []
    try:
        with backup.tracker() as tracker:
            left_out = untold(selection, selected, tracker, backup.archive, provider)
    except Exception as error:  # whatever it is, it keeps nothing from coming back
        say(f"Whether the catalog is whole could not be checked: {public_text(error)}")
        return []
    say_some(left_out, "cloud-sync verify --repair, with the same --to or --stack, has the catalog mended.")
    return left_out


def _selection(
    since: str | None,
    until: str | None,
    media_ids: list[str] | None,
    names: list[str] | None,
    cameras: list[str] | None,
) -> Selection:
    from core.restore import Selection, first_day, last_day

    first, last = first_day(since) if since else None, last_day(until) if until else None
    if first and last and last < first:
        raise InvalidInput(f"Nothing lies between {since} and {until}: --since is to be the earlier.")
    return Selection(
        since=first,
        until=last,
        media_ids=tuple(media_ids or ()),
        names=tuple(names or ()),
        cameras=tuple(cameras or ()),
    )


def _ask_to_go_on() -> None:
    if not sys.stdin.isatty():
        raise InvalidInput("This costs money, and there is nobody to ask. Add --yes if the price is right.")
    typer.confirm("Go on?", abort=True, err=True)
