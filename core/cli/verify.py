"""`cloud-sync verify` and `reindex`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.archive.folder import FolderArchive
from core.archive.folder_inventory import FolderInventory
from core.cli.options import AsJson, Folder, ProviderName, StackName
from core.cli.places import (
    STATE_FOLDER,
    asking_stack,
    can_be_written,
    new_run,
    only_process,
    open_target,
    require_backup,
    tracker_to_read,
)
from core.cli.terminal import Exit, answering, err, out
from core.errors import InvalidInput

if TYPE_CHECKING:
    from core.cli.view import Counter
    from core.verify import Verifier


def verify(
    to: Folder = None,
    stack: StackName = None,
    provider: ProviderName = "gopro",
    checksums: Annotated[
        bool, typer.Option("--checksums", help="Ask for every checksum: a folder's files are read for it.")
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Queue for the next sync what is missing or damaged.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare archive, catalog and tracker, of a folder (--to) or of a deployed stack (--stack).

    No original is moved, restored or deleted, and none is read but with --checksums in a folder.
    Exit codes: 0 all is well, 1 something is wrong or was until it was repaired, others as of sync.
    """
    from core.cli.view import Counter, print_findings
    from core.verify import Verification

    request = Verification(provider, checksums, repair)
    with answering(provider), Counter(err, quiet=as_json) as counter, _verifier(to, stack, counter, repair) as verifier:
        report, findings = verifier.verify(request, new_run())
    if as_json:
        told = report.summary() | {"first": [one.to_json() for one in findings]}
        out.print_json(json.dumps(told), ensure_ascii=True)
    else:
        print_findings(out, report, findings, f"{to or stack}")
    raise typer.Exit(Exit.PARTIAL_FAILURE if findings else Exit.OK)


def reindex(
    to: Folder = None, stack: StackName = None, provider: ProviderName = "gopro", as_json: AsJson = False
) -> None:
    """Rebuild a tracker that was lost from the archive and its catalog alone; records that are there stay.

    Exit codes: 0 every medium is recorded as archived, 1 some wait for the next sync or need a look, others as of sync.
    """
    from core.cli.view import Counter, print_reindexed
    from core.verify import Repair, Verification

    request = Verification(provider, repair=True, untracked=True)
    with answering(provider), Counter(err, quiet=as_json) as counter, _verifier(to, stack, counter, True) as verifier:
        report, findings = verifier.verify(request, new_run())
    left = [one for one in findings if one.repair is not Repair.TRACKED]
    if as_json:
        told = {"provider": provider, "media": report.media, "recorded": len(findings) - len(left)}
        out.print_json(json.dumps(told | {"findings": [one.to_json() for one in left]}), ensure_ascii=True)
    else:
        print_reindexed(out, report, left)
    raise typer.Exit(Exit.PARTIAL_FAILURE if left else Exit.OK)


@contextmanager
def _verifier(to: Path | None, stack: str | None, counter: Counter, writes: bool) -> Iterator[Verifier]:
    """The backup in a folder or of a stack, ready to be verified; a disk that cannot be written only if nothing is."""
    from core.verify import Verifier

    if to is not None and stack is None:
        require_backup(to)
        if not (writes or can_be_written(to / STATE_FOLDER)):
            with tracker_to_read(to) as copy:
                archive = FolderArchive(to)
                yield Verifier(copy, archive, FolderInventory(to, archive), progress=counter)
            return
        with only_process(to):
            tracker, archive = open_target(to)
            yield Verifier(tracker, archive, FolderInventory(to, archive), progress=counter)
    elif stack is not None and to is None:
        from core.archive.s3 import S3Archive
        from core.archive.s3_inventory import S3Inventory

        with asking_stack(stack) as asked:
            archive_of_stack = S3Archive(asked.s3, asked.bucket)
            inventory = S3Inventory(asked.s3, asked.bucket, archive_of_stack)
            yield Verifier(asked.tracker, archive_of_stack, inventory, progress=counter)
    else:
        raise InvalidInput("Name one backup: a folder with --to, or a deployed stack with --stack.")
