"""Credentials are tried before they are stored, and stored only if they are others than those in force."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.credentials.base import Credentials, CredentialStore
from core.credentials.memory import MemoryCredentials
from core.errors import CredentialsRejected, InvalidInput
from core.model import Account, format_time
from core.providers import registry
from core.providers.base import ProviderSettings
from core.tracker.base import Leases


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Credentials that the provider has accepted. `is_new` says that they were stored just now."""

    account: Account
    is_new: bool


def sign_in(
    document: dict[str, str],
    store: CredentialStore,
    now: datetime,
    *,
    provider_name: str,
    base_url: str | None,
    leases: Leases,
) -> SignedIn:
    """Try the credentials of a document and store them.

    `CredentialsRejected` if they are refused, `TransientError` if the provider cannot be asked: nothing is stored then.
    A token that is stored already stays as it is, so that its age stays known. `leases` are those of the trial alone.
    """
    candidate = Credentials.from_json(document | {"last_updated": format_time(now)}, version="")
    trial = MemoryCredentials(candidate)
    settings = ProviderSettings(credentials=trial, leases=leases, base_url=base_url)
    try:
        account = registry.create(provider_name, settings).authenticate()
    except CredentialsRejected as refusal:
        said = str(refusal).replace("The stored credentials", "These credentials")
        raise CredentialsRejected(f"Nothing was stored. {said}") from None
    accepted = trial.current()
    is_new = not _is_same(accepted, _in_force(store))
    if is_new:
        store.save(accepted)
    return SignedIn(account, is_new)


def _in_force(store: CredentialStore) -> Credentials | None:
    try:
        return store.current(fresh=True)
    except (CredentialsRejected, InvalidInput):
        return None


def _is_same(new: Credentials, old: Credentials | None) -> bool:
    """Whether both sign in as the same with the same, whenever they were stored."""
    names = ("gp_access_token", "gp_user_id", "cookies", "refresh_token", "client_id", "client_secret")
    return old is not None and all(getattr(new, name) == getattr(old, name) for name in names)
