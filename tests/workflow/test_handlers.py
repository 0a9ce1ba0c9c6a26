"""Each handler called in process as Lambda calls it: its deployed variables, its sample event, the emulated AWS."""

from __future__ import annotations

import importlib
import io
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from logging import StreamHandler
from pathlib import Path
from typing import Any, ClassVar

import boto3
import pytest

from core import cost
from core.cost import ASSUMED
from core.errors import IntegrityError
from core.model import Medium
from tests.gopro_cloud import GoProCloud, many_small
from tests.gopro_cloud.library import video
from tests.gopro_cloud.quirks import Fault
from tests.pages import text_of
from tests.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
MEDIA_ID = "62NzWRrpPXm7o"
LENGTH = 70_000
KEY = f"gopro-videos/2026/01/{MEDIA_ID}/GX010327.MP4"
MODULES = ("authenticate", "plan", "transfer", "mark_failed", "summarize")
REJECTABLE = ("authenticate", "plan", "transfer")


def event(module: str) -> Any:
    return json.loads((ROOT / "events" / f"{module}.json").read_text())


@dataclass(frozen=True)
class LambdaContext:
    """What Lambda tells a function of its invocation, as far as it is asked."""

    function_name: str
    memory_limit_in_mb: int
    invoked_function_arn: str
    aws_request_id: str = "11111111-2222-3333-4444-555555555555"
    milliseconds: ClassVar[int] = 600_000

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


@dataclass
class Functions:
    """The functions of a deployed stack, called in this process."""

    stack: Stack
    log_stream: io.StringIO
    standard_output: pytest.CaptureFixture[str]

    def configuration(self, module: str) -> dict[str, Any]:
        name = f"{self.stack.name}-{module.replace('_', '-')}"
        found: dict[str, Any] = self.stack.emulator.client("lambda").get_function_configuration(FunctionName=name)
        return found

    def call(
        self, module: str, told: Any = None, *, warm: bool = False, changed: Mapping[str, str] | None = None
    ) -> Any:
        """Call a handler with its sample event or another; `changed` are variables that differ from the template's."""
        configuration = self.configuration(module)
        with pytest.MonkeyPatch.context() as environment:
            for name, value in {**configuration["Environment"]["Variables"], **(changed or {})}.items():
                environment.setenv(name, value)
            module_name, _, attribute = configuration["Handler"].rpartition(".")
            handler = getattr(importlib.import_module(module_name), attribute)
            if not warm:
                forget_clients()
            context = LambdaContext(
                configuration["FunctionName"], configuration["MemorySize"], configuration["FunctionArn"]
            )
            # Lambda hands over events and takes answers as JSON.
            given = json.loads(json.dumps(told or event(module)))
            return json.loads(json.dumps(handler(given, context)))

    def printed(self) -> str:
        """What the functions have logged and measured since the last look."""
        logged = self.log_stream.getvalue()
        self.log_stream.seek(0)
        self.log_stream.truncate()
        return logged + self.standard_output.readouterr().out

    def lines(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Log lines and metrics since the last look; whatever is printed must be one of both."""
        told = [json.loads(line) for line in self.printed().splitlines() if line.strip()]
        return [one for one in told if "_aws" not in one], [one for one in told if "_aws" in one]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def forget_clients() -> None:
    """Make the process as cold as a new function."""
    context = importlib.import_module("handlers._context")
    for made_once in vars(context).values():
        if hasattr(made_once, "cache_clear"):
            made_once.cache_clear()


@pytest.fixture
def functions(stack: Stack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Functions]:
    monkeypatch.setenv("POWERTOOLS_TRACE_DISABLED", "true")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    context = importlib.import_module("handlers._context")
    found = Functions(stack, io.StringIO(), capsys)
    handler = context.logger.registered_handler
    assert isinstance(handler, StreamHandler)
    handler.stream = found.log_stream
    yield found
    handler.stream = sys.__stdout__
    forget_clients()


@pytest.fixture
def library(cloud: GoProCloud) -> GoProCloud:
    """A cloud that holds the medium of the sample events."""
    cloud.media = [video(MEDIA_ID, "GX010327.MP4", "2026-01-01T10:00:00Z", LENGTH)]
    return cloud


def refuse_the_token(stack: Stack, cloud: GoProCloud) -> None:
    dead = cloud.pasted()
    cloud.tokens.clear()
    stack.put_secret(dead)


def secret_values(stack: Stack) -> set[str]:
    stored = stack.emulator.client("secretsmanager").get_secret_value(SecretId=stack.outputs["CredentialsSecretArn"])
    return set(json.loads(stored["SecretString"]).values())


# ------------------------------------------------------------------------------- answers
def test_authenticate_answers_a_reference_to_the_credentials_and_no_token(
    functions: Functions, stack: Stack, library: GoProCloud
) -> None:
    answer = functions.call("authenticate")
    secret = stack.emulator.client("secretsmanager").get_secret_value(SecretId=stack.outputs["CredentialsSecretArn"])
    assert answer == {
        "outcome": "authenticated",
        "run": event("plan")["run"],
        "request": event("plan")["request"],
        "auth": {"secret_arn": stack.outputs["CredentialsSecretArn"], "version_id": secret["VersionId"]},
    }
    assert library.counts.api_calls == 1


def test_plan_writes_the_manifest_that_the_map_reads(functions: Functions, stack: Stack, library: GoProCloud) -> None:
    answer = functions.call("plan")
    assert (answer["outcome"], answer["plan"]["new"], answer["plan"]["discovered"]) == ("planned", 1, 1)
    assert answer["bucket"] == stack.outputs["ArchiveBucketName"]
    assert answer["max_concurrency"] == 6
    assert stack.keys() == [answer["plan"]["manifest_key"]] == ["runs/sample/manifest.jsonl"]
    (line,) = b"".join(stack.read("runs/sample/manifest.jsonl")).splitlines()
    assert set(json.loads(line)) == set(event("transfer")["video"])
    assert Medium.from_json(json.loads(line)).media_id == MEDIA_ID
    assert stack.statuses() == {MEDIA_ID: "PENDING"}


def test_plan_writes_no_media_into_its_answer(functions: Functions, cloud: GoProCloud) -> None:
    cloud.media = many_small(30, 1000)
    few = len(json.dumps(functions.call("plan")))
    cloud.media = many_small(300, 1000)
    assert len(json.dumps(functions.call("plan"))) < few + 50


def test_transfer_archives_the_medium_and_answers_what_it_moved(
    functions: Functions, stack: Stack, library: GoProCloud
) -> None:
    answer = functions.call("transfer")
    assert answer.pop("seconds") > 0
    assert answer == {
        "outcome": "transferred",
        "media_id": MEDIA_ID,
        "originals": 1,
        "length": LENGTH,
        "moved": LENGTH,
        "damage": "",
    }
    assert stack.keys() == [f"catalog/gopro/{MEDIA_ID}.json", KEY]
    assert stack.statuses() == {MEDIA_ID: "COMPLETED"}


@pytest.mark.parametrize(("days", "storage_class"), [("0", "DEEP_ARCHIVE"), ("1", "STANDARD"), ("7", "STANDARD")])
def test_an_original_begins_in_standard_unless_no_day_is_to_pass_there(
    functions: Functions, stack: Stack, library: GoProCloud, days: str, storage_class: str
) -> None:
    functions.call("transfer", changed={"ARCHIVE_AFTER_DAYS": days})
    s3, bucket = stack.emulator.client("s3"), stack.outputs["ArchiveBucketName"]
    assert s3.head_object(Bucket=bucket, Key=KEY).get("StorageClass", "STANDARD") == storage_class
    assert "StorageClass" not in s3.head_object(Bucket=bucket, Key=f"catalog/gopro/{MEDIA_ID}.json")


def test_mark_failed_records_what_lambda_said_of_the_exception(functions: Functions, stack: Stack) -> None:
    assert functions.call("mark_failed") == {"outcome": "marked_failed", "media_id": MEDIA_ID}
    record = stack.records()[MEDIA_ID]
    assert (record["status"]["S"], record["error_type"]["S"]) == ("FAILED", "IntegrityError")
    assert "is empty" in record["error"]["S"]


def test_mark_failed_understands_a_fault_that_is_no_exception(functions: Functions, stack: Stack) -> None:
    told = event("mark_failed") | {"fault": {"Error": "States.Timeout", "Cause": ""}}
    functions.call("mark_failed", told)
    assert stack.records()[MEDIA_ID]["error_type"]["S"] == "States.Timeout"


def test_mark_failed_never_takes_back_a_confirmed_medium(
    functions: Functions, stack: Stack, library: GoProCloud
) -> None:
    functions.call("transfer")
    assert functions.call("mark_failed")["outcome"] == "completed_after_all"
    assert stack.statuses() == {MEDIA_ID: "COMPLETED"}


def test_summarize_answers_what_the_run_came_to(functions: Functions, stack: Stack, library: GoProCloud) -> None:
    functions.call("plan")
    functions.call("transfer")
    answer = functions.call("summarize")
    assert set(answer) == {"outcome", "summary"}
    assert answer["outcome"] == "complete"
    summary = answer["summary"]
    assert (summary["status"], summary["completed"], summary["failed"]) == ("SUCCEEDED", 1, 0)
    assert (summary["bytes_transferred"], summary["run_id"]) == (LENGTH, "sample")
    page = summary.pop("page")
    assert json.loads(b"".join(stack.read("runs/sample/report.json"))) == summary
    assert "GX010327.MP4" in text_of(b"".join(stack.read(page)))
    pages = {key for key in stack.keys("") if key.endswith(".html")}
    assert pages == {page, "runs/index.html", "gallery/gopro/index.html", "gallery/gopro/2026-01.html"}


def test_summarize_tells_why_there_is_no_page_and_answers_all_the_same(
    functions: Functions, stack: Stack, library: GoProCloud
) -> None:
    functions.call("plan")
    functions.call("transfer")
    bucket = stack.outputs["ArchiveBucketName"]
    stack.emulator.client("s3").put_object(Bucket=bucket, Key="gallery/gopro/index.json", Body=b"spoiled")
    answer = functions.call("summarize")
    assert (answer["outcome"], answer["summary"]["completed"], answer["summary"]["page"]) == ("complete", 1, None)
    assert "cannot be read" in answer["summary"]["page_trouble"]
    logs, _ = functions.lines()
    assert [line["level"] for line in logs if "the page of the run was not written" in line["message"]] == ["WARNING"]


def test_a_run_that_cannot_be_counted_is_no_failure_and_is_logged(
    functions: Functions, stack: Stack, library: GoProCloud
) -> None:
    spoilt = {"provider": {"S": "checkpoint"}, "media_id": {"S": "ledger/gopro"}, "text": {"N": "5"}}
    table = stack.outputs["SyncTrackerTableName"]
    stack.emulator.client("dynamodb").put_item(TableName=table, Item=spoilt)
    functions.call("plan")
    functions.call("transfer")
    assert functions.call("summarize")["outcome"] == "complete"
    assert functions.call("plan")["outcome"] == "nothing_new"
    logs, _ = functions.lines()
    assert [line["level"] for line in logs if "could not be counted" in line["message"]] == ["ERROR", "ERROR"]


def test_summarize_answers_a_message_when_a_medium_is_missing(
    functions: Functions, stack: Stack, library: GoProCloud
) -> None:
    functions.call("plan")
    functions.call("mark_failed")
    answer = functions.call("summarize")
    assert (answer["outcome"], answer["summary"]["failed"]) == ("partial_failure", 1)
    assert MEDIA_ID in answer["notification"]["message"]
    assert answer["notification"]["subject"]


def test_the_steps_fit_together_and_a_second_run_finds_nothing_new(
    functions: Functions, stack: Stack, library: GoProCloud
) -> None:
    started = functions.call("authenticate")
    carried = {name: started[name] for name in ("run", "request", "auth")}
    planned = functions.call("plan", carried)
    for line in b"".join(stack.read(planned["plan"]["manifest_key"])).splitlines():
        told = {"video": json.loads(line), "auth": started["auth"], "run": started["run"]}
        assert functions.call("transfer", told)["outcome"] == "transferred"
    assert functions.call("summarize", {**carried, "plan": planned})["outcome"] == "complete"
    _, metrics = functions.lines()
    assert measured(metrics)["SyncSucceeded", frozenset()] == 1
    again = functions.call("plan", carried)
    assert (again["outcome"], again["summary"]["status"]) == ("nothing_new", "NO_NEW_VIDEOS")
    _, metrics = functions.lines()
    assert measured(metrics)["SyncSucceeded", frozenset()] == 1, "a night without new media is a success"


# ------------------------------------------------------------- outcomes are values, faults are raised
@pytest.mark.parametrize("module", REJECTABLE)
def test_rejected_credentials_are_an_outcome(
    functions: Functions, stack: Stack, library: GoProCloud, module: str
) -> None:
    refuse_the_token(stack, library)
    answer = functions.call(module)
    assert answer["outcome"] == "credentials_rejected"
    assert "cloud-sync auth set" in json.dumps(answer)
    assert not [value for value in secret_values(stack) if value in json.dumps(answer) + functions.printed()]


@pytest.mark.parametrize("module", ["authenticate", "plan"])
def test_an_outcome_that_stops_the_run_brings_its_failure_and_its_message(
    functions: Functions, stack: Stack, library: GoProCloud, module: str
) -> None:
    refuse_the_token(stack, library)
    answer = functions.call(module)
    assert answer["failure"]["error"] == "CredentialsRejected"
    assert set(answer["notification"]) == {"kind", "subject", "message", "details"}
    assert "Look here: https://us-east-1.console.aws.amazon.com/states/" in answer["notification"]["message"]


def test_a_medium_waits_when_the_credentials_die_during_its_transfer(
    functions: Functions, stack: Stack, library: GoProCloud
) -> None:
    refuse_the_token(stack, library)
    functions.call("transfer")
    assert stack.statuses() == {MEDIA_ID: "PENDING"}


@pytest.mark.parametrize("wrong", [{"max_items": 0}, {"provider": "dropbox"}, {"dry_run": "yes"}, ["gopro"]])
def test_a_malformed_input_is_an_outcome(functions: Functions, stack: Stack, cloud: GoProCloud, wrong: object) -> None:
    answer = functions.call("authenticate", event("authenticate") | {"input": wrong})
    assert (answer["outcome"], answer["failure"]["error"]) == ("invalid_request", "InvalidInput")
    assert cloud.counts.api_calls == 0


def test_a_changed_api_is_an_outcome(functions: Functions, stack: Stack, library: GoProCloud) -> None:
    refuse_the_token(stack, library)
    library.quirks.dead_token_status = 410
    answer = functions.call("plan")
    assert (answer["outcome"], answer["failure"]["error"]) == ("api_changed", "ApiShapeChanged")


def test_a_medium_that_has_gone_is_an_outcome(functions: Functions, stack: Stack, library: GoProCloud) -> None:
    library.quirks.faults[MEDIA_ID] = Fault("gone", times=-1)
    assert functions.call("transfer") == {"outcome": "source_gone", "media_id": MEDIA_ID}
    assert stack.statuses() == {MEDIA_ID: "SOURCE_GONE"}


def test_a_medium_of_which_no_original_is_offered_yet_is_an_outcome(
    functions: Functions, stack: Stack, library: GoProCloud
) -> None:
    library.media = [replace(library.media[0], files=(), state="transcoding")]
    answer = functions.call("transfer")
    assert (answer["outcome"], answer["moved"]) == ("not_ready", 0)
    assert stack.statuses() == {MEDIA_ID: "PENDING"}


@pytest.mark.parametrize(
    ("module", "variable"),
    [
        ("authenticate", "TRACKER_TABLE"),
        ("plan", "ARCHIVE_BUCKET"),
        ("plan", "TRACKER_TABLE"),
        ("transfer", "ARCHIVE_BUCKET"),
        ("transfer", "TRACKER_TABLE"),
        ("mark_failed", "TRACKER_TABLE"),
        ("summarize", "ARCHIVE_BUCKET"),
        ("summarize", "TRACKER_TABLE"),
    ],
)
def test_a_store_that_is_not_there_is_a_fault(
    functions: Functions, library: GoProCloud, module: str, variable: str
) -> None:
    if module == "summarize":
        functions.call("plan")
    with pytest.raises(Exception, match=r"NoSuchBucket|ResourceNotFoundException"):
        functions.call(module, changed={variable: "not-there-at-all"})


def test_an_empty_download_is_a_fault_and_leaves_the_medium_in_progress(
    functions: Functions, stack: Stack, library: GoProCloud
) -> None:
    library.quirks.faults[MEDIA_ID] = Fault("empty", times=-1)
    with pytest.raises(IntegrityError, match="empty"):
        functions.call("transfer")
    assert stack.statuses() == {MEDIA_ID: "IN_PROGRESS"}
    assert stack.keys() == []
    logged, _ = functions.lines()
    (fault,) = [line for line in logged if line["level"] == "ERROR"]
    assert (fault["correlation_id"], fault["exception_name"]) == ("sample", "IntegrityError")


# ------------------------------------------------------------------------ what is printed
@pytest.mark.parametrize("module", MODULES)
def test_a_log_line_is_json_and_carries_the_run(functions: Functions, library: GoProCloud, module: str) -> None:
    if module == "summarize":
        functions.call("plan")
        functions.printed()
    functions.call(module)
    logged, _ = functions.lines()
    assert logged
    for line in logged:
        assert line["correlation_id"] == "sample"
        assert line["function_request_id"] == LambdaContext.aws_request_id
        assert line["service"] == "cloud-sync"


@pytest.mark.parametrize("module", REJECTABLE)
def test_a_refusal_is_logged_with_the_run(functions: Functions, stack: Stack, library: GoProCloud, module: str) -> None:
    refuse_the_token(stack, library)
    functions.call(module)
    logged, _ = functions.lines()
    assert {line["correlation_id"] for line in logged} == {"sample"}
    assert "credentials_rejected" in json.dumps(logged)


def test_no_step_prints_or_answers_anything_secret(functions: Functions, stack: Stack, library: GoProCloud) -> None:
    stack.put_secret(library.renewing())
    secrets = secret_values(stack) - {library.client_id}
    answers = [functions.call(module) for module in MODULES]
    told = functions.printed() + json.dumps(answers)
    for secret in (*secrets, *secret_values(stack) - {library.client_id}, *library.tokens, *library.refresh_tokens):
        assert secret not in told
    assert not re.search(r"Signature=|Bearer ", told)


def measured(metrics: list[dict[str, Any]]) -> dict[tuple[str, frozenset[str]], float]:
    """Value by name and dimensions of everything emitted, in the one namespace."""
    found: dict[tuple[str, frozenset[str]], float] = {}
    for document in metrics:
        for directive in document["_aws"]["CloudWatchMetrics"]:
            assert directive["Namespace"] == "CloudSync"
            for dimensions in directive["Dimensions"]:
                assert {"Provider", "Environment"} <= set(dimensions)
                assert (document["Provider"], document["Environment"]) == ("gopro", "dev")
                for metric in directive["Metrics"]:
                    key = (metric["Name"], frozenset(dimensions) - {"Provider", "Environment", "service"})
                    (found[key],) = as_list(document[metric["Name"]])
                assert "service" not in dimensions
    return found


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("authenticate", {"AuthenticationFailure": 0}),
        ("plan", {"ApiShapeChanged": 0}),
        ("transfer", {"VideosSynced": 1, "BytesTransferred": LENGTH}),
        ("mark_failed", {"SyncFailures": 1}),
    ],
)
def test_a_step_measures(functions: Functions, library: GoProCloud, module: str, expected: dict[str, float]) -> None:
    functions.call(module)
    _, metrics = functions.lines()
    found = measured(metrics)
    for name, value in expected.items():
        assert found[name, frozenset()] == value


def test_a_transfer_measures_its_duration_and_throughput(functions: Functions, library: GoProCloud) -> None:
    seconds = functions.call("transfer")["seconds"]
    _, (document,) = functions.lines()
    units = {one["Name"]: one["Unit"] for one in document["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert units == {
        "VideosSynced": "Count",
        "BytesTransferred": "Bytes",
        "TransferDuration": "Seconds",
        "TransferThroughput": "Bytes/Second",
    }
    assert document["TransferDuration"] == [seconds]
    assert document["TransferThroughput"][0] == pytest.approx(LENGTH / seconds)


def test_a_failure_is_counted_in_all_and_by_its_type(functions: Functions) -> None:
    functions.call("mark_failed")
    _, metrics = functions.lines()
    assert measured(metrics) == {
        ("SyncFailures", frozenset()): 1,
        ("SyncFailures", frozenset({"ErrorType"})): 1,
    }
    assert [one["ErrorType"] for one in metrics if "ErrorType" in one] == ["IntegrityError"]


def test_a_transfer_that_vanished_is_counted_by_the_summary(functions: Functions, library: GoProCloud) -> None:
    functions.call("plan")
    functions.printed()
    functions.call("summarize")
    _, metrics = functions.lines()
    assert measured(metrics)["SyncFailures", frozenset({"ErrorType"})] == 1
    assert "TransferVanished" in [one.get("ErrorType") for one in metrics]
    assert measured(metrics)["MediaPending", frozenset()] == 1, "the next run tries it again"
    assert ("SyncSucceeded", frozenset()) not in measured(metrics)


@pytest.mark.parametrize("module", ["authenticate", "plan"])
def test_a_refusal_is_measured(functions: Functions, stack: Stack, library: GoProCloud, module: str) -> None:
    refuse_the_token(stack, library)
    functions.call(module)
    _, metrics = functions.lines()
    assert measured(metrics) == {("AuthenticationFailure", frozenset()): 1}


def test_a_warm_function_keeps_its_runs_apart(functions: Functions, library: GoProCloud) -> None:
    library.media += many_small(1, 1000)
    functions.call("transfer")
    functions.printed()
    other = event("transfer")
    other["run"]["run_id"] = "another"
    other["video"] |= {"media_id": "small000000", "filename": "GOPR0000.JPG", "kind": "Photo"}
    functions.call("transfer", other, warm=True)
    logged, (document,) = functions.lines()
    assert {(line["correlation_id"], line["media_id"]) for line in logged} == {("another", "small000000")}
    assert (document["VideosSynced"], document["BytesTransferred"]) == ([1], [1000])


def test_a_run_that_failed_leaves_nothing_in_a_warm_function(
    functions: Functions, stack: Stack, library: GoProCloud
) -> None:
    library.quirks.faults[MEDIA_ID] = Fault("empty", times=-1)
    with pytest.raises(IntegrityError):
        functions.call("transfer")
    library.quirks.faults.clear()
    functions.printed()
    functions.call("transfer", warm=True)
    _, (document,) = functions.lines()
    assert document["VideosSynced"] == [1]


def test_a_warm_function_takes_new_credentials_once_the_old_are_refused(
    functions: Functions, stack: Stack, library: GoProCloud
) -> None:
    refuse_the_token(stack, library)
    assert functions.call("authenticate")["outcome"] == "credentials_rejected"
    stack.put_secret(library.pasted())
    assert functions.call("authenticate", warm=True)["outcome"] == "authenticated"
    assert functions.call("transfer", warm=True)["outcome"] == "transferred"


# ------------------------------------------------------------------- what is reckoned with
class Asked(list[tuple[str, str]]):
    """What functions have asked of AWS: service and operation."""

    def of(self, service: str, *operations: str) -> int:
        return sum(1 for one in self if one[0] == service and one[1] in operations)

    @property
    def puts(self) -> int:
        """Requests of S3 that are billed as PUT, but for the parts."""
        of_uploads = ("CreateMultipartUpload", "CompleteMultipartUpload", "ListParts")
        return self.of("s3", "PutObject", "PutObjectTagging", *of_uploads)

    @property
    def gets(self) -> int:
        return self.of("s3", "HeadObject", "GetObject")


@pytest.fixture
def asked(functions: Functions, stack: Stack) -> Iterator[Asked]:
    found = Asked()

    def note(**told: Any) -> None:
        found.append((told["model"].service_model.service_name, told["model"].name))

    boto3.setup_default_session()
    assert boto3.DEFAULT_SESSION is not None
    boto3.DEFAULT_SESSION.events.register("before-call", note)
    yield found
    boto3.DEFAULT_SESSION = None


def test_a_cold_transfer_in_parts_asks_for_no_more_than_core_cost_reckons_with(
    functions: Functions, asked: Asked, stack: Stack, cloud: GoProCloud
) -> None:
    length = 20 * 1024 * 1024
    cloud.media = [video(MEDIA_ID, "GX010327.MP4", "2026-01-01T10:00:00Z", length)]
    assert functions.call("transfer")["moved"] == length
    assert asked.of("s3", "UploadPart") == cost.transfer(length).parts == 3
    assert 0 < asked.puts <= ASSUMED.puts_beside_parts
    assert 0 < asked.gets <= ASSUMED.gets
    assert 0 < asked.of("secretsmanager", "GetSecretValue") <= ASSUMED.secret_calls
    # A record that is written also changes the index, and the first plan has written one before, billed twice.
    written = asked.of("dynamodb", "PutItem") * 2 + asked.of("dynamodb", "DeleteItem")
    assert 0 < written + 4 <= ASSUMED.writes
    assert 0 < asked.of("dynamodb", "GetItem", "BatchGetItem") <= ASSUMED.reads
    assert {service for service, _ in asked} - {"lambda"} == {"s3", "dynamodb", "secretsmanager"}
    # What Lambda writes of a call itself, and two lines on the way of a minute.
    assert len(functions.printed()) + 700 + 2 * 700 <= ASSUMED.log_bytes
    assert len(b"".join(stack.read(f"catalog/gopro/{MEDIA_ID}.json"))) <= ASSUMED.catalog_bytes


def test_the_steps_of_a_run_ask_for_no_more_than_core_cost_reckons_with(
    functions: Functions, asked: Asked, stack: Stack, library: GoProCloud
) -> None:
    functions.call("authenticate")
    functions.call("plan")
    functions.call("summarize")
    # The map itself reads the manifest and writes up to four documents of its results.
    assert 0 < asked.puts + 4 <= ASSUMED.puts_a_run
    assert 0 < asked.gets + 1 <= ASSUMED.gets_a_run
    assert 0 < asked.of("secretsmanager", "GetSecretValue") <= ASSUMED.secret_calls_a_run
    assert len(functions.printed()) + 3 * 700 <= ASSUMED.log_bytes_a_run
    (line,) = b"".join(stack.read("runs/sample/manifest.jsonl")).splitlines()
    assert len(line) <= ASSUMED.manifest_bytes


def test_a_run_that_finds_nothing_new_writes_no_more_than_core_cost_reckons_with(
    functions: Functions, asked: Asked, cloud: GoProCloud
) -> None:
    functions.call("authenticate")
    assert functions.call("plan")["outcome"] == "nothing_new"
    # Each call of the provider's API takes a slot and gives it back.
    slots = 2 * cloud.counts.api_calls
    assert 0 < asked.of("dynamodb", "PutItem", "DeleteItem") - slots <= ASSUMED.writes_a_run
    assert 0 < asked.of("dynamodb", "GetItem", "BatchGetItem", "Query") <= ASSUMED.reads_a_run + slots
