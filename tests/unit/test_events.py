"""The sample events: one for each function, and each in the shape that the workflow sends."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from core.model import Medium
from core.sync.notify import Notification
from core.sync.plan import Plan
from core.sync.request import Run, SyncRequest
from core.verify import Report, Verification
from handlers._answers import run_of_execution
from tests.unit.test_template import function, properties
from tests.unit.test_workflow_definition import invoked_function, steps, verification

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (ROOT / "handlers").glob("[!_]*.py"))

#: What reads each part of an event, and gives it back as the workflow carries it.
READ: dict[str, Callable[[Any], Any]] = {
    "execution": lambda told: told | as_told(run_of_execution(told)),
    "input": lambda told: {name: (SyncRequest.from_json(told).to_json() | as_asked(told))[name] for name in told},
    "run": lambda told: Run.from_json(told).to_json(),
    "request": lambda told: SyncRequest.from_json(told).to_json(),
    "video": lambda told: Medium.from_json(told).to_json(),
    "plan": lambda told: told | {"plan": Plan.from_json(told["plan"]).to_json()},
    "provider": lambda told: SyncRequest.from_json({"provider": told}).provider,
    "hours_ahead": float,
    "progress": lambda told: told and Report.from_json(told).to_json(),
}


#: What holds a reference or a fault, and is looked at below.
OTHERS = {"auth", "fault", "Records"}


def as_asked(told: Any) -> dict[str, Any]:
    return asdict(Verification.from_json(told))


def as_told(run: Run) -> dict[str, Any]:
    return {"name": run.run_id, "started_at": run.to_json()["started_at"]}


def event(module: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "events" / f"{module}.json").read_text())
    return found


def payload(module: str) -> dict[str, Any]:
    """What the workflow, a schedule or the topic gives to the function of a module; paths stand for what they mean."""
    if module == "check_credentials":
        scheduled: dict[str, Any] = json.loads(properties("CredentialsCheckSchedule")["Target"]["Input"])
        return scheduled
    if module == "webhook":
        return {"Records": [{"EventSource": "aws:sns", "Sns": {"Subject": "", "Message": ""}}]}
    invoking = [*steps().values(), verification()["VerifyArchive"]]
    (state,) = [state for state in invoking if function(invoked_function(state))["Handler"].split(".")[1] == module]
    found: dict[str, Any] = without_path_marks(state["Parameters"]["Payload"])
    return found


def without_path_marks(node: Any) -> Any:
    if isinstance(node, dict):
        return {name.removesuffix(".$"): without_path_marks(value) for name, value in node.items()}
    return node


def test_each_function_has_a_sample_event_and_no_event_is_left_over() -> None:
    assert sorted(path.name for path in (ROOT / "events").iterdir()) == [f"{module}.json" for module in MODULES]


@pytest.mark.parametrize("module", MODULES)
def test_an_event_has_what_the_workflow_sends(module: str) -> None:
    sent, sample = payload(module), event(module)
    assert set(sent) == set(sample)
    for name, part in sent.items():
        if isinstance(part, dict):
            assert set(part) == set(sample[name])


@pytest.mark.parametrize("module", MODULES)
def test_a_part_of_an_event_is_read_and_comes_back_unchanged(module: str) -> None:
    for name in set(event(module)) - OTHERS:
        part = event(module)[name]
        assert READ[name](part) == part


@pytest.mark.parametrize("module", [module for module in MODULES if "auth" in event(module)])
def test_an_event_refers_to_credentials_and_holds_none(module: str) -> None:
    assert set(event(module)["auth"]) == {"secret_arn", "version_id"}


@pytest.mark.parametrize("module", MODULES)
def test_an_event_names_no_real_account_and_no_secret(module: str) -> None:
    text = json.dumps(event(module))
    assert set(re.findall(r"\b\d{12}\b", text)) <= {"000000000000"}
    assert not re.findall(r"token|cookie|password|Signature=", text, re.IGNORECASE)


def test_the_message_for_a_chat_is_a_notification_as_it_is_sent() -> None:
    (record,) = event("webhook")["Records"]
    told = json.loads(record["Sns"]["Message"])
    assert Notification(**told).to_json() == told
    assert record["Sns"]["Subject"] == told["subject"]


def test_the_fault_of_a_medium_is_what_lambda_tells_of_an_exception() -> None:
    fault = event("mark_failed")["fault"]
    cause = json.loads(fault["Cause"])
    assert fault["Error"] == cause["errorType"]
    assert set(cause) == {"errorMessage", "errorType", "requestId", "stackTrace"}
