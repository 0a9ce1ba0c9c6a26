"""The verification itself: medium by medium in the order of their names, in stretches that end when the time does."""

from __future__ import annotations

import errno
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from core.archive.base import Archive, Inventory, Listed, OpenUpload, Verdict
from core.archive.catalog import Entry
from core.archive.keys import catalog_prefix, findings_key, originals_prefix
from core.errors import CloudSyncError, InvalidInput, public_text
from core.model import Json, Record, Stored, utc_now
from core.sync.request import Run
from core.tracker.base import Tracker
from core.verify.examine import Case, Catalogued, examine, unknown
from core.verify.findings import Finding, Kind, Repair, Report
from core.verify.repair import Repairs
from core.verify.survey import Survey, survey

#: Threads that ask the store for single documents and objects.
WORKERS = 32

#: Media that are looked at between two looks at the time.
_BATCH = 500

#: Seconds that must be left for a further batch.
_LAST_START = 60.0

#: An upload that is open for longer is older than any run that could still be at it.
_OLDEST_UPLOAD = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Verification:
    """What is asked for: all `checksums`, to `repair`, to look only at what is `untracked`."""

    provider: str = "gopro"
    checksums: bool = False
    repair: bool = False
    untracked: bool = False

    @classmethod
    def from_json(cls, document: Json) -> Verification:
        """The request in an execution's input; unknown fields are ignored, `InvalidInput` says what is malformed."""
        if not isinstance(document, Mapping):
            raise InvalidInput('The input must be a JSON object, for example {"repair": true}.')
        provider = document.get("provider", "gopro")
        if not isinstance(provider, str) or not provider:
            raise InvalidInput('"provider" must be a name, for example "gopro".')
        for name in ("checksums", "repair"):
            if not isinstance(document.get(name, False), bool):
                raise InvalidInput(f'"{name}" must be true or false.')
        return cls(provider, document.get("checksums", False), document.get("repair", False))


class Verifier:
    """Verifies one archive with its tracker. `progress` hears how many media are done, and of how many."""

    def __init__(
        self,
        tracker: Tracker,
        archive: Archive,
        inventory: Inventory,
        *,
        workers: int = WORKERS,
        clock: Callable[[], datetime] = utc_now,
        progress: Callable[[int, int], None] = lambda done, of: None,
    ) -> None:
        self._tracker = tracker
        self._archive = archive
        self._inventory = inventory
        self._workers = workers
        self._clock = clock
        self._progress = progress

    def stretch(self, request: Verification, run: Run, so_far: Report, remaining: Callable[[], float]) -> Report:
        """Go on where `so_far` stopped, until the end or until `remaining` seconds are few; keep what was found."""
        report, findings = self.verify(request, run, so_far, remaining)
        if findings:
            lines = "".join(json.dumps(one.to_json(), ensure_ascii=False) + "\n" for one in findings)
            self._archive.put_document(findings_key(run.run_id, report.stretches), lines.encode())
        return report

    def verify(
        self,
        request: Verification,
        run: Run,
        so_far: Report | None = None,
        remaining: Callable[[], float] = lambda: math.inf,
    ) -> tuple[Report, list[Finding]]:
        """The report, and all that was found since `so_far`."""
        report = so_far or Report(request.provider)
        found = survey(request.provider, self._tracker, self._inventory)
        findings: list[Finding] = []
        if not (report.cursor or request.untracked):
            findings += unknown("", tuple(found.strays), "it lies where nothing of the archive does")
        names = [name for name in found.names() if not (request.untracked and name in found.records)]
        done = sum(name <= report.cursor for name in names)
        with ThreadPoolExecutor(self._workers, thread_name_prefix="verify") as pool:
            look = _Look(self, request, run, found, pool)
            while done < len(names):
                batch = names[done : done + _BATCH]
                cases, news = look.at(batch)
                findings += news
                done += len(batch)
                report = _counted(report, cases, batch[-1])
                self._progress(done, len(names))
                if remaining() < _LAST_START:
                    break
        if done == len(names):
            report = replace(report, cursor="")
            if not request.untracked:
                findings += self._uploads(request, found)
        return replace(report, stretches=report.stretches + 1).plus(findings), findings

    def _uploads(self, request: Verification, found: Survey) -> Iterator[Finding]:
        oldest = self._clock() - _OLDEST_UPLOAD
        for one in self._inventory.open_uploads(originals_prefix(request.provider)):
            if one.begun_at < oldest:
                yield self._upload(one, request, found)

    def _upload(self, upload: OpenUpload, request: Verification, found: Survey) -> Finding:
        since = f"open since {upload.begun_at:%Y-%m-%d %H:%M} UTC"
        record = found.records.get(upload.key.rpartition("/")[0].rpartition("/")[2])
        is_over = record is not None and record.status.is_final
        if not is_over and upload.upload_id in self._tracker.recall(upload.key):
            return Finding(Kind.OPEN_UPLOAD, "", upload.key, f"{since}; the next sync of its medium goes on with it")
        if request.repair:
            self._archive.discard(upload.key, upload.upload_id)
        repair = Repair.ENDED if request.repair else Repair.NONE
        return Finding(Kind.OPEN_UPLOAD, "", upload.key, f"{since}; no run can go on with it", repair)


class _Look:
    """Looks at media, and a second time, afresh, where something seems to be wrong: a sync may be running."""

    def __init__(
        self, verifier: Verifier, request: Verification, run: Run, found: Survey, pool: ThreadPoolExecutor
    ) -> None:
        self._tracker = verifier._tracker
        self._archive = verifier._archive
        self._inventory = verifier._inventory
        self._request = request
        self._found = found
        self._pool = pool
        self._repairs = Repairs(self._tracker, self._archive, self._inventory, run.run_id, verifier._clock)

    def at(self, names: Sequence[str]) -> tuple[list[Case], list[Finding]]:
        """The cases of media, and what is wrong with them."""
        cases = list(self._pool.map(self._case, names))
        first = zip(cases, self._pool.map(self._examine, cases), strict=True)
        suspected = [(case, news) for case, news in first if news]
        records = self._tracker.get(self._request.provider, [case.media_id for case, _ in suspected])
        certain = list(self._pool.map(lambda pair: self._again(pair[0], pair[1], records), suspected))
        if not self._request.repair:
            return cases, [one for _, news in certain for one in news]
        mended = list(self._pool.map(lambda pair: self._repairs.mend(pair[0], pair[1]), certain))
        pairs = zip(certain, mended, strict=True)
        tracked = [case.entry for (case, _), news in pairs if any(one.repair is Repair.TRACKED for one in news)]
        self._repairs.track(entry for entry in tracked if entry)
        return cases, [one for news in mended for one in news]

    def _case(self, name: str) -> Case:
        record, objects = self._found.records.get(name), self._found.objects.get(name, [])
        case = Case(self._request.provider, name, record, Catalogued.ABSENT, None, tuple(objects))
        return self._with_entry(case) if name in self._found.entries else case

    def _with_entry(self, case: Case) -> Case:
        """The case with what the catalog tells now."""
        try:
            lines = list(self._archive.read_document(f"{catalog_prefix(case.provider)}{case.name}.json"))
        except InvalidInput:
            return replace(case, catalogued=Catalogued.ABSENT, entry=None)
        except (CloudSyncError, OSError) as error:
            if isinstance(error, OSError) and error.errno == errno.EIO:
                return replace(case, catalogued=Catalogued.UNREADABLE, entry=None)
            return replace(case, catalogued=Catalogued.UNKNOWN, entry=None, trouble=public_text(error))
        try:
            return replace(case, catalogued=Catalogued.READABLE, entry=Entry.from_lines(lines))
        except InvalidInput:
            return replace(case, catalogued=Catalogued.UNREADABLE, entry=None)

    def _examine(self, case: Case) -> list[Finding]:
        return examine(case, self._judge)

    def _judge(self, known: Stored, listed: Listed) -> tuple[Verdict, str]:
        return self._inventory.judge(known, listed, checksums=self._request.checksums)

    def _again(self, case: Case, news: list[Finding], records: Mapping[str, Record]) -> tuple[Case, list[Finding]]:
        record = records.get(case.media_id)
        if record is None and {one.kind for one in news} == {Kind.NOT_TRACKED}:
            return case, news  # the tracker was asked again, and archive and catalog were right
        keys = [one.key for one in case.objects]
        if case.entry and case.is_possible:
            keys += [one.stored.key for one in case.entry.originals]
        folders = sorted({key.rpartition("/")[0] for key in keys})
        objects = [one for folder in folders for one in self._inventory.objects(f"{folder}/")]
        fresh = self._with_entry(replace(case, record=record, objects=tuple(objects)))
        return fresh, self._examine(fresh)


def _counted(report: Report, cases: Sequence[Case], cursor: str) -> Report:
    sums = [case.sums for case in cases]
    return replace(
        report,
        cursor=cursor,
        media=report.media + len(cases),
        originals=report.originals + sum(count for count, _ in sums),
        length=report.length + sum(length for _, length in sums),
    )
