"""The tracker in a SQLite file, for one machine.

Threads and processes may share it, and one that is killed leaves it whole.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from core.errors import CloudSyncError, InvalidInput, StorageFull, TransientError
from core.model import Record, Status, format_time, utc_now
from core.tracker.kept import read_record

#: Marks the file as this product's (PRAGMA application_id): the letters "CSyn".
_APPLICATION_ID = 0x4353796E
_SCHEMA_VERSION = 3
_SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS media (
  provider TEXT, media_id TEXT, status TEXT, run_id TEXT, updated_at TEXT, filename TEXT, reason TEXT,
  error_type TEXT, error TEXT, originals INTEGER, length INTEGER, moved INTEGER, medium TEXT,
  items INTEGER,
  PRIMARY KEY (provider, media_id)
) WITHOUT ROWID
""",
    """
CREATE INDEX IF NOT EXISTS unfinished ON media (provider, media_id)
  WHERE status NOT IN ('COMPLETED', 'SOURCE_GONE')
""",
    "CREATE TABLE IF NOT EXISTS checkpoints (name TEXT PRIMARY KEY, text TEXT) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS leases (name TEXT PRIMARY KEY, owner TEXT, expires_at REAL) WITHOUT ROWID",
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {_SCHEMA_VERSION}",
)

_COLUMNS = (
    "provider, media_id, status, run_id, updated_at, filename, reason, error_type, error, originals, length, moved, "
    "medium, items"
)
_NAMES = _COLUMNS.split(", ")
_INSERT = f"INTO media ({_COLUMNS}) VALUES ({', '.join('?' * 14)})"
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_BATCH = 500
_BUSY_SECONDS = 30.0
_LONGEST_TEXT = 1000

_Row = tuple[str, str, str, str, str, str, str, str, str, int, int, int, str, int]


class SqliteTracker:
    """Records and leases in the file at `path`, made if it is not there. `InvalidInput` if it is something else."""

    def __init__(self, path: Path, *, clock: Callable[[], datetime] = utc_now) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._clock = clock
        self._lock = threading.RLock()
        try:
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._open(path)
        except sqlite3.DatabaseError as error:
            raise _told_by_sqlite(error, path) from error

    def _open(self, path: Path) -> None:
        (application,) = self._connection.execute("PRAGMA application_id").fetchone()
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and (application, version) == (_APPLICATION_ID, 2):
            version = self._updated()
        if tables and (application, version) != (_APPLICATION_ID, _SCHEMA_VERSION):
            what = f"a tracker of version {version}" if application == _APPLICATION_ID else "another program's"
            raise InvalidInput(f"{path} is a database, but {what}: not this version's sync tracker. {_MOVE_AWAY}")
        # FULL: a record that says COMPLETED must survive a power cut.
        self._connection.execute("PRAGMA synchronous = FULL")
        _patiently(lambda: self._connection.execute("PRAGMA journal_mode = WAL"))
        if not tables:
            with self._transaction() as connection:
                for statement in _SCHEMA:
                    connection.execute(statement)

    def _updated(self) -> int:
        """Bring a file of the version before to this one, unless another process has just done so."""
        with self._transaction() as connection:
            if connection.execute("PRAGMA user_version").fetchone() == (2,):
                connection.execute("ALTER TABLE media ADD COLUMN items INTEGER")
                connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
        return _SCHEMA_VERSION

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except sqlite3.DatabaseError as error:
                self._roll_back()
                raise _told_by_sqlite(error, self._path) from error
            except BaseException:
                self._roll_back()
                raise

    def _roll_back(self) -> None:
        with suppress(sqlite3.DatabaseError):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _rows(self, query: str, values: Sequence[object]) -> list[Any]:
        with self._lock:
            try:
                return self._connection.execute(query, values).fetchall()
            except sqlite3.DatabaseError as error:
                raise _told_by_sqlite(error, self._path) from error

    def get(self, provider: str, media_ids: Sequence[str]) -> dict[str, Record]:
        """The records of those media that have one, by media id."""
        found: dict[str, Record] = {}
        for start in range(0, len(media_ids), _BATCH):
            batch = media_ids[start : start + _BATCH]
            query = (
                f"SELECT {_COLUMNS} FROM media WHERE provider = ? "  # noqa: S608  (placeholders only)
                f"AND media_id IN ({', '.join('?' * len(batch))})"
            )
            found |= {row[1]: _record(row) for row in self._rows(query, [provider, *batch])}
        return found

    def add(self, records: Iterable[Record]) -> None:
        """Write the records of media that have none yet; the file is not held while `records` are made."""
        pending = iter(records)
        while batch := list(islice(pending, _BATCH)):
            with self._transaction() as connection:
                connection.executemany(f"INSERT OR IGNORE {_INSERT}", map(_row, batch))

    def save(self, record: Record) -> bool:
        """Write a record unless that would replace a COMPLETED one by anything else."""
        with self._transaction() as connection:
            query = "SELECT status FROM media WHERE provider = ? AND media_id = ?"
            known = connection.execute(query, (record.provider, record.media_id)).fetchone()
            if known and known[0] == Status.COMPLETED and record.status is not Status.COMPLETED:
                return False
            connection.execute(f"INSERT OR REPLACE {_INSERT}", _row(record))
            return True

    def reopen(self, record: Record, seen: Record) -> bool:
        """Write a record in place of `seen`."""
        with self._transaction() as connection:
            query = f"SELECT {_COLUMNS} FROM media WHERE provider = ? AND media_id = ?"  # noqa: S608
            known = connection.execute(query, (record.provider, record.media_id)).fetchone()
            if known is None or _record(known) != seen:
                return False
            connection.execute(f"INSERT OR REPLACE {_INSERT}", _row(record))
            return True

    def unfinished(self, provider: str) -> Iterator[Record]:
        """The records whose status is not final."""
        return self._select(provider, "AND status NOT IN ('COMPLETED', 'SOURCE_GONE')")

    def records(self, provider: str) -> Iterator[Record]:
        """Every record of a provider."""
        return self._select(provider, "")

    def _select(self, provider: str, condition: str) -> Iterator[Record]:
        last = ""
        while True:
            query = (
                f"SELECT {_COLUMNS} FROM media WHERE provider = ? AND media_id > ? {condition} "  # noqa: S608
                f"ORDER BY media_id LIMIT {_BATCH}"
            )
            rows = self._rows(query, (provider, last))
            if not rows:
                return
            yield from map(_record, rows)
            last = rows[-1][1]

    def recall(self, name: str) -> str:
        """What was kept under `name`."""
        kept = self._rows("SELECT text FROM checkpoints WHERE name = ?", (name,))
        return str(kept[0][0]) if kept else ""

    def keep(self, name: str, text: str) -> None:
        """Keep `text` under `name`."""
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?)", (name, text))

    def names(self, prefix: str) -> Iterator[str]:
        """The names that begin with `prefix`."""
        rows = self._rows("SELECT name FROM checkpoints WHERE substr(name, 1, ?) = ?", (len(prefix), prefix))
        return (str(name) for (name,) in rows)

    def drop(self, name: str) -> None:
        """Forget what was kept under `name`."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM checkpoints WHERE name = ?", (name,))

    def replace(self, name: str, text: str, seen: str) -> bool:
        """Keep `text` for good in place of `seen`."""
        with self._transaction() as connection:
            kept = connection.execute("SELECT text FROM checkpoints WHERE name = ?", (name,)).fetchone()
            if (kept[0] if kept else "") != seen:
                return False
            connection.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?)", (name, text))
            return True

    def acquire(self, name: str, owner: str, seconds: float) -> bool:
        """Take or renew a lease."""
        now = self._clock().timestamp()
        with self._transaction() as connection:
            query = "SELECT owner, expires_at FROM leases WHERE name = ?"
            known = connection.execute(query, (name,)).fetchone()
            if known and known[0] != owner and known[1] > now:
                return False
            connection.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?)", (name, owner, now + seconds))
            return True

    def release(self, name: str, owner: str) -> None:
        """Give a lease back."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM leases WHERE name = ? AND owner = ?", (name, owner))

    def forget_leases(self) -> None:
        """Give back every lease, for the only process that uses the file: whoever held one has died."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM leases")

    def held(self, name: str) -> bool:
        """Whether anybody has the lease now."""
        known = self._rows("SELECT expires_at FROM leases WHERE name = ?", (name,))
        return bool(known and known[0][0] > self._clock().timestamp())


def _patiently(statement: Callable[[], object]) -> None:
    """Do what SQLite refuses at once, without its own waiting, while another process does the same."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            statement()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode not in _BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


_MOVE_AWAY = "Move it away, then rebuild it from what is archived: cloud-sync reindex --to FOLDER."


def _told_by_sqlite(error: sqlite3.DatabaseError, path: Path) -> CloudSyncError:
    # What the module itself complains of has no code of SQLite's.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _BUSY:
        return TransientError(f"{path} is in use by another process. It is tried again.")
    if code == sqlite3.SQLITE_FULL:
        return StorageFull(
            f"The disk is full: {path} cannot grow. What was confirmed stays; make room and start again."
        )
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return InvalidInput(f"{path} cannot be used as a sync tracker ({error}). {_MOVE_AWAY}")
    return CloudSyncError(f"{path} cannot be used ({error}). Look at permissions and free space of its folder.")


def _row(record: Record) -> _Row:
    return (
        record.provider,
        record.media_id,
        record.status.value,
        record.run_id,
        format_time(record.updated_at) or "",
        record.filename,
        str(record.reason),
        record.error_type,
        record.error[:_LONGEST_TEXT],
        record.originals,
        record.length,
        record.moved,
        record.medium.to_text() if record.medium else "",
        record.items,
    )


def _record(row: _Row) -> Record:
    return read_record(dict(zip(_NAMES, row, strict=True)))
