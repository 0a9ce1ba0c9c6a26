"""What a person is told about a run: what happened, how many, what to do, where to look."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from core.model import Json, printable
from core.sync.outcomes import Failure
from core.sync.request import Run
from core.sync.summarize import Summary

_LONGEST_SUBJECT = 100  # characters, ASCII, one line (Amazon SNS)


@dataclass(frozen=True, slots=True)
class Notification:
    """A message for people. `subject` fits every mail gateway."""

    subject: str
    message: str

    def to_json(self) -> dict[str, Json]:
        """The notification as it travels to whoever sends it."""
        return asdict(self)


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
    if summary:
        lines += ["", *_figures(summary), *_failures(summary)]
    return compose(f"Cloud Sync: {headline}", lines, run)


def about_summary(summary: Summary, run: Run) -> Notification:
    """A run ended with something that a person should know."""
    problems = []
    if summary.failed:
        problems.append(f"{summary.failed} of {summary.new} media could not be backed up")
    if summary.damaged:
        problems.append(f"{len(summary.damaged)} recordings were damaged before they came here")
    if summary.unseen:
        problems.append(f"{summary.unseen} media of the library were not listed")
    lines = [f"What happened: {' and '.join(problems) or 'nothing to worry about'}."]
    if summary.failed:
        lines.append("What to do: nothing yet; the next run tries each of them again. Look closer if it stays so.")
    if summary.unseen:
        lines.append(
            f"{summary.provider} counts more media than it listed, or listed some that could not be read, so "
            "it is not proved that the backup is whole. The next run lists again; if it stays so, look "
            "for an update of Cloud Sync."
        )
    return compose(
        f"Cloud Sync: {', '.join(problems) or summary.status}",
        [*lines, "", *_figures(summary), *_failures(summary)],
        run,
    )


def _figures(summary: Summary) -> list[str]:
    return [
        f"New: {summary.new}   completed: {summary.completed}   failed: {summary.failed}   "
        f"waiting: {summary.pending}   in the library: {summary.discovered}",
        f"Transferred: {summary.bytes_transferred:,} bytes in {summary.duration_seconds:,.0f} s",
    ]


def _failures(summary: Summary) -> list[str]:
    told = summary.to_json()
    failed, damaged = _lines(told["failures"]), _lines(told["damaged"])
    if summary.failed > len(failed):
        failed.append(f"… and {summary.failed - len(failed)} more; the run's report lists them all.")
    return [
        *(["", "Failed media:", *failed] if failed else []),
        *(["", "Archived as they were, but damaged recordings:", *damaged] if damaged else []),
    ]


def _lines(media: Iterable[Json]) -> list[str]:
    return [f"- {one['filename'] or '(no name)'} ({one['media_id']}): {one['error']}" for one in media]


def compose(subject: str, lines: list[str], run: Run) -> Notification:
    """A message about a run; its subject is cut to what mail gateways take."""
    ending = ["", f"Run: {run.run_id}"] + ([f"Look here: {run.link}"] if run.link else [])
    ascii_subject = " ".join(printable(subject).encode("ascii", "replace").decode().split())
    # What a provider calls its media must not look like a line of this message.
    message = "\n".join(map(printable, [*lines, *ending]))
    return Notification(ascii_subject[:_LONGEST_SUBJECT], message)
