"""What a command says, and how it ends."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import NoReturn

import typer
from rich.console import Console

from core.errors import ApiShapeChanged, Cancelled, CloudSyncError, CredentialsRejected, InvalidInput, public_text
from core.sync.authenticate import explain

out = Console(emoji=False, width=None if sys.stdout.isatty() else 160)
err = Console(stderr=True, emoji=False)


class Exit(IntEnum):
    """Exit codes for scripts."""

    OK = 0
    PARTIAL_FAILURE = 1
    USAGE = 2
    CREDENTIALS_REJECTED = 3
    FAULT = 4
    WAITING = 5
    INTERRUPTED = 130


@contextmanager
def answering(provider_name: str) -> Iterator[None]:
    """Turn errors into a message and an exit code; SIGTERM stops a run like Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except (ApiShapeChanged, CredentialsRejected, InvalidInput) as error:
        failure = explain(error, provider_name)
        code = {CredentialsRejected: Exit.CREDENTIALS_REJECTED, InvalidInput: Exit.USAGE}.get(type(error), Exit.FAULT)
        fail(failure.cause if code is Exit.USAGE else f"{failure.cause} {failure.remedy}", code)
    except (Cancelled, KeyboardInterrupt, typer.Abort) as error:
        fail(str(error) or "Stopped.", Exit.INTERRUPTED)
    except CloudSyncError as error:
        fail(str(error), Exit.FAULT)
    except OSError as error:
        fail(f"{public_text(error)}. Nothing confirmed was lost; mend it and start again.", Exit.FAULT)


def say(message: str) -> None:
    """Tell people something that is not the result."""
    err.print(message, soft_wrap=True, markup=False, highlight=False)


def fail(message: str, code: Exit) -> NoReturn:
    """Say what went wrong and end."""
    err.print(message.strip(), style="red", soft_wrap=True, markup=False, highlight=False)
    raise typer.Exit(code)
