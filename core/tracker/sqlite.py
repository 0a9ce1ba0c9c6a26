"""The tracker in a SQLite file, for one machine: threads and processes may share it, and a killed one leaves it whole."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from core.errors import InvalidInput
from core.model import Record, Status, format_time, parse_time, utc_now

_SCHEMA = """
CREATE TABLE IF NOT EXISTS media (
  provider TEXT, media_id TEXT, status TEXT, run_id TEXT, updated_at TEXT, filename TEXT, reason TEXT,
  error_type TEXT, error TEXT, originals INTEGER, length INTEGER, moved INTEGER,
  PRIMARY KEY (provider, media_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS unfinished ON media (provider, media_id) WHERE status NOT IN ('COMPLETED', 'SOURCE_GONE');
CREATE TABLE IF NOT EXISTS leases (name TEXT PRIMARY KEY, owner TEXT, expires_at REAL) WITHOUT ROWID;
"""

_COLUMNS = (
    "provider, media_id, status, run_id, updated_at, filename, reason, error_type, error, originals, length, moved"
)
_PLACES = ", ".join("?" * 12)
_BATCH = 500
_BUSY_SECONDS = 30.0

_Row = tuple[str, str, str, str, str, str, str, str, str, int, int, int]


class SqliteTracker:
    """Records and leases in the file at `path`, which is made if it is not there. `InvalidInput` if it is something else."""

    def __init__(self, path: Path, *, clock: Callable[[], datetime] = utc_now) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._clock = clock
        self._lock = threading.RLock()
        try:
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            # FULL: a record that says COMPLETED must survive a power cut.
            self._connection.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; {_SCHEMA}")
        except sqlite3.DatabaseError as error:
            raise InvalidInput(f"{path} cannot be used as a sync tracker ({error}). Move it away to begin anew.") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _rows(self, query: str, values: Sequence[object]) -> list[_Row]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()

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
        """Write the records of media that have none yet."""
        with self._transaction() as connection:
            connection.executemany(f"INSERT OR IGNORE INTO media ({_COLUMNS}) VALUES ({_PLACES})", map(_row, records))  # noqa: S608

    def save(self, record: Record) -> bool:
        """Write a record unless that would replace a COMPLETED one by anything else."""
        with self._transaction() as connection:
            query = "SELECT status FROM media WHERE provider = ? AND media_id = ?"
            known = connection.execute(query, (record.provider, record.media_id)).fetchone()
            if known and known[0] == Status.COMPLETED and record.status is not Status.COMPLETED:
                return False
            connection.execute(f"INSERT OR REPLACE INTO media ({_COLUMNS}) VALUES ({_PLACES})", _row(record))  # noqa: S608
            return True

    def unfinished(self, provider: str) -> Iterator[Record]:
        """The records whose status is not final."""
        last = ""
        while True:
            query = (
                f"SELECT {_COLUMNS} FROM media WHERE provider = ? AND media_id > ? "  # noqa: S608
                f"AND status NOT IN ('COMPLETED', 'SOURCE_GONE') ORDER BY media_id LIMIT {_BATCH}"
            )
            rows = self._rows(query, (provider, last))
            if not rows:
                return
            yield from map(_record, rows)
            last = rows[-1][1]

    def acquire(self, name: str, owner: str, seconds: float) -> bool:
        """Take or renew a lease."""
        now = self._clock().timestamp()
        with self._transaction() as connection:
            known = connection.execute("SELECT owner, expires_at FROM leases WHERE name = ?", (name,)).fetchone()
            if known and known[0] != owner and known[1] > now:
                return False
            connection.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?)", (name, owner, now + seconds))
            return True

    def release(self, name: str, owner: str) -> None:
        """Give a lease back."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM leases WHERE name = ? AND owner = ?", (name, owner))

    def held(self, name: str) -> bool:
        """Whether anybody has the lease now."""
        with self._lock:
            known = self._connection.execute("SELECT expires_at FROM leases WHERE name = ?", (name,)).fetchone()
        return bool(known and known[0] > self._clock().timestamp())


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
        record.error,
        record.originals,
        record.length,
        record.moved,
    )


def _record(row: _Row) -> Record:
    moment = parse_time(row[4]) or datetime.min.replace(tzinfo=UTC)
    return Record(row[0], row[1], Status(row[2]), row[3], moment, *row[5:])
