"""The command line `cloud-sync`: it reads options and the environment, wires `core` together and draws what happens."""

from core.cli.app import app, main

__all__ = ["app", "main"]
