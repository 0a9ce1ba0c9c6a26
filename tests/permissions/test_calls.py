"""What the emulator does without asking IAM is done here with a copy of the role; what no role may do is tried."""

from __future__ import annotations

import pytest

from tests.permissions.calls import CALLS, Places, client_of
from tests.permissions.grants import SERVICE_ROLES, Grant, grants
from tests.permissions.stories import World
from tests.unit.test_template import ROLES

OF_SERVICES = [one for one in grants() if one.role in SERVICE_ROLES]
CALLABLE = {call.action for call in CALLS}


@pytest.mark.parametrize("grant", [one for one in OF_SERVICES if one.action in CALLABLE and not one.services], ids=str)
def test_a_service_can_call_with_its_role_and_cannot_without(world: World, grant: Grant) -> None:
    places = Places(world)
    calls = [call for call in CALLS if grant in call.granted(world.roles, grant.role, places)]
    assert calls
    client = client_of(world, grant.role)
    assert [str(call) for call in calls if not call.is_allowed(client, places)] == []
    client = client_of(world, grant.role, without=grant)
    assert [str(call) for call in calls if call.is_allowed(client, places)] == []


@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_role_is_denied_whatever_it_does_not_name(world: World, role: str) -> None:
    places = Places(world)
    foreign = [call for call in CALLS if not call.granted(world.roles, role, places)]
    assert len(foreign) > len(CALLS) / 2
    client = client_of(world, role)
    assert [str(call) for call in foreign if call.is_allowed(client, places)] == []
