"""Credentials in a file that only its owner can read."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from secrets import token_hex

from core.credentials.base import HOW_TO_RENEW, Credentials
from core.errors import CredentialsRejected, InvalidInput
from core.model import Json

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class FileCredentials:
    """The JSON document at `path` (mode 600); the version before it lies beside as `NAME.previous`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def current(self, *, fresh: bool = False) -> Credentials:
        """The credentials in force. `CredentialsRejected` if there are none, `InvalidInput` if it is malformed."""
        found = _read(self._path)
        if found is None:
            raise CredentialsRejected(f"There are no credentials in {self._path}. {HOW_TO_RENEW}")
        return found

    def previous(self) -> Credentials | None:
        """The credentials before those in force."""
        return _read(self._previous_path)

    def save(self, credentials: Credentials) -> Credentials:
        """Store new credentials and keep those in force as previous."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._path.exists():
            _write(self._previous_path, self._path.read_bytes())
        named = credentials.with_version(token_hex(8))
        _write(self._path, json.dumps(named.to_json() | {"version": named.version}, indent=1).encode())
        return named

    @property
    def _previous_path(self) -> Path:
        return self._path.with_name(f"{self._path.name}.previous")


def _read(path: Path) -> Credentials | None:
    try:
        with path.open("rb") as file:
            told = os.fstat(file.fileno())
            if os.name == "posix" and told.st_mode & _OTHERS:
                raise InvalidInput(f"{path} can be read by others. Run: chmod 600 {path}")
            document = _parse(file.read(), path)
    except FileNotFoundError:
        return None
    # A file written by hand has no version of its own; its time of change is one.
    version = document.get("version") if isinstance(document, dict) else None
    return Credentials.from_json(document, version if isinstance(version, str) else f"t{told.st_mtime_ns}")


def _parse(content: bytes, path: Path) -> Json:
    try:
        return json.loads(content)
    except ValueError:
        raise InvalidInput(f"{path} is not JSON. Store the credentials again with `cloud-sync auth set`.") from None


def _write(path: Path, content: bytes) -> None:
    aside = path.with_name(f".{path.name}.{token_hex(6)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
