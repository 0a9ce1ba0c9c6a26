"""Staying signed in: who renews, when, and what survives a crash."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from core.credentials.base import Credentials
from core.credentials.session import PATIENCE, SignIn
from core.errors import CredentialsRejected, TransientError

PASTED = Credentials(gp_access_token="pasted-1", gp_user_id="u")
RENEWING = Credentials(gp_access_token="access-1", refresh_token="refresh-1", client_id="mine")


class MemoryStore:
    """A credential store with every version it ever had."""

    def __init__(self, *versions: Credentials) -> None:
        self.versions = [one.with_version(f"v{number}") for number, one in enumerate(versions, 1)]
        self.failures = 0

    def current(self, *, fresh: bool = False) -> Credentials:
        return self.versions[-1]

    def previous(self) -> Credentials | None:
        return self.versions[-2] if len(self.versions) > 1 else None

    def save(self, credentials: Credentials) -> Credentials:
        if self.failures:
            self.failures -= 1
            raise OSError("the store is away")
        self.versions.append(credentials.with_version(f"v{len(self.versions) + 1}"))
        return self.versions[-1]


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.while_sleeping: Callable[[], None] = lambda: None

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.while_sleeping()


class MemoryLeases:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.taken: dict[str, tuple[str, float]] = {}

    def acquire(self, name: str, owner: str, seconds: float) -> bool:
        with self._lock:
            holder, until = self.taken.get(name, ("", 0.0))
            if holder not in ("", owner) and until > self._clock():
                return False
            self.taken[name] = (owner, self._clock() + seconds)
            return True

    def release(self, name: str, owner: str) -> None:
        with self._lock:
            if self.taken.get(name, ("", 0.0))[0] == owner:
                del self.taken[name]

    def held(self, name: str) -> bool:
        return self.taken.get(name, ("", 0.0))[1] > self._clock()


class TokenServer:
    """Hands out access-2, access-3, … and a new refresh token each time, ending the old one."""

    def __init__(self, good: str = "refresh-1") -> None:
        self.good = good
        self.calls = 0
        self.issued = 1
        self.faults: list[Exception] = []

    def __call__(self, credentials: Credentials) -> Credentials:
        self.calls += 1
        if self.faults:
            raise self.faults.pop(0)
        if credentials.refresh_token != self.good:
            raise CredentialsRejected("token_blacklisted")
        self.issued += 1
        self.good = f"refresh-{self.issued}"
        return replace(credentials, gp_access_token=f"access-{self.issued}", refresh_token=self.good)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leases(clock: Clock) -> MemoryLeases:
    return MemoryLeases(clock)


@pytest.fixture
def server() -> TokenServer:
    return TokenServer()


@pytest.fixture
def worker(leases: MemoryLeases, clock: Clock, server: TokenServer) -> Callable[[MemoryStore], SignIn]:
    def make(store: MemoryStore) -> SignIn:
        return SignIn(store, leases, "gopro", server, sleep=clock.sleep, draw=lambda: 0.5, clock=clock)

    return make


Worker = Callable[[MemoryStore], SignIn]


def test_a_rejected_token_is_renewed_and_stored_before_it_is_used(worker: Worker, server: TokenServer) -> None:
    store = MemoryStore(RENEWING)
    sign_in = worker(store)
    fresh = sign_in.renew(sign_in.current())
    assert fresh == store.versions[-1]
    assert (fresh.gp_access_token, fresh.refresh_token) == ("access-2", "refresh-2")
    assert store.previous() == RENEWING.with_version("v1")
    assert sign_in.current() == fresh
    assert (sign_in.renewals, server.calls) == (1, 1)


def test_a_worker_that_comes_later_takes_the_newer_version_without_a_call(worker: Worker, server: TokenServer) -> None:
    store = MemoryStore(RENEWING)
    first, second = worker(store), worker(store)
    rejected = second.current()
    fresh = first.renew(first.current())
    assert second.renew(rejected) == fresh
    assert server.calls == 1
    assert second.renewals == 0


def test_one_run_outlives_many_tokens(worker: Worker, server: TokenServer) -> None:
    sign_in = worker(MemoryStore(RENEWING))
    for _ in range(200):
        sign_in.renew(sign_in.current())
    assert sign_in.renewals == server.calls == 200
    assert sign_in.current().gp_access_token == "access-201"


def test_many_workers_whose_token_dies_at_once_renew_it_once(leases: MemoryLeases, server: TokenServer) -> None:
    store = MemoryStore(RENEWING)
    workers = [SignIn(store, leases, "gopro", server, sleep=lambda _: None) for _ in range(8)]
    rejected = store.current()
    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(lambda number: workers[number % 8].renew(rejected), range(64)))
    assert {one.gp_access_token for one in found} == {"access-2"}
    assert server.calls == 1
    assert sum(one.renewals for one in workers) == 1


def test_a_worker_waits_for_the_one_that_renews(worker: Worker, leases: MemoryLeases, clock: Clock) -> None:
    store = MemoryStore(RENEWING)
    sign_in = worker(store)
    leases.acquire("gopro#refresh", "another worker", 60)
    renewed_elsewhere = replace(RENEWING, gp_access_token="from elsewhere")

    def after_five_seconds() -> None:
        if clock.now > 1005 and len(store.versions) == 1:
            store.save(renewed_elsewhere)

    clock.while_sleeping = after_five_seconds
    assert sign_in.renew(sign_in.current()).gp_access_token == "from elsewhere"
    assert sign_in.renewals == 0
    assert clock.now < 1010


def test_the_lease_of_a_worker_that_died_runs_out(worker: Worker, leases: MemoryLeases, clock: Clock) -> None:
    sign_in = worker(MemoryStore(RENEWING))
    leases.acquire("gopro#refresh", "a dead worker", 60)
    assert sign_in.renew(sign_in.current()).gp_access_token == "access-2"
    assert 1060 <= clock.now < 1000 + PATIENCE


def test_waiting_for_another_worker_has_an_end(worker: Worker, leases: MemoryLeases, clock: Clock) -> None:
    sign_in = worker(MemoryStore(RENEWING))
    leases.acquire("gopro#refresh", "a worker without end", 10_000)
    with pytest.raises(TransientError, match="Another worker"):
        sign_in.renew(sign_in.current())
    assert clock.now < 1000 + PATIENCE + 2


def test_credentials_with_a_refresh_token_alone_renew_at_first_use(worker: Worker, server: TokenServer) -> None:
    sign_in = worker(MemoryStore(Credentials(refresh_token="refresh-1", client_id="mine")))
    assert sign_in.current().gp_access_token == "access-2"
    assert sign_in.current().gp_access_token == "access-2"
    assert server.calls == 1


def test_a_token_endpoint_out_of_order_is_no_rejection(worker: Worker, server: TokenServer) -> None:
    server.faults = [TransientError("503"), TransientError("503")]
    sign_in = worker(MemoryStore(RENEWING))
    assert sign_in.renew(sign_in.current()).gp_access_token == "access-2"
    server.faults = [TransientError("503")] * 20
    with pytest.raises(TransientError):
        sign_in.renew(sign_in.current())
    server.faults = []
    assert sign_in.current().gp_access_token == "access-3"


def test_a_store_that_fails_for_a_moment_loses_no_rotated_token(worker: Worker) -> None:
    store = MemoryStore(RENEWING)
    store.failures = 3
    sign_in = worker(store)
    assert sign_in.renew(sign_in.current()).refresh_token == store.current().refresh_token == "refresh-2"


def test_the_previous_refresh_token_is_tried_if_the_stored_one_never_became_good(
    worker: Worker, server: TokenServer
) -> None:
    store = MemoryStore(RENEWING, replace(RENEWING, gp_access_token="never", refresh_token="never good"))
    sign_in = worker(store)
    assert sign_in.renew(sign_in.current()).gp_access_token == "access-2"
    assert store.current().refresh_token == "refresh-2"
    assert server.calls == 2


def test_a_refused_refresh_token_ends_the_sign_in_for_all_workers(worker: Worker, server: TokenServer) -> None:
    server.good = "revoked"
    store = MemoryStore(RENEWING)
    with pytest.raises(CredentialsRejected, match=r"token_blacklisted.*cloud-sync auth set"):
        worker(store).renew(store.current())
    assert server.calls == 1
    for _ in range(20):
        with pytest.raises(CredentialsRejected):
            worker(store).current()
        with pytest.raises(CredentialsRejected):
            worker(store).renew(store.current())
    assert server.calls == 1


def test_a_pasted_token_cannot_be_renewed_and_the_message_says_how_to_sign_in_again(worker: Worker) -> None:
    sign_in = worker(MemoryStore(PASTED))
    with pytest.raises(CredentialsRejected, match="cloud-sync auth set") as caught:
        sign_in.renew(sign_in.current())
    assert "pasted-1" not in str(caught.value)


def test_after_one_rejection_of_a_pasted_token_no_worker_makes_a_call(worker: Worker) -> None:
    store = MemoryStore(PASTED)
    unlucky = worker(store)
    with pytest.raises(CredentialsRejected):
        unlucky.renew(unlucky.current())
    for _ in range(995):
        with pytest.raises(CredentialsRejected, match="earlier"):
            worker(store).current()
    with pytest.raises(CredentialsRejected):
        unlucky.current()


def test_a_newly_pasted_token_is_used_at_once(worker: Worker) -> None:
    store = MemoryStore(PASTED)
    sign_in = worker(store)
    with pytest.raises(CredentialsRejected):
        sign_in.renew(sign_in.current())
    store.save(replace(PASTED, gp_access_token="pasted-2"))
    assert sign_in.current().gp_access_token == "pasted-2"
    assert worker(store).current().gp_access_token == "pasted-2"


def test_the_check_that_begins_a_run_tries_credentials_again_that_were_refused(worker: Worker) -> None:
    store = MemoryStore(PASTED)
    sign_in = worker(store)
    with pytest.raises(CredentialsRejected):
        sign_in.renew(sign_in.current())
    assert sign_in.start_anew().gp_access_token == "pasted-1"
    assert worker(store).current().gp_access_token == "pasted-1"


def test_suspicion_renews_at_most_once_in_ten_minutes_over_all_workers(
    worker: Worker, server: TokenServer, clock: Clock
) -> None:
    store = MemoryStore(RENEWING)
    sign_in = worker(store)
    suspect = sign_in.current()
    fresh = sign_in.renew_on_suspicion(suspect)
    assert fresh is not None
    assert fresh.gp_access_token == "access-2"
    assert worker(store).renew_on_suspicion(suspect) == fresh
    assert worker(store).renew_on_suspicion(fresh) is None
    clock.now += 601
    assert worker(store).renew_on_suspicion(fresh) is not None
    assert server.calls == 2


def test_a_pasted_token_is_not_rejected_on_suspicion(worker: Worker) -> None:
    sign_in = worker(MemoryStore(PASTED))
    assert sign_in.renew_on_suspicion(sign_in.current()) is None
    assert sign_in.current().gp_access_token == "pasted-1"


def test_a_refusal_of_what_another_worker_has_replaced_meanwhile_is_no_rejection(
    worker: Worker, server: TokenServer
) -> None:
    store = MemoryStore(RENEWING)
    sign_in = worker(store)
    rejected = sign_in.current()
    server.good = "elsewhere"
    refused = server.__call__

    def replaced_while_asking(credentials: Credentials) -> Credentials:
        if len(store.versions) == 1:
            store.save(replace(RENEWING, gp_access_token="access-9", refresh_token="elsewhere"))
        return refused(credentials)

    sign_in._refresh = replaced_while_asking
    assert sign_in.renew(rejected).gp_access_token == "access-9"
