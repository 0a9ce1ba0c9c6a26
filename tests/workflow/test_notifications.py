"""What people and programs are told of a deployed stack, read where it arrives: in a queue and in a chat."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from core.notify.milestones import Ledger
from tests.chat import SECRET, Chat
from tests.gopro_cloud import GoProCloud, many_small
from tests.gopro_cloud.quirks import Fault
from tests.stack import Stack

#: Alarms of the tests before may still be on their way.
OURS = "Cloud Sync: "
FIRST = "Cloud Sync: the first backup is done, 3 media archived"


def told(stack: Stack) -> list[dict[str, Any]]:
    """What arrived for programs; each with the subject that arrived beside it."""
    found = []
    for message in (one for one in stack.messages() if one["Subject"].startswith(OURS)):
        document = json.loads(message["Message"])
        assert document["subject"] == message["Subject"]
        assert set(document) == {"kind", "subject", "message", "details"}
        found.append(document)
    return found


def ledger_of(stack: Stack) -> dict[str, Any]:
    """The ledger's item in the stack's table."""
    key = {"provider": {"S": "checkpoint"}, "media_id": {"S": "ledger/gopro"}}
    table = stack.outputs["SyncTrackerTableName"]
    item: dict[str, Any] = stack.emulator.client("dynamodb").get_item(TableName=table, Key=key)["Item"]
    return item


def turn_the_month(stack: Stack) -> str:
    """Let the runs so far have ended in the month before; its name."""
    item = ledger_of(stack)
    ledger = Ledger.from_text(item["text"]["S"])
    before = (datetime.now(UTC).replace(day=1) - timedelta(days=1)).strftime("%Y-%m")
    (month,) = ledger.months.values()
    item["text"]["S"] = replace(ledger, months={before: month}).to_text()
    stack.emulator.client("dynamodb").put_item(TableName=stack.outputs["SyncTrackerTableName"], Item=item)
    return before


@contextmanager
def an_unreachable_topic(stack: Stack, *modules: str) -> Iterator[None]:
    """Functions whose topic is not there."""
    client = stack.emulator.client("lambda")
    names = [f"{stack.name}-{module}" for module in modules]
    before = {name: client.get_function_configuration(FunctionName=name)["Environment"]["Variables"] for name in names}
    for name, variables in before.items():
        nowhere = {**variables, "ALERT_TOPIC_ARN": f"{variables['ALERT_TOPIC_ARN']}-gone"}
        client.update_function_configuration(FunctionName=name, Environment={"Variables": nowhere})
    try:
        yield
    finally:
        for name, variables in before.items():
            client.update_function_configuration(FunctionName=name, Environment={"Variables": variables})


def test_the_first_success_and_then_each_month_is_told_once_also_when_nothing_came(
    stack: Stack, cloud: GoProCloud, chat: Chat
) -> None:
    chat.texts(0)
    cloud.media = many_small(3, 1000)
    first = stack.run({})
    (success,) = told(stack)
    assert (success["kind"], success["subject"]) == ("first_success", FIRST)
    assert f"s3://{stack.outputs['ArchiveBucketName']}/gopro-videos/" in success["message"]
    assert (success["details"]["media"], success["details"]["bytes"]) == (3, 3000)
    assert success["details"]["run"]["run_id"] == first.output["run_id"]
    assert chat.texts(beginning=FIRST) == [f"{FIRST}\n{success['message']}"]

    assert stack.run({}).output["status"] == "NO_NEW_VIDEOS"
    assert told(stack) == []
    assert "expires_at" not in ledger_of(stack)

    before = turn_the_month(stack)
    at_once = [stack.wait(arn) for arn in [stack.start({}), stack.start({}), stack.start({})]]
    assert {run.output["status"] for run in at_once} == {"NO_NEW_VIDEOS"}
    assert all(stack.states_entered(run.arn)[-1] == "NoNewVideos" for run in at_once)
    (month,) = told(stack)
    assert (month["kind"], month["details"]["month"]) == ("monthly_summary", before)
    assert month["subject"].endswith(", 3 media archived")
    assert (month["details"]["runs"], month["details"]["nothing_new"], month["details"]["bytes"]) == (2, 1, 3000)
    assert chat.texts(beginning=month["subject"]) == [f"{month['subject']}\n{month['message']}"]

    turn_the_month(stack)
    stack.run({})
    (silent,) = told(stack)
    assert silent["subject"].endswith(", nothing new")
    assert (silent["details"]["runs"], silent["details"]["media"]) == (3, 0)


def test_what_could_not_be_sent_fails_no_run_and_is_sent_by_the_next(stack: Stack, cloud: GoProCloud) -> None:
    cloud.media = many_small(3, 1000)
    with an_unreachable_topic(stack, "summarize", "plan"):
        assert stack.run({}).output["status"] == "SUCCEEDED"
        turn_the_month(stack)
        assert stack.run({}).output["status"] == "NO_NEW_VIDEOS"
    assert told(stack) == []
    assert "the next run sends it" in stack.logs()
    assert stack.run({}).output["status"] == "NO_NEW_VIDEOS"
    assert [one["kind"] for one in told(stack)] == ["first_success", "monthly_summary"]
    assert Ledger.from_text(ledger_of(stack)["text"]["S"]).months.keys() == {datetime.now(UTC).strftime("%Y-%m")}


def test_a_failure_arrives_as_text_and_as_json_and_a_chat_that_refuses_is_an_error_of_the_function(
    stack: Stack, cloud: GoProCloud, chat: Chat
) -> None:
    chat.texts(0)
    cloud.media = many_small(4, 1000)
    cloud.quirks.faults["small000003"] = Fault("empty", times=-1)
    chat.statuses = [503]
    run = stack.run({})
    (partial,) = told(stack)
    assert (partial["kind"], partial["details"]["summary"]["failed"]) == ("partial_failure", 1)
    assert [one["media_id"] for one in partial["details"]["summary"]["failures"]] == ["small000003"]
    assert partial["details"]["run"]["link"].endswith(run.arn)
    assert chat.texts(beginning=partial["subject"]) == [f"{partial['subject']}\n{partial['message']}"]

    function, client = f"{stack.name}-webhook", stack.emulator.client("lambda")
    chat.statuses = [404]
    record = {"Sns": {"Subject": partial["subject"], "Message": json.dumps(partial)}}
    answer = client.invoke(FunctionName=function, Payload=json.dumps({"Records": [record]}))
    assert "FunctionError" in answer
    assert "refuses the message (404)" in answer["Payload"].read().decode()
    assert chat.texts(0, partial["subject"]) == []

    cloud.tokens.clear()
    stack.run({})
    (critical,) = told(stack)
    assert critical["kind"] == "critical_failure"
    assert critical["details"]["error"] == "CredentialsRejected"
    assert "cloud-sync auth set" in critical["details"]["cause"] + critical["details"]["remedy"]
    (posted,) = chat.texts(beginning=critical["subject"])
    assert "cloud-sync auth set" in posted
    assert SECRET not in stack.everything_written_down(run.arn)
