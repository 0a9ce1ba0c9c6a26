"""Credentials in memory, while they are tried before they are stored."""

from __future__ import annotations

from core.credentials.base import Credentials


class MemoryCredentials:
    """Holds the credentials on trial; what a renewal saves takes their place."""

    def __init__(self, candidate: Credentials) -> None:
        self._versions = [candidate.with_version("candidate-0")]

    def current(self, *, fresh: bool = False) -> Credentials:
        """The credentials on trial, or what they were renewed to."""
        return self._versions[-1]

    def previous(self) -> Credentials | None:
        """Those before the last renewal."""
        return self._versions[-2] if len(self._versions) > 1 else None

    def save(self, credentials: Credentials) -> Credentials:
        """Keep renewed credentials."""
        self._versions.append(credentials.with_version(f"candidate-{len(self._versions)}"))
        return self._versions[-1]
