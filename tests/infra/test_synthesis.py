"""`cdk synth` for every stage: offline, with nothing left to object to."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.stages import STAGES, Stage, UnknownStageError, stage_named
from tests.infra.template import Synthesised
from tools.node import QUIET, ROOT, search_path


@pytest.mark.parametrize("name", ["", None, "staging", "Prod"])
def test_an_unknown_stage_is_told_which_there_are(name: str | None) -> None:
    with pytest.raises(UnknownStageError, match="local, dev, prod"):
        stage_named(name)


def test_the_command_without_a_stage_fails_and_says_what_to_write(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        **QUIET,
        "PATH": search_path(),
        "CDK_OUTDIR": str(tmp_path),
        "CDK_CONTEXT_JSON": "{}",
    }
    done = subprocess.run(
        [sys.executable, "-m", "infra.app"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0
    assert "-c stage=<name>" in done.stderr


def test_it_synthesises_offline(each_stage: Synthesised) -> None:
    assert each_stage.status == 0, each_stage.output[-4000:]


def test_nothing_deprecated_is_used(each_stage: Synthesised) -> None:
    assert "deprecated" not in each_stage.output


def test_cdk_nag_has_no_open_finding(each_stage: Synthesised) -> None:
    findings = [
        (violation["ruleName"], [each["constructPath"] for each in violation["violatingConstructs"]])
        for report in each_stage.report["pluginReports"]
        for violation in report["violations"]
    ]
    assert findings == []


def test_cfn_lint_has_no_open_finding(each_stage: Synthesised) -> None:
    templates = sorted(str(path) for path in each_stage.folder.glob("*.template.json"))
    assert len(templates) == 2
    linter = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run(
        [linter, "--", *templates], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_every_suppression_names_one_resource_and_a_reason(each_stage: Synthesised) -> None:
    seen = 0
    for name, resource in each_stage.resources.items():
        metadata = resource.get("Metadata", {})
        for suppression in metadata.get("cdk_nag", {}).get("rules_to_suppress", []):
            assert len(suppression["reason"]) > 30, (name, suppression)
            seen += 1
        if "cfn-lint" in metadata:
            assert len(metadata["cfn-lint"]["reason"]) > 30, name
            seen += 1
    assert seen > 20
    for template in (each_stage.data, each_stage.service):
        assert "cfn-lint" not in template.get("Metadata", {})


def test_suppressions_are_written_in_one_way_only() -> None:
    """`Validations.of` on a stack or the app would accept a finding everywhere."""
    users = {
        path.name: [
            ast.unparse(node.args[0])
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Validations.of"
        ]
        for path in (ROOT / "infra").glob("*.py")
    }
    assert {name: found for name, found in users.items() if found} == {
        "acknowledge.py": ["construct"],
        "app.py": ["app"],
    }
    accepted = [
        ast.unparse(node.args[0])
        for path in (ROOT / "infra").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "acknowledge"
    ]
    assert accepted
    assert not {"self", "scope", "app", "data", "service", "Stack.of(self)"} & set(accepted)


def test_stages_differ_in_fields_only() -> None:
    """No code asks for a stage's name."""
    names = set(STAGES)
    for path in [
        *(ROOT / "infra").glob("*.py"),
        *(ROOT / "layers" / "core").rglob("*.py"),
        *(ROOT / "functions").rglob("*.py"),
    ]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                constants = {
                    each.value
                    for each in ast.walk(node)
                    if isinstance(each, ast.Constant) and isinstance(each.value, str)
                }
                assert not constants & names, (
                    f"{path.relative_to(ROOT)}:{node.lineno} compares with a stage's name"
                )


def test_the_cloud_formation_limits_are_far(each_stage: Synthesised) -> None:
    for template, path in ((each_stage.data, "Data"), (each_stage.service, "Service")):
        assert len(template["Resources"]) < 450
        assert (each_stage.folder / f"{path}.template.json").stat().st_size < 900_000


def test_local_deploys_with_the_callers_credentials_and_the_others_with_roles(
    each_stage: Synthesised,
) -> None:
    manifest = json.loads((each_stage.folder / "manifest.json").read_text())
    stacks = {k: v for k, v in manifest["artifacts"].items() if v["type"] == "aws:cloudformation:stack"}
    assert {v["properties"]["stackName"] for v in stacks.values()} == {
        each_stage.stage.prefix,
        f"{each_stage.stage.prefix}-data",
    }
    with_role = ["assumeRoleArn" in stack["properties"] for stack in stacks.values()]
    assert all(with_role) if each_stage.stage.deploy_with == "bootstrap-roles" else not any(with_role)


@pytest.mark.parametrize("stage", STAGES.values(), ids=list(STAGES))
def test_names_carry_the_stage(stage: Stage) -> None:
    assert stage.prefix == f"modelyard-{stage.name}"
    assert stage.secret_name("redis") == f"modelyard/{stage.name}/redis"
