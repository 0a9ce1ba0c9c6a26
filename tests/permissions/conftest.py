"""The stack of the workflow tests once more, on an emulator that enforces IAM and speaks TLS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chat import Chat
from tests.emulator import Emulator
from tests.gopro_cloud import GoProCloud, Quirks
from tests.gopro_cloud.server import Counts
from tests.permissions.grants import Roles
from tests.permissions.stories import World
from tests.stack import Stack, build


@pytest.fixture(scope="session")
def guarded() -> Iterator[World]:
    with Emulator(guarded=True) as emulator, GoProCloud([]) as cloud, Chat() as chat:
        build()
        emulator.shorten_waits()
        stack = Stack(emulator, "cloud-sync-guarded")
        stack.deploy(GoProApiUrl=cloud.url, CustomerKey="true", WebhookSecretArn=chat.stored_in(emulator))
        yield World(stack, cloud, chat, Roles(stack, stack.physical_ids()))


@pytest.fixture
def world(guarded: World) -> World:
    """The stack with an empty archive, an empty tracker and good credentials; the cloud empty and without quirks."""
    cloud = guarded.cloud
    cloud.media, cloud.quirks, cloud.counts = [], Quirks(), Counts()
    cloud.tokens.clear()
    guarded.stack.empty()
    guarded.stack.put_secret(cloud.pasted())
    return guarded
