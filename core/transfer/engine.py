"""Moves one original from its source into the archive: in parallel, in bounded memory, never starting over.

A file that is longer than the archive's smallest part, from a server that gives ranges, goes part by part: each is read
into a buffer over a connection of its own, hashed on the way, and sent from that buffer. What the archive has confirmed
is never fetched again: the upload itself is the checkpoint, and only its name is kept beside it. Everything else is
read in one stream.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from core.archive.base import Archive, Label, Shape, Upload
from core.errors import IntegrityError, LocatorExpired, SourceChanged, TransientError
from core.model import Stored
from core.providers.base import ByteSource
from core.retry import DOWNLOAD, PART, retrying
from core.tracker.base import Checkpoints
from core.transfer.buffers import Buffers
from core.transfer.checkpoint import Checkpoint, end_upload
from core.transfer.job import LAST_START, MIB, Job, Reading, Task, part_size
from core.transfer.pace import Pace
from core.transfer.proof import OTHER_MD5, Passing, damage_of, md5_of, told_md5
from core.transfer.source import Source
from core.transfer.watch import UNWATCHED, Advance, Progress, Watch

#: Bytes asked for at once: between two reads a user's wish to stop is heard and progress is told, so that a read grows
#: while it takes less than the shorter time (seconds) and shrinks when it takes longer than the other.
FIRST_READ, SMALLEST_READ, LARGEST_READ = MIB // 4, MIB // 16, 4 * MIB
_FAST_READ, _SLOW_READ = 0.02, 0.2

#: Connections that move parts at once at most, and memory for their parts (bytes), for one process.
CONNECTIONS = 12
MEMORY = 144 * MIB

#: Part of a source whose length nobody knows: enough for 640 GB in 10,000 parts.
PART_SIZE_UNKNOWN = 64 * MIB

#: Seconds before the end of an invocation at which parts on their way are given up.
GIVE_UP = 3.0

#: Times that a file is begun afresh because its source has changed under way.
_FRESH_STARTS = 3


class _RefusedError(Exception):
    """Who follows a transfer wants it to end, with this error."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class _GivenUpError(Exception):
    """A part on its way is given up, because another failed or the time is over."""


class Engine:
    """Moves originals into `archive` for all threads of a process; `memory` bytes hold the parts of all of them."""

    def __init__(
        self,
        archive: Archive,
        checkpoints: Checkpoints,
        *,
        connections: int = CONNECTIONS,
        memory: int = MEMORY,
        draw: Callable[[], float] = random.random,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._archive = archive
        self._checkpoints = checkpoints
        self._connections = connections
        self._memory = memory
        self._draw = draw
        self._sleep = sleep
        self._clock = clock
        self._buffers = Buffers(memory)
        self._pace = Pace(connections, clock=clock)
        self._pool = ThreadPoolExecutor(connections, thread_name_prefix="part")

    def close(self) -> None:
        """End its threads; nothing may be on its way any more."""
        self._pool.shutdown()

    def move(
        self,
        source: Source,
        key: str,
        label: Label,
        watch: Watch = UNWATCHED,
        *,
        is_new: bool = False,
        distrusts: bool = False,
    ) -> Stored | None:
        """Store the source at `key` and return what the archive confirmed; None if the time did not suffice.

        Then the next call goes on where this one stopped, as it does after an error or a crash. An object that is
        already there and of the same length and version is not moved again. An empty, short or long body raises
        `IntegrityError` and leaves no object. `is_new` says that no attempt was made before: a small file is then sent
        without a look at what is there, on the condition that nothing is. `distrusts` says that what is there is known
        to be damaged: it is moved again and takes its place.
        """
        task = Task(source, key, label, watch, replaces=distrusts)
        for _ in range(_FRESH_STARTS):
            try:
                return self._begin(task) if is_new else self._go_on(task)
            except SourceChanged:
                self._forget(task)
                is_new = False
        raise TransientError(f"The source of {key} changes again and again. It is tried again later.")

    def length(self, source: Source, key: str, label: Label, watch: Watch = UNWATCHED) -> int | None:
        """The length that the source of `key` tells (bytes), None if it tells none."""
        with self._opened(Task(source, key, label, watch, replaces=False), 1) as body:
            return body.total

    def _begin(self, task: Task) -> Stored | None:
        """Move a file of which nothing should be there."""
        smallest = self._archive.limits.smallest
        with self._opened(task, smallest) as body:
            if body.total is None or body.total > smallest:
                found = self._archive.find(task.key)
                if found and _is_of(found, body):
                    return found
                if found:
                    raise TransientError(f"Something else is at {task.key} already. It is looked at again.")
            return self._moved(task, body, body, "")

    def _go_on(self, task: Task) -> Stored | None:
        """Move a file of which all or some may be there."""
        found, checkpoint = self._archive.find(task.key), self._checkpoints.recall(task.key)
        is_there = bool(found or checkpoint)
        with self._opened(task, 1 if is_there else self._archive.limits.smallest) as body:
            if found and not task.replaces and _is_of(found, body):
                self._forget(task)
                return found
            task = replace(task, replaces=task.replaces or found is not None)
            return self._moved(task, body, None if is_there else body, checkpoint)

    @contextmanager
    def _opened(self, task: Task, end: int) -> Iterator[ByteSource]:
        """Open the beginning of the source, again for what may pass."""

        def pause(seconds: float) -> None:
            if task.watch.remaining() < seconds + LAST_START:
                raise TransientError(f"The source of {task.key} asks for a longer pause than this invocation has left.")
            self._sleep(seconds)
            task.watch.advance(0)

        with ExitStack() as stack:
            yield retrying(
                DOWNLOAD,
                lambda: stack.enter_context(task.source.open(0, end)),
                sleep=pause,
                draw=self._draw,
                on_retry=lambda error, _: self._heed(error),
            )

    def _moved(self, task: Task, told: ByteSource, first: ByteSource | None, checkpoint: str) -> Stored | None:
        """Move what `told` tells of; `first` is its open beginning, if that is more than one byte."""
        task = replace(task, label=replace(task.label, source_version=told.version))
        if told.ranged and told.total is not None and told.total > self._archive.limits.smallest:
            return self._in_parts(task, told, told.total, first, checkpoint)
        if checkpoint:
            self._forget(task)  # its parts are of no use any more
        if not told.ranged or told.total is None:
            return self._stream(task, told)
        return self._at_once(task, told.total, told.version, first)

    def _at_once(self, task: Task, length: int, version: str, body: ByteSource | None) -> Stored:
        """Move a file that is not longer than a part."""
        with self._buffers.take(length) as buffer:
            reading = Reading(task, version, length)
            digest = self._read(reading, buffer, 0, length, body)
            harm = ""
            if (told := told_md5(version)) and md5_of(buffer) != told:
                again = self._read(reading, buffer, 0, length, None)
                # Not every ETag that looks like an MD5 is one: bytes that come twice are what the source has.
                if md5_of(buffer) != told:
                    if digest != again:
                        raise IntegrityError(
                            f"The source of {task.key} gives other bytes each time. It is tried again."
                        )
                    harm = OTHER_MD5
                digest = again
            label = replace(task.label, damage=harm or damage_of(task.key, length, _reading_from(buffer)))
            stored = self._archive.put(task.key, buffer, label, digest.hex(), replaces=task.replaces)
        _count(task, stored)
        return stored

    # ---------------------------------------------------------------- one stream
    def _stream(self, task: Task, body: ByteSource) -> Stored:
        def advance(count: int) -> None:
            if task.watch.remaining() < GIVE_UP:
                raise TransientError(
                    f"{task.key} takes longer than one invocation, and its server gives no ranges to go on from."
                )
            task.watch.advance(count)

        key, label = task.key, task.label
        if body.total is None:
            size = min(max(PART_SIZE_UNKNOWN, self._archive.limits.smallest), self._memory)
        else:
            size = min(body.total, part_size(body.total, self._archive.limits, self._connections, self._memory))
        with self._buffers.take(size) as buffer:
            digest, passing = hashlib.sha256(), Passing(key, body.version)
            length = _fill(body, buffer, digest.update, advance)
            if length < len(buffer) or length == body.total:
                _require_whole(key, length, body)
                passing.pass_by(buffer[:length])
                label = replace(label, damage=passing.damage(length))
                stored = self._archive.put(key, buffer[:length], label, digest.hexdigest(), replaces=task.replaces)
            else:
                upload = self._archive.start(key, label, Shape(size, None), replaces=task.replaces)
                try:
                    length = _stream_parts(body, upload, buffer, advance, passing)
                    _require_whole(key, length, body)
                    stored = replace(upload.complete(length), damage=passing.damage(length))
                except BaseException:
                    upload.abort()
                    raise
        _count(task, stored)
        return stored

    # ----------------------------------------------------------------- in parts
    def _in_parts(
        self, task: Task, body: ByteSource, length: int, first: ByteSource | None, checkpoint: str
    ) -> Stored | None:
        known = Checkpoint.read(checkpoint)
        job = self._resumed(task, body, length, known) if known else None
        if job is None:
            starts = known.starts + 1 if known and known.run_id == task.label.run_id else 1
            if starts > _FRESH_STARTS:
                raise TransientError(
                    f"The source of {task.key} tells no version, or another each time, so that no invocation can go on "
                    "where another stopped. The next run tries it again."
                )
            self._forget(task)
            job = self._begun(task, body, length, starts)
        if not self._bring_all(job, first):
            return None
        try:
            stored = job.upload.complete(length)
        except IntegrityError:
            self._forget(task)
            raise
        self._checkpoints.drop(task.key)
        return stored

    def _resumed(self, task: Task, body: ByteSource, length: int, known: Checkpoint) -> Job | None:
        """The upload that an earlier attempt has begun, if its source is still the same."""
        if not body.version or (length, body.version) != (known.length, known.version):
            return None
        shape = Shape(known.part_size, length)
        label = replace(task.label, damage=known.damage)
        upload = self._archive.resume(task.key, label, shape, known.upload_id, replaces=task.replaces)
        return self._job(task, body.version, upload, shape, length) if upload else None

    def _begun(self, task: Task, body: ByteSource, length: int, starts: int) -> Job:
        version = body.version

        def read(start: int, end: int) -> bytes:
            with task.source.open(start, end, version) as piece, memoryview(bytearray(end - start)) as view:
                return bytes(view[: _fill(piece, view, _ignore, _ignore)])

        shape = Shape(part_size(length, self._archive.limits, self._connections, self._memory), length)
        label = replace(task.label, damage=damage_of(task.key, length, read))
        upload = self._archive.start(task.key, label, shape, replaces=task.replaces)
        known = Checkpoint(
            upload.upload_id, shape.part_size, length, version, label.damage, run_id=label.run_id, starts=starts
        )
        self._checkpoints.keep(task.key, known.to_text())
        return self._job(task, version, upload, shape, length)

    def _job(self, task: Task, version: str, upload: Upload, shape: Shape, length: int) -> Job:
        return Job(task, version, length, upload=upload, shape=shape, began=self._clock())

    def _bring_all(self, job: Job, first: ByteSource | None) -> bool:
        """Bring the parts that are missing; False if the time did not suffice. The first error stops the others."""
        running: dict[Future[int], int] = {}
        try:
            return self._bring_missing(job, first, running)
        except BaseException:
            job.stop.set()
            wait(running)
            raise

    def _bring_missing(self, job: Job, first: ByteSource | None, running: dict[Future[int], int]) -> bool:
        missing = deque(job.missing())
        error: BaseException | None = None
        while (missing and not job.is_late and not error) or running:
            while missing and not job.is_late and not error and self._pace.enter():
                number = missing.popleft()
                body = first if number == 1 else None
                running[self._pool.submit(self._bring, job, number, body)] = number
            if not running:
                job.stop.wait(0.05)  # other transfers have all the connections
            done, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
            for future in done:
                number = running.pop(future)
                error = self._settle(job, future, error)
                if future.exception():
                    missing.append(number)
            if error or job.task.watch.remaining() < GIVE_UP:
                job.stop.set()
            self._tell(job)
        if error:
            raise error
        return not missing

    def _settle(self, job: Job, future: Future[int], error: BaseException | None) -> BaseException | None:
        """Count what became of a part; the error that ends the transfer, if there is one."""
        failure = future.exception()
        if failure is None:
            job.arrived += future.result()
            job.task.watch.confirmed(future.result())
        return error if error or isinstance(failure, _GivenUpError) else failure

    def _bring(self, job: Job, number: int, body: ByteSource | None) -> int:
        """Read a part and send it; its length. Read anew is only what did not arrive."""
        start, end = job.span(number)
        arrived = 0
        try:
            with self._buffers.take(job.shape.part_size) as buffer:
                began = self._clock()
                if job.is_late:
                    raise _GivenUpError  # the time went by while other parts had the memory
                part = buffer[: end - start]
                digest = self._read(job, part, start, end, body)
                self._patiently(job, lambda: job.upload.write_part(number, part, digest))
                arrived = end - start
                job.slowest = max(job.slowest, self._clock() - began)
            return arrived
        finally:
            self._pace.leave(arrived)

    def _read(self, job: Reading, part: memoryview, start: int, end: int, body: ByteSource | None) -> bytes:
        filled, digest = 0, hashlib.sha256()

        def hear(count: int) -> None:
            nonlocal filled
            filled += count
            if job.stop.is_set():
                raise _GivenUpError
            try:
                job.task.watch.advance(count)
            except Exception as error:
                raise _RefusedError(error) from None

        def read() -> None:
            nonlocal body
            opened, body = body, None
            if opened:
                _fill(opened, part[filled:], digest.update, hear)
            if filled < len(part):
                with job.task.source.open(start + filled, end, job.version) as source:
                    if source.total != job.length:
                        raise SourceChanged(f"The source of {job.task.key} has another length now.")
                    _fill(source, part[filled:], digest.update, hear)
            if filled < len(part):
                raise IntegrityError(f"A part of the source of {job.task.key} ended early. It is tried again.")

        try:
            self._patiently(job, read)
        except _RefusedError as refused:
            raise refused.error from None
        return digest.digest()

    def _patiently(self, job: Reading, work: Callable[[], None]) -> None:
        def hear(error: BaseException, _: float) -> None:
            job.retries += 1
            self._heed(error)

        def pause(seconds: float) -> None:
            if job.stop.wait(seconds):
                raise _GivenUpError

        retrying(PART, work, sleep=pause, draw=self._draw, on_retry=hear)

    def _heed(self, error: BaseException) -> None:
        if isinstance(error, IntegrityError):
            self._pace.broke()
        elif not isinstance(error, LocatorExpired):
            self._pace.slow_down()

    def _tell(self, job: Job) -> None:
        now = self._clock()
        if now - job.told < job.task.watch.interval:
            return
        job.told = now
        confirmed = job.upload.parts()
        arrived = sum(confirmed.values())
        rate = job.arrived / max(now - job.began, 1e-6)
        eta = (job.length - arrived) / rate if rate else None
        job.task.watch.progress(Progress(job.task.key, arrived, job.length, len(confirmed), job.retries, rate, eta))

    def _forget(self, task: Task) -> None:
        """Throw away what has arrived of a source that is no longer the same, or that is not needed."""
        end_upload(self._archive, self._checkpoints, task.key)


def _reading_from(buffer: memoryview) -> Callable[[int, int], bytes]:
    return lambda start, end: bytes(buffer[start:end])


def _ignore(_: object) -> None:
    """Nobody wants to know."""


def _count(task: Task, stored: Stored) -> None:
    """Tell of the bytes that have been added; those that another run had stored already are not."""
    if stored.run_id == task.label.run_id:
        task.watch.confirmed(stored.length)


def _is_of(found: Stored, body: ByteSource) -> bool:
    """Whether an object is what the source offers, as far as the source tells."""
    same_version = not (found.source_version and body.version) or found.source_version == body.version
    return same_version and body.total in (None, found.length)


def _stream_parts(body: ByteSource, upload: Upload, buffer: memoryview, advance: Advance, passing: Passing) -> int:
    """Write the full buffer as part 1, then the rest of the body part by part; the length in bytes."""
    length, number, filled = 0, 1, len(buffer)
    while filled:
        part = buffer[:filled]
        passing.pass_by(part)
        upload.write_part(number, part, hashlib.sha256(part).digest())
        length += filled
        number += 1
        filled = _fill(body, buffer, _ignore, advance)
    return length


def _fill(body: ByteSource, buffer: memoryview, hash_bytes: Callable[[memoryview], None], advance: Advance) -> int:
    filled, size = 0, FIRST_READ
    while filled < len(buffer):
        began = time.monotonic()
        count = body.readinto(buffer[filled : filled + size])
        if count == 0:
            break
        took = time.monotonic() - began
        if took < _FAST_READ:
            size = min(size * 2, LARGEST_READ)
        elif took > _SLOW_READ:
            size = max(size // 2, SMALLEST_READ)
        hash_bytes(buffer[filled : filled + count])
        filled += count
        advance(count)
    return filled


def _require_whole(key: str, length: int, body: ByteSource) -> None:
    if length == 0:
        raise IntegrityError(f"The source of {key} is empty. It is tried again.")
    surplus = body.readinto(memoryview(bytearray(1)))
    if surplus or body.total not in (None, length):
        told = f"{length:,} bytes{' and more' if surplus else ''}"
        raise IntegrityError(f"The source of {key} gave {told} where it declares {body.total:,}. It is tried again.")
