"""Catalog entries that were read before, so that a listing asks S3 for none of them again that has not changed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

#: The text of an entry and the tag that it had, by key.
Kept = Mapping[str, tuple[str, str]]


class Cache:
    """A file, for its owner alone, of which any loss costs nothing but time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Kept:
        """What is kept; nothing of it if the file cannot be read."""
        kept: dict[str, tuple[str, str]] = {}
        with suppress(OSError, ValueError, TypeError), self._path.open(encoding="utf-8") as file:
            for line in file:
                key, tag, text = json.loads(line)
                kept[key] = (tag, text)
        return kept

    def save(self, kept: Kept) -> None:
        """Keep these and no others, if the disk allows."""
        aside = self._path.with_name(f"{self._path.name}.{os.getpid()}.partial")
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.writelines(json.dumps([key, *one]) + "\n" for key, one in kept.items())
            aside.replace(self._path)
