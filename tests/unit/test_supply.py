"""What the product is made of: pinned, hashed, and told."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from scripts.sbom import TARGET, render
from tests.unit.test_template import ROOT

_TEST = re.compile(r"^def (test_\w+)", re.MULTILINE)
PINNED = sorted(Path(ROOT).glob("requirements*.txt"))


@pytest.mark.parametrize("file", PINNED, ids=lambda file: file.name)
def test_every_dependency_is_pinned_to_files_by_their_hashes(file: Path) -> None:
    logical = file.read_text().replace("\\\n", " ").splitlines()
    lines = [line for line in logical if line.strip() and not line.startswith("#")]
    assert lines
    for line in lines:
        assert re.fullmatch(r"[\w.-]+(\[[\w,.-]+\])?==[\w.!+-]+( ;[^#]*?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*", line), (
            line
        )


def test_the_artifact_is_built_from_pins_with_hashes_and_runs_no_code_of_theirs() -> None:
    command = Path(ROOT, "scripts", "build_artifact.sh").read_text()
    assert {"--require-hashes", "--no-deps", "--only-binary=:all:"} <= set(command.split())


def test_the_list_of_what_is_deployed_is_current() -> None:
    """`make sbom` writes it anew."""
    assert TARGET.read_text(encoding="utf-8") == render()


def test_the_list_of_what_is_deployed_is_valid_and_names_everything() -> None:
    document = json.loads(TARGET.read_text(encoding="utf-8"))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is None
    pins = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", Path(ROOT, "requirements-lambda.txt").read_text(), re.MULTILINE)
    assert [(one["name"], one["version"]) for one in document["components"]] == pins
    assert all(one["licenses"] for one in document["components"])


def test_the_list_of_what_is_deployed_tells_nothing_of_where_it_was_made() -> None:
    text = TARGET.read_text(encoding="utf-8")
    assert re.findall(r"https?://[^\"]+", text) == ["http://cyclonedx.org/schema/bom-1.6.schema.json"]
    assert not re.search(r"\"/|timestamp|serialNumber", text)


def test_the_page_on_security_names_tests_that_exist() -> None:
    named = set(re.findall(r"`(test_\w+)`", Path(ROOT, "docs", "security.md").read_text()))
    there = {name for path in Path(ROOT, "tests").rglob("test_*.py") for name in _TEST.findall(path.read_text())}
    assert len(named) > 20
    assert named <= there
