"""Takes a pasted text from a terminal without showing it, of any length and number of lines.

A terminal's own line editing keeps no more than 1,024 or 4,096 characters of a line, and a cookie header is longer.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: Seconds of silence after which a paste is over, once Enter has been pressed.
_SILENCE = 0.4

#: What a terminal puts around a paste if it is asked to (bracketed paste).
_BEGIN, _END = b"\x1b[200~", b"\x1b[201~"
_ASK, _NO_MORE = "\x1b[?2004h", "\x1b[?2004l"

_INTERRUPT, _END_OF_FILE = b"\x03", b"\x04"


def read_pasted(question: str) -> str:
    """Ask, and give what is pasted or typed, up to the paste's end, to Enter and silence, or to Ctrl-D.

    Nothing of it is shown, and what comes too late is discarded: it must not reach the shell.
    """
    if os.name != "posix":
        from getpass import getpass

        print(question, file=sys.stderr)
        return "\n".join(iter(lambda: getpass(""), ""))
    descriptor = sys.stdin.fileno()
    with _quiet(descriptor):
        print(question, end=_ASK, file=sys.stderr, flush=True)  # only now: whoever sees it may paste at once
        return _read(descriptor).decode(errors="replace")


@contextmanager
def _quiet(descriptor: int) -> Iterator[None]:
    import termios

    before = termios.tcgetattr(descriptor)
    quiet = termios.tcgetattr(descriptor)
    quiet[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG)
    termios.tcsetattr(descriptor, termios.TCSADRAIN, quiet)
    try:
        yield
    finally:
        print(_NO_MORE, file=sys.stderr, flush=True)
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)


def _read(descriptor: int) -> bytes:
    read = b""
    while True:
        over = read.strip() and read.endswith((b"\n", b"\r")) and _BEGIN not in read
        if over and not select.select([descriptor], [], [], _SILENCE)[0]:
            return read
        block = os.read(descriptor, 65536)
        if _INTERRUPT in block:
            raise KeyboardInterrupt
        read += block
        if _END in read:
            return read.partition(_BEGIN)[2].partition(_END)[0]
        if not block or _END_OF_FILE in block:
            return read.replace(_END_OF_FILE, b"")
