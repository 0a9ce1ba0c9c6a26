"""What stops the benchmark before it can measure."""

from __future__ import annotations


class NotReady(Exception):
    """Something that it needs is missing; the text says what to do."""
