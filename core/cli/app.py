"""The commands of `cloud-sync`, by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated

import typer

from core.cli.auth import auth
from core.cli.cost import cost
from core.cli.doctor import doctor
from core.cli.report import report
from core.cli.restore import list_media, restore, show, status
from core.cli.run import run
from core.cli.sync import plan, sync
from core.cli.terminal import out
from core.cli.verify import reindex, verify

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS: dict[str, Callable[..., None]] = {
    "sync": sync,
    "plan": plan,
    "verify": verify,
    "reindex": reindex,
    "restore": restore,
    "ls": list_media,
    "show": show,
    "status": status,
    "report": report,
    "cost": cost,
    "doctor": doctor,
}
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)
app.add_typer(auth, name="auth")
app.add_typer(run, name="run")


def _say_version(asked: bool) -> None:
    if asked:
        out.print(f"cloud-sync {version('cloud-sync')}", highlight=False)
        raise typer.Exit


@app.callback()
def main_options(
    _: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """Back up a cloud media library, every original byte for byte."""


def main() -> None:
    """Entry point of `cloud-sync`."""
    app(prog_name="cloud-sync")
