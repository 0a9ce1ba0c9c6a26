"""One original as a source of bytes whose download URL is renewed when it has expired."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from core.errors import IntegrityError, LocatorExpired
from core.model import Medium, Original
from core.providers.base import ByteSource, Provider


class Source:
    """The bytes of `original`. URLs live an hour: an expired one is resolved again, once for each opening."""

    def __init__(self, provider: Provider, medium: Medium, original: Original) -> None:
        self._provider = provider
        self._medium = medium
        self._original = original

    @contextmanager
    def open(self, start: int = 0) -> Iterator[ByteSource]:
        """Open the bytes from `start` on."""
        with ExitStack() as stack:
            try:
                body = stack.enter_context(self._provider.open(self._original, start))
            except LocatorExpired:
                self._original = self._resolved_again()
                body = stack.enter_context(self._provider.open(self._original, start))
            yield body

    def length(self) -> int | None:
        """The length in bytes that the source declares now, None if it declares none."""
        with self.open() as body:
            return body.total

    def _resolved_again(self) -> Original:
        # Locators are left out of comparison, so the same original under a new URL is equal.
        for original in self._provider.resolve(self._medium).originals:
            if original == self._original:
                return original
        raise IntegrityError(
            f"Item {self._original.item_number} of {self._medium.media_id} is no longer offered. "
            "It is tried again with the next run."
        )
