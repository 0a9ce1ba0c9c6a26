"""What a folder really holds. Names and lengths cost nothing; bytes are read only to settle a doubt, or if asked."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from core.archive.base import Archive, Listed, OpenUpload, Verdict
from core.model import Stored

STATE_FOLDER = ".cloud-sync"


class FolderInventory:
    """What lies under `root`; `archive` is the same folder, as that which says what is confirmed."""

    def __init__(self, root: Path, archive: Archive) -> None:
        self._root = root
        self._archive = archive

    def objects(self, prefix: str) -> Iterator[Listed]:
        """Every file under `prefix`."""
        top = self._root / prefix
        if not top.is_dir():
            return
        for folder, _, names in os.walk(top, onerror=_raise):
            for name in names:
                path = Path(folder, name)
                with suppress(FileNotFoundError):  # a link that leads nowhere is nothing
                    yield Listed(path.relative_to(self._root).as_posix(), path.stat().st_size)

    def judge(self, known: Stored, listed: Listed, *, checksums: bool) -> tuple[Verdict, str]:
        """Whether the file is what the catalog knows: by its length, and by its bytes if those are asked for."""
        if listed.length == known.length and not checksums:
            return Verdict.SOUND, ""
        confirmed = self._archive.find(known.key)
        try:
            digest = self._digest(known.key)
        except FileNotFoundError:
            return Verdict.MISSING, "it is not in the archive"
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return Verdict.DAMAGED, "the disk cannot read it"
        if (listed.length, digest) == (known.length, known.sha256):
            return Verdict.SOUND, ""
        if confirmed and (confirmed.length, confirmed.sha256) == (listed.length, digest):
            return Verdict.MISTOLD, "the catalog tells another length or checksum than the folder's own record"
        if listed.length != known.length:
            return Verdict.DAMAGED, f"it has {listed.length:,} bytes in place of {known.length:,}"
        return Verdict.DAMAGED, "its bytes are not those that were confirmed"

    def label(self, key: str) -> Mapping[str, str]:
        """What the folder's record of the file tells."""
        try:
            label = json.loads(self._record(key).read_text(encoding="utf-8"))["label"]
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return {name: str(value) for name, value in label.items()} if isinstance(label, dict) else {}

    def distrust(self, key: str) -> None:
        """Take the folder's record of a damaged file away."""
        self._record(key).unlink(missing_ok=True)

    def open_uploads(self, prefix: str) -> Iterator[OpenUpload]:
        """None: each sync into a folder cleans up its partial files itself."""
        return iter(())

    def _record(self, key: str) -> Path:
        path = self._root / STATE_FOLDER / "objects" / key
        return path.with_name(f"{path.name}.json")

    def _digest(self, key: str) -> str:
        with (self._root / key).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def _raise(error: OSError) -> None:
    """A folder that cannot be listed is a fault: its files are not missing."""
    raise error
