"""Clouds whose media libraries can be backed up, found by name through `registry`."""
