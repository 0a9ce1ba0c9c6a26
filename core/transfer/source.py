"""One original as a source of bytes whose download URL is renewed when it has expired."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from core.errors import IntegrityError, LocatorExpired
from core.model import Medium, Original
from core.providers.base import ByteSource, Provider


class Source:
    """The bytes of `original`, for several threads. An expired URL is resolved again, by one of them."""

    def __init__(self, provider: Provider, medium: Medium, original: Original) -> None:
        self._provider = provider
        self._medium = medium
        self._original = original
        self._lock = threading.Lock()

    @contextmanager
    def open(self, start: int = 0, end: int | None = None, version: str = "") -> Iterator[ByteSource]:
        """Open the bytes from `start` up to and without `end`; `SourceChanged` if they are not those of `version`."""
        with ExitStack() as stack:
            known = self._original
            try:
                body = stack.enter_context(self._provider.open(known, start, end, version))
            except LocatorExpired:
                renewed = self._renewed(known)
                body = stack.enter_context(self._provider.open(renewed, start, end, version))
            yield body

    def _renewed(self, expired: Original) -> Original:
        with self._lock:
            if self._original is expired:
                self._original = self._resolved_again()
            return self._original

    def _resolved_again(self) -> Original:
        # Locators are left out of comparison, so the same original under a new URL is equal.
        for original in self._provider.resolve(self._medium).originals:
            if original == self._original:
                return original
        raise IntegrityError(
            f"Item {self._original.item_number} of {self._medium.media_id} is no longer offered. "
            "It is tried again with the next run."
        )
