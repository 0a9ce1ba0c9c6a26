"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.errors import InvalidInput
from core.providers import registry

DEFAULT_CREDENTIALS = Path(typer.get_app_dir("cloud-sync", force_posix=True)) / "credentials.json"


Target = Annotated[
    Path,
    typer.Option("--to", help="Folder of the backup; made if it is not there, in a folder that is.", file_okay=False),
]
CredentialsFile = Annotated[
    Path, typer.Option("--credentials", help="File with the credentials (mode 600).", envvar="CLOUD_SYNC_CREDENTIALS")
]


def _known_provider(name: str) -> str:
    try:
        return registry.require(name)
    except InvalidInput as error:
        raise typer.BadParameter(str(error)) from None


ProviderName = Annotated[str, typer.Option("--provider", help="Which cloud.", callback=_known_provider)]
#: What was archived can be had back also where its provider is not installed.
ArchivedFrom = Annotated[str, typer.Option("--provider", help="Which cloud.")]
ApiUrl = Annotated[
    str | None,
    typer.Option("--api-url", help="Base of the provider's API, if not its own.", envvar="CLOUD_SYNC_API_URL"),
]
SecretOfStack = Annotated[
    str | None, typer.Option("--stack", help="Deployed stack whose secret is meant, in place of the file.")
]
ThenSync = Annotated[bool, typer.Option("--then-sync", help="Then start the stack's run that waits for credentials.")]
MaxItems = Annotated[int | None, typer.Option("--max-items", min=1, help="At most so many media in this run.")]
MediaIds = Annotated[list[str] | None, typer.Option("--media-id", help="Only this medium; may be given again.")]
Folder = Annotated[Path | None, typer.Option("--to", help="Folder of the backup.", file_okay=False)]
StackName = Annotated[str | None, typer.Option("--stack", help="Deployed stack, in place of a folder.")]
FullScan = Annotated[
    bool, typer.Option("--full-scan", help="List the whole library, as it is done once a week without being asked.")
]
Since = Annotated[
    str | None, typer.Option("--since", help="Captured then or later: 2026, 2026-03 or 2026-03-01 (UTC).")
]
Until = Annotated[
    str | None, typer.Option("--until", help="Captured then or earlier, that day, month or year included.")
]
Names = Annotated[list[str] | None, typer.Option("--name", help="Such a file name, * and ? allowed; again for more.")]
Cameras = Annotated[list[str] | None, typer.Option("--camera", help="Such a camera, as --name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON in place of a table.")]
