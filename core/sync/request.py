"""What a run is asked to do, and which run it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from core.errors import InvalidInput
from core.model import Json, format_time, parse_time


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """The input of a run; every field is optional there.

    `max_items` bounds the media of one run, `media_ids` restricts it to those, `dry_run` plans and stops.
    `full_scan` asks for the whole listing, also where a short walk would do.
    """

    provider: str = "gopro"
    full_scan: bool = False
    max_items: int | None = None
    media_ids: tuple[str, ...] | None = None
    dry_run: bool = False

    def wants(self, media_id: str) -> bool:
        """Whether the run is about this medium at all."""
        return self.media_ids is None or media_id in self.media_ids

    def to_json(self) -> dict[str, Json]:
        """The request with its defaults filled in."""
        return asdict(self) | {"media_ids": list(self.media_ids) if self.media_ids is not None else None}

    @classmethod
    def from_json(cls, document: Json) -> SyncRequest:
        """The request in an execution's input. Unknown fields are ignored; `InvalidInput` says what is malformed."""
        if not isinstance(document, Mapping):
            raise InvalidInput('The input must be a JSON object, for example {"provider": "gopro"}.')
        provider = document.get("provider", "gopro")
        if not isinstance(provider, str) or not provider:
            raise InvalidInput('"provider" must be a name, for example "gopro".')
        for name in ("full_scan", "dry_run"):
            if not isinstance(document.get(name, False), bool):
                raise InvalidInput(f'"{name}" must be true or false.')
        max_items = document.get("max_items")
        if max_items is not None and (not isinstance(max_items, int) or isinstance(max_items, bool) or max_items < 1):
            raise InvalidInput('"max_items" must be a whole number from 1, or null.')
        media_ids = document.get("media_ids")
        if media_ids is not None and not (
            isinstance(media_ids, list | tuple) and all(isinstance(i, str) for i in media_ids)
        ):
            raise InvalidInput('"media_ids" must be a list of media ids, or null.')
        return cls(
            provider=provider,
            full_scan=document.get("full_scan", False),
            max_items=max_items,
            media_ids=tuple(media_ids) if media_ids is not None else None,
            dry_run=document.get("dry_run", False),
        )


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `link` is where a person can look at it, "" if nowhere."""

    run_id: str
    started_at: datetime
    link: str = ""

    def to_json(self) -> dict[str, Json]:
        """The run as it travels from step to step."""
        return {"run_id": self.run_id, "started_at": format_time(self.started_at), "link": self.link}

    @classmethod
    def from_json(cls, document: Json) -> Run:
        """The run of a step's input; `InvalidInput` if it is malformed."""
        try:
            started_at = parse_time(document["started_at"])
            run_id = document["run_id"]
        except (KeyError, TypeError) as error:
            raise InvalidInput(f"The step's input needs run.run_id and run.started_at; {error} is missing.") from None
        if started_at is None or not isinstance(run_id, str) or not run_id:
            raise InvalidInput("run.run_id must be text and run.started_at an ISO 8601 time.")
        return cls(run_id, started_at, str(document.get("link") or ""))
