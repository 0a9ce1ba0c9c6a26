"""Stories of the deployed workflow: real template, real roles' names, real functions, on the emulator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.browsers import CHROMIUM
from tests.chromium import browser
from tests.cloud_sync import wanted
from tests.gopro_cloud import GoProCloud, from_folder, many_small, sample_library
from tests.gopro_cloud.quirks import Fault
from tests.pages import text_of
from tests.stack import Stack

REAL_RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "data"


def test_a_library_is_archived_byte_for_byte_and_a_second_run_moves_nothing(
    stack: Stack, cloud: GoProCloud, tmp_path: Path
) -> None:
    cloud.media = sample_library(scale=0.1)
    first = stack.run({})
    assert first.status == "SUCCEEDED", first.cause
    assert first.output["status"] == "SUCCEEDED"
    assert stack.archived() == wanted(cloud.media)
    assert first.output["completed"] == len(wanted(cloud.media))
    assert first.output["bytes_transferred"] == sum(
        length for files in stack.archived().values() for length, _ in files
    )
    (message,) = stack.messages(0)
    assert "the first backup is done" in message["Subject"]
    assert_shown(stack, first.output["page"], first.output["completed"], tmp_path)

    served = cloud.counts.bytes_served.total()
    second = stack.run({})
    assert (second.output["status"], second.output["bytes_transferred"]) == ("NO_NEW_VIDEOS", 0)
    assert cloud.counts.bytes_served.total() == served


def assert_shown(stack: Stack, page: str, media: int, folder: Path) -> None:
    """The pages in the bucket, brought onto a disk as the README says, are sound and show what came."""
    keys = [key for key in stack.keys("") if key.endswith((".html", ".jpg")) and not key.startswith("gopro-videos/")]
    for key in keys:
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(stack.read(key)))
    pages = [folder / key for key in keys if key.endswith(".html")]
    texts = {one: text_of(one.read_bytes()) for one in pages}
    assert f"{media}media archived" in texts[folder / page]
    assert "Estimated cost a month$" in texts[folder / page]
    if CHROMIUM:
        with browser() as chromium:
            seen = [chromium.look(one, 360) for one in pages]
            assert (chromium.troubles, [one["broken"] for one in seen]) == ([], [[]] * len(pages))
            assert sum(one["images"] for one in seen) > 10


def test_nothing_secret_is_written_down_anywhere(stack: Stack, cloud: GoProCloud) -> None:
    cloud.media = sample_library(scale=0.05)
    cloud.quirks.faults["62NzWRrpPXm7o"] = Fault("empty", times=-1)
    credentials = cloud.renewing()
    stack.put_secret(credentials)
    run = stack.run({})
    written = stack.everything_written_down(run.arn) + json.dumps(stack.messages(0)) + json.dumps(run.output)
    for secret in (
        *credentials.values(),
        *cloud.tokens,
        *cloud.refresh_tokens,
        "Signature=",
        "personal-thumbnail-token",
    ):
        if secret != credentials["client_id"]:
            assert secret not in written
    assert run.output["status"] == "PARTIAL_FAILURE"


@pytest.mark.skipif(not REAL_RECORDINGS.is_dir(), reason="the real recordings are not beside this checkout")
def test_real_recordings_arrive_byte_for_byte(stack: Stack, cloud: GoProCloud) -> None:
    cloud.media = from_folder(REAL_RECORDINGS)
    assert stack.run({}).output["completed"] == 2
    assert stack.archived() == wanted(cloud.media)
    assert stack.run({}).output["status"] == "NO_NEW_VIDEOS"


def test_an_object_tells_what_it_is(stack: Stack, cloud: GoProCloud) -> None:
    cloud.media = sample_library(scale=0.05)
    stack.run({"media_ids": ["chapters-told3"]})
    s3, bucket = stack.emulator.client("s3"), stack.outputs["ArchiveBucketName"]
    key = "gopro-videos/2026/03/chapters-told3/GX020411.MP4"
    head = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    assert head["Metadata"]["media-id"] == "chapters-told3"
    assert head["Metadata"]["item-number"] == "2"
    assert head["Metadata"]["captured-at"] == "2026-03-20T10:00:00Z"
    assert head["Metadata"]["sha256"] == stack.sha256(key)
    assert head["ChecksumSHA256"]
    tags = {tag["Key"]: tag["Value"] for tag in s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]}
    assert tags == {"Source": "GoPro", "AutoSync": "True"}


def test_rejected_credentials_fail_the_run_with_one_message_that_names_cause_and_remedy(
    stack: Stack, cloud: GoProCloud
) -> None:
    cloud.media = many_small(3, 1000)
    dead = cloud.pasted()
    cloud.tokens.clear()
    stack.put_secret(dead)
    run = stack.run({})
    assert (run.status, run.error) == ("FAILED", "CredentialsRejected")
    (message,) = stack.messages()
    assert "credentials are rejected" in message["Subject"]
    for expected in (
        "refused",
        "What to do: ",
        f"`cloud-sync auth set` (for a deployed stack add `--stack {stack.name}`)",
        run.arn,
    ):
        assert expected in message["Message"]
    assert cloud.counts.api_calls <= 3
    assert dead["gp_access_token"] not in stack.everything_written_down(run.arn) + json.dumps(message)
    assert stack.statuses() == {}


def test_a_new_secret_is_rejected_with_a_clear_message(stack: Stack, cloud: GoProCloud) -> None:
    stack.put_secret({"gp_access_token": "REPLACE_ME", "gp_user_id": "REPLACE_ME"})
    run = stack.run({})
    assert run.status == "FAILED"
    assert "placeholder" in run.cause
    assert cloud.counts.api_calls == 0


def test_a_pasted_token_that_dies_in_the_map_leaves_the_rest_pending_for_the_next_run(
    stack: Stack, cloud: GoProCloud
) -> None:
    cloud.media = many_small(60, 3000)
    cloud.quirks.token_lifetime_requests = 20
    first = stack.run({})
    assert (first.status, first.error) == ("FAILED", "CredentialsRejected")
    statuses = list(stack.statuses().values())
    assert "FAILED" not in statuses
    assert statuses.count("COMPLETED") > 0
    assert statuses.count("PENDING") == 60 - statuses.count("COMPLETED")
    (message,) = stack.messages()
    assert "Nothing was lost" in message["Message"]
    # Who does not know yet that the token has died may ask; nobody asks twice.
    assert cloud.counts.requests["download"] <= 60

    cloud.quirks.token_lifetime_requests = None
    stack.put_secret(cloud.pasted())
    second = stack.run({})
    assert second.output["status"] == "SUCCEEDED"
    assert stack.archived() == wanted(cloud.media)
    assert cloud.counts.bytes_served.total() == 60 * 3000


def test_a_renewing_sign_in_outlives_its_tokens_in_one_run(stack: Stack, cloud: GoProCloud) -> None:
    cloud.media = many_small(60, 2000)
    cloud.quirks.token_lifetime_requests = 20
    stack.put_secret(cloud.renewing())
    run = stack.run({})
    assert run.output.get("status") == "SUCCEEDED", run.cause
    assert stack.archived() == wanted(cloud.media)
    assert cloud.counts.refreshes >= 60 // 20
    assert cloud.counts.refreshing_peak == 1


def test_one_medium_that_always_fails_is_a_partial_failure_and_comes_with_the_next_run(
    stack: Stack, cloud: GoProCloud
) -> None:
    cloud.media = many_small(8, 2000)
    cloud.quirks.faults["small000003"] = Fault("empty", times=-1)
    run = stack.run({})
    assert (run.status, run.output["status"]) == ("SUCCEEDED", "PARTIAL_FAILURE")
    assert (run.output["completed"], run.output["failed"]) == (7, 1)
    assert [one["media_id"] for one in run.output["failures"]] == ["small000003"]
    assert "empty" in run.output["failures"][0]["error"]
    assert "NotifyPartialFailure" in stack.states_entered(run.arn)
    (message,) = stack.messages()
    assert "small000003" in message["Message"]
    assert stack.statuses()["small000003"] == "FAILED"

    cloud.quirks.faults.clear()
    again = stack.run({})
    assert (again.output["status"], again.output["completed"]) == ("SUCCEEDED", 1)
    assert stack.archived() == wanted(cloud.media)


def test_more_failures_than_are_tolerated_fail_the_run(stack: Stack, cloud: GoProCloud) -> None:
    function = "cloud-sync-test-summarize"
    client = stack.emulator.client("lambda")
    variables = client.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    cloud.media = many_small(4, 1000)
    cloud.quirks.faults["small000001"] = Fault("empty", times=-1)
    strict = {**variables, "FAILURE_TOLERANCE_PERCENT": "20"}
    client.update_function_configuration(FunctionName=function, Environment={"Variables": strict})
    try:
        run = stack.run({})
    finally:
        client.update_function_configuration(FunctionName=function, Environment={"Variables": variables})
    assert (run.status, run.error) == ("FAILED", "FailureToleranceExceeded")
    assert "1 of 4" in run.cause


def test_a_medium_that_has_gone_is_no_failure_but_is_named(stack: Stack, cloud: GoProCloud) -> None:
    cloud.media = many_small(2, 1000)
    cloud.quirks.faults["small000001"] = Fault("gone", times=-1)
    run = stack.run({})
    assert (run.output["status"], run.output["completed"], run.output["failed"]) == ("SUCCEEDED", 1, 0)
    assert stack.statuses()["small000001"] == "SOURCE_GONE"
    assert [one["media_id"] for one in run.output["gone"]] == ["small000001"]
    assert any("1 medium is listed, but can no longer be had" in one["Subject"] for one in stack.messages())


def test_a_transfer_that_vanished_counts_as_failed(stack: Stack, cloud: GoProCloud) -> None:
    """Both functions of the map are out of order: nobody records anything, and the summary still tells."""
    cloud.media = many_small(2, 1000)
    client = stack.emulator.client("lambda")
    before = {}
    for name in ("transfer", "mark-failed"):
        function = f"cloud-sync-test-{name}"
        before[function] = client.get_function_configuration(FunctionName=function)["Handler"]
        client.update_function_configuration(FunctionName=function, Handler="handlers.no_such_module.handler")
    try:
        run = stack.run({})
    finally:
        for function, handler in before.items():
            client.update_function_configuration(FunctionName=function, Handler=handler)
    assert (run.output["status"], run.output["failed"], run.output["completed"]) == ("PARTIAL_FAILURE", 2, 0)
    assert "without a word" in run.output["failures"][0]["error"]
    assert set(stack.statuses().values()) == {"FAILED"}


def test_a_listing_that_keeps_failing_is_told_even_though_no_function_can_tell_it(
    stack: Stack, cloud: GoProCloud
) -> None:
    client = stack.emulator.client("lambda")
    function = "cloud-sync-test-plan"
    handler = client.get_function_configuration(FunctionName=function)["Handler"]
    client.update_function_configuration(FunctionName=function, Handler="handlers.no_such_module.handler")
    try:
        run = stack.run({})
    finally:
        client.update_function_configuration(FunctionName=function, Handler=handler)
    assert run.status == "FAILED"
    (message,) = stack.messages()
    assert message["Subject"] == "Cloud Sync: the run failed"
    for expected in ("What happened", "What to do", run.arn):
        assert expected in message["Message"]


def test_an_incomplete_listing_is_told_and_what_was_listed_arrives(stack: Stack, cloud: GoProCloud) -> None:
    cloud.media = many_small(4, 1000)
    cloud.quirks.total_items_lie = 2
    run = stack.run({})
    assert (run.output["status"], run.output["completed"], run.output["unseen"]) == ("PARTIAL_FAILURE", 4, 2)
    (message,) = stack.messages()
    assert "2 media of the library were not listed" in message["Subject"]
    second = stack.run({})
    assert second.output["status"] == "PARTIAL_FAILURE"


def test_a_malformed_input_is_refused_in_words(stack: Stack, cloud: GoProCloud) -> None:
    run = stack.run({"max_items": "many"})
    assert (run.status, run.error) == ("FAILED", "InvalidInput")
    assert "max_items" in run.cause
    assert cloud.counts.api_calls == 0


def test_an_unknown_provider_is_refused_with_the_names_of_those_that_are_known(stack: Stack) -> None:
    run = stack.run({"provider": "dropbox"})
    assert run.status == "FAILED"
    assert "gopro" in run.cause


def test_a_dry_run_says_what_is_new_and_moves_nothing(stack: Stack, cloud: GoProCloud) -> None:
    cloud.media = many_small(5, 1000)
    run = stack.run({"dry_run": True})
    assert (run.output["new"], run.output["completed"], run.output["bytes_transferred"]) == (5, 0, 0)
    assert run.output["status"] == "SUCCEEDED", "NO_NEW_VIDEOS would say that there is nothing to come"
    assert stack.keys() == []
    assert stack.statuses() == {}


def test_a_run_can_be_bounded(stack: Stack, cloud: GoProCloud) -> None:
    cloud.media = many_small(5, 1000)
    assert stack.run({"max_items": 2}).output["completed"] == 2
    assert stack.run({"media_ids": ["small000004"]}).output["new"] <= 1
    assert stack.run({}).output["status"] == "SUCCEEDED"
    assert stack.archived() == wanted(cloud.media)


def test_metrics_have_the_contract_s_names_and_dimensions(stack: Stack, cloud: GoProCloud) -> None:
    cloud.media = many_small(2, 1000)
    cloud.quirks.faults["small000001"] = Fault("empty", times=-1)
    stack.run({})
    emitted = [json.loads(line) for line in stack.logs().splitlines() if line.startswith('{"_aws"')]
    directives = [one["_aws"]["CloudWatchMetrics"][0] for one in emitted]
    names = {metric["Name"] for directive in directives for metric in directive["Metrics"]}
    assert {"VideosSynced", "BytesTransferred", "TransferDuration", "TransferThroughput", "SyncFailures"} <= names
    assert {directive["Namespace"] for directive in directives} == {"CloudSync"}
    dimensions = {tuple(sorted(group)) for directive in directives for group in directive["Dimensions"]}
    assert dimensions == {("Environment", "Provider"), ("Environment", "ErrorType", "Provider")}
