"""`make mutants`: deliberate bugs, each put into a copy of the project to see that a test notices it.

A mutant that survives is a promise that nothing holds. Each is tried alone; what catches it must pass without it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).resolve().parent.parent

#: Seconds that the tests of one mutant may take.
LIMIT = 300.0

_FAILED = re.compile(r"^(?:FAILED|ERROR) (tests/\S+?\.py(?:::[^\s\[]+)*)", re.MULTILINE)


@dataclass(frozen=True)
class Mutant:
    """A bug: what it does, and the text of `file`, there once, that becomes another. `tests` are to notice it."""

    bug: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]


class StaleError(Exception):
    """The source no longer has the text that a mutant changes, or has it more than once."""


MUTANTS = (
    Mutant(
        "A page that cannot be written fails the run",
        "core/sync/publish.py",
        "    except Exception as error:\n        return replace(summary, page_trouble",
        "    except KeyError as error:\n        return replace(summary, page_trouble",
        ("tests/unit/test_report.py",),
    ),
    Mutant(
        "A run that is told twice is counted twice",
        "core/report/ledger.py",
        "one for one in self.runs if one.run_id != line.run_id",
        "one for one in self.runs",
        ("tests/unit/test_report.py",),
    ),
    Mutant(
        "Whatever comes in place of a small picture is kept",
        "core/providers/http.py",
        'return bytes(picture) if picture.startswith(b"\\xff\\xd8\\xff") else None',
        "return bytes(picture)",
        ("tests/unit/test_gopro_provider.py",),
    ),
    Mutant(
        "A body that is shorter or longer than declared is taken as whole",
        "core/transfer/engine.py",
        "if surplus or body.total not in (None, length):",
        "if False:",
        ("tests/unit/test_engine.py",),
    ),
    Mutant(
        "A connection that ends early is taken for the end of the file",
        "core/providers/http.py",
        "and self._end is not None and self._position != self._end:",
        "and False:",
        ("tests/unit/test_gopro_http.py",),
    ),
    Mutant(
        "A medium is COMPLETED before its originals are confirmed",
        "core/sync/transfer.py",
        "else 0\n        self._save(medium, Status.IN_PROGRESS, attempt)",
        "else 0\n        self._save(medium, Status.COMPLETED, attempt)",
        ("tests/unit/test_local_sync.py",),
    ),
    Mutant(
        "An original that failed is swallowed if others of its medium arrived",
        "core/sync/transfer.py",
        "        if error:\n            raise error\n        return stored",
        "        return [one for one in stored if one]",
        (
            "tests/properties/test_hostile.py::test_one_original_that_never_arrives_is_named_and_keeps_its_medium_from_being_completed",
        ),
    ),
    Mutant(
        "A confirmed original is replaced where its source has changed",
        "core/sync/transfer.py",
        "if found and known and same_bytes(found, known):",
        "if False:",
        ("tests/unit/test_local_sync.py::test_a_confirmed_original_is_not_replaced_whatever_the_source_has_by_now",),
    ),
    Mutant(
        "The catalog forgets what is archived and no longer offered",
        "core/sync/transfer.py",
        "and self._is_there(medium, one)",
        "and False",
        ("tests/unit/test_local_sync.py::test_an_archived_original_that_is_no_longer_offered_stays_in_the_catalog",),
    ),
    Mutant(
        "What arrived of a medium whose rest fails is not in the catalog",
        "core/sync/transfer.py",
        "            self._note_arrived(medium, offer, stored, attempt)\n        if error:",
        "            pass\n        if error:",
        (
            "tests/properties/test_hostile.py::test_one_original_that_never_arrives_is_named_and_keeps_its_medium_from_being_completed",
        ),
    ),
    Mutant(
        "An object that is not what was sent is taken for confirmed",
        "core/archive/s3.py",
        "return b64decode(checksum).hex() == stored.sha256",
        "return True",
        ("tests/conformance/test_archive.py::test_an_object_that_is_not_what_was_sent_is_not_taken_for_confirmed",),
    ),
    Mutant(
        "A file of somebody else's is overwritten in a folder",
        "core/archive/folder.py",
        "if self._path.is_dir() or (self._path.exists() and not self._replaces):",
        "if self._path.is_dir():",
        (
            "tests/conformance/test_archive.py::test_what_somebody_else_put_where_an_original_belongs_makes_way_and_stays",
        ),
    ),
    Mutant(
        "One page that cannot be had ends the listing",
        "core/providers/gopro/listing.py",
        "if number == 1 or self._missing_in_a_row > _MOST_MISSING:",
        "if True:",
        ("tests/properties/test_listing.py",),
    ),
    Mutant(
        "urllib3 logs the addresses of malformed answers",
        "core/providers/http.py",
        'logging.getLogger("urllib3").setLevel(logging.CRITICAL)',
        "pass",
        ("tests/unit/test_gopro_http.py",),
    ),
    Mutant(
        "A restore of everything says nothing of what the catalog lacks",
        "core/restore/completeness.py",
        "if record.status is not Status.COMPLETED or known == archived:",
        "if True:",
        ("tests/unit/test_restore_command_line.py",),
    ),
    Mutant(
        "Two media with the same file name share a key",
        "core/archive/keys.py",
        '/{safe_id(medium.media_id)}"\n    counts',
        '"\n    counts',
        ("tests/properties/test_keys.py",),
    ),
    Mutant(
        "Two originals of a medium share a key",
        "core/archive/keys.py",
        "while candidate.casefold() in taken:",
        "while False:",
        ("tests/properties/test_keys.py",),
    ),
    Mutant(
        "Rejected credentials (401) mark media FAILED",
        "core/sync/transfer.py",
        "Status.PENDING, attempt, Reason.CREDENTIALS",
        "Status.FAILED, attempt, Reason.CREDENTIALS",
        (
            "tests/unit/test_local_sync.py::test_a_pasted_token_that_dies_in_the_middle_marks_nothing_failed_and_the_next_run_finishes",
        ),
    ),
    Mutant(
        "One medium that is refused (401) ends the sign-in, and with it the run",
        "core/providers/gopro/api.py",
        "if not question.about_medium:\n            if refused",
        "if not question.about_medium or refused.status == 401:\n            if refused",
        ("tests/unit/test_gopro_http.py",),
    ),
    Mutant(
        "Rejected credentials are tried again and again",
        "core/retry.py",
        "FINAL = (ApiShapeChanged, Cancelled, CredentialsRejected,",
        "FINAL = (ApiShapeChanged, Cancelled,",
        ("tests/properties/test_retry.py",),
    ),
    Mutant(
        "An upload that broke is never aborted",
        "core/transfer/engine.py",
        "except BaseException:\n                    upload.abort()",
        "except BaseException:\n                    pass",
        ("tests/unit/test_engine.py", "tests/conformance/test_archive.py"),
    ),
    Mutant(
        "The lease on a medium is never released",
        "core/sync/transfer.py",
        "if not isinstance(outcome, Unfinished):",
        "if False:",
        ("tests/unit/test_two_runs.py",),
    ),
    Mutant(
        "The lease of a worker that died is never free again",
        "core/tracker/sqlite.py",
        "known[0] != owner and known[1] > now",
        "known[0] != owner",
        ("tests/conformance/test_tracker.py",),
    ),
    Mutant(
        "Another worker's FAILED replaces COMPLETED in DynamoDB",
        "core/tracker/dynamodb.py",
        '"attribute_not_exists(media_id) OR #status <> :completed"',
        '"attribute_not_exists(media_id) OR #status <> :completed OR #status = :completed"',
        ("tests/conformance/test_tracker.py",),
    ),
    Mutant(
        "A part goes to S3 without its checksum",
        "core/archive/s3.py",
        "                ChecksumSHA256=b64encode(digest).decode(),\n",
        "",
        ("tests/conformance/test_archive.py::test_a_part_that_is_not_that_of_its_digest_is_refused_at_once",),
    ),
    Mutant(
        "An object that S3 holds without a checksum is trusted",
        "core/archive/s3.py",
        "return bool(checksum)",
        "return True",
        (
            "tests/conformance/test_archive.py::test_a_file_that_the_product_did_not_put_there_is_not_taken_for_confirmed",
        ),
    ),
    Mutant(
        "What the disk gives back is not compared with what was written",
        "core/archive/folder.py",
        " or digest is None or sha256 not in (None, digest):",
        ":",
        ("tests/conformance/test_archive.py::test_bytes_that_are_not_those_of_the_digest_are_not_stored",),
    ),
    Mutant(
        "Another worker's object is overwritten (If-None-Match left out)",
        "core/archive/s3.py",
        'return {} if replaces else {"IfNoneMatch": "*"}',
        "return {}",
        ("tests/conformance/test_archive.py::test_what_another_worker_has_stored_is_given_back_if_it_is_the_same",),
    ),
    Mutant(
        "Parts of two versions of a file are mixed (the ETag is ignored)",
        "core/providers/http.py",
        "if version and self.version != version:",
        "if False:",
        ("tests/unit/test_gopro_http.py",),
    ),
    Mutant(
        "If-Range is not sent",
        "core/providers/http.py",
        'headers["If-Range"] = version',
        "pass",
        ("tests/unit/test_gopro_http.py",),
    ),
    Mutant(
        "Completed media are counted from what did not fail, not from the tracker",
        "core/sync/summarize.py",
        "completed=count.completed,",
        "completed=plan.new - failed,",
        ("tests/unit/test_summarize.py",),
    ),
    Mutant(
        "A transfer that vanished without a word is not counted as failed",
        "core/sync/summarize.py",
        "count.vanished += count.untouched",
        "count.waiting += len(count.untouched)",
        ("tests/unit/test_summarize.py",),
    ),
    Mutant(
        "A signed address is logged",
        "core/providers/gopro/provider.py",
        "        if not original.locator:\n",
        '        _log.debug("opening %s", original.locator)\n        if not original.locator:\n',
        ("tests/properties/test_hostile.py::test_hostile_media_break_nothing_and_keep_no_other_from_arriving",),
    ),
    Mutant(
        "A signed address stays in the text of an error on record",
        "core/errors.py",
        '_ADDRESS.sub("(address left out)", text)',
        "text",
        ("tests/properties/test_hostile.py::test_the_text_of_an_error_is_short_and_can_be_written_anywhere",),
    ),
    Mutant(
        "A run that ends with failures sends no notification",
        "statemachine/sync.asl.json",
        '"Next": "NotifyPartialFailure"',
        '"Next": "SyncComplete"',
        ("tests/unit/test_workflow_definition.py",),
    ),
    Mutant(
        "A medium fails because the account runs too many functions just now",
        "statemachine/sync.asl.json",
        '"InvalidInput"\n                ],\n                "MaxAttempts": 0\n              },\n              {\n'
        '                "ErrorEquals": [\n                  "Lambda.TooManyRequestsException"',
        '"InvalidInput"\n                ],\n                "MaxAttempts": 0\n              },\n              {\n'
        '                "ErrorEquals": [\n                  "Lambda.Unknown"',
        ("tests/unit/test_workflow_definition.py",),
    ),
    Mutant(
        "A step that keeps failing sends no notification",
        "statemachine/sync.asl.json",
        '      },\n      "Next": "NotifyCriticalFailure"\n    },\n    "NotifyCriticalFailure"',
        '      },\n      "Next": "SyncFailed"\n    },\n    "NotifyCriticalFailure"',
        ("tests/unit/test_workflow_definition.py",),
    ),
    Mutant(
        "The function that sums up calls a run with failures complete",
        "handlers/summarize.py",
        'if summary.status == "PARTIAL_FAILURE" or summary.damaged or summary.gone:',
        "if summary.damaged:",
        ("tests/workflow/test_handlers.py::test_summarize_answers_a_message_when_a_medium_is_missing",),
    ),
    Mutant(
        "A listing that comes short is taken for the whole library",
        "core/providers/base.py",
        "self.found >= self.expected",
        "self.found > 0",
        ("tests/properties/test_listing.py",),
    ),
    Mutant(
        "A page that comes short is taken for the last",
        "core/providers/gopro/listing.py",
        "if fruitless > (",
        "if len(page.rows) < 50 or fruitless > (",
        ("tests/properties/test_listing.py",),
    ),
    Mutant(
        "A medium that failed once is never planned again",
        "core/sync/plan.py",
        "record is not None and record.status is Status.COMPLETED",
        "record is not None and record.status in (Status.COMPLETED, Status.FAILED)",
        ("tests/properties/test_manifest.py",),
    ),
    Mutant(
        "The server's own join of the chapters is taken for an original",
        "core/providers/gopro/originals.py",
        'entry.label == "source")',
        'entry.label in ("source", "concat"))',
        ("tests/properties/test_originals.py",),
    ),
    Mutant(
        "A renewed sign-in is used before it is stored",
        "core/credentials/session.py",
        "saved = retrying(SAVE_CREDENTIALS, save, sleep=self._sleep, draw=self._draw)",
        "saved = fresh",
        ("tests/unit/test_sign_in.py",),
    ),
    Mutant(
        "The doctor calls well what it could not look at",
        "core/doctor/stack.py",
        'return Check(part, Level.NOT_CHECKED, f"could not be',
        'return Check(part, Level.OK, f"could not be',
        ("tests/unit/test_doctor.py",),
    ),
    Mutant(
        "What could not be sent is marked as told",
        "core/notify/milestones.py",
        "            if tell(notification):\n                books.mark(due)",
        "            tell(notification)\n            books.mark(due)",
        ("tests/unit/test_milestones.py",),
    ),
    Mutant(
        "Two runs that end at once both tell what is due",
        "core/notify/milestones.py",
        "if not tracker.acquire(books.name, run.run_id, _SENDING):",
        "if tracker.acquire(books.name, run.run_id, _SENDING) is None:",
        ("tests/unit/test_milestones.py",),
    ),
    Mutant(
        "The plan leaves open what was begun of a medium that has gone",
        "core/sync/plan.py",
        "            end_uploads(self._archive, self._tracker, record.provider, record.media_id)\n",
        "",
        ("tests/chaos/test_schedules.py::test_an_upload_whose_medium_is_deleted_at_its_source_is_thrown_away",),
    ),
    Mutant(
        "A transfer leaves open what was begun of a medium that has gone",
        "core/sync/transfer.py",
        "            end_uploads(self.archive, self.tracker, medium.provider, medium.media_id)\n",
        "",
        ("tests/chaos/test_schedules.py::test_an_upload_whose_medium_is_deleted_at_its_source_is_thrown_away",),
    ),
    Mutant(
        "A medium that another run has is called gone",
        "core/sync/plan.py",
        "if not self._tracker.acquire(lease, self._run.run_id, LEASE_SECONDS):",
        "if self._tracker.acquire(lease, self._run.run_id, LEASE_SECONDS) is None:",
        ("tests/unit/test_two_runs.py",),
    ),
    Mutant(
        "Chapters that a film gains after it was archived are left out",
        "core/sync/plan.py",
        "record.status is Status.COMPLETED and (record.items or record.originals) < promised",
        "False",
        ("tests/unit/test_local_sync.py",),
    ),
    Mutant(
        "RAW photos hide frames that a burst has gained",
        "core/sync/plan.py",
        "(record.items or record.originals) < promised",
        "record.originals < promised",
        ("tests/unit/test_local_sync.py",),
    ),
    Mutant(
        "A medium that grows loses what protects its archived originals",
        "core/sync/transfer.py",
        "if not stored or (offer.missing and attempt.was_whole):",
        "if not stored:",
        ("tests/unit/test_local_sync.py",),
    ),
    Mutant(
        "A file whose record is lost is taken for damaged",
        "core/sync/transfer.py",
        "            found = self.archive.adopt(known, label)\n",
        "            pass\n",
        ("tests/unit/test_local_sync.py",),
    ),
    Mutant(
        "What another run had stored is told as moved",
        "core/transfer/engine.py",
        "    if stored.run_id == task.label.run_id:\n        task.watch.confirmed(stored.length)",
        "    task.watch.confirmed(stored.length)",
        ("tests/unit/test_local_sync.py",),
    ),
)


def mutated(mutant: Mutant, root: Path = ROOT) -> str:
    """The source with the bug in it; `StaleError` if its text is not there exactly once."""
    source = (root / mutant.file).read_text(encoding="utf-8")
    found = source.count(mutant.before)
    if found != 1:
        raise StaleError(
            f"{mutant.file} has this text {found} times, not once: {mutant.before!r}. The source has changed: "
            f"adapt the mutant “{mutant.bug}” in scripts/mutants.py."
        )
    return source.replace(mutant.before, mutant.after)


@contextmanager
def a_copy() -> Iterator[Path]:
    """The project as it stands, without what git ignores, in a folder of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder, ROOT.name)
        for name in listed.stdout.decode().rstrip("\0").split("\0"):
            if (ROOT / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, copy / name)
        for environment in (".venv", ".venv-emulator"):
            (copy / environment).symlink_to(ROOT / environment)
        yield copy


def failing(copy: Path, tests: tuple[str, ...]) -> str:
    """The first of the tests that fails in the copy, "" if none does."""
    # No bytecode: a bug that is put in and taken out within a second would leave that of the other.
    # With CI set, hypothesis tries the same examples each time, as in the gate.
    settings = {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1", "CI": "true"}
    command = [sys.executable, "-m", "pytest", "-x", "-rfE", "--tb=no", *tests]
    process = subprocess.Popen(
        command,
        cwd=copy,
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        told, _ = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise SystemExit(f"{' '.join(tests)} took more than {LIMIT:.0f} s.") from None
    if process.returncode == 0:
        return ""
    found = _FAILED.search(told)
    if process.returncode != 1 or not found:
        raise SystemExit(f"pytest could not run {' '.join(tests)}:\n{told[-2000:]}")
    return found[1]


def verdict(mutant: Mutant, copy: Path) -> str:
    """The test that catches the bug, "" if none does; the copy is left as it was."""
    path = copy / mutant.file
    sound = path.read_text(encoding="utf-8")
    path.write_text(mutated(mutant, copy), encoding="utf-8")
    try:
        catcher = failing(copy, mutant.tests)
    finally:
        path.write_text(sound, encoding="utf-8")
    if "::" in catcher and failing(copy, (catcher,)):
        raise SystemExit(f"{catcher} fails without any bug. Mend it first.")
    return catcher


def run(word: Annotated[str, typer.Argument(help="Only the mutants whose sentence holds this.")] = "") -> None:
    """Try every mutant; exit with 0 only if each is caught."""
    began = time.monotonic()
    chosen = [mutant for mutant in MUTANTS if word.lower() in mutant.bug.lower()]
    survivors = 0
    try:
        for mutant in chosen:
            mutated(mutant)
        with a_copy() as copy:
            for number, mutant in enumerate(chosen, 1):
                catcher = verdict(mutant, copy)
                survivors += not catcher
                told = f"caught by {catcher}" if catcher else f"SURVIVED {' '.join(mutant.tests)}"
                print(f"{number:2}/{len(chosen)} {mutant.bug} ({mutant.file}): {told}", flush=True)
    except StaleError as stale:
        raise SystemExit(str(stale)) from None
    seconds = time.monotonic() - began
    print(f"{len(chosen) - survivors} of {len(chosen)} mutants caught, {survivors} survived, in {seconds:.0f} s")
    if survivors or not chosen:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(run)
