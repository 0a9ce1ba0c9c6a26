"""Each function with IAM enforced: with its role it does all of its work, with one permission less it does not."""

from __future__ import annotations

import pytest

from tests.cloud_sync import wanted
from tests.gopro_cloud import many_small
from tests.gopro_cloud.quirks import Fault
from tests.permissions.grants import Grant, grants
from tests.permissions.stories import STORIES, Broken, Story, World, stories_of

ENFORCED = [grant for grant in grants() if any(stories_of(grant))]


def test_the_whole_workflow_runs(world: World) -> None:
    whole, broken = many_small(5, 1000), many_small(6, 1000)[5:]
    world.cloud.media = [*whole, *broken]
    world.cloud.quirks.faults[broken[0].media_id] = Fault("empty", times=-1)
    run = world.stack.run({})
    assert (run.output["status"], run.output["completed"], run.output["failed"]) == ("PARTIAL_FAILURE", 5, 1), run.cause
    assert world.stack.archived() == wanted(whole)
    told = "".join(message["Message"] for message in world.stack.messages())
    assert broken[0].media_id in told


@pytest.mark.parametrize("story", STORIES, ids=str)
def test_a_role_suffices_for(world: World, story: Story) -> None:
    story.play(world, None)


@pytest.mark.parametrize("grant", ENFORCED, ids=str)
def test_a_function_breaks_without(world: World, grant: Grant) -> None:
    (story,) = stories_of(grant)
    with (
        world.roles.without(grant),
        pytest.raises(Broken, match=r"AccessDenied|AuthorizationError|\(403\)|left open|refuses to tell"),
    ):
        story.play(world, grant)
