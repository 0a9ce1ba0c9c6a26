"""The check between runs: are the credentials still good, and will they be when the next run starts?

It learns how long tokens live: `TokenLives` keeps the times at which one was stored, was seen good and was seen dead.
There is nothing in it of a token.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from statistics import median
from typing import Literal, Self

from core.credentials.base import HOW_TO_RENEW, Credentials, CredentialStore
from core.errors import CredentialsRejected, InvalidInput, TransientError
from core.model import Json, format_time, parse_time
from core.providers.base import Provider
from core.sync.notify import Notification, compose
from core.tracker.base import Checkpoints

#: Hours that a token is taken to live until one has been seen to die, as other clients have observed it.
ASSUMED_HOURS = 9.0

#: A death tells something only if the token was seen good at most so many hours before.
_NEAR = 3.0

_KEPT_LIVES = 10
_CHECKPOINT = "token-lives"

State = Literal["good", "dying", "dead", "unknown"]


@dataclass(frozen=True, slots=True)
class TokenLives:
    """What was seen of the credentials in force, and how many hours each of the last tokens lived.

    `version` is the store's name for those in force, `told` what was last told about them.
    """

    version: str = ""
    stored_at: datetime | None = None
    good_at: datetime | None = None
    dead_at: datetime | None = None
    told: str = ""
    hours: tuple[float, ...] = ()

    @property
    def expected_hours(self) -> float:
        """Hours that a token lives: the median of what was seen, or what is assumed."""
        return median(self.hours) if self.hours else ASSUMED_HOURS

    def seen(self, credentials: Credentials, now: datetime, *, is_good: bool) -> Self:
        """What is known after these credentials were seen good or dead."""
        known = self if self.version == credentials.version else self._of_others(credentials, now)
        if is_good:
            return replace(known, good_at=now, dead_at=None, told=known.told if known.told == "dying" else "")
        if known.dead_at:
            return known
        hours = known.hours
        if known.stored_at and known.good_at and not credentials.can_renew and _hours(known.good_at, now) <= _NEAR:
            died_at = known.good_at + (now - known.good_at) / 2
            hours = (*hours, round(_hours(known.stored_at, died_at), 1))[-_KEPT_LIVES:]
        return replace(known, dead_at=now, hours=hours)

    def _of_others(self, credentials: Credentials, now: datetime) -> Self:
        stored_at = parse_time(credentials.last_updated) or now
        return replace(
            self, version=credentials.version, stored_at=min(stored_at, now), good_at=None, dead_at=None, told=""
        )

    def to_json(self) -> dict[str, Json]:
        """As it is kept."""
        times = {name: format_time(getattr(self, name)) for name in ("stored_at", "good_at", "dead_at")}
        return asdict(self) | times

    @classmethod
    def from_json(cls, document: Json) -> Self:
        """As it was kept."""
        times = {name: parse_time(document.get(name)) for name in ("stored_at", "good_at", "dead_at")}
        return cls(version=document["version"], told=document["told"], hours=tuple(document["hours"]), **times)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check came to; `cause` says why they are not good, "" if they are."""

    state: State
    age_hours: float | None
    expected_hours: float
    can_renew: bool = False
    cause: str = ""

    def to_json(self) -> dict[str, Json]:
        """The check as it is logged and answered."""
        return {"outcome": self.state, "age_hours": self.age_hours, "expected_hours": self.expected_hours}


def check_credentials(
    provider: Provider,
    store: CredentialStore,
    kept: Checkpoints,
    now: datetime,
    *,
    hours_ahead: float | None,
    tell: Callable[[Notification], None],
) -> Checked:
    """Ask the provider, note what was seen, and say whether the credentials will do for `hours_ahead` hours more.

    With None it only looks. Else `tell` is given what a person should know, once for the same credentials.
    """
    checked, lives = look(provider, store, kept, now, hours_ahead=hours_ahead)
    if hours_ahead is not None and checked.state != "good" and lives.told != checked.state:
        tell(_notification(checked, len(lives.hours)))
        lives = replace(lives, told=checked.state)
    kept.keep(f"{_CHECKPOINT}/{provider.name}", json.dumps(lives.to_json()))
    return checked


def look(
    provider: Provider, store: CredentialStore, kept: Checkpoints, now: datetime, *, hours_ahead: float | None
) -> tuple[Checked, TokenLives]:
    """Ask the provider and reckon as `check_credentials` does, without telling or noting anything."""
    text = kept.recall(f"{_CHECKPOINT}/{provider.name}")
    lives = TokenLives.from_json(json.loads(text)) if text else TokenLives()
    state, cause, credentials = _ask(provider, store)
    if state != "unknown":
        lives = lives.seen(credentials, now, is_good=state == "good")
    age = _hours(lives.stored_at, now) if lives.stored_at and credentials.version else None
    if state == "good" and _dies_within(credentials, age, lives.expected_hours, hours_ahead or 0):
        state = "dying"
    return Checked(state, age, lives.expected_hours, credentials.can_renew, cause), lives


def _ask(provider: Provider, store: CredentialStore) -> tuple[State, str, Credentials]:
    try:
        provider.authenticate()
        return "good", "", store.current(fresh=True)
    except (CredentialsRejected, InvalidInput) as rejected:
        return "dead", str(rejected), _stored(store)
    except TransientError as fault:
        return "unknown", str(fault), _stored(store)


def _stored(store: CredentialStore) -> Credentials:
    try:
        return store.current(fresh=True)
    except (CredentialsRejected, InvalidInput):
        return Credentials()  # nothing that could sign in has been stored yet


def _dies_within(credentials: Credentials, age: float | None, expected: float, hours_ahead: float) -> bool:
    """Whether the expected end lies in the time ahead; a token that has outlived it has proved it wrong."""
    return age is not None and not credentials.can_renew and age <= expected < age + hours_ahead


def _hours(since: datetime, until: datetime) -> float:
    return round((until - since) / timedelta(hours=1), 1)


def _notification(checked: Checked, deaths: int) -> Notification:
    headline = {
        "dead": "sign in again before the next sync, the credentials are dead",
        "dying": "sign in again before the next sync, the credentials are old",
    }.get(checked.state, "whether the credentials are good could not be found out")
    since = f", stored {checked.age_hours:g} hours ago," if checked.age_hours is not None else ""
    what = (
        checked.cause or f"The credentials are still good, but the token{since} will probably be dead at the next sync."
    )
    lines = [f"What happened: {what}"]
    if HOW_TO_RENEW not in checked.cause:
        lines.append(f"What to do: {HOW_TO_RENEW}")
    seen = f"{deaths} tokens that were seen to die here" if deaths else "what others have observed"
    lines += ["", f"Tokens live for about {checked.expected_hours:g} hours, by {seen}."]
    return compose("credentials", headline, lines, checked.to_json() | {"cause": what})
