"""Thin adapters between Lambda and `core`: parse the event, call one step, shape the answer."""
