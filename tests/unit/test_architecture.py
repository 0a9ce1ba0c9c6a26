"""Imports point one way: the picture in docs/architecture.md, checked."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

#: What each part may import of the project. `core` alone means its flat modules.
FLAT = {"core.errors", "core.model", "core.prices", "core.retry"}
ALLOWED = {
    "core.errors": set[str](),
    "core.model": {"core.errors"},
    "core.prices": set[str](),
    "core.retry": {"core.errors"},
    "core.stacks": {"core.errors"},
    "core.executions": FLAT,
    "core.tracker": FLAT,
    "core.archive": FLAT,
    "core.credentials": FLAT | {"core.tracker"},
    "core.providers": FLAT | {"core.credentials", "core.tracker"},
    "core.transfer": FLAT | {"core.archive", "core.providers", "core.tracker"},
    "core.report": FLAT | {"core.archive", "core.cost"},
    "core.sync": FLAT
    | {"core.report"}
    | {"core.archive", "core.credentials", "core.providers", "core.tracker", "core.transfer"},
    "core.verify": FLAT | {"core.archive", "core.sync", "core.tracker"},
    "core.cli.view": FLAT | {"core.executions", "core.sync", "core.verify"},
    "core.cli.paste": set[str](),
    "core.restore": FLAT | {"core.archive", "core.tracker"},
    "core.cli.restore_view": FLAT | {"core.archive", "core.executions", "core.restore"},
    "core.doctor": FLAT
    | {"core.credentials", "core.executions", "core.providers", "core.stacks", "core.sync", "core.tracker"},
    "core.cost": FLAT | {"core.archive", "core.transfer"},
    "core.cli.cost_view": FLAT | {"core.cost"},
    "core.notify": FLAT | {"core.cost", "core.providers", "core.sync", "core.tracker"},
    "handlers": FLAT
    | {"core.archive", "core.credentials", "core.providers", "core.sync", "core.tracker", "core.transfer"}
    | {"core.cost", "core.notify", "core.report", "core.verify"},
}

#: Modules beside which no other implementation may be imported.
SIBLINGS = [
    {"core.archive.s3", "core.archive.folder"},
    {"core.archive.s3_inventory", "core.archive.folder_inventory"},
    {"core.archive.s3_retrieval", "core.archive.folder_retrieval"},
    {"core.tracker.dynamodb", "core.tracker.sqlite"},
    {"core.credentials.secretsmanager", "core.credentials.file", "core.credentials.memory"},
]

LAMBDA_ONLY = {"aws_lambda_powertools", "aws_xray_sdk"}


def imports_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part_of(module: str) -> str:
    """The part of the picture that a module belongs to, "" for none."""
    return next((part for part in ALLOWED if module == part or module.startswith(part + ".")), "")


MODULES = sorted(path for top in ("core", "handlers") for path in (ROOT / top).rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_a_module_imports_only_what_lies_below_it(path: Path) -> None:
    own = part_of(module_of(path))
    if not own:
        is_command_line = module_of(path).startswith("core.cli")
        assert is_command_line or module_of(path) in ("core", "core.__main__"), "a part that the picture does not show"
        return
    reached = {part_of(name) for name in imports_of(path)} - {own, ""}
    assert reached <= ALLOWED[own]


@pytest.mark.parametrize("siblings", SIBLINGS, ids=lambda pair: " and ".join(sorted(pair)))
def test_no_implementation_imports_its_sibling(siblings: set[str]) -> None:
    for path in MODULES:
        if module_of(path) in siblings:
            assert not imports_of(path) & (siblings - {module_of(path)})


@pytest.mark.parametrize("path", [p for p in MODULES if p.is_relative_to(ROOT / "core")], ids=module_of)
def test_core_knows_nothing_of_lambda(path: Path) -> None:
    tops = {name.split(".")[0] for name in imports_of(path)}
    assert not tops & (LAMBDA_ONLY | {"handlers"})


def test_importing_core_loads_no_network_library() -> None:
    import subprocess

    heavy = "('requests', 'boto3', 'rich')"
    code = f"import sys, core, core.providers.registry; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
