"""Each alarm of the deployed stack rung, and its message read where it arrives.

The emulator makes no metrics out of the log lines that CloudWatch makes them of, and publishes none of AWS's own. So
what a run has really measured is taken from its log and put as CloudWatch would put it (`measure`); where the metric is
AWS's own, the very metric of the alarm is put (`put_what_it_looks_at`). The emulator looks at all alarms again whenever
anything is put, so that one whose cause is not five minutes old may ring once more in the next test.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.gopro_cloud import GoProCloud, many_small
from tests.stack import ROOT, Stack
from tests.unit.test_alarms import TOLD_BY_THE_RUN, alarms, composites, insights

TIB = 1024**4


@dataclass
class Bells:
    """The alarms of a stack, with a machine's queue at their topic, and a pager's."""

    stack: Stack
    machine: str
    pager: str
    since: float = 0

    @property
    def _cloudwatch(self) -> Any:
        return self.stack.emulator.client("cloudwatch")

    def quiet(self) -> None:
        """Let no alarm be on, and forget what has rung and what was measured."""
        there = self._cloudwatch.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        for one in (*there["MetricAlarms"], *there["CompositeAlarms"]):
            self._cloudwatch.set_alarm_state(AlarmName=one["AlarmName"], StateValue="OK", StateReason="a test begins")
        for queue in (self.machine, self.pager):
            self.stack.messages(0, queue)
        self.since = time.time()

    def measure(self) -> dict[str, list[float]]:
        """Put what the functions have measured since; the values by name."""
        found: dict[str, list[float]] = {}
        for document in self._measured():
            (directive,) = document["_aws"]["CloudWatchMetrics"]
            (names,) = directive["Dimensions"]
            if "ErrorType" in names:
                continue  # no alarm looks at those, and the emulator would take them for the others
            for name in (one["Name"] for one in directive["Metrics"]):
                found[name] = found.get(name, []) + document[name]
                self.put(directive["Namespace"], name, document[name], {one: document[one] for one in names})
        return found

    def _measured(self) -> Iterator[dict[str, Any]]:
        logs = self.stack.emulator.client("logs")
        groups = logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{self.stack.name}-")["logGroups"]
        for group in groups:
            pages = logs.get_paginator("filter_log_events").paginate(
                logGroupName=group["logGroupName"], startTime=int(self.since * 1000)
            )
            for event in (event for page in pages for event in page["events"]):
                if event["message"].startswith('{"_aws"'):
                    yield json.loads(event["message"])

    def put(self, namespace: str, name: str, values: list[float], dimensions: dict[str, str]) -> None:
        told = [{"Name": key, "Value": value} for key, value in dimensions.items()]
        datum = {"MetricName": name, "Values": values, "Dimensions": told}
        self._cloudwatch.put_metric_data(Namespace=namespace, MetricData=[datum])

    def put_what_it_looks_at(self, name: str, *values: float) -> None:
        """Put the very metric of an alarm as it is deployed."""
        (alarm,) = self._cloudwatch.describe_alarms(AlarmNames=[f"{self.stack.name}-{name}"])["MetricAlarms"]
        dimensions = {one["Name"]: one["Value"] for one in alarm["Dimensions"]}
        self.put(alarm["Namespace"], alarm["MetricName"], list(values), dimensions)

    def rung(self) -> list[str]:
        """The alarms that the machine was told of since, in order."""
        return [self._read(message) for message in self.stack.messages(0, self.machine)]

    def paged(self) -> list[str]:
        """Those that the pager was told of."""
        return [self._read(message) for message in self.stack.messages(0, self.pager)]

    def _read(self, envelope: dict[str, Any]) -> str:
        message = json.loads(envelope["Message"])
        name = str(message["AlarmName"]).removeprefix(f"{self.stack.name}-")
        assert message["NewStateValue"] == "ALARM"
        assert f"docs/runbooks/{name}.md" in message["AlarmDescription"]
        return name


@pytest.fixture(scope="session")
def hung(deployed: Stack) -> Bells:
    """A machine's queue, and a pager's with the filter and the composite alarm of the second template."""
    topic = deployed.outputs["AlarmTopicArn"]
    policy = named(insights()["PagerSubscription"]["Properties"]["FilterPolicy"], deployed)
    pager = deployed.listen(
        topic, f"{deployed.name}-pager", FilterPolicyScope="MessageBody", FilterPolicy=json.dumps(policy)
    )
    (composite,) = named(composites(), deployed).values()
    deployed.emulator.client("cloudwatch").put_composite_alarm(
        **{name: composite[name] for name in ("AlarmName", "AlarmDescription", "AlarmRule")}, AlarmActions=[topic]
    )
    return Bells(deployed, deployed.listen(topic, f"{deployed.name}-machine"), pager)


def named(part: Any, stack: Stack) -> Any:
    """A part of the second template for this stack."""
    if isinstance(part, dict) and set(part) == {"Fn::Sub"}:
        return part["Fn::Sub"].replace("${Stack}", stack.name)
    if isinstance(part, dict):
        return {name: named(one, stack) for name, one in part.items()}
    return [named(one, stack) for one in part] if isinstance(part, list) else part


@pytest.fixture
def bells(hung: Bells, stack: Stack) -> Bells:
    hung.quiet()
    return hung


def told(stack: Stack) -> list[str]:
    """The subjects of what people were sent by runs."""
    return [subject for subject in subjects(stack) if not subject.startswith("ALARM: ")]


def is_told(stack: Stack, name: str) -> bool:
    """Whether people have heard an alarm."""
    return f'ALARM: "{stack.name}-{name}" in us-east-1' in subjects(stack)


def subjects(stack: Stack) -> list[str]:
    return [str(message["Subject"]) for message in stack.messages(0)]


# ------------------------------------------------------------------------- by the real cause
def test_a_run_that_fails_for_a_cause_of_its_own_reaches_the_pager_too(bells: Bells, stack: Stack) -> None:
    assert stack.run({"max_items": "many"}).status == "FAILED"
    bells.measure()
    bells.put_what_it_looks_at("sync-failed", 1)
    assert bells.paged() == ["run-in-trouble"]


def test_refused_credentials_ring_once_for_people_and_once_for_a_pager(
    bells: Bells, stack: Stack, cloud: GoProCloud
) -> None:
    cloud.tokens.clear()
    assert stack.run({}).error == "CredentialsRejected"
    assert bells.measure()["AuthenticationFailure"] == [1]
    bells.put_what_it_looks_at("sync-failed", 1)  # as Step Functions does
    assert set(bells.rung()) == {"authentication-failure", "sync-failed", "run-in-trouble"}
    assert bells.paged() == ["run-in-trouble"]
    assert len(told(stack)) == 1


def test_three_failed_media_ring_nothing_and_four_ring_for_machines(bells: Bells, stack: Stack) -> None:
    bells.put_what_it_looks_at("media-failed", 1, 1, 1)
    assert "media-failed" not in bells.rung()
    for number in range(4):
        mark_failed(stack, f"small{number:06d}")
    assert bells.measure()["SyncFailures"] == [1, 1, 1, 1]
    assert "media-failed" in bells.rung()
    assert subjects(stack) == [], "people hear of it at the end of the run"


def mark_failed(stack: Stack, media_id: str) -> None:
    """Have a medium's failure recorded as the workflow does."""
    event = json.loads((ROOT / "events" / "mark_failed.json").read_text())
    event["video"]["media_id"] = media_id
    function, payload = f"{stack.name}-mark-failed", json.dumps(event)
    assert "FunctionError" not in stack.emulator.client("lambda").invoke(FunctionName=function, Payload=payload)


def test_a_novelty_that_stops_no_run_rings_for_people(bells: Bells, stack: Stack, cloud: GoProCloud) -> None:
    cloud.media = [replace(medium, kind="Hologram") for medium in many_small(1, 1000)]
    assert stack.run({}).status == "SUCCEEDED"
    assert sum(bells.measure()["ApiShapeChanged"]) >= 1
    assert "api-shape-changed" in bells.rung()
    assert is_told(stack, "api-shape-changed")


def test_the_dead_man_s_switch_rings_and_the_next_success_ends_it(
    bells: Bells, stack: Stack, cloud: GoProCloud
) -> None:
    """The emulator does not look at what is missing: the switch is set by hand, and really ended."""
    cloudwatch, name = stack.emulator.client("cloudwatch"), f"{stack.name}-no-successful-sync"
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="no datapoints for 36 hours")
    assert bells.rung() == ["no-successful-sync"]
    assert is_told(stack, "no-successful-sync")
    assert stack.run({}).output["status"] == "NO_NEW_VIDEOS"
    assert bells.measure()["SyncSucceeded"] == [1]
    (switch,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    assert switch["StateValue"] == "OK"


def test_a_large_library_rings_when_the_verification_reckons_what_it_costs(bells: Bells, stack: Stack) -> None:
    stack.emulator.client("dynamodb").put_item(
        TableName=stack.outputs["SyncTrackerTableName"],
        Item={
            "provider": {"S": "gopro"},
            "media_id": {"S": "large"},
            "status": {"S": "COMPLETED"},
            "run_id": {"S": "before"},
            "updated_at": {"S": "2026-01-01T00:00:00Z"},
            "length": {"N": str(40 * TIB)},
            "originals": {"N": "1"},
        },
    )
    stack.verify({"repair": False})
    (cost,) = bells.measure()["EstimatedMonthlyCost"]
    assert cost == pytest.approx(40 * 1024 * 0.00099 + 1, abs=2)
    assert "monthly-cost" in bells.rung()
    assert is_told(stack, "monthly-cost")


def test_what_the_schedule_gives_up_rings(bells: Bells, stack: Stack) -> None:
    sqs = stack.emulator.client("sqs")
    queue = stack.physical_ids()["ScheduleDeadLetters"]
    sqs.send_message(QueueUrl=queue, MessageBody='{"provider": "gopro"}')
    count = "ApproximateNumberOfMessages"
    waiting = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[count])["Attributes"][count]
    bells.put_what_it_looks_at("dead-letters", float(waiting))
    sqs.purge_queue(QueueUrl=queue)
    assert "dead-letters" in bells.rung()
    assert is_told(stack, "dead-letters")


# ------------------------------------------------------------------ by the metric that AWS sends
@pytest.mark.parametrize(
    ("name", "silent", "loud"),
    [
        ("sync-timed-out", [0], [1]),
        ("credentials-check-failed", [0], [1]),
        ("transfers-throttled", [4], [1]),
        ("listing-near-limit", [700_000], [900_000]),
    ],
)
def test_what_only_aws_measures_rings_from_its_threshold_on(
    bells: Bells, stack: Stack, name: str, silent: list[float], loud: list[float]
) -> None:
    """A run of two weeks, a throttled account and a slow function cannot be had in seconds; the emulator tells none."""
    bells.put_what_it_looks_at(name, *silent)
    assert name not in bells.rung()
    bells.put_what_it_looks_at(name, *loud)
    assert name in bells.rung()
    assert is_told(stack, name)


def test_a_chat_that_cannot_be_reached_rings_for_all_others(bells: Bells, stack: Stack) -> None:
    """The emulator takes the errors of all functions for one metric, so that no silence can be seen here."""
    bells.put_what_it_looks_at("webhook-failed", 1)
    assert "webhook-failed" in bells.rung()
    assert is_told(stack, "webhook-failed")


def test_every_alarm_is_deployed_with_its_topics(bells: Bells, stack: Stack) -> None:
    outputs, by_name = stack.outputs, alarms()
    deployed = stack.emulator.client("cloudwatch").describe_alarms(AlarmNamePrefix=f"{stack.name}-")["MetricAlarms"]
    topics = {one["AlarmName"].removeprefix(f"{stack.name}-"): one["AlarmActions"] for one in deployed}
    people, machines = outputs["AlertTopicArn"], outputs["AlarmTopicArn"]
    assert topics == {name: [machines] if name in TOLD_BY_THE_RUN else [people, machines] for name in by_name}
    assert machines.endswith(f":{stack.name}-alarms"), "the second template finds it by this name"


# ------------------------------------------------------------------------------ saved queries
#: What a query says beside the names of fields.
_GRAMMAR = {
    "fields",
    "filter",
    "sort",
    "limit",
    "stats",
    "by",
    "as",
    "and",
    "asc",
    "desc",
    "like",
    "sum",
    "count",
    "bin",
}


def asked(query: str) -> tuple[dict[str, str], set[str]]:
    """What a line must say to be found, by field, and all fields that a query names; those with @ every line has."""
    code = re.sub(r"#.*|/MEDIA_ID/", "", query)
    wanted = dict(re.findall(r'([\w.]+) = "([^"]*)"', code))
    names = set(re.findall(r"(?<![\w@.])[a-z][\w.]*", re.sub(r'"[^"]*"', "", code)))
    return wanted, names - _GRAMMAR - set(re.findall(r" as (\w+)", code))


def said(line: Any, field: str) -> Any:
    """A field of a log line by the name that Logs Insights gives it, None if it is not there."""
    for name in field.split("."):
        line = line.get(name) if isinstance(line, dict) else None
    return line


def test_the_fields_of_the_saved_queries_are_those_that_a_run_logs(stack: Stack, cloud: GoProCloud) -> None:
    """The emulator knows neither `stats` nor filters by a field, so the queries themselves run on AWS alone."""
    cloud.media = many_small(1, 1000)
    stack.run({})
    mark_failed(stack, "small000001")
    lines = [json.loads(line) for line in stack.logs().splitlines() if line.startswith('{"level"')]
    queries = {
        name: one["Properties"]["QueryString"]
        for name, one in insights().items()
        if one["Type"] == "AWS::Logs::QueryDefinition"
    }
    named = {name: asked(query) for name, query in queries.items()}
    assert named["FailedDownloads"][1] == {"media_id", "error_type", "reason", "correlation_id", "message"}
    assert named["AverageThroughput"][1] == {"message", "transfer.outcome", "transfer.moved", "transfer.seconds"}
    for name, (wanted, fields) in named.items():
        found = [line for line in lines if all(said(line, field) == text for field, text in wanted.items())]
        assert [line for line in found if all(said(line, field) is not None for field in fields)], name
