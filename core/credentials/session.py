"""Staying signed in while many workers share one sign-in: renewed once, by one, stored before it is used."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from functools import partial
from secrets import token_hex
from typing import NoReturn

from core.credentials.base import HOW_TO_RENEW, Credentials, CredentialStore
from core.errors import CredentialsRejected, InvalidInput, TransientError
from core.retry import API_CALL, SAVE_CREDENTIALS, retrying
from core.tracker.base import Leases

#: Seconds that one worker may take for one attempt to renew; it takes the lease anew for each attempt.
REFRESH_LEASE = 60.0

#: Seconds that the others wait for it: longer than the lease of a worker that died.
PATIENCE = 75.0

#: Seconds for which all workers remember that a version of the credentials was refused.
REJECTION_LEASE = 24 * 3600.0

#: Seconds between two renewals for no better reason than suspicion.
SUSPICION_LEASE = 600.0

_EVERYBODY = "everybody"  # owner of a remembered rejection, so that any worker may take it back


class SignIn:
    """The credentials in force, for all threads of a process and, through `leases`, all workers of a sync.

    `refresh` asks the provider once for new credentials; it raises `CredentialsRejected` if the refresh token
    is refused and `TransientError` if it may work later. `renewals` counts the successful ones of this
    process; `on_renewal` hears of each.
    """

    def __init__(
        self,
        store: CredentialStore,
        leases: Leases,
        provider_name: str,
        refresh: Callable[[Credentials], Credentials],
        *,
        sleep: Callable[[float], None] = time.sleep,
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
        on_renewal: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._leases = leases
        self._name = provider_name
        self._refresh = refresh
        self._sleep = sleep
        self._draw = draw
        self._clock = clock
        self._on_renewal = on_renewal
        self._lock = threading.RLock()
        self._known: Credentials | None = None
        self._refused: set[str] = set()  # versions whose access token was refused here; they may be renewed
        self.renewals = 0

    def current(self) -> Credentials:
        """The credentials to send now; renewed first if only a refresh token is stored.

        `CredentialsRejected`, without a call to the provider, if some worker had them refused and nobody has
        stored others.
        """
        with self._lock:
            if self._known is None or self._known.version in self._refused:
                found = self._store.current(fresh=self._known is not None)
                if self._is_given_up(found):
                    found = self._store.current(fresh=True)
                self._known = self._admit(found)
            return self._known

    def start_anew(self) -> Credentials:
        """The credentials as stored now, whatever is remembered of them: for the check that begins a run."""
        with self._lock:
            found = self._store.current(fresh=True)
            self._refused.discard(found.version)
            self._leases.release(self._rejection(found.version), _EVERYBODY)
            self._known = self._admit(found)
            return self._known

    def renew(self, rejected: Credentials) -> Credentials:
        """Other credentials than those that the provider has just rejected.

        A newer version in the store is taken as it is. Else one worker renews under a lease while the others
        wait for it. `CredentialsRejected` if that is impossible, `TransientError` if it takes too long or the
        provider is out of order.
        """
        with self._lock:
            if self._known and self._known.version not in (rejected.version, *self._refused):
                return self._known
            self._refused.add(rejected.version)
            self._known = self._renewed_by_anyone()
            return self._known

    def renew_on_suspicion(self, suspect: Credentials) -> Credentials | None:
        """Other credentials than `suspect`, which may be dead or may not: None if there are none for now.

        At most one renewal in ten minutes is made for that reason, over all workers.
        """
        with self._lock:
            if self._known and self._known.version != suspect.version:
                return self._known
            found = self._store.current(fresh=True)
            if found.version != suspect.version and self._is_usable(found):
                self._known = found
                return found
            lease = f"{self._name}#suspicion"
            if found.can_renew and self._leases.acquire(lease, token_hex(8), SUSPICION_LEASE):
                return self.renew(suspect)
            return None

    def _admit(self, found: Credentials) -> Credentials:
        if self._is_given_up(found):
            raise _rejection(self._name, "were refused earlier and have not been replaced since")
        is_good = found.has_access and found.version not in self._refused
        return found if is_good else self._renewed_by_anyone()

    def _renewed_by_anyone(self) -> Credentials:
        give_up_at = self._clock() + PATIENCE
        while True:
            found = self._store.current(fresh=True)
            if self._is_usable(found):
                return found
            if not found.can_renew:
                self._reject(found, "are refused, and nothing in them allows to renew them")
            if self._is_given_up(found):
                self._reject(found, "are refused, and so is their refresh token")
            if renewed := self._renewed_here(token_hex(8)):
                return renewed
            if self._clock() >= give_up_at:
                raise TransientError(f"Another worker renews the sign-in at {self._name} for over {PATIENCE:.0f} s.")
            self._sleep(0.25 + 0.75 * self._draw())

    def _renewed_here(self, owner: str) -> Credentials | None:
        """New credentials, stored; None if another worker is at it or has just been."""
        if not self._take_lease(owner):
            return None
        try:
            found = self._store.current(fresh=True)
            if self._is_usable(found):
                return found
            if self._is_given_up(found):
                return None
            fresh = self._ask(found, owner)
            if fresh is None:
                return None
            # Before anything else is done with it: a rotated refresh token that is lost is a sign-in lost.
            save = partial(self._store.save, fresh)
            saved = retrying(SAVE_CREDENTIALS, save, sleep=self._sleep, draw=self._draw)
        finally:
            self._leases.release(self._refresh_lease, owner)
        self.renewals += 1
        self._on_renewal()
        return saved

    def _ask(self, found: Credentials, owner: str) -> Credentials | None:
        """New credentials for those stored, or for the version before if those never became good.

        None if the store has changed in the meantime, so that the refusal was of something outdated.
        """
        refused: dict[str, str] = {}
        for candidate in (lambda: found, self._previous):
            credentials = candidate()
            if credentials is None or not credentials.can_renew or credentials.refresh_token in refused:
                continue
            attempt = partial(self._attempt, credentials, owner)
            try:
                return retrying(API_CALL, attempt, sleep=self._sleep, draw=self._draw)
            except CredentialsRejected as refusal:
                refused[credentials.refresh_token] = str(refusal)
        if self._store.current(fresh=True).version == found.version:
            self._reject(found, f"are refused and cannot be renewed: {refused.get(found.refresh_token, '')}")
        return None

    def _previous(self) -> Credentials | None:
        try:
            return self._store.previous()
        except (CredentialsRejected, InvalidInput):
            return None  # a placeholder, or nothing that could renew

    def _attempt(self, credentials: Credentials, owner: str) -> Credentials:
        if not self._take_lease(owner):
            raise TransientError(f"Another worker has begun to renew the sign-in at {self._name}.")
        return self._refresh(credentials)

    @property
    def _refresh_lease(self) -> str:
        return f"{self._name}#refresh"

    def _take_lease(self, owner: str) -> bool:
        return self._leases.acquire(self._refresh_lease, owner, REFRESH_LEASE)

    def _rejection(self, version: str) -> str:
        return f"{self._name}#rejected-{version}"

    def _is_given_up(self, found: Credentials) -> bool:
        """Whether some worker had this version refused and could not renew it."""
        return self._leases.held(self._rejection(found.version))

    def _is_usable(self, found: Credentials) -> bool:
        return found.has_access and found.version not in self._refused and not self._is_given_up(found)

    def _reject(self, found: Credentials, cause: str) -> NoReturn:
        self._refused.add(found.version)
        self._leases.acquire(self._rejection(found.version), _EVERYBODY, REJECTION_LEASE)
        raise _rejection(self._name, cause)


def _rejection(provider_name: str, cause: str) -> CredentialsRejected:
    cause = cause.rstrip(". ")
    return CredentialsRejected(f"The stored credentials for {provider_name} {cause}. {HOW_TO_RENEW}")
