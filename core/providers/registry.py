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


def require(name: str) -> str:
    """The name, if a provider has it; else `InvalidInput` lists those that there are."""
    if name in _BUILT_IN:
        return name
    from importlib.metadata import entry_points

    joined = entry_points(group=GROUP).names
    if name not in joined:
        known = ", ".join(sorted({*_BUILT_IN, *joined}))
        raise InvalidInput(f"There is no provider called {name[:50]!r}. Known: {known}.")
    return name


def _joined(name: str) -> Callable[[ProviderSettings], Provider]:
    from importlib.metadata import entry_points

    (entry,) = entry_points(group=GROUP, name=require(name))
    factory: Callable[[ProviderSettings], Provider] = entry.load()
    return factory
