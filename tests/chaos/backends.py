"""Where a schedule keeps its records and originals, and how the campaign looks at them past every fault."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple, Protocol

from core.archive.base import Archive, Inventory
from core.archive.folder import FolderArchive
from core.archive.folder_inventory import FolderInventory
from core.archive.s3 import S3Archive
from core.archive.s3_inventory import S3Inventory
from core.credentials.base import Credentials, CredentialStore
from core.credentials.file import FileCredentials
from core.credentials.secretsmanager import SecretsManagerCredentials
from core.tracker.base import Tracker
from core.tracker.dynamodb import UNFINISHED_INDEX, DynamoTracker
from core.tracker.sqlite import SqliteTracker
from tests.chaos.faults import Mortal, owned

#: Smallest part of an upload (bytes), so that a film of a few of them goes in parts.
PART = 16 * 1024

ORIGINALS = "gopro-videos/"


@dataclass(frozen=True)
class Held:
    """An object that is really there. `identity` changes when it is written again, even with equal bytes."""

    length: int
    sha256: str
    identity: str


class Backend(Protocol):
    """A place for one schedule."""

    name: str
    #: Whether several processes may work at once, as functions do; else it is one machine's.
    is_shared: bool

    def tracker(self, clock: Callable[[], datetime]) -> Tracker: ...

    def archive(self) -> Archive: ...

    def credentials(self) -> CredentialStore: ...

    def observer(self, clock: Callable[[], datetime]) -> Tracker:
        """The tracker, past every fault."""
        ...

    def confirmed(self) -> set[str]:
        """The keys that the archive finds, past every fault."""
        ...

    def document(self, key: str) -> list[bytes]:
        """The lines of a document, past every fault."""
        ...

    def shelves(self) -> tuple[Archive, Inventory]:
        """The archive and what it really holds, past every fault."""
        ...

    def lose(self, key: str) -> None:
        """Somebody deletes an object."""
        ...

    def lose_tracker(self) -> None:
        """Somebody empties the tracker."""
        ...

    def secret_to_write(self) -> CredentialStore:
        """The credentials, past every fault."""
        ...

    def objects(self) -> dict[str, Held]: ...

    def open_uploads(self) -> set[str]:
        """The names of the uploads that were begun and neither completed nor thrown away."""
        ...

    def checkpoints(self) -> dict[str, str]: ...

    def written(self) -> str:
        """Everything that can be read in records, documents, keys and labels."""
        ...

    def of(self, process: Mortal) -> AbstractContextManager[None]:
        """What is changed meanwhile, `process` changes."""
        ...

    def close(self) -> None: ...


class OneMachine:
    """SQLite and a folder."""

    name = "SQLite and folder"
    is_shared = False

    def __init__(self) -> None:
        memory = Path("/dev/shm")
        self.base = Path(tempfile.mkdtemp(prefix="cloud-sync-chaos-", dir=memory if memory.is_dir() else None))
        self.folder = self.base / "backup"
        self._database = self.folder / ".cloud-sync" / "tracker.sqlite3"

    def tracker(self, clock: Callable[[], datetime]) -> SqliteTracker:
        return SqliteTracker(self._database, clock=clock)

    def archive(self) -> FolderArchive:
        return FolderArchive(self.folder, part_size=PART)

    def credentials(self) -> FileCredentials:
        return FileCredentials(self.base / "credentials.json")

    def observer(self, clock: Callable[[], datetime]) -> SqliteTracker:
        return self.tracker(clock)

    def secret_to_write(self) -> FileCredentials:
        return self.credentials()

    def confirmed(self) -> set[str]:
        archive = self.archive()
        return {key for key in self.objects() if archive.find(key)}

    def document(self, key: str) -> list[bytes]:
        return list(self.archive().read_document(key))

    def shelves(self) -> tuple[Archive, Inventory]:
        return self.archive(), FolderInventory(self.folder, self.archive())

    def lose(self, key: str) -> None:
        (self.folder / key).unlink()

    def lose_tracker(self) -> None:
        with closing(sqlite3.connect(self._database)) as connection, connection:
            for table in ("media", "checkpoints", "leases"):
                connection.execute(f"DELETE FROM {table}")

    def objects(self) -> dict[str, Held]:
        found = {}
        for path in self.folder.glob(f"{ORIGINALS}*/*/*/*"):
            content, told = path.read_bytes(), path.stat()
            identity = f"{told.st_ino}/{told.st_ctime_ns}"
            found[str(path.relative_to(self.folder))] = Held(
                len(content), hashlib.sha256(content).hexdigest(), identity
            )
        return found

    def open_uploads(self) -> set[str]:
        return {path.name for path in self.folder.glob(".cloud-sync/partial/*") if path.suffix != ".journal"}

    def checkpoints(self) -> dict[str, str]:
        return dict(self._rows("SELECT name, text FROM checkpoints"))

    def _rows(self, query: str) -> list[Any]:
        if not self._database.exists():
            return []
        with closing(sqlite3.connect(self._database)) as connection:
            try:
                return connection.execute(query).fetchall()
            except sqlite3.OperationalError:
                return []  # its process died before the tables were made

    def written(self) -> str:
        texts = [str(self._rows(f"SELECT * FROM {table}")) for table in ("media", "checkpoints", "leases")]
        for path in self.folder.rglob("*"):
            relative = path.relative_to(self.folder)
            texts.append(str(relative))
            is_told = relative.parts[0] in ("runs", "catalog") or relative.parts[:2] == (".cloud-sync", "objects")
            if path.is_file() and is_told:
                texts.append(path.read_text("utf-8", "replace"))
        return "\n".join(texts)

    def of(self, process: Mortal) -> AbstractContextManager[None]:
        return owned(self.folder, process)

    def close(self) -> None:
        shutil.rmtree(self.base, ignore_errors=True)


class Clients(NamedTuple):
    """The clients of an AWS, for all schedules: making one takes longer than many calls."""

    s3: Any
    dynamodb: Any
    secrets: Any

    @classmethod
    def of(cls, maker: Callable[[str], Any]) -> Clients:
        """Clients from `maker`, by the name of the service."""
        return cls(*(maker(name) for name in ("s3", "dynamodb", "secretsmanager")))


class Aws:
    """DynamoDB, S3 and Secrets Manager: the emulated ones, behind the proxy that disturbs them."""

    name = "DynamoDB and S3"
    is_shared = True

    def __init__(self, direct: Clients, disturbed: Clients) -> None:
        self._s3, self._dynamodb, self._secrets = direct
        self._disturbed = disturbed
        self._name = f"chaos-{token_hex(6)}"
        self._known: dict[tuple[str, str], Held] = {}
        self._s3.create_bucket(Bucket=self._name)
        self._s3.put_bucket_versioning(Bucket=self._name, VersioningConfiguration={"Status": "Enabled"})
        self._secrets.create_secret(Name=self._name, SecretString='{"gp_access_token": "REPLACE_ME"}')
        text = {"AttributeType": "S"}
        self._dynamodb.create_table(
            TableName=self._name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, **text} for name in ("provider", "media_id", "unfinished")],
            KeySchema=[
                {"AttributeName": "provider", "KeyType": "HASH"},
                {"AttributeName": "media_id", "KeyType": "RANGE"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": UNFINISHED_INDEX,
                    "KeySchema": [
                        {"AttributeName": "unfinished", "KeyType": "HASH"},
                        {"AttributeName": "media_id", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )

    def tracker(self, clock: Callable[[], datetime]) -> DynamoTracker:
        return DynamoTracker(self._disturbed.dynamodb, self._name, clock=clock, sleep=lambda _: None)

    def archive(self) -> S3Archive:
        return S3Archive(self._disturbed.s3, self._name, part_size=PART)

    def credentials(self) -> SecretsManagerCredentials:
        return SecretsManagerCredentials(self._disturbed.secrets, self._name)

    def observer(self, clock: Callable[[], datetime]) -> DynamoTracker:
        return DynamoTracker(self._dynamodb, self._name, clock=clock)

    def secret_to_write(self) -> SecretsManagerCredentials:
        return SecretsManagerCredentials(self._secrets, self._name)

    def confirmed(self) -> set[str]:
        return {key for key, _ in self._keys(ORIGINALS)}

    def document(self, key: str) -> list[bytes]:
        content: bytes = self._s3.get_object(Bucket=self._name, Key=key)["Body"].read()
        return content.splitlines()

    def shelves(self) -> tuple[Archive, Inventory]:
        archive = S3Archive(self._s3, self._name, part_size=PART)
        return archive, S3Inventory(self._s3, self._name, archive)

    def lose(self, key: str) -> None:
        self._s3.delete_object(Bucket=self._name, Key=key)

    def lose_tracker(self) -> None:
        for item in self._items():
            key = {name: item[name] for name in ("provider", "media_id")}
            self._dynamodb.delete_item(TableName=self._name, Key=key)

    def _keys(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=self._name, Prefix=prefix)
        for page in pages:
            yield from ((one["Key"], one["VersionId"]) for one in page.get("Versions", []) if one["IsLatest"])

    def objects(self) -> dict[str, Held]:
        found = {}
        for key, version in self._keys(ORIGINALS):
            if (key, version) not in self._known:
                content = self._s3.get_object(Bucket=self._name, Key=key, VersionId=version)["Body"].read()
                self._known[key, version] = Held(len(content), hashlib.sha256(content).hexdigest(), version)
            found[key] = self._known[key, version]
        return found

    def _label(self, key: str) -> Mapping[str, str]:
        label: Mapping[str, str] = self._s3.head_object(Bucket=self._name, Key=key)["Metadata"]
        return label

    def open_uploads(self) -> set[str]:
        return {one["UploadId"] for one in self._s3.list_multipart_uploads(Bucket=self._name).get("Uploads", [])}

    def _items(self) -> list[dict[str, Any]]:
        pages = self._dynamodb.get_paginator("scan").paginate(TableName=self._name)
        return [item for page in pages for item in page["Items"]]

    def checkpoints(self) -> dict[str, str]:
        items = (item for item in self._items() if item["provider"]["S"] == "checkpoint")
        return {item["media_id"]["S"]: item["text"]["S"] for item in items}

    def written(self) -> str:
        texts = [json.dumps(self._items())]
        for key, _ in self._keys():
            texts += [key, json.dumps(self._label(key))]
            if not key.startswith(ORIGINALS):
                texts.append(self._s3.get_object(Bucket=self._name, Key=key)["Body"].read().decode())
        return "\n".join(texts)

    def of(self, process: Mortal) -> AbstractContextManager[None]:
        return nullcontext()

    def close(self) -> None:
        self._dynamodb.delete_table(TableName=self._name)


def sign_in(backend: Backend, document: Mapping[str, str]) -> None:
    """Store credentials as `cloud-sync auth set` does, past every fault."""
    backend.secret_to_write().save(Credentials.from_json(dict(document), ""))
