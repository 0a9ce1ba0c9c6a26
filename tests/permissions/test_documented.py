"""Permissions that the emulator does not ask for, held to what AWS documents; and the table of all of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.permissions.documented import needs
from tests.permissions.grants import grants, grants_of
from tests.permissions.stories import STORIES, stories_of
from tests.permissions.table import render
from tests.unit.test_template import ROLES, ROOT


@pytest.mark.parametrize("role", sorted(ROLES))
def test_what_no_story_shows_is_just_what_aws_documents(role: str) -> None:
    granted = {(one.action, one.resource, one.services) for one in grants_of(role) if not any(stories_of(one))}
    assert granted == {(one.action, one.resource, one.services) for one in needs(role)}


def test_nothing_is_allowed_twice_to_a_role() -> None:
    counted = Counter((one.role, one.action, one.resource) for one in grants())
    assert [permission for permission, number in counted.items() if number > 1] == []


def test_a_story_claims_only_what_its_role_has() -> None:
    allowed = {(one.role, name) for one in grants() for name in (one.action, f"{one.action} {one.resource}")}
    assert {(story.role, action) for story in STORIES for action in story.actions} <= allowed


def test_the_table_of_permissions_is_that_of_the_template() -> None:
    """`make permissions` writes it anew."""
    assert Path(ROOT, "docs", "permissions.md").read_text(encoding="utf-8") == render()
