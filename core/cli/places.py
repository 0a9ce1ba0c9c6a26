"""The places that commands work with: a folder, a deployed stack, and where credentials are kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, NamedTuple

from filelock import FileLock, Timeout

from core.archive.base import Archive
from core.archive.folder import FolderArchive
from core.archive.retrieval import Retrieval
from core.cli.options import DEFAULT_CREDENTIALS
from core.credentials.base import CredentialStore
from core.credentials.file import FileCredentials
from core.errors import CloudSyncError, InvalidInput
from core.model import utc_now
from core.providers import registry
from core.providers.base import Provider, ProviderSettings
from core.sync.request import Run
from core.tracker.base import Leases, Tracker
from core.tracker.sqlite import SqliteTracker

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

    from core.executions import Execution
    from core.restore import Catalog
    from core.tracker.dynamodb import DynamoTracker

STATE_FOLDER = ".cloud-sync"
CACHE = DEFAULT_CREDENTIALS.with_name("catalog")


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that is there, to be read. `newest_run` asks for the run of a stack's workflow that began last."""

    place: str
    archive: Archive
    retrieval: Retrieval
    tracker: Callable[[], AbstractContextManager[Tracker]]
    newest_run: Callable[[], Execution | None] = lambda: None


@contextmanager
def open_backup(to: Path | None, stack: str | None) -> Iterator[Backup]:
    """The backup in a folder or of a stack."""
    if to is not None and stack is None:
        from core.archive.folder_retrieval import FolderRetrieval

        require_backup(to)
        yield Backup(str(to), FolderArchive(to), FolderRetrieval(to), lambda: tracker_to_read(to))
    elif stack is not None and to is None:
        with _stack_backup(stack) as backup:
            yield backup
    else:
        raise InvalidInput("Name one backup: a folder with --to, or a deployed stack with --stack.")


def require_backup(to: Path) -> None:
    """`InvalidInput` if nothing of a backup is in a folder."""
    if not ((to / STATE_FOLDER).is_dir() or (to / "catalog").is_dir()):
        raise InvalidInput(f"There is no backup in {to}. Name its folder with --to; is its disk mounted?")


@contextmanager
def _stack_backup(stack: str) -> Iterator[Backup]:
    from core.archive.s3 import S3Archive
    from core.archive.s3_retrieval import S3Retrieval
    from core.executions import Executions

    with asking_stack(stack) as asked:
        s3, bucket = asked.s3, asked.bucket
        executions = Executions(asked.step_functions, asked.state_machine)
        yield Backup(
            f"s3://{bucket}",
            S3Archive(s3, bucket),
            S3Retrieval(s3, bucket),
            lambda: nullcontext(asked.tracker),
            executions.newest if asked.state_machine else lambda: None,
        )


class AskedStack(NamedTuple):
    """What a stack is asked through: clients, its archive's bucket, its tracker, its workflow."""

    s3: S3Client
    bucket: str
    tracker: DynamoTracker
    step_functions: SFNClient
    state_machine: str


@contextmanager
def asking_stack(stack: str) -> Iterator[AskedStack]:
    """A stack to be asked, with the credentials of this shell."""
    import boto3
    from botocore.config import Config

    from core.stacks import outputs_of
    from core.tracker.dynamodb import DynamoTracker

    with telling_errors_of_aws():
        outputs = outputs_of(boto3.client("cloudformation"), stack)
        config = Config(
            retries={"mode": "standard", "total_max_attempts": 6},
            max_pool_connections=64,
            response_checksum_validation="when_required",  # every byte is held against the catalog
        )
        tracker = DynamoTracker(boto3.client("dynamodb", config=config), outputs.table)
        s3, step_functions = boto3.client("s3", config=config), boto3.client("stepfunctions", config=config)
        yield AskedStack(s3, outputs.bucket, tracker, step_functions, outputs.state_machine)


@contextmanager
def telling_errors_of_aws() -> Iterator[None]:
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


def catalog_of(backup: Backup, provider: str) -> Catalog:
    """The backup's catalog; what was read of one in S3 is kept on this machine."""
    from core.restore import Cache, Catalog

    name = backup.place.removeprefix("s3://")
    cache = None if name == backup.place else Cache(CACHE / f"{name}.{provider}.jsonl")
    return Catalog(backup.archive, backup.retrieval, provider, cache)


def open_target(to: Path) -> tuple[SqliteTracker, FolderArchive]:
    """Tracker and archive of a backup in a folder; made if they are not there."""
    state = to / STATE_FOLDER
    state.mkdir(parents=True, exist_ok=True)
    return SqliteTracker(state / "tracker.sqlite3"), FolderArchive(to)


@contextmanager
def tracker_to_read(to: Path) -> Iterator[SqliteTracker]:
    """The target's tracker; an empty one if there is no backup yet, so that planning leaves nothing behind.

    Of a disk that cannot be written, as one in doubt is mounted, it is a copy.
    """
    import tempfile

    state = to / STATE_FOLDER
    if can_be_written(state) and (state / "tracker.sqlite3").exists():
        yield SqliteTracker(state / "tracker.sqlite3")
        return
    with tempfile.TemporaryDirectory() as folder:
        for path in state.glob("tracker.sqlite3*"):
            shutil.copy(path, folder)
        yield SqliteTracker(Path(folder, "tracker.sqlite3"))


def can_be_written(folder: Path) -> bool:
    """Whether a folder can be written by this process, as far as the system tells."""
    return os.access(folder, os.W_OK)


@contextmanager
def no_tracker() -> Iterator[SqliteTracker]:
    """Leases for a process that shares them with no other."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        yield SqliteTracker(Path(folder, "tracker.sqlite3"))


@dataclass(frozen=True, slots=True)
class CredentialsPlace:
    """Where credentials are kept, and what belongs to them there."""

    name: str
    store: CredentialStore
    leases: Leases
    api_url: str | None
    state_machine: str = ""


@contextmanager
def credentials_place(path: Path, stack: str | None, api_url: str | None) -> Iterator[CredentialsPlace]:
    """The secret of a stack, else the file."""
    if stack is None:
        with no_tracker() as alone:
            yield CredentialsPlace(str(path), FileCredentials(path), alone, api_url)
        return
    import boto3

    from core.credentials.secretsmanager import SecretsManagerCredentials
    from core.stacks import outputs_of
    from core.tracker.dynamodb import DynamoTracker

    with telling_errors_of_aws():
        outputs = outputs_of(boto3.client("cloudformation"), stack)
        store = SecretsManagerCredentials(boto3.client("secretsmanager"), outputs.secret)
        leases = DynamoTracker(boto3.client("dynamodb"), outputs.table)
        name = f"the secret of {stack}"
        yield CredentialsPlace(name, store, leases, api_url or outputs.api_url, outputs.state_machine)


def provider_of(name: str, store: CredentialStore, tracker: SqliteTracker, base_url: str | None) -> Provider:
    """The provider of that name."""
    return registry.create(name, ProviderSettings(credentials=store, leases=tracker, base_url=base_url))


def new_run() -> Run:
    """A run of this process, begun now."""
    now = utc_now()
    return Run(f"local-{now:%Y%m%dT%H%M%SZ}-{token_hex(3)}", now)


def require_parent(folder: Path) -> None:
    """A new folder is made only in one that is there: a disk may not be mounted."""
    if not folder.absolute().parent.exists():
        raise InvalidInput(
            f"{folder.parent} is not there. Mount the disk that it is on, or make it, and run this again."
        )


@contextmanager
def only_process(to: Path) -> Iterator[None]:
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
