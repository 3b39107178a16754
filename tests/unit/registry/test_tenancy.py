"""Statements on models and versions stand in one place, where the tenant filter is."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[3]
WATCHED = {"Model", "ModelVersion", "ModelAlias", "Promotion"}
ALLOWED = {
    "registry/repository.py",  # every statement of one user
    "registry/sweep.py",  # finds ids across users, acts through a repository
    "registry/purge.py",  # likewise
    "registry/trials/watch.py",  # likewise
    "db/tables.py",
}
STATEMENTS = {"select", "insert", "update", "delete", "get", "query", "scalars", "execute", "merge"}


def statements_on_models(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name not in STATEMENTS:
            continue
        for argument in node.args:
            names = {n.id for n in ast.walk(argument) if isinstance(n, ast.Name)}
            attributes = {n.attr for n in ast.walk(argument) if isinstance(n, ast.Attribute)}
            if WATCHED & (names | attributes):
                found.append(f"{path}:{node.lineno}")
    return found


def test_only_the_repository_and_the_sweeps_select_models():
    sources = [*ROOT.glob("layers/core/python/modelyard/**/*.py"), *ROOT.glob("functions/**/*.py")]
    assert len(sources) > 20
    offenders = []
    for path in sources:
        if not any(str(path).endswith(f"modelyard/{allowed}") for allowed in ALLOWED):
            offenders += statements_on_models(path)
    assert offenders == []


def test_the_check_sees_what_it_looks_for(tmp_path):
    bad = tmp_path / "bad.py"
    bad.write_text("session.scalars(select(tables.Model).where(True))\nsession.get(ModelVersion, 'x')\n")
    assert len(statements_on_models(bad)) >= 2


def test_every_select_of_the_repository_starts_from_the_filtered_ones():
    path = ROOT / "layers/core/python/modelyard/registry/repository.py"
    tree = ast.parse(path.read_text())
    (repository,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "ModelRepository")
    for function in (n for n in repository.body if isinstance(n, ast.FunctionDef)):
        selects = [
            n for n in ast.walk(function)
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "select"
        ]  # fmt: skip
        if selects and function.name != "owner_is_active":
            assert function.name in {"_models", "_versions", "_aliases", "_promotions"}
            assert "user_id" in ast.unparse(function)
