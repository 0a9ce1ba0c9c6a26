"""Credentials in a file that only its owner can read."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path
from secrets import token_hex

from core.credentials.base import HOW_TO_RENEW, Credentials
from core.errors import CredentialsRejected, InvalidInput

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class FileCredentials:
    """The JSON document at `path` (mode 600).

    Only where both can renew themselves is the version before it kept, beside it as `NAME.previous`: there it saves a
    sign-in whose newest refresh token was lost. A pasted token that has been replaced is of no use to anybody but a
    thief.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def current(self, *, fresh: bool = False) -> Credentials:
        """The credentials in force. `CredentialsRejected` if there are none, `InvalidInput` if it is malformed."""
        content = _read(self._path)
        if content is None:
            raise CredentialsRejected(f"There are no credentials in {self._path}. {HOW_TO_RENEW}")
        return _parse(content, self._path)

    def previous(self) -> Credentials | None:
        """The credentials before those in force."""
        content = _read(self._previous_path)
        try:
            return _parse(content, self._previous_path) if content else None
        except (CredentialsRejected, InvalidInput):
            return None  # a placeholder, or nothing that could be read

    def save(self, credentials: Credentials) -> Credentials:
        """Store new credentials; those in force become the previous ones where both can renew themselves."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = credentials.can_renew and self._can_renew()
        if kept:
            _write(self._previous_path, self._path.read_bytes())
        content = json.dumps(credentials.to_json() | {"saved": token_hex(8)}, indent=1).encode()
        _write(self._path, content)
        if not kept:
            self._previous_path.unlink(missing_ok=True)
        return credentials.with_version(_version(content))

    def _can_renew(self) -> bool:
        """Whether what is in force now could renew itself."""
        try:
            return self.current().can_renew
        except (CredentialsRejected, InvalidInput):
            return False

    @property
    def _previous_path(self) -> Path:
        return self._path.with_name(f"{self._path.name}.previous")


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            if os.name == "posix" and os.fstat(file.fileno()).st_mode & _OTHERS:
                raise InvalidInput(f"{path} can be read by others. Run: chmod 600 {path}")
            return file.read()
    except FileNotFoundError:
        return None


def _version(content: bytes) -> str:
    """A name for this state of the file, whoever wrote it; each save has another."""
    return hashlib.sha256(content).hexdigest()[:16]


def _parse(content: bytes, path: Path) -> Credentials:
    try:
        return Credentials.from_json(json.loads(content), _version(content))
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
