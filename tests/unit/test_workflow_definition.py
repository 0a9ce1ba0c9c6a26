"""The state machine, held to the retry policies of the core, to the template, and to what its states promise."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from core.model import utc_now
from core.retry import AUTHENTICATE, FINAL, LIST, SUMMARIZE, TRANSFER, VERIFY, RetryPolicy
from core.sync.notify import Notification, about_failure
from core.sync.outcomes import Failure
from core.sync.request import Run
from tests.unit.test_template import function, properties

ROOT = Path(__file__).resolve().parents[2]

MAIN_STATES = {
    "AuthenticateProvider",
    "ListMedia",
    "CheckNewVideos",
    "DownloadVideos",
    "GenerateSummary",
    "CheckForFailures",
    "SyncComplete",
    "NoNewVideos",
    "NotifyPartialFailure",
    "NotifyCriticalFailure",
    "SyncFailed",
}
MAP_STATES = {"DownloadVideo", "MarkVideoFailed"}

POLICIES = {
    "AuthenticateProvider": AUTHENTICATE,
    "ListMedia": LIST,
    "DownloadVideo": TRANSFER,
    "GenerateSummary": SUMMARIZE,
}

State = dict[str, Any]


def definition(name: str = "sync") -> State:
    found: State = json.loads((ROOT / "statemachine" / f"{name}.asl.json").read_text())
    return found


def inside_the_map() -> State:
    found: State = definition()["States"]["DownloadVideos"]["ItemProcessor"]
    return found


def states() -> dict[str, State]:
    """Every state by its name, those inside the map too."""
    return {**definition()["States"], **inside_the_map()["States"]}


def tasks() -> dict[str, State]:
    return {name: state for name, state in states().items() if state["Type"] == "Task"}


def choices() -> dict[str, State]:
    return {name: state for name, state in states().items() if state["Type"] == "Choice"}


def invoked_function(state: State) -> str:
    """The logical name of the function that a state invokes, "" if it invokes none."""
    placeholder = str(state.get("Parameters", {}).get("FunctionName", ""))
    machines = ("SyncStateMachine", "VerifyStateMachine")
    substitutions = {k: v for name in machines for k, v in properties(name)["DefinitionSubstitutions"].items()}
    return str(substitutions[placeholder[2:-1]]["Fn::GetAtt"][0]) if placeholder else ""


def steps() -> dict[str, State]:
    """The states that invoke a function."""
    return {name: state for name, state in tasks().items() if invoked_function(state)}


def successors(state: State) -> Iterator[str]:
    yield from (state[field] for field in ("Next", "Default") if field in state)
    for rule in (*state.get("Choices", []), *state.get("Catch", [])):
        yield rule["Next"]


def reached(machine: State) -> set[str]:
    found, waiting = set[str](), [machine["StartAt"]]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += successors(machine["States"][name])
    return found


def pauses(retry: Mapping[str, Any]) -> list[float]:
    """Seconds before each further attempt, as Step Functions counts them."""
    longest = retry.get("MaxDelaySeconds", float("inf"))
    return [min(longest, retry["IntervalSeconds"] * retry["BackoffRate"] ** n) for n in range(retry["MaxAttempts"])]


def ceilings(policy: RetryPolicy) -> list[float]:
    return [policy.ceiling(attempt) for attempt in range(1, policy.retries + 1)]


# -------------------------------------------------------------------------------- states
def test_the_states_that_operators_know_are_there() -> None:
    assert set(definition()["States"]) >= MAIN_STATES
    assert set(inside_the_map()["States"]) >= MAP_STATES


def test_every_state_can_be_reached_and_leads_somewhere() -> None:
    for machine in (definition(), inside_the_map()):
        assert reached(machine) == set(machine["States"])
        for name, state in machine["States"].items():
            assert list(successors(state)) or state.get("End") or state["Type"] in ("Succeed", "Fail"), name


def test_a_run_begins_with_the_check_of_the_credentials() -> None:
    assert definition()["StartAt"] == "AuthenticateProvider"
    assert inside_the_map()["StartAt"] == "DownloadVideo"


def test_a_run_ends_well_in_known_states_and_badly_in_one() -> None:
    ends = {name: state["Type"] for name, state in definition()["States"].items() if not list(successors(state))}
    assert ends == {
        "SyncComplete": "Succeed",
        "NoNewVideos": "Succeed",
        "DryRunComplete": "Succeed",
        "SyncFailed": "Fail",
    }


@pytest.mark.parametrize("name", choices())
def test_a_choice_knows_what_to_do_with_an_outcome_that_it_does_not_know(name: str) -> None:
    assert choices()[name]["Default"] in states()


def test_whatever_stops_a_run_before_the_map_is_told_before_the_run_fails() -> None:
    assert choices()["CheckAuthentication"]["Default"] == "NotifyCriticalFailure"
    assert choices()["CheckForFailures"]["Default"] == "NotifyCriticalFailure"
    stopped = states()[choices()["CheckNewVideos"]["Default"]]
    assert (stopped["InputPath"], stopped["Next"]) == ("$.listing.answer", "NotifyCriticalFailure")
    assert states()["NotifyCriticalFailure"]["Next"] == "SyncFailed"


# ------------------------------------------------------------------------------- retries
@pytest.mark.parametrize("name", POLICIES)
def test_a_state_is_retried_as_the_core_retries_its_step(name: str) -> None:
    policy = POLICIES[name]
    retry = states()[name]["Retry"][-1]
    assert retry["ErrorEquals"] == ["States.ALL"]
    assert retry["MaxAttempts"] == policy.retries
    assert retry["IntervalSeconds"] == policy.first_delay
    assert retry["BackoffRate"] == policy.rate
    assert retry["JitterStrategy"] == ("FULL" if policy.jitter else "NONE")
    assert pauses(retry) == ceilings(policy)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("AuthenticateProvider", [2, 4, 8]),
        ("ListMedia", [2, 4, 8]),
        ("DownloadVideo", [30, 60, 120]),
    ],
)
def test_the_pauses_are_those_that_operators_were_told(name: str, expected: list[float]) -> None:
    assert pauses(states()[name]["Retry"][-1]) == expected


@pytest.mark.parametrize("name", tasks())
def test_every_task_is_retried(name: str) -> None:
    assert any(retry["ErrorEquals"] == ["States.ALL"] and retry["MaxAttempts"] > 0 for retry in tasks()[name]["Retry"])


@pytest.mark.parametrize("name", [*steps(), "VerifyArchive"])
def test_a_function_that_the_account_may_not_run_now_is_waited_for_longer_than_an_invocation_lasts(name: str) -> None:
    throttled = (verification() | steps())[name]["Retry"][-2]
    assert throttled["ErrorEquals"] == ["Lambda.TooManyRequestsException"]
    assert throttled["JitterStrategy"] == "FULL"
    assert sum(pauses(throttled)) / 2 > 900, "full jitter waits for half of these seconds"


# ------------------------------------------------------------------------------- catches
def test_a_transfer_that_cannot_be_mended_by_trying_again_is_not_tried_again() -> None:
    never = tasks()["DownloadVideo"]["Retry"][0]
    assert never["MaxAttempts"] == 0
    assert set(never["ErrorEquals"]) <= {error.__name__ for error in FINAL}
    # The others of FINAL come back from a transfer as outcomes, or never come from a function.
    returned = {"Cancelled", "CredentialsRejected", "SourceGone", "StorageFull"}
    assert set(never["ErrorEquals"]) | returned == {error.__name__ for error in FINAL}


@pytest.mark.parametrize("name", ["AuthenticateProvider", "ListMedia", "DownloadVideos", "GenerateSummary"])
def test_a_fault_that_retries_cannot_mend_is_put_into_words_told_and_fails_the_run(name: str) -> None:
    assert catches_everything(states()[name]) == "DescribeFault"
    described = states()["DescribeFault"]
    assert set(described["Output"]) == {"failure", "notification"}
    assert described["Next"] == "NotifyCriticalFailure"
    assert states()["NotifyCriticalFailure"]["Next"] == "SyncFailed"
    assert states()["SyncFailed"] == {"Type": "Fail", "ErrorPath": "$.failure.error", "CausePath": "$.failure.cause"}


def test_a_transfer_that_keeps_failing_is_marked_while_the_rest_go_on() -> None:
    assert catches_everything(states()["DownloadVideo"]) == "MarkVideoFailed"
    assert states()["MarkVideoFailed"]["Parameters"]["Payload"]["fault.$"] == "$.fault"
    assert states()["DownloadVideo"]["Catch"][0]["ResultPath"] == "$.fault"
    assert states()["MarkVideoFailed"]["End"] is True


@pytest.mark.parametrize(
    ("name", "goes_on_to"), [("NotifyPartialFailure", "SyncComplete"), ("NotifyCriticalFailure", "SyncFailed")]
)
def test_a_message_that_cannot_be_sent_changes_nothing_of_how_the_run_ends(name: str, goes_on_to: str) -> None:
    state = states()[name]
    assert catches_everything(state) == state["Next"] == goes_on_to
    assert state["ResultPath"] is None
    assert state["Catch"][0]["ResultPath"] not in ("$", "$.summary", "$.failure")


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        ("sync", "NotifyPartialFailure"),
        ("sync", "NotifyCriticalFailure"),
        ("verify", "NotifyFindings"),
        ("verify", "NotifyCriticalFailure"),
    ],
)
def test_the_workflow_sends_the_forms_that_a_notification_has(machine: str, name: str) -> None:
    sent = definition(machine)["States"][name]["Parameters"]
    forms = {"default": "States.JsonToString($.notification)", "email": "$.notification.message"}
    forms["sms"] = "$.notification.subject"
    assert sent["MessageStructure"] == "json"
    assert sent["Message"] == {f"{form}.$": path for form, path in forms.items()}
    assert set(json.loads(Notification("credentials", "", "", {}).to_sns())) == set(forms)


@pytest.mark.parametrize("machine", ["sync", "verify"])
def test_a_fault_is_told_in_the_fields_of_every_critical_failure(machine: str) -> None:
    described = definition(machine)["States"]["DescribeFault"]["Output"]["notification"]
    told = about_failure(Failure("", "", "", ""), Run("run", utc_now())).to_json()
    assert described["kind"] == told["kind"]
    assert set(described) == set(told)
    assert set(described["details"]) == set(told["details"])
    assert set(described["details"]["run"]) == set(told["details"]["run"])


def catches_everything(state: State) -> str:
    """Where a state goes after any error that is left."""
    (catch,) = state["Catch"]
    assert catch["ErrorEquals"] == ["States.ALL"]
    return str(catch["Next"])


# ------------------------------------------------------------------------------- the map
def test_the_map_is_distributed_with_a_standard_execution_for_each_medium() -> None:
    assert inside_the_map()["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}


def test_the_map_reads_its_items_line_by_line_from_the_manifest() -> None:
    reader = states()["DownloadVideos"]["ItemReader"]
    assert reader["Resource"] == "arn:aws:states:::s3:getObject"
    assert reader["ReaderConfig"] == {"InputType": "JSONL"}
    assert reader["Parameters"] == {
        "Bucket.$": "$.listing.answer.bucket",
        "Key.$": "$.listing.answer.plan.manifest_key",
    }


def test_the_map_writes_its_results_beside_the_manifest() -> None:
    writer = states()["DownloadVideos"]["ResultWriter"]
    assert writer["Resource"] == "arn:aws:states:::s3:putObject"
    assert writer["Parameters"] == {
        "Bucket.$": "$.listing.answer.bucket",
        "Prefix.$": "States.Format('runs/{}/map', $.run.run_id)",
    }


def test_no_failure_of_one_medium_stops_the_others() -> None:
    videos = states()["DownloadVideos"]
    assert videos["ToleratedFailurePercentage"] == 100
    assert "ToleratedFailureCount" not in videos


def test_the_parameter_says_how_many_are_transferred_at_once() -> None:
    videos = states()["DownloadVideos"]
    assert videos["MaxConcurrencyPath"] == "$.listing.answer.max_concurrency"
    assert "MaxConcurrency" not in videos
    assert function("PlanFunction")["Environment"]["Variables"]["MAX_CONCURRENCY"] == {"Ref": "MaxConcurrency"}


def test_a_child_is_given_its_medium_the_run_and_a_reference_to_the_credentials_and_nothing_else() -> None:
    assert states()["DownloadVideos"]["ItemSelector"] == {
        "video.$": "$$.Map.Item.Value",
        "auth.$": "$.auth",
        "run.$": "$.run",
    }
    assert states()["DownloadVideo"]["Parameters"]["Payload"] == {
        "video.$": "$.video",
        "auth.$": "$.auth",
        "run.$": "$.run",
    }


def test_what_the_map_came_to_is_never_in_a_state() -> None:
    assert states()["DownloadVideos"]["ResultPath"] is None
    for name in MAP_STATES:
        assert set(states()[name]["ResultSelector"]) == {"outcome.$", "media_id.$"}


def test_the_states_after_the_map_are_given_the_manifests_key_and_no_list() -> None:
    assert states()["GenerateSummary"]["Parameters"]["Payload"] == {
        "run.$": "$.run",
        "request.$": "$.request",
        "plan.$": "$.listing.answer",
    }


@pytest.mark.parametrize("name", states())
def test_no_state_names_anything_secret(name: str) -> None:
    silent = {key: value for key, value in states()[name].items() if key not in ("Comment", "ItemProcessor")}
    assert not re.findall(r"token|cookie|password|secret", json.dumps(silent), re.IGNORECASE)


# -------------------------------------------------------------------- wiring to functions
def test_each_function_is_a_step_of_the_workflow() -> None:
    invoked = {name: invoked_function(state) for name, state in steps().items()}
    assert invoked == {
        "AuthenticateProvider": "AuthenticateFunction",
        "ListMedia": "PlanFunction",
        "DownloadVideo": "TransferFunction",
        "MarkVideoFailed": "MarkFailedFunction",
        "GenerateSummary": "SummarizeFunction",
    }


@pytest.mark.parametrize("name", steps())
def test_a_step_is_given_the_time_that_its_function_may_take(name: str) -> None:
    state = steps()[name]
    assert state["Resource"] == "arn:aws:states:::lambda:invoke"
    assert state["TimeoutSeconds"] > function(invoked_function(state))["Timeout"]


def test_every_placeholder_is_substituted_and_every_substitution_used() -> None:
    text = json.dumps(definition())
    assert set(re.findall(r"\$\{(\w+)\}", text)) == set(properties("SyncStateMachine")["DefinitionSubstitutions"])


def test_a_role_may_invoke_every_step() -> None:
    allowed = properties("StateMachineRole")["Policies"][0]["PolicyDocument"]["Statement"][0]
    assert allowed["Action"] == "lambda:InvokeFunction"
    invoked = [{"Fn::GetAtt": [invoked_function(state), "Arn"]} for state in steps().values()]
    assert sorted(map(str, allowed["Resource"])) == sorted(map(str, invoked))


# ---------------------------------------------------------------------- the verification
def verification() -> dict[str, State]:
    found: dict[str, State] = definition("verify")["States"]
    return found


def test_every_state_of_the_verification_can_be_reached_and_ends_are_known() -> None:
    assert reached(definition("verify")) == set(verification())
    ends = {name: state["Type"] for name, state in verification().items() if not list(successors(state))}
    assert ends == {"VerificationComplete": "Succeed", "VerificationFailed": "Fail"}


def test_a_verification_goes_on_where_the_time_ended_and_findings_are_told() -> None:
    choice = verification()["CheckVerification"]
    assert {rule["StringEquals"]: rule["Next"] for rule in choice["Choices"]} == {
        "unfinished": "VerifyArchive",
        "sound": "VerificationComplete",
        "findings": "NotifyFindings",
    }
    assert choice["Default"] == "NotifyCriticalFailure"
    assert verification()["NotifyFindings"]["Next"] == "VerificationComplete"


def test_a_verification_is_retried_told_and_given_the_time_that_it_may_take() -> None:
    state = verification()["VerifyArchive"]
    assert (invoked_function(state), catches_everything(state)) == ("VerifyFunction", "DescribeFault")
    assert state["TimeoutSeconds"] > function("VerifyFunction")["Timeout"]
    retry = state["Retry"][-1]
    assert (retry["ErrorEquals"], pauses(retry)) == (["States.ALL"], ceilings(VERIFY))
    assert verification()["DescribeFault"]["Next"] == "NotifyCriticalFailure"
    assert verification()["NotifyCriticalFailure"]["Next"] == "VerificationFailed"


def test_every_placeholder_of_the_verification_is_substituted_and_its_role_may_invoke_it() -> None:
    names = set(re.findall(r"\$\{(\w+)\}", json.dumps(definition("verify"))))
    assert names == set(properties("VerifyStateMachine")["DefinitionSubstitutions"])
    allowed = properties("VerifyStateMachineRole")["Policies"][0]["PolicyDocument"]["Statement"][0]
    assert (allowed["Action"], allowed["Resource"]) == (
        "lambda:InvokeFunction",
        {"Fn::GetAtt": ["VerifyFunction", "Arn"]},
    )
