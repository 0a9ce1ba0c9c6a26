"""Writes docs/permissions.md."""

from pathlib import Path

from tests.permissions.table import render
from tests.unit.test_template import ROOT

Path(ROOT, "docs", "permissions.md").write_text(render(), encoding="utf-8")
