"""Credentials and where they are kept."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol

from core.errors import CredentialsRejected, InvalidInput
from core.model import Json

#: What the template puts into a new secret.
PLACEHOLDER = "REPLACE_ME"

HOW_TO_RENEW = (
    "Sign in at gopro.com in a browser, copy a request as cURL or the cookies gp_access_token and gp_user_id, and "
    "store them with `cloud-sync auth set` (for a deployed stack add `--stack NAME`); the next run goes on from where "
    "this one stopped."
)

_TEXT_FIELDS = (
    "gp_access_token",
    "gp_user_id",
    "user_agent",
    "cookies",
    "last_updated",
    "refresh_token",
    "client_id",
    "client_secret",
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What signs a user in: pasted (`gp_access_token`, `cookies`) or renewing (`refresh_token`, the user's own client).

    Field names are those of the stored JSON document. `version` is the store's name for this state of it, no secret.
    """

    gp_access_token: str = field(default="", repr=False)
    gp_user_id: str = field(default="", repr=False)
    user_agent: str = field(default="", repr=False)
    cookies: str = field(default="", repr=False)
    last_updated: str = ""
    refresh_token: str = field(default="", repr=False)
    client_id: str = field(default="", repr=False)
    client_secret: str = field(default="", repr=False)
    version: str = ""

    @property
    def can_renew(self) -> bool:
        """Whether the refresh grant can be asked for a new access token."""
        return bool(self.refresh_token and self.client_id)

    @property
    def has_access(self) -> bool:
        """Whether there is something to send with a request now."""
        return bool(self.gp_access_token or self.cookies)

    def with_version(self, version: str) -> Credentials:
        """The same credentials under the store's name for them."""
        return replace(self, version=version)

    def to_json(self) -> dict[str, str]:
        """The stored JSON document, without what is empty."""
        return {name: value for name in _TEXT_FIELDS if (value := getattr(self, name))}

    @classmethod
    def from_json(cls, document: Json, version: str) -> Credentials:
        """Credentials from the stored document.

        `InvalidInput` if it is malformed, `CredentialsRejected` if it is the template's placeholder or holds nothing.
        """
        if not isinstance(document, dict):
            raise InvalidInput(
                "The stored credentials are not a JSON object. Store them again with `cloud-sync auth set`."
            )
        wrong = [name for name in _TEXT_FIELDS if not isinstance(document.get(name, ""), str)]
        if wrong:
            raise InvalidInput(
                f"In the stored credentials {', '.join(wrong)} must be text. "
                "Store them again with `cloud-sync auth set`."
            )
        found = cls(**{name: _header_safe(name, document.get(name, "")) for name in _TEXT_FIELDS}, version=version)
        if PLACEHOLDER in (found.gp_access_token, found.cookies):
            raise CredentialsRejected(
                f"No credentials have been stored yet: the placeholder is still there. {HOW_TO_RENEW}"
            )
        if not (found.has_access or found.can_renew):
            raise CredentialsRejected(
                "The stored credentials hold neither gp_access_token nor cookies nor refresh_token with client_id. "
                f"{HOW_TO_RENEW}"
            )
        return found


def _header_safe(name: str, value: str) -> str:
    value = value.strip()
    if not value.isprintable() or not value.isascii():
        raise InvalidInput(
            f"In the stored credentials {name} holds characters that no HTTP header can carry. Paste it again."
        )
    return value


class CredentialStore(Protocol):
    """Where the credentials are kept, with the version before the current one where that may be needed."""

    def current(self, *, fresh: bool = False) -> Credentials:
        """The credentials in force; `fresh` looks past any cache."""
        ...

    def previous(self) -> Credentials | None:
        """The credentials before those in force, if they are still kept."""
        ...

    def save(self, credentials: Credentials) -> Credentials:
        """Store new credentials and give them back with their version.

        Those in force are kept as previous at least where both can renew themselves.
        """
        ...
