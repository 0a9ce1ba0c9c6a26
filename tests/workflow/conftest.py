"""The stack, deployed once with SAM onto the emulator, and an emulated GoPro Cloud that each test fills anew."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chat import Chat
from tests.emulator import Emulator
from tests.gopro_cloud import GoProCloud, Quirks
from tests.gopro_cloud.server import Counts
from tests.stack import Stack, build


@pytest.fixture(scope="session")
def running_cloud() -> Iterator[GoProCloud]:
    with GoProCloud([]) as running:
        yield running


@pytest.fixture(scope="session")
def chat() -> Iterator[Chat]:
    with Chat() as running:
        yield running


@pytest.fixture(scope="session")
def deployed(emulator: Emulator, running_cloud: GoProCloud, chat: Chat) -> Stack:
    build()
    emulator.shorten_waits()
    stack = Stack(emulator, "cloud-sync-test")
    webhook = chat.stored_in(emulator)
    stack.deploy(GoProApiUrl=running_cloud.url, MaxConcurrency="6", CustomerKey="true", WebhookSecretArn=webhook)
    return stack


@pytest.fixture
def cloud(running_cloud: GoProCloud) -> Iterator[GoProCloud]:
    """An empty cloud without quirks."""
    running_cloud.media = []
    running_cloud.quirks = Quirks()
    running_cloud.counts = Counts()
    running_cloud.tokens.clear()
    running_cloud.page_fetches.clear()
    yield running_cloud
    assert running_cloud.counts.credentials_at_cdn == 0, "credentials were sent to the CDN"
    assert running_cloud.counts.api_peak <= 4, "more than four API calls were in flight"


@pytest.fixture
def stack(deployed: Stack, cloud: GoProCloud) -> Stack:
    """The stack with an empty archive, an empty tracker, and good credentials."""
    deployed.empty()
    deployed.put_secret(cloud.pasted())
    return deployed
