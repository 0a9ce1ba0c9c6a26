"""`make diagram`: the state machine of the README, drawn from its definition."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DEFINITION = ROOT / "statemachine" / "sync.asl.json"
README = ROOT / "README.md"
_BEGIN = "```mermaid\n"
_END = "```\n"


def draw(machine: Any) -> str:
    """The machine as a Mermaid state diagram; a map is a state with its own diagram in it."""
    return "\n".join(["stateDiagram-v2", *_lines(machine, "    ")]) + "\n"


def _lines(machine: Any, indent: str) -> Iterator[str]:
    yield f"{indent}[*] --> {machine['StartAt']}"
    for name, state in machine["States"].items():
        if "ItemProcessor" in state:
            yield f"{indent}state {name} {{"
            yield from _lines(state["ItemProcessor"], indent + "    ")
            yield f"{indent}}}"
        for target, label in _ways(state).items():
            yield f"{indent}{name} --> {target}{f': {label}' if label else ''}"


def _ways(state: Any) -> dict[str, str]:
    """Where a state leads and when; the ways to one state are one arrow."""
    ways: dict[str, list[str]] = {}
    for choice in state.get("Choices", ()):
        ways.setdefault(choice["Next"], []).append(choice["StringEquals"].replace("_", " "))
    if "Default" in state:
        ways.setdefault(state["Default"], []).append("else")
    for catch in state.get("Catch", ()):
        ways.setdefault(catch["Next"], []).append("error")
    if "Next" in state:  # that a fault leads there too needs no word
        ways[state["Next"]] = []
    if state.get("End") or state["Type"] in ("Succeed", "Fail"):
        ways["[*]"] = []
    return {target: ", ".join(labels) for target, labels in ways.items()}


def replaced(text: str, diagram: str) -> str:
    """The text with this diagram in the place of its own."""
    before, rest = text.split(_BEGIN, 1)
    after = rest.split(_END, 1)[1]
    return before + _BEGIN + diagram + _END + after


def main() -> None:
    """Draw it anew into the README."""
    README.write_text(replaced(README.read_text(), draw(json.loads(DEFINITION.read_text()))))


if __name__ == "__main__":
    main()
