"""Finds a provider by name. Another package joins with an entry point of the group `cloud_sync.providers`.

The entry point's name is the provider's, its object a function from `ProviderSettings` to a `Provider`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from core.errors import InvalidInput
from core.providers.base import Provider, ProviderSettings

GROUP = "cloud_sync.providers"

_BUILT_IN = {"gopro": "core.providers.gopro"}


def create(name: str, settings: ProviderSettings) -> Provider:
    """The provider called `name`; only its own module is imported. `InvalidInput` lists the known names."""
    module = _BUILT_IN.get(name)
    return import_module(module).create(settings) if module else _joined(name)(settings)


def _joined(name: str) -> Callable[[ProviderSettings], Provider]:
    from importlib.metadata import entry_points

    joined = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in joined:
        known = ", ".join(sorted({*_BUILT_IN, *joined}))
        raise InvalidInput(f"There is no provider called {name[:50]!r}. Known: {known}.")
    factory: Callable[[ProviderSettings], Provider] = joined[name].load()
    return factory
