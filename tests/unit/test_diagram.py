"""The state machine's diagram in the README."""

from __future__ import annotations

import json

from scripts.diagram import DEFINITION, README, draw, replaced


def test_the_diagram_in_the_readme_is_the_machine_that_is_deployed() -> None:
    text = README.read_text()
    assert replaced(text, draw(json.loads(DEFINITION.read_text()))) == text, "run `make diagram`"


def test_a_diagram_has_each_way_between_states_with_what_leads_there() -> None:
    inner = {"StartAt": "Move", "States": {"Move": {"Type": "Task", "End": True}}}
    faults = [{"Next": "Failed"}, {"Next": "Ask"}]
    machine = {
        "StartAt": "All",
        "States": {
            "All": {
                "Type": "Map",
                "ItemProcessor": inner,
                "Next": "Ask",
                "Catch": faults,
            },
            "Ask": {"Type": "Choice", "Choices": [{"StringEquals": "not_yet", "Next": "All"}], "Default": "Failed"},
            "Failed": {"Type": "Fail"},
        },
    }
    assert draw(machine).split("\n") == [
        "stateDiagram-v2",
        "    [*] --> All",
        "    state All {",
        "        [*] --> Move",
        "        Move --> [*]",
        "    }",
        "    All --> Failed: error",
        "    All --> Ask",
        "    Ask --> All: not yet",
        "    Ask --> Failed: else",
        "    Failed --> [*]",
        "",
    ]
