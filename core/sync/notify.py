"""What a person is told about a run: what happened, how many, what to do, where to look.

The same goes to programs as JSON. docs/notifications.md lists every message.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from core.model import Json, counted, printable
from core.sync.outcomes import Failure
from core.sync.request import Run
from core.sync.summarize import Summary

_LONGEST_SUBJECT = 100  # characters, ASCII, one line (Amazon SNS)

#: Bytes of JSON for a list of media, and characters of each of its texts: Amazon SNS takes 256 KB, all forms together.
_ROOM = 10_000
_LONGEST_TEXT = 300
_LONGEST_LINE = 4000

Kind = Literal[
    "partial_failure", "critical_failure", "credentials", "archive_findings", "first_success", "monthly_summary"
]


@dataclass(frozen=True, slots=True)
class Notification:
    """A message: `subject`, which fits every mail gateway, and `message` for people, all of it for programs."""

    kind: Kind
    subject: str
    message: str
    details: Mapping[str, Json]

    def to_json(self) -> dict[str, Json]:
        """The notification as it travels to whoever sends it, and as programs receive it."""
        return asdict(self)

    def to_sns(self) -> str:
        """The forms for Amazon SNS (MessageStructure `json`): text for people's eyes, JSON for all who subscribe else.

        The workflow builds the same where it sends a notification itself.
        """
        forms = {"default": json.dumps(self.to_json()), "email": self.message, "sms": self.subject}
        return json.dumps(forms)


def about_failure(failure: Failure, run: Run, summary: Summary | None = None) -> Notification:
    """A run as a whole failed."""
    headline = {
        "credentials_rejected": "sign in again, the credentials are rejected",
        "api_changed": "the provider's API has changed",
        "invalid_request": "the run's input is malformed",
        "too_many_failures": "too many media failed",
    }.get(failure.outcome, "the run failed")
    lines = [f"What happened: {failure.cause}"]
    if failure.remedy:
        lines.append(f"What to do: {failure.remedy}")
    cause = failure.cause[:_LONGEST_LINE]
    details: dict[str, Json] = {"error": failure.error, "cause": cause, "remedy": failure.remedy}
    if summary:
        details["summary"] = _shortened(summary)
        lines += ["", *_figures(summary), *_failures(summary)]
    return compose("critical_failure", headline, lines, details, run)


def about_summary(summary: Summary, run: Run) -> Notification:
    """A run ended with something that a person should know."""
    problems = []
    if summary.failed:
        problems.append(f"{summary.failed} of {summary.new} media could not be backed up")
    if summary.damaged:
        problems.append(f"{len(summary.damaged)} recordings were damaged before they came here")
    if summary.gone:
        problems.append(f"{counted(len(summary.gone), 'medium is', 'media are')} listed, but can no longer be had")
    if summary.unseen:
        problems.append(f"{summary.unseen} media of the library were not listed")
    lines = [f"What happened: {' and '.join(problems) or 'nothing to worry about'}."]
    if summary.failed:
        lines.append("What to do: nothing yet; the next run tries each of them again. Look closer if it stays so.")
    if summary.gone:
        lines.append(
            "What could not be had: look for it in the provider's own app; if it is there, wait for the weekly full "
            "scan, which looks again."
        )
    if summary.unseen:
        lines.append(
            f"{summary.provider} counts more media than it listed, or listed some that could not be read, so "
            "it is not proved that the backup is whole. The next run lists again; if it stays so, look "
            "for an update of Cloud Sync."
        )
    return compose(
        "partial_failure",
        ", ".join(problems) or summary.status,
        [*lines, "", *_figures(summary), *_failures(summary)],
        {"summary": _shortened(summary)},
        run,
    )


def _figures(summary: Summary) -> list[str]:
    return [
        f"New: {summary.new}   completed: {summary.completed}   failed: {summary.failed}   "
        f"waiting: {summary.pending}   in the library: {summary.discovered}",
        f"Transferred: {summary.bytes_transferred:,} bytes in {summary.duration_seconds:,.0f} s",
    ]


def _shortened(summary: Summary) -> dict[str, Json]:
    told = summary.to_json()
    return told | {name: _fitting(told[name]) for name in ("failures", "damaged", "gone")}


def _fitting(media: Sequence[Json]) -> list[Json]:
    """As many of the first as there is room for in a message, their texts cut."""
    fitting: list[Json] = []
    room = _ROOM
    for one in media:
        short = {name: text[:_LONGEST_TEXT] for name, text in one.items()}
        room -= len(json.dumps(short))
        if room < 0:
            break
        fitting.append(short)
    return fitting


def _failures(summary: Summary) -> list[str]:
    told = _shortened(summary)
    failed, damaged, gone = (_lines(told[name]) for name in ("failures", "damaged", "gone"))
    if summary.failed > len(failed):
        failed.append(f"… and {summary.failed - len(failed)} more; the run's report lists them all.")
    return [
        *(["", "Failed media:", *failed] if failed else []),
        *(["", "Archived as they were, but damaged recordings:", *damaged] if damaged else []),
        *(["", "Listed, but no longer to be had, and not or not wholly in the archive:", *gone] if gone else []),
    ]


def _lines(media: Iterable[Json]) -> list[str]:
    return [f"- {one['filename'] or '(no name)'} ({one['media_id']}): {one['error']}" for one in media]


def compose(
    kind: Kind, headline: str, lines: Sequence[str], details: Mapping[str, Json], run: Run | None = None
) -> Notification:
    """A message, about a run if there is one; its subject is cut to what mail gateways take."""
    subject = " ".join(printable(f"Cloud Sync: {headline}").encode("ascii", "replace").decode().split())
    if run:
        lines = [*lines, "", f"Run: {run.run_id}", *([f"Look here: {run.link}"] if run.link else [])]
        details = {**details, "run": run.to_json()}
    # What a provider calls its media must not look like a line of this message.
    message = "\n".join(printable(line[:_LONGEST_LINE]) for line in lines)
    return Notification(kind, subject[:_LONGEST_SUBJECT], message, details)
