"""A daily run costs what is new, not what is there; and the load run that shows it does what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.load.cases import library
from tests.gopro_cloud import GoProCloud
from tests.stack import ROOT, Stack

PAGE = 50
KNOWN = 1200


def test_five_new_media_beside_many_that_are_archived_cost_a_handful_of_calls(stack: Stack, cloud: GoProCloud) -> None:
    cloud.media = library(KNOWN)
    first = stack.run({"max_items": 1}).output
    assert (first["discovered"], first["new"]) == (KNOWN, 1)
    stack.complete(medium.media_id for medium in cloud.media)

    cloud.media += library(5, first=KNOWN)
    cloud.counts.requests.clear()
    daily = stack.run().output
    assert (daily["status"], daily["discovered"], daily["completed"]) == ("SUCCEEDED", KNOWN + 5, 5)
    assert cloud.counts.requests["search"] <= 8

    cloud.counts.requests.clear()
    assert stack.run({"full_scan": True}).output["discovered"] == KNOWN + 5
    assert cloud.counts.requests["search"] >= KNOWN / PAGE


def test_what_failed_far_below_known_ground_is_tried_again(stack: Stack, cloud: GoProCloud) -> None:
    cloud.media = library(400)
    assert stack.run({"max_items": 1}).output["completed"] == 1
    oldest = cloud.media[0].media_id
    stack.complete(medium.media_id for medium in cloud.media if medium.media_id != oldest)
    cloud.counts.requests.clear()
    again = stack.run().output
    assert (again["new"], again["completed"]) == (1, 1)
    assert cloud.counts.requests["search"] <= 8
    assert stack.statuses()[oldest] == "COMPLETED"


def test_a_short_load_run_writes_its_figures(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "benchmarks.load",
        "--sizes",
        "3",
        "--libraries",
        "150",
        "--results",
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    plan, day, sync = json.loads((tmp_path / "load.json").read_text())["runs"]
    assert [one["case"] for one in (plan, day, sync)] == ["plan 150", "day beside 150", "sync 3"]
    assert sync["api_calls"]["download"] == 3
    assert sync["transitions"] == 8 + 3 * 3
    assert plan["writes"] >= 150 * 2
    assert plan["reads"] >= 150
    assert min(sync["memory"].values()) > 20e6
    assert day["told"]["discovered"] == 155
    assert "| day beside 150 |" in (tmp_path / "load.md").read_text()
    assert "seconds of ListMedia" in (tmp_path / "load.svg").read_text()
