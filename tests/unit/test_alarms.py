"""Alarms, dashboard and saved queries, held to what the code sends, what AWS documents, and the runbooks."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import pytest
from cfnlint.decode.cfn_yaml import load  # type: ignore[import-untyped]

from handlers import _context as context
from tests.unit.test_template import ROOT, function, of_type, properties, resource, template

RUNBOOKS = ROOT / "docs" / "runbooks"

#: What a run tells people itself: these ring for machines alone.
TOLD_BY_THE_RUN = {"sync-failed", "media-failed", "authentication-failure"}

#: Metrics of AWS's own that are used here, by their dimensions; each page is in the service's developer guide.
DOCUMENTED = {
    # Step Functions, Monitoring with CloudWatch: execution metrics
    ("AWS/States", "StateMachineArn"): {"ExecutionsFailed", "ExecutionsTimedOut", "ExecutionTime"},
    # Lambda, Types of metrics for functions
    ("AWS/Lambda", "FunctionName"): {"Errors", "Throttles", "Duration"},
    # SQS, Available CloudWatch metrics
    ("AWS/SQS", "QueueName"): {"ApproximateNumberOfMessagesVisible"},
    # S3, Metrics and dimensions: daily storage metrics for buckets
    ("AWS/S3", "BucketName", "StorageType"): {"BucketSizeBytes"},
}

#: S3, Metrics and dimensions: values of StorageType.
STORAGE_TYPES = {"StandardStorage", "DeepArchiveStorage", "DeepArchiveObjectOverhead", "DeepArchiveS3ObjectOverhead"}

OURS = {"Provider": "gopro", "Environment": {"Ref": "Environment"}}


def alarms() -> dict[str, dict[str, Any]]:
    """The alarms of the template by what is theirs in their names."""
    return {own_name(one["AlarmName"]): one for one in of_type("AWS::CloudWatch::Alarm").values()}


def own_name(name: dict[str, str]) -> str:
    return name["Fn::Sub"].removeprefix("${AWS::StackName}-").removeprefix("${Stack}-")


@cache
def insights() -> Any:
    return json.loads(json.dumps(load(str(ROOT / "template-insights.yaml"))))["Resources"]


def composites() -> dict[str, dict[str, Any]]:
    found = [one["Properties"] for one in insights().values() if one["Type"] == "AWS::CloudWatch::CompositeAlarm"]
    return {own_name(one["AlarmName"]): one for one in found}


def is_known(namespace: str, metric: str, dimensions: tuple[str, ...]) -> bool:
    """Whether the code sends it or AWS documents it."""
    if namespace == context.NAMESPACE:
        return metric in context.METRICS and dimensions == tuple(OURS)
    return metric in DOCUMENTED.get((namespace, *dimensions), set())


# -------------------------------------------------------------------------------- alarms
@pytest.mark.parametrize("name", alarms())
def test_an_alarm_looks_at_a_metric_that_somebody_sends(name: str) -> None:
    alarm = alarms()[name]
    dimensions = {one["Name"]: one["Value"] for one in alarm["Dimensions"]}
    assert is_known(alarm["Namespace"], alarm["MetricName"], tuple(dimensions))
    if alarm["Namespace"] == context.NAMESPACE:
        assert dimensions == OURS
    else:
        (named,) = [value.get("Ref") or value["Fn::GetAtt"][0] for value in dimensions.values()]
        assert named in template()["Resources"]


@pytest.mark.parametrize("name", alarms())
def test_an_alarm_rings_for_machines_and_for_people_too_where_nobody_else_tells_them(name: str) -> None:
    alarm = alarms()[name]
    people = [] if name in TOLD_BY_THE_RUN else [{"Ref": "AlertTopic"}]
    assert alarm["AlarmActions"] == [*people, {"Ref": "AlarmTopic"}]
    assert "OKActions" not in alarm
    assert alarm.get("ActionsEnabled", True) is True


def test_each_alarm_has_its_runbook_and_each_runbook_its_alarm() -> None:
    named = {name: re.findall(r"docs/runbooks/(\S+)\.md", one["AlarmDescription"]) for name, one in ringing().items()}
    assert named == {name: [name] for name in ringing()}
    assert {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"} == set(named)
    assert {*re.findall(r"^\| \[([a-z-]+)\]\(\1\.md\)", (RUNBOOKS / "README.md").read_text(), re.MULTILINE)} == set(
        named
    )


def ringing() -> dict[str, dict[str, Any]]:
    return alarms() | composites()


@pytest.mark.parametrize("name", ringing())
def test_a_runbook_says_what_it_is_where_to_look_what_to_do_and_when_it_is_done(name: str) -> None:
    text = (RUNBOOKS / f"{name}.md").read_text()
    sections = re.split(r"^## ", text, flags=re.MULTILINE)
    assert [one.splitlines()[0] for one in sections[1:]] == [
        "Symptom",
        "Meaning",
        "Look here",
        "Do this",
        "Done when",
    ]
    assert f"`STACK-{name}`" in sections[0]
    assert "```bash\n" in sections[3], "it shows no command to look with"
    assert f'"$STACK-{name}"' in sections[5]
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (RUNBOOKS / link).exists(), link


def test_the_dead_man_s_switch_rings_after_36_hours_of_silence() -> None:
    switch = alarms()["no-successful-sync"]
    assert (switch["Namespace"], switch["MetricName"], switch["Statistic"]) == ("CloudSync", "SyncSucceeded", "Sum")
    assert switch["Period"] * switch["EvaluationPeriods"] == 36 * 3600
    assert (switch["ComparisonOperator"], switch["Threshold"]) == ("LessThanThreshold", 1)
    assert switch["TreatMissingData"] == "breaching"


def test_more_than_three_failures_in_five_minutes_ring() -> None:
    alarm = alarms()["media-failed"]
    assert (alarm["MetricName"], alarm["Statistic"], alarm["Period"]) == ("SyncFailures", "Sum", 300)
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 3)


def test_a_listing_is_near_its_limit_at_four_fifths_of_it() -> None:
    alarm = alarms()["listing-near-limit"]
    assert alarm["Threshold"] == function("PlanFunction")["Timeout"] * 1000 * 4 / 5


def test_what_it_may_cost_is_the_owner_s_to_say() -> None:
    assert alarms()["monthly-cost"]["Threshold"] == {"Ref": "MonthlyCostLimit"}
    assert template()["Parameters"]["MonthlyCostLimit"]["Default"] == 25
    assert alarms()["monthly-cost"]["TreatMissingData"] == "ignore", "it is sent once a week"


def test_silence_is_no_failure_of_anything_but_the_dead_man_s_switch_and_of_what_is_seldom_sent() -> None:
    silent = {name: one["TreatMissingData"] for name, one in alarms().items()}
    assert {name for name, missing in silent.items() if missing != "notBreaching"} == {
        "no-successful-sync",
        "monthly-cost",
    }


def test_the_topic_for_machines_is_guarded_as_the_one_for_people() -> None:
    people = json.dumps([properties("AlertTopicPolicy"), properties("AlertTopic")["KmsMasterKeyId"]])
    machines = json.dumps([properties("AlarmTopicPolicy"), properties("AlarmTopic")["KmsMasterKeyId"]])
    assert machines == people.replace("AlertTopic", "AlarmTopic")
    assert "machines" in template()["Outputs"]["AlarmTopicArn"]["Description"]


# ----------------------------------------------------------------------------- dashboard
def dashboard() -> Any:
    return json.loads(properties("Dashboard")["DashboardBody"]["Fn::Sub"])


def widgets() -> dict[str, Any]:
    return {one["properties"]["title"]: one for one in dashboard()["widgets"]}


def shown(widget: Any) -> list[tuple[str, ...]]:
    """The metrics of a widget, with what a "." repeats, without options and expressions."""
    found: list[tuple[str, ...]] = []
    for metric in widget["properties"]["metrics"]:
        words = [one for one in metric if isinstance(one, str)]
        if words:
            found.append(tuple(found[-1][place] if word == "." else word for place, word in enumerate(words)))
    return found


@pytest.mark.parametrize("title", sorted(set(widgets()) - {"Alarms"}))
def test_a_widget_shows_metrics_that_somebody_sends(title: str) -> None:
    widget = widgets()[title]
    for namespace, metric, *dimensions in shown(widget):
        assert is_known(namespace, metric, tuple(dimensions[::2])), metric
        values = dict(zip(dimensions[::2], dimensions[1::2], strict=True))
        assert values.get("Provider", "gopro") == "gopro"
        assert values.get("Environment", "${Environment}") == "${Environment}"
        assert values.get("StorageType", "StandardStorage") in STORAGE_TYPES
        for named in re.findall(r"\$\{(\w+)\}", json.dumps(values)):
            assert named in template()["Resources"] | template()["Parameters"]
    ids = {
        one["id"]
        for metric in widget["properties"]["metrics"]
        for one in metric
        if isinstance(one, dict) and "id" in one
    }
    for metric in widget["properties"]["metrics"]:
        if isinstance(metric[0], dict) and "SEARCH" not in metric[0]["expression"]:
            used = set(re.findall(r"\b[a-z]\w*\b", metric[0]["expression"]))
            assert used <= ids


def test_failures_are_searched_for_by_the_dimensions_that_they_are_sent_with() -> None:
    ((search,),) = widgets()["Failures by type"]["properties"]["metrics"]
    assert "{CloudSync,Environment,ErrorType,Provider}" in search["expression"]
    assert 'MetricName="SyncFailures"' in search["expression"]


def test_the_dashboard_shows_all_that_an_owner_asks() -> None:
    seen = {metric for widget in widgets().values() if widget["type"] == "metric" for _, metric, *_ in shown(widget)}
    assert context.METRICS - seen == {"SyncFailures"}, "failures are found by their type"
    assert seen - context.METRICS == {"ExecutionTime", "BucketSizeBytes"}
    assert {"Days since the last success", "Backlog: media for the next run"} <= set(widgets())


def test_the_dashboard_shows_the_state_of_every_alarm_that_every_stack_has() -> None:
    told = widgets()["Alarms"]["properties"]["alarms"]
    everywhere = {name for name in of_type("AWS::CloudWatch::Alarm") if "Condition" not in resource(name)}
    assert set(told) == {f"${{{name}.Arn}}" for name in everywhere}
    assert set(of_type("AWS::CloudWatch::Alarm")) - everywhere == {"WebhookFailedAlarm"}


def test_the_dashboard_looks_back_far_enough_to_find_the_last_success() -> None:
    """CloudWatch shows three hours unless told otherwise, and takes a period of its own choice."""
    assert (dashboard()["start"], dashboard()["periodOverride"]) == ("-P30D", "inherit")


def test_no_widget_lies_upon_another() -> None:
    taken: set[tuple[int, int]] = set()
    for widget in widgets().values():
        cells = {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


# --------------------------------------------------------------------- the second template
def test_the_pager_hears_the_composite_alarm_in_the_place_of_those_that_one_cause_rings() -> None:
    (composite,) = composites().values()
    children = set(re.findall(r'ALARM\("\$\{Stack\}-([a-z-]+)"\)', composite["AlarmRule"]["Fn::Sub"]))
    assert children == {*TOLD_BY_THE_RUN, "api-shape-changed"} <= set(alarms())
    (rule,) = insights()["PagerSubscription"]["Properties"]["FilterPolicy"]["AlarmName"]
    assert {own_name(name) for name in rule["anything-but"]} == children


def test_the_pager_and_its_alarm_are_made_where_there_is_a_pager_alone() -> None:
    paid = {name for name, one in insights().items() if one["Type"] != "AWS::Logs::QueryDefinition"}
    assert paid == {name for name, one in insights().items() if one.get("Condition") == "HasPager"}


def test_every_name_in_the_second_template_is_one_of_the_first() -> None:
    topic = {properties("AlarmTopic")["TopicName"]["Fn::Sub"]}
    groups = {one["LogGroupName"]["Fn::Sub"] for one in of_type("AWS::Logs::LogGroup").values()}
    names = {one["AlarmName"]["Fn::Sub"] for one in of_type("AWS::CloudWatch::Alarm").values()} | topic | groups
    text = json.dumps(insights())
    used = re.findall(r"(?:/aws/lambda/)?\$\{Stack\}-[a-z-]+", text)
    assert len(used) >= 15
    made_here = {f"${{Stack}}-{name}" for name in composites()}
    assert {one.replace("Stack}", "AWS::StackName}") for one in set(used) - made_here} <= names
