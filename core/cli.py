"""The command line `cloud-sync`: it reads options and the environment, wires `core` together and draws what happens."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from enum import IntEnum
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from filelock import FileLock, Timeout
from rich.console import Console

from core.archive.base import Archive
from core.archive.folder import FolderArchive
from core.archive.folder_inventory import FolderInventory
from core.archive.retrieval import Retrieval
from core.cli_paste import read_pasted
from core.credentials.base import CredentialStore
from core.credentials.browser import Browser, read_browser
from core.credentials.file import FileCredentials
from core.credentials.paste import read_paste
from core.errors import ApiShapeChanged, Cancelled, CloudSyncError, CredentialsRejected, InvalidInput, public_text
from core.model import Account, Json, printable, utc_now
from core.providers import registry
from core.providers.base import Provider, ProviderSettings
from core.sync.authenticate import explain
from core.sync.local import LocalSync
from core.sync.request import Run, SyncRequest
from core.tracker.base import Leases, SyncTracker
from core.tracker.sqlite import SqliteTracker

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from core.cli_view import Counter
    from core.cost import Estimate, Holding, Library
    from core.restore import Catalog, Selection
    from core.sync.plan import Plan
    from core.sync.summarize import Summary
    from core.tracker.dynamodb import DynamoTracker
    from core.verify import Verifier

STATE_FOLDER = ".cloud-sync"
DEFAULT_CREDENTIALS = Path(typer.get_app_dir("cloud-sync", force_posix=True)) / "credentials.json"
CACHE = DEFAULT_CREDENTIALS.with_name("catalog")

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
auth = typer.Typer(no_args_is_help=True)
app.add_typer(auth, name="auth")

out = Console(emoji=False, width=None if sys.stdout.isatty() else 160)
err = Console(stderr=True, emoji=False)


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


class Exit(IntEnum):
    """Exit codes for scripts."""

    OK = 0
    PARTIAL_FAILURE = 1
    USAGE = 2
    CREDENTIALS_REJECTED = 3
    FAULT = 4
    WAITING = 5
    INTERRUPTED = 130


Target = Annotated[
    Path,
    typer.Option("--to", help="Folder of the backup; made if it is not there, in a folder that is.", file_okay=False),
]
CredentialsFile = Annotated[
    Path, typer.Option("--credentials", help="File with the credentials (mode 600).", envvar="CLOUD_SYNC_CREDENTIALS")
]
ProviderName = Annotated[str, typer.Option("--provider", help="Which cloud.")]
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


@app.command()
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
    from core.cli_view import Progress, print_failure, print_summary

    request = SyncRequest(provider, full_scan, max_items, tuple(media_id) if media_id else None)
    with _answering(provider), _only_sync(to), Progress(err, quiet=as_json) as progress:
        tracker, archive = _open_target(to)
        archive.clean_partials()
        tracker.forget_leases()
        cloud = _provider(provider, FileCredentials(credentials), tracker, api_url)
        driver = LocalSync(cloud, tracker, archive, workers=workers, observer=progress)
        summary = driver.run(request, _new_run())
    if as_json:
        out.print_json(json.dumps(summary.to_json()))
        print_failure(err, summary)
    else:
        print_summary(out, summary, to)
    raise typer.Exit(_exit_code(summary))


@app.command()
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
    from core.cli_view import PlanKeeper, print_plan

    request = SyncRequest(provider, full_scan, max_items, tuple(media_id) if media_id else None, dry_run=True)
    keeper = PlanKeeper()
    with _answering(provider), _tracker_to_read(to) as tracker:
        cloud = _provider(provider, FileCredentials(credentials), tracker, api_url)
        LocalSync(cloud, tracker, FolderArchive(to), observer=keeper).run(request, _new_run())
        estimate = _cost_of_plan(keeper.plan, tracker) if cost else None
    if as_json:
        out.print_json(json.dumps(keeper.plan.to_json() | ({"cost": estimate.to_json()} if estimate else {})))
    else:
        print_plan(out, keeper.plan, to)
        if estimate:
            _print_cost(estimate)
    if keeper.plan.unseen:
        raise typer.Exit(Exit.PARTIAL_FAILURE)


@app.command()
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
    from core.cli_view import Counter, print_findings
    from core.verify import Verification

    with _answering(provider), Counter(err, quiet=as_json) as counter, _verifier(to, stack, counter) as verifier:
        report, findings = verifier.verify(Verification(provider, checksums, repair), _new_run())
    if as_json:
        told = report.summary() | {"first": [one.to_json() for one in findings]}
        out.print_json(json.dumps(told), ensure_ascii=True)
    else:
        print_findings(out, report, findings, f"{to or stack}")
    raise typer.Exit(Exit.PARTIAL_FAILURE if findings else Exit.OK)


@app.command()
def reindex(
    to: Folder = None, stack: StackName = None, provider: ProviderName = "gopro", as_json: AsJson = False
) -> None:
    """Rebuild a tracker that was lost from the archive and its catalog alone; records that are there stay.

    Exit codes: 0 every medium is recorded as archived, 1 some wait for the next sync or need a look, others as of sync.
    """
    from core.cli_view import Counter, print_reindexed
    from core.verify import Repair, Verification

    request = Verification(provider, repair=True, untracked=True)
    with _answering(provider), Counter(err, quiet=as_json) as counter, _verifier(to, stack, counter) as verifier:
        report, findings = verifier.verify(request, _new_run())
    left = [one for one in findings if one.repair is not Repair.TRACKED]
    if as_json:
        told = {"provider": provider, "media": report.media, "recorded": len(findings) - len(left)}
        out.print_json(json.dumps(told | {"findings": [one.to_json() for one in left]}), ensure_ascii=True)
    else:
        print_reindexed(out, report, left)
    raise typer.Exit(Exit.PARTIAL_FAILURE if left else Exit.OK)


@app.command()
def restore(
    into: Annotated[Path, typer.Option("--into", help="Folder that files are brought into.", file_okay=False)],
    to: Folder = None,
    stack: StackName = None,
    provider: ProviderName = "gopro",
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
    from core.cli_restore_view import Progress, print_report, print_situation
    from core.restore import TIERS, Restore, Target, quote, wanted

    with _answering(provider), _open_backup(to, stack) as backup, Progress(err, quiet=as_json) as progress:
        if (tier := tier.capitalize()) not in TIERS:
            raise InvalidInput(f"--tier is one of {', '.join(TIERS)}.")
        selection = _selection(since, until, media_id, name, camera)
        if selection.is_everything != everything:
            raise InvalidInput("Say what to restore: --all, or some of --since, --until, --media-id, --name, --camera.")
        originals = wanted(_catalog(backup, provider).select(selection))
        if not originals:
            raise InvalidInput(f"Nothing in {backup.place} is selected. See what there is: cloud-sync ls")
        driver = Restore(backup.retrieval, Target(into), tier=tier, days=days, workers=workers, watcher=progress)
        situation = driver.survey(originals)
        price = quote(situation.held, tier, days) if stack else None
        if only_status:
            told = situation.to_json() | (price.to_json() if price else {})
            out.print_json(json.dumps(told)) if as_json else print_situation(out, situation, price, backup.place, into)
            raise typer.Exit(Exit.OK)
        if not (as_json and yes):
            print_situation(err, situation, price, backup.place, into)
        driver.require_room(situation)
        if price and situation.coming and not yes:
            _ask_to_go_on()
        with _only_process(into):
            report = driver.carry_out(situation, wait_seconds=every * 60 if wait else None)
    if as_json:
        out.print_json(json.dumps(report.to_json()))
    else:
        print_report(out, report, into)
    if report.troubles:
        raise typer.Exit(Exit.PARTIAL_FAILURE)
    raise typer.Exit(Exit.WAITING if report.counts["waiting"] else Exit.OK)


@app.command("ls")
def list_media(
    to: Folder = None,
    stack: StackName = None,
    provider: ProviderName = "gopro",
    since: Since = None,
    until: Until = None,
    media_id: MediaIds = None,
    name: Names = None,
    camera: Cameras = None,
    as_json: AsJson = False,
) -> None:
    """List what is archived, from the catalog."""
    from core.cli_restore_view import entry_json, print_entries

    with _answering(provider), _open_backup(to, stack) as backup:
        selection = _selection(since, until, media_id, name, camera)
        entries = _catalog(backup, provider).select(selection)
    if as_json:
        sys.stdout.write(json.dumps([entry_json(one) for one in entries], indent=1) + "\n")
    else:
        print_entries(sys.stdout, entries)


@app.command()
def show(
    media_id: Annotated[str, typer.Argument(help="Id of the medium, as ls tells it.", metavar="ID")],
    to: Folder = None,
    stack: StackName = None,
    provider: ProviderName = "gopro",
    as_json: AsJson = False,
) -> None:
    """Say all that is known of one medium, and how its originals are held now."""
    from core.cli_restore_view import print_medium, shown_json

    with _answering(provider), _open_backup(to, stack) as backup, backup.tracker() as tracker:
        entry = _catalog(backup, provider).entry(media_id)
        held = backup.retrieval.look([one.stored for one in entry.originals])
        record = tracker.get(provider, [media_id]).get(media_id)
        places = [backup.archive.location(one.stored.key) for one in entry.originals]
    if as_json:
        out.print_json(json.dumps(shown_json(entry, held, record)))
    else:
        print_medium(out, entry, held, record, places)


@app.command()
def status(
    to: Folder = None, stack: StackName = None, provider: ProviderName = "gopro", as_json: AsJson = False
) -> None:
    """Say how the backup stands: media by status, bytes, what failed or waits, and the last run."""
    from core.cli_restore_view import print_standing
    from core.restore import standing

    with _answering(provider), _open_backup(to, stack) as backup, backup.tracker() as tracker:
        told = standing(tracker, backup.archive, backup.retrieval, provider)
    if as_json:
        out.print_json(json.dumps(told.to_json()))
    else:
        print_standing(out, told, backup.place)


@app.command("cost")
def cost_command(
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
    memory: Annotated[int | None, typer.Option(min=512, max=10240, help="MB of the transfer function.")] = None,
    no_free_tier: Annotated[bool, typer.Option("--no-free-tier", help="What is free is used up already.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what the deployed workflow and its archive cost, by service and by month, and what that assumes.

    The library is told by numbers, or read from a folder (--to) or a deployed stack (--stack).
    """
    from core.cost import ASSUMED, DESIGN, Holding, Workload, estimate
    from core.prices import DAYS_OF_A_MONTH, GB

    with _answering(provider):
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
        assumptions = replace(ASSUMED, originals=library.originals_a_medium, free_tier=not no_free_tier)
        found = estimate(workload, design, assumptions)
    if as_json:
        out.print_json(json.dumps(found.to_json()))
    else:
        _print_cost(found)


@auth.callback(invoke_without_command=True)
def auth_main(
    context: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="Ask the provider whether what is stored is good.")] = False,
    from_browser: Annotated[
        Browser | None, typer.Option("--from-browser", help="Store the cookies of a browser that is signed in.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", help="The browser's profile, name or folder, if not the one used last.")
    ] = None,
    stack: SecretOfStack = None,
    then_sync: ThenSync = False,
    credentials: CredentialsFile = DEFAULT_CREDENTIALS,
    api_url: ApiUrl = None,
) -> None:
    """Store the credentials that a sync signs in with: `login` once where it works, else `set` or --from-browser.

    Exit codes: 0 the credentials are good, 2 wrong usage or nothing to read, 3 they are rejected, 4 it could not be
    found out, 130 interrupted.
    """
    if context.invoked_subcommand is not None:
        sources = [context.get_parameter_source(name) for name in context.params]
        if any(source and source.name == "COMMANDLINE" for source in sources):
            raise typer.BadParameter(f"Put the options behind the command: auth {context.invoked_subcommand} …")
        return
    if check == (from_browser is not None):
        raise typer.BadParameter("Give one of --check and --from-browser, or a command: login, set.")
    with _answering("gopro"), _credentials_place(credentials, stack, api_url) as place:
        if from_browser:
            _sign_in(place, read_browser(from_browser, profile))
            _start_waiting_run(place, then_sync)
        else:
            settings = ProviderSettings(place.store, place.leases, place.api_url)
            account = registry.create("gopro", settings).authenticate()
            _say(f"The credentials in {place.name} are good: {_size_of(account)}.")


@auth.command("login")
def auth_login(
    credentials: CredentialsFile = DEFAULT_CREDENTIALS,
    stack: SecretOfStack = None,
    api_url: ApiUrl = None,
) -> None:
    """Sign in once with a password, asked for and never stored; the refresh token that is kept renews itself.

    It needs a client id and secret of your own and does not work for accounts with two-factor authentication.
    """
    from core.providers.gopro.oauth import sign_in_with_password

    with _answering("gopro"), _credentials_place(credentials, stack, api_url) as place:
        client_id = typer.prompt("Client id")
        client_secret = typer.prompt("Client secret", hide_input=True, default="", show_default=False)
        username = typer.prompt("E-mail")
        password = typer.prompt("Password", hide_input=True)
        place.store.save(sign_in_with_password(place.api_url, client_id, client_secret, username, password))
        _say(f"Signed in; the refresh token is stored in {place.name}.")


@auth.command("set")
def auth_set(
    credentials: CredentialsFile = DEFAULT_CREDENTIALS,
    stack: SecretOfStack = None,
    then_sync: ThenSync = False,
    api_url: ApiUrl = None,
) -> None:
    """Try what a browser gives, and store it if it is good; it is pasted on a terminal or read from standard input.

    In Chrome and Firefox alike: sign in at gopro.com and open the media library. Press F12, tab Network, type
    api.gopro.com into the filter and load the page again. Right-click one of the requests: Copy (Chrome) or Copy Value
    (Firefox), then Copy as cURL, for whichever shell.

    A Cookie header does too, or the values of the cookies gp_access_token and gp_user_id (Chrome: tab Application,
    Firefox: tab Storage), or the JSON document that is stored. Exit codes as of auth.
    """
    with _answering("gopro"), _credentials_place(credentials, stack, api_url) as place:
        _sign_in(place, _ask_for_paste() if sys.stdin.isatty() else read_paste(sys.stdin.read()))
        _start_waiting_run(place, then_sync)


def _ask_for_paste() -> dict[str, Json]:
    _say(
        "At gopro.com, signed in: F12, Network, filter api.gopro.com, right-click a request, Copy as cURL. More ways: "
        "cloud-sync auth set --help"
    )
    document = read_paste(read_pasted("Paste it here and press Enter (nothing is shown): "))
    if document.keys() <= {"gp_access_token", "user_agent"}:
        document["gp_user_id"] = typer.prompt("gp_user_id", default="", show_default=False, err=True)
    return document


def _sign_in(place: _CredentialsPlace, document: dict[str, Json]) -> None:
    from core.sync.sign_in import sign_in

    with _no_tracker() as alone:
        signed_in = sign_in(
            document, place.store, utc_now(), provider_name="gopro", base_url=place.api_url, leases=alone
        )
    kept = "Stored in" if signed_in.is_new else "Nothing to store, it is already in"
    _say(f"Signed in: {_size_of(signed_in.account)}. {kept} {place.name}.")


def _size_of(account: Account) -> str:
    told = [f"account {printable(account.user_id)}" if account.user_id else ""]
    told += [f"{account.media_count:,} media" if account.media_count is not None else ""]
    told += [f"{account.total_length:,} bytes" if account.total_length is not None else ""]
    return ", ".join(filter(None, told))


def _start_waiting_run(place: _CredentialsPlace, wanted: bool) -> None:
    if not wanted:
        return
    if not place.state_machine:
        raise InvalidInput("--then-sync starts a run of a deployed stack: name it with --stack.")
    import boto3

    from core.stacks import start_waiting_run

    _say(start_waiting_run(boto3.client("stepfunctions"), place.state_machine))


@dataclass(frozen=True, slots=True)
class _CredentialsPlace:
    """Where credentials are kept, and what belongs to them there."""

    name: str
    store: CredentialStore
    leases: Leases
    api_url: str | None
    state_machine: str = ""


@contextmanager
def _credentials_place(path: Path, stack: str | None, api_url: str | None) -> Iterator[_CredentialsPlace]:
    """The secret of a stack, else the file."""
    if stack is None:
        with _no_tracker() as alone:
            yield _CredentialsPlace(str(path), FileCredentials(path), alone, api_url)
        return
    import boto3

    from core.credentials.secretsmanager import SecretsManagerCredentials
    from core.stacks import outputs_of
    from core.tracker.dynamodb import DynamoTracker

    with _telling_errors_of_aws():
        outputs = outputs_of(boto3.client("cloudformation"), stack)
        store = SecretsManagerCredentials(boto3.client("secretsmanager"), outputs.secret)
        leases = DynamoTracker(boto3.client("dynamodb"), outputs.table)
        name = f"the secret of {stack}"
        yield _CredentialsPlace(name, store, leases, api_url or outputs.api_url, outputs.state_machine)


@contextmanager
def _no_tracker() -> Iterator[SqliteTracker]:
    """Leases for a process that shares them with no other."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        yield SqliteTracker(Path(folder, "tracker.sqlite3"))


def _open_target(to: Path) -> tuple[SqliteTracker, FolderArchive]:
    state = to / STATE_FOLDER
    state.mkdir(parents=True, exist_ok=True)
    return SqliteTracker(state / "tracker.sqlite3"), FolderArchive(to)


@dataclass(frozen=True, slots=True)
class _Backup:
    """A backup that is there, to be read."""

    place: str
    archive: Archive
    retrieval: Retrieval
    tracker: Callable[[], AbstractContextManager[SyncTracker]]


@contextmanager
def _open_backup(to: Path | None, stack: str | None) -> Iterator[_Backup]:
    """The backup in a folder or of a stack."""
    if to is not None and stack is None:
        from core.archive.folder_retrieval import FolderRetrieval

        if not (to / "catalog").is_dir():
            raise InvalidInput(f"There is no backup in {to}. Name its folder with --to; is its disk mounted?")
        yield _Backup(str(to), FolderArchive(to), FolderRetrieval(to), lambda: _tracker_to_read(to))
    elif stack is not None and to is None:
        with _stack_backup(stack) as backup:
            yield backup
    else:
        raise InvalidInput("Name one backup: a folder with --to, or a deployed stack with --stack.")


@contextmanager
def _stack_backup(stack: str) -> Iterator[_Backup]:
    from core.archive.s3 import S3Archive
    from core.archive.s3_retrieval import S3Retrieval

    with _asking_stack(stack) as (s3, bucket, tracker):
        yield _Backup(f"s3://{bucket}", S3Archive(s3, bucket), S3Retrieval(s3, bucket), lambda: nullcontext(tracker))


@contextmanager
def _asking_stack(stack: str) -> Iterator[tuple[S3Client, str, DynamoTracker]]:
    """A client of S3, the archive's bucket and the tracker of a stack."""
    import boto3
    from botocore.config import Config

    from core.stacks import outputs_of
    from core.tracker.dynamodb import DynamoTracker

    with _telling_errors_of_aws():
        outputs = outputs_of(boto3.client("cloudformation"), stack)
        config = Config(
            retries={"mode": "standard", "total_max_attempts": 6},
            max_pool_connections=64,
            response_checksum_validation="when_required",  # every byte is held against the catalog
        )
        tracker = DynamoTracker(boto3.client("dynamodb", config=config), outputs.table)
        yield boto3.client("s3", config=config), outputs.bucket, tracker


@contextmanager
def _telling_errors_of_aws() -> Iterator[None]:
    """What AWS answers in place of what was asked, in words."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code = error.response["Error"].get("Code")
        message = f"AWS refuses {error.operation_name} ({code}). Look at what these credentials may do"
        if code == "ResourceNotFoundException":
            message = "The stack's table is not there. docs/recovery.md says how to get it back"
        raise CloudSyncError(f"{message}.") from None
    except BotoCoreError as error:
        raise InvalidInput(f"AWS cannot be asked with the configuration of this shell: {error}") from None


def _catalog(backup: _Backup, provider: str) -> Catalog:
    """The backup's catalog; what was read of one in S3 is kept on this machine."""
    from core.restore import Cache, Catalog

    name = backup.place.removeprefix("s3://")
    cache = None if name == backup.place else Cache(CACHE / f"{name}.{provider}.jsonl")
    return Catalog(backup.archive, backup.retrieval, provider, cache)


def _selection(
    since: str | None,
    until: str | None,
    media_ids: list[str] | None,
    names: list[str] | None,
    cameras: list[str] | None,
) -> Selection:
    from core.restore import Selection, first_day, last_day

    return Selection(
        since=first_day(since) if since else None,
        until=last_day(until) if until else None,
        media_ids=tuple(media_ids or ()),
        names=tuple(names or ()),
        cameras=tuple(cameras or ()),
    )


def _ask_to_go_on() -> None:
    if not sys.stdin.isatty():
        raise InvalidInput("This costs money, and there is nobody to ask. Add --yes if the price is right.")
    typer.confirm("Go on?", abort=True, err=True)


@contextmanager
def _verifier(to: Path | None, stack: str | None, counter: Counter) -> Iterator[Verifier]:
    """The backup in a folder or of a stack, ready to be verified."""
    from core.verify import Verifier

    if to is not None and stack is None:
        if not ((to / STATE_FOLDER).is_dir() or (to / "catalog").is_dir()):
            raise InvalidInput(f"There is no backup in {to}. Name its folder with --to; is its disk mounted?")
        with _only_process(to):
            tracker, archive = _open_target(to)
            yield Verifier(tracker, archive, FolderInventory(to, archive), progress=counter)
    elif stack is not None and to is None:
        from core.archive.s3 import S3Archive
        from core.archive.s3_inventory import S3Inventory

        with _asking_stack(stack) as (s3, bucket, tracker_of_stack):
            archive_of_stack = S3Archive(s3, bucket)
            inventory = S3Inventory(s3, bucket, archive_of_stack)
            yield Verifier(tracker_of_stack, archive_of_stack, inventory, progress=counter)
    else:
        raise InvalidInput("Name one backup: a folder with --to, or a deployed stack with --stack.")


@contextmanager
def _tracker_to_read(to: Path) -> Iterator[SqliteTracker]:
    """The target's tracker; an empty one if there is no backup yet, so that planning leaves nothing behind."""
    path = to / STATE_FOLDER / "tracker.sqlite3"
    if path.exists():
        yield SqliteTracker(path)
        return
    with _no_tracker() as empty:
        yield empty


def _library(to: Path | None, stack: str | None, provider: str) -> Library:
    """The library of a backup or of a stack; an empty one if neither is named."""
    from core.cost import library_of

    if to is not None and stack is not None:
        raise InvalidInput("Name one library: a backup with --to, or a deployed stack with --stack.")
    if to is not None:
        with _tracker_to_read(to) as tracker:
            return library_of(tracker.records(provider))
    if stack is None:
        return library_of(())
    with _asking_stack(stack) as (_, _, tracker):
        return library_of(tracker.records(provider))


def _waiting(library: Library, length: float, videos: float | None, gb: float | None) -> Holding:
    """What comes first: as told, else what the tracker knows of."""
    from core.cost import Holding
    from core.prices import GB

    if videos is None and gb is None:
        return Holding(library.waiting, library.waiting * length)
    if videos is None:
        videos = (gb or 0) * GB / length
    return Holding(videos, videos * length if gb is None else gb * GB)


def _cost_of_plan(plan: Plan, tracker: SqliteTracker) -> Estimate:
    """What it costs to archive all that a plan found and the folder holds in S3, and to keep it for a year."""
    from core.cost import ASSUMED, Holding, Workload, estimate, library_of

    library = library_of(tracker.records(plan.provider))
    known = plan.new - plan.without_length
    mean = plan.length_hint / known if known else library.mean_length or 0.0
    new = Holding(plan.new, plan.length_hint + plan.without_length * mean)
    workload = Workload(0, mean, waiting=library.archived + new)
    return estimate(workload, assumptions=replace(ASSUMED, originals=library.originals_a_medium))


def _print_cost(found: Estimate) -> None:
    from core.cli_cost_view import print_estimate

    print_estimate(out, found)


def _provider(name: str, store: CredentialStore, tracker: SqliteTracker, base_url: str | None) -> Provider:
    return registry.create(name, ProviderSettings(credentials=store, leases=tracker, base_url=base_url))


def _new_run() -> Run:
    now = utc_now()
    return Run(f"local-{now:%Y%m%dT%H%M%SZ}-{token_hex(3)}", now)


def _exit_code(summary: Summary) -> Exit:
    if summary.failure:
        return Exit.CREDENTIALS_REJECTED if summary.failure.outcome == "credentials_rejected" else Exit.FAULT
    return Exit.PARTIAL_FAILURE if summary.status == "PARTIAL_FAILURE" else Exit.OK


@contextmanager
def _only_sync(to: Path) -> Iterator[None]:
    """The only sync into a folder. A new one is made only in a folder that is there: a disk may not be mounted."""
    if not to.absolute().parent.exists():
        raise InvalidInput(f"{to.parent} is not there. Mount the disk that it is on, or make it, and run this again.")
    with _only_process(to):
        yield


@contextmanager
def _only_process(to: Path) -> Iterator[None]:
    """One sync at a time into one folder; the lock dies with its process."""
    try:
        (to / STATE_FOLDER).mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InvalidInput(f"{to} cannot be a folder: a file is in its way. Name another with --to.") from None
    try:
        with FileLock(to / STATE_FOLDER / "lock", timeout=0):
            yield
    except Timeout:
        raise InvalidInput(f"Another sync into {to} is running. Wait for it or stop it.") from None


@contextmanager
def _answering(provider_name: str) -> Iterator[None]:
    """Turn errors into a message and an exit code; SIGTERM stops a run like Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except (ApiShapeChanged, CredentialsRejected, InvalidInput) as error:
        failure = explain(error, provider_name)
        code = {CredentialsRejected: Exit.CREDENTIALS_REJECTED, InvalidInput: Exit.USAGE}.get(type(error), Exit.FAULT)
        _fail(failure.cause if code is Exit.USAGE else f"{failure.cause} {failure.remedy}", code)
    except (Cancelled, KeyboardInterrupt, typer.Abort) as error:
        _fail(str(error) or "Stopped.", Exit.INTERRUPTED)
    except CloudSyncError as error:
        _fail(str(error), Exit.FAULT)
    except OSError as error:
        _fail(f"{public_text(error)}. Nothing confirmed was lost; mend it and start again.", Exit.FAULT)


def _say(message: str) -> None:
    err.print(message, soft_wrap=True, markup=False, highlight=False)


def _fail(message: str, code: Exit) -> NoReturn:
    err.print(message.strip(), style="red", soft_wrap=True, markup=False, highlight=False)
    raise typer.Exit(code)


def main() -> None:
    """Entry point of `cloud-sync`."""
    app(prog_name="cloud-sync")


if __name__ == "__main__":
    main()
