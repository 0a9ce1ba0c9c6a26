"""The list of deliberate bugs does not rot: each still fits the source, and the tests that are to notice it exist."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.mutants import MUTANTS, ROOT, Mutant, StaleError, mutated


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.bug)
def test_a_mutant_fits_the_source_and_is_still_a_program(mutant: Mutant) -> None:
    source = mutated(mutant)
    assert source != (ROOT / mutant.file).read_text(encoding="utf-8")
    if mutant.file.endswith(".py"):
        compile(source, mutant.file, "exec")
    else:
        json.loads(source)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.bug)
def test_the_tests_that_are_to_notice_a_mutant_exist(mutant: Mutant) -> None:
    assert mutant.tests
    for place in mutant.tests:
        file, _, name = place.partition("::")
        assert f"def {name}" in (ROOT / file).read_text(encoding="utf-8")


def test_each_mutant_is_named_once() -> None:
    assert len({mutant.bug for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("source", ["", "a = 1\na = 1\n"], ids=["gone", "twice"])
def test_a_mutant_whose_text_is_not_there_once_says_so(tmp_path: Path, source: str) -> None:
    (tmp_path / "a.py").write_text(source)
    with pytest.raises(StaleError, match=r"a\.py has this text [02] times.*adapt the mutant “A is two”"):
        mutated(Mutant("A is two", "a.py", "a = 1", "a = 2", ("tests/unit/test_mutants.py",)), tmp_path)
