"""What a cloud must be able to do. A second one is a module that implements `Provider`, joined through the registry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from core.credentials.base import CredentialStore
from core.model import Account, Medium, Offer, Original
from core.tracker.base import Leases


@dataclass(slots=True)
class ListingReport:
    """What a listing proved, complete once the listing is exhausted.

    `expected` is the provider's own count, from the first page on, and `found` the distinct ids seen; `unreadable`
    counts rows and pages without which the library cannot be whole, `novelties` names what this version does not know
    (new types, missing fields). `steady` says that so far no page was missing or came short and nothing was deleted
    meanwhile, so that nothing was passed over on the way.
    """

    expected: int | None = None
    found: int = 0
    unreadable: int = 0
    steady: bool = True
    novelties: set[str] = field(default_factory=set)

    @property
    def proved(self) -> bool:
        """Whether every medium the provider counts was seen and could be read."""
        return self.unreadable == 0 and self.expected is not None and self.found >= self.expected


class ByteSource(Protocol):
    """An open response body. `total` is the whole file's declared length in bytes, None where the server declares none.

    `version` is the server's validator of the bytes (ETag or Last-Modified), "" if it has none. `ranged` says that the
    server gives ranges: the body is the one asked for, and others can be had.
    """

    total: int | None
    version: str
    ranged: bool

    def readinto(self, buffer: memoryview) -> int:
        """Read into `buffer`: at least one byte, 0 once the body has ended. `IntegrityError` if it breaks off early."""
        ...


class Provider(Protocol):
    """A cloud media library, read only. `name` is its name in keys and records, `title` the one for people and tags."""

    name: str
    title: str

    def authenticate(self) -> Account:
        """Check the credentials. `CredentialsRejected` if they are refused and cannot be renewed."""
        ...

    def list_media(self, report: ListingReport) -> Iterator[Medium]:
        """Every medium once, newest first where the provider can; `report` is filled on the way."""
        ...

    def promised(self, medium: Medium) -> int:
        """How many originals a medium has at least, as its listing tells; 0 if that tells nothing."""
        ...

    def resolve(self, medium: Medium) -> Offer:
        """The originals of a medium with fresh locators. `SourceGone` if the provider no longer has it."""
        ...

    def open(
        self, original: Original, start: int = 0, end: int | None = None, version: str = ""
    ) -> AbstractContextManager[ByteSource]:
        """Open the bytes of an original from `start` up to and without `end`, None meaning its own end.

        A server that gives no ranges sends all of it if `start` is 0. `LocatorExpired` if the locator must be resolved
        again, `SourceChanged` if the bytes are not those of `version`. It asks once: who reads tries again.
        """
        ...

    def thumbnail(self, offer: Offer) -> bytes | None:
        """A small JPEG of the medium, None if there is none. An error means that it cannot be had now, and no more."""
        ...


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """What a provider is made from. `base_url` None means its own; `leases` coordinates all workers of a sync."""

    credentials: CredentialStore
    leases: Leases
    base_url: str | None = None
