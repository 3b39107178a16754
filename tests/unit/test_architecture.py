"""The house keeps its shape: who may import whom, and what a cold start may load (docs/ARCHITECTURE.md)."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "layers" / "core" / "python" / "modelyard"

# Arrows run downwards only. A module may import its own package and what stands below it.
ORDER = (
    "web",
    "composition",
    "accounts",
    "registry",
    "intake",
    "batch",
    "serving",
    "telemetry",
    "db",
    "kit",
)
HEAVY = {
    "sqlalchemy",
    "alembic",
    "psycopg",
    "boto3",
    "botocore",
    "sklearn",
    "scipy",
    "pandas",
    "joblib",
    "skl2onnx",
    "onnx",
    "fastapi",
    "starlette",
    "pydantic",
    "mangum",
    "redis",
    "bcrypt",
    "aws_lambda_powertools",
}
SKLEARN_FAMILY = {"sklearn", "skl2onnx", "skops", "onnxmltools", "joblib"}
# Dynamic libraries of ours: test helpers and build tools must never reach a function.
NOT_IN_FUNCTIONS = {"tests", "tools", "infra", "moto", "pytest"}


def _modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _domain(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _name(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(file: Path, *, at_import_time: bool = False) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import; with `at_import_time` only those that run at loading."""
    tree = ast.parse(file.read_text(), str(file))
    yield from _imports_of(tree.body, at_import_time)


def _imports_of(body: list[ast.stmt], at_import_time: bool) -> Iterator[tuple[int, str]]:
    for node in body:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: say where from, not how many dots away"
            yield node.lineno, node.module or ""
            # `from modelyard.kit import clock` names a module too.
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif at_import_time and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        elif at_import_time and isinstance(node, ast.If) and _is_type_checking(node.test):
            yield from _imports_of(node.orelse, at_import_time)
        else:
            for name in ("body", "orelse", "finalbody"):
                yield from _imports_of(getattr(node, name, None) or [], at_import_time)
            for handler in getattr(node, "handlers", []):
                yield from _imports_of(handler.body, at_import_time)
            for case in getattr(node, "cases", []):
                yield from _imports_of(case.body, at_import_time)


def _is_type_checking(test: ast.expr) -> bool:
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def test_every_package_of_the_shared_code_has_its_place():
    found = {_domain(file) for file in _modules()} - {"__init__"}

    assert found == set(ORDER)


def test_arrows_run_downwards_only():
    upwards = [
        f"{file.relative_to(ROOT)}:{line} imports {name}"
        for file in _modules()
        if _domain(file) in ORDER
        for line, name in _imports(file)
        if name.startswith("modelyard.") and ORDER.index(name.split(".")[1]) < ORDER.index(_domain(file))
    ]

    assert upwards == []


def test_rooms_of_the_registry_stand_upon_it():
    """`shadow` upon `trials` upon what every version needs."""
    floors = ("shadow", "trials")
    heights = {
        _name(file): floors.index(room) if (room := file.parent.name) in floors else len(floors)
        for file in _modules()
        if _domain(file) == "registry"
    }

    upwards = [
        f"{file.relative_to(ROOT)}:{line} imports {name}"
        for file in _modules()
        if _domain(file) == "registry"
        for line, name in _imports(file)
        if heights.get(name, len(floors)) < heights[_name(file)]
    ]

    assert set(heights.values()) == {0, 1, 2}
    assert upwards == []


def test_modules_import_one_another_in_no_circle():
    """Neither at import time nor later: an import that a function defers may hide a circle too."""
    modules = {_name(file): file for file in _modules()}
    known = {
        name: {other for _, other in _imports(file) if other in modules and other != name}
        for name, file in modules.items()
    }
    circle: list[str] = []

    try:
        graphlib.TopologicalSorter(known).prepare()
    except graphlib.CycleError as error:
        circle = error.args[1]

    assert sum(map(len, known.values())) > len(modules), "imports were not found at all"
    assert circle == []


def test_the_kit_knows_nobody():
    known = [
        f"{file.relative_to(ROOT)}:{line} imports {name}"
        for file in _modules()
        if _domain(file) == "kit"
        for line, name in _imports(file)
        if name.startswith("modelyard.") and not name.startswith("modelyard.kit")
    ]

    assert known == []


def test_only_intake_imports_sklearn_and_what_belongs_to_it():
    places = [PACKAGE, ROOT / "functions"]
    foreign = [
        f"{file.relative_to(ROOT)}:{line} imports {name}"
        for place in places
        for file in sorted(place.rglob("*.py"))
        if PACKAGE / "intake" not in file.parents
        for line, name in _imports(file)
        if name.split(".")[0] in SKLEARN_FAMILY
    ]

    assert foreign == []


def test_functions_and_layers_import_no_tool_and_no_test():
    foreign = [
        f"{file.relative_to(ROOT)}:{line} imports {name}"
        for place in (PACKAGE, ROOT / "functions")
        for file in sorted(place.rglob("*.py"))
        for line, name in _imports(file)
        if name.split(".")[0] in NOT_IN_FUNCTIONS
    ]

    assert foreign == []


@pytest.mark.parametrize("domain", ["serving", "kit"])
def test_hot_packages_name_nothing_heavy_at_import_time(domain: str):
    heavy = [
        f"{file.relative_to(ROOT)}:{line} imports {name}"
        for file in sorted((PACKAGE / domain).rglob("*.py"))
        for line, name in _imports(file, at_import_time=True)
        if name.split(".")[0] in HEAVY
    ]

    assert heavy == []


HOT_ENTRANCES = ["modelyard.accounts.admission", "modelyard.composition", "modelyard.telemetry.records"]


@pytest.mark.parametrize("module", [*HOT_ENTRANCES, "functions/predict"])
def test_the_hot_path_loads_nothing_heavy(module: str):
    """Asks a fresh interpreter what it loaded: what stands in no import statement of ours would show too."""
    if module == "functions/predict":
        path, name = str(ROOT / module), "handler"
    else:
        path, name = str(ROOT), module
    code = (
        f"import sys; sys.path[:0] = [{path!r}, {str(PACKAGE.parent)!r}]; import {name}; "
        f"print(*sorted({{m.split('.')[0] for m in sys.modules}} & {HEAVY!r}))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    "file", sorted((ROOT / "functions").glob("*/handler.py")), ids=lambda f: f.parent.name
)
def test_a_handler_reads_no_environment_at_import(file: Path):
    """Importing a module needs no environment and no network: a missing variable must name itself at use."""
    path = [str(file.parent), str(PACKAGE.parent)]
    code = f"import sys; sys.path[:0] = {path!r}; import handler; handler.handler"
    bare = {"PATH": "/usr/bin:/bin"}

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=bare, check=False
    )

    assert done.returncode == 0, done.stderr


def test_nothing_in_the_runtime_asks_for_its_stage():
    """Stages differ in infra/stages.py; a branch on the stage's name would make production untested code."""
    offenders = []
    for place in (PACKAGE, ROOT / "functions"):
        for file in sorted(place.rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Compare) and any(
                    isinstance(part, ast.Constant) and part.value in ("local", "dev", "prod")
                    for part in [node.left, *node.comparators]
                ):
                    offenders.append(f"{file.relative_to(ROOT)}:{node.lineno}")

    assert offenders == []


def test_modules_stay_short_enough_to_be_read():
    long = [
        f"{file.relative_to(ROOT)}: {lines} lines"
        for place in ("layers/core/python", "functions", "infra", "tools")
        for file in sorted((ROOT / place).rglob("*.py"))
        if not file.stem.endswith("_data") and (lines := len(file.read_text().splitlines())) > 650
    ]

    assert long == []


def test_nothing_is_left_for_later():
    """No reminder, no skipped or expected-to-fail test: what is not done stands in an issue."""
    markers = (
        "TO" + "DO",
        "FIX" + "ME",
        "X" + "XX",
        "pytest.mark." + "skip",
        "pytest." + "skip(",
        "mark.x" + "fail",
    )
    left = [
        f"{file.relative_to(ROOT)}: {marker}"
        for place in ("layers/core/python", "functions", "infra", "tools", "tests")
        for file in sorted((ROOT / place).rglob("*.py"))
        for marker in markers
        if file != Path(__file__) and marker in file.read_text()
    ]

    assert left == []
