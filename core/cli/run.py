"""`cloud-sync run`: runs of a deployed stack."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.options import AsJson
from core.cli.places import telling_errors_of_aws
from core.cli.terminal import Exit, answering, err, out, say
from core.cli.view import RunProgress, print_summary
from core.errors import CloudSyncError, InvalidInput
from core.model import printable
from core.sync.request import SyncRequest
from core.sync.summarize import Summary

if TYPE_CHECKING:
    from core.executions import Execution, Executions

run = typer.Typer()

StackName = Annotated[str | None, typer.Option("--stack", help="Deployed stack.")]
RunName = Annotated[str | None, typer.Argument(help="Its name or ARN, if not the newest.", metavar="[EXECUTION]")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not follow it.")]


@run.callback(invoke_without_command=True)
def run_main(
    context: typer.Context,
    stack: StackName = None,
    request: Annotated[
        str, typer.Option("--input", help="Input as JSON: provider, full_scan, max_items, media_ids, dry_run.")
    ] = "{}",
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Start a run of a deployed stack and follow it to its end; or follow, stop or redrive one.

    Exit codes: 0 nothing failed (or it is started, with --no-wait), 1 some media failed, 2 wrong usage, 3 credentials
    rejected, 4 another fault, 130 the run was stopped, or only this command: then the run goes on.
    """
    if context.invoked_subcommand is not None:
        sources = [context.get_parameter_source(name) for name in context.params]
        if any(source and source.name == "COMMANDLINE" for source in sources):
            raise typer.BadParameter(f"Put the options behind the command: run {context.invoked_subcommand} …")
        return
    with _runs_of(stack) as runs:
        document = _request(request)
        beside = runs.executions.newest("RUNNING")
        if beside:
            say(f"The run {beside.name} is under way already; the two share the work.")
        arn = runs.executions.start(document)
        say(f"Started the run {arn.rpartition(':')[2]}.")
        _end(runs, arn, no_wait, as_json)


@run.command("follow")
def run_follow(name: RunName = None, stack: StackName = None, as_json: AsJson = False) -> None:
    """Follow a run to its end, or say how it ended. Exit codes as of run."""
    with _runs_of(stack) as runs:
        _end(runs, runs.executions.find(name).arn, False, as_json)


@run.command("redrive")
def run_redrive(
    name: RunName = None, stack: StackName = None, no_wait: NoWait = False, as_json: AsJson = False
) -> None:
    """Let a run that was stopped or timed out go on with the step that it was in, and follow it.

    A run that ended in SyncFailed would end there again: start a new one, which goes on from where it stopped.
    Exit codes as of run.
    """
    with _runs_of(stack) as runs:
        execution = runs.executions.find(name)
        runs.executions.redrive(execution)
        say(f"The run {execution.name} goes on.")
        _end(runs, execution.arn, no_wait, as_json)


@run.command("stop")
def run_stop(name: RunName = None, stack: StackName = None) -> None:
    """Stop a run. What is on its way ends within 15 minutes; nothing that is confirmed is lost.

    Exit codes: 0 it is stopped, others as of run.
    """
    with _runs_of(stack) as runs:
        execution = runs.executions.find(name, None if name else "RUNNING")
        runs.executions.stop(execution)
        say(f"Stopped the run {execution.name}. The next one goes on from here: cloud-sync run --stack {runs.stack}")


@dataclass(frozen=True, slots=True)
class _Runs:
    stack: str
    place: str
    executions: Executions


@contextmanager
def _runs_of(stack: str | None) -> Iterator[_Runs]:
    with answering("gopro"), telling_errors_of_aws():
        if not stack:
            raise InvalidInput("Name the deployed stack with --stack.")
        import boto3
        from botocore.config import Config

        from core.executions import Executions
        from core.stacks import outputs_of

        outputs = outputs_of(boto3.client("cloudformation"), stack)
        patient = Config(retries={"mode": "standard", "total_max_attempts": 8})
        executions = Executions(boto3.client("stepfunctions", config=patient), outputs.state_machine)
        yield _Runs(stack, f"s3://{outputs.bucket}", executions)


def _request(text: str) -> dict[str, object]:
    """The input as it is given, if the workflow will understand it."""
    try:
        document = json.loads(text)
    except ValueError:
        raise InvalidInput("--input must be JSON, for example '{\"max_items\": 10}'.") from None
    SyncRequest.from_json(document)
    unknown = sorted(document.keys() - SyncRequest().to_json().keys())
    if unknown:
        raise InvalidInput(f"--input knows no {', '.join(unknown)}, only {', '.join(SyncRequest().to_json())}.")
    return dict(document)


def _end(runs: _Runs, arn: str, no_wait: bool, as_json: bool) -> None:
    """Follow a run, say what it came to, and end with its exit code."""
    execution = runs.executions.look(arn) if no_wait else _follow(runs, arn, as_json)
    if as_json:
        out.print_json(json.dumps(execution.to_json()))
    elif execution.status == "SUCCEEDED":
        print_summary(out, Summary.from_json(execution.output), runs.place)
    elif execution.status == "RUNNING":
        say(f"Follow it: cloud-sync run follow --stack {runs.stack}")
    else:
        told = f"Run {execution.name}: {execution.status} {execution.error} {execution.cause}"
        out.print(printable(told.strip()), markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(_exit_code(execution))


def _follow(runs: _Runs, arn: str, as_json: bool) -> Execution:
    from botocore.exceptions import BotoCoreError, ClientError

    again = f"The run goes on. Follow it: cloud-sync run follow --stack {runs.stack}"
    try:
        with RunProgress(err, quiet=as_json) as progress:
            return runs.executions.follow(arn, progress)
    except KeyboardInterrupt:
        say(f"{again}, or stop it: cloud-sync run stop --stack {runs.stack}")
        raise typer.Exit(Exit.INTERRUPTED) from None
    except (ClientError, BotoCoreError) as error:
        code = error.response["Error"].get("Code") if isinstance(error, ClientError) else type(error).__name__
        raise CloudSyncError(f"AWS no longer tells of the run ({code}). {again}") from None


def _exit_code(execution: Execution) -> Exit:
    match execution.status, execution.error:
        case ("SUCCEEDED", _):
            return Exit.PARTIAL_FAILURE if execution.output.get("status") == "PARTIAL_FAILURE" else Exit.OK
        case ("RUNNING", _):
            return Exit.OK
        case ("ABORTED", _):
            return Exit.INTERRUPTED
        case (_, "CredentialsRejected"):
            return Exit.CREDENTIALS_REJECTED
        case (_, "InvalidInput"):
            return Exit.USAGE
        case _:
            return Exit.FAULT
