"""docs/permissions.md: every permission of the template, what it is for, and how that is shown."""

from __future__ import annotations

from collections.abc import Iterator

from tests.permissions.calls import CALLS
from tests.permissions.documented import needs
from tests.permissions.grants import SERVICE_ROLES, Grant, grants_of
from tests.permissions.stories import stories_of
from tests.unit.test_template import ROLES

_HEAD = """\
# Permissions

Written by `make permissions` from `template.yaml`; a test compares the two. Each row is one action on one resource, and
none is spare. How that is shown:

- **taken away**: the function runs on the emulator with IAM enforced and the credentials of its own role. Without this
  one permission it fails, and the failure is a denial (`tests/permissions/test_functions.py`). Only the manifest that
  breaks off is sent from the test itself, with a copy of the role, because its connection has to be broken.
- **called**: Step Functions and the scheduler act in the emulator's own name, not with their role. The call that they
  make is made with a copy of the role: allowed, and denied without this one permission
  (`tests/permissions/test_calls.py`).
- **documented**: the emulator asks nobody for it. The rows are exactly those that AWS documents for what the rest of
  the template says, no more and no fewer (`tests/permissions/test_documented.py`). This is not a trial on AWS.

Whatever a role does not name is denied to it: of {calls} calls, from reading the secret to deleting an original, each
that the role does not have is tried with a copy of it (`tests/permissions/test_calls.py`).
"""


def render() -> str:
    """The whole document."""
    return "\n".join([_HEAD.format(calls=len(CALLS)), *(line for role in sorted(ROLES) for line in _section(role))])


def _section(role: str) -> Iterator[str]:
    yield from (f"## {role}\n", "| action | resource | what for | shown by |", "| --- | --- | --- | --- |")
    for grant in grants_of(role):
        through = f" through {', '.join(grant.services)}" if grant.services else ""
        purpose, shown = _purpose(grant)
        yield f"| {grant.action} | `{grant.resource}`{through} | {purpose} | {shown} |"
    yield ""


def _purpose(grant: Grant) -> tuple[str, str]:
    for story in stories_of(grant):
        return str(story), "taken away"
    (need,) = (one for one in needs(grant.role) if one.covers(grant))
    callable_with_copy = (
        grant.role in SERVICE_ROLES and not grant.services and grant.action in {c.action for c in CALLS}
    )
    return need.purpose, "called" if callable_with_copy else "documented"
