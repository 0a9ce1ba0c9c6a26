"""What can go wrong, as a small tree that says what to do.

A message says what happened, to what, and what next. No message ever holds a token, a cookie or a signed URL:
errors of the HTTP library, whose text quotes the URL, are replaced at the edge and not chained.
"""

from __future__ import annotations

import re


class CloudSyncError(Exception):
    """Base of every error that this package raises on purpose."""


class TransientError(CloudSyncError):
    """Something that may work when tried again; `retry_after` is the server's wish in seconds, if it told one."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class LocatorExpired(TransientError):
    """A download URL is no longer honoured (403): resolve the medium again."""


class IntegrityError(CloudSyncError):
    """Bytes are missing, surplus or different: nothing was stored, and the transfer may be tried again."""


class SourceChanged(CloudSyncError):
    """The source no longer has the bytes that a transfer began with: that file has to be begun afresh."""


class CredentialsRejected(CloudSyncError):
    """The provider refuses the credentials and they cannot be renewed here: the user has to act."""


class SourceGone(CloudSyncError):
    """The provider no longer has the medium (404 or 410 for it)."""


class ApiShapeChanged(CloudSyncError):
    """The provider answers in a form that cannot be read at all: the product needs an update."""


class InvalidInput(CloudSyncError):
    """A request, an option or a stored document is malformed: the message says what is wanted."""


class StorageFull(CloudSyncError):
    """There is no room left where the archive or the tracker is kept: the user has to make some."""


class Cancelled(CloudSyncError):
    """The user asked to stop; what was confirmed stays, the rest is left for the next run."""


_LONGEST_TEXT = 4000

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)


def public_text(error: BaseException | str) -> str:
    """The text of an error as it may be kept and sent: addresses, which may be signed, are taken out."""
    text = str(error)[:_LONGEST_TEXT].encode("utf-8", "replace").decode()
    return _ADDRESS.sub("(address left out)", text).strip() or type(error).__name__
