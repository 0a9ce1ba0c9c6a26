"""`cloud-sync doctor`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from core.cli.options import AsJson
from core.cli.places import telling_errors_of_aws
from core.cli.terminal import Exit, answering, out
from core.errors import InvalidInput
from core.model import printable
from core.providers import registry
from core.providers.base import ProviderSettings

if TYPE_CHECKING:
    from core.doctor import Check

_STYLES = {"ok": "green", "warning": "yellow", "problem": "red", "not checked": "magenta"}


def doctor(
    stack: Annotated[str | None, typer.Option("--stack", help="Deployed stack.")] = None, as_json: AsJson = False
) -> None:
    """Look at every part of a deployed stack, and say what to do where something is wrong. It changes nothing.

    Exit codes: 0 no problem was found, 1 there is one, 4 there is none, but something could not be checked; others as
    of sync.
    """
    with answering("gopro"):
        checks = _examine(stack)
    if as_json:
        out.print_json(json.dumps({"stack": stack, "checks": [one.to_json() for one in checks]}), ensure_ascii=True)
    else:
        _print(f"{stack}", checks)
    levels = {one.level.value for one in checks}
    if "problem" in levels:
        raise typer.Exit(Exit.PARTIAL_FAILURE)
    raise typer.Exit(Exit.FAULT if "not checked" in levels else Exit.OK)


def _examine(name: str | None) -> list[Check]:
    if not name:
        raise InvalidInput("Name the deployed stack with --stack.")
    import boto3

    from core.credentials.secretsmanager import SecretsManagerCredentials
    from core.doctor import SignIn, StackDoctor
    from core.stacks import describe
    from core.tracker.dynamodb import DynamoTracker

    with telling_errors_of_aws():
        session = boto3.Session()
        stack = describe(session.client("cloudformation"), name)
        store = SecretsManagerCredentials(session.client("secretsmanager"), stack.outputs["CredentialsSecretArn"])
        tracker = DynamoTracker(session.client("dynamodb"), stack.outputs["SyncTrackerTableName"])
        settings = ProviderSettings(store, tracker, stack.parameters.get("GoProApiUrl") or None)
        doctor = StackDoctor(session, stack, SignIn(registry.create("gopro", settings), store, tracker))
        return list(doctor.examine())


def _print(stack: str, checks: Sequence[Check]) -> None:
    table = Table("", "part", Column("seen; what to do", overflow="fold"), title=escape(stack), title_justify="left")
    for one in checks:
        told = printable(one.saw)
        told += f"\n→ {printable(one.remedy)}" if one.remedy else ""
        style = _STYLES[one.level.value]
        table.add_row(f"[{style}]{one.level}[/]", one.part, escape(told))
    out.print(table)
