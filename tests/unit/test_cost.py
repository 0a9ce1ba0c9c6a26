"""What the product costs: the design held to the template and the workflow, the goals, and the sums."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from aws_lambda_powertools.metrics import MetricUnit
from typer.testing import CliRunner

from core import prices
from core.cli import app
from core.cost import (
    ASSUMED,
    DESIGN,
    Design,
    Estimate,
    Function,
    Holding,
    Line,
    Workload,
    estimate,
    getting_back,
    last_month,
    library_of,
    transfer,
)
from core.errors import InvalidInput
from core.model import Record, Status, utc_now
from core.prices import GB
from handlers import _context as context
from scripts import cost_tables
from tests.unit.test_template import ROOT, properties, template
from tests.unit.test_workflow_definition import definition, inside_the_map

#: As they are where nobody has given a parameter; what costs more is in the table of docs/cost.md.
BY_DEFAULT = frozenset({"StaysInStandard"})

NOW = utc_now()

SEED = Workload(videos_a_month=3000, video_length=4 * GB)
HOBBY = Workload(videos_a_month=20, video_length=4 * GB, waiting=Holding(1000, 4000 * GB))


def in_use(kind: str, conditions: frozenset[str] = BY_DEFAULT) -> dict[str, Any]:
    """The resources of a type that a deployment makes."""
    resources: dict[str, Any] = template(conditions)["Resources"]
    of_kind = {name: one for name, one in resources.items() if one["Type"] == kind}
    return {name: one for name, one in of_kind.items() if one.get("Condition") in (None, *conditions)}


def memory(name: str) -> int:
    return int(properties(name)["MemorySize"])


def longest_way(machine: Any, start: str, then: dict[str, str]) -> int:
    """States on the way from `start` to the end; `then` says where a Choice goes, else it is its default."""
    name, count = start, 0
    while name:
        state, count = machine["States"][name], count + 1
        name = then.get(name) or state.get("Next") or state.get("Default", "")
    return count


def alarmed_metrics(conditions: frozenset[str] = BY_DEFAULT) -> int:
    """Each metric that an alarm looks at is billed as an alarm."""
    alarms = [one["Properties"] for one in in_use("AWS::CloudWatch::Alarm", conditions).values()]
    return sum(len([m for m in alarm.get("Metrics", [{"MetricStat": {}}]) if "MetricStat" in m]) for alarm in alarms)


def deployed() -> Design:
    """The design as template, workflow and handlers say it."""
    machine, verification = definition(), json.loads((ROOT / "statemachine" / "verify.asl.json").read_text())
    assert inside_the_map()["ProcessorConfig"]["ExecutionType"] == "STANDARD", "an Express child is billed otherwise"
    return Design(
        transfer_memory=memory("TransferFunction"),
        functions={
            name: replace(DESIGN.functions.get(name, Function(0, 0)), memory=memory(name))
            for name in in_use("AWS::Serverless::Function")
            if name != "TransferFunction"
        },
        architecture=template()["Parameters"]["Architecture"]["Default"],
        archive_after_days=template()["Parameters"]["ArchiveAfterDays"]["Default"],
        log_retention_days=template()["Parameters"]["LogRetentionDays"]["Default"],
        concurrency=template()["Parameters"]["MaxConcurrency"]["Default"],
        transitions_a_run=longest_way(
            machine,
            machine["StartAt"],
            {
                "CheckAuthentication": "ListMedia",
                "CheckNewVideos": "DownloadVideos",
                "CheckForFailures": "SyncComplete",
            },
        ),
        transitions_a_medium=1 + longest_way(inside_the_map(), inside_the_map()["StartAt"], {}),
        transitions_a_verification=longest_way(
            verification, verification["StartAt"], {"CheckVerification": "VerificationComplete"}
        ),
        metrics=len(context.METRICS),
        alarms=alarmed_metrics(),
        composite_alarms=len(in_use("AWS::CloudWatch::CompositeAlarm")),
        dashboards=len(in_use("AWS::CloudWatch::Dashboard")),
        secrets=len(in_use("AWS::SecretsManager::Secret")),
        keys=len(in_use("AWS::KMS::Key")),
        scheduled_starts_a_day=sum(starts_a_day(one) for one in in_use("AWS::Scheduler::Schedule").values()),
    )


def starts_a_day(schedule: Any) -> int:
    """How often a schedule starts something in a day, or once if it is less often."""
    return 24 if schedule["Properties"]["ScheduleExpression"] == "rate(1 hour)" else 1


# -------------------------------------------------------------------- the design and the goals
def test_the_design_that_is_reckoned_with_is_the_one_that_is_deployed() -> None:
    """Where this fails, change core/cost/design.py, and look at what the change costs: the goals are below."""
    assert deployed() == DESIGN


def test_a_webhook_costs_a_secret_an_alarm_and_a_function_more() -> None:
    made, design = BY_DEFAULT | {"HasWebhook"}, DESIGN.with_webhook()
    assert design.functions.keys() == in_use("AWS::Serverless::Function", made).keys() - {"TransferFunction"}
    assert design.functions["WebhookFunction"].memory == memory("WebhookFunction")
    assert design.alarms == alarmed_metrics(made)
    more = estimate(HOBBY, design).usd(11) - estimate(HOBBY).usd(11)
    assert more == pytest.approx(prices.SECRET_MONTH.unit + prices.ALARM_MONTH.unit, abs=0.001)


def test_every_metric_that_is_emitted_is_counted() -> None:
    with pytest.raises(KeyError, match="SomethingNew"):
        context.count("gopro", {"SomethingNew": (MetricUnit.Count, 1)})


def test_at_a_hundred_videos_a_day_all_but_storage_stays_under_twelve_dollars_a_month() -> None:
    assert estimate(SEED, deployed()).most_beside_storage < 12


def test_so_it_does_in_an_account_whose_free_tier_is_used_up() -> None:
    assert estimate(SEED, deployed(), replace(ASSUMED, free_tier=False)).most_beside_storage < 12


def test_a_hobby_library_costs_less_than_a_dollar_a_month_beside_storage_also_when_it_first_comes() -> None:
    found = estimate(HOBBY, deployed())
    assert 0.40 < found.most_beside_storage < 1
    assert found.usd(0, storage=False) == found.most_beside_storage


@pytest.mark.parametrize(
    "waste",
    [
        {"transfer_memory": 10_240},
        {"transitions_a_medium": 200},
        {"alarms": 200},
        {"metrics": 20_000},
        {"dashboards": 8},
        {"secrets": 40},
        {"keys": 15},
    ],
    ids=lambda waste: next(iter(waste)),
)
def test_waste_is_noticed(waste: dict[str, int]) -> None:
    wasteful = replace(DESIGN, **waste)  # type: ignore[arg-type]
    assert estimate(SEED, wasteful, replace(ASSUMED, free_tier=False)).most_beside_storage > 12


def test_a_key_of_ones_own_alone_breaks_the_hobby_goal_and_grows_with_its_first_two_rotations() -> None:
    years = estimate(replace(HOBBY, months=48), replace(DESIGN, keys=1))
    assert years.usd(1, storage=False) > 1
    assert [line_of(years, "keys of your own, and their rotations").usd[month] for month in (0, 12, 24, 36)] == [
        1,
        2,
        3,
        3,
    ]


# ------------------------------------------------------------------------------------ storage
def line_of(found: Estimate, what: str) -> Line:
    (line,) = [line for line in found.lines if line.what == what]
    return line


def quantity(found: Estimate, what: str, month: int) -> float:
    return line_of(found, what).quantities[month]


def test_a_gb_lies_in_standard_for_its_days_and_then_in_deep_archive() -> None:
    found = estimate(Workload(0, 0, months=2, waiting=Holding(1, GB)), replace(DESIGN, archive_after_days=6))
    assert quantity(found, "originals in Standard", 0) == pytest.approx(6 / 30)
    assert quantity(found, "originals in Deep Archive", 0) == pytest.approx(24 / 30)
    assert quantity(found, "originals in Deep Archive", 1) == pytest.approx(1)
    assert line_of(found, "originals in Deep Archive").usd[1] == pytest.approx(prices.DEEP_ARCHIVE_GB_MONTH)
    assert line_of(found, "moved to Deep Archive").quantities == (1, 0)


def test_what_arrives_each_day_adds_up() -> None:
    found = estimate(Workload(30, GB, months=2), replace(DESIGN, archive_after_days=0))
    assert quantity(found, "originals in Deep Archive", 0) == pytest.approx(sum(range(1, 31)) / 30)
    assert quantity(found, "originals in Deep Archive", 1) == pytest.approx(sum(range(31, 61)) / 30)
    assert found.originals.length == pytest.approx(60 * GB)
    assert line_of(found, "put into Deep Archive").usd[0] == pytest.approx(30 * prices.DEEP_ARCHIVE_PUT)


def test_every_archived_object_is_billed_for_40_kb_more() -> None:
    found = estimate(
        Workload(0, 0, months=1, archived=Holding(1024 * 1024, 0)), assumptions=replace(ASSUMED, originals=2)
    )
    assert quantity(found, "32 KB an archived object, Deep Archive", 0) == pytest.approx(64)
    assert quantity(found, "8 KB an archived object, Standard", 0) == pytest.approx(16)


def test_what_is_deleted_before_180_days_of_deep_archive_is_paid_to_the_180th_day() -> None:
    kept = Workload(0, 0, months=12, waiting=Holding(1, 100 * GB), keep_days=97)
    found = estimate(kept)
    archived = sum(line_of(found, "originals in Deep Archive").quantities)
    early = sum(line_of(found, "deleted from Deep Archive before 180 days").quantities)
    assert archived == pytest.approx(100 * 90 / 30)
    assert archived + early == pytest.approx(100 * 180 / 30)
    assert found.originals.length == 0


def test_what_is_deleted_in_standard_is_never_billed_as_archived() -> None:
    found = estimate(Workload(0, 0, months=2, waiting=Holding(1, GB), keep_days=3))
    assert "originals in Deep Archive" not in {line.what for line in found.lines}
    assert quantity(found, "originals in Standard", 0) == pytest.approx(3 / 30)


def test_a_longer_life_than_180_days_costs_nothing_extra() -> None:
    found = estimate(Workload(0, 0, months=12, waiting=Holding(1, GB), keep_days=7 + 180))
    assert "deleted from Deep Archive before 180 days" not in {line.what for line in found.lines}


# ------------------------------------------------------------------------------------ running
def test_a_video_of_4_gb_takes_a_minute_and_its_parts_are_as_large_as_the_memory_allows() -> None:
    moved = transfer(4 * GB)
    assert moved.seconds == pytest.approx(4 + 4 * GB / 75e6)
    assert moved.gb_seconds == pytest.approx(moved.seconds * 1769 / 1024)
    assert (moved.parts, moved.invocations) == (60, 1)
    assert transfer(4 * GB, replace(DESIGN, transfer_memory=512)).parts == 256
    assert transfer(1024**2).parts == 0


def test_a_long_recording_is_moved_in_several_invocations() -> None:
    assert transfer(100 * GB).invocations == 2


def test_a_small_share_of_a_processor_is_slower_than_the_network() -> None:
    slow = replace(ASSUMED, cpu_seconds_a_gb=40)
    assert transfer(4 * GB, DESIGN, slow).seconds == pytest.approx(4 + 4 * 40)


def test_what_is_free_each_month_is_taken_off_each_month() -> None:
    found = estimate(SEED)
    line = line_of(found, "transitions, Standard")
    assert line.usd == pytest.approx([(count - 4000) * 0.025 / 1000 for count in line.quantities])
    without = line_of(estimate(SEED, assumptions=replace(ASSUMED, free_tier=False)), "transitions, Standard")
    assert without.usd == pytest.approx([count * 0.025 / 1000 for count in line.quantities])


def test_the_library_that_waits_comes_in_the_first_month_alone() -> None:
    found = estimate(HOBBY)
    first, second = line_of(found, "transitions, Standard").quantities[:2]
    assert first - second == pytest.approx(1000 * 4 * 1.02)


def test_months_services_and_lines_add_up() -> None:
    found = estimate(HOBBY)
    months = range(HOBBY.months)
    assert sum(found.usd(month) for month in months) == pytest.approx(found.total)
    for month in months:
        assert sum(found.usd(month, service=name) for name in found.services) == pytest.approx(found.usd(month))
        parts = found.usd(month, storage=True) + found.usd(month, storage=False)
        assert parts == pytest.approx(found.usd(month))


def test_getting_everything_back_costs_retrieval_copies_and_the_download() -> None:
    bulk, standard = getting_back(Holding(1000, 1100 * GB))
    assert (bulk.tier, bulk.hours, standard.tier, standard.hours) == ("Bulk", 48, "Standard", 12)
    assert bulk.retrieval == pytest.approx(1100 * 0.0025 + 0.025)
    assert standard.retrieval == pytest.approx(1100 * 0.02 + 0.1)
    assert bulk.download == pytest.approx(1000 * 0.09)
    assert bulk.copies == pytest.approx(1100 * 0.023 * 7 / 30)


@pytest.mark.parametrize(
    "wrong", [{"months": 0}, {"videos_a_month": -1}, {"keep_days": 0}, {"waiting": Holding(-1, 0)}], ids=str
)
def test_what_cannot_be_reckoned_with_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        replace(SEED, **wrong)


# ----------------------------------------------------------------------------- the document
def test_the_tables_of_the_document_are_what_its_commands_print() -> None:
    """Where this fails: `python -m scripts.cost_tables write`, and look at what has changed."""
    written = cost_tables.DOCUMENT.read_text(encoding="utf-8")
    assert written.count("$ cloud-sync cost") == 2
    assert [name for name in ("seed", "memory", "choices") if f"cost_tables {name}` prints:\n\n| " in written]
    stale = re.sub(r"\d( [|│])", r"x\1", written)
    assert stale.count("x") > written.count("x") + 100
    assert cost_tables.filled(stale) == written


# -------------------------------------------------------------------------------- a library
def test_a_library_is_what_its_tracker_has_completed_and_what_still_waits() -> None:
    def record(status: Status, length: int = 0, originals: int = 0) -> Record:
        return Record("gopro", f"{status}-{length}", status, "run", utc_now(), length=length, originals=originals)

    found = library_of(
        [
            record(Status.COMPLETED, 6, 3),
            record(Status.COMPLETED, 2, 1),
            record(Status.PENDING),
            record(Status.FAILED),
            record(Status.SOURCE_GONE),
        ]
    )
    assert (found.archived, found.waiting) == (Holding(2, 8), 2)
    assert (found.mean_length, found.originals_a_medium) == (4, 2)
    assert library_of([]).mean_length is None


def archived_before(days: float, videos: int) -> list[Record]:
    when = NOW - timedelta(days=days)
    return [
        Record("gopro", f"{days}-{number}", Status.COMPLETED, "run", when, originals=1, length=4 * GB)
        for number in range(videos)
    ]


def test_the_last_month_cost_what_came_in_it_and_what_was_there() -> None:
    records = [*archived_before(3, 20), *archived_before(40, 1000)]
    expected = estimate(Workload(20, 4 * GB, months=1, archived=Holding(1000, 4000 * GB))).usd(0)
    assert last_month(records, NOW) == round(expected, 2)
    assert last_month(archived_before(3, 1020), NOW) > 20 > last_month(archived_before(40, 1020), NOW)


def test_the_last_month_of_an_empty_stack_cost_what_is_there_without_any_library() -> None:
    waiting = Record("gopro", "a", Status.FAILED, "run", NOW)
    assert last_month([waiting], NOW) == round(estimate(Workload(0, 0, months=1)).usd(0), 2)
    assert last_month([], NOW, replace(DESIGN, keys=1)) == pytest.approx(last_month([], NOW) + 1)


# --------------------------------------------------------------------------- the command line
def told(*arguments: str) -> Any:
    ended = CliRunner().invoke(app, ["cost", *arguments])
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout) if "--json" in arguments else ended.stdout


def test_json_tells_every_line_every_month_and_every_assumption() -> None:
    found = told("--videos-per-day", "100", "--gb-per-video", "4", "--json")
    assert found == json.loads(json.dumps(estimate(SEED).to_json()))
    assert len(found["usd_by_month"]) == 12
    assert found["assumptions"] == ASSUMED.sentences()
    assert found["prices_as_of"] == prices.AS_OF.isoformat()


def test_a_webhook_is_reckoned_with_if_there_is_one() -> None:
    numbers = ("--videos-per-month", "20", "--json")
    lines = {line["what"]: line["quantity_by_month"][0] for line in told(*numbers, "--webhook")["lines"]}
    assert lines["secrets"] == 2


def test_the_table_tells_the_same_and_prints_every_assumption() -> None:
    printed = told("--videos-per-month", "20", "--library-videos", "1000")
    found = estimate(HOBBY)
    for line in found.lines:
        assert line.what in printed
    for sentence in ASSUMED.sentences():
        assert sentence in printed
    assert f"{found.usd(0, storage=False):,.2f}" in printed
    assert f"ArchiveAfterDays=0 would save ${found.saved_by_archiving_at_once:,.2f}" in printed


@pytest.mark.parametrize(
    ("arguments", "design"),
    [
        (["--memory", "1024"], {"transfer_memory": 1024}),
        (["--customer-key"], {"keys": 1}),
        (["--archive-after-days", "0"], {"archive_after_days": 0}),
    ],
)
def test_what_the_owner_can_change_can_be_reckoned_with(arguments: list[str], design: dict[str, int]) -> None:
    found = told("--videos-per-day", "100", *arguments, "--json")
    assert found["usd"] == round(estimate(SEED, replace(DESIGN, **design)).total, 6)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Nothing to reckon with"),
        (["--videos-per-day", "1", "--videos-per-month", "30"], "not both"),
        (["--to", "here", "--stack", "there"], "Name one library"),
    ],
)
def test_exit_code_2_says_what_is_missing(arguments: list[str], said: str) -> None:
    ended = CliRunner().invoke(app, ["cost", *arguments])
    assert ended.exit_code == 2
    assert said in ended.output
