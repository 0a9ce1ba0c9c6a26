"""What a person is told about a verification."""

from __future__ import annotations

from core.model import printable
from core.sync.notify import Notification, compose
from core.sync.request import Run
from core.verify.findings import Finding, Report

_WORDS = {
    "missing": "originals are missing from the archive",
    "damaged": "originals in the archive are not what was confirmed",
    "catalog_missing": "media have no catalog entry",
    "catalog_unreadable": "catalog entries cannot be read",
    "catalog_contradicts": "catalog entries contradict the archive or the tracker",
    "not_tracked": "media are archived, but the tracker has no record of them",
    "unknown_object": "objects are known to nobody; they are never deleted, so look at them yourself",
    "not_checked": "originals or catalog entries could not be looked at",
    "open_upload": "uploads were begun and never ended; they cost money and show in no listing",
}
_DONE = {
    "queued": "wait for the next sync, which brings what is missing",
    "rebuilt": "have a new catalog entry, made from the archive",
    "tracked": "are recorded in the tracker again",
    "ended": "were ended",
}


def about_findings(report: Report, run: Run) -> Notification:
    """Something in the archive is not as it should be."""
    lines = ["What happened: the archive was compared with its catalog and the tracker. This is not as it should be:"]
    lines += [f"- {count:,} {_WORDS[kind]}" for kind, count in sorted(report.found.items())]
    if report.repaired:
        lines += ["", "Of these findings:"]
        lines += [f"- {count:,} {_DONE[repair]}" for repair, count in sorted(report.repaired.items())]
    left = report.findings - sum(report.repaired.values())
    if left:
        lines += ["", f"What to do: look at the {left:,} that nothing was done about."]
    lines += ["", f"Compared: {report.media:,} media, {report.originals:,} originals, {report.length:,} bytes"]
    lines += ["", "The first of them:", *map(tell, report.first)]
    headline = f"{report.findings:,} findings in the archive"
    return compose("archive_findings", headline, lines, {"summary": report.summary()}, run)


def tell(finding: Finding) -> str:
    """A finding on one line."""
    done = f" ({finding.repair.value})" if finding.repair else ""
    return printable(f"- {finding.kind.value}: {finding.key or finding.media_id}: {finding.detail}{done}")
