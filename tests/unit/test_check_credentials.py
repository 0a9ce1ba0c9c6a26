"""The check of the credentials between runs: what it tells whom, once, and what it learns of the lives of tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.credentials.base import Credentials
from core.credentials.file import FileCredentials
from core.model import format_time
from core.providers.base import Provider, ProviderSettings
from core.providers.gopro import create
from core.sync.check_credentials import ASSUMED_HOURS, Checked, TokenLives, check_credentials
from core.sync.notify import Notification
from core.tracker.sqlite import SqliteTracker
from tests.gopro_cloud import GoProCloud, many_small

START = datetime(2026, 11, 24, 20, tzinfo=UTC)


@pytest.fixture
def cloud() -> Iterator[GoProCloud]:
    with GoProCloud(many_small(3, 20_000)) as running:
        yield running


class Household:
    """Somebody's credentials, the checks of them, and the messages that arrived; time passes as it is told."""

    def __init__(self, folder: Path, cloud: GoProCloud) -> None:
        self.cloud = cloud
        self.now = START
        self.store = FileCredentials(folder / "credentials.json")
        self.tracker = SqliteTracker(folder / "tracker.sqlite3")
        self.inbox: list[Notification] = []

    def sign_in(self, document: dict[str, str] | None = None) -> None:
        found = Credentials.from_json(document or self.cloud.pasted(), "")
        self.store.save(replace(found, last_updated=format_time(self.now) or ""))

    def check(self, *, after: float = 0, ahead: float | None = 8) -> Checked:
        """A check some hours later."""
        self.now += timedelta(hours=after)
        settings = ProviderSettings(self.store, leases=self.tracker, base_url=self.cloud.url)
        provider: Provider = create(settings, sleep=lambda _: None)
        return check_credentials(
            provider, self.store, self.tracker, self.now, hours_ahead=ahead, tell=self.inbox.append
        )

    def live_and_die(self, hours: int) -> None:
        """A token that is watched each hour and found dead some hours after it was stored."""
        self.sign_in()
        for _ in range(hours - 1):
            assert self.check(after=1, ahead=None).state in ("good", "dying")
        self.cloud.tokens.clear()
        assert self.check(after=1, ahead=None).state == "dead"

    @property
    def lives(self) -> TokenLives:
        return TokenLives.from_json(json.loads(self.tracker.recall("token-lives/gopro")))


@pytest.fixture
def house(tmp_path: Path, cloud: GoProCloud) -> Household:
    return Household(tmp_path, cloud)


def test_good_credentials_that_will_last_are_no_news(house: Household) -> None:
    house.sign_in()
    assert house.check() == Checked("good", 0.0, ASSUMED_HOURS)
    assert house.inbox == []


def test_dead_credentials_are_told_once_with_what_to_do(house: Household, cloud: GoProCloud) -> None:
    house.sign_in()
    cloud.tokens.clear()
    assert house.check(after=10).state == "dead"
    assert house.check(after=24).state == "dead"
    (message,) = house.inbox
    assert message.subject == "Cloud Sync: sign in again before the next sync, the credentials are dead"
    assert message.subject.isascii()
    assert len(message.subject) <= 100
    assert "are refused, and nothing in them allows to renew them" in message.message
    assert message.message.count("cloud-sync auth set") == 1


def test_others_that_die_are_told_again(house: Household, cloud: GoProCloud) -> None:
    for _ in range(2):
        house.sign_in()
        cloud.tokens.clear()
        house.check(after=10)
    assert len(house.inbox) == 2


def test_a_token_that_will_probably_be_dead_at_the_next_sync_is_told_once(house: Household) -> None:
    house.sign_in()
    assert house.check(after=2).state == "dying"
    house.check(after=1)
    (message,) = house.inbox
    assert message.subject == "Cloud Sync: sign in again before the next sync, the credentials are old"
    assert "stored 2 hours ago, will probably be dead at the next sync" in message.message
    assert "about 9 hours, by what others have observed" in message.message
    assert "cloud-sync auth set" in message.message


def test_a_token_that_has_outlived_what_is_expected_is_left_in_peace(house: Household) -> None:
    house.sign_in()
    assert house.check(after=30).state == "good"
    assert house.inbox == []


def test_a_look_without_a_warning_tells_nobody(house: Household, cloud: GoProCloud) -> None:
    house.sign_in()
    cloud.tokens.clear()
    assert house.check(after=10, ahead=None).state == "dead"
    assert house.inbox == []
    house.check(after=1)
    assert len(house.inbox) == 1


def test_credentials_that_were_never_stored_are_told(house: Household) -> None:
    assert house.check().state == "dead"
    house.check(after=24)
    (message,) = house.inbox
    assert "There are no credentials in" in message.message


def test_credentials_that_renew_themselves_are_no_news_and_teach_nothing(house: Household, cloud: GoProCloud) -> None:
    house.sign_in(cloud.renewing())
    for _ in range(4):
        assert house.check(after=8).state == "good"
        cloud.tokens.clear()
    assert cloud.counts.refreshes == 4
    assert (house.inbox, house.lives.hours) == ([], ())


def test_a_refused_refresh_token_is_told(house: Household, cloud: GoProCloud) -> None:
    house.sign_in(cloud.renewing())
    cloud.refresh_tokens.clear()
    assert house.check().state == "dead"
    assert "cannot be renewed" in house.inbox[0].message
    assert house.lives.hours == ()


def test_a_token_that_was_never_seen_good_teaches_nothing(house: Household, cloud: GoProCloud) -> None:
    house.sign_in()
    cloud.tokens.clear()
    assert house.check().state == "dead"
    assert (house.lives.hours, house.lives.expected_hours) == ((), ASSUMED_HOURS)


def test_a_cloud_that_gives_500_is_told_as_not_known_and_teaches_nothing(house: Household, cloud: GoProCloud) -> None:
    house.sign_in()
    cloud.quirks.dead_token_status = 500
    cloud.tokens.clear()
    assert house.check().state == "unknown"
    house.check(after=1)
    (message,) = house.inbox
    assert "could not be found out" in message.subject
    assert "a dead token can look like this too" in message.message
    assert house.lives == TokenLives(told="unknown")


def test_how_long_tokens_live_is_learned_from_those_that_died(house: Household) -> None:
    assert TokenLives().expected_hours == 9
    for hours in (20, 24, 21):
        house.live_and_die(hours)
    assert house.lives.hours == (19.5, 23.5, 20.5)  # in the middle between the last good look and the first bad one
    house.sign_in()
    assert house.check(after=12) == Checked("good", 12, 20.5)
    assert house.inbox == []
    assert house.check(after=1).state == "dying"
    assert "about 20.5 hours, by 3 tokens that were seen to die here" in house.inbox[0].message


def test_only_the_last_lives_count(house: Household) -> None:
    for _ in range(12):
        house.live_and_die(4)
    assert house.lives.hours == (3.5,) * 10


def test_a_death_that_nobody_was_near_teaches_nothing(house: Household, cloud: GoProCloud) -> None:
    house.sign_in()
    house.check(after=1, ahead=None)
    cloud.tokens.clear()
    house.check(after=40, ahead=None)
    assert house.lives.hours == ()
    assert house.lives.dead_at == house.now


def test_what_is_kept_is_times_and_nothing_of_a_token(house: Household, cloud: GoProCloud) -> None:
    house.sign_in()
    house.check()
    kept = house.tracker.recall("token-lives/gopro")
    assert set(json.loads(kept)) == {"version", "stored_at", "good_at", "dead_at", "told", "hours"}
    for secret in (*cloud.tokens, cloud.user_id):
        assert secret not in kept


def test_a_warning_that_could_not_be_sent_is_sent_by_the_next_check(house: Household, cloud: GoProCloud) -> None:
    house.sign_in()
    cloud.tokens.clear()

    class Broken(list[Notification]):
        def append(self, _: Notification) -> None:
            raise OSError("the topic is away")

    house.inbox = Broken()
    with pytest.raises(OSError, match="away"):
        house.check()
    house.inbox = []
    house.check()
    assert len(house.inbox) == 1
